/* links: lib/token/auth.c lib/token/keys.c lib/token/token.c lib/token/signature.c */
/* links: lib/token/cache.c */
/* links: lib/base/clock.c lib/message/msg.c lib/json/json_plain.c lib/json/json.c lib/base/buf.c lib/base/err.c */
/* links: lib/base/paths.c lib/base/utf8.c */
/* libs: libjwt jansson libcrypto */
/* Tokens that were made to deceive: unsigned, signed with what is public, pointing elsewhere, misshapen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/auth.h"
#include "token_kit.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define PAYLOAD "{\"sub\":\"root\",\"exp\":1800000001}"

enum { NOW = 1800000000 };

/* `several`: main.hs256, other.hs256, rsa.rs256.pem, ec.es256.pem. `one`: main.hs256. `public`: rsa.rs256.pem. */
static int
open_folder(void **state)
{
	if (kit_open(state) != 0)
		return -1;
	kit_run("umask 077; mkdir several one public forged; printf %s >one/main.hs256", SECRET);
	kit_run("umask 077; cp one/main.hs256 several; printf another-%s >several/other.hs256", SECRET);
	kit_run("umask 077; openssl genrsa -out rsa.rs256.pem 2048; openssl pkey -in rsa.rs256.pem -pubout -out "
			"public/rsa.rs256.pem; cp public/* several");
	kit_run("umask 077; openssl ecparam -genkey -noout -name prime256v1 -out ec.es256.pem; "
			"openssl pkey -in ec.es256.pem -pubout -out several/ec.es256.pem");
	return 0;
}

/* message NULL: it must be accepted; "": in whatever words. */
static void
assert_verdict(struct dw_auth *auth, const char *token, size_t n, const char *message)
{
	struct dw_claims claims = { 0 };
	struct dw_fault fault = { 0 };
	int err;

	err = dw_auth_check(auth, (struct dw_str) { token, n }, NOW, &claims, &fault);
	if (err != (message == NULL ? DW_OK : DW_E_TOKEN) ||
		(message != NULL && message[0] != '\0' && strcmp(message, fault.message) != 0))
		fail_msg("%.60s: want '%s', got %d '%s'", token, message != NULL ? message : "ok", err, fault.message);
	dw_claims_clear(&claims);
}

static void
assert_header(struct dw_auth *auth, const char *header, const char *secret, const char *message)
{
	struct dw_buf token = { 0 };

	kit_token(&token, header, PAYLOAD, strlen(PAYLOAD), secret);
	assert_verdict(auth, token.data, token.len, message);
	dw_buf_clear(&token);
}

static void
test_headers(void **state)
{
	static const char none[] = "alg is none: the token is not signed",
					  no_algorithm[] = "the header's alg is missing or unknown";
	static const char unsigned_text[] = "the token is not signed", no_kid[] = "the header's kid is not a key id";
	static const struct {
		const char *header, *secret, *message;
	} cases[] = {
		{ "{\"alg\":\"HS256\",\"kid\":\"main\"}", SECRET, NULL },
		{ "{\"alg\":\"HS256\",\"kid\":\"main\",\"typ\":\"jwt\",\"x\":[1]}", SECRET, NULL },
		{ "{\"alg\":\"none\"}", NULL, none },
		{ "{\"alg\":\"None\",\"kid\":\"main\"}", NULL, none },
		{ "{\"alg\":\"NONE\",\"kid\":\"main\"}", SECRET, none },
		{ "{\"alg\":\"HS256\",\"kid\":\"main\"}", NULL, unsigned_text },
		{ "{\"kid\":\"main\"}", SECRET, no_algorithm },
		{ "{\"alg\":null,\"kid\":\"main\"}", SECRET, no_algorithm },
		{ "{\"alg\":\"\",\"kid\":\"main\"}", SECRET, "alg is '', want 'HS256' for key 'main'" },
		{ "{\"alg\":\"hs256\",\"kid\":\"main\"}", SECRET, "alg is 'hs256', want 'HS256' for key 'main'" },
		{ "{\"alg\":\"HS512\",\"kid\":\"main\"}", SECRET, "alg is 'HS512', want 'HS256' for key 'main'" },
		{ "{\"alg\":\"RS256\",\"kid\":\"main\"}", SECRET, "alg is 'RS256', want 'HS256' for key 'main'" },
		{ "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", SECRET, "alg is 'PS256', want 'RS256' for key 'rsa'" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ec\"}", SECRET, "alg is 'EdDSA', want 'ES256' for key 'ec'" },
		{ "{\"alg\":\"HS256\",\"kid\":\"other\"}", SECRET, "the signature is not one of key 'other'" },
		{ "{\"alg\":\"HS256\"}", SECRET, "the header's kid is missing" },
		{ "{\"alg\":\"HS256\",\"kid\":\"gone\"}", SECRET, "no key is named 'gone'" },
		{ "{\"alg\":\"HS256\",\"kid\":\"Main\"}", SECRET, "no key is named 'Main'" },
		{ "{\"alg\":\"HS256\",\"kid\":\"main.hs256\"}", SECRET, "no key is named 'main.hs256'" },
		{ "{\"alg\":\"HS256\",\"kid\":\"\"}", SECRET, no_kid },
		{ "{\"alg\":\"HS256\",\"kid\":null}", SECRET, no_kid },
		{ "{\"alg\":\"HS256\",\"kid\":1}", SECRET, no_kid },
		{ "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", SECRET, no_kid },
		{ "{\"alg\":\"HS256\",\"kid\":\"main\\nx\"}", SECRET, no_kid },
		{ "{\"alg\":\"HS256\",\"kid\":\"12345678901234567890123456789012345678901234567890123456789012345\"}", SECRET,
			no_kid },
		{ "{\"alg\":\"HS256\",\"kid\":\"main\",\"crit\":[\"exp\"]}", SECRET, "the header's crit is not supported" },
		{ "{\"alg\":\"HS256\",\"kid\":\"main\",\"typ\":\"at+jwt\"}", SECRET, "the header's typ is not JWT" },
		{ "{\"alg\":\"HS256\",\"kid\":\"main\",\"typ\":1}", SECRET, "the header's typ is not JWT" },
		{ "{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"main\"}", SECRET,
			"the header: line 1, column 19: duplicate key" },
		{ "[\"alg\"]", SECRET, "the header is not a JSON object" },
		{ "{\"alg\":\"HS256\",\"kid\":\"main\"", SECRET, "" },
		{ "", SECRET, "" },
	};
	struct dw_auth *auth = kit_auth("several", NULL, NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_header(auth, cases[i].header, cases[i].secret, cases[i].message);
	dw_auth_destroy(&auth);
}

static void
test_only_key(void **state)
{
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);

	(void)state;
	assert_header(auth, "{\"alg\":\"HS256\"}", SECRET, NULL);
	assert_header(auth, "{\"alg\":\"HS256\"}", "another-" SECRET, "the signature is not one of key 'main'");
	assert_header(auth, "{\"alg\":\"HS256\"}", "", "the signature is not one of key 'main'");
	assert_header(auth, "{\"alg\":\"none\"}", NULL, "alg is none: the token is not signed");
	assert_header(auth, "{\"alg\":\"HS256\",\"kid\":\"gone\"}", SECRET, "no key is named 'gone'");
	dw_auth_destroy(&auth);
}

/* The classic: the public key's text, which everybody may know, taken as the secret of an HMAC. */
static void
test_public_key_as_secret(void **state)
{
	static const char *const directories[] = { "public", "several" };
	char pem[2000];
	FILE *file = fopen(kit_path("public/rsa.rs256.pem"), "r");

	(void)state;
	assert_non_null(file);
	pem[fread(pem, 1, sizeof(pem) - 1, file)] = '\0';
	(void)fclose(file);
	for (size_t i = 0; i < 2; i++) {
		struct dw_auth *auth = kit_auth(directories[i], NULL, NULL, 0);

		assert_header(auth, "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", pem, "alg is 'HS256', want 'RS256' for key 'rsa'");
		assert_header(auth, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", pem, "the signature is not one of key 'rsa'");
		assert_header(auth, "{\"alg\":\"HS256\"}", pem, "");
		dw_auth_destroy(&auth);
	}
}

/* One good token of each family, changed by hand in every way that leaves it nearly the same. */
static void
test_changed_tokens(void **state)
{
	static const char *const files[] = { "several/main.hs256", "rsa.rs256.pem", "ec.es256.pem" };
	struct dw_auth *auth = kit_auth("several", NULL, NULL, 0);
	struct dw_buf token = { 0 }, changed = { 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct dw_mint mint = { .key_file = kit_path(files[i]), .user = "55", .expires_s = NOW + 9 };

		dw_buf_reset(&token);
		assert_int_equal(DW_OK, dw_auth_mint(&mint, &token, NULL));
		for (size_t at = 0; at < token.len; at++) {
			char was = token.data[at];

			token.data[at] = was == 'A' ? 'B' : 'A';
			assert_verdict(auth, token.data, token.len, "");
			token.data[at] = was;
		}
		for (size_t n = 1; n < token.len; n++)
			assert_verdict(auth, token.data, n, "");
		for (int c = 0; c < 256; c++) {
			dw_buf_reset(&changed);
			dw_buf_add(&changed, token.data, token.len);
			dw_buf_addc(&changed, (char)c);
			assert_verdict(auth, changed.data, changed.len, "");
		}
		assert_verdict(auth, token.data, token.len, NULL);
	}
	dw_buf_clear(&token);
	dw_buf_clear(&changed);
	dw_auth_destroy(&auth);
}

/* A signature of one token under another's payload. */
static void
test_swapped_signature(void **state)
{
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);
	struct dw_buf a = { 0 }, b = { 0 };
	const char *header = "{\"alg\":\"HS256\"}";

	(void)state;
	kit_token(&a, header, PAYLOAD, strlen(PAYLOAD), SECRET);
	kit_token(&b, header, "{\"sub\":\"55\",\"exp\":1800000001}", 29, SECRET);
	assert_verdict(auth, a.data, a.len, NULL);
	assert_verdict(auth, b.data, b.len, NULL);
	memcpy(a.data + a.len - 43, b.data + b.len - 43, 43);
	assert_verdict(auth, a.data, a.len, "the signature is not one of key 'main'");
	dw_buf_clear(&a);
	dw_buf_clear(&b);
	dw_auth_destroy(&auth);
}

static void
test_shapes(void **state)
{
	static const char three[] = "the token has not three parts",
					  digits[] = "the token's header or payload is not base64url";
	static const struct {
		const char *token, *message;
	} bad[] = {
		{ "x", three },
		{ ".", three },
		{ "a.b", three },
		{ "..", digits },
		{ "...", three },
		{ "e30.e30.e30.e30", three },
		{ "e30.e30.e30.e30.e30", three },
		{ ".e30.e30", digits },
		{ "e30..e30", digits },
		{ "e.e30.e30", digits },
		{ "e30=.e30.e30", digits },
		{ "e31.e30.e30", digits }, /* bits after the last byte */
		{ "e30.e3.e30", digits },
		{ "e30 .e30.e30", digits },
		{ "e30.e+/0.e30", digits },
		{ "e30.e30.e30", "the header's alg is missing or unknown" },
		{ "Bearer e30.e30.e30", digits },
		{ "e30.e30.e30\n", "the header's alg is missing or unknown" },
		{ "eyJhbGciOiJIUzI1NiJ9.e30.e30\n", "the token's signature is not base64url" },
		{ "eyJhbGciOiJIUzI1NiJ9.e30.e", "the token's signature is not base64url" },
		{ "eyJhbGciOiJIUzI1NiJ9.e30.", "the token is not signed" },
		{ "eyJhbGciOiJIUzI1NiJ9.e30.e30", "the signature is not one of key 'main'" },
	};
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_verdict(auth, bad[i].token, strlen(bad[i].token), bad[i].message);
	assert_verdict(auth, "e30.e30\0.e30", 12, digits);
	dw_auth_destroy(&auth);
}

/* A NUL ends the payload for whoever reads it as text: what comes after it must not be ignored. */
static void
test_hidden_bytes(void **state)
{
	static const char payload[] = PAYLOAD "\0,\"sub\":\"other\"}";
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);
	struct dw_buf token = { 0 };

	(void)state;
	kit_token(&token, "{\"alg\":\"HS256\"}", payload, sizeof(payload) - 1, SECRET);
	assert_verdict(auth, token.data, token.len, "");
	kit_token(&token, "{\"alg\":\"HS256\"}", PAYLOAD "{}", sizeof(PAYLOAD) + 1, SECRET);
	assert_verdict(auth, token.data, token.len, "");
	dw_buf_clear(&token);
	dw_auth_destroy(&auth);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_only_key),
		cmocka_unit_test(test_public_key_as_secret),
		cmocka_unit_test(test_changed_tokens),
		cmocka_unit_test(test_swapped_signature),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_hidden_bytes),
	};

	return cmocka_run_group_tests(tests, open_folder, kit_close);
}
