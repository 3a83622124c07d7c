/* The form of a token: three parts of base64url, and a header that names a key.
 *
 * Its own file because this is what a stranger's bytes meet first. It is stricter than libjwt, which
 * skips what is no base64, stops at a NUL, and takes the last of two members of one name: a token has
 * exactly one spelling here, and what is read is what was signed.
 *
 * Every failure is DW_E_TOKEN (or memory).
 */
#include "token/token.h"

#include <string.h>
#include <strings.h>

#include "json/json.h"

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

static bool
is_base64url(struct dw_str s)
{
	if (s.n == 0 || s.n % 4 == 1)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (digit(s.p[i]) < 0)
			return false;
	}
	/* The bits after the last whole byte: four with two digits left over, two with three. */
	return s.n % 4 == 0 || ((unsigned)digit(s.p[s.n - 1]) & (s.n % 4 == 2 ? 15U : 3U)) == 0;
}

/* What is_base64url has passed becomes shorter, so it may be decoded into itself. */
static struct dw_str
decode(struct dw_str s, char *out)
{
	unsigned bits = 0, have = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		bits = (bits << 6 | (unsigned)digit(s.p[i])) & 0x3FFFU;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(bits >> have & 0xFFU);
		}
	}
	return (struct dw_str) { out, n };
}

/* Cuts text at its two dots; false when there are not two. */
static bool
split(struct dw_str text, struct dw_str part[3])
{
	size_t parts = 0, from = 0;

	for (size_t i = 0; i <= text.n; i++) {
		if (i < text.n && text.p[i] != '.')
			continue;
		if (parts == 3)
			return false;
		part[parts++] = (struct dw_str) { text.p + from, i - from };
		from = i + 1;
	}
	return parts == 3;
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
	if (kid != NULL && (kid->type != DW_JSON_STRING || !dw_kid_ok(kid->text) ||
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
	if (!is_base64url(part[0]) || !is_base64url(part[1]))
		return refuse(fault, form, "the token's header or payload is not base64url");
	decoded = decode(part[0], header);
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
	if (!is_base64url(part[2]))
		return refuse(fault, form, "the token's signature is not base64url");
	token->signature = decode(part[2], text + (part[2].p - text));
	token->payload = part[1];
	token->signed_part = (struct dw_str) { text, part[0].n + 1 + part[1].n };
	return DW_OK;
}

struct dw_str
dw_token_payload(const struct dw_token *token, char *text)
{
	return decode(token->payload, text);
}
