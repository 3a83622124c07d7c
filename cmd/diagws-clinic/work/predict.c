/* Predictions for a diagnosis, by the formulas of model/score.h. An answer is kept for a day, or until feedback comes
 * that may change it (follow_up of feedback.c) or anything is imported. Who predicts also tells those who watch, if
 * the ranking turned (rank.h), and writes down what was predicted first, for predict_accuracy.
 */
#include "clinic.h"
#include "message/msg.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/call.h"
#include "work/effect.h"
#include "work/rank.h"

enum {
	BEST_COUNT = 3, /* of optimize, where nothing reaches the target */
	TARGET = 750,
};

struct asked {
	struct dw_str diagnosis;
	char condition[NAME_SIZE];
	const struct model_boldness *boldness;
	int64_t now;
};

static int
read_asked(struct db *db, const struct order *order, struct dw_str diagnosis, struct asked *out, struct dw_fault *fault)
{
	const struct dw_str word = order->optimization;
	char quoted[DW_QUOTE_SIZE];
	bool known = word.n == 0;

	*out = (struct asked) { .diagnosis = diagnosis, .boldness = &model_boldness[MODEL_BALANCED], .now = order->now };
	for (size_t i = 0; i < MODEL_BOLDNESS_COUNT && !known; i++) {
		out->boldness = &model_boldness[i];
		known = dw_str_is(word, out->boldness->name);
	}
	if (!known)
		return dw_fault_set(fault, DW_E_FIELD, "optimization", "conservative, balanced or aggressive",
			"field 'optimization': '%s' is none of them", dw_quote(word, quoted));
	return diagnosis_read(db, diagnosis, out->condition, fault);
}

/* ---- the answer ---- */

static int
put_prediction(struct db *db, const struct prediction *made, struct dw_buf *out, struct dw_fault *fault)
{
	const struct model_words *words = model_reasoning(made->score);
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_predict_recommendation, "i", made->recommendation);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	put_open(out, NULL, '{');
	put_integer(out, "recommendation_id", made->recommendation);
	put_text(out, "herb_name", db_text(row, 0));
	put_text(out, "dosage", db_text(row, 1));
	put_text(out, "frequency", db_text(row, 2));
	put_text(out, "duration", db_text(row, 3));
	db_end(row);
	put_share(out, "predicted_effectiveness", made->score, 1000);
	put_share(out, "confidence", made->confidence, 1000);
	put_open(out, "reasoning", '{');
	put_text(out, "en", dw_str(words->english));
	put_text(out, "fa", dw_str(words->persian));
	put_close(out, '}');
	put_text(out, "evidence_source", dw_str(model_evidence(&made->parts)));
	put_integer(out, "similar_patient_count", made->patients);
	put_integer(out, "sample_size", made->cases);
	put_share(out, "historical", made->parts.historical, 1000);
	put_share(out, "cohort", made->parts.cohort, 1000);
	put_share(out, "symptom_match", made->parts.symptoms, 1000);
	put_share(out, "average_improvement", made->improvement, 100);
	put_integer(out, "expected_duration_days", MODEL_DURATION_DAYS);
	put_close(out, '}');
	return DW_OK;
}

/* The members that are kept: all but when it was made, and whether it was just now. */
static int
put_members(struct db *db, const struct asked *asked, const struct predictions *set, size_t count, struct dw_buf *out,
	struct dw_fault *fault)
{
	int64_t cases = 0, confidence = 0;
	int err = DW_OK;

	for (size_t i = 0; i < count; i++) {
		cases += set->entries[i].cases;
		confidence += set->entries[i].confidence;
	}
	put_diagnosis(out, "diagnosis_id", asked->diagnosis);
	put_text(out, "condition", dw_str(asked->condition));
	put_text(out, "optimization", dw_str(asked->boldness->name));
	put_text(out, "model_version", DW_STR(MODEL_VERSION));
	if (count > 0)
		put_share(out, "overall_confidence", model_mean(confidence, (int64_t)count), 1000);
	else
		put_null(out, "overall_confidence");
	put_integer(out, "sample_size", cases);
	put_open(out, "predictions", '[');
	for (size_t i = 0; err == DW_OK && i < count; i++)
		err = put_prediction(db, &set->entries[i], out, fault);
	put_close(out, ']');
	put_text(out, "note", DW_STR("a rule of thumb, not medical advice"));
	return err == DW_OK && !dw_buf_ok(out) ? DW_E_NOMEM : err;
}

static void
put_made(struct dw_buf *answer, struct dw_str members, int64_t made, bool cached)
{
	put_time(answer, "made", made);
	put_bool(answer, "cached", cached);
	dw_buf_addc(answer, ',');
	dw_buf_add(answer, members.p, members.n);
}

/* ---- predict ---- */

/* Appends members, where they were made within the last 24 h. */
static int
put_kept(struct db *db, const struct asked *asked, struct dw_buf *answer, bool *found, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	int err = db_query(db, &row, fault, sql_prediction_kept, "tsii", asked->diagnosis, asked->boldness->name,
		asked->now - DAY + 1, asked->now);

	if (err == DW_OK)
		err = db_next(db, row, found, fault);
	if (err != DW_OK || !*found)
		return err;
	put_made(answer, db_text(row, 1), sqlite3_column_int64(row, 0), true);
	db_end(row);
	return DW_OK;
}

static int
keep_forecasts(struct db *db, const struct predictions *set, int64_t now, struct dw_fault *fault)
{
	int err = DW_OK;

	for (size_t i = 0; err == DW_OK && i < set->count; i++)
		err = db_run(db, fault, sql_forecast_keep, "idi", set->entries[i].recommendation,
			(double)set->entries[i].score / 1000, now);
	return err;
}

static int
put_new(struct db *db, const struct asked *asked, struct dw_buf *answer, struct dw_fault *fault)
{
	struct dw_buf members = { 0 };
	struct predictions set;
	int err = predictions_make(db, asked->diagnosis, asked->now, &set, fault);

	if (err == DW_OK)
		err = rank_predictions(db, asked->diagnosis, &set, asked->now, fault);
	if (err == DW_OK)
		err = keep_forecasts(db, &set, asked->now, fault);
	if (err == DW_OK) {
		predictions_sort(&set, asked->boldness);
		err = put_members(db, asked, &set, set.count, &members, fault);
	}
	if (err == DW_OK)
		err = db_run(db, fault, sql_prediction_keep, "tsit", asked->diagnosis, asked->boldness->name, asked->now,
			dw_bytes(members.data, members.len));
	if (err == DW_OK)
		put_made(answer, dw_bytes(members.data, members.len), asked->now, false);
	predictions_clear(&set);
	dw_buf_clear(&members);
	return err;
}

/* Without a kept answer it appends nothing. */
static int
look(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	const size_t len = answer->len;
	struct asked asked;
	bool found = false;
	int err = read_asked(db, order, order->diagnosis, &asked, fault);

	put_success(answer);
	if (err == DW_OK)
		err = put_kept(db, &asked, answer, &found, fault);
	put_close(answer, '}');
	if (!found)
		put_cut(answer, len);
	return err;
}

static int
make(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	struct asked asked;
	int err = read_asked(db, order, order->diagnosis, &asked, fault);

	put_success(answer);
	if (err == DW_OK)
		err = put_new(db, &asked, answer, fault);
	put_close(answer, '}');
	return err;
}

/* Nobody has to wait for a writer to get what is kept. */
int
predict_diagnosis(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	const size_t len = answer->len;
	const int err = call_read(db, order, answer, fault, look);

	return err == DW_OK && answer->len == len ? call_write(db, order, answer, fault, make) : err;
}

static int
make_entry(struct db *db, const struct order *order, const struct dw_json_member *entry, struct dw_buf *answer,
	struct dw_fault *fault)
{
	char diagnosis[DW_ROOM_MAX + 1];
	struct asked asked;
	bool found = false;
	int err = dw_id_from_json(entry, diagnosis, sizeof(diagnosis), fault);

	if (err == DW_OK)
		err = read_asked(db, order, dw_str(diagnosis), &asked, fault);
	if (err == DW_OK)
		err = put_kept(db, &asked, answer, &found, fault);
	return err == DW_OK && !found ? put_new(db, &asked, answer, fault) : err;
}

int
predict_batch(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_batch(db, order, answer, fault, "diagnosis_ids", BATCH_PREDICT_MAX, make_entry);
}

/* ---- optimize ---- */

static int
optimize(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	/* Rounded once, as scores are: 0.8 * 0.75 would be more than 0.6 as doubles. */
	const int64_t target = order->target > 0 ? thousandths(order->target) : TARGET;
	struct dw_buf members = { 0 };
	struct predictions set = { 0 };
	struct asked asked;
	size_t kept = 0, count;
	int err = read_asked(db, order, order->diagnosis, &asked, fault);

	if (err == DW_OK)
		err = predictions_make(db, asked.diagnosis, asked.now, &set, fault);
	if (err != DW_OK)
		goto out;
	predictions_sort(&set, asked.boldness);
	while (kept < set.count && model_reaches(set.entries[kept].score, target))
		kept++;
	count = kept > 0 ? kept : BEST_COUNT;
	err = put_members(db, &asked, &set, count < set.count ? count : set.count, &members, fault);
	put_success(answer);
	put_share(answer, "target", target, 1000);
	put_bool(answer, "reached", kept > 0);
	put_made(answer, dw_bytes(members.data, members.len), asked.now, false);
	put_close(answer, '}');
out:
	predictions_clear(&set);
	dw_buf_clear(&members);
	return err;
}

int
predict_optimize(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	if (!(order->target >= 0 && order->target <= 1))
		return dw_fault_set(fault, DW_E_FIELD, "target", "a number from 0 to 1",
			"field 'target': %g is not within 0..1", order->target);
	return call_read(db, order, answer, fault, optimize);
}

/* ---- version ---- */

int
predict_version(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	(void)db;
	(void)order;
	(void)fault;
	put_success(answer);
	put_text(answer, "model_version", DW_STR(MODEL_VERSION));
	put_open(answer, "weights", '{');
	put_share(answer, "historical", MODEL_WEIGHT_HISTORICAL, 100);
	put_share(answer, "cohort", MODEL_WEIGHT_COHORT, 100);
	put_share(answer, "symptom_match", MODEL_WEIGHT_SYMPTOMS, 100);
	put_close(answer, '}');
	put_open(answer, "factors", '{');
	for (size_t i = 0; i < MODEL_BOLDNESS_COUNT; i++)
		put_share(answer, model_boldness[i].name, model_boldness[i].factor, 100);
	put_close(answer, '}');
	put_close(answer, '}');
	return dw_buf_ok(answer) ? DW_OK : DW_E_NOMEM;
}
