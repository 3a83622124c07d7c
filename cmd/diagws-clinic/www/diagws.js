/* diagws.js: a page's connection to a diagnosis, for any page: `import { Watch } from "./diagws.js"`.
 *
 *   const watch = new Watch({ edges: ["wss://a.example", "wss://b.example"], diagnosis: "101", token,
 *                             position: kept, tell: (what, data, replayed) => … });
 *   watch.start();
 *
 * It goes from edge to edge until one lets it in, goes on where it was (`watch.position`: keep it to survive a reload),
 * drops what comes twice, and says what is missing. `tell` hears of
 *   "state"   {state}: "connecting"; "replaying" {left}, then "live": nothing older is to come; "waiting" {ms};
 *             "refused" {reason}: it has stopped, until renew() or start()
 *   "connect" the data of the server's `connect`; "reset" before it when the server's store is another one
 *   "update"  a message of a type …_update, each once, in order of seq; replayed: it is from before we came
 *   "gap"     {count, reason, …}: so many messages are missing here, for good
 *   "auth"    {expires}: a fresh token was taken; "error" {code, message}: something that we said was not
 * renew(token) gives a fresh token on the same connection. probe() asks a quiet server for a sign of life, with a
 * deadline; it happens by itself when the page is seen again and when the network changes. stop() ends.
 *
 * An edge that is stuck closes nothing, and a page sees no PING: hence ?heartbeat=1, and another edge after `silent` ms.
 * Pauses are random, so that a crowd does not come back at once, and double while attempts fail; a server's advice
 * (`shutdown`) is followed. The token goes in a message: an address would be logged on the way.
 */
const FIRST_PAUSE = 250, LONGEST_PAUSE = 15000; /* ms */
const BUSY = 3, RATE = 5; /* so many failures are assumed after 1013, and after a rate limit */

export class Watch {
	#options; #tell; #token; #socket = null; #retry; #deadline; #listening;
	#turn = 0; #failures = 0; #advice = null; #left = 0; #head = 0;

	constructor(options) {
		this.#options = { silent: 60000, patience: 5000, ...options };
		this.#tell = options.tell;
		this.#token = options.token;
		this.position = { seq: 0, epoch: "", ...options.position };
	}

	start() {
		this.stop();
		this.#listening = new AbortController();
		for (const [target, event] of [[window, "online"], [window, "offline"], [document, "visibilitychange"]])
			target.addEventListener(event, () => document.hidden || this.probe(), { signal: this.#listening.signal });
		this.#open();
	}

	stop() {
		this.#listening?.abort();
		this.#drop();
		clearTimeout(this.#retry);
	}

	renew(token) {
		this.#token = token;
		if (this.#socket?.readyState === WebSocket.OPEN)
			this.#say({ type: "auth", token });
		else if (this.#socket === null)
			this.start();
	}

	probe() {
		if (this.#socket?.readyState === WebSocket.OPEN) {
			this.#say({ type: "ping" });
			this.#expect(this.#options.patience);
		} else if (this.#socket === null)
			this.#open();
	}

	#say(message) {
		this.#socket.send(JSON.stringify(message));
	}

	/* Something is heard within this time, or the edge is given up. */
	#expect(ms) {
		clearTimeout(this.#deadline);
		this.#deadline = setTimeout(() => this.#closed({ code: 1006 }), ms);
	}

	#drop() {
		clearTimeout(this.#deadline);
		if (this.#socket !== null)
			this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
		this.#socket?.close();
		this.#socket = null;
	}

	#open() {
		const { edges, diagnosis, patience } = this.#options, { seq, epoch } = this.position;
		const query = new URLSearchParams({ auth: "message", heartbeat: 1, after: seq, ...(seq > 0 && { epoch }) });

		clearTimeout(this.#retry);
		this.#tell("state", { state: "connecting" });
		this.#socket = new WebSocket(`${edges[this.#turn++ % edges.length]}/ws/${diagnosis}?${query}`);
		this.#socket.onopen = () => this.#say({ type: "auth", token: this.#token });
		this.#socket.onmessage = (event) => this.#take(JSON.parse(event.data));
		this.#socket.onclose = (event) => this.#closed(event);
		this.#expect(2 * patience);
	}

	#closed({ code, reason }) {
		this.#drop();
		if (code === 4001 || (code === 1008 && reason !== "rate limit")) {
			this.#listening.abort();
			this.#tell("state", { state: "refused", reason });
			return;
		}
		this.#failures = Math.max(this.#failures, code === 1013 ? BUSY : code === 1008 ? RATE : 0);
		const longest = Math.min(FIRST_PAUSE * 2 ** this.#failures++, LONGEST_PAUSE);
		const [least, most] = this.#advice ?? [longest / 2, longest];
		const ms = least + Math.random() * (most - least);
		this.#advice = null;
		this.#retry = setTimeout(() => this.#open(), ms);
		this.#tell("state", { state: "waiting", ms });
	}

	#take(message) {
		const { type, seq, data = {} } = message;
		this.#expect(this.#options.silent);
		if (type === "connect")
			this.#connected(data);
		else if (type === "shutdown")
			this.#advice = data.retry_after_ms;
		else if (["gap", "auth", "error"].includes(type))
			this.#tell(type, data);
		else if (type === "heartbeat") /* what expired during a replay never comes */
			this.#progress(this.#left);
		else if (type.endsWith("_update") && seq > this.position.seq) {
			this.position.seq = seq;
			this.#tell("update", message, seq <= this.#head);
			this.#progress(1);
		}
	}

	#connected(data) {
		const other = data.epoch !== this.position.epoch || data.resume === "reset";
		if (other && this.position.seq > 0)
			this.#tell("reset", data);
		if (other)
			this.position = { seq: 0, epoch: data.epoch };
		if (data.replaying === 0)
			this.position.seq = Math.max(this.position.seq, data.head);
		[this.#failures, this.#head, this.#left] = [0, data.head, data.replaying];
		this.#tell("connect", data);
		this.#tell("state", this.#left > 0 ? { state: "replaying", left: this.#left } : { state: "live" });
	}

	#progress(count) {
		if (this.#left > 0 && (this.#left -= count) <= 0)
			this.#tell("state", { state: "live" });
	}
}
