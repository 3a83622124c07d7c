/* See call.h.
 */
#include "work/call.h"

#include <stdio.h>

#include "message/msg.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/fields.h"

static int
finish(int err, struct dw_buf *answer, size_t len, struct dw_fault *fault)
{
	if (err == DW_OK && !dw_buf_ok(answer))
		err = dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
	if (err != DW_OK)
		put_cut(answer, len);
	return err;
}

int
call_end(struct db *db, const struct order *order, int err, struct dw_buf *answer, size_t len, struct dw_fault *fault)
{
	err = finish(err, answer, len, fault);
	if (err == DW_OK && !order->dry)
		err = finish(db_commit(db, fault), answer, len, fault);
	db_rollback(db);
	return err;
}

int
call_write(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault, clinic_call *body)
{
	const size_t len = answer->len;
	int err = db_begin(db, fault);

	if (err == DW_OK)
		err = body(db, order, answer, fault);
	return call_end(db, order, err, answer, len, fault);
}

int
call_read(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault, clinic_call *body)
{
	const size_t len = answer->len;
	int err = db_begin_read(db, fault);

	if (err == DW_OK)
		err = body(db, order, answer, fault);
	db_rollback(db);
	return finish(err, answer, len, fault);
}

/* ---- batches ---- */

struct batch {
	struct dw_json *json, *entries;
};

static int
parse(struct batch *batch, const struct order *order, const char *name, int64_t max, struct dw_fault *fault)
{
	char expected[64];
	const struct dw_rule rule = { name, DW_JSON_ARRAY, false, 0, max, expected };
	int err;

	(void)snprintf(expected, sizeof(expected), "an array of at most %lld entries", (long long)max);
	err = dw_object_parse(&batch->json, order->body, fault);
	if (err == DW_OK)
		err = fields_check(batch->json, &rule, 1, fault);
	if (err != DW_OK)
		return err;
	err = dw_json_parse(
		&batch->entries, dw_json_get(batch->json, name)->raw.p, dw_json_get(batch->json, name)->raw.n, fault);
	if (err == DW_OK && batch->entries->count > (size_t)max)
		err = dw_fault_set(fault, DW_E_FIELD, name, expected, "field '%s': %zu entries are more than %lld", name,
			batch->entries->count, (long long)max);
	return err;
}

/* Whether it is the entry that is wrong, and not the file or the machine. */
static bool
is_refusal(int err)
{
	return err == DW_E_FIELD || err == DW_E_JSON || err == DW_E_TOO_BIG || err == DW_E_UNKNOWN;
}

static int
carry_out(struct db *db, const struct order *order, const struct dw_json_member *member, struct dw_buf *answer,
	struct dw_fault *fault, call_entry *entry, bool *accepted)
{
	struct dw_fault wrong = { 0 };
	const size_t len = answer->len;
	int err = db_run(db, fault, sql_call_save, "");

	if (err != DW_OK)
		return err;
	put_bool(answer, "success", true);
	err = entry(db, order, member, answer, &wrong);
	*accepted = err == DW_OK;
	if (err != DW_OK && !is_refusal(err)) {
		*fault = wrong;
		return err;
	}
	if (err != DW_OK) {
		put_cut(answer, len);
		put_bool(answer, "success", false);
		put_error(answer, "error", err, &wrong);
		err = db_run(db, fault, sql_call_undo, "");
	}
	return err == DW_OK ? db_run(db, fault, sql_call_release, "") : err;
}

int
call_batch(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault, const char *name,
	int64_t max, call_entry *entry)
{
	const size_t len = answer->len;
	struct batch batch = { 0 };
	int64_t accepted = 0, done = 0;
	int err = parse(&batch, order, name, max, fault);

	if (err == DW_OK)
		err = db_begin(db, fault);
	if (err != DW_OK)
		goto out;
	put_success(answer);
	put_open(answer, "results", '[');
	for (; err == DW_OK && done < (int64_t)batch.entries->count; done++) {
		bool one = false;

		put_open(answer, NULL, '{');
		put_integer(answer, "index", done);
		err = carry_out(db, order, &batch.entries->members[done], answer, fault, entry, &one);
		put_close(answer, '}');
		accepted += one;
	}
	put_close(answer, ']');
	put_integer(answer, "accepted", accepted);
	put_integer(answer, "rejected", done - accepted);
	put_close(answer, '}');
	err = call_end(db, order, err, answer, len, fault);
out:
	dw_json_destroy(&batch.entries);
	dw_json_destroy(&batch.json);
	return err;
}
