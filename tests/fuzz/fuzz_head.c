/* links: cmd/diagws-edge/door/upgrade.c */
/* libs: jansson libcrypto */
/* The gate's heads and what libmicrohttpd reads of a client: in whatever pieces the bytes come, the same is given; it
 * is canonical, and read once more it is itself. */
#include "cli/opt.h"
#include "door/upgrade.h"
#include "fuzz.h"
#include "http/reader.h"

static const struct dw_opt_list nobody;

static void
run(struct dw_http_reader *reader, struct dw_str bytes, size_t put, size_t get, struct dw_buf *out)
{
	*reader = (struct dw_http_reader) { .asks = upgrade_asked, .origins = &nobody };
	for (size_t at = 0; at < bytes.n; at += put) {
		size_t got;

		dw_http_reader_put(reader, bytes.p + at, bytes.n - at < put ? bytes.n - at : put);
		do {
			got = dw_http_reader_get(reader, dw_buf_room(out, get), get);
			dw_buf_grow(out, got);
		} while (got > 0);
	}
	REQUIRE(dw_buf_ok(out));
}

static bool
contains(const struct dw_buf *buf, const char *text)
{
	return buf->len > 0 && memmem(buf->data, buf->len, text, strlen(text)) != NULL;
}

/* With '%' where the canonical path has '#'; of the rest both are the same to us. */
static void
as_sent(struct dw_buf *buf)
{
	for (size_t i = 0; i < buf->len; i++)
		if (buf->data[i] == '#')
			buf->data[i] = '%';
}

/* The first head of what is canonical, which is as sent afterwards. */
static void
check_canonical(struct dw_buf *given)
{
	size_t scanned = 0, end = 0;
	struct dw_http_head head;
	const char *space = memchr(given->data, ' ', given->len);

	REQUIRE(memchr(space + 1, '%', strcspn(space + 1, " ?")) == NULL);
	as_sent(given);
	REQUIRE(dw_http_head_end(given->data, given->len, &scanned, &end) == DW_HEAD_OK);
	if (end == 0)
		return;
	REQUIRE(dw_http_head_parse(given->data, end, &head) == DW_HEAD_OK);
	REQUIRE(head.path.n > 0);
	REQUIRE(head.host.n > 0 && !head.websocket && !head.upgrades && !(head.chunked && (head.old || head.has_length)));
	REQUIRE(head.authorization.n <= DW_HTTP_AUTHORIZATION_MAX && head.content_type.n <= DW_HTTP_VALUE_MAX &&
			head.origin.n <= DW_HTTP_VALUE_MAX);
}

static void
check_reader(struct dw_str bytes, size_t put, size_t get)
{
	struct dw_buf whole = { 0 }, pieces = { 0 }, again = { 0 };
	struct dw_http_reader reader, other;

	run(&reader, bytes, bytes.n + 1, 64 * 1024, &whole);
	run(&other, bytes, put, get, &pieces);
	REQUIRE(fuzz_same(fuzz_bytes(&whole), fuzz_bytes(&pieces)) && reader.state == other.state);
	REQUIRE(reader.requests == other.requests && reader.fault == other.fault && reader.upgrade == other.upgrade);
	dw_http_reader_clear(&other);
	if (whole.len > 0 && !contains(&whole, "\r\nRefused: ") && !contains(&whole, "\r\nEncoded: ")) {
		check_canonical(&whole);
		run(&other, fuzz_bytes(&whole), put, get, &again);
		as_sent(&again);
		REQUIRE(fuzz_same(fuzz_bytes(&whole), fuzz_bytes(&again)) && other.requests == reader.requests);
		dw_http_reader_clear(&other);
	}
	dw_http_reader_clear(&reader);
	dw_buf_clear(&whole);
	dw_buf_clear(&pieces);
	dw_buf_clear(&again);
}

static bool
is_within(struct dw_str part, struct dw_str all)
{
	return part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

static void
check_head(struct dw_str bytes)
{
	static const char *const names[] = { "token", "device", "after", "" };
	char value[24];
	size_t scanned = 0, end = 0, stepwise = 0;
	struct dw_http_head head;
	enum dw_http_fault fault = bytes.n > 0 ? dw_http_head_end(bytes.p, bytes.n, &scanned, &end) : DW_HEAD_START;

	if (fault != DW_HEAD_OK || end == 0)
		return;
	scanned = 0;
	for (size_t n = 1; n <= end; n++)
		REQUIRE(dw_http_head_end(bytes.p, n, &scanned, &stepwise) == DW_HEAD_OK && stepwise == (n < end ? 0 : end));
	bytes.n = end;
	fault = dw_http_head_parse(bytes.p, bytes.n, &head);
	REQUIRE(is_within(head.method, bytes) && is_within(head.target, bytes) && is_within(head.path, bytes));
	REQUIRE(is_within(head.host, bytes) && is_within(head.authorization, bytes) && is_within(head.key, bytes));
	if (fault != DW_HEAD_OK)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *found = dw_http_target_argument(&head, names[i], value, sizeof(value));

		REQUIRE(found == NULL || memchr(found, '\0', sizeof(value)) != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t put = (size_t)fuzz_byte(&data, &size) + 1, get = (size_t)fuzz_byte(&data, &size) + 1;
	const struct dw_str bytes = { (const char *)data, size };

	check_head(bytes);
	check_reader(bytes, put, get);
	return 0;
}
