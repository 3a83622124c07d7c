/* Tables on the wire (table.h): rows are packed as they come. What does not fit is left out from a row's beginning on,
 * and `more` says so.
 *
 * Failure modes: memory, which the buffer remembers.
 */
#include "tables/table.h"

#include <assert.h>

#include "tables/table_sort.h"

void
table_init(struct table *table, uint64_t limit)
{
	*table = (struct table) { .limit = limit < TABLE_ROWS_MAX ? limit : TABLE_ROWS_MAX };
}

void
table_clear(struct table *table)
{
	dw_buf_clear(&table->cells);
	table_drop_rows(table);
}

/* Where the next cell is to be written, in its place in a sorted table: to copy them all is what would take the time.
 */
static struct dw_cell *
next_cell(struct table *table, struct dw_cell *spare)
{
	if (!table->sorted)
		return spare;
	assert(table->columns < TABLE_COLUMNS_MAX);
	return &table->row[table->columns++];
}

static void
written(struct table *table, const struct dw_cell *cell)
{
	if (!table->sorted)
		dw_cell_pack(&table->cells, cell);
}

void
table_number(struct table *table, uint64_t value)
{
	struct dw_cell spare, *cell = next_cell(table, &spare);

	cell->type = DW_CELL_NUMBER;
	cell->number = (int64_t)value;
	written(table, cell);
}

void
table_real(struct table *table, double value)
{
	struct dw_cell spare, *cell = next_cell(table, &spare);

	cell->type = DW_CELL_REAL;
	cell->real = value;
	written(table, cell);
}

void
table_str(struct table *table, struct dw_str text)
{
	struct dw_cell spare, *cell = next_cell(table, &spare);

	cell->type = DW_CELL_TEXT;
	cell->text = text;
	written(table, cell);
}

void
table_text(struct table *table, const char *text)
{
	table_str(table, dw_str(text));
}

void
table_nil(struct table *table)
{
	struct dw_cell spare, *cell = next_cell(table, &spare);

	cell->type = DW_CELL_NIL;
	written(table, cell);
}

bool
table_ok(const struct table *table)
{
	return dw_buf_ok(&table->cells);
}

bool
table_end_row(struct table *table)
{
	if (!table_ok(table))
		return false;
	if (table->sorted)
		return table_keep(table);
	if (table->rows >= table->limit || table->cells.len > TABLE_CELLS_MAX) {
		table->cells.len = table->row_at;
		table->more = true;
		return false;
	}
	table->rows++;
	table->row_at = table->cells.len;
	return true;
}

bool
table_finish_some(struct table *table, size_t most)
{
	return !table->sorted || !table_ok(table) || table_order_some(table, most);
}

void
table_finish(struct table *table)
{
	(void)table_finish_some(table, SIZE_MAX);
}
