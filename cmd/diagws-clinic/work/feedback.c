/* Feedback given and changed: the record, its pushes and, every fifth time and at each change, the analytics of its
 * recommendation are one commit. Pushes stand in this order: the feedback, its effect, the ranking.
 */
#include <stdio.h>

#include "clinic.h"
#include "message/msg.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/call.h"
#include "work/effect.h"
#include "work/fields.h"

enum { EVERY = 5 }; /* records of a recommendation: then it is computed at once */

static const char ONE_TO_FIVE[] = "an integer from 1 to 5", TEXT[] = "a string of at most 500 characters";

#define FIELDS(optional)                                                         \
	{ "rating", DW_JSON_INTEGER, optional, 1, 5, ONE_TO_FIVE },                  \
		{ "symptom_improvement", DW_JSON_INTEGER, optional, 1, 5, ONE_TO_FIVE }, \
		{ "compliance", DW_JSON_INTEGER, true, 1, 5, ONE_TO_FIVE },              \
		{ "side_effects", DW_JSON_STRING, true, 0, TEXT_MAX_POINTS, TEXT },      \
	{                                                                            \
		"comment", DW_JSON_STRING, true, 0, TEXT_MAX_POINTS, TEXT                \
	}

static const struct dw_rule submit_rules[] = {
	{ "diagnosis_id", FIELD_DIAGNOSIS, false, 0, 0, "an integer, or 1 to 64 of A-Z a-z 0-9 _ -" },
	{ "recommendation_id", DW_JSON_INTEGER, false, 1, INT64_MAX, "an integer, 1 or more" },
	FIELDS(false),
};
static const struct dw_rule update_rules[] = { FIELDS(true) };

#define CHECK(json, rules, fault) fields_check(json, rules, sizeof(rules) / sizeof((rules)[0]), fault)

/* What is said anew. As it was: a number of 0 (of compliance -1), a text whose p is NULL. None: compliance 0, an empty
 * text. */
struct change {
	struct dw_str diagnosis;
	int64_t rating, improvement, compliance;
	struct dw_str side_effects, comment;
};

static struct dw_str
read_text(const struct dw_json *json, const char *name, bool whole)
{
	const struct dw_str text = field_text(json, name);

	if (text.n > 0)
		return text;
	return whole || dw_json_get(json, name) != NULL ? DW_STR("") : (struct dw_str) { 0 };
}

/* whole: what is absent is none, and does not stay as it was. */
static struct change
read_change(const struct dw_json *json, bool whole)
{
	return (struct change) {
		.rating = field_integer(json, "rating", 0),
		.improvement = field_integer(json, "symptom_improvement", 0),
		.compliance = field_integer(json, "compliance", whole || dw_json_get(json, "compliance") != NULL ? 0 : -1),
		.side_effects = read_text(json, "side_effects", whole),
		.comment = read_text(json, "comment", whole),
	};
}

/* ---- pushes ---- */

/* Columns of feedback_stored. */
enum { ID, VERSION, PATIENT, OWN, RECOMMENDATION, THEIRS, HERB, RATING, IMPROVEMENT, COMPLIANCE, COMMENT };

static int
push_to(struct db *db, sqlite3_stmt *row, struct dw_str diagnosis, bool own, int64_t now, struct dw_fault *fault)
{
	char message[64];
	struct dw_buf data = { 0 };
	int err;

	(void)snprintf(message, sizeof(message), "feedback.%lld.%lld%s", (long long)sqlite3_column_int64(row, ID),
		(long long)sqlite3_column_int64(row, VERSION), own ? "" : ".r");
	put_open(&data, NULL, '{');
	put_integer(&data, "feedback_id", sqlite3_column_int64(row, ID));
	put_integer(&data, "rating", sqlite3_column_int64(row, RATING));
	put_share(&data, "effectiveness", sqlite3_column_int64(row, IMPROVEMENT), 5);
	put_integer(&data, "recommendation_id", sqlite3_column_int64(row, RECOMMENDATION));
	put_integer(&data, "symptom_improvement", sqlite3_column_int64(row, IMPROVEMENT));
	if (sqlite3_column_type(row, COMPLIANCE) != SQLITE_NULL)
		put_integer(&data, "compliance", sqlite3_column_int64(row, COMPLIANCE));
	put_text(&data, "herb_name", db_text(row, HERB));
	if (own && sqlite3_column_type(row, COMMENT) != SQLITE_NULL)
		put_text(&data, "comment", db_text(row, COMMENT));
	put_close(&data, '}');
	err = outbox_add(db, diagnosis, "feedback_update", message, &data, now, fault);
	dw_buf_clear(&data);
	return err;
}

/* The giver's diagnosis hears all; those who watch the recommendation's, if it is another one, no words of his. */
static int
push(struct db *db, sqlite3_stmt *row, int64_t now, struct dw_fault *fault)
{
	const struct dw_str own = db_text(row, OWN), theirs = db_text(row, THEIRS);
	int err = push_to(db, row, own, true, now, fault);

	if (err == DW_OK && (own.n != theirs.n || memcmp(own.p, theirs.p, own.n) != 0))
		err = push_to(db, row, theirs, false, now, fault);
	return err;
}

static void
put_stored(struct dw_buf *answer, sqlite3_stmt *row, bool updated, bool computed)
{
	put_integer(answer, "feedback_id", sqlite3_column_int64(row, ID));
	put_diagnosis(answer, "diagnosis_id", db_text(row, OWN));
	put_integer(answer, "recommendation_id", sqlite3_column_int64(row, RECOMMENDATION));
	put_bool(answer, "updated", updated);
	put_integer(answer, "version", sqlite3_column_int64(row, VERSION));
	put_share(answer, "effectiveness", sqlite3_column_int64(row, IMPROVEMENT), 5);
	put_bool(answer, "analytics", computed);
	put_text(answer, "message", updated ? DW_STR("the feedback is changed") : DW_STR("the feedback is stored"));
}

/* All that follows from a record that was just stored. */
static int
follow_up(struct db *db, int64_t id, bool updated, int64_t now, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	int64_t count = 0, recommendation = 0;
	bool more = false, computed;
	int err = db_query(db, &row, fault, sql_feedback_stored, "i", id);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	if (!more)
		return dw_fault_set(fault, DW_E_INTERNAL, NULL, NULL, "feedback %lld went away", (long long)id);
	recommendation = sqlite3_column_int64(row, RECOMMENDATION);
	err = db_number(db, &count, NULL, fault, sql_feedback_count, "i", recommendation);
	computed = updated || count % EVERY == 0;
	if (err == DW_OK)
		err = db_run(db, fault, sql_feedback_outdates, "ti", db_text(row, THEIRS), sqlite3_column_int64(row, PATIENT));
	if (err == DW_OK)
		err = push(db, row, now, fault);
	if (err == DW_OK)
		put_stored(answer, row, updated, computed);
	db_end(row);
	if (err == DW_OK && computed)
		err = compute_recommendation(db, recommendation, now, NULL, fault);
	return err;
}

/* ---- given ---- */

static int
change_record(struct db *db, int64_t id, const struct change *change, int64_t now, struct dw_fault *fault)
{
	return db_run(db, fault, sql_feedback_change, "itiiitti", id, change->diagnosis, change->rating,
		change->improvement, change->compliance, change->side_effects, change->comment, now);
}

/* An unknown recommendation is refused in the same words as one for another condition. */
static int
check_fit(struct db *db, int64_t recommendation, struct dw_str diagnosis, struct dw_fault *fault)
{
	int64_t one;
	bool fits;
	int err = db_number(db, &one, &fits, fault, sql_feedback_fits, "it", recommendation, diagnosis);

	if (err == DW_OK && !fits)
		err = dw_fault_set(fault, DW_E_FIELD, "recommendation_id", "a recommendation for the diagnosis's condition",
			"field 'recommendation_id': %lld is not a recommendation for this diagnosis's condition",
			(long long)recommendation);
	return err;
}

/* Members that were checked; appends members of an answer. */
static int
submit(struct db *db, const struct dw_json *json, int64_t now, struct dw_buf *answer, struct dw_fault *fault)
{
	char diagnosis[DW_ROOM_MAX + 1];
	const int64_t recommendation = field_integer(json, "recommendation_id", 0);
	struct change change = read_change(json, true);
	int64_t patient = 0, id = 0;
	bool found = false;
	int err;

	field_diagnosis(json, "diagnosis_id", diagnosis);
	change.diagnosis = dw_str(diagnosis);
	err = db_number(db, &patient, &found, fault, sql_feedback_diagnosis, "t", change.diagnosis);
	if (err == DW_OK && !found)
		err = diagnosis_unknown(change.diagnosis, fault);
	if (err == DW_OK)
		err = check_fit(db, recommendation, change.diagnosis, fault);
	if (err == DW_OK)
		err = db_number(db, &id, &found, fault, sql_feedback_given, "ii", patient, recommendation);
	if (err != DW_OK)
		return err;
	if (found) {
		err = change_record(db, id, &change, now, fault);
	} else {
		err = db_run(db, fault, sql_feedback_insert, "iitiiitti", patient, recommendation, change.diagnosis,
			change.rating, change.improvement, change.compliance, change.side_effects, change.comment, now);
		id = db_last_id(db);
	}
	return err == DW_OK ? follow_up(db, id, found, now, answer, fault) : err;
}

int
feedback_submit(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	const size_t len = answer->len;
	struct dw_json *json = NULL;
	int err = dw_object_parse(&json, order->body, fault);

	if (err == DW_OK)
		err = CHECK(json, submit_rules, fault);
	if (err == DW_OK)
		err = db_begin(db, fault);
	if (err != DW_OK)
		goto out;
	put_success(answer);
	err = submit(db, json, order->now, answer, fault);
	put_close(answer, '}');
	err = call_end(db, order, err, answer, len, fault);
out:
	dw_json_destroy(&json);
	return err;
}

static int
submit_entry(struct db *db, const struct order *order, const struct dw_json_member *entry, struct dw_buf *answer,
	struct dw_fault *fault)
{
	struct dw_json *json = NULL;
	int err = dw_object_parse(&json, entry->raw, fault);

	if (err == DW_OK)
		err = CHECK(json, submit_rules, fault);
	if (err == DW_OK)
		err = submit(db, json, order->now, answer, fault);
	dw_json_destroy(&json);
	return err;
}

int
feedback_submit_batch(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_batch(db, order, answer, fault, "feedback", BATCH_FEEDBACK_MAX, submit_entry);
}

/* ---- changed ---- */

/* What may be left out, and so stays as it was, but cannot be taken away. */
static int
check_kept(const struct dw_json *json, struct dw_fault *fault)
{
	static const char *const kept[] = { "rating", "symptom_improvement" };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const struct dw_json_member *member = dw_json_get(json, kept[i]);

		if (member != NULL && member->type == DW_JSON_NULL)
			return dw_member_refuse(member, "is not an integer", ONE_TO_FIVE, fault);
	}
	return DW_OK;
}

static int
update(
	struct db *db, const struct order *order, const struct dw_json *json, struct dw_buf *answer, struct dw_fault *fault)
{
	const struct change change = read_change(json, false);
	int err = change_record(db, order->feedback, &change, order->now, fault);

	if (err == DW_OK && db_changes(db) == 0)
		return dw_fault_set(
			fault, DW_E_UNKNOWN, "feedback_id", NULL, "there is no feedback %lld", (long long)order->feedback);
	return err == DW_OK ? follow_up(db, order->feedback, true, order->now, answer, fault) : err;
}

int
feedback_update(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	const size_t len = answer->len;
	struct dw_json *json = NULL;
	int err = dw_object_parse(&json, order->body, fault);

	if (err == DW_OK)
		err = CHECK(json, update_rules, fault);
	if (err == DW_OK)
		err = check_kept(json, fault);
	if (err == DW_OK && json->count == 0)
		err = dw_fault_set(fault, DW_E_FIELD, NULL, "rating, symptom_improvement, compliance, side_effects or comment",
			"there is nothing to change");
	if (err == DW_OK)
		err = db_begin(db, fault);
	if (err != DW_OK)
		goto out;
	put_success(answer);
	err = update(db, order, json, answer, fault);
	put_close(answer, '}');
	err = call_end(db, order, err, answer, len, fault);
out:
	dw_json_destroy(&json);
	return err;
}
