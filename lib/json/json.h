/* JSON that a peer sent: checked strictly, then looked at one level deep, in the sender's own bytes.
 *
 * jansson judges (RFC 8259, UTF-8, no duplicate keys at any depth, no \u0000, no number beyond 64
 * bits or a double), jsmn locates: what we forward are the sender's bytes, not a re-print of them,
 * for a parser's re-print turns 1.10 into 1.1000000000000001. White space outside strings is dropped.
 */
#ifndef DIAGWS_JSON_H
#define DIAGWS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum dw_json_type {
	DW_JSON_NULL,
	DW_JSON_BOOL,
	DW_JSON_INTEGER,
	DW_JSON_REAL,
	DW_JSON_STRING,
	DW_JSON_ARRAY,
	DW_JSON_OBJECT
};

struct dw_json_member {
	struct dw_str key;     /* decoded; for array elements empty */
	struct dw_str raw_key; /* the sender's bytes with the quotes; for array elements empty */
	struct dw_str raw;     /* the value's bytes, white space dropped */
	enum dw_json_type type;
	int64_t integer;     /* DW_JSON_INTEGER, and DW_JSON_BOOL as 0 or 1 */
	double number;       /* DW_JSON_INTEGER and DW_JSON_REAL */
	struct dw_str text;  /* DW_JSON_STRING: decoded UTF-8, NUL-terminated */
	size_t code_points;  /* DW_JSON_STRING */
	const void *private; /* the parser's own node */
};

struct dw_json; /* one parsed value; everything reached from it lives as long as it */

/* Parses exactly one value, nested at most 64 deep. The fault says "line L, column C: …" and never quotes the text.
 * DW_E_JSON: not JSON, a duplicate key, a byte order mark, a NUL byte, nested deeper; DW_E_FIELD: JSON, but with a
 * number beyond 64 bits or a double, or \u0000, which no parser here takes; DW_E_TOO_BIG: over 16 MiB; DW_E_NOMEM.
 * `*out` is the caller's: dw_json_destroy. `text` need not outlive the call. */
int dw_json_parse(struct dw_json **out, const char *text, size_t n, struct dw_fault *fault);
void dw_json_destroy(struct dw_json **json_p);

/* From here on no failed allocation of the parser is taken for malformed JSON. It sets the allocator that jansson has
 * in this process, so it is for programs, at their start, and not for the library. */
void dw_json_watch_memory(void);

enum dw_json_type dw_json_type(const struct dw_json *json);
/* All of it, white space dropped. */
struct dw_str dw_json_text(const struct dw_json *json);
/* The members of the object, or elements of the array, that is the root; 0 for others. */
size_t dw_json_count(const struct dw_json *json);
const struct dw_json_member *dw_json_at(const struct dw_json *json, size_t index);
const struct dw_json_member *dw_json_get(const struct dw_json *json, const char *key); /* NULL: not there */

/* The keys of object `after` that `before` lacks or has another value for, as a JSON array of
 * strings, in the order of `after`. Two numbers are the same when their values are. Both members
 * must be of objects; anything else counts as empty. */
void dw_json_changed_keys(struct dw_buf *out, const struct dw_json_member *before, const struct dw_json_member *after);

#endif
