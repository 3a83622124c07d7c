/* links: lib/http/origin.c lib/base/buf.c lib/base/err.c */
/* Origins: the one form that each is compared in, what is none, and whom the list lets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/origin.h"

static void
test_has_one_form(void **state)
{
	static const char *const pairs[][2] = {
		{ "https://clinic.example", "https://clinic.example" },
		{ "HTTPS://Clinic.Example", "https://clinic.example" },
		{ "https://clinic.example:443", "https://clinic.example" },
		{ "http://clinic.example:80", "http://clinic.example" },
		{ "wss://clinic.example:443", "wss://clinic.example" },
		{ "ws://clinic.example:080", "ws://clinic.example" },
		{ "https://clinic.example:80", "https://clinic.example:80" },
		{ "http://clinic.example:443", "http://clinic.example:443" },
		{ "http://127.0.0.1:8000", "http://127.0.0.1:8000" },
		{ "http://[::1]:8000", "http://[::1]:8000" },
		{ "http://[0:0:0:0:0:0:0:1]:80", "http://[::1]" },
		{ "http://[2001:DB8::A]", "http://[2001:db8::a]" },
		{ "http://xn--mnchen-3ya.example", "http://xn--mnchen-3ya.example" },
		{ "chrome-extension://abcdef", "chrome-extension://abcdef" },
		{ "capacitor://localhost:80", "capacitor://localhost:80" },
		{ "file://", "file://" },
	};
	char out[DW_HTTP_ORIGIN_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (!dw_http_origin_normalize(dw_str(pairs[i][0]), out))
			fail_msg("'%s' is an origin", pairs[i][0]);
		assert_string_equal(out, pairs[i][1]);
	}
}

static void
test_is_none(void **state)
{
	static const char *const texts[] = { "", "null", "*", "clinic.example", "clinic.example:443", "://clinic.example",
		"1http://a", "ht tp://a", "http:/a", "http://", "http://:80", "https://a/", "https://a/path", "https://a?q",
		"https://a#f", "https://user@a", "https://user:secret@a", "https://a:", "https://a:0", "https://a:65536",
		"https://a:+80", "https://a:80:80", "https://a b", "https://a, https://b", "https://a https://b",
		"https://m\xc3\xbcnchen.example", "https://a\x01", "http://[::1", "http://[::1]x", "http://[::g]", "http://[]",
		"http://::1", "http://a%41", "file://:80" };
	char out[DW_HTTP_ORIGIN_SIZE], text[DW_HTTP_ORIGIN_SIZE + 300];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (dw_http_origin_normalize(dw_str(texts[i]), out))
			fail_msg("'%s' is no origin", texts[i]);
	assert_false(dw_http_origin_normalize(DW_STR("http://a\0b"), out));
	memset(text, 'a', sizeof(text));
	memcpy(text, "https://", 8);
	assert_true(dw_http_origin_normalize((struct dw_str) { text, 8 + 255 }, out));
	assert_false(dw_http_origin_normalize((struct dw_str) { text, 8 + 256 }, out));
	assert_false(dw_http_origin_normalize((struct dw_str) { text, sizeof(text) }, out));
	text[40] = ':';
	text[41] = text[42] = '/';
	text[4] = text[5] = text[6] = text[7] = 'a';
	assert_false(dw_http_origin_normalize((struct dw_str) { text, 60 }, out));
}

static char texts[DW_OPT_LIST_MAX][DW_HTTP_ORIGIN_SIZE];

static void
test_a_list_is_made_ready(void **state)
{
	struct dw_opt_list list = { .item = { "HTTPS://Clinic.example:443", "https://clinic.example", "*", "*",
									"https://other.example" },
		.count = 5 };
	struct dw_fault fault = { 0 };

	(void)state;
	assert_int_equal(dw_http_origins_prepare(&list, texts, &fault), DW_OK);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.item[0], "https://clinic.example");
	assert_string_equal(list.item[1], "*");
	assert_string_equal(list.item[2], "https://other.example");
}

static void
test_a_wrong_one_is_named(void **state)
{
	static const char *const wrong[][2] = {
		{ "clinic.example", "scheme" },
		{ "https://clinic.example/", "path" },
		{ "https://clinic.example?x", "query" },
		{ "https://me@clinic.example", "user" },
		{ "https://:443", "no host" },
		{ "https://clinic.example:99999", "port" },
		{ "https://m\xc3\xbcnchen.example", "ASCII" },
		{ "null", "scheme" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct dw_opt_list list = { .item = { "https://clinic.example", wrong[i][0] }, .count = 2 };
		struct dw_fault fault = { 0 };

		assert_int_equal(dw_http_origins_prepare(&list, texts, &fault), DW_E_CONFIG);
		assert_string_equal(fault.field, "--origin");
		assert_non_null(strstr(fault.message, wrong[i][0]));
		assert_non_null(strstr(fault.message, wrong[i][1]));
		assert_non_null(strstr(fault.expected, "SCHEME://HOST"));
	}
}

static bool
allowed(const char *listed, const char *origin, const char *host)
{
	struct dw_opt_list list = { .item = { listed }, .count = listed != NULL };

	assert_int_equal(dw_http_origins_prepare(&list, texts, NULL), DW_OK);
	return dw_http_origin_allowed(&list, dw_str(origin), dw_str(host));
}

static void
test_the_list_lets_in(void **state)
{
	(void)state;
	assert_true(allowed("https://clinic.example", "https://clinic.example", "api.example"));
	assert_true(allowed("https://clinic.example:443", "https://Clinic.example", "api.example"));
	assert_true(allowed("https://clinic.example", "https://clinic.example:443", ""));
	assert_false(allowed("https://clinic.example", "http://clinic.example", "api.example"));
	assert_false(allowed("https://clinic.example", "https://clinic.example:444", "api.example"));
	assert_false(allowed("https://clinic.example", "https://clinic.example.evil.example", "api.example"));
	assert_false(allowed("https://clinic.example", "https://evil.example", "api.example"));
	assert_false(allowed("https://clinic.example", "null", "api.example"));
	assert_false(allowed(NULL, "null", "null"));
	assert_false(allowed(NULL, "*", "*"));
	assert_true(allowed("*", "https://evil.example", "api.example"));
	assert_true(allowed("*", "null", "api.example"));
	assert_true(allowed("file://", "file://", "api.example"));
}

static void
test_its_own_host_is_let_in(void **state)
{
	(void)state;
	assert_true(allowed(NULL, "http://api.example", "api.example"));
	assert_true(allowed(NULL, "https://api.example", "API.example"));
	assert_true(allowed(NULL, "https://api.example", "api.example:443"));
	assert_true(allowed(NULL, "http://api.example", "api.example:80"));
	assert_true(allowed(NULL, "http://api.example:8000", "api.example:8000"));
	assert_true(allowed(NULL, "https://api.example:8443", "api.example:8443"));
	assert_true(allowed(NULL, "http://[::1]:8000", "[0::1]:8000"));
	assert_false(allowed(NULL, "https://api.example", "api.example:80"));
	assert_false(allowed(NULL, "https://api.example", "api.example:8443"));
	assert_false(allowed(NULL, "https://api.example:8443", "api.example"));
	assert_false(allowed(NULL, "https://evil.example", "api.example"));
	assert_false(allowed(NULL, "https://api.example", ""));
	assert_false(allowed(NULL, "https://api.example", "me@api.example"));
	assert_false(allowed(NULL, "https://api.example", "api.example/"));
	assert_false(allowed(NULL, "evil-scheme://api.example", "api.example"));
	assert_false(allowed(NULL, "file://", ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_has_one_form),
		cmocka_unit_test(test_is_none),
		cmocka_unit_test(test_a_list_is_made_ready),
		cmocka_unit_test(test_a_wrong_one_is_named),
		cmocka_unit_test(test_the_list_lets_in),
		cmocka_unit_test(test_its_own_host_is_let_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
