/* A growing byte buffer, which doubles (buf.h). */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dw_str
dw_str(const char *text)
{
	return (struct dw_str) { text, text != NULL ? strlen(text) : 0 };
}

bool
dw_str_copy(struct dw_str s, char *out, size_t size)
{
	if (s.n >= size)
		return false;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

void
dw_buf_clear(struct dw_buf *b)
{
	free(b->data);
	*b = (struct dw_buf) { 0 };
}

void
dw_buf_reset(struct dw_buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

bool
dw_buf_ok(const struct dw_buf *b)
{
	return !b->failed;
}

char *
dw_buf_room(struct dw_buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > SIZE_MAX / 2 - b->len - 1) {
		b->failed = true;
		return NULL;
	}
	if (b->cap - b->len <= n) {
		size_t cap = b->cap > 0 ? b->cap : 128;
		char *data;

		while (cap - b->len <= n)
			cap *= 2;
		data = realloc(b->data, cap);
		if (data == NULL) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void
dw_buf_grow(struct dw_buf *b, size_t n)
{
	if (b->failed)
		return;
	b->len += n;
	b->data[b->len] = '\0';
}

void
dw_buf_add(struct dw_buf *b, const void *bytes, size_t n)
{
	char *to = dw_buf_room(b, n);

	if (to == NULL)
		return;
	if (n > 0)
		memcpy(to, bytes, n);
	dw_buf_grow(b, n);
}

void
dw_buf_addc(struct dw_buf *b, char c)
{
	dw_buf_add(b, &c, 1);
}

void
dw_buf_adds(struct dw_buf *b, const char *text)
{
	dw_buf_add(b, text, strlen(text));
}

void
dw_buf_addf(struct dw_buf *b, const char *format, ...)
{
	va_list args;
	int wanted;
	char *to;

	va_start(args, format);
	wanted = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (wanted < 0) {
		b->failed = true;
		return;
	}
	to = dw_buf_room(b, (size_t)wanted);
	if (to == NULL)
		return;
	va_start(args, format);
	(void)vsnprintf(to, (size_t)wanted + 1, format, args);
	va_end(args);
	dw_buf_grow(b, (size_t)wanted);
}

char *
dw_put_decimal(char *to, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	memcpy(to, digits + at, sizeof(digits) - at);
	return to + sizeof(digits) - at;
}

void
dw_buf_addu(struct dw_buf *b, uint64_t value)
{
	char digits[20];

	dw_buf_add(b, digits, (size_t)(dw_put_decimal(digits, value) - digits));
}

/* As short as it goes: what came as JSON is never longer than it was. */
static void
add_escape(struct dw_buf *b, unsigned char c)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *s = shorts; *s != '\0'; s += 2) {
		if ((unsigned char)s[0] != c)
			continue;
		dw_buf_addc(b, '\\');
		dw_buf_addc(b, s[1]);
		return;
	}
	dw_buf_addf(b, "\\u%04x", c);
}

void
dw_buf_add_json_string(struct dw_buf *b, struct dw_str s)
{
	size_t from = 0;

	dw_buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		dw_buf_add(b, s.p + from, i - from);
		from = i + 1;
		add_escape(b, c);
	}
	if (s.n > from)
		dw_buf_add(b, s.p + from, s.n - from);
	dw_buf_addc(b, '"');
}
