/* Tables on the wire: cells row by row, within a count of rows and within one frame. What does not fit
 * is left out from a row's beginning on, and `more` says so.
 */
#include "hub.h"

/* Room for the message around the cells, columns included. */
enum { AROUND = 8 * 1024 };

void
table_init(struct table *table, uint64_t limit)
{
	*table = (struct table) { .limit = limit };
}

static void
add(struct table *table, struct dw_cell cell)
{
	dw_cell_pack(&table->cells, &cell);
}

void
table_number(struct table *table, uint64_t value)
{
	add(table, (struct dw_cell) { .type = DW_CELL_NUMBER, .number = (int64_t)value });
}

void
table_real(struct table *table, double value)
{
	add(table, (struct dw_cell) { .type = DW_CELL_REAL, .real = value });
}

void
table_str(struct table *table, struct dw_str text)
{
	add(table, (struct dw_cell) { .type = DW_CELL_TEXT, .text = text });
}

void
table_text(struct table *table, const char *text)
{
	table_str(table, dw_str(text));
}

void
table_nil(struct table *table)
{
	add(table, (struct dw_cell) { .type = DW_CELL_NIL });
}

bool
table_row(struct table *table)
{
	if (!dw_buf_ok(&table->cells))
		return false;
	if (table->rows >= table->limit || table->cells.len > DW_WIRE_FRAME_MAX - AROUND) {
		table->cells.len = table->row_at;
		table->more = true;
		return false;
	}
	table->rows++;
	table->row_at = table->cells.len;
	return true;
}

void
table_send(struct hub *hub, uint32_t peer, uint64_t corr, const char *columns, struct table *table)
{
	struct dw_wire answer = { .kind = DW_TABLE, .table = { .corr = corr } };

	if (dw_buf_ok(&table->cells)) {
		answer.table.columns = dw_str(columns);
		answer.table.cells = (struct dw_str) { table->cells.data, table->cells.len };
		answer.table.more = table->more;
	} else {
		answer.table.code = (uint64_t)-DW_E_NOMEM;
	}
	outbox_add(hub, peer, &answer);
	dw_buf_clear(&table->cells);
}
