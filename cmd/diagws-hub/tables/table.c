/* Tables on the wire (table.h): rows are packed as they come, and what does not fit is left out, and `more` says so; or
 * the first rows in the order of a column, of however many.
 *
 * In the latter case what may be sent is kept in a heap, the last in order at its top. A row that makes it too much, in
 * rows or in bytes, pushes the top out, which is the bar from then on: what comes behind the bar is dropped before it
 * is packed. So the answer has no hole. In the end the heap is taken apart from its top, a few rows at a time.
 *
 * So at most 100,000 rows and 1 MiB of cells are held, with what they lie in 16 MiB, whatever the number of rows; and
 * for each row that comes there are a few comparisons, or twice the logarithm of those kept.
 */
#include "tables/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct table_row {
	uint32_t came;             /* its number */
	uint32_t n;                /* bytes of its cells */
	struct dw_cell key, first; /* in the column to sort by, and in the first; a text points to `cells` */
	char cells[];
};

/* What is smaller glibc puts aside when it is freed, and some day together with its neighbours, all of it at once: 5 ms
 * for the rows of one answer. */
enum { FIRST_ROWS = 64, ROW_MIN = 136 };

void
table_init(struct table *table, uint64_t limit, int sort, bool reverse)
{
	*table =
		(struct table) { .limit = limit < TABLE_ROWS_MAX ? limit : TABLE_ROWS_MAX, .sort = sort, .reverse = reverse };
}

void
table_clear(struct table *table)
{
	for (size_t i = 0; i < table->rows && table->heap != NULL; i++)
		free(table->heap[i]);
	free(table->heap);
	free(table->bar);
	table->heap = NULL;
	table->bar = NULL;
	dw_buf_clear(&table->packing);
	dw_buf_clear(&table->cells);
}

static struct dw_cell *
next_cell(struct table *table, enum dw_cell_type type)
{
	assert(table->columns < TABLE_COLUMNS_MAX);
	table->row[table->columns].type = type;
	return &table->row[table->columns++];
}

void
table_number(struct table *table, uint64_t value)
{
	next_cell(table, DW_CELL_NUMBER)->number = (int64_t)value;
}

void
table_real(struct table *table, double value)
{
	next_cell(table, DW_CELL_REAL)->real = value;
}

void
table_str(struct table *table, struct dw_str text)
{
	next_cell(table, DW_CELL_TEXT)->text = text;
}

void
table_text(struct table *table, const char *text)
{
	table_str(table, dw_str(text));
}

void
table_nil(struct table *table)
{
	(void)next_cell(table, DW_CELL_NIL);
}

static int
compare_texts(struct dw_str a, struct dw_str b)
{
	const size_t n = a.n < b.n ? a.n : b.n;
	const int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Nothing is last. What else is in a column is of one type; reals are only where there is one row. */
static int
compare_cells(const struct dw_cell *a, const struct dw_cell *b, bool numbers_down, bool texts_down)
{
	int order;

	if (a->type == DW_CELL_NIL || b->type == DW_CELL_NIL)
		return (a->type == DW_CELL_NIL) - (b->type == DW_CELL_NIL);
	if (a->type == DW_CELL_TEXT) {
		order = compare_texts(a->text, b->text);
		return texts_down ? -order : order;
	}
	order = (a->number > b->number) - (a->number < b->number);
	return numbers_down ? -order : order;
}

/* Never 0 for two rows: of equal ones the first that came is the first. */
static int
compare_rows(struct table *table, const struct table_row *a, const struct table_row *b)
{
	int order = compare_cells(&a->key, &b->key, !table->reverse, table->reverse);

	table->compared++;
	if (order == 0)
		order = compare_cells(&a->first, &b->first, false, false);
	return order != 0 ? order : (a->came > b->came) - (a->came < b->came);
}

/* The row comes to this place in the heap, or higher. */
static void
sift_up(struct table *table, size_t at, struct table_row *row)
{
	struct table_row **heap = table->heap;

	while (at > 0 && compare_rows(table, row, heap[(at - 1) / 2]) > 0) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = row;
}

/* Takes the top off. */
static struct table_row *
pop(struct table *table)
{
	struct table_row **heap = table->heap, *top = heap[0], *row = heap[--table->heaped];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < table->heaped) {
		if (child + 1 < table->heaped && compare_rows(table, heap[child + 1], heap[child]) > 0)
			child++;
		if (compare_rows(table, row, heap[child]) >= 0)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = row;
	return top;
}

static bool
grow(struct table *table)
{
	const size_t cap = table->heap_cap > 0 ? table->heap_cap * 2 : FIRST_ROWS;
	struct table_row **heap;

	if (table->heaped < table->heap_cap)
		return true;
	heap = realloc(table->heap, cap * sizeof(struct table_row *));
	if (heap == NULL)
		return false;
	table->heap = heap;
	table->heap_cap = cap;
	return true;
}

/* A text lies in the row from now on, and ends there. */
static void
move_text(struct dw_cell *cell, const char *end)
{
	if (cell->type == DW_CELL_TEXT)
		cell->text.p = end - cell->text.n;
}

/* NULL: no memory. */
static struct table_row *
pack(struct table *table, const struct table_row *head)
{
	struct dw_buf *packing = &table->packing;
	size_t size, first_end = 0, key_end = 0;
	struct table_row *row;

	dw_buf_reset(packing);
	for (size_t i = 0; i < table->columns; i++) {
		dw_cell_pack(packing, &table->row[i]);
		if (i == 0)
			first_end = packing->len;
		if (i == (size_t)table->sort)
			key_end = packing->len;
	}
	size = sizeof(*row) + packing->len;
	row = dw_buf_ok(packing) ? malloc(size > ROW_MIN ? size : ROW_MIN) : NULL;
	if (row == NULL)
		return NULL;
	*row = *head;
	row->n = (uint32_t)packing->len;
	memcpy(row->cells, packing->data, packing->len);
	move_text(&row->first, row->cells + first_end);
	move_text(&row->key, row->cells + key_end);
	return row;
}

/* In its place among the others, unless it comes behind the bar. */
static bool
keep_row(struct table *table)
{
	const struct table_row head = { .came = table->came++, .key = table->row[table->sort], .first = table->row[0] };
	struct table_row *row;

	if (table->bar != NULL && compare_rows(table, &head, table->bar) > 0)
		return true;
	row = grow(table) ? pack(table, &head) : NULL;
	if (row == NULL) {
		table->cells.failed = true;
		return false;
	}
	table->kept_bytes += row->n;
	sift_up(table, table->heaped++, row);
	while (table->heaped > table->limit || table->kept_bytes > TABLE_CELLS_MAX) {
		free(table->bar);
		table->bar = pop(table);
		table->kept_bytes -= table->bar->n;
	}
	table->rows = table->heaped;
	return true;
}

/* Behind the others, if it fits. */
static bool
append_row(struct table *table)
{
	const size_t before = table->cells.len;

	for (size_t i = 0; i < table->columns; i++)
		dw_cell_pack(&table->cells, &table->row[i]);
	if (table->rows < table->limit && table->cells.len <= TABLE_CELLS_MAX) {
		table->rows++;
		return true;
	}
	table->cells.len = before;
	table->more = true;
	return false;
}

bool
table_end_row(struct table *table)
{
	const bool taken = dw_buf_ok(&table->cells) && (table->sort >= 0 ? keep_row(table) : append_row(table));

	table->columns = 0;
	return taken;
}

bool
table_finish(struct table *table, size_t most)
{
	if (table->sort < 0 || !dw_buf_ok(&table->cells))
		return true;
	table->more = table->bar != NULL;
	while (table->heaped > 0 && most > 0) {
		struct table_row *last = pop(table);

		table->heap[table->heaped] = last;
		most--;
	}
	if (table->heaped > 0)
		return false;
	for (; table->sent < table->rows && most > 0; most--) {
		struct table_row **row = &table->heap[table->sent++];

		dw_buf_add(&table->cells, (*row)->cells, (*row)->n);
		free(*row);
		*row = NULL;
	}
	return table->sent == table->rows;
}
