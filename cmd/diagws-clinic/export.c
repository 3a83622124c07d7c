/* diagws-clinic export: a table's records as lines that import takes, all of one moment. */
#include <stdio.h>
#include <string.h>

#include "sql/db.h"
#include "table.h"
#include "verbs.h"

static int
print_rows(struct db *db, const struct table *table, bool csv, struct dw_fault *fault)
{
	struct dw_buf line = { 0 };
	sqlite3_stmt *row;
	bool more = true;
	int err = db_query(db, &row, fault, table->dump, "");

	if (csv)
		table_add_csv_head(&line, table);
	while (err == DW_OK && more) {
		if (line.len > 0)
			(void)fwrite(line.data, 1, line.len, stdout);
		dw_buf_reset(&line);
		err = db_next(db, row, &more, fault);
		if (err != DW_OK || !more)
			break;
		(csv ? table_add_csv : table_add_json)(&line, table, row);
		if (!dw_buf_ok(&line))
			err = DW_E_NOMEM;
		else if (ferror(stdout))
			err = DW_E_IO;
	}
	if (err == DW_OK && (fflush(stdout) != 0 || ferror(stdout)))
		err = DW_E_IO;
	dw_buf_clear(&line);
	return err;
}

int
verb_export(int count, char **operands)
{
	const struct table *table = count > 0 ? table_find(operands[0]) : NULL;
	const bool csv = clinic_options.output != NULL && strcmp(clinic_options.output, "csv") == 0;
	struct dw_buf names = { 0 };
	struct dw_fault fault = { 0 };
	struct db *db = NULL;
	int err = DW_OK, status;

	table_names(&names);
	if (count == 0)
		err = dw_opt_misuse(&clinic_command, "export: one of these is missing: %s", names.data);
	else if (table == NULL)
		err = dw_opt_misuse(&clinic_command, "export: '%s' is not one of: %s", operands[0], names.data);
	else if (count > 1)
		err = dw_opt_misuse(&clinic_command, "'%s' is one operand too many", operands[1]);
	dw_buf_clear(&names);
	if (table == NULL || err != DW_OK)
		return dw_err_exit(err);
	status = verb_open(&db);
	if (status == 0)
		err = print_rows(db, table, csv, &fault);
	if (err != DW_OK)
		status = verb_fail(err, &fault);
	db_close(&db);
	return status;
}
