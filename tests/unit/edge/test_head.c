/* links: lib/http/head.c lib/http/argument.c lib/base/buf.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/head.h"

enum { SOME = 64 * 1024 };

/* What is said of a head, with '\n' for its line ends. */
static enum dw_http_fault
read_head(const char *text, struct dw_http_head *head)
{
	static char bytes[SOME];
	size_t n = 0, scanned = 0, end = 0;
	enum dw_http_fault fault;

	for (; *text != '\0'; text++) {
		if (*text == '\n')
			bytes[n++] = '\r';
		bytes[n++] = *text;
	}
	fault = dw_http_head_end(bytes, n, &scanned, &end);
	if (fault != DW_HEAD_OK)
		return fault;
	assert_int_equal(end, n);
	return dw_http_head_parse(bytes, n, head);
}

static void
test_a_good_head(void **state)
{
	struct dw_http_head head;

	(void)state;
	assert_int_equal(
		read_head("POST /ws/broadcast?wait=stored HTTP/1.1\nhost: clinic.example:8000\nContent-Length: 12\n"
				  "X-Auth:\nIf: x\nX: \nEXPECT: 100-Continue\nConnection: keep-alive, Upgrade\n\n",
			&head),
		DW_HEAD_OK);
	assert_true(dw_str_is(head.method, "POST"));
	assert_true(dw_str_is(head.target, "/ws/broadcast?wait=stored"));
	assert_true(dw_str_is(head.path, "/ws/broadcast"));
	assert_true(dw_str_is(head.host, "clinic.example:8000"));
	assert_int_equal(head.length, 12);
	assert_true(head.continues && head.keeps && head.upgrades && !head.closes && !head.old && !head.chunked);
	assert_int_equal(read_head("GET http://h:1/p?q HTTP/1.1\nHost: other\n\n", &head), DW_HEAD_OK);
	assert_true(dw_str_is(head.target, "/p?q") && dw_str_is(head.path, "/p") && dw_str_is(head.host, "h:1"));
	assert_int_equal(read_head("GET / HTTP/1.0\n\n", &head), DW_HEAD_OK);
	assert_true(head.old);
	assert_int_equal(read_head("OPTIONS * HTTP/1.1\nHost: [::1]:80\n\n", &head), DW_HEAD_OK);
	assert_true(dw_str_is(head.target, "*"));
}

static void
test_what_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum dw_http_fault fault;
	} cases[] = {
		{ "GET /\n\n", DW_HEAD_START },
		{ "GET  / HTTP/1.1\nHost: x\n\n", DW_HEAD_TARGET },
		{ "GET / HTTP/1.1 \nHost: x\n\n", DW_HEAD_START },
		{ "GET / http/1.1\nHost: x\n\n", DW_HEAD_START },
		{ "G@T / HTTP/1.1\nHost: x\n\n", DW_HEAD_START },
		{ "GET / HTTP/1.2\nHost: x\n\n", DW_HEAD_VERSION },
		{ "GET / HTTP/2.0\nHost: x\n\n", DW_HEAD_VERSION },
		{ "GET * HTTP/1.1\nHost: x\n\n", DW_HEAD_TARGET },
		{ "CONNECT x:1 HTTP/1.1\nHost: x\n\n", DW_HEAD_TARGET },
		{ "GET ftp://x/ HTTP/1.1\nHost: x\n\n", DW_HEAD_TARGET },
		{ "GET http://x HTTP/1.1\nHost: x\n\n", DW_HEAD_TARGET },
		{ "GET /a#b HTTP/1.1\nHost: x\n\n", DW_HEAD_TARGET },
		{ "GET /\xc3\xa9 HTTP/1.1\nHost: x\n\n", DW_HEAD_TARGET },
		{ "GET /%zz HTTP/1.1\nHost: x\n\n", DW_HEAD_ESCAPE },
		{ "GET /?a=% HTTP/1.1\nHost: x\n\n", DW_HEAD_ESCAPE },
		{ "GET /?a=%4 HTTP/1.1\nHost: x\n\n", DW_HEAD_ESCAPE },
		{ "GET /?a=%00 HTTP/1.1\nHost: x\n\n", DW_HEAD_ESCAPE },
		{ "GET /?&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&& HTTP/1.1\nHost: x\n\n", DW_HEAD_ARGUMENTS },
		{ "GET /a%2fb HTTP/1.1\nHost: x\n\n", DW_HEAD_PATH },
		{ "GET /a%5Cb HTTP/1.1\nHost: x\n\n", DW_HEAD_PATH },
		{ "GET /a/../b HTTP/1.1\nHost: x\n\n", DW_HEAD_PATH },
		{ "GET /a/.%2e/b HTTP/1.1\nHost: x\n\n", DW_HEAD_PATH },
		{ "GET /a/. HTTP/1.1\nHost: x\n\n", DW_HEAD_PATH },
		{ "GET / HTTP/1.1\n\n", DW_HEAD_HOST },
		{ "GET / HTTP/1.1\nHost:\n\n", DW_HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x\nHost: x\n\n", DW_HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x y\n\n", DW_HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x:y\n\n", DW_HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: [::1\n\n", DW_HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: u@x\n\n", DW_HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x\nno colon\n\n", DW_HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\nA : b\n\n", DW_HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\n: b\n\n", DW_HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\nA: b\n folded\n\n", DW_HEAD_FIELD },
		{ "GET / HTTP/1.1\n Host: x\n\n", DW_HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 1\nContent-Length: 1\n\n", DW_HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: +1\n\n", DW_HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 0x1\n\n", DW_HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 1 1\n\n", DW_HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 1, 1\n\n", DW_HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length:\n\n", DW_HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 99999999999999999999\n\n", DW_HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip\n\n", DW_HEAD_CODING },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip, chunked\n\n", DW_HEAD_CODING },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding:\n\n", DW_HEAD_CODING },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n", DW_HEAD_TWICE },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nContent-Length: 1\n\n", DW_HEAD_FRAMING },
		{ "GET / HTTP/1.0\nTransfer-Encoding: chunked\n\n", DW_HEAD_FRAMING },
		{ "GET / HTTP/1.1\nHost: x\nExpect: tea\n\n", DW_HEAD_EXPECT },
		{ "GET / HTTP/1.1\nHost: x\nAuthorization: a\nauthorization: a\n\n", DW_HEAD_TWICE },
		{ "GET / HTTP/1.1\nHost: x\nA: \x01\n\n", DW_HEAD_LINE },
		{ "GET / HTTP/1.1\nHost: x\nA: b\rc\n\n", DW_HEAD_LINE },
		{ "GET / HTTP/1.1\nHost: x\nA: b\x7f\n\n", DW_HEAD_LINE },
	};
	struct dw_http_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (read_head(cases[i].text, &head) != cases[i].fault)
			fail_msg("%s: %s, not %s", cases[i].text, dw_http_refusal(read_head(cases[i].text, &head))->message,
				dw_http_refusal(cases[i].fault)->message);
}

static void
test_line_ends(void **state)
{
	static const char *const heads[] = { "GET / HTTP/1.1\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\n" };
	static const char nul[] = "GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n";
	size_t scanned, end;
	struct dw_http_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		scanned = 0;
		assert_int_equal(dw_http_head_end(heads[i], strlen(heads[i]), &scanned, &end), DW_HEAD_LINE);
	}
	scanned = 0;
	assert_int_equal(dw_http_head_end(nul, sizeof(nul) - 1, &scanned, &end), DW_HEAD_OK);
	assert_int_equal(dw_http_head_parse(nul, end, &head), DW_HEAD_LINE);
}

static void
test_it_is_whole_at_its_last_byte(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nGET /more";
	const size_t whole = strlen("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n");
	size_t scanned = 0, end;

	(void)state;
	for (size_t n = 1; n < whole; n++) {
		assert_int_equal(dw_http_head_end(text, n, &scanned, &end), DW_HEAD_OK);
		assert_int_equal(end, 0);
	}
	assert_int_equal(dw_http_head_end(text, sizeof(text) - 1, &scanned, &end), DW_HEAD_OK);
	assert_int_equal(end, whole);
}

/* A head with a URL and a block of headers of these sizes. */
static enum dw_http_fault
of_sizes(size_t url, size_t headers, bool whole)
{
	static char bytes[SOME];
	size_t n = 0, scanned = 0, end = 0;
	enum dw_http_fault fault;
	struct dw_http_head head;

	memcpy(bytes, "GET /", 5);
	memset(bytes + 5, 'x', url - 1);
	n = 4 + url;
	memcpy(bytes + n, " HTTP/1.1\r\n", 11);
	n += 11;
	memcpy(bytes + n, "Host: x\r\nA: ", 12);
	memset(bytes + n + 12, 'y', headers - 12 - 4);
	memcpy(bytes + n + headers - 4, "\r\n\r\n", 4);
	n += headers;
	fault = dw_http_head_end(bytes, whole ? n : n - 4, &scanned, &end);
	return fault == DW_HEAD_OK && end > 0 ? dw_http_head_parse(bytes, end, &head) : fault;
}

static void
test_sizes(void **state)
{
	static char endless[SOME];
	size_t scanned = 0, end;

	(void)state;
	assert_int_equal(of_sizes(DW_HTTP_URL_MAX, 100, true), DW_HEAD_OK);
	assert_int_equal(of_sizes(DW_HTTP_URL_MAX + 1, 100, true), DW_HEAD_URL_SIZE);
	assert_int_equal(of_sizes(10, DW_HTTP_HEADERS_MAX, true), DW_HEAD_OK);
	assert_int_equal(of_sizes(10, DW_HTTP_HEADERS_MAX + 1, true), DW_HEAD_SIZE);
	assert_int_equal(of_sizes(10, DW_HTTP_HEADERS_MAX + 5, false), DW_HEAD_SIZE); /* told before it is whole */
	memset(endless, 'x', sizeof(endless));
	assert_int_equal(dw_http_head_end(endless, sizeof(endless), &scanned, &end), DW_HEAD_URL_SIZE);
	scanned = 0;
	assert_int_equal(dw_http_head_end("\x16\x03\x01", 3, &scanned, &end), DW_HEAD_START);
}

/* The same is told of it however it comes, though a line behind what it may have ends badly. */
static void
test_a_long_head_is_too_long_first(void **state)
{
	static char bytes[SOME] = "GET / HTTP/1.1\r\n";
	const size_t line = strlen(bytes), n = line + DW_HTTP_HEADERS_MAX + 2;
	size_t scanned = 0, end;

	(void)state;
	memset(bytes + line, 'x', DW_HTTP_HEADERS_MAX + 1);
	bytes[n - 1] = '\n';
	assert_int_equal(dw_http_head_end(bytes, n, &scanned, &end), DW_HEAD_SIZE);
	scanned = 0;
	assert_int_equal(dw_http_head_end(bytes, n - 2, &scanned, &end), DW_HEAD_OK);
	assert_int_equal(dw_http_head_end(bytes, n, &scanned, &end), DW_HEAD_SIZE);
}

static void
test_many_headers(void **state)
{
	static char text[SOME];
	struct dw_http_head head;
	size_t n;

	(void)state;
	for (int more = 0; more < 2; more++) {
		n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\nHost: x\n");
		for (int i = 1; i < DW_HTTP_FIELDS_MAX + more; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "a: b\n");
		(void)snprintf(text + n, sizeof(text) - n, "\n");
		assert_int_equal(read_head(text, &head), more == 0 ? DW_HEAD_OK : DW_HEAD_COUNT);
	}
}

static void
test_lists(void **state)
{
	struct dw_str list = DW_STR(" , diagws ,, a.b.c\t,"), element;

	(void)state;
	assert_true(dw_http_head_next(&list, &element) && dw_str_is(element, "diagws"));
	assert_true(dw_http_head_next(&list, &element) && dw_str_is(element, "a.b.c"));
	assert_false(dw_http_head_next(&list, &element));
}

static void
test_arguments(void **state)
{
	struct dw_http_head head;
	char out[8];

	(void)state;
	assert_int_equal(
		read_head(
			"GET /p?token%3D1&Token=2&token&token=a%20b+c&token=3&t=4&long=123456789&empty= HTTP/1.1\nHost: x\n\n",
			&head),
		DW_HEAD_OK);
	assert_string_equal(dw_http_target_argument(&head, "token", out, sizeof(out)), "a b c");
	assert_string_equal(dw_http_target_argument(&head, "t", out, sizeof(out)), "4");
	assert_string_equal(dw_http_target_argument(&head, "long", out, sizeof(out)), "1234567");
	assert_string_equal(dw_http_target_argument(&head, "empty", out, sizeof(out)), "");
	assert_null(dw_http_target_argument(&head, "tok", out, sizeof(out)));
	assert_int_equal(read_head("GET /p HTTP/1.1\nHost: x\n\n", &head), DW_HEAD_OK);
	assert_null(dw_http_target_argument(&head, "token", out, sizeof(out)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_head),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_it_is_whole_at_its_last_byte),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_a_long_head_is_too_long_first),
		cmocka_unit_test(test_many_headers),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
