/* How predictions and treatments did: predict_evolution, a diagnosis's effectiveness day by day as it stood then, and
 * predict_accuracy, what was predicted first beside what came of it.
 */
#include "base/clock.h"
#include "clinic.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/call.h"
#include "work/effect.h"
#include "work/prediction.h"

enum { DAYS = 30 };

/* ---- evolution ---- */

static int64_t
day(const struct order *order, size_t i)
{
	return order->now - (int64_t)(DAYS - 1 - i) * DAY;
}

/* Adds the records of a recommendation to each day's. */
static int
add_records(struct db *db, const struct order *order, int64_t recommendation, struct model_effect days[DAYS],
	struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = db_query(
		db, &row, fault, sql_predict_feedback, "iii", recommendation, day(order, 0) - MODEL_WINDOW, order->now);

	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more)
		for (size_t i = 0; i < DAYS; i++)
			model_effect_add(&days[i], day(order, i), sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
				sqlite3_column_int64(row, 2));
	return err;
}

static void
put_effectiveness(struct dw_buf *out, const char *name, const struct model_effect *effect)
{
	if (effect->cases > 0)
		put_share(out, name, model_effectiveness(effect), 1000);
	else
		put_null(out, name);
}

/* An array of the recommendations; sums up `all`. */
static int
put_recommendations(
	struct db *db, const struct order *order, struct model_effect all[DAYS], struct dw_buf *out, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = db_query(db, &row, fault, sql_predict_recommendations, "ti", order->diagnosis, (int64_t)PREDICTIONS_MAX);

	put_open(out, NULL, '[');
	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more) {
		struct model_effect own[DAYS] = { 0 };

		err = add_records(db, order, sqlite3_column_int64(row, 0), own, fault);
		put_open(out, NULL, '{');
		put_integer(out, "recommendation_id", sqlite3_column_int64(row, 0));
		put_text(out, "herb_name", db_text(row, 1));
		put_open(out, "effectiveness", '[');
		for (size_t i = 0; i < DAYS; i++) {
			all[i].cases += own[i].cases;
			all[i].successes += own[i].successes;
			put_effectiveness(out, NULL, &own[i]);
		}
		put_close(out, ']');
		put_close(out, '}');
	}
	put_close(out, ']');
	return err;
}

static int
evolution(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	struct model_effect all[DAYS] = { 0 };
	struct dw_buf recommendations = { 0 };
	char condition[NAME_SIZE];
	int err = diagnosis_read(db, order->diagnosis, condition, fault);

	if (err == DW_OK)
		err = put_recommendations(db, order, all, &recommendations, fault);
	put_success(answer);
	put_diagnosis(answer, "diagnosis_id", order->diagnosis);
	put_open(answer, "days", '[');
	for (size_t i = 0; i < DAYS; i++) {
		char date[DW_TIME_SIZE];

		dw_time_text(day(order, i) > 0 ? (uint64_t)day(order, i) * 1000 : 0, date);
		put_open(answer, NULL, '{');
		put_text(answer, "date", dw_bytes(date, sizeof("2026-12-01") - 1));
		put_effectiveness(answer, "effectiveness", &all[i]);
		put_integer(answer, "sample_size", all[i].cases);
		put_close(answer, '}');
	}
	put_close(answer, ']');
	put_buf(answer, "recommendations", &recommendations);
	put_close(answer, '}');
	dw_buf_clear(&recommendations);
	return err;
}

int
predict_evolution(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, evolution);
}

/* ---- accuracy ---- */

/* Of the feedback that came after a forecast. */
static int
count_after(struct db *db, int64_t recommendation, int64_t made, int64_t now, int64_t *cases, int64_t *successes,
	struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = db_query(db, &row, fault, sql_predict_feedback, "iii", recommendation, made + 1, now);

	*cases = *successes = 0;
	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more) {
		(*cases)++;
		*successes += model_success(sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2));
	}
	return err;
}

static int
accuracy(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	struct dw_buf list = { 0 };
	int64_t right = 0, count = 0; /* the sum of 1 - error */
	sqlite3_stmt *row;
	bool more = true;
	char condition[NAME_SIZE];
	int err = diagnosis_read(db, order->diagnosis, condition, fault);

	if (err == DW_OK)
		err = db_query(db, &row, fault, sql_forecasts, "ti", order->diagnosis, (int64_t)PREDICTIONS_MAX);
	put_open(&list, NULL, '[');
	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more) {
		const int64_t predicted = thousandths(sqlite3_column_double(row, 2));
		int64_t cases, successes, actual;

		err = count_after(
			db, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 3), order->now, &cases, &successes, fault);
		if (err != DW_OK || cases == 0)
			continue;
		actual = model_share(successes, cases);
		right += 1000 - (predicted > actual ? predicted - actual : actual - predicted);
		count++;
		put_open(&list, NULL, '{');
		put_integer(&list, "recommendation_id", sqlite3_column_int64(row, 0));
		put_text(&list, "herb_name", db_text(row, 1));
		put_share(&list, "predicted", predicted, 1000);
		put_share(&list, "actual", actual, 1000);
		put_share(&list, "error", predicted > actual ? predicted - actual : actual - predicted, 1000);
		put_integer(&list, "sample_size", cases);
		put_time(&list, "made", sqlite3_column_int64(row, 3));
		put_close(&list, '}');
	}
	put_close(&list, ']');
	put_success(answer);
	put_diagnosis(answer, "diagnosis_id", order->diagnosis);
	put_text(answer, "model_version", DW_STR(MODEL_VERSION));
	if (count > 0)
		put_share(answer, "accuracy", model_mean(right, count), 1000);
	else
		put_null(answer, "accuracy");
	put_buf(answer, "recommendations", &list);
	put_close(answer, '}');
	dw_buf_clear(&list);
	return err;
}

int
predict_accuracy(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, accuracy);
}
