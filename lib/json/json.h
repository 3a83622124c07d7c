/* JSON that a peer sent: checked strictly by jansson, then looked at one level deep, in the sender's own bytes: a
 * parser's re-print would turn 1.10 into 1.1000000000000001. White space outside strings is dropped.
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

/* One parsed value; everything reached from it lives as long as it. */
struct dw_json {
	struct dw_json_member *members; /* of the object, or elements of the array, that is the root */
	size_t count;
	struct json_t *root; /* private, as what follows */
	char *compact;       /* the text without white space outside strings; all slices lie in it */
	size_t size;
};

/* Parses exactly one value, nested at most 64 deep. The fault says "line L, column C: …" and never quotes the text.
 * DW_E_JSON: not JSON, a duplicate key, a byte order mark, a NUL byte, nested deeper; DW_E_FIELD: JSON, but with a
 * number beyond 64 bits or a double, or \u0000, which no parser here takes; DW_E_TOO_BIG: over 16 MiB; DW_E_NOMEM.
 * `*out` is the caller's: dw_json_destroy. `text` need not outlive the call. */
int dw_json_parse(struct dw_json **out, const char *text, size_t n, struct dw_fault *fault);
void dw_json_destroy(struct dw_json **json_p);

/* From here on no failed allocation of the parser is taken for malformed JSON. It sets jansson's allocator for the
 * whole process: for programs, at their start. */
void dw_json_watch_memory(void);

enum dw_json_type dw_json_type(const struct dw_json *json);
/* All of it, white space dropped. */
struct dw_str dw_json_text(const struct dw_json *json);
/* NULL: not there. Inline, so that the compiler knows the length of a literal key. */
static inline const struct dw_json_member *
dw_json_get(const struct dw_json *json, const char *key)
{
	for (size_t i = 0; i < json->count; i++) {
		if (json->members[i].raw_key.n > 0 && dw_str_is(json->members[i].key, key))
			return &json->members[i];
	}
	return NULL;
}

/* The keys of object `after` that `before` lacks or has another value for, as a JSON array of
 * strings, in the order of `after`. Two numbers are the same when their values are. Both members
 * must be of objects; anything else counts as empty. */
void dw_json_changed_keys(struct dw_buf *out, const struct dw_json_member *before, const struct dw_json_member *after);

enum { DW_PLAIN_MEMBERS = 16 };

/* An object as machines write it, looked at quickly, without a parser and without memory (json_plain.c). Of its
 * members, `text` is empty where there are escapes, `code_points` are bytes, and `number` of a real that is not
 * negative is the whole part and a half: what is then within bounds that are whole numbers is so in truth (not the
 * reverse: 1.0 is 1.5 here). */
struct dw_plain {
	struct dw_json object; /* its members, also for dw_json_get; not to be destroyed */
	struct dw_json_member members[DW_PLAIN_MEMBERS];
};

/* True: dw_json_parse would accept the text, too. False says nothing: whatever is rare (escapes in names, pairs of \u,
 * very long numbers, many members) is left to that. White space may stand between the parts, and stays in raw values;
 * *spaced says whether there was any. inner, unless NULL: the last of the values that is an object. */
bool dw_plain_parse(struct dw_plain *plain, struct dw_plain *inner, const char *text, size_t n, bool *spaced);
/* Appends a value without its white space; only one that dw_plain_parse took. */
void dw_plain_squeeze(struct dw_buf *out, struct dw_str text);

#endif
