/* One patient (predict_profile) and one recommendation (predict_stats), as predictions see them.
 */
#include "clinic.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/call.h"
#include "work/effect.h"
#include "work/prediction.h"

enum { HERBS_MAX = 10, DIAGNOSES_MAX = HISTORY_MAX };

/* ---- profile ---- */

static int
put_patient(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_profile_patient, "i", order->patient);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	if (!more)
		return dw_fault_set(
			fault, DW_E_UNKNOWN, "patient", NULL, "there is no patient %lld", (long long)order->patient);
	put_integer(answer, "patient", order->patient);
	put_text(answer, "name", db_text(row, 0));
	put_text(answer, "mizaj", db_text(row, 1));
	if (sqlite3_column_type(row, 2) != SQLITE_NULL)
		put_integer(answer, "age", sqlite3_column_int64(row, 2));
	else
		put_null(answer, "age");
	db_end(row);
	return DW_OK;
}

static int
put_diagnoses(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = db_query(db, &row, fault, sql_profile_diagnoses, "ii", order->patient, (int64_t)DIAGNOSES_MAX);

	put_open(answer, "diagnoses", '[');
	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more) {
		put_open(answer, NULL, '{');
		put_diagnosis(answer, "diagnosis_id", db_text(row, 0));
		put_text(answer, "condition", db_text(row, 1));
		put_close(answer, '}');
	}
	put_close(answer, ']');
	return err;
}

static int
put_feedback(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_profile_feedback, "i", order->patient);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	put_integer(answer, "feedback", sqlite3_column_int64(row, 0));
	put_average(answer, "average_rating", sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 0));
	put_average(answer, "average_improvement", sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 0));
	put_average(answer, "average_compliance", sqlite3_column_int64(row, 4), sqlite3_column_int64(row, 3));
	db_end(row);
	return DW_OK;
}

static int
put_herbs(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err =
		db_query(db, &row, fault, sql_profile_herbs, "iii", order->patient, (int64_t)MODEL_GOOD, (int64_t)HERBS_MAX);

	put_open(answer, "herbs", '[');
	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more) {
		put_open(answer, NULL, '{');
		put_text(answer, "herb_name", db_text(row, 0));
		put_integer(answer, "cases", sqlite3_column_int64(row, 1));
		put_integer(answer, "good", sqlite3_column_int64(row, 2));
		put_close(answer, '}');
	}
	put_close(answer, ']');
	return err;
}

static int
profile(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	int err;

	put_success(answer);
	err = put_patient(db, order, answer, fault);
	if (err == DW_OK)
		err = put_diagnoses(db, order, answer, fault);
	if (err == DW_OK)
		err = put_feedback(db, order, answer, fault);
	if (err == DW_OK)
		err = put_herbs(db, order, answer, fault);
	put_close(answer, '}');
	return err;
}

int
predict_profile(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, profile);
}

/* ---- stats ---- */

static int
put_forecast(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_forecast, "i", order->recommendation);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	if (!more) {
		put_null(answer, "forecast");
		return DW_OK;
	}
	put_open(answer, "forecast", '{');
	put_real(answer, "predicted", sqlite3_column_double(row, 0));
	put_time(answer, "made", sqlite3_column_int64(row, 1));
	put_close(answer, '}');
	db_end(row);
	return DW_OK;
}

static int
stats(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	struct recommendation about;
	struct prediction made;
	int err = recommendation_read(db, &about, order->recommendation, fault);

	if (err != DW_OK)
		return err;
	put_success(answer);
	put_integer(answer, "recommendation_id", about.id);
	put_text(answer, "herb_name", dw_str(about.herb));
	put_diagnosis(answer, "diagnosis_id", dw_str(about.diagnosis));
	put_text(answer, "model_version", DW_STR(MODEL_VERSION));
	err = prediction_make(db, dw_str(about.diagnosis), about.id, dw_str(about.herb), order->now, &made, fault);
	if (err == DW_OK)
		err = put_forecast(db, order, answer, fault);
	if (err != DW_OK)
		return err;
	put_share(answer, "predicted_effectiveness", model_score(&made.parts, &model_boldness[MODEL_BALANCED]), 1000);
	put_share(answer, "confidence", made.confidence, 1000);
	put_share(answer, "historical", made.parts.historical, 1000);
	put_share(answer, "cohort", made.parts.cohort, 1000);
	put_share(answer, "symptom_match", made.parts.symptoms, 1000);
	put_integer(answer, "similar_patient_count", made.patients);
	put_integer(answer, "sample_size", made.cases);
	put_close(answer, '}');
	return DW_OK;
}

int
predict_stats(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, stats);
}
