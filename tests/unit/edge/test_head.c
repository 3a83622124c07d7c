/* links: cmd/diagws-edge/door/head.c lib/base/buf.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "door/head.h"

enum { SOME = 64 * 1024 };

/* What is said of a head, with '\n' for its line ends. */
static enum head_fault
read_head(const char *text, struct head *head)
{
	static char bytes[SOME];
	size_t n = 0, scanned = 0, end = 0;
	enum head_fault fault;

	for (; *text != '\0'; text++) {
		if (*text == '\n')
			bytes[n++] = '\r';
		bytes[n++] = *text;
	}
	fault = head_end(bytes, n, &scanned, &end);
	if (fault != HEAD_OK)
		return fault;
	assert_int_equal(end, n);
	return head_parse(bytes, n, head);
}

static void
test_a_good_head(void **state)
{
	struct head head;

	(void)state;
	assert_int_equal(
		read_head("POST /ws/broadcast?wait=stored HTTP/1.1\nhost: clinic.example:8000\nContent-Length: 12\n"
				  "X-Auth:\nIf: x\nX: \nEXPECT: 100-Continue\nConnection: keep-alive, Upgrade\n\n",
			&head),
		HEAD_OK);
	assert_true(dw_str_is(head.method, "POST"));
	assert_true(dw_str_is(head.target, "/ws/broadcast?wait=stored"));
	assert_true(dw_str_is(head.path, "/ws/broadcast"));
	assert_true(dw_str_is(head.host, "clinic.example:8000"));
	assert_int_equal(head.length, 12);
	assert_true(head.continues && head.keeps && head.upgrades && !head.closes && !head.old && !head.chunked);
	assert_int_equal(read_head("GET http://h:1/p?q HTTP/1.1\nHost: other\n\n", &head), HEAD_OK);
	assert_true(dw_str_is(head.target, "/p?q") && dw_str_is(head.path, "/p") && dw_str_is(head.host, "h:1"));
	assert_int_equal(read_head("GET / HTTP/1.0\n\n", &head), HEAD_OK);
	assert_true(head.old);
	assert_int_equal(read_head("OPTIONS * HTTP/1.1\nHost: [::1]:80\n\n", &head), HEAD_OK);
	assert_true(dw_str_is(head.target, "*"));
}

static void
test_what_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum head_fault fault;
	} cases[] = {
		{ "GET /\n\n", HEAD_START },
		{ "GET  / HTTP/1.1\nHost: x\n\n", HEAD_TARGET },
		{ "GET / HTTP/1.1 \nHost: x\n\n", HEAD_START },
		{ "GET / http/1.1\nHost: x\n\n", HEAD_START },
		{ "G@T / HTTP/1.1\nHost: x\n\n", HEAD_START },
		{ "GET / HTTP/1.2\nHost: x\n\n", HEAD_VERSION },
		{ "GET / HTTP/2.0\nHost: x\n\n", HEAD_VERSION },
		{ "GET * HTTP/1.1\nHost: x\n\n", HEAD_TARGET },
		{ "CONNECT x:1 HTTP/1.1\nHost: x\n\n", HEAD_TARGET },
		{ "GET ftp://x/ HTTP/1.1\nHost: x\n\n", HEAD_TARGET },
		{ "GET http://x HTTP/1.1\nHost: x\n\n", HEAD_TARGET },
		{ "GET /a#b HTTP/1.1\nHost: x\n\n", HEAD_TARGET },
		{ "GET /\xc3\xa9 HTTP/1.1\nHost: x\n\n", HEAD_TARGET },
		{ "GET /%zz HTTP/1.1\nHost: x\n\n", HEAD_ESCAPE },
		{ "GET /?a=% HTTP/1.1\nHost: x\n\n", HEAD_ESCAPE },
		{ "GET /?a=%4 HTTP/1.1\nHost: x\n\n", HEAD_ESCAPE },
		{ "GET /?a=%00 HTTP/1.1\nHost: x\n\n", HEAD_ESCAPE },
		{ "GET /?&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&& HTTP/1.1\nHost: x\n\n", HEAD_ARGUMENTS },
		{ "GET /a%2fb HTTP/1.1\nHost: x\n\n", HEAD_PATH },
		{ "GET /a%5Cb HTTP/1.1\nHost: x\n\n", HEAD_PATH },
		{ "GET /a/../b HTTP/1.1\nHost: x\n\n", HEAD_PATH },
		{ "GET /a/.%2e/b HTTP/1.1\nHost: x\n\n", HEAD_PATH },
		{ "GET /a/. HTTP/1.1\nHost: x\n\n", HEAD_PATH },
		{ "GET / HTTP/1.1\n\n", HEAD_HOST },
		{ "GET / HTTP/1.1\nHost:\n\n", HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x\nHost: x\n\n", HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x y\n\n", HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x:y\n\n", HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: [::1\n\n", HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: u@x\n\n", HEAD_HOST },
		{ "GET / HTTP/1.1\nHost: x\nno colon\n\n", HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\nA : b\n\n", HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\n: b\n\n", HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\nA: b\n folded\n\n", HEAD_FIELD },
		{ "GET / HTTP/1.1\n Host: x\n\n", HEAD_FIELD },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 1\nContent-Length: 1\n\n", HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: +1\n\n", HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 0x1\n\n", HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 1 1\n\n", HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 1, 1\n\n", HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length:\n\n", HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nContent-Length: 99999999999999999999\n\n", HEAD_LENGTH },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip\n\n", HEAD_CODING },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip, chunked\n\n", HEAD_CODING },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding:\n\n", HEAD_CODING },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n", HEAD_TWICE },
		{ "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nContent-Length: 1\n\n", HEAD_FRAMING },
		{ "GET / HTTP/1.0\nTransfer-Encoding: chunked\n\n", HEAD_FRAMING },
		{ "GET / HTTP/1.1\nHost: x\nExpect: tea\n\n", HEAD_EXPECT },
		{ "GET / HTTP/1.1\nHost: x\nAuthorization: a\nauthorization: a\n\n", HEAD_TWICE },
		{ "GET / HTTP/1.1\nHost: x\nA: \x01\n\n", HEAD_LINE },
		{ "GET / HTTP/1.1\nHost: x\nA: b\rc\n\n", HEAD_LINE },
		{ "GET / HTTP/1.1\nHost: x\nA: b\x7f\n\n", HEAD_LINE },
	};
	struct head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (read_head(cases[i].text, &head) != cases[i].fault)
			fail_msg("%s: %s, not %s", cases[i].text, head_refusal(read_head(cases[i].text, &head))->message,
				head_refusal(cases[i].fault)->message);
}

static void
test_line_ends(void **state)
{
	static const char *const heads[] = { "GET / HTTP/1.1\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\n" };
	static const char nul[] = "GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n";
	size_t scanned, end;
	struct head head;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		scanned = 0;
		assert_int_equal(head_end(heads[i], strlen(heads[i]), &scanned, &end), HEAD_LINE);
	}
	scanned = 0;
	assert_int_equal(head_end(nul, sizeof(nul) - 1, &scanned, &end), HEAD_OK);
	assert_int_equal(head_parse(nul, end, &head), HEAD_LINE);
}

static void
test_it_is_whole_at_its_last_byte(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nGET /more";
	const size_t whole = strlen("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n");
	size_t scanned = 0, end;

	(void)state;
	for (size_t n = 1; n < whole; n++) {
		assert_int_equal(head_end(text, n, &scanned, &end), HEAD_OK);
		assert_int_equal(end, 0);
	}
	assert_int_equal(head_end(text, sizeof(text) - 1, &scanned, &end), HEAD_OK);
	assert_int_equal(end, whole);
}

/* A head with a URL and a block of headers of these sizes. */
static enum head_fault
of_sizes(size_t url, size_t headers, bool whole)
{
	static char bytes[SOME];
	size_t n = 0, scanned = 0, end = 0;
	enum head_fault fault;
	struct head head;

	memcpy(bytes, "GET /", 5);
	memset(bytes + 5, 'x', url - 1);
	n = 4 + url;
	memcpy(bytes + n, " HTTP/1.1\r\n", 11);
	n += 11;
	memcpy(bytes + n, "Host: x\r\nA: ", 12);
	memset(bytes + n + 12, 'y', headers - 12 - 4);
	memcpy(bytes + n + headers - 4, "\r\n\r\n", 4);
	n += headers;
	fault = head_end(bytes, whole ? n : n - 4, &scanned, &end);
	return fault == HEAD_OK && end > 0 ? head_parse(bytes, end, &head) : fault;
}

static void
test_sizes(void **state)
{
	static char endless[SOME];
	size_t scanned = 0, end;

	(void)state;
	assert_int_equal(of_sizes(LIMIT_URL, 100, true), HEAD_OK);
	assert_int_equal(of_sizes(LIMIT_URL + 1, 100, true), HEAD_URL_SIZE);
	assert_int_equal(of_sizes(10, LIMIT_HEADERS, true), HEAD_OK);
	assert_int_equal(of_sizes(10, LIMIT_HEADERS + 1, true), HEAD_SIZE);
	assert_int_equal(of_sizes(10, LIMIT_HEADERS + 5, false), HEAD_SIZE); /* told before it is whole */
	memset(endless, 'x', sizeof(endless));
	assert_int_equal(head_end(endless, sizeof(endless), &scanned, &end), HEAD_URL_SIZE);
	scanned = 0;
	assert_int_equal(head_end("\x16\x03\x01", 3, &scanned, &end), HEAD_START);
}

/* The same is told of it however it comes, though a line behind what it may have ends badly. */
static void
test_a_long_head_is_too_long_first(void **state)
{
	static char bytes[SOME] = "GET / HTTP/1.1\r\n";
	const size_t line = strlen(bytes), n = line + LIMIT_HEADERS + 2;
	size_t scanned = 0, end;

	(void)state;
	memset(bytes + line, 'x', LIMIT_HEADERS + 1);
	bytes[n - 1] = '\n';
	assert_int_equal(head_end(bytes, n, &scanned, &end), HEAD_SIZE);
	scanned = 0;
	assert_int_equal(head_end(bytes, n - 2, &scanned, &end), HEAD_OK);
	assert_int_equal(head_end(bytes, n, &scanned, &end), HEAD_SIZE);
}

static void
test_many_headers(void **state)
{
	static char text[SOME];
	struct head head;
	size_t n;

	(void)state;
	for (int more = 0; more < 2; more++) {
		n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\nHost: x\n");
		for (int i = 1; i < LIMIT_FIELDS + more; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "a: b\n");
		(void)snprintf(text + n, sizeof(text) - n, "\n");
		assert_int_equal(read_head(text, &head), more == 0 ? HEAD_OK : HEAD_COUNT);
	}
}

static void
test_lists(void **state)
{
	struct dw_str list = DW_STR(" , diagws ,, a.b.c\t,"), element;

	(void)state;
	assert_true(head_next(&list, &element) && dw_str_is(element, "diagws"));
	assert_true(head_next(&list, &element) && dw_str_is(element, "a.b.c"));
	assert_false(head_next(&list, &element));
}

static void
test_arguments(void **state)
{
	struct head head;
	char out[8];

	(void)state;
	assert_int_equal(
		read_head(
			"GET /p?token%3D1&Token=2&token&token=a%20b+c&token=3&t=4&long=123456789&empty= HTTP/1.1\nHost: x\n\n",
			&head),
		HEAD_OK);
	assert_string_equal(target_argument(&head, "token", out, sizeof(out)), "a b c");
	assert_string_equal(target_argument(&head, "t", out, sizeof(out)), "4");
	assert_string_equal(target_argument(&head, "long", out, sizeof(out)), "1234567");
	assert_string_equal(target_argument(&head, "empty", out, sizeof(out)), "");
	assert_null(target_argument(&head, "tok", out, sizeof(out)));
	assert_int_equal(read_head("GET /p HTTP/1.1\nHost: x\n\n", &head), HEAD_OK);
	assert_null(target_argument(&head, "token", out, sizeof(out)));
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
