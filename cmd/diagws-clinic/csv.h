/* Comma-separated values (RFC 4180), line by line: a cell in quotes may go over several. */
#ifndef CSV_H
#define CSV_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { CSV_CELLS = 64 };

/* All zero: nothing yet. */
struct csv {
	struct dw_str cells[CSV_CELLS]; /* of the record that is whole; each ends with a NUL, too */
	size_t count;
	/* private */
	enum { CSV_BEGIN, CSV_PLAIN, CSV_QUOTED, CSV_CLOSED } state;
	size_t starts[CSV_CELLS];
	struct dw_buf text;
};

/* Takes a line without its end, of any bytes. DW_OK: the record is whole; the cells live until the next line.
 * DW_E_AGAIN: it goes on in the next line. DW_E_FIELD: it is no record; DW_E_TOO_BIG: it has more than max bytes;
 * DW_E_NOMEM: each time the next line begins another one. */
int csv_take(struct csv *csv, struct dw_str line, size_t max, struct dw_fault *fault);
void csv_clear(struct csv *csv);

#endif
