/* diagws-stat: what the hub has in hand, as a table for a person or as data for a script. Never a payload.
 *
 * One view is asked of the hub, which sorts and cuts it, and printed: drawn on a terminal, TSV in a pipe, or JSON.
 * Failure modes and exit status: diagws(7); a diagnosis that nobody knows is 67, a hub that does not answer 75.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "message/msg.h"

enum { ROWS_MAX = 100000 };

static const char *sort_column;
static bool reverse;
static int64_t top;

static const struct dw_opt view_options[] = {
	{ DW_OPT_TEXT, 0, "sort", "COL", "sort by this column: numbers from the largest, names from a",
		.target = &sort_column },
	{ DW_OPT_FLAG, 0, "reverse", NULL, "sort the other way round", .target = &reverse },
	{ DW_OPT_NUMBER, 0, "top", "N", "only the first N rows", .initial = "all", .target = &top, .min = 1,
		.max = ROWS_MAX },
	{ 0 },
};

static const struct dw_command command = {
	.name = "diagws-stat",
	.summary = "show rooms, connections, receipts, queued messages, edges and commit times",
	.usage = "[--sort COL [--reverse]] [--top N] [summary|rooms|edges|queues|users]\n"
			 "room DIAGNOSIS\n"
			 "[--sort COL [--reverse]] [--top N] devices|messages DIAGNOSIS",
	.words = "summary rooms room devices messages edges queues users",
	.examples = "diagws-stat rooms --sort connections --top 10\n"
				"diagws-stat --json | jq .queued",
	.groups = (const struct dw_opt *const[]) { view_options, dw_opt_table, dw_opt_hub, dw_opt_common, NULL },
};

struct view {
	const char *name;
	bool needs_room;
	bool single; /* one row by nature: an object in JSON, upright on a terminal */
};

static const struct view views[] = {
	{ "summary", false, true },
	{ "rooms", false, false },
	{ "room", true, true },
	{ "devices", true, false },
	{ "messages", true, false },
	{ "edges", false, false },
	{ "queues", false, false },
	{ "users", false, false },
};

static int
check_usage(int count, char **operands, const struct view **view)
{
	const char *name = count > 0 ? operands[0] : "summary";
	struct dw_fault fault = { 0 };
	int err;

	*view = NULL;
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (strcmp(views[i].name, name) == 0)
			*view = &views[i];
	if (*view == NULL)
		return dw_opt_misuse(&command, "'%s' is not one of: %s", name, command.words);
	if (sort_column != NULL && sort_column[0] == '\0')
		return dw_opt_misuse(&command, "option '--sort' needs a column");
	if (reverse && sort_column == NULL)
		return dw_opt_misuse(&command, "option '--reverse' needs '--sort'");
	if ((*view)->needs_room && count < 2)
		return dw_opt_misuse(&command, "'%s' needs a diagnosis", name);
	if (count > ((*view)->needs_room ? 2 : 1))
		return dw_opt_misuse(&command, "'%s' is one operand too many", operands[count - 1]);
	err = (*view)->needs_room ? dw_room_check(dw_str(operands[1]), "", &fault) : DW_OK;
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	return err;
}

static void
explain_column(const struct view *view, const struct dw_rows *rows)
{
	struct dw_fault fault = { 0 };
	char quoted[DW_QUOTE_SIZE];
	struct dw_buf hint = { 0 };

	dw_buf_adds(&hint, "its columns are:");
	dw_rows_add_names(&hint, rows);
	(void)dw_fault_set(&fault, DW_E_USAGE, NULL, NULL, "option '--sort': '%s' is no column of '%s'",
		dw_quote(dw_str(sort_column), quoted), view->name);
	dw_fault_print(stderr, command.name, DW_E_USAGE, &fault, dw_buf_ok(&hint) ? hint.data : NULL);
	dw_buf_clear(&hint);
}

/* What the hub says; failures have been told. */
static int
ask(const struct view *view, const char *room, struct dw_rows *rows)
{
	struct dw_wire request = { .kind = DW_STAT,
		.stat = { .view = dw_str(view->name),
			.room = dw_str(room),
			.limit = top > 0 ? (uint64_t)top : ROWS_MAX,
			.reverse = reverse } };
	struct dw_fault fault = { 0 };
	int err;

	if (sort_column != NULL) /* one that is too long for a column is none as far as it is sent, either */
		request.stat.sort = (struct dw_str) { sort_column, strnlen(sort_column, DW_COLUMN_MAX) };
	err = dw_command_ask(command.name, &request, rows, &fault);
	if (err == DW_E_FIELD && rows->columns > 0) {
		explain_column(view, rows);
		return DW_E_USAGE;
	}
	if (err == DW_E_UNKNOWN && room != NULL)
		(void)dw_fault_set(
			&fault, err, NULL, NULL, "diagnosis '%s' is unknown: nothing was sent and nobody watches", room);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	return err;
}

/* A drawn table without rows is nothing at all. */
static int
print_rows(const struct dw_rows *rows, const struct view *view)
{
	const enum dw_rows_format format = dw_rows_format(dw_common.format, dw_common.json, isatty(STDOUT_FILENO) != 0);
	int err = DW_OK;

	if (format != DW_ROWS_TABLE || rows->rows > 0)
		err = dw_rows_print(rows, format, view->single, 1);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, NULL, NULL);
	else if (rows->more && (top == 0 || rows->rows < (size_t)top) && !dw_common.quiet)
		fprintf(stderr, "%s: the hub has more rows than these %zu\n", command.name, rows->rows);
	return err;
}

int
main(int argc, char **argv)
{
	const int first = dw_command_begin(&command, argc, argv);
	const struct view *view;
	struct dw_rows rows = { 0 };
	int err = check_usage(argc - first, argv + first, &view);

	if (err == DW_OK)
		err = ask(view, view->needs_room ? argv[first + 1] : NULL, &rows);
	if (err == DW_OK)
		err = print_rows(&rows, view);
	dw_rows_clear(&rows);
	return dw_err_exit(err);
}
