/* How well things work, as of now: of a recommendation, a diagnosis, a condition or a herb from their feedback itself;
 * lists across all of them from the results that were kept.
 */
#include "clinic.h"
#include "model/score.h"
#include "sql/db.h"
#include "work/answer.h"
#include "work/call.h"
#include "work/effect.h"

static int
status(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_analytics_status, "i", order->now);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	put_success(answer);
	put_integer(answer, "recommendations", sqlite3_column_int64(row, 0));
	put_integer(answer, "due", sqlite3_column_int64(row, 1));
	put_integer(answer, "feedback", sqlite3_column_int64(row, 2));
	put_integer(answer, "outbox", sqlite3_column_int64(row, 3));
	if (sqlite3_column_type(row, 4) != SQLITE_NULL)
		put_time(answer, "computed", sqlite3_column_int64(row, 4));
	else
		put_null(answer, "computed");
	put_text(answer, "model_version", dw_str(MODEL_VERSION));
	put_close(answer, '}');
	db_end(row);
	return DW_OK;
}

int
analytics_status(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, status);
}

/* ---- one recommendation, one diagnosis ---- */

static int
recommendation(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	int err;

	put_success(answer);
	err = put_recommendation(db, order->recommendation, order->now, answer, fault);
	put_close(answer, '}');
	return err;
}

int
analytics_recommendation(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, recommendation);
}

/* The list of its recommendations goes to `list`, for the effect of all stands before it. */
static int
diagnosis_list(
	struct db *db, const struct order *order, struct model_effect *all, struct dw_buf *list, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more;
	int err = db_query(db, &row, fault, sql_analytics_recommendations, "t", order->diagnosis);

	if (err != DW_OK)
		return err;
	put_open(list, NULL, '[');
	while ((err = db_next(db, row, &more, fault)) == DW_OK && more) {
		const int64_t id = sqlite3_column_int64(row, 0);
		struct model_effect effect = { 0 };

		err = effect_of_recommendation(db, id, order->now, &effect, fault);
		if (err != DW_OK)
			break;
		put_open(list, NULL, '{');
		put_integer(list, "recommendation_id", id);
		put_text(list, "herb_name", db_text(row, 1));
		put_effect(list, &effect);
		put_close(list, '}');
		all->cases += effect.cases;
		all->successes += effect.successes;
		all->recent += effect.recent;
		all->recent_successes += effect.recent_successes;
		all->rating_sum += effect.rating_sum;
	}
	put_close(list, ']');
	db_end(row);
	return err;
}

static int
diagnosis(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	char condition[NAME_SIZE];
	struct model_effect all = { 0 };
	struct dw_buf list = { 0 };
	int err = diagnosis_read(db, order->diagnosis, condition, fault);

	if (err == DW_OK)
		err = diagnosis_list(db, order, &all, &list, fault);
	if (err == DW_OK) {
		put_success(answer);
		put_diagnosis(answer, "diagnosis_id", order->diagnosis);
		put_text(answer, "condition", dw_str(condition));
		put_effect(answer, &all);
		put_buf(answer, "recommendations", &list);
		put_close(answer, '}');
	}
	dw_buf_clear(&list);
	return err;
}

int
analytics_diagnosis(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, diagnosis);
}

/* ---- by name ---- */

static const struct kind {
	const char *member, *word;
	const char *count, *records;
} condition_kind = { "condition", "condition", sql_analytics_condition, sql_analytics_records_of_condition },
  herb_kind = { "herb_name", "herb", sql_analytics_herb, sql_analytics_records_of_herb };

static int
by_name(
	struct db *db, const struct order *order, const struct kind *kind, struct dw_buf *answer, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];
	struct model_effect effect = { 0 };
	sqlite3_stmt *row;
	int64_t count = 0;
	bool found;
	int err = db_number(db, &count, &found, fault, kind->count, "t", order->name);

	if (err == DW_OK && !found)
		return dw_fault_set(
			fault, DW_E_UNKNOWN, kind->member, NULL, "there is no %s '%s'", kind->word, dw_quote(order->name, quoted));
	if (err == DW_OK)
		err = db_query(db, &row, fault, kind->records, "ti", order->name, order->now - MODEL_WINDOW);
	if (err == DW_OK)
		err = effect_gather(db, row, order->now, &effect, fault);
	if (err != DW_OK)
		return err;
	put_success(answer);
	put_text(answer, kind->member, order->name);
	put_effect(answer, &effect);
	put_integer(answer, "recommendations", count);
	put_close(answer, '}');
	return DW_OK;
}

static int
condition(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return by_name(db, order, &condition_kind, answer, fault);
}

int
analytics_condition(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, condition);
}

static int
herb(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return by_name(db, order, &herb_kind, answer, fault);
}

int
analytics_herb(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, herb);
}

/* ---- lists ---- */

static int
trending(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return put_list(db, order, answer, fault, sql_analytics_trending);
}

int
analytics_trending(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, trending);
}

static int
worst(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return put_list(db, order, answer, fault, sql_analytics_worst);
}

int
analytics_worst(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault)
{
	return call_read(db, order, answer, fault, worst);
}
