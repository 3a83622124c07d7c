/* links: cmd/diagws-hub/tables/table.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c */
/* links: lib/base/err.c */
/* libs: msgpack */
/* The hub's tables: what is left out, and the first rows of many against sorting all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cmd/diagws-hub/tables/table.h"

enum { MANY = 60000 };

/* A row of a table: name, value (or nothing), text. */
struct model {
	char name[24];
	int64_t value; /* < 0: nothing */
	size_t text_n; /* of x */
	size_t came;
};

static const char xs[600] = { [0 ... 599] = 'x' };
static bool backwards;

static int
compare_models(const void *a_p, const void *b_p)
{
	const struct model *a = a_p, *b = b_p;
	int order = (b->value > a->value) - (b->value < a->value);

	if ((a->value < 0) != (b->value < 0))
		return a->value < 0 ? 1 : -1;
	if (order == 0)
		order = strcmp(a->name, b->name);
	else if (backwards)
		order = -order;
	return order != 0 ? order : (a->came > b->came) - (a->came < b->came);
}

static int
compare_texts(const void *a_p, const void *b_p)
{
	const struct model *a = a_p, *b = b_p;
	int order = (a->text_n > b->text_n) - (a->text_n < b->text_n);

	if (order == 0)
		order = strcmp(a->name, b->name);
	else if (backwards)
		order = -order;
	return order != 0 ? order : (a->came > b->came) - (a->came < b->came);
}

static void
add_row(struct table *table, const struct model *row)
{
	table_text(table, row->name);
	if (row->value < 0)
		table_nil(table);
	else
		table_number(table, (uint64_t)row->value);
	table_str(table, (struct dw_str) { xs, row->text_n });
	assert_true(table_end_row(table));
}

/* The table holds the first rows, as many as there may be, and not one less. */
static void
expect_first(const struct table *table, const struct model *rows, size_t count)
{
	struct dw_str rest = { table->cells.data, table->cells.len };
	struct dw_buf one = { 0 };

	assert_true(dw_buf_ok(&table->cells));
	assert_true(table->cells.len <= TABLE_CELLS_MAX);
	assert_true(table->rows <= count && table->more == (table->rows < count));
	for (size_t i = 0; i < table->rows; i++) {
		struct dw_cell name, value, text;

		assert_int_equal(DW_OK, dw_cell_next(&rest, &name));
		assert_int_equal(DW_OK, dw_cell_next(&rest, &value));
		assert_int_equal(DW_OK, dw_cell_next(&rest, &text));
		assert_true(dw_str_is(name.text, rows[i].name));
		assert_int_equal(rows[i].value < 0 ? DW_CELL_NIL : DW_CELL_NUMBER, value.type);
		assert_true(value.type == DW_CELL_NIL || value.number == rows[i].value);
		assert_int_equal(rows[i].text_n, text.text.n);
	}
	assert_int_equal(0, rest.n);
	if (table->rows == count || table->rows == table->limit)
		return;
	dw_cell_pack(&one, &(struct dw_cell) { .type = DW_CELL_TEXT, .text = dw_str(rows[table->rows].name) });
	dw_cell_pack(&one, &(struct dw_cell) { .type = DW_CELL_NUMBER, .number = rows[table->rows].value });
	dw_cell_pack(&one, &(struct dw_cell) { .type = DW_CELL_TEXT, .text = { xs, rows[table->rows].text_n } });
	assert_true(table->cells.len + one.len > TABLE_CELLS_MAX);
	dw_buf_clear(&one);
}

static void
sort_and_compare(struct model *rows, size_t count, uint64_t limit, size_t column, bool reverse)
{
	struct model *sorted = malloc(count * sizeof(*sorted));
	struct table table;

	assert_non_null(sorted);
	table_init(&table, limit, (int)column, reverse);
	for (size_t i = 0; i < count; i++) {
		rows[i].came = i;
		add_row(&table, &rows[i]);
		assert_true(table.rows <= 151100 && table.cells.len < 2 * TABLE_CELLS_MAX);
	}
	assert_true(table_finish(&table, SIZE_MAX));
	memcpy(sorted, rows, count * sizeof(*sorted));
	backwards = reverse;
	qsort(sorted, count, sizeof(*sorted), column == 1 ? compare_models : compare_texts);
	expect_first(&table, sorted, count);
	table_clear(&table);
	free(sorted);
}

static struct model *
make_rows(void)
{
	struct model *rows = calloc(MANY, sizeof(*rows));

	assert_non_null(rows);
	srand(7);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(rows[i].name, sizeof(rows[i].name), "room-%d", rand() % 20000);
		rows[i].value = rand() % 50 == 0 ? -1 : rand() % 1000;
		rows[i].text_n = (size_t)(rand() % 100 == 0 ? 500 + rand() % 100 : rand() % 20);
	}
	return rows;
}

static void
the_first_of_many(void **state)
{
	static const uint64_t limits[] = { 0, 1, 3, 1000, 5000, 50000, 100000, UINT64_MAX };
	struct model *rows = make_rows();

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		for (size_t column = 1; column <= 2; column++)
			for (int reverse = 0; reverse < 2; reverse++)
				sort_and_compare(rows, MANY, limits[i], column, reverse != 0);
	sort_and_compare(rows, 5, 3, 1, false);
	sort_and_compare(rows, 3, 3, 1, false);
	free(rows);
}

/* The worst order: each that comes goes in front of all before it. */
static void
the_best_come_last(void **state)
{
	struct model *rows = make_rows();

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		rows[i].value = (int64_t)i;
	sort_and_compare(rows, MANY, 3, 1, false);
	sort_and_compare(rows, MANY, 100000, 1, false);
	sort_and_compare(rows, MANY, 100000, 1, true);
	free(rows);
}

static void
no_rows(void **state)
{
	struct table table;

	(void)state;
	table_init(&table, 10, 1, false);
	assert_true(table_finish(&table, SIZE_MAX));
	assert_true(dw_buf_ok(&table.cells) && table.rows == 0 && table.cells.len == 0 && !table.more);
	table_clear(&table);
}

/* Unsorted, rows come as they are added, until one does not fit. */
static void
unsorted_as_they_come(void **state)
{
	struct table table;

	(void)state;
	table_init(&table, 2, -1, false);
	table_number(&table, 5);
	assert_true(table_end_row(&table));
	table_number(&table, 9);
	assert_true(table_end_row(&table));
	table_number(&table, 7);
	assert_false(table_end_row(&table));
	assert_true(table_finish(&table, SIZE_MAX));
	assert_true(table.rows == 2 && table.more && table.cells.len == 2);
	table_clear(&table);
	table_init(&table, UINT64_MAX, -1, false);
	do
		table_str(&table, (struct dw_str) { xs, sizeof(xs) });
	while (table_end_row(&table));
	assert_true(table.more && table.cells.len <= TABLE_CELLS_MAX && table.cells.len > TABLE_CELLS_MAX - 700);
	table_clear(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_of_many),
		cmocka_unit_test(the_best_come_last),
		cmocka_unit_test(no_rows),
		cmocka_unit_test(unsorted_as_they_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
