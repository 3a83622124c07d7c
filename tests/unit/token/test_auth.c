/* links: lib/token/auth.c lib/token/keys.c lib/token/token.c lib/token/signature.c */
/* links: lib/token/cache.c */
/* links: lib/base/clock.c lib/message/msg.c lib/json/json_plain.c lib/json/json.c lib/base/buf.c lib/base/err.c */
/* links: lib/base/paths.c lib/base/utf8.c */
/* libs: libjwt jansson libcrypto */
/* Tokens: made with each algorithm and accepted, made by hand and refused, and each refusal in its exact words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/auth.h"
#include "token_kit.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define HEADER "{\"alg\":\"HS256\",\"kid\":\"main\"}"
#define S(literal) (literal), sizeof(literal) - 1

enum { NOW = 1800000000 };

/* Public keys in `keys`, private ones in `private`; `one` holds a single secret, main.hs256. */
static int
open_folder(void **state)
{
	if (kit_open(state) != 0)
		return -1;
	kit_run("mkdir keys private one forged; umask 077; openssl genrsa -out rsa.key 2048");
	kit_run("umask 077; for n in 256 384 512; do printf '%%s\\n' ${n}" SECRET " >private/h$n.hs$n;"
			"cp private/h$n.hs$n keys; cp rsa.key private/r$n.rs$n.pem; done");
	kit_run("umask 077; for n in 256:prime256v1 384:secp384r1 512:secp521r1; do"
			" openssl ecparam -genkey -noout -name ${n##*:} -out private/e${n%%:*}.es${n%%:*}.pem; done");
	kit_run("for f in private/*.pem; do openssl pkey -in $f -pubout -out keys/${f##*/}; done");
	kit_write("one/main.hs256", S(SECRET "\n"), 0600);
	return 0;
}

static void
assert_verdict(struct dw_auth *auth, struct dw_str token, uint64_t now_s, int want, const char *message)
{
	struct dw_claims claims = { 0 };
	struct dw_fault fault = { 0 };
	int err;

	err = dw_auth_check(auth, token, now_s, &claims, &fault);
	if (err != want || (message != NULL && strcmp(message, fault.message) != 0))
		fail_msg("want %d '%s', got %d '%s'", want, message != NULL ? message : "", err, fault.message);
	if (err != DW_OK)
		assert_string_equal("", claims.user);
	dw_claims_clear(&claims);
}

static struct dw_str
str_of(const struct dw_buf *b)
{
	return (struct dw_str) { b->data, b->len };
}

static void
assert_payload(struct dw_auth *auth, const char *payload, int want, const char *message)
{
	struct dw_buf token = { 0 };

	kit_token(&token, HEADER, payload, strlen(payload), SECRET);
	assert_verdict(auth, str_of(&token), NOW, want, message);
	dw_buf_clear(&token);
}

static struct dw_mint
mint_of(const char *key_file)
{
	return (struct dw_mint) { .key_file = kit_path(key_file), .user = "55", .issued_s = NOW, .expires_s = NOW + 60 };
}

static void
mint_token(const char *key_file, const char *kid, struct dw_buf *out)
{
	struct dw_mint mint = mint_of(key_file);
	struct dw_fault fault = { 0 };

	mint.kid = kid;
	dw_buf_reset(out);
	if (dw_auth_mint(&mint, out, &fault) != DW_OK)
		fail_msg("%s", fault.message);
}

static void
test_each_algorithm(void **state)
{
	static const char *const files[] = { "private/h256.hs256", "private/h384.hs384", "private/h512.hs512",
		"private/r256.rs256.pem", "private/r384.rs384.pem", "private/r512.rs512.pem", "private/e256.es256.pem",
		"private/e384.es384.pem", "private/e512.es512.pem" };
	static const char *const diagnoses[] = { "123", "007", "x_Y-z" };
	struct dw_auth *auth = kit_auth("keys", "clinic", "diagws", 0);
	struct dw_buf token = { 0 };
	struct dw_claims claims = { 0 };
	struct dw_fault fault = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct dw_mint mint = mint_of(files[i]);

		mint.user = "مریم";
		mint.scope = "stat publish";
		mint.issuer = "clinic";
		mint.audience = "diagws";
		mint.diagnoses = diagnoses;
		mint.diagnoses_count = 3;
		dw_buf_reset(&token);
		assert_int_equal(DW_OK, dw_auth_mint(&mint, &token, &fault));
		for (int again = 0; again < 2; again++) { /* the second time from the cache */
			if (dw_auth_check(auth, str_of(&token), NOW, &claims, &fault) != DW_OK)
				fail_msg("%s: %s", files[i], fault.message);
			assert_string_equal("مریم", claims.user);
			assert_int_equal(NOW + 60, claims.expires);
			assert_int_equal(DW_SCOPE_STAT | DW_SCOPE_PUBLISH, claims.scope);
			assert_int_equal(32, strlen(claims.device));
			assert_int_equal(14, claims.diagnoses.len);
			assert_memory_equal("123\0"
								"007\0x_Y-z",
				claims.diagnoses.data, 14);
		}
		token.data[token.len - 4] = token.data[token.len - 4] == 'A' ? 'B' : 'A';
		assert_verdict(auth, str_of(&token), NOW, DW_E_TOKEN, NULL);
		assert_verdict(auth, str_of(&token), NOW, DW_E_TOKEN, NULL);
	}
	dw_claims_clear(&claims);
	dw_buf_clear(&token);
	dw_auth_destroy(&auth);
}

static void
test_claims(void **state)
{
	static const struct {
		const char *more, *device; /* NULL: 32 digits of the hash */
		unsigned scope;
	} good[] = {
		{ "", NULL, 0 },
		{ ",\"sid\":\"phone-1.a_b\",\"jti\":\"j\"", "phone-1.a_b", 0 },
		{ ",\"sid\":\"not a device\",\"jti\":\"j\"", "j", 0 },
		{ ",\"sid\":7,\"jti\":\"\"", NULL, 0 },
		{ ",\"scope\":\"admin  read publishing publish \"", NULL, DW_SCOPE_ADMIN | DW_SCOPE_PUBLISH },
		{ ",\"scope\":\"\",\"iat\":1.5,\"aud\":[],\"other\":{\"deep\":[null]}", NULL, 0 },
		{ ",\"nbf\":1800000000,\"scope\":\"STAT stat,admin\"", NULL, 0 },
	};
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);
	struct dw_buf token = { 0 };
	struct dw_claims claims = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char payload[400];

		(void)snprintf(payload, sizeof(payload), "{\"sub\":\"55\",\"exp\":1800000001%s}", good[i].more);
		kit_token(&token, HEADER, payload, strlen(payload), SECRET);
		assert_int_equal(DW_OK, dw_auth_check(auth, str_of(&token), NOW, &claims, NULL));
		assert_string_equal("55", claims.user);
		assert_int_equal(good[i].scope, claims.scope);
		assert_int_equal(0, claims.diagnoses.len);
		if (good[i].device != NULL)
			assert_string_equal(good[i].device, claims.device);
		else
			assert_int_equal(32, strspn(claims.device, "0123456789abcdef"));
	}
	kit_token(&token, HEADER, S("{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":[12,\"12\",\"a\",0]}"), SECRET);
	assert_int_equal(DW_OK, dw_auth_check(auth, str_of(&token), NOW, &claims, NULL));
	assert_true(dw_claims_name(&claims, DW_STR("12")));
	assert_true(dw_claims_name(&claims, DW_STR("0")));
	assert_false(dw_claims_name(&claims, DW_STR("1")));
	assert_false(dw_claims_name(&claims, DW_STR("123")));
	assert_false(dw_claims_name(&claims, DW_STR("")));
	dw_claims_clear(&claims);
	assert_false(dw_claims_name(&claims, DW_STR("12")));
	dw_buf_clear(&token);
	dw_auth_destroy(&auth);
}

static void
test_refused_claims(void **state)
{
	static const char out_of_range[] = "exp is out of range";
	static const struct {
		const char *payload, *message;
	} bad[] = {
		{ "{\"exp\":1800000001}", "sub is missing" },
		{ "{\"sub\":55,\"exp\":1800000001}", "sub is not a string" },
		{ "{\"sub\":null,\"exp\":1800000001}", "sub is not a string" },
		{ "{\"sub\":\"\",\"exp\":1800000001}", "sub is not a user id" },
		{ "{\"sub\":\"a\\nb\",\"exp\":1800000001}", "sub is not a user id" },
		{ "{\"sub\":\"a\x7F\",\"exp\":1800000001}", "sub is not a user id" },
		{ "{\"sub\":\"\\u0000\",\"exp\":1800000001}", NULL },
		{ "{\"sub\":\"\xFF\",\"exp\":1800000001}", NULL },
		{ "{\"sub\":\"u\"}", "exp is missing" },
		{ "{\"sub\":\"u\",\"exp\":null}", "exp is not an integer" },
		{ "{\"sub\":\"u\",\"exp\":\"1800000001\"}", "exp is not an integer" },
		{ "{\"sub\":\"u\",\"exp\":1800000001.0}", "exp is not an integer" },
		{ "{\"sub\":\"u\",\"exp\":18e8}", "exp is not an integer" },
		{ "{\"sub\":\"u\",\"exp\":true}", "exp is not an integer" },
		{ "{\"sub\":\"u\",\"exp\":-1}", out_of_range },
		{ "{\"sub\":\"u\",\"exp\":9007199254740992}", out_of_range },
		{ "{\"sub\":\"u\",\"exp\":9223372036854775807}", out_of_range },
		{ "{\"sub\":\"u\",\"exp\":18446744073709551615}", NULL },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"nbf\":\"0\"}", "nbf is not an integer" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"nbf\":-5}", "nbf is out of range" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"scope\":[\"stat\"]}", "scope is not a string" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":\"123\"}", "diagnoses is not an array" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":null}", "diagnoses is not an array" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":[1,\"a b\"]}",
			"entry 2 of diagnoses is not a diagnosis id" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":[-1]}", "entry 1 of diagnoses is not a diagnosis id" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":[1.0]}", "entry 1 of diagnoses is not a diagnosis id" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":[[1]]}", "entry 1 of diagnoses is not a diagnosis id" },
		{ "{\"sub\":\"u\",\"exp\":1800000001,\"diagnoses\":[\"\"]}", "entry 1 of diagnoses is not a diagnosis id" },
		{ "{\"sub\":\"u\",\"sub\":\"v\",\"exp\":1800000001}", "the claims: line 1, column 16: duplicate key" },
		{ "{\"sub\":\"u\",\"exp\":1,\"exp\":1800000001}", NULL },
		{ "[\"sub\",\"u\",\"exp\",1800000001]", NULL },
		{ "{\"sub\":\"u\",\"exp\":1800000001", NULL },
		{ "", NULL },
	};
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_payload(auth, bad[i].payload, DW_E_TOKEN, bad[i].message);
	dw_auth_destroy(&auth);
}

static void
test_sizes(void **state)
{
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);
	struct dw_buf payload = { 0 };
	char long_token[DW_TOKEN_MAX + 1];

	(void)state;
	for (size_t n = 128; n <= 129; n++) {
		dw_buf_reset(&payload);
		dw_buf_addf(&payload, "{\"exp\":1800000001,\"sub\":\"%0*d\"}", (int)n, 7);
		assert_payload(auth, payload.data, n == 128 ? DW_OK : DW_E_TOKEN, NULL);
	}
	for (size_t n = 1024; n <= 1025; n++) {
		dw_buf_reset(&payload);
		dw_buf_adds(&payload, "{\"exp\":1800000001,\"sub\":\"u\",\"diagnoses\":[7");
		for (size_t i = 1; i < n; i++)
			dw_buf_adds(&payload, ",7");
		dw_buf_adds(&payload, "]}");
		assert_payload(
			auth, payload.data, n == 1024 ? DW_OK : DW_E_TOKEN, n == 1024 ? NULL : "diagnoses has too many entries");
	}
	memset(long_token, 'A', sizeof(long_token));
	assert_verdict(
		auth, (struct dw_str) { long_token, DW_TOKEN_MAX + 1 }, NOW, DW_E_TOKEN, "the token is too long, 4097 bytes");
	assert_verdict(
		auth, (struct dw_str) { long_token, DW_TOKEN_MAX }, NOW, DW_E_TOKEN, "the token has not three parts");
	assert_verdict(auth, (struct dw_str) { NULL, 0 }, NOW, DW_E_TOKEN_MISSING, NULL);
	dw_buf_clear(&payload);
	dw_auth_destroy(&auth);
}

static void
test_issuer_and_audience(void **state)
{
	static const struct {
		const char *more, *message;
	} cases[] = {
		{ "\"iss\":\"me\",\"aud\":\"you\"", "" },
		{ "\"iss\":\"me\",\"aud\":[\"other\",\"you\"]", "" },
		{ "\"aud\":\"you\"", "iss is missing, want 'me'" },
		{ "\"iss\":\"Me\",\"aud\":\"you\"", "iss is 'Me', want 'me'" },
		{ "\"iss\":[\"me\"],\"aud\":\"you\"", "iss is not a string, want 'me'" },
		{ "\"iss\":\"me\"", "aud is missing, want 'you'" },
		{ "\"iss\":\"me\",\"aud\":\"x\"", "aud is 'x', want 'you'" },
		{ "\"iss\":\"me\",\"aud\":[]", "aud is an empty list, want 'you'" },
		{ "\"iss\":\"me\",\"aud\":[\"a\",\"b\"]", "aud is 'b', want 'you'" },
		{ "\"iss\":\"me\",\"aud\":[1]", "aud is not a string, want 'you'" },
		{ "\"iss\":\"me\",\"aud\":\"yo\\nu\"", "aud is 'yo?u', want 'you'" },
	};
	struct dw_auth *auth = kit_auth("one", "me", "you", 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char payload[200];

		(void)snprintf(payload, sizeof(payload), "{\"sub\":\"u\",\"exp\":1800000001,%s}", cases[i].more);
		assert_payload(auth, payload, cases[i].message[0] == '\0' ? DW_OK : DW_E_TOKEN, cases[i].message);
	}
	dw_auth_destroy(&auth);
}

static void
test_times(void **state)
{
	static const struct {
		const char *times;
		uint64_t now_s, leeway_s;
		int err;
		const char *message;
	} cases[] = {
		{ "\"exp\":1000", 999, 0, DW_OK, "" },
		{ "\"exp\":1000", 1000, 0, DW_E_TOKEN_EXPIRED, "expired 0 s ago" },
		{ "\"exp\":1000", 1119, 0, DW_E_TOKEN_EXPIRED, "expired 119 s ago" },
		{ "\"exp\":1000", 1240, 0, DW_E_TOKEN_EXPIRED, "expired 4 min ago" },
		{ "\"exp\":1000", 9000, 0, DW_E_TOKEN_EXPIRED, "expired 2 h ago" },
		{ "\"exp\":0", 864000, 0, DW_E_TOKEN_EXPIRED, "expired 10 d ago" },
		{ "\"exp\":1000", 1029, 30, DW_OK, "" },
		{ "\"exp\":1000", 1030, 30, DW_E_TOKEN_EXPIRED, "expired 30 s ago" },
		{ "\"exp\":9007199254740991", NOW, 30, DW_OK, "" },
		{ "\"exp\":1000", UINT64_MAX, 30, DW_E_TOKEN_EXPIRED, NULL },
		{ "\"exp\":5000,\"nbf\":1000", 1000, 0, DW_OK, "" },
		{ "\"exp\":5000,\"nbf\":1000", 999, 0, DW_E_TOKEN, "not valid before 1 s from now" },
		{ "\"exp\":5000,\"nbf\":1000", 970, 30, DW_OK, "" },
		{ "\"exp\":5000,\"nbf\":1000", 969, 30, DW_E_TOKEN, "not valid before 31 s from now" },
		{ "\"exp\":5000,\"nbf\":9007199254740991", 0, 30, DW_E_TOKEN, NULL },
		{ "\"exp\":1000,\"nbf\":2000", 1500, 0, DW_E_TOKEN_EXPIRED, "expired 8 min ago" },
	};
	struct dw_buf token = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dw_auth *auth = kit_auth("one", NULL, NULL, cases[i].leeway_s);
		char payload[100];

		(void)snprintf(payload, sizeof(payload), "{\"sub\":\"u\",%s}", cases[i].times);
		kit_token(&token, HEADER, payload, strlen(payload), SECRET);
		assert_verdict(auth, str_of(&token), cases[i].now_s, cases[i].err, cases[i].message);
		dw_auth_destroy(&auth);
	}
	dw_buf_clear(&token);
}

static void
test_remembered_tokens_end_too(void **state)
{
	struct dw_auth *auth = kit_auth("one", NULL, NULL, 0);
	struct dw_buf token = { 0 };

	(void)state;
	kit_token(&token, HEADER, S("{\"sub\":\"u\",\"exp\":5000,\"nbf\":1000}"), SECRET);
	assert_verdict(auth, str_of(&token), 4999, DW_OK, NULL);
	assert_verdict(auth, str_of(&token), 4999, DW_OK, NULL);
	assert_verdict(auth, str_of(&token), 999, DW_E_TOKEN, "not valid before 1 s from now");
	assert_verdict(auth, str_of(&token), 1000, DW_OK, NULL);
	assert_verdict(auth, str_of(&token), 5000, DW_E_TOKEN_EXPIRED, "expired 0 s ago");
	assert_verdict(auth, str_of(&token), 5000, DW_E_TOKEN_EXPIRED, "expired 0 s ago");
	assert_verdict(auth, str_of(&token), 4999, DW_OK, NULL);
	dw_buf_clear(&token);
	dw_auth_destroy(&auth);
}

static void
test_reload(void **state)
{
	struct dw_auth *auth;
	struct dw_fault fault = { 0 };
	struct dw_buf token = { 0 };

	(void)state;
	kit_run("rm -rf moving; cp -r one moving");
	auth = kit_auth("moving", NULL, NULL, 0);
	mint_token("moving/main.hs256", NULL, &token);
	assert_verdict(auth, str_of(&token), NOW, DW_OK, NULL);
	kit_run("chmod 644 moving/main.hs256");
	assert_int_equal(DW_E_CONFIG, dw_auth_reload(auth, &fault));
	kit_run("rm moving/main.hs256");
	assert_int_equal(DW_E_CONFIG, dw_auth_reload(auth, &fault));
	assert_verdict(auth, str_of(&token), NOW, DW_OK, NULL);
	kit_write("moving/main.hs256", S("another " SECRET), 0600);
	assert_int_equal(DW_OK, dw_auth_reload(auth, &fault));
	assert_verdict(auth, str_of(&token), NOW, DW_E_TOKEN, "the signature is not one of key 'main'");
	dw_buf_clear(&token);
	dw_auth_destroy(&auth);
	assert_null(auth);
	dw_auth_destroy(&auth);
}

static void
test_configuration(void **state)
{
	struct dw_auth_config config = { kit_path("missing"), NULL, NULL, 30 };
	struct dw_auth *auth = NULL;
	struct dw_fault fault = { 0 };

	(void)state;
	assert_int_equal(DW_E_NOINPUT, dw_auth_new(&auth, &config, &fault));
	config.keys = kit_path("private");
	assert_int_equal(DW_E_CONFIG, dw_auth_new(&auth, &config, &fault));
	assert_non_null(strstr(fault.message, "holds a private key"));
	assert_null(auth);
}

static void
test_refused_wishes(void **state)
{
	static char long_id[70];
	static const char *const bad_ids[] = { "1", "a b" }, *const long_ids[] = { long_id };
	static const char *many[DW_DIAGNOSES_MAX + 1];
	struct dw_buf out = { 0 };
	struct dw_fault fault = { 0 };
	struct dw_mint bad[] = { mint_of("one/main.hs256"), mint_of("one/main.hs256"), mint_of("one/main.hs256"),
		mint_of("one/main.hs256"), mint_of("one/main.hs256"), mint_of("one/main.hs256"), mint_of("one/main.hs256"),
		mint_of("one/main.hs256"), mint_of("one/main.hs256") };

	(void)state;
	memset(long_id, 'x', sizeof(long_id) - 1);
	for (size_t i = 0; i < DW_DIAGNOSES_MAX + 1; i++)
		many[i] = "12345";
	bad[0].user = NULL;
	bad[1].user = "";
	bad[2].user = "a\tb";
	bad[3].kid = "../main";
	bad[4].scope = "stat publsh";
	bad[5].diagnoses = bad_ids, bad[5].diagnoses_count = 2;
	bad[6].diagnoses = long_ids, bad[6].diagnoses_count = 1;
	bad[7].diagnoses = many, bad[7].diagnoses_count = DW_DIAGNOSES_MAX + 1;
	bad[8].diagnoses = many, bad[8].diagnoses_count = DW_DIAGNOSES_MAX; /* over 4096 bytes */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bad[i].key_file = kit_path("one/main.hs256");
		if (dw_auth_mint(&bad[i], &out, &fault) != DW_E_FIELD)
			fail_msg("case %zu: %s", i, fault.message);
	}
	bad[8] = mint_of("one/main.hs256");
	bad[8].issuer = "\xFF";
	assert_int_equal(DW_E_FIELD, dw_auth_mint(&bad[8], &out, &fault));
	bad[8] = mint_of("one/other.hs256");
	assert_int_equal(DW_E_NOINPUT, dw_auth_mint(&bad[8], &out, &fault));
	bad[8] = mint_of("keys/r256.rs256.pem");
	assert_int_equal(DW_E_CONFIG, dw_auth_mint(&bad[8], &out, &fault));
	assert_int_equal(0, out.len);
	dw_buf_clear(&out);
}

/* Private keys that do not fit their names show themselves when they sign. */
static void
test_keys_that_do_not_fit(void **state)
{
	static const struct {
		const char *make, *file, *message;
	} bad[] = {
		{ "openssl genrsa -out k.rs256.pem 1024", "k.rs256.pem", "the key has not the size or curve of RS256" },
		{ "cp private/e384.es384.pem k.es256.pem", "k.es256.pem", "the key has not the size or curve of ES256" },
		{ "cp private/e256.es256.pem k.es512.pem", "k.es512.pem", "the key has not the size or curve of ES512" },
		{ "cp rsa.key k.es256.pem", "k.es256.pem", "the key cannot sign with ES256" },
		{ "cp private/e256.es256.pem k.rs384.pem", "k.rs384.pem", "the key cannot sign with RS384" },
		{ "grep -v END rsa.key >k.rs256.pem", "k.rs256.pem", "the key cannot sign with RS256" },
	};
	struct dw_buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dw_mint mint;
		struct dw_fault fault = { 0 };

		kit_run("umask 077; rm -f k.*; %s", bad[i].make);
		mint = mint_of(bad[i].file);
		assert_int_equal(DW_E_CONFIG, dw_auth_mint(&mint, &out, &fault));
		assert_string_equal(bad[i].message, fault.message);
	}
	assert_int_equal(0, out.len);
	dw_buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_algorithm),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_refused_claims),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_issuer_and_audience),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_remembered_tokens_end_too),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_refused_wishes),
		cmocka_unit_test(test_keys_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, open_folder, kit_close);
}
