/* From a client's bytes to canonical requests: see reader.h. This is the one place that decides where a request begins
 * and ends. Failure modes: a malformed head or chunk (it is refused, and nothing behind it is read), a body that is too
 * large. Invariants: what is kept is less than a head and what was put at once; a byte is given or dropped once.
 */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

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

/* What came and was not taken yet. */
static struct dw_str
rest(const struct dw_http_reader *reader)
{
	const size_t n = reader->in.len - reader->in_at;

	return dw_bytes(n > 0 ? reader->in.data + reader->in_at : NULL, n);
}

static bool
begins(const struct dw_http_reader *reader, const char *text)
{
	const size_t n = strlen(text);

	return rest(reader).n >= n && memcmp(rest(reader).p, text, n) == 0;
}

static void
drop(struct dw_http_reader *reader, size_t n)
{
	reader->in_at += n;
	reader->scanned = 0;
	if (reader->in_at == reader->in.len)
		empty(&reader->in, &reader->in_at);
}

void
dw_http_reader_put(struct dw_http_reader *reader, const void *bytes, size_t n)
{
	if (reader->state == DW_HTTP_READ_NOTHING)
		return;
	if (reader->upgrade) { /* something follows it, as if all had come at once: its head is judged anew */
		reader->upgrade = false;
		reader->scanned = 0;
	}
	if (reader->in_at > 0) {
		reader->in.len -= reader->in_at;
		memmove(reader->in.data, reader->in.data + reader->in_at, reader->in.len);
		reader->in_at = 0;
	}
	dw_buf_add(&reader->in, bytes, n);
}

/* The Authorization, or, where it is too long for a token, one as good as that. */
static struct dw_str
fit_authorization(struct dw_str authorization)
{
	if (authorization.n <= DW_HTTP_AUTHORIZATION_MAX)
		return authorization;
	return dw_http_bearer(authorization).p != NULL ? DW_STR("Bearer !") : DW_STR("!");
}

/* One that is too long to be any good is as good as none that is. */
static void
add_field(struct dw_buf *out, const char *name, struct dw_str value)
{
	dw_http_head_write(out, name, value.n <= DW_HTTP_VALUE_MAX ? value : DW_STR("!"));
}

static void
add_target(struct dw_buf *out, const struct dw_http_head *head)
{
	const size_t from = out->len;

	dw_buf_add(out, head->target.p, head->target.n);
	for (size_t i = from; i < from + head->path.n && dw_buf_ok(out); i++)
		if (out->data[i] == '%')
			out->data[i] = '#';
}

static void
add_framing(struct dw_buf *out, const struct dw_http_head *head)
{
	if (head->chunked)
		dw_buf_adds(out, "Transfer-Encoding: chunked\r\n");
	else if (head->has_length)
		dw_buf_addf(out, "Content-Length: %llu\r\n", (unsigned long long)head->length);
	if (head->continues && (head->chunked || head->length > 0))
		dw_buf_adds(out, "Expect: 100-continue\r\n");
}

static void
write_head(struct dw_http_reader *reader, const struct dw_http_head *head, enum dw_http_fault fault, bool whole)
{
	struct dw_buf *out = &reader->out;

	dw_buf_add(out, head->method.p, head->method.n);
	dw_buf_addc(out, ' ');
	add_target(out, head);
	dw_buf_adds(out, head->old ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
	dw_http_head_write(out, "Host", head->host.n > 0 ? head->host : DW_STR("-"));
	if (whole)
		add_framing(out, head);
	if (head->closes || !whole)
		dw_buf_adds(out, "Connection: close\r\n");
	else if (head->old && head->keeps)
		dw_buf_adds(out, "Connection: keep-alive\r\n");
	if (head->has_authorization)
		dw_http_head_write(out, "Authorization", fit_authorization(head->authorization));
	if (head->content_type.n > 0)
		add_field(out, "Content-Type", head->content_type);
	if (head->has_origin)
		add_field(out, "Origin", head->origin);
	if (head->if_none_match.n > 0)
		add_field(out, "If-None-Match", head->if_none_match);
	if (head->asked_method.n > 0)
		add_field(out, "Access-Control-Request-Method", head->asked_method);
	if (head->encoded)
		dw_buf_adds(out, "Encoded: 1\r\n");
	if (fault != DW_HEAD_OK)
		dw_buf_addf(out, "Refused: %d\r\n", (int)fault);
	dw_buf_adds(out, "\r\n");
	reader->requests++;
}

/* Nothing is read behind it. */
static bool
refuse(struct dw_http_reader *reader, const struct dw_http_head *head, enum dw_http_fault fault)
{
	struct dw_http_head shown = {
		.method = DW_STR("GET"), .target = DW_STR("/"), .path = DW_STR("/"), .old = head->old
	};

	if (dw_str_is(head->method, "HEAD"))
		shown.method = head->method;
	write_head(reader, &shown, fault, false);
	reader->state = DW_HTTP_READ_NOTHING;
	return true;
}

/* false: it is left where it is, for it asks for an upgrade and may have it. */
static bool
take_upgrade(struct dw_http_reader *reader, const struct dw_http_head *head, size_t end, enum dw_http_fault fault)
{
	if (fault == DW_HEAD_OK && end < rest(reader).n)
		fault = DW_HEAD_EAGER;
	reader->upgrade = fault == DW_HEAD_OK;
	if (reader->upgrade)
		return false;
	write_head(reader, head, fault, false);
	reader->state = DW_HTTP_READ_NOTHING;
	return true;
}

static void
begin_body(struct dw_http_reader *reader, const struct dw_http_head *head)
{
	reader->left = head->length;
	reader->total = 0;
	reader->blank = 0;
	reader->last = head->closes || (head->old && !head->keeps);
	if (head->chunked)
		reader->state = DW_HTTP_READ_CHUNK;
	else if (head->length > DW_HTTP_BODY_MAX)
		reader->state = DW_HTTP_READ_NOTHING;
	else if (head->length > 0)
		reader->state = DW_HTTP_READ_BODY;
}

/* false: it is not whole yet, or an upgrade. */
static bool
take_head(struct dw_http_reader *reader)
{
	struct dw_http_head head = { 0 };
	enum dw_http_fault fault;
	size_t end = 0;

	for (; begins(reader, "\r\n"); reader->blank += 2)
		drop(reader, 2);
	if (reader->blank > LIMIT_BLANK)
		return refuse(reader, &head, DW_HEAD_START);
	if (reader->last) {
		reader->state = DW_HTTP_READ_NOTHING;
		return false;
	}
	if (rest(reader).n == 0 || (rest(reader).n == 1 && rest(reader).p[0] == '\r'))
		return false;
	fault = dw_http_head_end(rest(reader).p, rest(reader).n, &reader->scanned, &end);
	if (fault == DW_HEAD_OK && end == 0)
		return false;
	if (end > 0) {
		const enum dw_http_fault parsed = dw_http_head_parse(rest(reader).p, end, &head);

		fault = fault != DW_HEAD_OK ? fault : parsed;
	}
	if (fault != DW_HEAD_OK) {
		if (begins(reader, "HEAD "))
			head.method = DW_STR("HEAD"); /* whatever came of the rest: its answer has no body */
		return refuse(reader, &head, fault);
	}
	if (reader->asks != NULL && reader->asks(&head, reader->origins, &fault))
		return take_upgrade(reader, &head, end, fault);
	fault = head.length > DW_HTTP_BODY_MAX ? DW_HEAD_BODY : DW_HEAD_OK;
	write_head(reader, &head, fault, fault == DW_HEAD_OK);
	begin_body(reader, &head);
	drop(reader, end);
	return true;
}

/* The chunked body ends here, whatever comes. */
static bool
end_body(struct dw_http_reader *reader, enum dw_http_fault fault)
{
	dw_buf_adds(&reader->out, reader->state == DW_HTTP_READ_TRAILER ? "\r\n" : "0\r\n\r\n");
	reader->fault = fault;
	reader->state = DW_HTTP_READ_NOTHING;
	return true;
}

/* A line's length without CR LF. false: it is not whole, or malformed and the body has ended. */
static bool
find_line(struct dw_http_reader *reader, size_t limit, size_t *length)
{
	const char *from = rest(reader).p, *end = memchr(from, '\n', rest(reader).n);
	const size_t n = end != NULL ? (size_t)(end - from) : rest(reader).n;
	bool good = n <= limit && (end == NULL || (n > 0 && from[n - 1] == '\r'));

	for (size_t i = 0; good && end != NULL && i + 1 < n; i++)
		good = (unsigned char)from[i] >= ' ' || from[i] == '\t';
	if (!good)
		(void)end_body(reader, DW_HEAD_CHUNK);
	*length = n > 0 ? n - 1 : 0;
	return good && end != NULL;
}

/* SIZE [";" extension] CR LF; the extension is dropped. */
static bool
take_chunk_size(struct dw_http_reader *reader)
{
	const char *from = rest(reader).p;
	uint64_t size;
	size_t length, digits;

	if (!find_line(reader, LIMIT_CHUNK_LINE, &length))
		return reader->state == DW_HTTP_READ_NOTHING;
	digits = strspn(from, "0123456789abcdefABCDEF");
	if (digits == 0 || digits > 8 || (digits < length && from[digits] != ';'))
		return end_body(reader, DW_HEAD_CHUNK);
	size = strtoul(from, NULL, 16);
	reader->total += size;
	if (reader->total > DW_HTTP_BODY_MAX)
		return end_body(reader, DW_HEAD_BODY);
	drop(reader, length + 2);
	dw_buf_addf(&reader->out, "%llx\r\n", (unsigned long long)size);
	reader->left = size;
	reader->state = size > 0 ? DW_HTTP_READ_CHUNK_DATA : DW_HTTP_READ_TRAILER;
	return true;
}

static bool
take_chunk_end(struct dw_http_reader *reader)
{
	if (rest(reader).n < 2 && begins(reader, "\r"))
		return false;
	dw_buf_adds(&reader->out, "\r\n");
	if (!begins(reader, "\r\n"))
		return end_body(reader, DW_HEAD_CHUNK);
	drop(reader, 2);
	reader->state = DW_HTTP_READ_CHUNK;
	return true;
}

/* Trailers are dropped. */
static bool
take_trailer(struct dw_http_reader *reader)
{
	size_t length;

	if (!find_line(reader, LIMIT_TRAILER, &length))
		return reader->state == DW_HTTP_READ_NOTHING;
	reader->total += length;
	if (reader->total > DW_HTTP_BODY_MAX + LIMIT_TRAILER ||
		(length > 0 && !dw_http_head_is_field(dw_bytes(rest(reader).p, length))))
		return end_body(reader, DW_HEAD_CHUNK);
	drop(reader, length + 2);
	if (length == 0) {
		dw_buf_adds(&reader->out, "\r\n");
		reader->state = DW_HTTP_READ_HEAD;
	}
	return true;
}

/* false: more has to come. */
static bool
step(struct dw_http_reader *reader)
{
	switch (reader->state) {
	case DW_HTTP_READ_HEAD:
		return take_head(reader);
	case DW_HTTP_READ_CHUNK:
		return take_chunk_size(reader);
	case DW_HTTP_READ_CHUNK_END:
		return take_chunk_end(reader);
	case DW_HTTP_READ_TRAILER:
		return take_trailer(reader);
	default:
		return false;
	}
}

/* Gives what is in a buffer, up to n bytes. */
static size_t
give(struct dw_buf *buf, size_t *at, char *out, size_t n)
{
	const size_t size = n < buf->len - *at ? n : buf->len - *at;

	if (size == 0)
		return 0;
	memcpy(out, buf->data + *at, size);
	*at += size;
	if (*at == buf->len)
		empty(buf, at);
	return size;
}

/* The same of the canonical head, or else of the body. */
static size_t
give_ready(struct dw_http_reader *reader, char *out, size_t n)
{
	size_t size = give(&reader->out, &reader->out_at, out, n);

	if (size > 0 || (reader->state != DW_HTTP_READ_BODY && reader->state != DW_HTTP_READ_CHUNK_DATA))
		return size;
	size = give(&reader->in, &reader->in_at, out, reader->left < n ? (size_t)reader->left : n);
	reader->left -= size;
	if (reader->left == 0)
		reader->state = reader->state == DW_HTTP_READ_BODY ? DW_HTTP_READ_HEAD : DW_HTTP_READ_CHUNK_END;
	return size;
}

size_t
dw_http_reader_get(struct dw_http_reader *reader, char *out, size_t n)
{
	size_t given = 0, size;

	while (given < n) {
		size = give_ready(reader, out + given, n - given);
		given += size;
		if (size == 0 && (reader->upgrade || rest(reader).n == 0 || !step(reader)))
			break;
	}
	return given;
}

void
dw_http_reader_clear(struct dw_http_reader *reader)
{
	empty(&reader->in, &reader->in_at);
	empty(&reader->out, &reader->out_at);
	dw_buf_clear(&reader->in);
	dw_buf_clear(&reader->out);
}
