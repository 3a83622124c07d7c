/* draw.js: elements and small drawings, made by the DOM alone: a text never becomes markup. */
const SVG = "http://www.w3.org/2000/svg";

export function element(tag, className, ...children) {
	const made = document.createElement(tag);

	if (className)
		made.className = className;
	made.append(...children.filter((child) => child !== null));
	return made;
}

function drawn(tag, attributes, ...children) {
	const made = document.createElementNS(SVG, tag);

	for (const [name, value] of Object.entries(attributes))
		made.setAttribute(name, value);
	made.append(...children);
	return made;
}

/* Four bars, of which level + 1 are lit. */
export function bars(level) {
	return drawn("svg", { class: "bars", viewBox: "0 0 20 16", "aria-hidden": "true" }, ...[0, 1, 2, 3].map((n) =>
		drawn("rect", { x: 5 * n, y: 12 - 4 * n, width: 4, height: 4 + 4 * n, rx: 1, class: n <= level ? "on" : "off" })));
}

const ARROWS = {
	improving: "M8 14V3M3 8l5-5 5 5", declining: "M8 2v11M3 8l5 5 5-5", stable: "M2 8h12", "new": "M8 3v10M3 8h10",
};

export function arrow(trend) {
	return drawn("svg", { class: "arrow", viewBox: "0 0 16 16", "aria-hidden": "true" },
		drawn("path", { d: ARROWS[trend] ?? ARROWS.stable }));
}

/* A line through shares of 1, the oldest first; null is a hole in it. `label` says in words what it shows. */
export function line(values, label) {
	const width = 120, height = 32, step = width / Math.max(values.length - 1, 1);
	let path = "", down = false;

	values.forEach((value, n) => {
		if (value !== null)
			path += `${down ? "L" : "M"}${(n * step).toFixed(1)} ${((1 - value) * height).toFixed(1)}${down ? "" : "h.01"}`;
		down = value !== null;
	});
	return drawn("svg", { class: "line", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img",
		"aria-label": label }, drawn("path", { class: "ground", d: `M0 ${height}H${width}` }), drawn("path", { d: path }));
}
