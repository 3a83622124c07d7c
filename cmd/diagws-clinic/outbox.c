/* diagws-clinic outbox: what waits to be pushed, and what the hub will never take; `outbox push` pushes it. Never the
 * data itself. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "message/msg.h"
#include "show.h"
#include "sql/db.h"
#include "verbs.h"
#include "when.h"

enum { LIST = 50 };

static void
add_row(struct dw_buf *out, sqlite3_stmt *row)
{
	const struct dw_str refused = db_text(row, 6);
	char when[WHEN_SIZE];

	when_print(sqlite3_column_int64(row, 5), when);
	dw_buf_addf(out, "{\"id\":%lld,\"diagnosis_id\":", (long long)sqlite3_column_int64(row, 0));
	dw_id_to_json(out, db_text(row, 1));
	dw_buf_adds(out, ",\"type\":");
	dw_buf_add_json_string(out, db_text(row, 2));
	dw_buf_adds(out, ",\"message\":");
	dw_buf_add_json_string(out, db_text(row, 3));
	dw_buf_addf(out, ",\"bytes\":%lld,\"created\":\"%s\",\"refused\":", (long long)sqlite3_column_int64(row, 4), when);
	if (refused.p != NULL)
		dw_buf_add_json_string(out, refused);
	else
		dw_buf_adds(out, "null");
	dw_buf_addc(out, '}');
}

static int
list_outbox(struct db *db, int64_t limit, struct dw_buf *out, struct dw_fault *fault)
{
	int64_t waiting = 0, refused = 0;
	sqlite3_stmt *row;
	bool more = true;
	int err = db_number(db, &waiting, NULL, fault, sql_outbox_count, "");

	if (err == DW_OK)
		err = db_number(db, &refused, NULL, fault, sql_outbox_refused_count, "");
	if (err == DW_OK)
		err = db_query(db, &row, fault, sql_outbox_list, "i", limit > 0 ? limit : LIST);
	dw_buf_adds(out, "{\"success\":true,\"outbox\":[");
	for (bool first = true; err == DW_OK && more; first = false) {
		err = db_next(db, row, &more, fault);
		if (err != DW_OK || !more)
			break;
		dw_buf_adds(out, first ? "" : ",");
		add_row(out, row);
	}
	dw_buf_addf(out, "],\"waiting\":%lld,\"refused\":%lld}", (long long)waiting, (long long)refused);
	return err != DW_OK || dw_buf_ok(out) ? err : DW_E_NOMEM;
}

int
verb_outbox(int count, char **operands)
{
	const bool pushes = count > 0 && strcmp(operands[0], "push") == 0;
	struct dw_buf answer = { 0 };
	struct dw_fault fault = { 0 };
	struct db *db = NULL;
	int err, status;

	if (count > (pushes ? 1 : 0))
		return dw_err_exit(dw_opt_misuse(&clinic_command, "outbox: '%s' is not 'push'", operands[count - 1]));
	status = verb_open(&db);
	if (status != 0)
		return status;
	if (pushes) {
		(void)dw_interrupt_fd();
		err = verb_push(db, &fault);
	} else {
		err = list_outbox(db, clinic_options.limit, &answer, &fault);
		if (err == DW_OK)
			err = show_answer(dw_bytes(answer.data, answer.len));
	}
	if (err == DW_E_AGAIN)
		status = DW_EXIT_INTERRUPTED;
	else if (err != DW_OK)
		status = verb_fail(err, &fault);
	dw_buf_clear(&answer);
	db_close(&db);
	return status;
}
