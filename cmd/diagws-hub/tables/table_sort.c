/* Tables in the order of a column: the first rows of however many. Its own file because it alone compares rows.
 *
 * What may be sent is kept in a heap, the last in order at its top. A row that makes it too much, in rows or in bytes,
 * pushes the top out, which is the bar from then on: what comes behind the bar is dropped before it is packed. So the
 * answer has no hole, for whatever is in front of one that was kept was kept, too. In the end the heap is taken apart
 * from its top, which gives the order, and that can be done a few rows at a time.
 *
 * So at most 100,000 rows and 1 MiB of cells are held, with what they lie in 16 MiB, whatever the number of rows; and
 * for each row that comes there are a few comparisons, or twice the logarithm of those kept.
 *
 * Failure modes: memory, which the buffer of the cells remembers.
 */
#include "tables/table_sort.h"

#include <stdlib.h>
#include <string.h>

#include "tables/table.h"

/* What rows are compared by. */
struct key {
	union {
		int64_t number;
		double real;
		const char *text; /* in the row's cells, or where it came from until it is packed */
	};
	uint32_t n; /* bytes of the text */
	enum dw_cell_type type;
};

struct table_row {
	uint32_t came;         /* its number */
	uint32_t n;            /* bytes of its cells */
	struct key key, first; /* in the column to sort by, and in the first */
	char cells[];
};

/* What is smaller glibc puts aside when it is freed, and some day together with its neighbours, all of it at once: 5 ms
 * for the rows of one answer. */
enum { FIRST_ROWS = 64, ROW_MIN = 136 };

void
table_sort(struct table *table, size_t column, bool reverse)
{
	table->sorted = true;
	table->sort = column;
	table->reverse = reverse;
}

static struct key
key_of(const struct dw_cell *cell)
{
	struct key key = { .type = cell->type };

	if (cell->type == DW_CELL_NUMBER)
		key.number = cell->number;
	else if (cell->type == DW_CELL_REAL)
		key.real = cell->real;
	else if (cell->type == DW_CELL_TEXT)
		key = (struct key) { .text = cell->text.p, .n = (uint32_t)cell->text.n, .type = DW_CELL_TEXT };
	return key;
}

static int
compare_texts(const struct key *a, const struct key *b)
{
	const uint32_t n = a->n < b->n ? a->n : b->n;
	const int order = n > 0 ? memcmp(a->text, b->text, n) : 0;

	return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

static double
value_of(const struct key *key)
{
	return key->type == DW_CELL_NUMBER ? (double)key->number : key->real;
}

static int
compare_numbers(const struct key *a, const struct key *b)
{
	if (a->type == DW_CELL_NUMBER && b->type == DW_CELL_NUMBER)
		return (a->number > b->number) - (a->number < b->number);
	return (value_of(a) > value_of(b)) - (value_of(a) < value_of(b));
}

/* Nothing is last, and numbers are in front of texts, whichever way. */
static int
compare_keys(const struct key *a, const struct key *b, bool numbers_down, bool texts_down)
{
	const bool a_is_text = a->type == DW_CELL_TEXT, b_is_text = b->type == DW_CELL_TEXT;
	int order;

	if (a->type == DW_CELL_NIL || b->type == DW_CELL_NIL)
		return (a->type == DW_CELL_NIL) - (b->type == DW_CELL_NIL);
	if (a_is_text != b_is_text)
		return a_is_text - b_is_text;
	order = a_is_text ? compare_texts(a, b) : compare_numbers(a, b);
	return (a_is_text ? texts_down : numbers_down) ? -order : order;
}

/* Never 0 for two rows: of equal ones the first that came is the first. */
static int
compare_rows(struct table *table, const struct table_row *a, const struct table_row *b)
{
	int order = compare_keys(&a->key, &b->key, !table->reverse, table->reverse);

	table->compared++;
	if (order == 0)
		order = compare_keys(&a->first, &b->first, false, false);
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

static void
move_text(struct key *key, const struct dw_cell *cell, const struct dw_buf *packed)
{
	if (cell->type == DW_CELL_TEXT)
		key->n = (uint32_t)(packed->len - cell->text.n); /* the last that was packed; its place, for now */
}

static void
point_at_text(struct key *key, const struct dw_cell *cell, const struct table_row *row)
{
	if (cell->type != DW_CELL_TEXT)
		return;
	key->text = row->cells + key->n;
	key->n = (uint32_t)cell->text.n;
}

/* NULL: no memory. */
static struct table_row *
pack(struct table *table, struct table_row head)
{
	struct dw_buf *packing = &table->packing;
	struct table_row *row;
	size_t size;

	dw_buf_reset(packing);
	for (size_t i = 0; i < table->columns; i++) {
		dw_cell_pack(packing, &table->row[i]);
		if (i == 0)
			move_text(&head.first, &table->row[i], packing);
		if (i == table->sort)
			move_text(&head.key, &table->row[i], packing);
	}
	size = sizeof(*row) + packing->len;
	row = dw_buf_ok(packing) ? malloc(size > ROW_MIN ? size : ROW_MIN) : NULL;
	if (row == NULL)
		return NULL;
	*row = head;
	row->n = (uint32_t)packing->len;
	memcpy(row->cells, packing->data, packing->len);
	point_at_text(&row->first, &table->row[0], row);
	point_at_text(&row->key, &table->row[table->sort], row);
	return row;
}

static bool
is_too_much(const struct table *table)
{
	return table->heaped > table->limit || table->kept_bytes > TABLE_CELLS_MAX;
}

static bool
keep(struct table *table, struct table_row head)
{
	struct table_row *row = grow(table) ? pack(table, head) : NULL;

	if (row == NULL) {
		table->cells.failed = true;
		return false;
	}
	table->kept_bytes += row->n;
	sift_up(table, table->heaped++, row);
	while (is_too_much(table)) {
		free(table->bar);
		table->bar = pop(table);
		table->kept_bytes -= table->bar->n;
	}
	table->rows = table->heaped;
	return true;
}

bool
table_keep(struct table *table)
{
	const struct table_row row = {
		.came = table->came++, .key = key_of(&table->row[table->sort]), .first = key_of(&table->row[0])
	};
	bool kept = true;

	if (table->bar == NULL || compare_rows(table, &row, table->bar) < 0)
		kept = keep(table, row);
	table->columns = 0;
	return kept;
}

bool
table_order_some(struct table *table, size_t most)
{
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

void
table_drop_rows(struct table *table)
{
	for (size_t i = 0; i < table->rows && table->heap != NULL; i++)
		free(table->heap[i]);
	free(table->heap);
	free(table->bar);
	table->heap = NULL;
	table->bar = NULL;
	dw_buf_clear(&table->packing);
}
