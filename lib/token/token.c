/* What a token says: three parts of base64url, a header that names a key, and claims.
 *
 * A stranger's bytes meet this first. It is stricter than libjwt, which skips what is no base64, stops at a NUL, and
 * takes the last of two members of one name: here a token has exactly one spelling, and what is read is what was
 * signed.
 *
 * A claim that is not what it should be makes the token invalid, for half a token might allow what the whole did not
 * mean to; only unknown claims and unknown words of `scope` are passed over. Times are whole seconds from 0 to
 * 2^53 - 1, so that none overflows in milliseconds. Every failure is DW_E_TOKEN, or memory.
 */
#include "token/token.h"

#include <string.h>
#include <strings.h>

#include "json/json.h"
#include "message/msg.h"

static int
refuse(struct dw_fault *fault, const char *expected, const char *what)
{
	return dw_fault_set(fault, DW_E_TOKEN, NULL, expected, "%s", what);
}

/* RFC 4648 section 5: the value of a digit, or -1. */
static int
digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = memchr(digits, c, sizeof(digits) - 1);

	return at != NULL ? (int)(at - digits) : -1;
}

/* Decodes base64url without padding, at least a byte of it. It becomes shorter, so it may be decoded into itself. */
static bool
decode(struct dw_str s, char *out, struct dw_str *decoded)
{
	unsigned bits = 0, have = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		const int value = digit(s.p[i]);

		if (value < 0)
			return false;
		bits = (bits << 6 | (unsigned)value) & 0x3FFFU;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(bits >> have & 0xFFU);
		}
	}
	*decoded = (struct dw_str) { out, n };
	/* Behind the last whole byte are no stray digit and no stray bits. */
	return n > 0 && have < 6 && (bits & ((1U << have) - 1)) == 0;
}

/* Cuts text at its two dots; false when there are not two. */
static bool
split(struct dw_str text, struct dw_str part[3])
{
	for (size_t i = 0; i < 2; i++) {
		const char *dot = memchr(text.p, '.', text.n);

		if (dot == NULL)
			return false;
		part[i] = (struct dw_str) { text.p, (size_t)(dot - text.p) };
		text = (struct dw_str) { dot + 1, text.n - part[i].n - 1 };
	}
	part[2] = text;
	return memchr(text.p, '.', text.n) == NULL;
}

static int
read_header(struct dw_token *token, const struct dw_json *header, struct dw_fault *fault)
{
	const struct dw_json_member *algorithm = dw_json_get(header, "alg");
	const struct dw_json_member *kid = dw_json_get(header, "kid");
	const struct dw_json_member *type = dw_json_get(header, "typ");

	if (dw_json_type(header) != DW_JSON_OBJECT)
		return refuse(fault, NULL, "the header is not a JSON object");
	if (algorithm == NULL || algorithm->type != DW_JSON_STRING ||
		!dw_str_copy(algorithm->text, token->algorithm, sizeof(token->algorithm)))
		return refuse(fault, "an alg that a key has", "the header's alg is missing or unknown");
	if (strcasecmp(token->algorithm, "none") == 0)
		return refuse(fault, "a signed token", "alg is none: the token is not signed");
	if (kid != NULL && (kid->type != DW_JSON_STRING || !dw_device_ok(kid->text) ||
						   !dw_str_copy(kid->text, token->kid, sizeof(token->kid))))
		return refuse(fault, "[A-Za-z0-9_.-]{1,64}", "the header's kid is not a key id");
	/* RFC 7515 section 4.1.11: whoever does not understand what is critical must refuse it. */
	if (dw_json_get(header, "crit") != NULL)
		return refuse(fault, NULL, "the header's crit is not supported");
	if (type != NULL && (type->type != DW_JSON_STRING || strcasecmp(type->text.p, "JWT") != 0))
		return refuse(fault, "typ JWT, or none", "the header's typ is not JWT");
	return DW_OK;
}

int
dw_token_read(struct dw_token *token, char *text, size_t n, struct dw_fault *fault)
{
	static const char form[] = "header.payload.signature, each in base64url without padding";
	char header[DW_TOKEN_MAX];
	struct dw_json *json = NULL;
	struct dw_fault json_fault = { 0 };
	struct dw_str part[3], decoded;
	int err;

	if (!split((struct dw_str) { text, n }, part))
		return refuse(fault, form, "the token has not three parts");
	if (!decode(part[1], header, &decoded) || !decode(part[0], header, &decoded))
		return refuse(fault, form, "the token's header or payload is not base64url");
	err = dw_json_parse(&json, decoded.p, decoded.n, &json_fault);
	if (err == DW_OK)
		err = read_header(token, json, fault);
	else if (err != DW_E_NOMEM)
		err = dw_fault_set(fault, DW_E_TOKEN, NULL, "a JSON object", "the header: %s", json_fault.message);
	dw_json_destroy(&json);
	if (err != DW_OK)
		return err;
	if (part[2].n == 0)
		return refuse(fault, form, "the token is not signed");
	if (!decode(part[2], text + (part[2].p - text), &token->signature))
		return refuse(fault, form, "the token's signature is not base64url");
	token->payload = part[1];
	token->signed_part = (struct dw_str) { text, part[0].n + 1 + part[1].n };
	return DW_OK;
}

static const int64_t TIME_END = INT64_C(1) << 53;

const struct dw_scope_word dw_scope_words[DW_SCOPES] = {
	{ DW_SCOPE_PUBLISH, "publish" },
	{ DW_SCOPE_STAT, "stat" },
	{ DW_SCOPE_ADMIN, "admin" },
};

static int
refuse_claim(struct dw_fault *fault, const char *claim, const char *expected, const char *what)
{
	return dw_fault_set(fault, DW_E_TOKEN, claim, expected, "%s %s", claim, what);
}

void
dw_claims_clear(struct dw_claims *claims)
{
	dw_buf_clear(&claims->diagnoses);
	*claims = (struct dw_claims) { 0 };
}

bool
dw_claims_name(const struct dw_claims *claims, struct dw_str room)
{
	const char *at = claims->diagnoses.data;
	const char *end = at != NULL ? at + claims->diagnoses.len : NULL;

	for (; at < end; at += strlen(at) + 1) {
		if (dw_str_is(room, at))
			return true;
	}
	return false;
}

unsigned
dw_scope_bits(const char *words, struct dw_str *unknown)
{
	unsigned bits = 0;

	*unknown = (struct dw_str) { NULL, 0 };
	for (const char *at = words + strspn(words, " "); *at != '\0'; at += strspn(at, " ")) {
		const struct dw_str word = { at, strcspn(at, " ") };
		size_t i = 0;

		while (i < DW_SCOPES && !dw_str_is(word, dw_scope_words[i].word))
			i++;
		if (i < DW_SCOPES)
			bits |= dw_scope_words[i].bit;
		else
			*unknown = word;
		at += word.n;
	}
	return bits;
}

static int
read_user(struct dw_claims *claims, const struct dw_json *json, struct dw_fault *fault)
{
	static const char expected[] = "a string of 1 to 128 bytes without control characters";
	const struct dw_json_member *sub = dw_json_get(json, "sub");

	if (sub == NULL)
		return refuse_claim(fault, "sub", expected, "is missing");
	if (sub->type != DW_JSON_STRING)
		return refuse_claim(fault, "sub", expected, "is not a string");
	if (!dw_user_ok(sub->text) || !dw_str_copy(sub->text, claims->user, sizeof(claims->user)))
		return refuse_claim(fault, "sub", expected, "is not a user id");
	return DW_OK;
}

static void
read_device(struct dw_claims *claims, const struct dw_json *json)
{
	static const char *const names[] = { "sid", "jti" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct dw_json_member *member = dw_json_get(json, names[i]);

		if (member != NULL && member->type == DW_JSON_STRING && dw_device_ok(member->text) &&
			dw_str_copy(member->text, claims->device, sizeof(claims->device)))
			return;
	}
}

static int
read_time(const struct dw_json *json, const char *claim, bool required, uint64_t *at, struct dw_fault *fault)
{
	static const char expected[] = "seconds since 1970, an integer from 0 to 9007199254740991";
	const struct dw_json_member *member = dw_json_get(json, claim);

	if (member == NULL)
		return required ? refuse_claim(fault, claim, expected, "is missing") : DW_OK;
	if (member->type != DW_JSON_INTEGER)
		return refuse_claim(fault, claim, expected, "is not an integer");
	if (member->integer < 0 || member->integer >= TIME_END)
		return refuse_claim(fault, claim, expected, "is out of range");
	*at = (uint64_t)member->integer;
	return DW_OK;
}

static int
read_scope(struct dw_claims *claims, const struct dw_json *json, struct dw_fault *fault)
{
	const struct dw_json_member *scope = dw_json_get(json, "scope");
	struct dw_str unknown;

	if (scope == NULL)
		return DW_OK;
	if (scope->type != DW_JSON_STRING)
		return refuse_claim(fault, "scope", "words separated by spaces, in one string", "is not a string");
	claims->scope = dw_scope_bits(scope->text.p, &unknown);
	return DW_OK;
}

static int
read_diagnoses(struct dw_claims *claims, const struct dw_json *json, struct dw_fault *fault)
{
	static const char expected[] = "an array of at most 1024 diagnosis ids";
	const struct dw_json_member *member = dw_json_get(json, "diagnoses");
	struct dw_json *list = NULL;
	int err = DW_OK;

	if (member == NULL)
		return DW_OK;
	if (member->type != DW_JSON_ARRAY)
		return refuse_claim(fault, "diagnoses", expected, "is not an array");
	err = dw_json_parse(&list, member->raw.p, member->raw.n, fault);
	if (err != DW_OK)
		return err;
	if (list->count > DW_DIAGNOSES_MAX)
		err = refuse_claim(fault, "diagnoses", expected, "has too many entries");
	for (size_t i = 0; i < list->count && err == DW_OK; i++) {
		char id[DW_ROOM_MAX + 1];

		if (dw_id_from_json(&list->members[i], id, sizeof(id), NULL) != DW_OK || !dw_room_ok(dw_str(id)))
			err = dw_fault_set(fault, DW_E_TOKEN, "diagnoses", "an integer, or a string [A-Za-z0-9_-]{1,64}",
				"entry %zu of diagnoses is not a diagnosis id", i + 1);
		else
			dw_buf_add(&claims->diagnoses, id, strlen(id) + 1);
	}
	if (err == DW_OK && !dw_buf_ok(&claims->diagnoses))
		err = DW_E_NOMEM;
	dw_json_destroy(&list);
	return err;
}

static int
want_text(const char *claim, const struct dw_json_member *member, const char *want, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	if (member->type != DW_JSON_STRING)
		return dw_fault_set(fault, DW_E_TOKEN, claim, NULL, "%s is not a string, want '%s'", claim, want);
	if (dw_str_is(member->text, want))
		return DW_OK;
	return dw_fault_set(
		fault, DW_E_TOKEN, claim, NULL, "%s is '%s', want '%s'", claim, dw_quote(member->text, quoted), want);
}

/* RFC 7519 section 4.1.3: aud is a string, or an array of strings of which one must be ours. */
static int
want_claim(const struct dw_json *json, const char *claim, bool may_be_list, const char *want, struct dw_fault *fault)
{
	const struct dw_json_member *member = dw_json_get(json, claim);
	struct dw_json *list = NULL;
	struct dw_fault last = { 0 };
	int err;

	if (want == NULL)
		return DW_OK;
	if (member == NULL)
		return dw_fault_set(fault, DW_E_TOKEN, claim, NULL, "%s is missing, want '%s'", claim, want);
	if (!may_be_list || member->type != DW_JSON_ARRAY)
		return want_text(claim, member, want, fault);
	err = dw_json_parse(&list, member->raw.p, member->raw.n, fault);
	if (err != DW_OK)
		return err;
	err = dw_fault_set(&last, DW_E_TOKEN, claim, NULL, "%s is an empty list, want '%s'", claim, want);
	for (size_t i = 0; i < list->count && err != DW_OK; i++)
		err = want_text(claim, &list->members[i], want, &last);
	if (err != DW_OK && fault != NULL)
		*fault = last;
	dw_json_destroy(&list);
	return err;
}

int
dw_claims_read(struct dw_claims *claims, uint64_t *not_before, const struct dw_token *token, char *text,
	const char *issuer, const char *audience, struct dw_fault *fault)
{
	struct dw_str payload = { 0 };
	struct dw_json *json = NULL;
	struct dw_fault json_fault = { 0 };
	int err;

	(void)decode(token->payload, text, &payload); /* dw_token_read has seen that it can be */
	err = dw_json_parse(&json, payload.p, payload.n, &json_fault);
	if (err == DW_E_NOMEM)
		return err;
	if (err != DW_OK)
		return dw_fault_set(fault, DW_E_TOKEN, NULL, "a JSON object", "the claims: %s", json_fault.message);
	if (dw_json_type(json) != DW_JSON_OBJECT)
		err = dw_fault_set(fault, DW_E_TOKEN, NULL, "a JSON object", "the claims are not a JSON object");
	if (err == DW_OK)
		err = read_user(claims, json, fault);
	if (err == DW_OK)
		err = read_time(json, "exp", true, &claims->expires, fault);
	if (err == DW_OK)
		err = read_time(json, "nbf", false, not_before, fault);
	if (err == DW_OK)
		err = want_claim(json, "iss", false, issuer, fault);
	if (err == DW_OK)
		err = want_claim(json, "aud", true, audience, fault);
	if (err == DW_OK)
		err = read_scope(claims, json, fault);
	if (err == DW_OK)
		err = read_diagnoses(claims, json, fault);
	read_device(claims, json);
	dw_json_destroy(&json);
	return err;
}

/* "40 s", "4 min", "5 h", "12 d": the largest unit that is not 1. */
static void
span_text(uint64_t seconds, char *out, size_t size)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;

	while (units[i].seconds > 1 && seconds / units[i].seconds < 2)
		i++;
	(void)snprintf(out, size, "%llu %s", (unsigned long long)(seconds / units[i].seconds), units[i].name);
}

int
dw_claims_check_times(
	const struct dw_claims *claims, uint64_t not_before, uint64_t now_s, uint64_t leeway_s, struct dw_fault *fault)
{
	char span[32];

	if (now_s >= claims->expires && now_s - claims->expires >= leeway_s) {
		span_text(now_s - claims->expires, span, sizeof(span));
		return dw_fault_set(fault, DW_E_TOKEN_EXPIRED, "exp", NULL, "expired %s ago", span);
	}
	if (not_before > now_s && not_before - now_s > leeway_s) {
		span_text(not_before - now_s, span, sizeof(span));
		return dw_fault_set(fault, DW_E_TOKEN, "nbf", NULL, "not valid before %s from now", span);
	}
	return DW_OK;
}
