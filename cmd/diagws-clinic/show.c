/* See show.h. An answer is taken apart once more rather than printed by a renderer of its own: what a new call answers
 * is printed without another line here.
 *
 * An array of objects becomes a grid: its columns are all names that occur in any of them, an object inside is
 * flattened ("reasoning.en"), arrays of texts and numbers are one cell. Failure modes: memory, and a stdout that cannot
 * be written.
 */
#include "show.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/command.h"
#include "json/json.h"

enum {
	COLUMNS = 64, /* more are left out */
	NAME_SIZE = 72,
	CELL_WIDTH = 36, /* a longer text is cut in a table of several rows */
	GAP = 2,
};

/* Columns, and a row of cells being put together. */
struct grid {
	bool drawn;   /* a table for people */
	bool whole;   /* texts are not cut */
	size_t count; /* columns */
	struct column {
		char name[NAME_SIZE];
		size_t width;
		bool hidden;
		size_t at, size; /* of this row's cell in `row`; size 0: it has none */
	} columns[COLUMNS];
	struct dw_buf row;
	struct dw_buf cells; /* all rows, column by column, packed */
	size_t rows;
};

/* What a table for people does without first where it is too wide. */
static const char *const spare[] = { "reasoning.fa", "reasoning.en", "version", "updated", "expected_duration_days",
	"evidence_source", "frequency", "duration", "dosage", "symptom_match", "historical", "cohort", "side_effects",
	"average_improvement", "similar_patient_count", "comment", "made", "compliance", "computed" };

/* ---- cells ---- */

static void
add_spark(struct dw_buf *text, const struct dw_json *list)
{
	static const char *const bars[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };

	for (size_t i = 0; i < list->count; i++) {
		const struct dw_json_member *value = &list->members[i];

		if (value->type == DW_JSON_NULL || !(value->number >= 0))
			dw_buf_adds(text, "·");
		else
			dw_buf_adds(text, bars[value->number >= 1 ? 7 : (size_t)(value->number * 8)]);
	}
}

/* Texts: "a, b". Numbers: for people small bars from 0 to 1, else "0.5,0.7,". Objects: false. */
static bool
add_list(struct dw_buf *text, const struct dw_json_member *member, bool drawn)
{
	struct dw_json *list = NULL;
	bool told = dw_json_parse(&list, member->raw.p, member->raw.n, NULL) == DW_OK;
	const enum dw_json_type first = told && list->count > 0 ? list->members[0].type : DW_JSON_NULL;

	told = told && first != DW_JSON_OBJECT && first != DW_JSON_ARRAY;
	if (told && drawn && first != DW_JSON_STRING && list->count > 8)
		add_spark(text, list);
	else
		for (size_t i = 0; told && i < list->count; i++) {
			const struct dw_json_member *value = &list->members[i];
			const struct dw_str shown = value->type == DW_JSON_STRING ? value->text : value->raw;

			dw_buf_adds(text, i == 0 ? "" : first == DW_JSON_STRING ? ", " : ",");
			if (value->type != DW_JSON_NULL)
				dw_buf_add(text, shown.p, shown.n);
		}
	dw_json_destroy(&list);
	return told;
}

/* Cuts a text to CELL_WIDTH columns. */
static struct dw_str
cut(struct dw_buf *scratch, struct dw_str text)
{
	size_t n = 0;

	if (dw_text_width(text.p, text.n) <= CELL_WIDTH)
		return text;
	while (n < text.n && dw_text_width(text.p, n + 1) < CELL_WIDTH)
		n++;
	while (n > 0 && ((unsigned char)text.p[n] & 0xC0) == 0x80)
		n--;
	dw_buf_add(scratch, text.p, n);
	dw_buf_adds(scratch, "…");
	return dw_bytes(scratch->data, scratch->len);
}

/* Packs a value's cell into the row; false: it has none. */
static bool
pack(struct grid *grid, const struct dw_json_member *member)
{
	struct dw_cell cell = { .type = DW_CELL_TEXT, .text = member->text };
	struct dw_buf list = { 0 }, scratch = { 0 };
	bool told = true;

	if (member->type == DW_JSON_INTEGER)
		cell = (struct dw_cell) { .type = DW_CELL_NUMBER, .number = member->integer };
	else if (member->type == DW_JSON_REAL)
		cell = (struct dw_cell) { .type = DW_CELL_REAL, .real = member->number };
	else if (member->type == DW_JSON_NULL)
		cell.type = DW_CELL_NIL;
	else if (member->type == DW_JSON_BOOL)
		cell.text = member->raw;
	else if (member->type == DW_JSON_ARRAY) {
		told = add_list(&list, member, grid->drawn);
		cell.text = dw_bytes(list.data, list.len);
	}
	if (cell.type == DW_CELL_TEXT && grid->drawn && !grid->whole)
		cell.text = cut(&scratch, cell.text);
	if (told)
		dw_cell_pack(&grid->row, &cell);
	dw_buf_clear(&list);
	dw_buf_clear(&scratch);
	return told;
}

/* ---- rows ---- */

static struct column *
find_column(struct grid *grid, const char *name)
{
	for (size_t i = 0; i < grid->count; i++)
		if (strcmp(grid->columns[i].name, name) == 0)
			return &grid->columns[i];
	return NULL;
}

/* The column of this name, made if need be; NULL: there are too many. */
static struct column *
column_of(struct grid *grid, const char *name)
{
	struct column *column = find_column(grid, name);

	if (column != NULL || grid->count == COLUMNS)
		return column;
	column = &grid->columns[grid->count++];
	(void)snprintf(column->name, sizeof(column->name), "%s", name);
	return column;
}

/* An empty array is taken for one of objects, but for the one that is of texts elsewhere. */
static bool
has_records(const struct dw_json_member *member)
{
	return member->type == DW_JSON_ARRAY && member->raw.n >= 2 &&
		   (member->raw.p[1] == '{' || (member->raw.p[1] == ']' && !dw_str_is(member->key, "side_effects")));
}

/* Each member becomes the cell of its column in the row; `prefix` begins the names of an inner object's. */
static void
take_members(struct grid *grid, const struct dw_json *object, const char *prefix)
{
	for (size_t i = 0; i < object->count; i++) {
		const struct dw_json_member *member = &object->members[i];
		const size_t at = grid->row.len;
		struct dw_json *inner = NULL;
		struct column *column;
		char name[NAME_SIZE];

		(void)snprintf(
			name, sizeof(name), "%s%s%.*s", prefix, prefix[0] != '\0' ? "." : "", (int)member->key.n, member->key.p);
		if (member->type == DW_JSON_OBJECT) {
			if (prefix[0] == '\0' && dw_json_parse(&inner, member->raw.p, member->raw.n, NULL) == DW_OK)
				take_members(grid, inner, name);
			dw_json_destroy(&inner);
		} else if (strcmp(name, "success") != 0 && !has_records(member) && pack(grid, member) &&
				   (column = column_of(grid, name)) != NULL) {
			column->at = at;
			column->size = grid->row.len - at;
		}
	}
}

/* Cells of one object, in the columns' order. */
static void
take_row(struct grid *grid, const struct dw_json *object)
{
	const struct dw_cell nil = { .type = DW_CELL_NIL };

	dw_buf_reset(&grid->row);
	for (size_t i = 0; i < grid->count; i++)
		grid->columns[i].size = 0;
	take_members(grid, object, "");
	for (size_t i = 0; i < grid->count; i++) {
		const struct column *column = &grid->columns[i];

		if (column->size > 0)
			dw_buf_add(&grid->cells, grid->row.data + column->at, column->size);
		else
			dw_cell_pack(&grid->cells, &nil);
	}
	grid->rows++;
}

/* All objects of an array: first for the names of the columns, then for the cells. */
static int
take_array(struct grid *grid, const struct dw_json *list)
{
	for (int pass = 0; pass < 2; pass++) {
		dw_buf_reset(&grid->cells);
		grid->rows = 0;
		for (size_t i = 0; i < list->count; i++) {
			struct dw_json *object = NULL;

			if (dw_json_parse(&object, list->members[i].raw.p, list->members[i].raw.n, NULL) != DW_OK)
				return DW_E_NOMEM;
			take_row(grid, object);
			dw_json_destroy(&object);
		}
	}
	return DW_OK;
}

/* ---- tables ---- */

/* A column's head for people: "recommendation_id" is "recommendation", "reasoning.en" stays. */
static struct dw_str
head(const struct grid *grid, const struct column *column)
{
	static const struct {
		const char *name, *shown;
	} shorter[] = { { "recommendation_id", "rec" }, { "predicted_effectiveness", "predicted" },
		{ "symptom_improvement", "improvement" }, { "sample_size", "samples" }, { "average_rating", "rating" },
		{ "average_improvement", "improvement" }, { "similar_patient_count", "similar" } };
	struct dw_str name = dw_str(column->name);

	if (!grid->drawn || grid->whole)
		return name;
	for (size_t i = 0; i < sizeof(shorter) / sizeof(shorter[0]); i++)
		if (dw_str_is(name, shorter[i].name))
			return dw_str(shorter[i].shown);
	if (name.n > 5 && memcmp(name.p + name.n - 5, "_name", 5) == 0)
		name.n -= 5;
	else if (name.n > 3 && memcmp(name.p + name.n - 3, "_id", 3) == 0)
		name.n -= 3;
	return name;
}

static size_t
cell_width(const struct dw_cell *cell)
{
	char number[32];

	if (cell->type == DW_CELL_TEXT)
		return dw_text_width(cell->text.p, cell->text.n);
	if (cell->type == DW_CELL_NUMBER)
		return (size_t)snprintf(number, sizeof(number), "%lld", (long long)cell->number);
	return cell->type == DW_CELL_REAL ? (size_t)snprintf(number, sizeof(number), "%.6g", cell->real) : 1;
}

static size_t
measure(struct grid *grid)
{
	struct dw_str rest = dw_bytes(grid->cells.data, grid->cells.len);
	size_t sum = 0;

	for (size_t i = 0; i < grid->count; i++) {
		const struct dw_str name = head(grid, &grid->columns[i]);

		grid->columns[i].width = dw_text_width(name.p, name.n);
	}
	for (size_t i = 0; grid->count > 0 && rest.n > 0; i++) {
		const struct dw_cell cell = dw_rows_take(&rest);
		struct column *column = &grid->columns[i % grid->count];
		const size_t width = cell_width(&cell);

		column->width = width > column->width ? width : column->width;
	}
	for (size_t i = 0; i < grid->count; i++)
		sum += grid->columns[i].width + (i > 0 ? GAP : 0);
	return sum;
}

static size_t
terminal_width(void)
{
	struct winsize window = { 0 };

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 ? window.ws_col : 0;
}

/* Leaves columns out until the table is as wide as the terminal, and then lets in again what still fits. */
static void
fit(struct grid *grid)
{
	const size_t most = terminal_width(), count = sizeof(spare) / sizeof(spare[0]);
	size_t wide = measure(grid);

	if (most == 0)
		return;
	for (size_t next = 0; wide > most && next < count; next++) {
		struct column *column = find_column(grid, spare[next]);

		if (column == NULL)
			continue;
		column->hidden = true;
		wide -= column->width + GAP;
	}
	for (size_t i = grid->count; i-- > 1 && wide > most;) {
		wide -= grid->columns[i].hidden ? 0 : grid->columns[i].width + GAP;
		grid->columns[i].hidden = true;
	}
	for (size_t next = count; next-- > 0;) {
		struct column *column = find_column(grid, spare[next]);

		if (column == NULL || !column->hidden || wide + column->width + GAP > most)
			continue;
		column->hidden = false;
		wide += column->width + GAP;
	}
}

/* Names that do not fit into a line go on in the next one. */
static void
tell_hidden(const struct grid *grid)
{
	static const char begin[] = "left out, see --json:";
	const size_t most = terminal_width();
	size_t at = 0;

	for (size_t i = 0; i < grid->count; i++) {
		const size_t n = strlen(grid->columns[i].name) + 1;

		if (!grid->columns[i].hidden)
			continue;
		if (at == 0 || at + n > most)
			at = (size_t)printf("%s%s", at == 0 ? "" : "\n ", at == 0 ? begin : "") - (at == 0 ? 0 : 1);
		(void)printf(" %s", grid->columns[i].name);
		at += n;
	}
	if (at > 0)
		(void)putchar('\n');
}

static int
print_grid(struct grid *grid, bool single)
{
	struct dw_buf names = { 0 }, cells = { 0 };
	struct dw_str rest = dw_bytes(grid->cells.data, grid->cells.len);
	struct dw_rows rows = { 0 };
	int err;

	if (grid->drawn && !single)
		fit(grid);
	for (size_t i = 0; i < grid->count; i++) {
		const struct dw_str name = head(grid, &grid->columns[i]);

		if (grid->columns[i].hidden)
			continue;
		dw_buf_adds(&names, names.len > 0 ? "\t" : "");
		dw_buf_add(&names, name.p, name.n);
	}
	for (size_t i = 0; grid->count > 0 && rest.n > 0; i++) {
		const char *from = rest.p;

		(void)dw_rows_take(&rest);
		if (!grid->columns[i % grid->count].hidden)
			dw_buf_add(&cells, from, (size_t)(rest.p - from));
	}
	err = dw_buf_ok(&names) && dw_buf_ok(&cells) && dw_buf_ok(&grid->cells) ? DW_OK : DW_E_NOMEM;
	if (err == DW_OK)
		err = dw_rows_add(&rows, &(struct dw_table) { .columns = dw_bytes(names.data, names.len),
									 .cells = dw_bytes(cells.data, cells.len) });
	if (err == DW_OK)
		err = dw_rows_print(&rows, grid->drawn ? DW_ROWS_TABLE : DW_ROWS_TSV, single, GAP);
	if (grid->drawn)
		tell_hidden(grid);
	dw_rows_clear(&rows);
	dw_buf_clear(&names);
	dw_buf_clear(&cells);
	return err;
}

static void
clear_grid(struct grid *grid)
{
	dw_buf_clear(&grid->row);
	dw_buf_clear(&grid->cells);
}

/* ---- an answer ---- */

static int
print_records(const struct dw_json_member *member, enum dw_rows_format format, bool titled)
{
	struct grid grid = { .drawn = format == DW_ROWS_TABLE };
	struct dw_json *list = NULL;
	int err = dw_json_parse(&list, member->raw.p, member->raw.n, NULL);

	if (err != DW_OK)
		return DW_E_NOMEM;
	if (format == DW_ROWS_NDJSON) {
		for (size_t i = 0; i < list->count; i++)
			(void)printf("%.*s\n", (int)list->members[i].raw.n, list->members[i].raw.p);
	} else if (list->count > 0) {
		if (titled)
			(void)printf("\n%.*s\n", (int)member->key.n, member->key.p);
		err = take_array(&grid, list);
		if (err == DW_OK && grid.count > 0)
			err = print_grid(&grid, false);
	} else if (grid.drawn) {
		(void)printf("%.*s: none\n", (int)member->key.n, member->key.p);
	}
	clear_grid(&grid);
	dw_json_destroy(&list);
	return err;
}

/* All that is no array of objects: for people upright, else a table of one row. */
static int
print_members(const struct dw_json *json, bool drawn, bool *any)
{
	struct grid grid = { .drawn = drawn, .whole = true };
	int err = DW_OK;

	take_members(&grid, json, "");
	dw_buf_reset(&grid.row);
	take_row(&grid, json);
	*any = grid.count > 0;
	if (*any)
		err = print_grid(&grid, true);
	clear_grid(&grid);
	return err;
}

int
show_answer(struct dw_str answer)
{
	const enum dw_rows_format format = dw_rows_format(dw_common.format, dw_common.json, isatty(STDOUT_FILENO) != 0);
	const struct dw_json_member *only = NULL;
	struct dw_json *json = NULL;
	size_t records = 0;
	bool any = false;
	int err = dw_json_parse(&json, answer.p, answer.n, NULL);

	if (err != DW_OK)
		return DW_E_NOMEM;
	for (size_t i = 0; i < json->count; i++) {
		only = has_records(&json->members[i]) ? &json->members[i] : only;
		records += has_records(&json->members[i]);
	}
	if (format == DW_ROWS_JSON || (format == DW_ROWS_NDJSON && records != 1)) {
		(void)fwrite(answer.p, 1, answer.n, stdout);
		(void)putchar('\n');
	} else if (format != DW_ROWS_TABLE) {
		err = records == 1 ? print_records(only, format, false) : print_members(json, false, &any);
	} else {
		err = print_members(json, true, &any);
		for (size_t i = 0; i < json->count && err == DW_OK; i++)
			if (has_records(&json->members[i]))
				err = print_records(&json->members[i], format, any || records > 1);
	}
	dw_json_destroy(&json);
	if (err == DW_OK && (fflush(stdout) != 0 || ferror(stdout)))
		err = DW_E_IO;
	return err;
}
