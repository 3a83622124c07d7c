/* A quick look at JSON that needs no parser: an object as machines write it.
 *
 * It only ever says "yes, this is right, and here are its members" where dw_json_parse (json.h) would accept the text
 * and change nothing in it; whatever is rare (escapes in names, pairs of \u, very long numbers, many members) it leaves
 * to that.
 */
#ifndef DIAGWS_JSON_PLAIN_H
#define DIAGWS_JSON_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "json/json.h"

enum { DW_PLAIN_MEMBERS = 16 };

struct dw_plain {
	size_t count;
	struct {
		struct dw_str key, raw; /* in the text; a string's raw value has its quotes */
		enum dw_json_type type; /* of numbers: INTEGER or REAL */
	} member[DW_PLAIN_MEMBERS];
};

/* False: it says nothing. */
bool dw_plain_parse(struct dw_plain *plain, const char *text, size_t n);
/* The same where white space may stand between the parts, and stays in raw values; *spaced says whether there was any.
 * inner, unless NULL: the members of the last of the values that is an object. */
bool dw_plain_parse_spaced(struct dw_plain *plain, struct dw_plain *inner, const char *text, size_t n, bool *spaced);
/* Appends a value without its white space; only what was parsed so. */
void dw_plain_squeeze(struct dw_buf *out, struct dw_str text);

#endif
