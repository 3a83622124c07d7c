/* links: lib/cli/rows.c lib/wire/wire.c lib/wire/msgpack.c lib/message/msg.c lib/json/json_plain.c lib/json/json.c */
/* links: lib/base/buf.c lib/base/err.c lib/base/utf8.c lib/cli/opt.c lib/cli/opt_help.c */
/* libs: msgpack jansson */
/* Tables as TSV, as JSON and for people, in pages; and tables that do not add up. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/opt.h"
#include "cli/rows.h"

static void
add_number(struct dw_buf *cells, int64_t number)
{
	dw_cell_pack(cells, &(struct dw_cell) { .type = DW_CELL_NUMBER, .number = number });
}

static void
add_real(struct dw_buf *cells, double real)
{
	dw_cell_pack(cells, &(struct dw_cell) { .type = DW_CELL_REAL, .real = real });
}

static void
add_text(struct dw_buf *cells, const char *text)
{
	dw_cell_pack(cells, &(struct dw_cell) { .type = DW_CELL_TEXT, .text = dw_str(text) });
}

static void
add_nothing(struct dw_buf *cells)
{
	dw_cell_pack(cells, &(struct dw_cell) { .type = DW_CELL_NIL });
}

/* Three rooms; the second has nothing queued. */
static struct dw_rows
make_rooms(void)
{
	struct dw_rows rows = { 0 };
	struct dw_buf cells = { 0 };
	struct dw_table table = { .columns = dw_str("diagnosis_id\tqueued\tname"), .more = true };

	add_text(&cells, "123");
	add_number(&cells, 5);
	add_text(&cells, "b");
	add_text(&cells, "007");
	add_nothing(&cells);
	add_text(&cells, "a");
	add_text(&cells, "x-1");
	add_real(&cells, 7.25);
	add_text(&cells, "b");
	table.cells = (struct dw_str) { cells.data, cells.len };
	assert_int_equal(DW_OK, dw_rows_add(&rows, &table));
	dw_buf_clear(&cells);
	return rows;
}

static void
expect_print(const struct dw_rows *rows, enum dw_rows_format format, bool single, const char *text)
{
	struct dw_buf out = { 0 };

	dw_rows_add_to(&out, rows, format, single, 1);
	assert_true(dw_buf_ok(&out));
	assert_string_equal(text, out.data != NULL ? out.data : "");
	dw_buf_clear(&out);
}

/* A table of one page more. */
static void
add_page(struct dw_rows *rows, const char *columns, const char *text, int64_t number)
{
	struct dw_table page = { .columns = dw_str(columns) };
	struct dw_buf cells = { 0 };

	add_text(&cells, text);
	add_number(&cells, number);
	page.cells = (struct dw_str) { cells.data, cells.len };
	assert_int_equal(DW_OK, dw_rows_add(rows, &page));
	dw_buf_clear(&cells);
}

static void
prints_each_format(void **state)
{
	struct dw_rows rows = make_rooms(), one = { 0 }, none = { 0 };
	const struct dw_table empty = { .columns = dw_str("a\tb") };

	(void)state;
	assert_int_equal(3, rows.rows);
	assert_int_equal(3, rows.columns);
	assert_true(rows.more);
	expect_print(&rows, DW_ROWS_TSV, false, "diagnosis_id\tqueued\tname\n123\t5\tb\n007\t\ta\nx-1\t7.25\tb\n");
	expect_print(&rows, DW_ROWS_JSON, false,
		"[\n{\"diagnosis_id\":123,\"queued\":5,\"name\":\"b\"},\n"
		"{\"diagnosis_id\":\"007\",\"queued\":null,\"name\":\"a\"},\n"
		"{\"diagnosis_id\":\"x-1\",\"queued\":7.25,\"name\":\"b\"}\n]\n");
	dw_rows_clear(&rows);
	add_page(&one, "diagnosis_id\tqueued", "123", 5);
	expect_print(&one, DW_ROWS_JSON, true, "{\"diagnosis_id\":123,\"queued\":5}\n");
	expect_print(&one, DW_ROWS_NDJSON, false, "{\"diagnosis_id\":123,\"queued\":5}\n");
	dw_rows_clear(&one);
	assert_int_equal(DW_OK, dw_rows_add(&none, &empty));
	expect_print(&none, DW_ROWS_JSON, false, "[]\n");
	dw_rows_clear(&none);
}

static void
joins_pages(void **state)
{
	struct dw_rows rows = { 0 };
	const struct dw_table other = { .columns = dw_str("a") };

	(void)state;
	add_page(&rows, "a\tb", "x", 1);
	add_page(&rows, "a\tb", "y", 22);
	assert_int_equal(2, rows.rows);
	assert_int_equal(DW_E_PROTOCOL, dw_rows_add(&rows, &other)); /* of another table */
	expect_print(&rows, DW_ROWS_TSV, false, "a\tb\nx\t1\ny\t22\n");
	dw_rows_clear(&rows);
}

static void
aligns_for_people(void **state)
{
	struct dw_rows rows = make_rooms(), one = { 0 };

	(void)state;
	expect_print(&rows, DW_ROWS_TABLE, true,
		"diagnosis_id queued name\n"
		"123               5 b\n"
		"007               - a\n"
		"x-1            7.25 b\n");
	dw_rows_clear(&rows);
	add_page(&one, "user_id\tn", "Zoë", 5);
	add_page(&one, "user_id\tn", "alice", 1000);
	expect_print(&one, DW_ROWS_TABLE, false, "user_id    n\nZoë        5\nalice   1000\n");
	dw_rows_clear(&one);
	add_page(&one, "user_id\tn", "می\u200cخواهم", 5); /* a joiner, of no width */
	add_page(&one, "user_id\tn", "e\u0301a", 6);      /* an accent apart from its letter */
	add_page(&one, "user_id\tn", "患者", 7);          /* twice as wide */
	expect_print(&one, DW_ROWS_TABLE, false, "user_id n\nمی\u200cخواهم 5\ne\u0301a      6\n患者    7\n");
	dw_rows_clear(&one);
	add_page(&one, "epoch\thead", "x", 5);
	expect_print(&one, DW_ROWS_TABLE, true, "epoch x\nhead  5\n");
	dw_common.color = "always";
	expect_print(&one, DW_ROWS_TABLE, true, "\033[36mepoch\033[0m x\n\033[36mhead\033[0m  5\n");
	dw_common.color = "auto";
	dw_rows_clear(&one);
}

/* Names come from peers: nothing in them may move a cursor, break a line or a JSON parser. */
static void
prints_no_controls(void **state)
{
	struct dw_rows rows = { 0 };
	struct dw_buf cells = { 0 };
	struct dw_table table = { .columns = dw_str("user_id\tname\tp50") };

	(void)state;
	add_text(&cells, "Zoë");
	add_text(&cells, "a\tb\n\033[31m\xff\"");
	add_real(&cells, NAN);
	table.cells = (struct dw_str) { cells.data, cells.len };
	assert_int_equal(DW_OK, dw_rows_add(&rows, &table));
	expect_print(&rows, DW_ROWS_TSV, false, "user_id\tname\tp50\nZoë\ta?b??[31m?\"\t\n");
	expect_print(&rows, DW_ROWS_NDJSON, false, "{\"user_id\":\"Zoë\",\"name\":\"a?b??[31m?\\\"\",\"p50\":null}\n");
	dw_rows_clear(&rows);
	dw_buf_clear(&cells);
}

static void
refuses_what_does_not_add_up(void **state)
{
	struct dw_rows rows = { 0 };
	struct dw_buf cells = { 0 };
	struct dw_table table = { .columns = dw_str("a\tb") };

	(void)state;
	add_number(&cells, 1);
	table.cells = (struct dw_str) { cells.data, cells.len };
	assert_int_equal(DW_E_PROTOCOL, dw_rows_add(&rows, &table)); /* half a row */
	add_number(&cells, 2);
	dw_buf_addc(&cells, (char)0x91); /* an array is no cell */
	table.cells = (struct dw_str) { cells.data, cells.len };
	assert_int_equal(DW_E_PROTOCOL, dw_rows_add(&rows, &table));
	table.cells.n -= 1;
	table.columns = dw_str("");
	assert_int_equal(DW_E_PROTOCOL, dw_rows_add(&rows, &table));
	table.columns = dw_str("a\tb");
	assert_int_equal(DW_OK, dw_rows_add(&rows, &table));
	assert_int_equal(1, rows.rows);
	dw_rows_clear(&rows);
	table.cells.n = 0;
	assert_int_equal(DW_OK, dw_rows_add(&rows, &table)); /* no rows are a table, too */
	expect_print(&rows, DW_ROWS_TSV, false, "a\tb\n");
	dw_rows_clear(&rows);
	dw_buf_clear(&cells);
}

static void
chooses_the_format(void **state)
{
	(void)state;
	assert_int_equal(DW_ROWS_TABLE, dw_rows_format(NULL, false, true));
	assert_int_equal(DW_ROWS_TSV, dw_rows_format(NULL, false, false));
	assert_int_equal(DW_ROWS_JSON, dw_rows_format(NULL, true, true));
	assert_int_equal(DW_ROWS_JSON, dw_rows_format("json", false, true));
	assert_int_equal(DW_ROWS_NDJSON, dw_rows_format("ndjson", false, true));
	assert_int_equal(DW_ROWS_TABLE, dw_rows_format("table", false, false));
	assert_int_equal(DW_ROWS_TSV, dw_rows_format("tsv", false, true));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_each_format),
		cmocka_unit_test(joins_pages),
		cmocka_unit_test(aligns_for_people),
		cmocka_unit_test(prints_no_controls),
		cmocka_unit_test(refuses_what_does_not_add_up),
		cmocka_unit_test(chooses_the_format),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
