/* Arrays of scalars in msgpack, to and from structs by tables of fields. After a failure *rest may be anywhere. */
#ifndef DIAGWS_WIRE_PARTS_H
#define DIAGWS_WIRE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum field_kind { NUMBER, TEXT, BYTES, FLAG };

/* A uint64_t, a struct dw_str (of text or bytes), or a bool in a struct. */
struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
	size_t max; /* bytes of TEXT and BYTES */
};

/* Appends an array of `first`, where it is not NULL, and of what a struct holds in these fields. */
void dw_fields_pack(
	struct dw_buf *out, const uint64_t *first, const struct field *fields, size_t count, const void *from);

/* Takes an array's head, of at most `max` elements. */
bool dw_array_take(struct dw_str *rest, size_t max, size_t *count);
/* Takes values into these fields of a struct. False: the one at *taken is of another kind, too long, or none. */
bool dw_fields_take(struct dw_str *rest, const struct field *fields, size_t count, void *to, size_t *taken);
/* Takes so many values of any kind that hold no others. */
bool dw_values_skip(struct dw_str *rest, size_t count);

#endif
