/* Tables in the order of a column: the first rows of however many. Its own file because it alone compares rows.
 *
 * Rows are gathered behind those kept. When there are half as many again as may be sent (or 1024 more), in rows or in
 * bytes, what fits is kept (settle), with the first that does not: the bar. A row that comes behind the bar is dropped
 * before it is packed; and so the answer has no hole, for whatever is in front of one that was kept was kept, too. Only
 * what is sent is sorted, in the end.
 *
 * So at most 150,000 rows of 48 bytes and 1.5 MiB of cells are held, with what it takes to sort them 16 MiB, whatever
 * the number of rows; and for each row that comes there are a few comparisons.
 *
 * Failure modes: memory, which the buffer of the cells remembers.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

/* What rows are compared by. */
struct key {
	union {
		int64_t number;
		double real;
		const char *text; /* of a row that is not packed; */
		uint32_t at;      /* else where in its row the text is */
	};
	uint32_t n; /* bytes of the text */
	enum dw_cell_type type;
};

struct table_row {
	uint32_t came;         /* its number */
	uint32_t at, n;        /* its cells; n is 0 until they are packed */
	struct key key, first; /* in the column to sort by, and in the first */
};

enum { GATHER_MIN = 1024, GATHER_BYTES = TABLE_CELLS_MAX / 2 };

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

static const char *
text_of(const struct table *table, const struct table_row *row, const struct key *key)
{
	return row->n > 0 ? table->cells.data + row->at + key->at : key->text;
}

static int
compare_texts(const struct table *table, const struct table_row *a, const struct key *a_key, const struct table_row *b,
	const struct key *b_key)
{
	const uint32_t n = a_key->n < b_key->n ? a_key->n : b_key->n;
	const int order = n > 0 ? memcmp(text_of(table, a, a_key), text_of(table, b, b_key), n) : 0;

	return order != 0 ? order : (a_key->n > b_key->n) - (a_key->n < b_key->n);
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
compare_keys(const struct table *table, const struct table_row *a, const struct key *a_key, const struct table_row *b,
	const struct key *b_key, bool numbers_down, bool texts_down)
{
	const bool a_is_text = a_key->type == DW_CELL_TEXT, b_is_text = b_key->type == DW_CELL_TEXT;
	int order;

	if (a_key->type == DW_CELL_NIL || b_key->type == DW_CELL_NIL)
		return (a_key->type == DW_CELL_NIL) - (b_key->type == DW_CELL_NIL);
	if (a_is_text != b_is_text)
		return a_is_text - b_is_text;
	order = a_is_text ? compare_texts(table, a, a_key, b, b_key) : compare_numbers(a_key, b_key);
	return (a_is_text ? texts_down : numbers_down) ? -order : order;
}

/* Never 0 for two rows: of equal ones the first that came is the first. */
static int
compare_rows(const void *a_p, const void *b_p, void *table_p)
{
	const struct table *table = table_p;
	const struct table_row *a = a_p, *b = b_p;
	int order = compare_keys(table, a, &a->key, b, &b->key, !table->reverse, table->reverse);

	if (order == 0)
		order = compare_keys(table, a, &a->first, b, &b->first, false, false);
	return order != 0 ? order : (a->came > b->came) - (a->came < b->came);
}

/* Puts those of kept[from … to) that are in front of one of them in front of it, and says where that is then. */
static size_t
part(struct table *table, size_t from, size_t to)
{
	struct table_row *kept = table->kept;
	const struct table_row pivot = kept[from + (to - from) / 2];
	size_t at = from;

	kept[from + (to - from) / 2] = kept[to - 1];
	for (size_t i = from; i < to - 1; i++) {
		if (compare_rows(&kept[i], &pivot, table) < 0) {
			const struct table_row row = kept[i];

			kept[i] = kept[at];
			kept[at++] = row;
		}
	}
	kept[to - 1] = kept[at];
	kept[at] = pivot;
	return at;
}

/* How many of these rows fit behind so many, with their bytes. */
static bool
fit(const struct table *table, size_t from, size_t to, size_t *bytes)
{
	size_t sum = *bytes;

	for (size_t i = from; i < to; i++)
		sum += table->kept[i].n;
	if (to > table->limit || sum > TABLE_CELLS_MAX)
		return false;
	*bytes = sum;
	return true;
}

/* How many rows may be sent. These come first then, in any order, and behind them the first that may not (quickselect:
 * each turn looks at one side of a row only). */
static size_t
find_fitting(struct table *table)
{
	size_t fitting = 0, end = table->rows, bytes = 0;

	while (fitting < end) {
		const size_t at = part(table, fitting, end);

		if (!fit(table, fitting, at, &bytes))
			end = at;
		else if (fit(table, at, at + 1, &bytes))
			fitting = at + 1;
		else
			fitting = end = at;
	}
	return fitting;
}

/* Keeps what fits of what was gathered, and one more. Returns how many fit. */
static size_t
settle(struct table *table)
{
	const size_t fitting = find_fitting(table);
	struct dw_buf cells = { 0 };

	if (fitting < table->rows)
		table->rows = table->bar = fitting + 1;
	for (size_t i = 0; i < table->rows; i++) {
		struct table_row *row = &table->kept[i];

		dw_buf_add(&cells, table->cells.data + row->at, row->n);
		row->at = (uint32_t)(cells.len - row->n);
	}
	dw_buf_clear(&table->cells);
	table->cells = cells;
	return fitting;
}

static bool
grow(struct table *table)
{
	const size_t cap = table->kept_cap > 0 ? table->kept_cap * 2 : GATHER_MIN;
	struct table_row *kept;

	if (table->rows < table->kept_cap)
		return true;
	kept = realloc(table->kept, cap * sizeof(*kept));
	if (kept == NULL) {
		table->cells.failed = true;
		return false;
	}
	table->kept = kept;
	table->kept_cap = cap;
	return true;
}

static void
note_text(const struct table *table, const struct table_row *row, const struct dw_cell *cell, struct key *key)
{
	if (cell->type == DW_CELL_TEXT)
		key->at = (uint32_t)(table->cells.len - cell->text.n - row->at); /* the last that was packed */
}

static void
pack(struct table *table, struct table_row *row)
{
	for (size_t i = 0; i < table->columns; i++) {
		dw_cell_pack(&table->cells, &table->row[i]);
		if (i == 0)
			note_text(table, row, &table->row[i], &row->first);
		if (i == table->sort)
			note_text(table, row, &table->row[i], &row->key);
	}
	row->n = (uint32_t)(table->cells.len - row->at);
}

bool
table_keep(struct table *table)
{
	const uint64_t gather = table->limit / 2 > GATHER_MIN ? table->limit / 2 : GATHER_MIN;
	struct table_row row = { .came = table->came++, .at = (uint32_t)table->cells.len };

	row.key = key_of(&table->row[table->sort]);
	row.first = key_of(&table->row[0]);
	if (table->bar == 0 || compare_rows(&row, &table->kept[table->bar - 1], table) < 0) {
		if (!grow(table))
			return false;
		pack(table, &row);
		table->kept[table->rows++] = row;
		if (table->rows > table->limit + gather || table->cells.len > TABLE_CELLS_MAX + GATHER_BYTES)
			(void)settle(table);
	}
	table->columns = 0;
	return table_ok(table);
}

void
table_settle(struct table *table)
{
	struct dw_buf cells = { 0 };

	table->rows = settle(table);
	table->more = table->bar > 0;
	if (!table_ok(table))
		return;
	if (table->rows > 1)
		qsort_r(table->kept, table->rows, sizeof(*table->kept), compare_rows, table);
	for (size_t i = 0; i < table->rows; i++)
		dw_buf_add(&cells, table->cells.data + table->kept[i].at, table->kept[i].n);
	dw_buf_clear(&table->cells);
	table->cells = cells;
}
