/* view.js: shows a state (state.js) in the page. What has not changed is left alone, so that neither focus nor a screen
 * reader is disturbed; what is spoken is said apart (announce), late and together, so that it does not chatter.
 */
import { arrow, bars, element, line } from "./draw.js";
import { active, level, listed, overall } from "./state.js";
import { formatNumber, formatRating, formatShare, formatTime, language, t } from "./words.js";

const SETTLED = 1000, TOGETHER = 5000; /* ms */

export function find(id) {
	return document.getElementById(id);
}

const shown = new WeakMap();

/* Builds an element's children anew when what they show, or the language, has changed. */
function show(parent, what, build) {
	const now = language + JSON.stringify(what);

	if (shown.get(parent) === now)
		return;
	shown.set(parent, now);
	parent.replaceChildren(...[build()].flat().filter((child) => child !== null));
}

/* ---- spoken ---- */

let speaking = null, fresh = 0, counting = null;

/* Soon, unless something else takes its place by then. */
export function announce(text) {
	clearTimeout(speaking);
	speaking = setTimeout(() => {
		find("live").textContent = text;
	}, SETTLED);
}

export function announceEvent() {
	fresh++;
	counting ??= setTimeout(() => {
		announce(t.fresh(formatNumber(fresh)));
		[fresh, counting] = [0, null];
	}, TOGETHER);
}

/* ---- the connection, and what is to be known ---- */

export function showState(name, left, reason) {
	const words = name === "replaying" && left > 0 ? t.replaying(formatNumber(left)) : t.states[name];
	const text = reason ? `${words}: ${t.reasons[reason] ?? reason}` : words;

	if (find("state-words").textContent === text)
		return;
	if (find("state").dataset.state !== name)
		announce(text);
	find("state").dataset.state = name;
	find("state-words").textContent = text;
}

const notices = new Map();

function showNotices() {
	show(find("notices"), [...notices].map(([name, text]) => [name, text()]), () => [...notices].map(([name, text]) => {
		const button = element("button", "", t.dismiss);

		button.type = "button";
		button.addEventListener("click", () => notice(name, null));
		return element("div", "notice", element("p", "", text()), button);
	}));
}

/* Shows a notice, by its name, until it is dismissed or null takes its place. `text` makes it, in any language. */
export function notice(name, text) {
	if (text !== null) {
		if (notices.get(name)?.() !== text())
			announce(text());
		notices.set(name, text);
	} else
		notices.delete(name);
	showNotices();
}

export function isNoticed(name) {
	return notices.has(name);
}

export function clearNotices() {
	notices.clear();
	showNotices();
}

/* ---- scores ---- */

/* A share of 1 in digits, a word, bars and a colour. */
function score(value) {
	const n = level(value);

	return element("p", `score level-${n}`, bars(n), element("span", "share", formatShare(value)),
		element("span", "", t.levels[n]));
}

function track(value) {
	const fill = element("div", "fill");

	fill.style.setProperty("--part", `${100 * Math.min(Math.max(value, 0), 1)}%`);
	return element("div", `track level-${level(value)}`, fill);
}

function sparkline(values, label) {
	const known = values.filter((value) => value !== null);

	return known.length < 2 ? null
		: line(values, `${label}: ${t.line_text(formatShare(known[0]), formatShare(known[known.length - 1]))}`);
}

function showOverview(state) {
	const all = overall(state);
	const days = state.days.some((day) => day !== null) ? state.days : [];

	show(find("overall"), [all, days], () => all === null ? element("p", "small", t.overall_none) : [
		score(all.value), element("p", "small", t[`overall_${all.from}`]), sparkline(days, t.last_days),
		days.length > 0 ? element("p", "small", t.last_days) : null]);
	for (const [name, count] of Object.entries(state.counts))
		find(name).textContent = formatNumber(count);
}

/* ---- recommendations ---- */

/* A name within a text of the other direction of writing. */
function isolated(name) {
	return `\u2068${name}\u2069`;
}

function nameOf(one) {
	return one.herb ?? t.number(one.id);
}

function predictedMeasure(one) {
	return element("div", "", element("h4", "", t.predicted), ...one.predicted === null
		? [element("p", "small", t.no_prediction)] : [score(one.predicted), track(one.predicted)],
	one.confidence === null ? null : element("p", "small", `${t.confidence} ${formatShare(one.confidence)}`));
}

function measuredMeasure(one) {
	const drawing = sparkline(one.line, t.line(isolated(nameOf(one))));

	if (one.effectiveness === null)
		return element("div", "", element("h4", "", t.effectiveness), element("p", "small", t.not_measured));
	return element("div", "", element("h4", "", t.effectiveness), score(one.effectiveness), track(one.effectiveness),
		element("p", "small", [t.samples(formatNumber(one.samples ?? 0)),
			...one.sureness === null ? [] : [`${t.confidence} ${formatShare(one.sureness)}`]].join(t.list)),
		Object.hasOwn(t.trends, one.trend) ? element("p", "with-icon", arrow(one.trend), `${t.trend}: ${t.trends[one.trend]}`) : null,
		drawing);
}

function facts(one) {
	const rows = [
		[t.similar, one.similar !== undefined ? formatNumber(one.similar) : null],
		[t.evidence, t.evidences[one.evidence] ?? null],
		[t.rating, one.rating !== null ? formatRating(one.rating) : null],
		[t.dosage, [one.dosage, one.frequency, one.duration].filter(Boolean).map(isolated).join(t.list) || null],
	].filter(([, value]) => value !== null);

	return rows.length === 0 ? null : element("dl", "facts", ...rows.map(([name, value]) =>
		element("div", "", element("dt", "", name), element("dd", "", value))));
}

function card(one, rank) {
	const reasoning = one.reasoning?.[language];
	const removed = one.mark === "removed";

	return [
		element("div", "card-head", removed ? null : element("span", "rank", formatNumber(rank)),
			element("h3", "herb", element("bdi", "", nameOf(one))),
			one.mark in t.marks ? element("span", "tag", t.marks[one.mark]) : null),
		element("div", "measures", predictedMeasure(one), measuredMeasure(one)), facts(one),
		reasoning ? element("p", "why", element("span", "unseen", `${t.reasoning}: `), reasoning) : null,
	];
}

function showRecommendations(state) {
	const all = listed(state), list = find("list");

	while (list.children.length > all.length)
		list.lastChild.remove();
	all.forEach((one, n) => {
		const place = list.children[n] ?? list.appendChild(element("li", ""));

		place.className = `card ${one.mark ?? ""}`;
		show(place, one, () => card(one, n + 1));
	});
	find("none-yet").hidden = all.length > 0;
	find("active").textContent = t.active(formatNumber(active(state).length));
}

function showChoices(state) {
	const select = find("which"), chosen = select.value;
	const choices = active(state).map((one) => [one.id, nameOf(one)]);

	show(select, choices, () => choices.map(([id, name]) => new Option(name, id)));
	if (choices.some(([id]) => String(id) === chosen))
		select.value = chosen;
}

/* ---- events ---- */

function herbOf(event) {
	return event.herb !== null ? isolated(event.herb) : event.recommendation ? t.number(event.recommendation) : null;
}

const EVENT_WORDS = {
	effectiveness_update: (event) => t.event_effectiveness(herbOf(event),
		event.before === null ? null : formatShare(event.before), formatShare(event.after)),
	recommendation_update: (event) => [t.event_ranking(event.first === null ? null : isolated(event.first)),
		event.added > 0 ? t.event_added(formatNumber(event.added)) : null,
		event.removed > 0 ? t.event_removed(formatNumber(event.removed)) : null].filter(Boolean).join(t.list),
	feedback_update: (event) => t.event_feedback(formatNumber(event.rating), herbOf(event)),
	retracted_update: () => t.event_retracted,
	gap: (event) => gapWords(event),
	reset: () => t.reset,
};

export function gapWords({ count, reason }) {
	return t.gap(formatNumber(count ?? 0), t.gap_reasons[reason] ?? reason);
}

/* What is told without its fields (it was taken back, or its sender has others) is told by its type. */
function eventWords(event) {
	const known = { effectiveness_update: "after", feedback_update: "rating", recommendation_update: "added" }[event.type];

	return known !== undefined && (event[known] ?? null) === null || !(event.type in EVENT_WORDS)
		? t.event_other(event.type) : EVENT_WORDS[event.type](event);
}

function showEvents(state) {
	show(find("event-list"), state.events, () => state.events.map((event) => {
		const time = element("time", "", formatTime(event.time));
		const kind = event.retracted ? "taken-back" : event.type === "gap" || event.type === "reset" ? "hole" : "";

		time.dateTime = event.time;
		return element("li", "", time, element("span", kind, eventWords(event)),
			event.retracted ? element("span", "small", ` ${t.taken_back}`) : null,
			event.comment && !event.retracted ? element("p", "why small", element("bdi", "", event.comment)) : null);
	}));
	find("no-events").hidden = state.events.length > 0;
}

export function showAll(state) {
	showNotices();
	showOverview(state);
	showRecommendations(state);
	showChoices(state);
	showEvents(state);
	find("model").textContent = state.model === null ? "" : t.model(state.model, formatNumber(state.samples ?? 0));
}
