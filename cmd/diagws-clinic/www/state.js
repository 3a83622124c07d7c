/* state.js: what the page knows of a diagnosis, and what messages and answers make of it. No DOM, no network, no clock:
 * the state is plain JSON, which is kept over a reload (session.js) and shown (view.js).
 *
 *   recommendations   by id: {id, herb, dosage, frequency, duration, predicted, confidence, reasoning, evidence, similar,
 *                     effectiveness, sureness, samples, rating, trend, line: [0..1 or null], mark}; what is not known is
 *                     null. mark: "added" or "removed" by the last change of the ranking
 *   order             ids, the best prediction first
 *   counts            since the tab was opened, without what was replayed to it when it was opened
 *   events            the newest first, EVENTS_MAX
 */
export const EVENTS_MAX = 20;
const LINE_MAX = 30, SHOWN_MAX = 100, KNOWN_MAX = 200, TEXT_MAX = 500;
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g; /* marks that turn the direction of what stands behind them */

export function emptyState() {
	return { condition: null, model: null, samples: null, overall: null, days: [], counting: false, daily: false,
		recommendations: {}, order: [], counts: { updates: 0, changes: 0, improvements: 0 }, events: [] };
}

function recommendation(state, id) {
	return state.recommendations[id] ??= { id, herb: null, predicted: null, confidence: null, reasoning: null,
		effectiveness: null, sureness: null, samples: null, rating: null, trend: null, line: [], mark: null };
}

function number(value) {
	return typeof value === "number" ? value : null;
}

/* A sender may put anything into what no rule names. */
function text(value) {
	return typeof value === "string" ? [...value.slice(0, 2 * TEXT_MAX)].slice(0, TEXT_MAX).join("").replace(TURNING, "") : null;
}

function ids(values) {
	return Array.isArray(values) ? [...new Set(values.filter(Number.isSafeInteger))] : [];
}

/* ---- answers of the API ---- */

/* Marks of the last change stay, until somebody has the list made afresh. */
export function takePrediction(state, said, afresh) {
	const before = state.order.map((id) => state.recommendations[id]);

	Object.assign(state, { condition: said.condition, model: said.model_version, samples: said.sample_size,
		overall: number(said.overall_confidence) });
	state.order = said.predictions.slice(0, SHOWN_MAX).map((one) => one.recommendation_id);
	for (const one of said.predictions)
		Object.assign(recommendation(state, one.recommendation_id), {
			herb: one.herb_name, dosage: one.dosage, frequency: one.frequency, duration: one.duration,
			predicted: one.predicted_effectiveness, confidence: one.confidence, reasoning: one.reasoning,
			evidence: one.evidence_source, similar: one.similar_patient_count });
	for (const one of before)
		if (afresh || (one.mark === "removed" && state.order.includes(one.id)))
			one.mark = null;
		else if (one.mark === "removed")
			state.order.push(one.id);
}

export function takeMetrics(state, said) {
	for (const one of said.recommendations)
		Object.assign(recommendation(state, one.recommendation_id), {
			herb: one.herb_name, effectiveness: number(one.effectiveness), sureness: number(one.confidence),
			samples: one.sample_size, rating: number(one.average_rating), trend: one.trend ?? null });
}

export function takeEvolution(state, said) {
	state.days = said.days.map((day) => number(day.effectiveness));
	state.daily = true;
	for (const one of said.recommendations)
		recommendation(state, one.recommendation_id).line = one.effectiveness.map(number);
}

/* ---- messages ---- */

function addPoint(state, one, value) {
	if (state.daily && one.line.length > 0)
		one.line[one.line.length - 1] = value; /* the last point is today's */
	else
		one.line = [...one.line, value].slice(-LINE_MAX);
}

function takeEffectiveness(state, data) {
	if (!Number.isSafeInteger(data.recommendation_id))
		return {};
	const one = recommendation(state, data.recommendation_id),
		before = number(data.old_effectiveness) ?? one.effectiveness;

	Object.assign(one, { effectiveness: number(data.new_effectiveness), sureness: number(data.confidence),
		samples: number(data.sample_size), trend: text(data.trend) ?? one.trend, herb: text(data.herb_name) ?? one.herb,
		rating: number(data.average_rating) ?? one.rating });
	addPoint(state, one, one.effectiveness);
	if (!state.order.includes(one.id))
		state.order = [...state.order, one.id].slice(0, SHOWN_MAX);
	return { herb: one.herb, recommendation: one.id, before, after: one.effectiveness,
		samples: one.samples };
}

function takeRanking(state, data) {
	const told = Array.isArray(data.new_data?.ranking) ? data.new_data.ranking : null;
	const ranking = told?.filter((entry) => Number.isSafeInteger(entry?.recommendation_id)).slice(0, SHOWN_MAX) ?? null;
	const added = ids(data.added_recommendations), removed = ids(data.removed_recommendations);

	if (ranking !== null) {
		for (const one of Object.values(state.recommendations))
			one.mark = removed.includes(one.id) ? "removed" : null;
		state.order = ids(ranking.map((entry) => entry.recommendation_id));
		for (const entry of ranking) {
			const one = recommendation(state, entry.recommendation_id);
			Object.assign(one, { herb: text(entry.herb_name) ?? one.herb,
				predicted: number(entry.predicted_effectiveness),
				mark: added.includes(one.id) ? "added" : null });
		}
		state.order.push(...removed.filter((id) => id in state.recommendations && !state.order.includes(id)));
	}
	return { first: state.recommendations[state.order[0]]?.herb ?? null, added: added.length, removed: removed.length,
		reason: text(data.reason) };
}

function takeFeedback(state, data) {
	return { rating: number(data.rating), comment: text(data.comment), recommendation: data.recommendation_id ?? null,
		herb: text(data.herb_name) ?? state.recommendations[data.recommendation_id]?.herb ?? null };
}

const TAKE = { effectiveness_update: takeEffectiveness, recommendation_update: takeRanking, feedback_update: takeFeedback };

function addEvent(state, event) {
	state.events = [event, ...state.events].slice(0, EVENTS_MAX);
}

/* Of very many, those that are not shown are forgotten. */
function forgetMost(state) {
	const known = Object.values(state.recommendations);

	if (known.length > KNOWN_MAX)
		state.recommendations = Object.fromEntries(known.filter((one) => state.order.includes(one.id)).map((one) => [one.id, one]));
}

/* A message of the diagnosis; `replayed`: it is from before the page came. True when it may have changed scores. */
export function takeUpdate(state, { type, seq, timestamp, data }, replayed) {
	const said = data !== null && typeof data === "object" ? data : {};
	const event = { type, seq, time: timestamp, ...TAKE[type]?.(state, said) };

	if (type === "retracted_update")
		state.events = state.events.map((one) => one.seq === said.seq ? { ...one, retracted: true } : one);
	addEvent(state, event);
	forgetMost(state);
	if (state.counting || !replayed) {
		state.counts.updates++;
		state.counts.changes += type === "recommendation_update" ? 1 : 0;
		state.counts.improvements += type === "effectiveness_update" && event.before !== null &&
			event.after > event.before ? 1 : 0;
	}
	return type === "effectiveness_update" || type === "recommendation_update" || type === "retracted_update";
}

/* Missing messages, or (type "reset") a server that began anew. */
export function takeGap(state, data, type, time) {
	addEvent(state, { type, time, count: number(data.count), reason: data.reason ?? null });
}

/* ---- what is shown ---- */

/* {value, from}: the mean of what was measured, else of what was predicted; null without any. */
export function overall(state) {
	const shown = active(state);

	for (const from of ["effectiveness", "predicted"]) {
		const values = shown.map((one) => one[from]).filter((value) => value !== null);
		if (values.length > 0)
			return { value: values.reduce((sum, value) => sum + value, 0) / values.length, from };
	}
	return null;
}

export function listed(state) {
	return state.order.map((id) => state.recommendations[id]);
}

export function active(state) {
	return listed(state).filter((one) => one.mark !== "removed");
}

/* 3, 2, 1, 0: from good to bad. */
export function level(score) {
	return score >= 0.75 ? 3 : score >= 0.5 ? 2 : score >= 0.25 ? 1 : 0;
}
