/* Which diagnoses something belongs to: so http/ can ask the hub for their owner. See clinic.h. It writes nothing, and
 * each statement sees a file as it is in one moment; what belongs to a diagnosis stays with it.
 */
#include "clinic.h"

#include <string.h>

#include "json/json.h"
#include "sql/db.h"

/* Each once, for the hub is asked about each. */
static void
add(struct dw_buf *answer, struct dw_str diagnosis)
{
	for (size_t at = 0; at < answer->len; at += strlen(answer->data + at) + 1)
		if (dw_str_is(diagnosis, answer->data + at))
			return;
	dw_buf_add(answer, diagnosis.p, diagnosis.n);
	dw_buf_addc(answer, '\0');
}

static int
add_all(struct db *db, const char *sql, int64_t id, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	size_t count = 0;
	int err = db_query(db, &row, fault, sql, "i", id);

	while (err == DW_OK && more) {
		err = db_next(db, row, &more, fault);
		if (err == DW_OK && more) {
			add(answer, db_text(row, 0));
			count++;
		}
	}
	return err == DW_OK && count == 0 ? DW_E_UNKNOWN : err;
}

/* What is no id is no recommendation; the call that the body is for says so. */
static int
add_listed(struct db *db, struct dw_str body, struct dw_buf *answer, struct dw_fault *fault)
{
	const struct dw_json_member *list;
	struct dw_json *json = NULL, *ids = NULL;
	int err = dw_json_parse(&json, body.p, body.n, fault);

	list = err == DW_OK ? dw_json_get(json, "recommendation_ids") : NULL;
	if (list != NULL && list->type == DW_JSON_ARRAY)
		err = dw_json_parse(&ids, list->raw.p, list->raw.n, fault);
	for (size_t i = 0; err == DW_OK && ids != NULL && i < ids->count && i < IDS_MAX; i++) {
		if (ids->members[i].type == DW_JSON_INTEGER)
			err = add_all(db, sql_diagnosis_of_recommendation, ids->members[i].integer, answer, fault);
	}
	dw_json_destroy(&ids);
	dw_json_destroy(&json);
	return err;
}

int
diagnoses_of(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	if (order->recommendation != 0)
		return add_all(db, sql_diagnosis_of_recommendation, order->recommendation, answer, fault);
	if (order->feedback != 0)
		return add_all(db, sql_diagnosis_of_feedback, order->feedback, answer, fault);
	if (order->patient != 0)
		return add_all(db, sql_diagnoses_of_patient, order->patient, answer, fault);
	return add_listed(db, order->body, answer, fault);
}
