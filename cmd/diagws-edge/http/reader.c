/* From a client's bytes to canonical requests: see reader.h. Its own file because it is pure, and the one place that
 * decides where a request begins and ends.
 *
 * Happy path: reader_put → reader_get: a head, its body, the next head. Failure modes: a malformed head or chunk (it is
 * refused, and nothing behind it is read), a body that is too large. Invariants: what is kept is less than a head and
 * what was put at once; a byte is given or dropped once.
 */
#include "reader.h"

#include <string.h>

#include "door/upgrade.h"

enum { LIMIT_CHUNK_LINE = 256, LIMIT_TRAILER = 8 * 1024, LIMIT_BLANK = 32, KEPT = 4 * 1024 };

/* Empties it; a large one is given back, so that an idle connection holds none. */
static void
empty(struct dw_buf *buf, size_t *at)
{
	*at = 0;
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->len); /* there may be a token in it */
	if (buf->cap > KEPT)
		dw_buf_clear(buf);
	else
		dw_buf_reset(buf);
}

static size_t
waiting(const struct reader *reader)
{
	return reader->in.len - reader->in_at;
}

static void
drop(struct reader *reader, size_t n)
{
	reader->in_at += n;
	reader->scanned = 0;
	if (reader->in_at == reader->in.len)
		empty(&reader->in, &reader->in_at);
}

void
reader_put(struct reader *reader, const void *bytes, size_t n)
{
	if (reader->state == READ_NOTHING)
		return;
	if (reader->upgrade) { /* something follows it, as if all had come at once: its head is judged anew */
		reader->upgrade = false;
		reader->scanned = 0;
	}
	if (reader->in_at > 0) {
		memmove(reader->in.data, reader->in.data + reader->in_at, waiting(reader));
		reader->in.len -= reader->in_at;
		reader->in_at = 0;
	}
	dw_buf_add(&reader->in, bytes, n);
}

/* One that is too long to be any good is as good as none that is. */
static void
add_field(struct dw_buf *out, const char *name, struct dw_str value)
{
	head_write(out, name, value.n <= LIMIT_VALUE ? value : DW_STR("!"));
}

static void
add_target(struct dw_buf *out, const struct head *head)
{
	const size_t from = out->len;

	dw_buf_add(out, head->target.p, head->target.n);
	for (size_t i = from; i < from + head->path.n && dw_buf_ok(out); i++)
		if (out->data[i] == '%')
			out->data[i] = '!';
}

static void
add_framing(struct dw_buf *out, const struct head *head)
{
	if (head->chunked)
		dw_buf_adds(out, "Transfer-Encoding: chunked\r\n");
	else if (head->has_length)
		dw_buf_addf(out, "Content-Length: %llu\r\n", (unsigned long long)head->length);
	if (head->continues && (head->chunked || head->length > 0))
		dw_buf_adds(out, "Expect: 100-continue\r\n");
}

static void
write_head(struct reader *reader, const struct head *head, enum head_fault fault, bool whole)
{
	struct dw_buf *out = &reader->out;

	dw_buf_add(out, head->method.p, head->method.n);
	dw_buf_addc(out, ' ');
	add_target(out, head);
	dw_buf_adds(out, head->old ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
	head_write(out, "Host", head->host.n > 0 ? head->host : DW_STR("-"));
	if (whole)
		add_framing(out, head);
	if (head->closes || !whole)
		dw_buf_adds(out, "Connection: close\r\n");
	else if (head->old && head->keeps)
		dw_buf_adds(out, "Connection: keep-alive\r\n");
	if (head->has_authorization)
		head_write(out, "Authorization", upgrade_authorization(head));
	if (head->content_type.n > 0)
		add_field(out, "Content-Type", head->content_type);
	if (head->has_origin)
		add_field(out, "Origin", head->origin);
	if (head->asked_method.n > 0)
		add_field(out, "Access-Control-Request-Method", head->asked_method);
	if (head->encoded)
		dw_buf_adds(out, "Encoded: 1\r\n");
	if (fault != HEAD_OK)
		dw_buf_addf(out, "Refused: %d\r\n", (int)fault);
	dw_buf_adds(out, "\r\n");
	reader->requests++;
}

/* Nothing is read behind it. */
static void
refuse(struct reader *reader, const struct head *head, enum head_fault fault)
{
	struct head shown = { .method = DW_STR("GET"), .target = DW_STR("/"), .path = DW_STR("/"), .old = head->old };

	if (dw_str_is(head->method, "HEAD"))
		shown.method = head->method;
	write_head(reader, &shown, fault, false);
	reader->state = READ_NOTHING;
}

/* false: it is left where it is, for it asks for a WebSocket and may have it. */
static bool
take_upgrade(struct reader *reader, const struct head *head, size_t end)
{
	enum head_fault fault = upgrade_check(head, reader->origins);

	if (fault == HEAD_OK && end < waiting(reader))
		fault = HEAD_EAGER;
	reader->upgrade = fault == HEAD_OK;
	if (reader->upgrade)
		return false;
	write_head(reader, head, fault, false);
	reader->state = READ_NOTHING;
	return true;
}

static void
begin_body(struct reader *reader, const struct head *head)
{
	reader->left = head->length;
	reader->total = 0;
	reader->blank = 0;
	reader->last = head->closes || (head->old && !head->keeps);
	if (head->chunked)
		reader->state = READ_CHUNK;
	else if (head->length > LIMIT_BODY)
		reader->state = READ_NOTHING;
	else if (head->length > 0)
		reader->state = READ_BODY;
}

/* false: it is not whole yet, or an upgrade. */
static bool
take_head(struct reader *reader)
{
	struct head head = { 0 };
	enum head_fault fault;
	size_t end = 0;

	while (waiting(reader) >= 2 && memcmp(reader->in.data + reader->in_at, "\r\n", 2) == 0) {
		drop(reader, 2);
		reader->blank += 2;
	}
	if (reader->blank > LIMIT_BLANK) {
		refuse(reader, &head, HEAD_START);
		return true;
	}
	if (reader->last) {
		reader->state = READ_NOTHING;
		return false;
	}
	if (waiting(reader) == 0 || (waiting(reader) == 1 && reader->in.data[reader->in_at] == '\r'))
		return false;
	fault = head_end(reader->in.data + reader->in_at, waiting(reader), &reader->scanned, &end);
	if (fault == HEAD_OK && end == 0)
		return false;
	if (end > 0) {
		const enum head_fault parsed = head_parse(reader->in.data + reader->in_at, end, &head);

		fault = fault != HEAD_OK ? fault : parsed;
	}
	if (fault != HEAD_OK) {
		if (waiting(reader) > 5 && memcmp(reader->in.data + reader->in_at, "HEAD ", 5) == 0)
			head.method = DW_STR("HEAD"); /* whatever came of the rest: its answer has no body */
		refuse(reader, &head, fault);
		return true;
	}
	if (upgrade_asked(&head))
		return take_upgrade(reader, &head, end);
	fault = head.length > LIMIT_BODY ? HEAD_BODY : HEAD_OK;
	write_head(reader, &head, fault, fault == HEAD_OK);
	begin_body(reader, &head);
	drop(reader, end);
	return true;
}

/* The chunked body ends here, whatever comes. */
static void
end_body(struct reader *reader, enum head_fault fault)
{
	dw_buf_adds(&reader->out, reader->state == READ_TRAILER ? "\r\n" : "0\r\n\r\n");
	reader->fault = fault;
	reader->state = READ_NOTHING;
}

/* A line's length without CR LF. false: it is not whole, or malformed and the body has ended. */
static bool
find_line(struct reader *reader, size_t limit, size_t *length)
{
	const char *from = reader->in.data + reader->in_at, *end = memchr(from, '\n', waiting(reader));
	const size_t n = end != NULL ? (size_t)(end - from) : waiting(reader);
	bool good = n <= limit && (end == NULL || (n > 0 && from[n - 1] == '\r'));

	for (size_t i = 0; good && end != NULL && i + 1 < n; i++)
		good = (unsigned char)from[i] >= ' ' || from[i] == '\t';
	if (!good)
		end_body(reader, HEAD_CHUNK);
	*length = n > 0 ? n - 1 : 0;
	return good && end != NULL;
}

/* SIZE [";" extension] CR LF; the extension is dropped. */
static bool
take_chunk_size(struct reader *reader)
{
	const char *from = reader->in.data + reader->in_at;
	uint64_t size = 0;
	size_t length, i = 0;

	if (!find_line(reader, LIMIT_CHUNK_LINE, &length))
		return reader->state == READ_NOTHING;
	for (; i < length && i < 8; i++) {
		const char c = from[i], lower = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			size = size << 4 | (uint64_t)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			size = size << 4 | (uint64_t)(lower - 'a' + 10);
		else
			break;
	}
	reader->total += size;
	if (i == 0 || (i < length && from[i] != ';')) {
		end_body(reader, HEAD_CHUNK);
		return true;
	}
	if (reader->total > LIMIT_BODY) {
		end_body(reader, HEAD_BODY);
		return true;
	}
	drop(reader, length + 2);
	dw_buf_addf(&reader->out, "%llx\r\n", (unsigned long long)size);
	reader->left = size;
	reader->state = size > 0 ? READ_CHUNK_DATA : READ_TRAILER;
	return true;
}

static bool
take_chunk_end(struct reader *reader)
{
	if (waiting(reader) < 2 && reader->in.data[reader->in_at] == '\r')
		return false;
	if (memcmp(reader->in.data + reader->in_at, "\r\n", waiting(reader) < 2 ? 1 : 2) != 0) {
		dw_buf_adds(&reader->out, "\r\n");
		end_body(reader, HEAD_CHUNK);
		return true;
	}
	drop(reader, 2);
	dw_buf_adds(&reader->out, "\r\n");
	reader->state = READ_CHUNK;
	return true;
}

/* Trailers are dropped. */
static bool
take_trailer(struct reader *reader)
{
	size_t length;

	if (!find_line(reader, LIMIT_TRAILER, &length))
		return reader->state == READ_NOTHING;
	reader->total += length;
	if (reader->total > LIMIT_BODY + LIMIT_TRAILER) {
		end_body(reader, HEAD_CHUNK);
		return true;
	}
	if (length > 0 && !head_is_field(dw_bytes(reader->in.data + reader->in_at, length))) {
		end_body(reader, HEAD_CHUNK);
		return true;
	}
	drop(reader, length + 2);
	if (length == 0) {
		dw_buf_adds(&reader->out, "\r\n");
		reader->state = READ_HEAD;
	}
	return true;
}

/* false: more has to come. */
static bool
step(struct reader *reader)
{
	switch (reader->state) {
	case READ_HEAD:
		return take_head(reader);
	case READ_CHUNK:
		return take_chunk_size(reader);
	case READ_CHUNK_END:
		return take_chunk_end(reader);
	case READ_TRAILER:
		return take_trailer(reader);
	default:
		return false;
	}
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* What is ready, of the canonical head or of the body. */
static size_t
give(struct reader *reader, char *out, size_t n)
{
	size_t size = least(n, reader->out.len - reader->out_at);

	if (size > 0) {
		memcpy(out, reader->out.data + reader->out_at, size);
		reader->out_at += size;
		if (reader->out_at == reader->out.len)
			empty(&reader->out, &reader->out_at);
		return size;
	}
	if (reader->state != READ_BODY && reader->state != READ_CHUNK_DATA)
		return 0;
	size = least(n, waiting(reader));
	size = reader->left < size ? (size_t)reader->left : size;
	if (size == 0)
		return 0;
	memcpy(out, reader->in.data + reader->in_at, size);
	drop(reader, size);
	reader->left -= size;
	if (reader->left == 0)
		reader->state = reader->state == READ_BODY ? READ_HEAD : READ_CHUNK_END;
	return size;
}

size_t
reader_get(struct reader *reader, char *out, size_t n)
{
	size_t given = 0, size;

	while (given < n) {
		size = give(reader, out + given, n - given);
		given += size;
		if (size == 0 && (reader->upgrade || waiting(reader) == 0 || !step(reader)))
			break;
	}
	return given;
}

bool
reader_begun(const struct reader *reader)
{
	return reader->state == READ_HEAD && waiting(reader) > 0;
}

bool
reader_in_body(const struct reader *reader)
{
	return reader->state != READ_HEAD && reader->state != READ_NOTHING;
}

void
reader_clear(struct reader *reader)
{
	empty(&reader->in, &reader->in_at);
	empty(&reader->out, &reader->out_at);
	dw_buf_clear(&reader->in);
	dw_buf_clear(&reader->out);
}
