/* sw.js: keeps the page's own files (the shell), so that the page opens without a network and says that there is none.
 * The network goes first, so that a new version is seen at once. Nothing else passes through here: neither the API nor
 * the settings nor anything about a patient is ever kept.
 */
const KEPT = "diagws-shell";
const SHELL = ["./", "api.js", "dashboard.css", "dashboard.js", "diagws.js", "draw.js", "feedback.js", "icon.svg",
	"icon-192.png", "icon-512.png", "manifest.webmanifest", "session.js", "state.js", "view.js", "words.js"];
const ADDRESSES = SHELL.map((name) => new URL(name, self.location).href);

addEventListener("install", (event) => {
	event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

async function answer(request) {
	let fresh;

	try {
		fresh = await fetch(request);
	} catch (trouble) {
		const kept = await caches.match(request);
		if (kept === undefined)
			throw trouble;
		return kept;
	}
	if (fresh.ok) /* a browser that is full keeps the old one */
		await caches.open(KEPT).then((cache) => cache.put(request, fresh.clone())).catch(() => null);
	return fresh;
}

addEventListener("fetch", (event) => {
	if (event.request.method === "GET" && ADDRESSES.includes(event.request.url.split("#")[0]))
		event.respondWith(answer(event.request));
});
