/* dashboard.js: the page's life. Address, settings, then the first load from the API and the connection side by side;
 * from then on messages change the state, and the state is shown once a frame. What only the API knows (reasoning,
 * confidence) is asked for again when a message says that scores have changed, after a hole, and by Refresh.
 *
 * A token that ends says so some time before; a new one, by the form or in the address, goes on on the same connection.
 */
import { call, Refused, settings } from "./api.js";
import { Watch } from "./diagws.js";
import { clearFeedback, showScales, startFeedback } from "./feedback.js";
import { expiry, forget, keep, readAddress, recall, remember } from "./session.js";
import { emptyState, takeEvolution, takeGap, takeMetrics, takePrediction, takeUpdate } from "./state.js";
import { announce, announceEvent, clearNotices, find, gapWords, isNoticed, notice, showAll, showState } from "./view.js";
import { firstLanguage, formatNumber, formatTime, speak, speakOther, t } from "./words.js";

const RELOAD_LEAST = 300, RELOAD_MOST = 1200; /* ms: many pages hear of a change at the same time */
const AWAY_LEAST = 5000, WARN_MS = 5 * 60000, TIMER_MAX = 2 ** 31 - 1, SETTINGS_PAUSE = 3000;
const BUSY = 429; /* the API's status: too much was asked at once */

let session = { diagnosis: "", token: "" }, config = null, watch = null, state = emptyState();
let connection = { state: "idle", reason: "" }, replayed = false, proven = "";
let drawing = false, reloading = null, ending = null, warned = false, loads = 0, whole = false, underWay = null, beginnings = 0;
let missed = null;

/* ---- showing ---- */

function draw() {
	drawing = false;
	const offline = !navigator.onLine && ["connecting", "waiting"].includes(connection.state);

	find("diagnosis").textContent = session.diagnosis && t.diagnosis(session.diagnosis);
	find("language").textContent = t.language;
	find("language").lang = t.language === "English" ? "en" : "fa";
	find("sign-out").hidden = session.token === "";
	find("board").hidden = session.diagnosis === "" || session.token === "";
	for (const element of document.querySelectorAll("[data-api]"))
		element.hidden = !config?.api;
	showState(offline ? "offline" : connection.state, connection.left, connection.reason);
	showAll(state);
	if (watch !== null)
		keep(session.diagnosis, watch.position, state);
}

/* In the next frame; a page that nobody looks at has none, and is drawn by a timer. */
function drawSoon() {
	if (!drawing)
		document.hidden ? setTimeout(draw) : requestAnimationFrame(draw);
	drawing = true;
}

/* ---- the token ---- */

function askToken(reason) {
	const form = find("sign-in"), why = find("sign-in-why");

	form.hidden = false;
	find("sign-in-title").textContent = session.diagnosis === "" ? t.sign_in : t.sign_in_renew;
	find("diagnosis-id").value ||= session.diagnosis;
	why.hidden = !reason;
	why.textContent = reason ? t.reasons[reason] ?? reason : "";
	if (reason)
		announce(why.textContent);
}

function hideForm() {
	find("sign-in").hidden = true;
	find("token").value = "";
	notice("ending", null);
}

/* Some time before the token ends, the page says so and offers the form. */
function planEnd() {
	const end = expiry(session.token), left = end - Date.now();

	clearTimeout(ending);
	warned = false;
	if (end === Infinity)
		return;
	ending = setTimeout(() => {
		if (end - Date.now() > WARN_MS)
			return planEnd();
		warned = true;
		notice("renewed", null);
		notice("ending", () => t.ends_soon(formatTime(end)));
		askToken("");
	}, Math.min(Math.max(left - WARN_MS, left * 3 / 4), TIMER_MAX));
}

/* What was said or begun about a diagnosis is not for the next one. */
function leave() {
	clearNotices();
	clearFeedback();
}

/* A diagnosis and a token, from the address or the form: another diagnosis begins anew, a token alone goes on. */
function take(given) {
	const other = given.diagnosis !== "" && given.diagnosis !== session.diagnosis;

	if (other && session.diagnosis !== "")
		leave();
	session = remember(given);
	drawSoon();
	if (session.diagnosis === "" || session.token === "")
		return askToken("");
	planEnd();
	if (other || watch === null)
		begin();
	else if (given.token !== "")
		watch.renew(session.token);
}

/* ---- the API ---- */

function load(everything, afresh) {
	return underWay = ask(everything, afresh);
}

/* The latest of several loads counts; it asks for everything where one before it did and got nothing. */
async function ask(everything, afresh) {
	const turn = ++loads, room = `diagnosis/${session.diagnosis}`;

	whole ||= everything;
	const paths = [`predictions/${room}/predict?optimization=${find("optimization").value}`,
		...whole ? [`analytics/${room}/effectiveness`, `predictions/${room}/evolution`] : []];

	clearTimeout(reloading);
	reloading = null;
	if (!config?.api)
		return false;
	try {
		const said = await Promise.all(paths.map((path) => call(session.token, path)));
		if (turn !== loads)
			return false;
		whole = false;
		[takePrediction, takeMetrics, takeEvolution].slice(0, said.length).forEach((take, n) => take(state, said[n], afresh));
		notice("away", null);
		drawSoon();
		return true;
	} catch (trouble) {
		apiRefused(trouble);
		return false;
	}
}

function apiRefused(trouble) {
	if (!(trouble instanceof Refused))
		throw trouble;
	if (trouble.status === 401)
		askToken(trouble.code.replaceAll("_", " "));
	else {
		const away = trouble.status === 0 || trouble.status >= 500;

		notice("away", () => away ? t.away : t.failed(trouble.message || formatNumber(trouble.status)));
		if (away || trouble.status === BUSY)
			reloading ??= setTimeout(load, AWAY_LEAST + Math.random() * AWAY_LEAST, true);
	}
}

/* Not before the one that is under way has ended: constant messages would let none of a slow clinic's answers count. */
function loadSoon() {
	reloading ??= setTimeout(() => Promise.allSettled([underWay]).then(() => load(false)),
		RELOAD_LEAST + Math.random() * (RELOAD_MOST - RELOAD_LEAST));
}

/* ---- the connection ---- */

function missing(data, type) {
	const told = { ...data };

	takeGap(state, told, type, new Date().toISOString());
	if (type === "gap") /* all of them, until it is dismissed */
		missed = { ...told, count: (told.count ?? 0) + (isNoticed(type) ? missed.count : 0) };
	notice(type, () => `${type === "gap" ? gapWords(missed) : t.reset} ${config.api ? t.gap_loaded : t.no_gap_loaded}`);
	if (type === "gap")
		load(true);
}

const HEARD = {
	state: (data) => {
		connection = { reason: "", ...data };
		if (data.state === "refused")
			askToken(data.reason);
		if (data.state === "live") {
			if (state.counting || replayed)
				load(true);
			state.counting = true;
		}
	},
	connect: (data) => {
		replayed = data.replaying > 0;
		proven = session.token;
		if (!warned)
			hideForm();
	},
	update: (message, old) => {
		if (connection.left > 0)
			connection.left--;
		if (takeUpdate(state, message, old))
			loadSoon();
		announceEvent();
	},
	gap: (data) => missing(data, "gap"),
	reset: (data) => {
		state = { ...emptyState(), counting: state.counting, counts: state.counts, events: state.events };
		missing(data, "reset");
		load(true);
	},
	auth: (data) => {
		proven = session.token;
		hideForm();
		notice("renewed", () => t.renewed(formatTime(data.expires)));
		planEnd();
	},
	error: (data) => {
		if (!(data.code in t.reasons))
			return;
		session = remember({ diagnosis: "", token: proven });
		askToken(data.code);
	},
};

/* Tells what to do once the settings are known; they are asked for until somebody answers. */
async function withSettings(go) {
	try {
		config ??= await settings();
	} catch {
		connection = { state: "waiting", reason: "" };
		drawSoon();
		setTimeout(withSettings, SETTINGS_PAUSE, go);
		return;
	}
	go();
}

function begin() {
	const seen = recall(session.diagnosis), turn = ++beginnings;

	watch?.stop();
	watch = null;
	state = { ...emptyState(), ...seen?.state };
	history.replaceState(null, "", `#diagnosis=${session.diagnosis}`);
	withSettings(() => {
		if (turn !== beginnings)
			return;
		watch = new Watch({ edges: config.edges, diagnosis: session.diagnosis, token: session.token,
			position: seen?.position, tell: (what, ...about) => {
				HEARD[what](...about);
				drawSoon();
			} });
		watch.start();
		load(true);
	});
}

/* ---- what people do ---- */

function changeLanguage() {
	speakOther();
	showScales();
	if (!find("sign-in").hidden)
		askToken(connection.reason);
	drawSoon();
}

function listen() {
	find("language").addEventListener("click", changeLanguage);
	find("sign-out").addEventListener("click", () => {
		watch?.stop();
		watch = null;
		clearFeedback(); /* some browsers keep what stands in a form over a reload */
		forget();
		location.reload();
	});
	find("sign-in-form").addEventListener("submit", (event) => {
		event.preventDefault();
		take({ diagnosis: find("diagnosis-id").value.trim(), token: find("token").value.trim() });
	});
	find("refresh").addEventListener("click", async () => {
		if (await load(true, true))
			announce(t.refreshed);
	});
	find("optimization").addEventListener("change", () => load(false));
	find("clear").addEventListener("click", () => {
		state.events = [];
		announce(t.cleared);
		drawSoon();
	});
	find("skip").addEventListener("click", (event) => {
		event.preventDefault();
		find("recommendations").focus();
	});
	startFeedback(() => ({ ...session, refused: (trouble) => trouble.status === 401 && apiRefused(trouble) }));
	addEventListener("hashchange", () => take(readAddress()));
	for (const event of ["online", "offline"])
		addEventListener(event, drawSoon);
	addEventListener("pagehide", () => watch !== null && keep(session.diagnosis, watch.position, state));
}

speak(firstLanguage());
listen();
take(readAddress());
drawSoon();
navigator.serviceWorker?.register("sw.js").catch(() => null); /* the page does without */
