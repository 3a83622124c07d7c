/* The form of a token: three parts of base64url, and a header that names a key.
 *
 * Its own file because this is what a stranger's bytes meet first. It is stricter than libjwt, which
 * skips what is no base64, stops at a NUL, and takes the last of two members of one name: a token has
 * exactly one spelling here, and what is read is what was signed.
 *
 * Nothing is allocated for a part before its alphabet is known to be right; the whole is at most
 * DW_TOKEN_MAX bytes. Every failure is DW_E_TOKEN (or memory).
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

static void
decode(struct dw_str s, struct dw_buf *out)
{
	unsigned bits = 0, have = 0;
	size_t n = 0;
	char *room = dw_buf_room(out, s.n);

	for (size_t i = 0; room != NULL && i < s.n; i++) {
		bits = (bits << 6 | (unsigned)digit(s.p[i])) & 0x3FFFU;
		have += 6;
		if (have >= 8) {
			have -= 8;
			room[n++] = (char)(bits >> have & 0xFFU);
		}
	}
	dw_buf_grow(out, n);
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
dw_token_read(struct dw_token *token, struct dw_str text, struct dw_fault *fault)
{
	static const char form[] = "header.payload.signature, each in base64url without padding";
	struct dw_token new = { 0 };
	struct dw_buf header = { 0 };
	struct dw_json *json = NULL;
	struct dw_fault json_fault = { 0 };
	struct dw_str part[3];
	int err;

	if (!split(text, part))
		return refuse(fault, form, "the token has not three parts");
	if (!is_base64url(part[0]) || !is_base64url(part[1]))
		return refuse(fault, form, "the token's header or payload is not base64url");
	decode(part[0], &header);
	decode(part[1], &new.payload);
	err = dw_buf_ok(&header) && dw_buf_ok(&new.payload) ? dw_json_parse(&json, header.data, header.len, &json_fault)
														: DW_E_NOMEM;
	if (err != DW_OK && err != DW_E_NOMEM)
		err = dw_fault_set(fault, DW_E_TOKEN, NULL, "a JSON object", "the header: %s", json_fault.message);
	if (err == DW_OK)
		err = read_header(&new, json, fault);
	if (err == DW_OK && part[2].n == 0)
		err = refuse(fault, form, "the token is not signed");
	if (err == DW_OK && !is_base64url(part[2]))
		err = refuse(fault, form, "the token's signature is not base64url");
	dw_json_destroy(&json);
	dw_buf_clear(&header);
	if (err == DW_OK) {
		decode(part[2], &new.signature);
		new.signed_size = part[0].n + 1 + part[1].n;
		if (!dw_buf_ok(&new.signature))
			err = DW_E_NOMEM;
	}
	if (err == DW_OK)
		*token = new;
	else
		dw_token_clear(&new);
	return err;
}

void
dw_token_clear(struct dw_token *token)
{
	dw_buf_clear(&token->payload);
	dw_buf_clear(&token->signature);
	*token = (struct dw_token) { 0 };
}
