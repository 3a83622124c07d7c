/* See prediction.h.
 */
#include "work/prediction.h"

#include <stdlib.h>

#include "sql/db.h"
#include "work/effect.h"

static int
read_cohort(struct db *db, struct dw_str diagnosis, struct dw_str herb, struct prediction *out, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_predict_cohort, "tti", diagnosis, herb, (int64_t)MODEL_COHORT_MAX);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	out->parts.cohort = model_cohort(sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1));
	out->patients = sqlite3_column_int64(row, 2);
	db_end(row);
	return DW_OK;
}

static int
read_symptoms(
	struct db *db, struct dw_str diagnosis, struct dw_str herb, struct prediction *out, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_predict_symptoms, "tt", diagnosis, herb);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	out->parts.symptoms = model_symptoms(sqlite3_column_double(row, 0), sqlite3_column_int64(row, 1));
	db_end(row);
	return DW_OK;
}

int
prediction_make(struct db *db, struct dw_str diagnosis, int64_t recommendation, struct dw_str herb, int64_t now,
	struct prediction *out, struct dw_fault *fault)
{
	struct prediction made = { .recommendation = recommendation };
	struct model_effect effect = { 0 };
	int err = effect_of_recommendation(db, recommendation, now, &effect, fault);

	if (err == DW_OK)
		err = read_cohort(db, diagnosis, herb, &made, fault);
	if (err == DW_OK)
		err = read_symptoms(db, diagnosis, herb, &made, fault);
	if (err != DW_OK)
		return err;
	made.parts.historical = model_historical(&effect);
	made.cases = effect.cases;
	made.improvement = model_improvement(&effect);
	made.confidence = model_prediction_confidence(&made.parts, made.patients);
	*out = made;
	return DW_OK;
}

int
predictions_make(struct db *db, struct dw_str diagnosis, int64_t now, struct predictions *out, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = db_query(db, &row, fault, sql_predict_recommendations, "ti", diagnosis, (int64_t)PREDICTIONS_MAX);

	*out = (struct predictions) { .entries = calloc(PREDICTIONS_MAX, sizeof(*out->entries)) };
	if (out->entries == NULL)
		err = DW_E_NOMEM;
	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more) {
		err = prediction_make(
			db, diagnosis, sqlite3_column_int64(row, 0), db_text(row, 1), now, &out->entries[out->count], fault);
		if (err == DW_OK)
			out->count++;
	}
	if (err == DW_OK)
		predictions_sort(out, &model_boldness[MODEL_BALANCED]);
	return err;
}

void
predictions_clear(struct predictions *set)
{
	free(set->entries);
	*set = (struct predictions) { 0 };
}

static int
compare(const void *left, const void *right)
{
	const struct prediction *a = left, *b = right;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return a->recommendation < b->recommendation ? -1 : a->recommendation > b->recommendation;
}

void
predictions_sort(struct predictions *set, const struct model_boldness *boldness)
{
	for (size_t i = 0; i < set->count; i++)
		set->entries[i].score = model_score(&set->entries[i].parts, boldness);
	qsort(set->entries, set->count, sizeof(*set->entries), compare);
}
