/* The PROXY header, version 2: every beginning of every kind, every malformation, random bytes; and what addresses are.
 */
/* links: lib/http/address.c */
#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

#define MAGIC "\r\n\r\n\0\r\nQUIT\n"
#define LOCAL_HEAD "\x20"
#define PROXY_COMMAND "\x21"
#define V4_BLOCK "\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x01\xbb" /* 192.0.2.7:4711 to 10.0.0.1:443 */
#define V6_SOURCE "\x20\x01\x0d\xb8\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x09"
#define MAPPED_SOURCE "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"
#define V6_REST "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x12\x67\x01\xbb"
#define OLD "198.51.100.1:1" /* the caller's own, before */

struct sample {
	const char *name;
	const char *bytes;
	size_t n;
	const char *address; /* in the end */
};

#define SAMPLE(name, bytes, address)            \
	{                                           \
		name, bytes, sizeof(bytes) - 1, address \
	}

static const char zeros[512];

static const struct sample samples[] = {
	SAMPLE("TCP4", MAGIC PROXY_COMMAND "\x11\x00\x0c" V4_BLOCK, "192.0.2.7:4711"),
	SAMPLE("TCP4 and an extension", MAGIC PROXY_COMMAND "\x11\x00\x13" V4_BLOCK "\x04\x00\x04noop", "192.0.2.7:4711"),
	SAMPLE("TCP6", MAGIC PROXY_COMMAND "\x21\x00\x24" V6_SOURCE V6_REST, "[2001:db8:1:2::9]:4711"),
	SAMPLE("TCP6, mapped", MAGIC PROXY_COMMAND "\x21\x00\x24" MAPPED_SOURCE V6_REST, "192.0.2.7:4711"),
	SAMPLE("UDP4", MAGIC PROXY_COMMAND "\x12\x00\x0c" V4_BLOCK, OLD),
	SAMPLE("UNSPEC", MAGIC PROXY_COMMAND "\x00\x00\x00", OLD),
	SAMPLE("UNSPEC with a block",
		MAGIC PROXY_COMMAND "\x00\x00\x03"
							"abc",
		OLD),
	SAMPLE("IPv4, protocol unspecified", MAGIC PROXY_COMMAND "\x10\x00\x0c" V4_BLOCK, OLD),
	SAMPLE("LOCAL", MAGIC LOCAL_HEAD "\x00\x00\x00", OLD),
	SAMPLE("LOCAL with an address", MAGIC LOCAL_HEAD "\x11\x00\x0c" V4_BLOCK, OLD),
	SAMPLE("LOCAL of no family there is",
		MAGIC LOCAL_HEAD "\xff\x00\x01"
						 "a",
		OLD),
};

static struct dw_http_address
own(void)
{
	struct dw_http_address address = { .bytes = { 198, 51, 100, 1 }, .port = 1, .family = DW_HTTP_ADDRESS_V4 };

	return address;
}

/* In a buffer of exactly n bytes, so that a sanitizer sees what is read behind it. */
static int
read_exactly(const void *bytes, size_t n, size_t *used, struct dw_http_address *address)
{
	uint8_t *copy = malloc(n == 0 ? 1 : n);
	int err;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	err = dw_http_proxy_read(copy, n, used, address);
	free(copy);
	return err;
}

static void
check_untouched(const void *bytes, size_t n, int want)
{
	const struct dw_http_address before = own();
	struct dw_http_address address = own();
	size_t used = 4711;

	assert_int_equal(want, read_exactly(bytes, n, &used, &address));
	assert_int_equal(4711, used);
	assert_memory_equal(&before, &address, sizeof(before));
}

static void
check_whole(const struct sample *sample)
{
	char longer[1024], text[DW_HTTP_ADDRESS_TEXT];
	struct dw_http_address address = own();
	size_t used = 0;

	for (size_t n = 0; n < sample->n; n++)
		check_untouched(sample->bytes, n, DW_E_AGAIN);
	memcpy(longer, sample->bytes, sample->n);
	memcpy(longer + sample->n, "GET / HTTP/1.1\r\n", 16);
	assert_int_equal(DW_OK, read_exactly(sample->bytes, sample->n, &used, &address));
	assert_int_equal(sample->n, used);
	assert_int_equal(DW_OK, read_exactly(longer, sample->n + 16, &used, &address));
	assert_int_equal(sample->n, used);
	dw_http_address_text(&address, text);
	assert_string_equal(sample->address, text);
}

static void
every_kind_and_its_beginnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		print_message("%s\n", samples[i].name);
		check_whole(&samples[i]);
	}
}

/* A fixed head and `length` bytes of nothing. */
static size_t
make(char *out, unsigned command, unsigned family, size_t length)
{
	memcpy(out, MAGIC, 12);
	out[12] = (char)command;
	out[13] = (char)family;
	out[14] = (char)(length >> 8);
	out[15] = (char)length;
	memset(out + 16, 0, length);
	return 16 + length;
}

static void
unix_sockets(void **state)
{
	char bytes[1024], text[DW_HTTP_ADDRESS_TEXT];
	struct dw_http_address address = own();
	size_t used = 0, n = make(bytes, 0x21, 0x31, 216);

	(void)state;
	for (size_t i = 0; i < n; i++)
		check_untouched(bytes, i, DW_E_AGAIN);
	assert_int_equal(DW_OK, read_exactly(bytes, n, &used, &address));
	assert_int_equal(n, used);
	dw_http_address_text(&address, text);
	assert_string_equal("unix", text);
	check_untouched(bytes, make(bytes, 0x21, 0x31, 215), DW_E_PROTOCOL);
}

static void
lengths(void **state)
{
	static const struct {
		unsigned family;
		size_t least;
	} families[] = { { 0x00, 0 }, { 0x11, 12 }, { 0x12, 12 }, { 0x21, 36 }, { 0x22, 36 }, { 0x31, 216 },
		{ 0x32, 216 } };
	char bytes[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (size_t length = 0; length <= DW_HTTP_PROXY_MAX - DW_HTTP_PROXY_HEAD + 2; length++) {
			const bool fits = length <= DW_HTTP_PROXY_MAX - DW_HTTP_PROXY_HEAD;
			const bool right = fits && length >= families[i].least;
			struct dw_http_address address = own();
			size_t used = 0, n = make(bytes, 0x21, families[i].family, length);

			assert_int_equal(right ? DW_OK : DW_E_PROTOCOL, read_exactly(bytes, n, &used, &address));
			assert_int_equal(right ? n : 0, used);
			n = make(bytes, 0x20, families[i].family, length);
			assert_int_equal(fits ? DW_OK : DW_E_PROTOCOL, read_exactly(bytes, n, &used, &address));
		}
}

static void
lengths_that_are_told_early(void **state)
{
	char bytes[] = MAGIC PROXY_COMMAND "\x11\x02\x00";

	(void)state;
	check_untouched(bytes, 16, DW_E_AGAIN); /* 512 */
	bytes[15] = 1;
	check_untouched(bytes, 16, DW_E_PROTOCOL);
	bytes[14] = 3;
	check_untouched(bytes, 15, DW_E_PROTOCOL);
	bytes[14] = 0;
	bytes[15] = 11;
	check_untouched(bytes, 16, DW_E_PROTOCOL);
}

/* Each bit of the signature, at once; each command, version, family and protocol that there is not. */
static void
wrong_bytes(void **state)
{
	char bytes[1024];

	(void)state;
	for (size_t bit = 0; bit < 12 * 8; bit++) {
		make(bytes, 0x21, 0x11, 12);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
		check_untouched(bytes, bit / 8 + 1, DW_E_PROTOCOL);
		check_untouched(bytes, 28, DW_E_PROTOCOL);
	}
	for (unsigned byte = 0; byte < 256; byte++) {
		make(bytes, byte, 0x11, 12);
		check_untouched(bytes, 13, byte == 0x20 || byte == 0x21 ? DW_E_AGAIN : DW_E_PROTOCOL);
		make(bytes, 0x21, byte, 216);
		check_untouched(bytes, 14, byte >> 4 <= 3 && (byte & 15) <= 2 ? DW_E_AGAIN : DW_E_PROTOCOL);
		make(bytes, 0x20, byte, 216);
		check_untouched(bytes, 14, DW_E_AGAIN);
	}
}

static void
what_others_say_first(void **state)
{
	static const char *const others[] = { "GET / HTTP/1.1\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n",
		"\x16\x03\x01\x02", "\r\n\r\nGET / HTTP/1.1\r\n" };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		check_untouched(others[i], 1, DW_E_PROTOCOL);
	check_untouched(others[3], 4, DW_E_AGAIN);
	check_untouched(others[3], 5, DW_E_PROTOCOL);
}

/* Never more than there is, never past the end, and always the same of the same. */
static void
random_bytes(void **state)
{
	uint8_t bytes[DW_HTTP_PROXY_MAX];
	int found = 0;

	(void)state;
	srandom(4711);
	for (int run = 0; run < 200000; run++) {
		size_t n = (size_t)random() % (sizeof(bytes) + 1), used = 0;
		struct dw_http_address address = own();
		int err;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)random();
		memcpy(bytes, MAGIC, n < 12 ? n : 12);
		if (n > 15 && run % 2 == 0)
			bytes[14] &= 1;
		if (n > 13 && run % 4 == 0)
			bytes[12] = 0x21;
		err = read_exactly(bytes, n, &used, &address);
		assert_true(err == DW_OK || err == DW_E_AGAIN || err == DW_E_PROTOCOL);
		if (err == DW_OK) {
			found++;
			assert_int_equal(used, 16 + (bytes[14] << 8 | bytes[15]));
			assert_true(used <= n);
		}
		assert_true(err != DW_E_AGAIN || n < DW_HTTP_PROXY_MAX);
	}
	assert_true(found > 100);
}

static void
check_socket(int domain, const struct sockaddr *any, socklen_t size, const char *want)
{
	struct dw_http_address address = own();
	char text[DW_HTTP_ADDRESS_TEXT], expected[DW_HTTP_ADDRESS_TEXT];
	int listener = socket(domain, SOCK_STREAM, 0), client = socket(domain, SOCK_STREAM, 0), server;
	struct sockaddr_storage at;
	socklen_t at_size = sizeof(at);
	struct sockaddr_in mine = { 0 };

	assert_int_equal(0, bind(listener, any, size));
	assert_int_equal(0, listen(listener, 1));
	assert_int_equal(0, getsockname(listener, (struct sockaddr *)&at, &at_size));
	mine.sin_family = AF_INET;
	mine.sin_port = ((struct sockaddr_in *)&at)->sin_port;
	mine.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (strchr(want, '[') == NULL) { /* IPv4 to whatever listens */
		close(client);
		client = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(0, connect(client, (struct sockaddr *)&mine, sizeof(mine)));
	} else {
		assert_int_equal(0, connect(client, (struct sockaddr *)&at, at_size));
	}
	server = accept(listener, NULL, NULL);
	dw_http_address_of_socket(server, &address);
	dw_http_address_text(&address, text);
	at_size = sizeof(at);
	assert_int_equal(0, getsockname(client, (struct sockaddr *)&at, &at_size));
	(void)snprintf(expected, sizeof(expected), "%s:%u", want, ntohs(((struct sockaddr_in *)&at)->sin_port));
	assert_string_equal(expected, text);
	close(server);
	close(client);
	close(listener);
}

static void
addresses_of_sockets(void **state)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr_in6 both = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	struct dw_http_address address = own();
	char text[DW_HTTP_ADDRESS_TEXT];
	int pair[2], lone = socket(AF_INET6, SOCK_STREAM, 0);

	(void)state;
	check_socket(AF_INET, (const struct sockaddr *)&v4, sizeof(v4), "127.0.0.1");
	if (lone >= 0 && bind(lone, (const struct sockaddr *)&v6, sizeof(v6)) == 0) {
		check_socket(AF_INET6, (const struct sockaddr *)&v6, sizeof(v6), "[::1]");
		check_socket(AF_INET6, (const struct sockaddr *)&both, sizeof(both), "127.0.0.1");
	}
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	dw_http_address_of_socket(pair[0], &address);
	dw_http_address_text(&address, text);
	assert_string_equal("unix", text);
	address = own();
	dw_http_address_of_socket(-1, &address);
	assert_int_equal(DW_HTTP_ADDRESS_NONE, address.family);
	close(pair[0]);
	close(pair[1]);
	if (lone >= 0)
		close(lone);
}

/* One place: an IPv4 address whatever its port, an IPv6 network of 64 bits. */
static void
keys_of_addresses(void **state)
{
	static const struct {
		enum dw_http_family family;
		const char *bytes, *other;
		bool same;
	} pairs[] = {
		{ DW_HTTP_ADDRESS_V4, "\xc0\x00\x02\x07", "\xc0\x00\x02\x07", true },
		{ DW_HTTP_ADDRESS_V4, "\xc0\x00\x02\x07", "\xc0\x00\x02\x08", false },
		{ DW_HTTP_ADDRESS_V6, V6_SOURCE, "\x20\x01\x0d\xb8\x00\x01\x00\x02\xff\xff\xff\xff\xff\xff\xff\xff", true },
		{ DW_HTTP_ADDRESS_V6, V6_SOURCE, "\x20\x01\x0d\xb8\x00\x01\x00\x03\x00\x00\x00\x00\x00\x00\x00\x09", false },
	};
	struct dw_http_address one, two;
	uint8_t key[DW_HTTP_ADDRESS_KEY], other[DW_HTTP_ADDRESS_KEY];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		dw_http_address_set(&one, pairs[i].family, pairs[i].bytes, "\x12\x67");
		dw_http_address_set(&two, pairs[i].family, pairs[i].other, "\x12\x68");
		dw_http_address_key(&one, key);
		dw_http_address_key(&two, other);
		assert_int_equal(pairs[i].same, memcmp(key, other, sizeof(key)) == 0);
	}
	dw_http_address_set(&one, DW_HTTP_ADDRESS_V6, V6_SOURCE, "\x12\x67"); /* the same first bytes, but IPv4 */
	dw_http_address_set(&two, DW_HTTP_ADDRESS_V4, V6_SOURCE, "\x12\x67");
	dw_http_address_key(&one, key);
	dw_http_address_key(&two, other);
	assert_memory_not_equal(key, other, sizeof(key));
	dw_http_address_set(&two, DW_HTTP_ADDRESS_NONE, NULL, NULL);
	dw_http_address_key(&two, other);
	assert_memory_equal(zeros, other, sizeof(other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_and_its_beginnings),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(lengths),
		cmocka_unit_test(lengths_that_are_told_early),
		cmocka_unit_test(wrong_bytes),
		cmocka_unit_test(what_others_say_first),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(addresses_of_sockets),
		cmocka_unit_test(keys_of_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
