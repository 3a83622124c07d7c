/* feedback.js: the form in which feedback is given. It looks at lengths in code points, as the clinic does, before it
 * sends; what the clinic refuses is said beside the field that it names.
 */
import { call, idToJson, Refused } from "./api.js";
import { element } from "./draw.js";
import { find } from "./view.js";
import { formatNumber, t } from "./words.js";

const TEXT_MAX = 500;
const SCALES = [["rating", "rate", true], ["symptom_improvement", "improvement", true], ["compliance", "compliance", false]];
const TEXTS = ["side_effects", "comment"];

function choice(name, value, text) {
	const input = element("input", "");

	Object.assign(input, { type: "radio", name, value });
	return element("label", "", input, element("span", "", text));
}

/* The three scales, in the language of now; what was chosen stays. */
export function showScales() {
	const form = find("feedback-form"), chosen = new FormData(form);

	find("ratings").replaceChildren(...SCALES.map(([name, word, required]) => {
		const said = element("p", "trouble");
		const set = element("fieldset", "", element("legend", "", t[word], required ? "" : ` (${t.optional})`),
			element("div", "choices", ...[1, 2, 3, 4, 5].map((n) => choice(name, n, formatNumber(n))),
				...required ? [] : [choice(name, "", t.no_word)]), said);

		Object.assign(said, { id: `${name}-said`, hidden: true });
		set.setAttribute("aria-describedby", said.id);
		for (const input of set.querySelectorAll("input"))
			input.checked = chosen.has(name) ? input.value === chosen.get(name) : !required && input.value === "";
		return set;
	}));
	countLetters();
}

function countLetters() {
	const letters = [...find("feedback-form").elements.comment.value].length;

	find("comment-letters").textContent = t.letters(formatNumber(letters), formatNumber(TEXT_MAX));
}

/* Beside the field, or, of a field that has no place here, at the end. */
function complain(field, text) {
	const said = find(`${field}-said`) ?? find("feedback-said");
	const inputs = find("feedback-form").elements[field];

	said.textContent = text;
	said.hidden = false;
	said.classList.add("trouble");
	if (inputs !== undefined) {
		const first = inputs instanceof RadioNodeList ? inputs[0] : inputs;
		first.setAttribute("aria-invalid", "true");
		first.focus();
	}
}

function clearComplaints(form) {
	for (const said of form.querySelectorAll("[id$=-said]")) {
		said.textContent = "";
		said.hidden = said.id !== "feedback-said";
		said.classList.toggle("trouble", said.hidden);
	}
	for (const input of form.querySelectorAll("[aria-invalid]"))
		input.removeAttribute("aria-invalid");
}

/* The form as it was at first. */
export function clearFeedback() {
	const form = find("feedback-form");

	form.reset();
	showScales();
	clearComplaints(form);
}

/* What the form says, as the API takes it; null when it complained. */
function read(form, diagnosis) {
	const given = new FormData(form);
	const body = { diagnosis_id: idToJson(diagnosis), recommendation_id: Number(given.get("recommendation_id")) };

	for (const [name, , required] of SCALES)
		if (given.get(name))
			body[name] = Number(given.get(name));
		else if (required)
			return complain(name, t.of_five) ?? null;
	for (const name of TEXTS) {
		const text = given.get(name).trim();
		if ([...text].length > TEXT_MAX)
			return complain(name, t.too_long(formatNumber(TEXT_MAX))) ?? null;
		if (text !== "")
			body[name] = text;
	}
	return body;
}

async function send(form, { diagnosis, token, refused }) {
	const button = form.querySelector("[type=submit]");

	clearComplaints(form);
	const body = read(form, diagnosis);
	if (body === null)
		return;
	button.disabled = true;
	try {
		const { updated } = await call(token, "feedback/submit", body);
		form.reset();
		showScales();
		find("feedback-said").textContent = updated ? t.thanks_again : t.thanks;
	} catch (trouble) {
		if (!(trouble instanceof Refused))
			throw trouble;
		complain(trouble.field, trouble.status === 0 ? t.unsure
			: t.failed(trouble.message || formatNumber(trouble.status)));
		refused(trouble);
	} finally {
		button.disabled = false;
	}
}

/* `asked` gives {diagnosis, token, refused} of the moment; refused(trouble) hears what the clinic refused. */
export function startFeedback(asked) {
	const form = find("feedback-form");

	showScales();
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		send(form, asked());
	});
	form.elements.comment.addEventListener("input", countLetters);
}
