/* msgpack as far as messages, records and cells need it: arrays of scalars, to and from structs by tables of fields.
 *
 * To take something off *rest moves it behind that; after a failure *rest may be anywhere.
 */
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

/* The size of the array of at most `max` scalars that a text begins with, 0: it begins with none that is whole. */
size_t dw_array_size(struct dw_str text, size_t max);
/* Takes an array's head, of at most `max` elements. */
bool dw_array_take(struct dw_str *rest, size_t max, size_t *count);
bool dw_number_take(struct dw_str *rest, uint64_t *value);
/* Takes values into these fields of a struct. DW_E_AGAIN: there is none for the one at *taken; DW_E_PROTOCOL: it is of
 * another kind, or too long. */
int dw_fields_take(struct dw_str *rest, const struct field *fields, size_t count, void *to, size_t *taken);

#endif
