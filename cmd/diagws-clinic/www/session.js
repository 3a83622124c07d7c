/* session.js: what this tab knows of itself: which diagnosis, with which token, and what it has seen of it.
 *
 * The address is http://HOST/#diagnosis=101&token=…; the token leaves the address bar at once. All of it is kept in
 * sessionStorage: it survives a reload, ends with the tab, and no other tab sees it. A position and what was made of the
 * messages up to it are kept as one, so that a reload counts nothing twice.
 */
const TOKEN = "diagws.token", DIAGNOSIS = "diagws.diagnosis", SEEN = "diagws.seen";
const ID = /^[A-Za-z0-9_-]{1,64}$/;
const page = new Map();

/* A browser may refuse to keep anything, or be full: then it is known as long as the page stays. */
export function store(name, value, where = "sessionStorage") {
	page.set(name, value);
	try {
		window[where].setItem(name, value);
	} catch { /* as said */ }
}

export function stored(name, where = "sessionStorage") {
	try {
		return page.get(name) ?? window[where].getItem(name);
	} catch {
		return null;
	}
}

/* What the address says: {diagnosis, token}, each "" where it says nothing (of use). */
export function readAddress() {
	const said = new URLSearchParams(location.hash.slice(1));
	const diagnosis = said.get("diagnosis") ?? "", token = (said.get("token") ?? "").trim();

	if (said.has("token")) {
		said.delete("token");
		history.replaceState(null, "", said.size > 0 ? `#${said}` : location.pathname);
	}
	return { diagnosis: ID.test(diagnosis) ? diagnosis : "", token };
}

/* {diagnosis, token} of this tab; what is given is kept first. */
export function remember({ diagnosis, token }) {
	if (diagnosis)
		store(DIAGNOSIS, diagnosis);
	if (token)
		store(TOKEN, token);
	return { diagnosis: stored(DIAGNOSIS) ?? "", token: stored(TOKEN) ?? "" };
}

export function forget() {
	page.clear();
	try {
		for (const name of [TOKEN, DIAGNOSIS, SEEN])
			sessionStorage.removeItem(name);
	} catch { /* nothing was kept */ }
	history.replaceState(null, "", location.pathname);
}

/* {position, state} that was kept of this diagnosis, or null. */
export function recall(diagnosis) {
	const seen = JSON.parse(stored(SEEN) || "null");

	return seen?.diagnosis === diagnosis ? seen : null;
}

export function keep(diagnosis, position, state) {
	store(SEEN, JSON.stringify({ diagnosis, position, state }));
}

/* When a token ends, in ms since 1970, as it says itself; Infinity where it does not. Nothing is proved by it. */
export function expiry(token) {
	try {
		const bytes = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
		const { exp } = JSON.parse(bytes);
		return Number.isFinite(exp) ? exp * 1000 : Infinity;
	} catch {
		return Infinity;
	}
}
