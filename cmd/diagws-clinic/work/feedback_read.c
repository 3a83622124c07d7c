/* What feedback adds up to. All of it is read, nothing kept; but for ratings' trends, all that was ever given counts.
 */
#include "clinic.h"
#include "model/rating.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/call.h"
#include "work/effect.h"

/* ---- history ---- */

static void
put_record(struct dw_buf *out, sqlite3_stmt *row)
{
	put_open(out, NULL, '{');
	put_integer(out, "feedback_id", sqlite3_column_int64(row, 0));
	put_diagnosis(out, "diagnosis_id", db_text(row, 1));
	put_integer(out, "recommendation_id", sqlite3_column_int64(row, 2));
	put_text(out, "herb_name", db_text(row, 3));
	put_integer(out, "rating", sqlite3_column_int64(row, 4));
	put_integer(out, "symptom_improvement", sqlite3_column_int64(row, 5));
	put_optional(out, "compliance", sqlite3_column_int64(row, 6));
	put_text(out, "side_effects", db_text(row, 7));
	put_text(out, "comment", db_text(row, 8));
	put_time(out, "created", sqlite3_column_int64(row, 9));
	put_time(out, "updated", sqlite3_column_int64(row, 10));
	put_integer(out, "version", sqlite3_column_int64(row, 11));
	put_close(out, '}');
}

/* Begins the list that the order asks for. */
static int
select_history(struct db *db, const struct order *order, int64_t limit, sqlite3_stmt **row, struct dw_fault *fault)
{
	int64_t one;
	bool found = true;
	int err;

	if (order->diagnosis.n == 0)
		return db_query(db, row, fault, sql_feedback_history, "i", limit);
	err = db_number(db, &one, &found, fault, sql_feedback_diagnosis, "t", order->diagnosis);
	if (err == DW_OK && !found)
		err = diagnosis_unknown(order->diagnosis, fault);
	return err == DW_OK ? db_query(db, row, fault, sql_feedback_history_of_diagnosis, "it", limit, order->diagnosis)
						: err;
}

static int
history(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	int64_t limit, count = 0;
	bool more = false;
	int err = limit_read(order, 50, HISTORY_MAX, &limit, fault);

	if (err == DW_OK)
		err = select_history(db, order, limit, &row, fault);
	if (err != DW_OK)
		return err;
	put_success(answer);
	put_open(answer, "feedback", '[');
	for (; (err = db_next(db, row, &more, fault)) == DW_OK && more; count++)
		put_record(answer, row);
	put_close(answer, ']');
	put_integer(answer, "count", count);
	put_close(answer, '}');
	return err;
}

int
feedback_history(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, history);
}

/* ---- of a recommendation ---- */

static int
put_side_effects(struct db *db, int64_t recommendation, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_feedback_side_effects_of, "ii", recommendation, (int64_t)LIST_MAX);

	if (err != DW_OK)
		return err;
	put_open(answer, "side_effects", '[');
	while ((err = db_next(db, row, &more, fault)) == DW_OK && more)
		put_text(answer, NULL, db_text(row, 0));
	put_close(answer, ']');
	return err;
}

static int
put_comment(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = false;
	int err = db_query(db, &row, fault, sql_feedback_latest_comment, "ii", order->recommendation, (int64_t)order->own);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	put_text(answer, "latest_comment", more ? db_text(row, 0) : (struct dw_str) { 0 });
	db_end(row);
	return DW_OK;
}

static int
put_sums(struct db *db, int64_t recommendation, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int64_t count;
	int err = db_query(db, &row, fault, sql_feedback_summary, "i", recommendation);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	count = sqlite3_column_int64(row, 0);
	put_integer(answer, "sample_size", count);
	put_average(answer, "average_rating", sqlite3_column_int64(row, 1), count);
	put_average(answer, "average_improvement", sqlite3_column_int64(row, 2), count);
	put_average(answer, "average_compliance", sqlite3_column_int64(row, 3), sqlite3_column_int64(row, 4));
	if (count > 0) {
		const struct model_effect good = { .cases = count, .successes = sqlite3_column_int64(row, 5) };

		put_share(answer, "satisfied_percent", model_effectiveness(&good), 10);
	} else {
		put_null(answer, "satisfied_percent");
	}
	db_end(row);
	return DW_OK;
}

static int
summary(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	struct recommendation about;
	int err = recommendation_read(db, &about, order->recommendation, fault);

	if (err != DW_OK)
		return err;
	put_success(answer);
	put_integer(answer, "recommendation_id", about.id);
	put_text(answer, "herb_name", dw_str(about.herb));
	err = put_sums(db, about.id, answer, fault);
	if (err == DW_OK)
		err = put_side_effects(db, about.id, answer, fault);
	if (err == DW_OK)
		err = put_comment(db, order, answer, fault);
	put_close(answer, '}');
	return err;
}

int
feedback_summary(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, summary);
}

static void
put_side(struct dw_buf *out, const char *name, int64_t sum, int64_t n)
{
	put_open(out, name, '{');
	put_average(out, "average_rating", sum, n);
	put_integer(out, "sample_size", n);
	put_close(out, '}');
}

static int
trend(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	struct recommendation about;
	struct model_ratings ratings = { 0 };
	sqlite3_stmt *row;
	const char *word;
	int64_t confidence;
	bool more;
	int err = recommendation_read(db, &about, order->recommendation, fault);

	if (err == DW_OK)
		err = db_query(db, &row, fault, sql_analytics_records, "ii", about.id, order->now - MODEL_WINDOW);
	if (err != DW_OK)
		return err;
	while ((err = db_next(db, row, &more, fault)) == DW_OK && more)
		model_ratings_add(&ratings, order->now, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1));
	word = model_rating_trend(&ratings, &confidence);
	put_success(answer);
	put_integer(answer, "recommendation_id", about.id);
	put_text(answer, "trend", dw_str(word));
	put_share(answer, "confidence", confidence, 1000);
	put_side(answer, "recent", ratings.recent_sum, ratings.recent);
	put_side(answer, "earlier", ratings.earlier_sum, ratings.earlier);
	put_close(answer, '}');
	return err;
}

int
feedback_trend(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, trend);
}

/* ---- of a diagnosis ---- */

struct sums {
	int64_t cases, rating, improvement;
};

static void
put_averages(struct dw_buf *out, const struct sums *sums)
{
	put_integer(out, "sample_size", sums->cases);
	put_average(out, "average_rating", sums->rating, sums->cases);
	put_average(out, "average_improvement", sums->improvement, sums->cases);
}

/* The list of its recommendations goes to `list`, for the sums of all stand before it. */
static int
overview_list(struct db *db, struct dw_str diagnosis, struct sums *all, struct dw_buf *list, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_feedback_overview, "t", diagnosis);

	if (err != DW_OK)
		return err;
	put_open(list, NULL, '[');
	while ((err = db_next(db, row, &more, fault)) == DW_OK && more) {
		const struct sums sums = { sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3),
			sqlite3_column_int64(row, 4) };

		all->cases += sums.cases;
		all->rating += sums.rating;
		all->improvement += sums.improvement;
		put_open(list, NULL, '{');
		put_integer(list, "recommendation_id", sqlite3_column_int64(row, 0));
		put_text(list, "herb_name", db_text(row, 1));
		put_averages(list, &sums);
		put_close(list, '}');
	}
	put_close(list, ']');
	return err;
}

static int
overview(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	char condition[NAME_SIZE];
	struct sums all = { 0 };
	struct dw_buf list = { 0 };
	int err = diagnosis_read(db, order->diagnosis, condition, fault);

	if (err == DW_OK)
		err = overview_list(db, order->diagnosis, &all, &list, fault);
	if (err == DW_OK) {
		put_success(answer);
		put_diagnosis(answer, "diagnosis_id", order->diagnosis);
		put_text(answer, "condition", dw_str(condition));
		put_averages(answer, &all);
		put_buf(answer, "recommendations", &list);
		put_close(answer, '}');
	}
	dw_buf_clear(&list);
	return err;
}

int
feedback_overview(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, overview);
}

/* ---- of all ---- */

static int
most_effective(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return put_list(db, order, answer, fault, sql_analytics_best);
}

int
feedback_most_effective(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, most_effective);
}

static int
side_effects(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	int64_t limit;
	bool more;
	int err = limit_read(order, 10, LIST_MAX, &limit, fault);

	if (err == DW_OK)
		err = db_query(db, &row, fault, sql_feedback_side_effects, "i", limit);
	if (err != DW_OK)
		return err;
	put_success(answer);
	put_open(answer, "side_effects", '[');
	while ((err = db_next(db, row, &more, fault)) == DW_OK && more) {
		put_open(answer, NULL, '{');
		put_text(answer, "side_effect", db_text(row, 0));
		put_integer(answer, "count", sqlite3_column_int64(row, 1));
		put_close(answer, '}');
	}
	put_close(answer, ']');
	put_close(answer, '}');
	return err;
}

int
feedback_side_effects(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, side_effects);
}
