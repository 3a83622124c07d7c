/* A growing byte buffer, and a borrowed run of bytes.
 *
 * After a failed allocation every later call does nothing, so a builder of many pieces looks once, at the end
 * (dw_buf_ok). The text is kept NUL-terminated; `len` does not count the NUL. Sizes that a peer controls the caller
 * checks before adding.
 */
#ifndef DIAGWS_BUF_H
#define DIAGWS_BUF_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct dw_str {
	const char *p; /* borrowed; not NUL-terminated; may be NULL when n is 0 */
	size_t n;
};

struct dw_buf {
	char *data; /* NULL until something was added */
	size_t len;
	size_t cap;
	bool failed;
};

#define DW_STR(literal) ((struct dw_str) { (literal), sizeof(literal) - 1 })

struct dw_str dw_str(const char *text); /* NULL gives an empty run */
static inline struct dw_str
dw_bytes(const void *p, size_t n)
{
	return (struct dw_str) { (const char *)p, n };
}
/* Takes the first n bytes, which are there, off s. */
static inline struct dw_str
dw_str_take(struct dw_str *s, size_t n)
{
	const struct dw_str taken = { s->p, n };

	*s = (struct dw_str) { s->p + n, s->n - n };
	return taken;
}
/* n: 1, 2, 4 or 8. */
static inline uint64_t
dw_big_endian(const void *p, size_t n)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (n) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		memcpy(&two, p, sizeof(two));
		return be16toh(two);
	case 4:
		memcpy(&four, p, sizeof(four));
		return be32toh(four);
	default:
		memcpy(&eight, p, sizeof(eight));
		return be64toh(eight);
	}
}
static inline bool
dw_str_is(struct dw_str s, const char *text)
{
	const size_t n = strlen(text);

	return s.n == n && (n == 0 || memcmp(s.p, text, n) == 0);
}
/* Copies s and a NUL into out[size]; false (and out untouched) when it does not fit. */
bool dw_str_copy(struct dw_str s, char *out, size_t size);

void dw_buf_clear(struct dw_buf *b); /* frees; usable again */
void dw_buf_reset(struct dw_buf *b); /* empties, keeps the memory, forgets a failure */
bool dw_buf_ok(const struct dw_buf *b);
/* Makes room for n more bytes and returns where to write them (NULL: out of memory); dw_buf_grow
 * then says how many were written. */
char *dw_buf_room(struct dw_buf *b, size_t n);
void dw_buf_grow(struct dw_buf *b, size_t n);
void dw_buf_add(struct dw_buf *b, const void *bytes, size_t n);
void dw_buf_addc(struct dw_buf *b, char c);
void dw_buf_adds(struct dw_buf *b, const char *text);
void dw_buf_addf(struct dw_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes at most 20 digits, without an end, and returns where they end. */
char *dw_put_decimal(char *to, uint64_t value);
void dw_buf_addu(struct dw_buf *b, uint64_t value); /* decimal digits */
/* A JSON string with its quotes (RFC 8259 section 7), in as few bytes as it goes; the bytes must be valid UTF-8. */
void dw_buf_add_json_string(struct dw_buf *b, struct dw_str s);

#endif
