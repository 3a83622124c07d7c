/* See effect.h.
 */
#include "work/effect.h"

#include <stdio.h>

#include "sql/db.h"
#include "work/answer.h"

int
diagnosis_unknown(struct dw_str id, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	return dw_fault_set(fault, DW_E_UNKNOWN, "diagnosis_id", NULL, "there is no diagnosis '%s'", dw_quote(id, quoted));
}

int
recommendation_unknown(int64_t id, struct dw_fault *fault)
{
	return dw_fault_set(
		fault, DW_E_UNKNOWN, "recommendation_id", NULL, "there is no recommendation %lld", (long long)id);
}

int
recommendation_read(struct db *db, struct recommendation *out, int64_t id, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = false;
	int err = db_query(db, &row, fault, sql_analytics_recommendation, "i", id);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	if (!more)
		return recommendation_unknown(id, fault);
	out->id = id;
	(void)dw_str_copy(db_text(row, 0), out->diagnosis, sizeof(out->diagnosis));
	(void)dw_str_copy(db_text(row, 1), out->herb, sizeof(out->herb));
	db_end(row);
	return DW_OK;
}

int
diagnosis_read(struct db *db, struct dw_str id, char condition[NAME_SIZE], struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = false;
	int err = db_query(db, &row, fault, sql_analytics_diagnosis, "t", id);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	if (!more)
		return diagnosis_unknown(id, fault);
	(void)dw_str_copy(db_text(row, 0), condition, NAME_SIZE);
	db_end(row);
	return DW_OK;
}

int
effect_gather(struct db *db, sqlite3_stmt *row, int64_t now, struct model_effect *effect, struct dw_fault *fault)
{
	bool more;
	int err;

	while ((err = db_next(db, row, &more, fault)) == DW_OK && more)
		model_effect_add(
			effect, now, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2));
	return err;
}

int
effect_of_recommendation(struct db *db, int64_t id, int64_t now, struct model_effect *effect, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	int err = db_query(db, &row, fault, sql_analytics_records, "ii", id, now - MODEL_WINDOW);

	return err == DW_OK ? effect_gather(db, row, now, effect, fault) : err;
}

/* ---- answers ---- */

void
put_effect(struct dw_buf *out, const struct model_effect *effect)
{
	static const char *const names[] = { "effectiveness", "confidence", "sample_size", "trend", "average_rating",
		"performance" };

	for (size_t i = 0; effect->cases == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		if (i == 2)
			put_integer(out, names[i], 0);
		else
			put_null(out, names[i]);
	}
	if (effect->cases == 0)
		return;
	put_share(out, "effectiveness", model_effectiveness(effect), 1000);
	put_share(out, "confidence", model_confidence(effect->cases), 1000);
	put_integer(out, "sample_size", effect->cases);
	put_text(out, "trend", dw_str(model_trend(effect)));
	put_average(out, "average_rating", effect->rating_sum, effect->cases);
	put_text(out, "performance", dw_str(model_performance(effect)));
}

int
put_recommendation(struct db *db, int64_t id, int64_t now, struct dw_buf *out, struct dw_fault *fault)
{
	struct recommendation about;
	struct model_effect effect = { 0 };
	int err = recommendation_read(db, &about, id, fault);

	if (err == DW_OK)
		err = effect_of_recommendation(db, id, now, &effect, fault);
	if (err != DW_OK)
		return err;
	put_integer(out, "recommendation_id", id);
	put_text(out, "herb_name", dw_str(about.herb));
	put_diagnosis(out, "diagnosis_id", dw_str(about.diagnosis));
	put_effect(out, &effect);
	return DW_OK;
}

/* ---- lists ---- */

static int
number_read(const char *name, int64_t given, int64_t own, int64_t max, int64_t *out, struct dw_fault *fault)
{
	char expected[64];

	if (given < 0 || given > max) {
		(void)snprintf(expected, sizeof(expected), "an integer from 1 to %lld", (long long)max);
		return dw_fault_set(fault, DW_E_FIELD, name, expected, "field '%s': %lld is not within 1..%lld", name,
			(long long)given, (long long)max);
	}
	*out = given > 0 ? given : own;
	return DW_OK;
}

int
limit_read(const struct order *order, int64_t own, int64_t max, int64_t *limit, struct dw_fault *fault)
{
	return number_read("limit", order->limit, own, max, limit, fault);
}

static void
put_result(struct dw_buf *out, sqlite3_stmt *row)
{
	/* the kept score says it as its cases did */
	const struct model_effect kept = { .cases = 1000, .successes = thousandths(sqlite3_column_double(row, 3)) };

	put_open(out, NULL, '{');
	put_integer(out, "recommendation_id", sqlite3_column_int64(row, 0));
	put_text(out, "herb_name", db_text(row, 1));
	put_diagnosis(out, "diagnosis_id", db_text(row, 2));
	put_real(out, "effectiveness", sqlite3_column_double(row, 3));
	put_real(out, "confidence", sqlite3_column_double(row, 4));
	put_integer(out, "sample_size", sqlite3_column_int64(row, 5));
	put_text(out, "trend", db_text(row, 6));
	put_real(out, "average_rating", sqlite3_column_double(row, 7));
	put_text(out, "performance", dw_str(model_performance(&kept)));
	put_close(out, '}');
}

int
put_list(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault, const char *sql)
{
	sqlite3_stmt *row;
	int64_t limit = 0, min_samples = 0;
	bool more;
	int err = limit_read(order, 10, LIST_MAX, &limit, fault);

	if (err == DW_OK)
		err = number_read("min_samples", order->min_samples, 5, 1000000, &min_samples, fault);
	if (err == DW_OK)
		err = db_query(db, &row, fault, sql, "ii", limit, min_samples);
	if (err != DW_OK)
		return err;
	put_success(answer);
	put_open(answer, "recommendations", '[');
	while ((err = db_next(db, row, &more, fault)) == DW_OK && more)
		put_result(answer, row);
	put_close(answer, ']');
	put_close(answer, '}');
	return err;
}
