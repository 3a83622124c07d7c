/* Tables on a terminal, by libsmartcols. Its own file because only it includes that library.
 *
 * Numbers stand right, texts left; a summary stands upright, a line for each of its values. Failure modes: memory,
 * and an stdout that cannot be written.
 */
#include "draw.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>

static int
set_cell(struct libscols_line *line, size_t column, const struct dw_cell *cell)
{
	struct dw_buf text;
	int err = DW_E_NOMEM;

	dw_buf_init(&text);
	dw_rows_cell_text(&text, cell);
	if (text.len == 0)
		dw_buf_adds(&text, "-");
	if (dw_buf_ok(&text) && scols_line_set_data(line, column, text.data) == 0)
		err = DW_OK;
	dw_buf_clear(&text);
	return err;
}

static int
set_name(struct libscols_line *line, size_t column, struct dw_str name)
{
	const struct dw_cell cell = { .type = DW_CELL_TEXT, .text = name };

	return set_cell(line, column, &cell);
}

/* A column of numbers alone (or nothing) stands right. */
static bool
is_numeric(const struct dw_rows *rows, size_t column)
{
	for (size_t i = 0; i < rows->rows; i++) {
		if (rows->cells[i][column].type == DW_CELL_TEXT)
			return false;
	}
	return rows->rows > 0;
}

static int
add_column(struct libscols_table *table, struct dw_str name, bool right)
{
	struct libscols_column *column;
	struct dw_buf text;
	int err = DW_E_NOMEM;

	dw_buf_init(&text);
	dw_rows_cell_text(&text, &(struct dw_cell) { .type = DW_CELL_TEXT, .text = name });
	column = dw_buf_ok(&text)
				 ? scols_table_new_column(table, text.data != NULL ? text.data : "", 0, right ? SCOLS_FL_RIGHT : 0)
				 : NULL;
	if (column != NULL && scols_cell_set_color(scols_column_get_header(column), "cyan") == 0)
		err = DW_OK;
	dw_buf_clear(&text);
	return err;
}

static int
fill_upright(struct libscols_table *table, const struct dw_rows *rows)
{
	int err = add_column(table, DW_STR("name"), false);

	if (err == DW_OK)
		err = add_column(table, DW_STR("value"), false);
	(void)scols_table_enable_noheadings(table, 1);
	for (size_t i = 0; i < rows->columns && rows->rows > 0 && err == DW_OK; i++) {
		struct libscols_line *line = scols_table_new_line(table, NULL);

		if (line == NULL)
			return DW_E_NOMEM;
		err = set_name(line, 0, rows->names[i]);
		(void)scols_cell_set_color(scols_line_get_cell(line, 0), "cyan");
		if (err == DW_OK)
			err = set_cell(line, 1, &rows->cells[0][i]);
	}
	return err;
}

static int
fill_flat(struct libscols_table *table, const struct dw_rows *rows, size_t count)
{
	int err = DW_OK;

	for (size_t i = 0; i < rows->columns && err == DW_OK; i++)
		err = add_column(table, rows->names[i], is_numeric(rows, i));
	for (size_t i = 0; i < count && err == DW_OK; i++) {
		struct libscols_line *line = scols_table_new_line(table, NULL);

		if (line == NULL)
			return DW_E_NOMEM;
		for (size_t j = 0; j < rows->columns && err == DW_OK; j++)
			err = set_cell(line, j, &rows->cells[i][j]);
	}
	return err;
}

int
draw_rows(const struct dw_rows *rows, size_t count, bool vertical, bool color)
{
	struct libscols_table *table = scols_new_table();
	int err;

	if (table == NULL)
		return DW_E_NOMEM;
	(void)scols_table_enable_colors(table, color);
	err = vertical ? fill_upright(table, rows) : fill_flat(table, rows, count < rows->rows ? count : rows->rows);
	if (err == DW_OK && scols_print_table(table) != 0)
		err = DW_E_IO;
	scols_unref_table(table);
	return err;
}
