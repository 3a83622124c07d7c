/* words.js: every text of the page in English and Persian, with the digits and dates of each. A text is a string, or a
 * function of what it is about. `data-t` of an element names the text in it, `data-t-label` that of its aria-label.
 */
import { store, stored } from "./session.js";

const english = {
	title: "Clinic dashboard", diagnosis: (id) => `Diagnosis ${id}`, language: "فارسی",
	noscript: "This page needs JavaScript.",
	skip: "Skip to the recommendations",
	connect: "Connect", sign_in: "Which diagnosis?", sign_in_renew: "A new token",
	diagnosis_id: "Diagnosis", token: "Token", sign_out: "Sign out", token_hint: "It stays in this tab alone.",
	state: "Connection",
	states: {
		idle: "Not connected", connecting: "Connecting", replaying: "Catching up",
		live: "Live: caught up", offline: "Offline", refused: "Refused", waiting: "Connection lost: trying again",
	},
	replaying: (n) => `Catching up: ${n} to come`,
	reasons: {
		"token required": "a token is needed", "token invalid": "this token is not valid",
		"token expired": "the token has expired", "access denied": "this token does not allow this diagnosis",
		"replaced": "the same device has connected elsewhere", token_invalid: "this token is not valid; the old one goes on",
		token_expired: "this token has expired; the old one goes on",
		access_denied: "this token is another user's; the old one goes on",
	},
	ends_soon: (time) => `The token ends at ${time}. A new one goes on without a break.`,
	renewed: (time) => `The new token is good until ${time}.`,
	gap: (n, reason) => `${n} ${n === "1" ? "message is" : "messages are"} missing here (${reason}).`,
	gap_reasons: { limit: "too many to keep", expired: "too old to keep", slow: "this connection was too slow" },
	reset: "The server began anew: older messages may be missing.",
	no_gap_loaded: "What they said is not shown here.", gap_loaded: "The scores are loaded again.",
	dismiss: "Dismiss",
	away: "The clinic does not answer. What is shown comes from messages alone.",
	failed: (message) => `The clinic refused: ${message}`,
	overall: "Overall effectiveness", overall_effectiveness: "mean of what was measured",
	overall_predicted: "mean of the predictions: nothing was measured yet", overall_none: "nothing is known yet",
	last_days: "Last 30 days",
	counts: "Since this tab was opened", updates: "Updates", changes: "Changes of the ranking",
	improvements: "Improvements",
	recommendations: "Recommendations", active: (n) => `${n} active`,
	none_yet: "None is known yet. They appear with the first message.",
	optimization: "Optimisation", conservative: "Conservative", balanced: "Balanced", aggressive: "Aggressive",
	refresh: "Refresh", refreshed: "Loaded again.",
	levels: ["Poor", "Weak", "Fair", "Strong"],
	predicted: "Predicted effect", no_prediction: "No prediction yet",
	confidence: "Confidence", similar: "Similar patients", evidence: "Rests most on",
	evidences: { historical: "earlier feedback", cohort: "similar patients", symptoms: "the symptoms" },
	dosage: "Dosage",
	effectiveness: "Measured effect", not_measured: "Not measured yet",
	samples: (n) => `${n} ${n === "1" ? "record" : "records"}`, rating: "Mean rating",
	trend: "Trend",
	trends: { improving: "Improving", declining: "Declining", stable: "Stable", "new": "New" },
	marks: { added: "New in the list", removed: "No longer recommended" },
	line: (herb) => `Measured effect of ${herb}`, line_text: (from, to) => `from ${from} to ${to}`,
	reasoning: "Why",
	feedback: "Give feedback", which: "Recommendation", rate: "Rating", improvement: "Improvement of the symptoms",
	compliance: "How well it was followed", no_word: "no answer", side_effects: "Side effects, separated by commas",
	comment: "Comment", optional: "optional", send: "Send", of_five: "1 is the worst, 5 the best",
	letters: (n, most) => `${n} of ${most} characters`,
	too_long: (most) => `At most ${most} characters, please.`,
	thanks: "Thank you. It was stored.", thanks_again: "Your earlier feedback was changed.",
	unsure: "No answer came: it may be stored or not. Send it again; a second one only changes the first.",
	events: "Latest events", clear: "Clear", no_events: "Nothing yet.", cleared: "The events were cleared.",
	fresh: (n) => `${n} new ${n === "1" ? "event" : "events"}`,
	event_effectiveness: (herb, before, after) => before === null ? `${herb}: the effect is ${after}`
		: `${herb}: the effect went from ${before} to ${after}`,
	event_ranking: (herb) => herb === null ? "The recommendations changed" : `The ranking changed: ${herb} leads`,
	event_added: (n) => `${n} added`, event_removed: (n) => `${n} removed`,
	event_feedback: (rating, herb) => herb === null ? `Feedback: ${rating} of 5` : `Feedback on ${herb}: ${rating} of 5`,
	event_other: (type) => `Message: ${type}`, event_retracted: "A message was taken back", taken_back: "taken back",
	number: (id) => `number ${id}`, list: ", ",
	thumb: "A rule of thumb, not medicine.",
	model: (version, n) => `Model ${version}, from ${n} ${n === "1" ? "record" : "records"} of feedback.`,
};

const persian = {
	title: "داشبورد کلینیک", diagnosis: (id) => `تشخیص ${id}`, language: "English",
	noscript: "این صفحه به جاوااسکریپت نیاز دارد.",
	skip: "رفتن به توصیه‌ها",
	connect: "اتصال", sign_in: "کدام تشخیص؟", sign_in_renew: "توکن تازه",
	diagnosis_id: "تشخیص", token: "توکن", sign_out: "خروج", token_hint: "فقط در همین برگه می‌ماند.",
	state: "اتصال",
	states: {
		idle: "متصل نیست", connecting: "در حال اتصال", replaying: "در حال دریافت پیام‌های گذشته",
		live: "زنده: به‌روز", offline: "آفلاین", refused: "پذیرفته نشد", waiting: "اتصال قطع شد: تلاش دوباره",
	},
	replaying: (n) => `در حال دریافت پیام‌های گذشته: ${n} پیام مانده`,
	reasons: {
		"token required": "توکن لازم است", "token invalid": "این توکن معتبر نیست",
		"token expired": "مهلت توکن تمام شده است", "access denied": "این توکن اجازهٔ دیدن این تشخیص را ندارد",
		"replaced": "همین دستگاه از جای دیگری وصل شده است", token_invalid: "این توکن معتبر نیست؛ توکن پیشین برقرار است",
		token_expired: "مهلت این توکن تمام شده است؛ توکن پیشین برقرار است",
		access_denied: "این توکن از آنِ کاربر دیگری است؛ توکن پیشین برقرار است",
	},
	ends_soon: (time) => `مهلت توکن ساعت ${time} تمام می‌شود. با توکن تازه، اتصال قطع نمی‌شود.`,
	renewed: (time) => `توکن تازه تا ساعت ${time} معتبر است.`,
	gap: (n, reason) => `${n} پیام در اینجا از دست رفته است (${reason}).`,
	gap_reasons: { limit: "بیش از گنجایش نگهداری", expired: "قدیمی‌تر از مهلت نگهداری", slow: "این اتصال بسیار کند بود" },
	reset: "سرور از نو آغاز کرد: شاید پیام‌های پیشین از دست رفته باشند.",
	no_gap_loaded: "آنچه گفته بودند اینجا نشان داده نمی‌شود.", gap_loaded: "امتیازها دوباره بارگیری می‌شوند.",
	dismiss: "بستن",
	away: "کلینیک پاسخ نمی‌دهد. آنچه می‌بینید فقط از پیام‌هاست.",
	failed: (message) => `کلینیک نپذیرفت: ${message}`,
	overall: "اثربخشی کلی", overall_effectiveness: "میانگین آنچه اندازه‌گیری شده",
	overall_predicted: "میانگین پیش‌بینی‌ها: هنوز چیزی اندازه‌گیری نشده", overall_none: "هنوز چیزی دانسته نیست",
	last_days: "۳۰ روز گذشته",
	counts: "از هنگام باز شدن این برگه", updates: "به‌روزرسانی‌ها", changes: "تغییرهای رتبه‌بندی",
	improvements: "بهبودها",
	recommendations: "توصیه‌ها", active: (n) => `${n} فعال`,
	none_yet: "هنوز توصیه‌ای دانسته نیست. با نخستین پیام نمایان می‌شود.",
	optimization: "بهینه‌سازی", conservative: "محتاطانه", balanced: "متعادل", aggressive: "جسورانه",
	refresh: "تازه‌سازی", refreshed: "دوباره بارگیری شد.",
	levels: ["بسیار ضعیف", "ضعیف", "متوسط", "قوی"],
	predicted: "اثر پیش‌بینی‌شده", no_prediction: "هنوز پیش‌بینی نشده",
	confidence: "اطمینان", similar: "بیماران مشابه", evidence: "بیش از همه بر پایهٔ",
	evidences: { historical: "بازخوردهای پیشین", cohort: "بیماران مشابه", symptoms: "علائم" },
	dosage: "مقدار مصرف",
	effectiveness: "اثر اندازه‌گیری‌شده", not_measured: "هنوز اندازه‌گیری نشده",
	samples: (n) => `${n} بازخورد`, rating: "میانگین امتیاز",
	trend: "روند",
	trends: { improving: "رو به بهبود", declining: "رو به افت", stable: "پایدار", "new": "تازه" },
	marks: { added: "تازه در فهرست", removed: "دیگر توصیه نمی‌شود" },
	line: (herb) => `اثر اندازه‌گیری‌شدهٔ ${herb}`, line_text: (from, to) => `از ${from} تا ${to}`,
	reasoning: "چرا",
	feedback: "ثبت بازخورد", which: "توصیه", rate: "امتیاز", improvement: "بهبود علائم",
	compliance: "میزان پایبندی به درمان", no_word: "بدون پاسخ", side_effects: "عوارض جانبی، جداشده با ویرگول",
	comment: "توضیح", optional: "اختیاری", send: "ارسال", of_five: "۱ بدترین و ۵ بهترین است",
	letters: (n, most) => `${n} از ${most} نویسه`,
	too_long: (most) => `لطفاً حداکثر ${most} نویسه.`,
	thanks: "سپاس. بازخورد شما ثبت شد.", thanks_again: "بازخورد پیشین شما تغییر کرد.",
	unsure: "پاسخی نرسید: شاید ثبت شده باشد و شاید نه. دوباره بفرستید؛ بازخورد دوم فقط اولی را تغییر می‌دهد.",
	events: "آخرین رویدادها", clear: "پاک کردن", no_events: "هنوز چیزی نیست.", cleared: "رویدادها پاک شدند.",
	fresh: (n) => `${n} رویداد تازه`,
	event_effectiveness: (herb, before, after) => before === null ? `${herb}: اثر ${after} است`
		: `${herb}: اثر از ${before} به ${after} رسید`,
	event_ranking: (herb) => herb === null ? "توصیه‌ها تغییر کردند" : `رتبه‌بندی تغییر کرد: ${herb} در صدر است`,
	event_added: (n) => `${n} افزوده شد`, event_removed: (n) => `${n} حذف شد`,
	event_feedback: (rating, herb) => herb === null ? `بازخورد: ${rating} از ۵` : `بازخورد دربارهٔ ${herb}: ${rating} از ۵`,
	event_other: (type) => `پیام: ${type}`, event_retracted: "پیامی پس گرفته شد", taken_back: "پس گرفته شد",
	number: (id) => `شمارهٔ ${id}`, list: "، ",
	thumb: "یک قاعدهٔ سرانگشتی است، نه توصیهٔ پزشکی.",
	model: (version, n) => `مدل ${version}، از ${n} بازخورد.`,
};

const LANGUAGES = {
	en: { words: english, locale: "en-GB", direction: "ltr" },
	fa: { words: persian, locale: "fa-IR", direction: "rtl" },
};
const KEPT = "diagws.language";

export let language = "en";
export let t = english;
let numbers, decimals, percents, times;

/* Takes a language for the whole page. */
export function speak(name) {
	const { words, locale, direction } = LANGUAGES[name];

	language = name;
	t = words;
	numbers = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
	decimals = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 2 });
	percents = new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
	times = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
		second: "2-digit" });
	document.documentElement.lang = name;
	document.documentElement.dir = direction;
	document.title = words.title;
	for (const element of document.querySelectorAll("[data-t]"))
		element.textContent = words[element.dataset.t];
	for (const element of document.querySelectorAll("[data-t-label]"))
		element.setAttribute("aria-label", words[element.dataset.tLabel]);
}

/* The one that was chosen here before, else the browser's. */
export function firstLanguage() {
	const kept = stored(KEPT, "localStorage");

	return Object.hasOwn(LANGUAGES, kept) ? kept : navigator.language.startsWith("fa") ? "fa" : "en";
}

export function speakOther() {
	speak(language === "en" ? "fa" : "en");
	store(KEPT, language, "localStorage");
}

export function formatNumber(value) {
	return numbers.format(value);
}

export function formatRating(value) {
	return decimals.format(value);
}

/* A share of 1, in percent with one decimal. */
export function formatShare(value) {
	return percents.format(value);
}

/* A time as the server writes it, or in ms since 1970. */
export function formatTime(time) {
	const date = new Date(time);

	return Number.isNaN(date.getTime()) ? "" : times.format(date);
}
