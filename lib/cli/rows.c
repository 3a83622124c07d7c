/* Tables of the hub as text. Its own file because two commands print them in the same words, and only the
 * drawing on a terminal is each one's own.
 *
 * Failure modes: a peer's table that does not add up; memory. Texts in it may come from another peer (an edge's
 * name) and are not trusted to be text.
 */
#include "cli/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message/msg.h"

enum { COLUMNS_MAX = 128 };

/* How many names the tab-separated list has. */
static size_t
count_names(struct dw_str list)
{
	size_t count = list.n > 0 ? 1 : 0;

	for (size_t i = 0; i < list.n; i++)
		count += list.p[i] == '\t';
	return count;
}

static void
split_names(struct dw_str list, struct dw_str *names, size_t count)
{
	const char *from = list.p, *end = list.p + list.n;

	for (size_t i = 0; i < count; i++) {
		const char *tab = memchr(from, '\t', (size_t)(end - from));

		names[i] = (struct dw_str) { from, (size_t)((tab != NULL ? tab : end) - from) };
		from += names[i].n + 1;
	}
}

/* Counts the cells, and stores them where `to` is given. */
static int
walk_cells(struct dw_str cells, struct dw_cell *to, size_t *count)
{
	struct dw_cell cell;
	size_t n = 0;
	int err;

	while ((err = dw_cell_next(&cells, &cell)) == DW_OK) {
		if (to != NULL)
			to[n] = cell;
		n++;
	}
	*count = n;
	return err == DW_E_AGAIN ? DW_OK : err;
}

static int
fill(struct dw_rows *rows, const struct dw_table *table)
{
	struct dw_str columns, cells;
	size_t count = 0;
	int err = walk_cells(table->cells, NULL, &count);

	if (err != DW_OK)
		return err;
	rows->columns = count_names(table->columns);
	rows->more = table->more;
	if (rows->columns == 0 || rows->columns > COLUMNS_MAX || count % rows->columns != 0)
		return DW_E_PROTOCOL;
	rows->rows = count / rows->columns;
	rows->memory = malloc(table->columns.n + table->cells.n + 1);
	rows->names = calloc(rows->columns, sizeof(*rows->names));
	rows->all = calloc(count + 1, sizeof(*rows->all));
	rows->cells = calloc(rows->rows + 1, sizeof(*rows->cells));
	if (rows->memory == NULL || rows->names == NULL || rows->all == NULL || rows->cells == NULL)
		return DW_E_NOMEM;
	memcpy(rows->memory, table->columns.p, table->columns.n);
	if (table->cells.n > 0)
		memcpy(rows->memory + table->columns.n, table->cells.p, table->cells.n);
	columns = (struct dw_str) { rows->memory, table->columns.n };
	cells = (struct dw_str) { rows->memory + table->columns.n, table->cells.n };
	split_names(columns, rows->names, rows->columns);
	for (size_t i = 0; i < rows->rows; i++)
		rows->cells[i] = rows->all + i * rows->columns;
	return walk_cells(cells, rows->all, &count);
}

int
dw_rows_new(struct dw_rows **out, const struct dw_table *table)
{
	struct dw_rows *rows = calloc(1, sizeof(*rows));
	int err = rows != NULL ? fill(rows, table) : DW_E_NOMEM;

	if (err == DW_OK)
		*out = rows;
	else
		dw_rows_destroy(&rows);
	return err;
}

void
dw_rows_destroy(struct dw_rows **rows_p)
{
	struct dw_rows *rows = *rows_p;

	if (rows == NULL)
		return;
	free(rows->names);
	free(rows->cells);
	free(rows->all);
	free(rows->memory);
	free(rows);
	*rows_p = NULL;
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

/* What is not a name by the rule of user ids (UTF-8, nothing that controls) is shown as plain ASCII. */
static void
add_text(struct dw_buf *out, struct dw_str text)
{
	if (dw_user_ok(text)) {
		dw_buf_add(out, text.p, text.n);
		return;
	}
	for (size_t i = 0; i < text.n; i++)
		dw_buf_add(out, text.p[i] >= ' ' && text.p[i] <= '~' ? &text.p[i] : "?", 1);
}

void
dw_rows_cell_text(struct dw_buf *out, const struct dw_cell *cell)
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
	struct dw_buf clean;

	dw_buf_init(&clean);
	add_text(&clean, text);
	if (dw_str_is(name, "diagnosis_id") || dw_str_is(name, "user_id"))
		dw_id_to_json(out, (struct dw_str) { clean.data, clean.len });
	else
		dw_buf_add_json_string(out, (struct dw_str) { clean.data, clean.len });
	out->failed = out->failed || !dw_buf_ok(&clean);
	dw_buf_clear(&clean);
}

static void
add_object(struct dw_buf *out, const struct dw_rows *rows, const struct dw_cell *row)
{
	for (size_t i = 0; i < rows->columns; i++) {
		dw_buf_addc(out, i == 0 ? '{' : ',');
		dw_buf_add_json_string(out, rows->names[i]);
		dw_buf_addc(out, ':');
		if (row[i].type == DW_CELL_TEXT)
			add_json_text(out, rows->names[i], row[i].text);
		else if (row[i].type == DW_CELL_NIL || (row[i].type == DW_CELL_REAL && !isfinite(row[i].real)))
			dw_buf_adds(out, "null");
		else
			dw_rows_cell_text(out, &row[i]);
	}
	dw_buf_addc(out, '}');
}

static void
add_line(struct dw_buf *out, const struct dw_rows *rows, const struct dw_cell *row)
{
	for (size_t i = 0; i < rows->columns; i++) {
		if (i > 0)
			dw_buf_addc(out, '\t');
		if (row != NULL)
			dw_rows_cell_text(out, &row[i]);
		else
			add_text(out, rows->names[i]);
	}
	dw_buf_addc(out, '\n');
}

void
dw_rows_print(struct dw_buf *out, const struct dw_rows *rows, size_t count, enum dw_rows_format format, bool single)
{
	const bool array = format == DW_ROWS_JSON && !single;

	if (count > rows->rows)
		count = rows->rows;
	if (format == DW_ROWS_TSV)
		add_line(out, rows, NULL);
	if (array)
		dw_buf_addc(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (format == DW_ROWS_TSV) {
			add_line(out, rows, rows->cells[i]);
			continue;
		}
		if (array)
			dw_buf_adds(out, i == 0 ? "\n" : ",\n");
		add_object(out, rows, rows->cells[i]);
		if (!array)
			dw_buf_addc(out, '\n');
	}
	if (array)
		dw_buf_adds(out, count > 0 ? "\n]\n" : "]\n");
}
