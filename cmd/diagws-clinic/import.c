/* diagws-clinic import: takes a table's records from NDJSON or CSV. A record that is there already becomes what the
 * line says.
 *
 * The happy path: lines are taken in groups, each of them one commit, so that others who write wait for a moment only;
 * a group ends, too, where the input pauses. With --atomic all of it is one commit, and with --dry-run it is undone.
 * Failure modes: a line that is wrong (told by its number and passed: 65; with --atomic nothing is taken, and the
 * others are still looked at); a file that cannot be written (ends it: what was committed stays, and its last line is
 * told); ^C (likewise, 130).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "csv.h"
#include "sql/db.h"
#include "table.h"
#include "verbs.h"

enum { LINE_MAX_BYTES = 64 * 1024, GROUP = 1000 };

static struct {
	const struct table *table;
	struct db *db;
	int64_t now;
	struct dw_lines *lines;
	struct dw_progress progress;
	bool is_csv, begun;
	struct csv csv;
	int columns[CSV_CELLS]; /* of a CSV's cells: which field */
	size_t column_count;    /* 0: the header has not come yet */
	struct dw_buf scratch;
	uint64_t first;    /* line of the record that is being read */
	uint64_t kept;     /* all up to this line is committed */
	uint64_t in_group; /* records since then */
	uint64_t taken, rejected;
	int err; /* of the first line that was rejected, or what ended it all */
	bool stop;
} import;

static bool
holds_all(void)
{
	return clinic_options.atomic || clinic_options.dry;
}

static void
tell(uint64_t line, int err, const struct dw_fault *fault)
{
	dw_progress_hide(&import.progress);
	dw_command_tell(clinic_command.name, line > 0 ? import.lines->name : NULL, line, err, fault, NULL);
}

static void
end(int err, const struct dw_fault *fault)
{
	import.stop = true;
	import.err = err;
	tell(0, err, fault);
}

/* The line's fault, or the end of it all where the file is at fault. */
static void
reject(int err, const struct dw_fault *fault)
{
	if (dw_err_exit(err) != 65) {
		end(err, fault);
		return;
	}
	import.rejected++;
	if (import.err == DW_OK)
		import.err = err;
	tell(import.first, err, fault);
}

/* ---- groups ---- */

static void
begin_group(void)
{
	struct dw_fault fault = { 0 };
	int err = DW_OK;

	if (import.begun)
		return;
	err = db_begin(import.db, &fault);
	if (err == DW_OK)
		err = db_run(import.db, &fault, sql_forget_predictions, "");
	if (err != DW_OK)
		end(err, &fault);
	import.begun = err == DW_OK;
	import.in_group = 0;
}

static void
end_group(bool keeps, uint64_t line)
{
	struct dw_fault fault = { 0 };
	int err = DW_OK;

	if (!import.begun)
		return;
	import.begun = false;
	if (keeps)
		err = db_commit(import.db, &fault);
	else
		import.taken = clinic_options.dry ? import.taken : 0;
	if (keeps && err == DW_OK)
		import.kept = line;
	else
		db_rollback(import.db);
	if (err != DW_OK)
		end(err, &fault);
	else if (keeps)
		db_give_way();
}

/* ---- records ---- */

static int
store(const struct dw_json_member *const *members, struct dw_fault *fault)
{
	int err;

	begin_group();
	if (import.stop)
		return DW_OK;
	err = table_store(import.db, import.table, members, import.now, fault);
	import.taken += err == DW_OK;
	import.in_group++;
	return err;
}

static int
take_json(struct dw_str line, struct dw_fault *fault)
{
	const struct dw_json_member *members[TABLE_FIELDS] = { NULL };
	struct dw_json *json = NULL;
	char quoted[DW_QUOTE_SIZE];
	int err = dw_json_parse(&json, line.p, line.n, fault);

	if (err != DW_OK)
		return err;
	if (dw_json_type(json) != DW_JSON_OBJECT)
		err = dw_fault_set(fault, DW_E_FIELD, NULL, "a JSON object in each line", "the line is not an object");
	for (size_t i = 0; err == DW_OK && i < json->count; i++) {
		const int field = table_field(import.table, json->members[i].key);

		if (field < 0)
			err = dw_fault_set(fault, DW_E_FIELD, NULL, NULL, "'%s' is not a field of %s",
				dw_quote(json->members[i].key, quoted), import.table->name);
		else
			members[field] = &json->members[i];
	}
	if (err == DW_OK)
		err = store(members, fault);
	dw_json_destroy(&json);
	return err;
}

/* The first line of a CSV: which cell is which field. */
static int
take_header(struct dw_fault *fault)
{
	bool there[TABLE_FIELDS] = { false };
	char quoted[DW_QUOTE_SIZE];

	for (size_t i = 0; i < import.csv.count; i++) {
		const int field = table_field(import.table, import.csv.cells[i]);

		(void)dw_quote(import.csv.cells[i], quoted);
		if (field < 0)
			return dw_fault_set(fault, DW_E_FIELD, NULL, NULL, "'%s' is not a field of %s", quoted, import.table->name);
		if (there[field])
			return dw_fault_set(fault, DW_E_FIELD, NULL, NULL, "column '%s' is there twice", quoted);
		there[field] = true;
		import.columns[i] = field;
	}
	for (size_t i = 0; i < table_count(import.table); i++)
		if (import.table->fields[i].required && !there[i])
			return dw_fault_set(fault, DW_E_FIELD, import.table->fields[i].name, "a header line that names the columns",
				"column '%s' is missing", import.table->fields[i].name);
	import.column_count = import.csv.count;
	return DW_OK;
}

static bool
are_texts(const struct csv *csv)
{
	for (size_t i = 0; i < csv->count; i++) {
		struct dw_utf8 utf8 = { 0 };
		const struct dw_str cell = csv->cells[i];

		if (!dw_utf8_take(&utf8, cell.p, cell.n) || utf8.left > 0 || memchr(cell.p, '\0', cell.n) != NULL)
			return false;
	}
	return true;
}

static int
take_csv(struct dw_str line, struct dw_fault *fault)
{
	const struct dw_json_member *members[TABLE_FIELDS] = { NULL };
	struct dw_json_member values[TABLE_FIELDS];
	int err;

	if (line.n >= 3 && import.column_count == 0 && memcmp(line.p, "\xEF\xBB\xBF", 3) == 0)
		(void)dw_str_take(&line, 3); /* spreadsheets begin a file with it */
	err = csv_take(&import.csv, line, LINE_MAX_BYTES, fault);
	if (err == DW_OK && !are_texts(&import.csv)) /* only now: where a record ends is known by its quotes */
		err = dw_fault_set(fault, DW_E_FIELD, NULL, "UTF-8", "the line is no text");
	if (err != DW_OK)
		return err;
	if (import.column_count == 0) {
		err = take_header(fault);
		import.stop = err != DW_OK;
		return err;
	}
	if (import.csv.count != import.column_count)
		return dw_fault_set(fault, DW_E_FIELD, NULL, NULL, "the line has %zu cells, and the header %zu",
			import.csv.count, import.column_count);
	for (size_t i = 0; i < import.csv.count; i++) {
		const int field = import.columns[i];

		values[field] = table_from_csv(&import.table->fields[field], import.csv.cells[i], &import.scratch);
		members[field] = &values[field];
	}
	return store(members, fault);
}

/* ---- lines ---- */

static void
take_line(struct dw_str line, uint64_t number)
{
	const bool goes_on = import.csv.state == CSV_QUOTED;
	struct dw_fault fault = { 0 };
	int err;

	if (!goes_on)
		import.first = number;
	if (!goes_on && dw_line_is_blank(line))
		return;
	err = import.is_csv ? take_csv(line, &fault) : take_json(line, &fault);
	if (err != DW_OK && err != DW_E_AGAIN)
		reject(err, &fault);
	if (!holds_all() && import.in_group >= GROUP && err != DW_E_AGAIN)
		end_group(true, number);
}

/* The lines that are there. */
static void
take_lines(uint64_t *number)
{
	struct dw_fault fault = { 0 };
	struct dw_str line;

	while (!import.stop) {
		const int err = dw_lines_next(import.lines, &line, number);

		if (err == DW_E_AGAIN)
			return;
		if (err == DW_OK) {
			take_line(line, *number);
			continue;
		}
		import.first = *number;
		import.csv.state = CSV_BEGIN; /* a record that had begun is lost with it */
		reject(err, (dw_fault_set(&fault, err, NULL, "at most 64 KiB", "the line is too long"), &fault));
	}
}

/* The last line of a whole record, where `number` was read last. */
static uint64_t
whole(uint64_t number)
{
	return import.csv.state == CSV_QUOTED ? import.first - 1 : number;
}

static void
run(uint64_t *number)
{
	struct dw_fault fault = { 0 };

	while (!import.stop && !dw_interrupted()) {
		take_lines(number);
		if (import.stop || dw_lines_ended(import.lines))
			break;
		dw_progress_tell(&import.progress, *number, import.rejected);
		if (!holds_all() && !dw_interrupt_wait(import.lines->fd, -1, 0))
			end_group(true, whole(*number)); /* the input pauses: nobody waits for us meanwhile */
		if (!import.stop && dw_command_wait(import.lines, true, NULL, false, &fault) != DW_OK)
			end(DW_E_NOINPUT, &fault);
	}
	if (!import.stop && import.csv.state == CSV_QUOTED)
		reject(DW_E_FIELD,
			(dw_fault_set(&fault, DW_E_FIELD, NULL, NULL, "a quote is not closed before the input ends"), &fault));
}

static int
finish(uint64_t number)
{
	const bool ended = import.stop || dw_interrupted();

	if (clinic_options.atomic)
		end_group(!clinic_options.dry && !ended && import.rejected == 0, number);
	else
		end_group(!clinic_options.dry && !import.stop, whole(number));
	dw_progress_hide(&import.progress);
	if (ended || import.stop)
		fprintf(stderr, "%s: %s: stopped after line %llu; %s\n", clinic_command.name, import.lines->name,
			(unsigned long long)(holds_all() ? number : import.kept),
			holds_all() ? "nothing was changed" : "what stands up to there was taken");
	if (!dw_common.quiet && isatty(STDERR_FILENO) && !ended && !import.stop)
		fprintf(stderr, "%s: %s %llu, rejected %llu\n", import.table->name, clinic_options.dry ? "would take" : "taken",
			(unsigned long long)import.taken, (unsigned long long)import.rejected);
	return dw_interrupted() && !import.stop ? DW_EXIT_INTERRUPTED : dw_err_exit(import.err);
}

static bool
ends_with(const char *text, const char *end)
{
	const size_t n = text != NULL ? strlen(text) : 0, m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static int
check_usage(int count, char **operands)
{
	struct dw_buf names = { 0 };
	int err = DW_OK;

	table_names(&names);
	import.table = count > 0 ? table_find(operands[0]) : NULL;
	if (count == 0)
		err = dw_opt_misuse(&clinic_command, "import: one of these is missing: %s", names.data);
	else if (import.table == NULL)
		err = dw_opt_misuse(&clinic_command, "import: '%s' is not one of: %s", operands[0], names.data);
	else if (count > 2)
		err = dw_opt_misuse(&clinic_command, "'%s' is one operand too many", operands[2]);
	else if ((count == 1 || strcmp(operands[1], "-") == 0) && isatty(STDIN_FILENO))
		err = dw_opt_misuse(&clinic_command, "the lines are to come from standard input, which is a terminal");
	dw_buf_clear(&names);
	return err;
}

int
verb_import(int count, char **operands)
{
	const char *path = count > 1 ? operands[1] : NULL;
	struct dw_fault fault = { 0 };
	struct order order;
	uint64_t number = 0;
	int status;

	if (check_usage(count, operands) != DW_OK || !verb_order(&order))
		return dw_err_exit(DW_E_USAGE);
	import.now = order.now;
	import.is_csv = clinic_options.input != NULL ? strcmp(clinic_options.input, "csv") == 0 : ends_with(path, ".csv");
	import.err = dw_lines_open(&import.lines, path, LINE_MAX_BYTES, &fault);
	if (import.err != DW_OK)
		return verb_fail(import.err, &fault);
	status = verb_open(&import.db);
	if (status == 0) {
		(void)dw_interrupt_fd();
		dw_progress_begin(&import.progress, 0, import.lines->fd);
		run(&number);
		status = finish(number);
	}
	csv_clear(&import.csv);
	dw_buf_clear(&import.scratch);
	db_close(&import.db);
	dw_lines_destroy(&import.lines);
	return status;
}
