/* A quick look at JSON that needs no parser: an object as machines write it, without white space.
 *
 * It only ever says "yes, this is right, and here are its members" where dw_json_parse (json.h) would accept the text
 * and change nothing in it; whatever is rare (escapes in names, \u, very long numbers, many members) it leaves to that.
 */
#ifndef DIAGWS_JSON_PLAIN_H
#define DIAGWS_JSON_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "diagws/json.h"

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

#endif
