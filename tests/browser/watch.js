/* A page that watches a diagnosis and keeps what it got in a record of its own (IndexedDB, which survives a reload).
 * It acknowledges nothing and asks for no position: all it says to the server is its token and device.
 *
 *   watch.html?edge=HOST:PORT&room=123&device=tab&token=…&drops=100&reloads=100&seed=1
 *
 * At random moments after each `connect` it drops its connection or reloads itself, until it has done each as often
 * as asked; then it stays. Each entry of the record: {connection, text}. How much is left to do is in localStorage.
 */
"use strict";

const asked = new URLSearchParams(location.search);
const LONGEST_MS = 400;

let record;

/* Mulberry32; its state outlives the page, so that a seed repeats a run as far as the network does. */
function random() {
	let state = (Number(localStorage.getItem("random") ?? asked.get("seed")) + 0x6d2b79f5) >>> 0;
	localStorage.setItem("random", String(state));
	state = Math.imul(state ^ (state >>> 15), state | 1);
	state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
	return ((state ^ (state >>> 14)) >>> 0) / 2 ** 32;
}

function left(what) {
	return Number(localStorage.getItem(what) ?? asked.get(what));
}

function count(what, step) {
	localStorage.setItem(what, String(left(what) + step));
}

function append(connection, text) {
	record.transaction("messages", "readwrite").objectStore("messages").add({ connection, text });
}

/* Drops the connection, or reloads the page, or does nothing more. */
function interrupt(socket) {
	const drops = left("drops"), reloads = left("reloads");

	if (drops + reloads === 0 || socket.readyState !== WebSocket.OPEN)
		return;
	if (random() * (drops + reloads) < drops) {
		count("drops", -1);
		socket.onclose = null;
		socket.close();
		connect();
	} else {
		count("reloads", -1);
		location.reload();
	}
}

function connect() {
	const query = new URLSearchParams({ token: asked.get("token"), device: asked.get("device") });
	const socket = new WebSocket(`ws://${asked.get("edge")}/ws/${asked.get("room")}?${query}`);

	count("connections", 1);
	const connection = left("connections");
	socket.onmessage = (event) => {
		append(connection, event.data);
		if (JSON.parse(event.data).type === "connect") {
			document.getElementById("state").textContent = "connected";
			setTimeout(interrupt, random() * LONGEST_MS, socket);
		}
	};
	socket.onclose = (event) => {
		append(connection, JSON.stringify({ type: "closed", code: event.code, reason: event.reason }));
		setTimeout(connect, 100);
	};
}

/* The whole record as text: for whoever wants to look at it. */
function whole() {
	return new Promise((resolve, reject) => {
		const all = record.transaction("messages").objectStore("messages").getAll();
		all.onsuccess = () => resolve(JSON.stringify(all.result));
		all.onerror = () => reject(all.error);
	});
}

const opening = indexedDB.open("record", 1);
opening.onupgradeneeded = () => opening.result.createObjectStore("messages", { autoIncrement: true });
opening.onsuccess = () => {
	record = opening.result;
	connect();
};
