/* Results that are kept: computed anew, compared with the last ones and, where they differ, pushed.
 */
#include <stdio.h>
#include <string.h>

#include "clinic.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/call.h"
#include "work/effect.h"

/* A result as it is kept and compared: scores in thousandths. */
struct result {
	int64_t cases; /* 0: none */
	int64_t effectiveness, confidence;
	const char *trend;
};

struct kept {
	struct result result;
	char trend[16];
	int64_t version;
	bool heard; /* feedback came since */
};

/* *found: whether there ever was feedback. */
static int
read_kept(struct db *db, int64_t recommendation, struct kept *kept, bool *found, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	int err = db_query(db, &row, fault, sql_analytics_result, "i", recommendation);

	if (err == DW_OK)
		err = db_next(db, row, found, fault);
	if (err != DW_OK || !*found)
		return err;
	(void)dw_str_copy(db_text(row, 5), kept->trend, sizeof(kept->trend));
	kept->heard = sqlite3_column_type(row, 0) != SQLITE_NULL && sqlite3_column_int64(row, 0) == 0;
	kept->version = sqlite3_column_int64(row, 1);
	kept->result = (struct result) { .cases = sqlite3_column_int64(row, 4),
		.effectiveness = thousandths(sqlite3_column_double(row, 2)),
		.confidence = thousandths(sqlite3_column_double(row, 3)),
		.trend = kept->trend };
	db_end(row);
	return DW_OK;
}

static struct result
result_of(const struct model_effect *effect)
{
	if (effect->cases == 0)
		return (struct result) { .trend = "" };
	return (struct result) { .cases = effect->cases,
		.effectiveness = model_effectiveness(effect),
		.confidence = model_confidence(effect->cases),
		.trend = model_trend(effect) };
}

static bool
is_same(const struct result *a, const struct result *b)
{
	return a->cases == b->cases && a->effectiveness == b->effectiveness && a->confidence == b->confidence &&
		   strcmp(a->trend, b->trend) == 0;
}

static int
keep(struct db *db, int64_t recommendation, const struct model_effect *effect, const struct result *result,
	int64_t version, int64_t now, struct dw_fault *fault)
{
	if (result->cases == 0)
		return db_run(db, fault, sql_analytics_forget, "iii", recommendation, effect->due, now);
	return db_run(db, fault, sql_analytics_keep, "iiiddisdi", recommendation, effect->due, version,
		(double)result->effectiveness / 1000, (double)result->confidence / 1000, result->cases, result->trend,
		(double)model_average(effect->rating_sum, effect->cases) / 100, now);
}

static int
push(struct db *db, const struct recommendation *about, const struct model_effect *effect, const struct kept *old,
	const struct result *result, int64_t now, struct dw_fault *fault)
{
	char message[64];
	struct dw_buf data = { 0 };
	int err;

	(void)snprintf(
		message, sizeof(message), "effectiveness.%lld.%lld", (long long)about->id, (long long)old->version + 1);
	put_open(&data, NULL, '{');
	put_integer(&data, "recommendation_id", about->id);
	put_text(&data, "herb_name", dw_str(about->herb));
	if (old->result.cases > 0)
		put_share(&data, "old_effectiveness", old->result.effectiveness, 1000);
	else
		put_null(&data, "old_effectiveness");
	put_share(&data, "new_effectiveness", result->effectiveness, 1000);
	put_share(&data, "confidence", result->confidence, 1000);
	put_integer(&data, "sample_size", result->cases);
	put_text(&data, "trend", dw_str(result->trend));
	if (old->result.cases > 0)
		put_share(&data, "improvement", result->effectiveness - old->result.effectiveness, 1000);
	else
		put_null(&data, "improvement");
	put_average(&data, "average_rating", effect->rating_sum, effect->cases);
	put_close(&data, '}');
	err = outbox_add(db, dw_str(about->diagnosis), "effectiveness_update", message, &data, now, fault);
	dw_buf_clear(&data);
	return err;
}

/* What went out of the 90 days is forgotten in silence. A ranking also hangs on what others like the patient said, so
 * that it is looked at after any feedback. */
int
compute_recommendation(struct db *db, int64_t recommendation, int64_t now, bool *changed, struct dw_fault *fault)
{
	struct recommendation about;
	struct kept old = { 0 };
	struct model_effect effect = { 0 };
	struct result result;
	bool found = false, differs = false;
	int err = read_kept(db, recommendation, &old, &found, fault);

	if (err != DW_OK || !found)
		goto out;
	err = recommendation_read(db, &about, recommendation, fault);
	if (err == DW_OK)
		err = effect_of_recommendation(db, recommendation, now, &effect, fault);
	if (err != DW_OK)
		goto out;
	result = result_of(&effect);
	differs = !is_same(&old.result, &result);
	err = keep(db, recommendation, &effect, &result, old.version + differs, now, fault);
	if (err == DW_OK && differs && result.cases > 0)
		err = push(db, &about, &effect, &old, &result, now, fault);
	if (err == DW_OK && (differs || old.heard))
		err = rank_diagnosis(db, dw_str(about.diagnosis), now, fault);
out:
	if (err == DW_OK && changed != NULL)
		*changed = differs;
	return err;
}

/* ---- asked for ---- */

/* Members of an answer. */
static int
calculate(struct db *db, int64_t recommendation, int64_t now, struct dw_buf *answer, struct dw_fault *fault)
{
	bool changed = false;
	int err;

	if (recommendation < 1)
		return recommendation_unknown(recommendation, fault);
	err = put_recommendation(db, recommendation, now, answer, fault);
	if (err == DW_OK)
		err = compute_recommendation(db, recommendation, now, &changed, fault);
	put_bool(answer, "changed", changed);
	return err;
}

static int
calculate_one(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	int err;

	put_success(answer);
	err = calculate(db, order->recommendation, order->now, answer, fault);
	put_close(answer, '}');
	return err;
}

int
analytics_calculate(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_write(db, order, answer, fault, calculate_one);
}

static int
calculate_entry(struct db *db, const struct order *order, const struct dw_json_member *entry, struct dw_buf *answer,
	struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	if (entry->type != DW_JSON_INTEGER || entry->integer < 1)
		return dw_fault_set(fault, DW_E_FIELD, "recommendation_ids", "integers, 1 or more",
			"field 'recommendation_ids': %s is not a recommendation's id", dw_quote(entry->raw, quoted));
	return calculate(db, entry->integer, order->now, answer, fault);
}

int
analytics_calculate_batch(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_batch(db, order, answer, fault, "recommendation_ids", BATCH_CALCULATE_MAX, calculate_entry);
}
