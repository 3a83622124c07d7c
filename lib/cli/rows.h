/* A table that the hub sent (DW_TABLE), held and printed: what diagws-stat and diagws-owner share.
 *
 * As TSV it has a header and escapes nothing, for its texts hold no control characters (any other byte that does not
 * belong into a line of text is printed as '?'). As JSON, ids of diagnoses and users are numbers or strings
 * by the rule of all messages (dw_id_to_json).
 */
#ifndef DIAGWS_ROWS_H
#define DIAGWS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/wire.h"

struct dw_rows {
	size_t columns, rows;
	bool more;                    /* the hub left rows out */
	struct dw_str *names;         /* [columns] */
	const struct dw_cell **cells; /* [rows]: each its row's cells */
	struct dw_cell *all;          /* private */
	char *memory;                 /* private: what the texts point into */
};

/* Copies what the message holds. DW_E_PROTOCOL: not a table, or a row that is not whole; DW_E_NOMEM. */
int dw_rows_new(struct dw_rows **out, const struct dw_table *table);
void dw_rows_destroy(struct dw_rows **rows_p);

enum dw_rows_format { DW_ROWS_TABLE, DW_ROWS_TSV, DW_ROWS_JSON, DW_ROWS_NDJSON };
/* format: "table", "tsv", "json", "ndjson" or NULL: a table on a terminal, else TSV. */
enum dw_rows_format dw_rows_format(const char *format, bool json, bool terminal);
/* Appends a cell as TSV and tables show it; nothing for DW_CELL_NIL. */
void dw_rows_cell_text(struct dw_buf *out, const struct dw_cell *cell);
/* Appends the first `count` rows in a format that is not DW_ROWS_TABLE. single: the only row is an object of its own,
 * not an array of one. Only memory can fail (dw_buf_ok). */
void dw_rows_print(
	struct dw_buf *out, const struct dw_rows *rows, size_t count, enum dw_rows_format format, bool single);

#endif
