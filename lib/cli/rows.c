/* Tables of the hub as text. A table is kept as the hub sent it, and its cells are unpacked as they are printed.
 *
 * Failure modes: a peer's table that does not add up, told when it comes; memory; an stdout that cannot be written.
 * Texts in it may come from another peer (an edge's name) and are not trusted to be text.
 */
#include "cli/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli/opt.h"
#include "message/msg.h"

enum { COLUMNS_MAX = 128 };

/* Takes the first name off a list with tabs between them. */
static struct dw_str
next_name(struct dw_str *rest)
{
	const char *tab = rest->n > 0 ? memchr(rest->p, '\t', rest->n) : NULL;
	const struct dw_str name = { rest->p, tab != NULL ? (size_t)(tab - rest->p) : rest->n };

	if (tab != NULL)
		*rest = (struct dw_str) { tab + 1, rest->n - name.n - 1 };
	return name;
}

int
dw_rows_add(struct dw_rows *rows, const struct dw_table *page)
{
	struct dw_str names = page->columns, cells = page->cells;
	size_t columns = names.n > 0, count = 0;
	struct dw_cell cell;
	int err;

	while ((err = dw_cell_next(&cells, &cell)) == DW_OK)
		count++;
	if (err != DW_E_AGAIN)
		return err;
	for (size_t i = 0; i < names.n; i++)
		columns += names.p[i] == '\t';
	if (columns == 0 || columns > COLUMNS_MAX || count % columns != 0 ||
		(rows->columns != 0 && columns != rows->columns))
		return DW_E_PROTOCOL;
	for (; rows->columns < columns; rows->columns++)
		dw_cell_pack(&rows->cells, &(struct dw_cell) { .type = DW_CELL_TEXT, .text = next_name(&names) });
	dw_buf_add(&rows->cells, page->cells.p, page->cells.n);
	rows->rows += count / columns;
	rows->more = page->more;
	return dw_buf_ok(&rows->cells) ? DW_OK : DW_E_NOMEM;
}

void
dw_rows_clear(struct dw_rows *rows)
{
	dw_buf_clear(&rows->cells);
	*rows = (struct dw_rows) { 0 };
}

enum dw_rows_format
dw_rows_format(const char *format, bool json, bool terminal)
{
	if (json || (format != NULL && strcmp(format, "json") == 0))
		return DW_ROWS_JSON;
	if (format != NULL && strcmp(format, "ndjson") == 0)
		return DW_ROWS_NDJSON;
	if (format != NULL)
		return strcmp(format, "table") == 0 ? DW_ROWS_TABLE : DW_ROWS_TSV;
	return terminal ? DW_ROWS_TABLE : DW_ROWS_TSV;
}

/* Characters that control, and what is no UTF-8, are shown as '?'. */
static void
add_text(struct dw_buf *out, struct dw_str text)
{
	while (text.n > 0) {
		const size_t n = dw_utf8_character(text.p, text.n);
		const struct dw_str one = dw_str_take(&text, n > 0 ? n : 1);

		if (dw_user_ok(one))
			dw_buf_add(out, one.p, one.n);
		else
			dw_buf_addc(out, '?');
	}
}

static void
add_cell(struct dw_buf *out, const struct dw_cell *cell)
{
	if (cell->type == DW_CELL_NUMBER)
		dw_buf_addf(out, "%lld", (long long)cell->number);
	else if (cell->type == DW_CELL_REAL && isfinite(cell->real))
		dw_buf_addf(out, "%.6g", cell->real);
	else if (cell->type == DW_CELL_TEXT)
		add_text(out, cell->text);
}

static void
add_json_text(struct dw_buf *out, struct dw_str name, struct dw_str text)
{
	struct dw_buf clean = { 0 };

	add_text(&clean, text);
	if (dw_str_is(name, "diagnosis_id") || dw_str_is(name, "user_id"))
		dw_id_to_json(out, (struct dw_str) { clean.data, clean.len });
	else
		dw_buf_add_json_string(out, (struct dw_str) { clean.data, clean.len });
	out->failed = out->failed || !dw_buf_ok(&clean);
	dw_buf_clear(&clean);
}

struct dw_str
dw_rows_names(const struct dw_rows *rows)
{
	return dw_bytes(rows->cells.data, rows->cells.len);
}

struct dw_str
dw_rows_cells(const struct dw_rows *rows)
{
	struct dw_str rest = dw_rows_names(rows);

	for (size_t i = 0; i < rows->columns; i++)
		(void)dw_rows_take(&rest);
	return rest;
}

/* dw_rows_add has walked them all: none fails. */
struct dw_cell
dw_rows_take(struct dw_str *rest)
{
	struct dw_cell cell = { .type = DW_CELL_NIL };

	(void)dw_cell_next(rest, &cell);
	return cell;
}

void
dw_rows_add_names(struct dw_buf *out, const struct dw_rows *rows)
{
	struct dw_str rest = dw_rows_names(rows);

	for (size_t i = 0; i < rows->columns; i++) {
		dw_buf_addc(out, ' ');
		add_text(out, dw_rows_take(&rest).text);
	}
}

static void
add_object(struct dw_buf *out, const struct dw_rows *rows, struct dw_str *cells)
{
	struct dw_str names = dw_rows_names(rows);

	for (size_t i = 0; i < rows->columns; i++) {
		const struct dw_str name = dw_rows_take(&names).text;
		const struct dw_cell cell = dw_rows_take(cells);

		dw_buf_addc(out, i == 0 ? '{' : ',');
		dw_buf_add_json_string(out, name);
		dw_buf_addc(out, ':');
		if (cell.type == DW_CELL_TEXT)
			add_json_text(out, name, cell.text);
		else if (cell.type == DW_CELL_NIL || (cell.type == DW_CELL_REAL && !isfinite(cell.real)))
			dw_buf_adds(out, "null");
		else
			add_cell(out, &cell);
	}
	dw_buf_addc(out, '}');
}

static void
add_json(struct dw_buf *out, const struct dw_rows *rows, bool array)
{
	struct dw_str rest = dw_rows_cells(rows);

	if (array)
		dw_buf_addc(out, '[');
	for (size_t i = 0; i < rows->rows; i++) {
		if (array)
			dw_buf_adds(out, i == 0 ? "\n" : ",\n");
		add_object(out, rows, &rest);
		if (!array)
			dw_buf_addc(out, '\n');
	}
	if (array)
		dw_buf_adds(out, rows->rows > 0 ? "\n]\n" : "]\n");
}

static void
add_tsv(struct dw_buf *out, const struct dw_rows *rows)
{
	struct dw_str rest = dw_rows_names(rows);

	for (size_t i = 1; rest.n > 0; i++) {
		const struct dw_cell cell = dw_rows_take(&rest);

		add_cell(out, &cell);
		dw_buf_addc(out, i % rows->columns == 0 ? '\n' : '\t');
	}
}

/* ---- for people ---- */

/* Puts a cell into text and says how wide it is; without memory, out has failed. */
static size_t
put_cell(struct dw_buf *out, struct dw_buf *text, const struct dw_cell *cell)
{
	dw_buf_reset(text);
	add_cell(text, cell);
	if (text->len == 0)
		dw_buf_addc(text, '-');
	out->failed = out->failed || !dw_buf_ok(text);
	return dw_text_width(text->data, text->len);
}

/* Columns as wide as their widest cell, numbers at the right. The header is the first row, or the first column. */
static void
add_aligned(struct dw_buf *out, struct dw_str cells, size_t columns, bool upright, size_t gap)
{
	const bool color = dw_use_color(STDOUT_FILENO);
	struct dw_buf text = { 0 };
	size_t widths[COLUMNS_MAX] = { 0 };
	bool has_text[COLUMNS_MAX] = { 0 };
	struct dw_str rest = cells;

	for (size_t i = 0; rest.n > 0; i++) {
		const struct dw_cell cell = dw_rows_take(&rest);
		const size_t column = i % columns, wide = put_cell(out, &text, &cell);

		widths[column] = wide > widths[column] ? wide : widths[column];
		has_text[column] = has_text[column] || (cell.type == DW_CELL_TEXT && (upright || i >= columns));
	}
	rest = cells;
	for (size_t i = 0; rest.n > 0; i++) {
		const struct dw_cell cell = dw_rows_take(&rest);
		const size_t column = i % columns, pad = widths[column] - put_cell(out, &text, &cell);
		const size_t before = has_text[column] ? 0 : pad;
		const bool last = column + 1 == columns, tint = color && (upright ? column == 0 : i < columns);

		dw_buf_addf(out, "%*s%s%s%s%*s", (int)before, "", tint ? "\033[36m" : "", text.len > 0 ? text.data : "",
			tint ? "\033[0m" : "", last ? 0 : (int)(pad - before + gap), "");
		if (last)
			dw_buf_addc(out, '\n');
	}
	dw_buf_clear(&text);
}

/* The only row, a line for each of its values. */
static void
add_upright(struct dw_buf *out, const struct dw_rows *rows, size_t gap)
{
	struct dw_str names = dw_rows_names(rows), values = dw_rows_cells(rows);
	struct dw_buf pairs = { 0 };
	struct dw_cell cell;

	while (values.n > 0) {
		cell = dw_rows_take(&names);
		dw_cell_pack(&pairs, &cell);
		cell = dw_rows_take(&values);
		dw_cell_pack(&pairs, &cell);
	}
	add_aligned(out, dw_bytes(pairs.data, pairs.len), 2, true, gap);
	out->failed = out->failed || !dw_buf_ok(&pairs);
	dw_buf_clear(&pairs);
}

void
dw_rows_add_to(struct dw_buf *out, const struct dw_rows *rows, enum dw_rows_format format, bool single, size_t gap)
{
	if (format == DW_ROWS_TSV)
		add_tsv(out, rows);
	else if (format != DW_ROWS_TABLE)
		add_json(out, rows, format == DW_ROWS_JSON && !single);
	else if (single && rows->rows == 1)
		add_upright(out, rows, gap);
	else
		add_aligned(out, dw_rows_names(rows), rows->columns, false, gap);
}

int
dw_rows_print(const struct dw_rows *rows, enum dw_rows_format format, bool single, size_t gap)
{
	struct dw_buf text = { 0 };
	int err = DW_OK;

	dw_rows_add_to(&text, rows, format, single, gap);
	if (!dw_buf_ok(&text))
		err = DW_E_NOMEM;
	else if ((text.len > 0 && fwrite(text.data, 1, text.len, stdout) != text.len) || fflush(stdout) != 0)
		err = DW_E_IO;
	dw_buf_clear(&text);
	return err;
}
