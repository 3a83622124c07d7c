/* Tables on the wire: cells row by row, within a count of rows and within one frame. A table takes rows as they come,
 * and is full when one does not fit; or, where a column is named to sort by, it takes all rows and holds in the end the
 * first ones in the order of that column. What it keeps meanwhile has a bound (table.c). Memory that was not there is
 * remembered by `cells`.
 */
#ifndef DIAGWS_HUB_TABLE_H
#define DIAGWS_HUB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/wire.h"

enum {
	TABLE_ROWS_MAX = 100000,
	TABLE_COLUMNS_MAX = 32,
	TABLE_CELLS_MAX = DW_WIRE_FRAME_MAX - 8 * 1024, /* bytes; the message around them needs the rest */
};

struct table {
	struct dw_buf cells;
	uint64_t limit, rows;
	bool more;                          /* rows were left out; where they are sorted, known in the end */
	struct dw_str next_room, next_user; /* where a list goes on */

	size_t columns;                        /* of the row being written, */
	struct dw_cell row[TABLE_COLUMNS_MAX]; /* which is packed when it is kept: most are not */

	int sort; /* the column; -1: as they come, and nothing of what follows is used */
	bool reverse;
	struct table_row **heap; /* [heaped]: kept, the last in order first; [heaped … rows): sorted */
	size_t heap_cap, heaped;
	size_t sent;           /* sorted ones that are in `cells` */
	size_t kept_bytes;     /* of their cells */
	struct table_row *bar; /* what comes behind this one will not fit; NULL: not known yet */
	struct dw_buf packing; /* a row */
	uint32_t came;         /* rows */
	uint64_t compared;     /* how often two rows were: what sorting costs */
};

/* limit: rows; sort: a column, or -1. Numbers from the largest down, texts by their bytes upwards, and `reverse` the
 * other way round; nothing last, and equal rows by the first column upwards. */
void table_init(struct table *table, uint64_t limit, int sort, bool reverse);
void table_clear(struct table *table);

/* The next cell of a row; what a text points to must stay until the row is ended. */
void table_number(struct table *table, uint64_t value);
void table_real(struct table *table, double value);
void table_text(struct table *table, const char *text);
void table_str(struct table *table, struct dw_str text);
void table_nil(struct table *table);
/* Ends a row. False: no further row will be taken. */
bool table_end_row(struct table *table);
/* After the last row: puts `most` of them in order, to be called again until it is true. `rows`, `cells` and `more` are
 * then what is to be sent. */
bool table_finish(struct table *table, size_t most);

#endif
