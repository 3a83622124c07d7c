/* links: lib/http/reader.c lib/http/head.c lib/http/argument.c */
/* links: cmd/diagws-edge/door/upgrade.c lib/http/origin.c */
/* links: lib/message/msg.c lib/json/json.c lib/json/json_plain.c lib/base/utf8.c */
/* links: lib/base/buf.c lib/base/err.c */
/* links: lib/base/clock.c */
/* libs: jansson libcrypto */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/opt.h"
#include "door/upgrade.h"
#include "http/reader.h"

enum { SOME = 512 * 1024 };

static const struct dw_opt_list nobody;

/* What is given of these bytes, put in pieces of so many and taken in pieces of so many. */
static size_t
run(struct dw_http_reader *reader, struct dw_str bytes, size_t put, size_t get, char *out)
{
	size_t n = 0, got;

	*reader = (struct dw_http_reader) { .asks = upgrade_asked, .origins = &nobody };
	for (size_t at = 0; at < bytes.n; at += put) {
		dw_http_reader_put(reader, bytes.p + at, bytes.n - at < put ? bytes.n - at : put);
		while ((got = dw_http_reader_get(reader, out + n, get)) > 0)
			n += got;
	}
	out[n] = '\0';
	return n;
}

/* However it comes and is taken, the same is given. */
static const char *
all_ways(struct dw_str bytes, struct dw_http_reader *reader)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 100, SOME };
	static char first[SOME], again[SOME];

	(void)run(reader, bytes, SOME, SOME, first);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			dw_http_reader_clear(reader);
			(void)run(reader, bytes, sizes[i], sizes[j], again);
			assert_string_equal(first, again);
		}
	dw_http_reader_clear(reader);
	return first;
}

static void
test_a_request_is_written_anew(void **state)
{
	struct dw_http_reader reader;

	(void)state;
	assert_string_equal(
		all_ways(DW_STR("\r\nPOST /ws/%62roadcast?a=%20 HTTP/1.1\r\nhost: x\r\nX-Auth: 1\r\nCookie: "
						"a=\"b\r\ncontent-length: 2\r\n"
						"AUTHORIZATION:  Bearer t \r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n{}"
						"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
			&reader),
		"POST /ws/#62roadcast?a=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nAuthorization: Bearer t\r\n\r\n{}"
		"GET / HTTP/1.0\r\nHost: -\r\nConnection: keep-alive\r\n\r\n");
	assert_int_equal(reader.requests, 2);
}

static void
test_what_no_client_can_say(void **state)
{
	struct dw_http_reader reader;

	(void)state;
	assert_string_equal(all_ways(DW_STR("GET / HTTP/1.1\r\nHost: x\r\nRefused: 3\r\nEncoded: 1\r\n\r\n"), &reader),
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_string_equal(all_ways(DW_STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n\r\n"), &reader),
		"POST / HTTP/1.1\r\nHost: x\r\nEncoded: 1\r\n\r\n");
}

static void
test_chunks(void **state)
{
	struct dw_http_reader reader;

	(void)state;
	assert_string_equal(
		all_ways(
			DW_STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
				   "2;a=b\r\n{}\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"),
			&reader),
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		"2\r\n{}\r\na\r\n0123456789\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(reader.fault, DW_HEAD_OK);
}

static void
test_bad_chunks_end_the_body_and_the_reading(void **state)
{
	static const char *const bodies[] = { "\r\n", "x\r\n", " 2\r\n{}\r\n0\r\n\r\n", "-2\r\n", "0x2\r\n", "2 \r\n{}\r\n",
		"2\n{}\r\n", "2;\x01\r\n{}\r\n", "2\r\n{}x\r\n", "2\r\n{}\n", "2\r\n{}\rx", "123456789\r\n",
		"0\r\na\nb\r\n\r\n", "0\r\nX\r\n\r\n", "0\r\n x: y\r\n\r\n", "0\r\na: b\r\n c\r\n\r\n", "0\r\n: v\r\n\r\n",
		"0\r\nA : b\r\n\r\n" };
	static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char next[] = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
	char text[1024];
	struct dw_http_reader reader;
	const char *given;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		const int n = snprintf(text, sizeof(text), "%s%s%s", head, bodies[i], next);

		given = all_ways((struct dw_str) { text, (size_t)n }, &reader);
		if (strstr(given, "smuggled") != NULL || reader.state != DW_HTTP_READ_NOTHING ||
			reader.fault != DW_HEAD_CHUNK || strcmp(given + strlen(given) - 5, "0\r\n\r\n") != 0)
			fail_msg("%s: %s", bodies[i], given);
	}
}

static void
test_large_bodies(void **state)
{
	static char text[SOME];
	char wanted[128];
	struct dw_http_reader reader;
	size_t n = (size_t)snprintf(
		text, sizeof(text), "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", DW_HTTP_BODY_MAX);

	(void)state;
	memset(text + n, 'x', DW_HTTP_BODY_MAX);
	n += DW_HTTP_BODY_MAX;
	memcpy(text + n, "\r\n1\r\nx\r\n0\r\n\r\n", 14);
	(void)all_ways((struct dw_str) { text, n + 14 }, &reader);
	assert_int_equal(reader.fault, DW_HEAD_BODY);
	memcpy(text + n, "\r\n0\r\n\r\n", 7);
	(void)all_ways((struct dw_str) { text, n + 7 }, &reader);
	assert_int_equal(reader.fault, DW_HEAD_OK);
	assert_int_equal(reader.state, DW_HTTP_READ_HEAD);
	(void)snprintf(text, sizeof(text),
		"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 262145\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)snprintf(wanted, sizeof(wanted), "POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRefused: %d\r\n\r\n",
		DW_HEAD_BODY);
	assert_string_equal(all_ways(dw_str(text), &reader), wanted);
	assert_int_equal(reader.state, DW_HTTP_READ_NOTHING);
}

static void
test_a_bad_head_ends_the_reading(void **state)
{
	struct dw_http_reader reader;
	char wanted[256], blank[200];

	(void)state;
	(void)snprintf(wanted, sizeof(wanted),
		"GET /a HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: -\r\nConnection: close\r\nRefused: %d\r\n\r\n",
		DW_HEAD_FIELD);
	assert_string_equal(all_ways(DW_STR("GET /a HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n"
										"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"),
							&reader),
		wanted);
	assert_int_equal(reader.state, DW_HTTP_READ_NOTHING);
	for (size_t i = 0; i < sizeof(blank); i += 2)
		memcpy(blank + i, "\r\n", 2);
	(void)all_ways((struct dw_str) { blank, sizeof(blank) }, &reader);
	assert_int_equal(reader.state, DW_HTTP_READ_NOTHING);
}

/* What is as large as it may be fits into what libmicrohttpd has for a connection; what is larger is cut. */
static void
test_long_values(void **state)
{
	static char text[SOME];
	struct dw_http_reader reader;
	const char *given;
	size_t n = (size_t)snprintf(text, sizeof(text), "GET /");

	(void)state;
	memset(text + n, 'x', DW_HTTP_URL_MAX - 1);
	n += DW_HTTP_URL_MAX - 1;
	n += (size_t)snprintf(text + n, sizeof(text) - n, " HTTP/1.1\r\nHost: x\r\nContent-Type: ");
	memset(text + n, 'y', 600);
	n += 600;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\nAuthorization: ");
	memset(text + n, 'z', 15000);
	n += 15000;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n\r\n");
	given = all_ways((struct dw_str) { text, n }, &reader);
	assert_non_null(strstr(given, "Content-Type: !\r\n"));
	assert_non_null(strstr(given, "Authorization: !\r\n"));
	assert_true(strlen(given) < 9000);
}

static void
test_an_upgrade(void **state)
{
	static const char head[] = "GET /ws/123 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
							   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	struct dw_http_reader reader = { .asks = upgrade_asked, .origins = &nobody };
	char text[1024], out[1024], wanted[64];

	(void)state;
	dw_http_reader_put(&reader, head, sizeof(head) - 1);
	assert_int_equal(dw_http_reader_get(&reader, out, sizeof(out)), 0);
	assert_true(reader.upgrade);
	dw_http_reader_clear(&reader);
	/* Behind a request that is not answered; behind one that is the last; and with something behind it. */
	(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\n\r\n%s", head);
	assert_string_equal(all_ways(dw_str(text), &reader), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(reader.upgrade);
	(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n%s", head);
	(void)all_ways(dw_str(text), &reader);
	assert_false(reader.upgrade);
	(void)snprintf(text, sizeof(text), "%s\x81", head);
	(void)snprintf(wanted, sizeof(wanted), "\r\nRefused: %d\r\n\r\n", DW_HEAD_EAGER);
	assert_non_null(strstr(all_ways(dw_str(text), &reader), wanted));
	assert_false(reader.upgrade);
	assert_int_equal(reader.state, DW_HTTP_READ_NOTHING);
}

/* Of random bytes made of what heads are made of: it ends, and whatever is given begins as a request does. */
static void
test_random(void **state)
{
	static const char *const pieces[] = { "GET ", "POST ", "/ws/1", " HTTP/1.1", "\r\n", "\n", "\r", "Host: x\r\n",
		"\r\n\r\n", "Content-Length: ", "3", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "a\r\n", ":", " ", "\t",
		"%", "x", "Upgrade: websocket\r\n" };
	const size_t kinds = sizeof(pieces) / sizeof(pieces[0]);
	char text[1024];
	struct dw_http_reader reader;

	(void)state;
	srandom(7);
	for (int i = 0; i < 3000; i++) {
		size_t n = 0;

		for (long parts = random() % 30; parts > 0; parts--) {
			const char *piece = pieces[(size_t)random() % kinds];

			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", piece);
		}
		(void)all_ways((struct dw_str) { text, n }, &reader);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_is_written_anew),
		cmocka_unit_test(test_what_no_client_can_say),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_bad_chunks_end_the_body_and_the_reading),
		cmocka_unit_test(test_large_bodies),
		cmocka_unit_test(test_a_bad_head_ends_the_reading),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_an_upgrade),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
