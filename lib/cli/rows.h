/* A table that the hub sent (DW_TABLE), held and printed: for diagws-stat, diagws-owner and /ws/status.
 *
 * As TSV it has a header and escapes nothing: what does not belong into a line of text is printed as '?'. As JSON, ids
 * of diagnoses and users are numbers or strings by the rule of all messages (dw_id_to_json).
 */
#ifndef DIAGWS_ROWS_H
#define DIAGWS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/wire.h"

/* All zero: no table yet. */
struct dw_rows {
	size_t columns, rows;
	bool more;           /* the hub left rows out */
	struct dw_buf cells; /* private: the names of the columns, then row by row */
};

/* Takes a table, or its next page. DW_E_PROTOCOL: not a table, a row that is not whole, other columns than before;
 * DW_E_NOMEM. */
int dw_rows_add(struct dw_rows *rows, const struct dw_table *page);
void dw_rows_clear(struct dw_rows *rows); /* to all zero */

/* Cells in turn, row by row, for whoever reads a table: begin with *rest = dw_rows_names() or dw_rows_cells(). */
struct dw_str dw_rows_names(const struct dw_rows *rows); /* and behind the names, the cells */
struct dw_str dw_rows_cells(const struct dw_rows *rows);
struct dw_cell dw_rows_take(struct dw_str *rest);

enum dw_rows_format { DW_ROWS_TABLE, DW_ROWS_TSV, DW_ROWS_JSON, DW_ROWS_NDJSON };
/* format: "table", "tsv", "json", "ndjson" or NULL: a table on a terminal, else TSV. */
enum dw_rows_format dw_rows_format(const char *format, bool json, bool terminal);
/* Appends the names of the columns, each behind a space. */
void dw_rows_add_names(struct dw_buf *out, const struct dw_rows *rows);
/* Appends all rows. single: the only row is no array of one but an object, and stands upright in a table, whose columns
 * are `gap` apart. Only memory can fail (dw_buf_ok). */
void dw_rows_add_to(
	struct dw_buf *out, const struct dw_rows *rows, enum dw_rows_format format, bool single, size_t gap);
/* The same on stdout. DW_E_NOMEM, DW_E_IO. */
int dw_rows_print(const struct dw_rows *rows, enum dw_rows_format format, bool single, size_t gap);

#endif
