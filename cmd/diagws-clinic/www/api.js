/* api.js: the clinic's HTTP API, at the page's own origin, and the page's settings. */
const DEADLINE = 15000; /* ms */

/* What went wrong: status (0: no answer came), code, message and field as the API says them. */
export class Refused extends Error {
	constructor(status, { code = "unreachable", message = "", field = "" } = {}) {
		super(message);
		Object.assign(this, { status, code, field });
	}
}

async function ask(path, options) {
	try {
		return await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(DEADLINE), ...options });
	} catch {
		throw new Refused(0);
	}
}

/* The answer's JSON; throws Refused. */
export async function call(token, path, body) {
	const headers = { Authorization: `Bearer ${token}` };
	const answer = await ask(`api/${path}`, body === undefined ? { headers } : {
		method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body),
	});
	const said = await answer.json().catch(() => null);

	if (!answer.ok || said?.success !== true)
		throw new Refused(answer.status, said?.error);
	return said;
}

/* Whether a page from here may open it: a browser throws at others. */
function usable(edge) {
	return URL.canParse(edge) && (location.protocol === "https:" ? /^wss:/ : /^wss?:/).test(edge);
}

/* {edges, api}: where the edges are, and whether there is an API. Without a config.json the page lives from the
 * messages of the edge that it comes from; throws Refused where nothing of use is answered now. */
export async function settings() {
	const here = [location.origin.replace(/^http/, "ws")];
	const answer = await ask("config.json");

	const said = answer.status === 404 ? {} : answer.ok ? await answer.json().catch(() => null) : null;
	if (said === null)
		throw new Refused(answer.status);
	const edges = (Array.isArray(said.edges) ? said.edges : []).map((edge) => String(edge).replace(/\/+$/, "")).filter(usable);
	return { edges: edges.length > 0 ? edges : here, api: said.api === true };
}

/* An id as JSON has it: a number where it is written like one and is exact. */
export function idToJson(id) {
	return /^(0|[1-9][0-9]*)$/.test(id) && Number(id) < 2 ** 53 ? Number(id) : id;
}
