/* See rank.h. What those who watch were told last is kept, and compared by its ids alone: scores move with every
 * record, and are no news while the order stands. So the entries that were told stay as they were told.
 */
#include "work/rank.h"

#include <stdio.h>

#include "message/msg.h"
#include "sql/db.h"
#include "work/answer.h"

/* Two rankings of so many entries fit into a message, however long the names of herbs are (64 characters, which JSON
 * may write as 6 bytes each): 2 * 60 * 473 bytes, and 120 ids. */
enum { TOLD_MAX = 60 };

struct told {
	int64_t version; /* 0: nothing yet */
	int64_t ids[TOLD_MAX];
	size_t count;
};

static int
read_told(struct db *db, struct dw_str diagnosis, struct told *told, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = db_number(db, &told->version, NULL, fault, sql_ranking_told, "t", diagnosis);

	if (err == DW_OK)
		err = db_query(db, &row, fault, sql_ranking_told_ids, "t", diagnosis);
	while (err == DW_OK && (err = db_next(db, row, &more, fault)) == DW_OK && more && told->count < TOLD_MAX)
		told->ids[told->count++] = sqlite3_column_int64(row, 0);
	return err;
}

static void
get_ids(const struct predictions *set, struct told *told)
{
	for (; told->count < set->count && told->count < TOLD_MAX; told->count++)
		told->ids[told->count] = set->entries[told->count].recommendation;
}

static bool
same(const struct told *a, const struct told *b)
{
	size_t i = 0;

	while (i < a->count && i < b->count && a->ids[i] == b->ids[i])
		i++;
	return i == a->count && i == b->count;
}

static bool
has(const struct told *told, int64_t id)
{
	size_t i = 0;

	while (i < told->count && told->ids[i] != id)
		i++;
	return i < told->count;
}

/* Those of `of` that `in` lacks; returns how many. */
static size_t
put_missing(struct dw_buf *out, const char *name, const struct told *of, const struct told *in)
{
	size_t count = 0;

	put_open(out, name, '[');
	for (size_t i = 0; i < of->count; i++) {
		if (has(in, of->ids[i]))
			continue;
		put_integer(out, NULL, of->ids[i]);
		count++;
	}
	put_close(out, ']');
	return count;
}

/* The JSON array that is kept and told. */
static int
put_ranking(struct db *db, const struct predictions *set, size_t count, struct dw_buf *out, struct dw_fault *fault)
{
	int err = DW_OK;

	put_open(out, NULL, '[');
	for (size_t i = 0; err == DW_OK && i < count; i++) {
		sqlite3_stmt *row;
		bool more;

		err = db_query(db, &row, fault, sql_predict_recommendation, "i", set->entries[i].recommendation);
		if (err == DW_OK)
			err = db_next(db, row, &more, fault);
		if (err != DW_OK)
			break;
		put_open(out, NULL, '{');
		put_integer(out, "recommendation_id", set->entries[i].recommendation);
		put_text(out, "herb_name", db_text(row, 0));
		put_share(out, "predicted_effectiveness", set->entries[i].score, 1000);
		put_close(out, '}');
		db_end(row);
	}
	put_close(out, ']');
	return err == DW_OK && !dw_buf_ok(out) ? DW_E_NOMEM : err;
}

static void
put_list(struct dw_buf *out, const char *name, struct dw_str ranking)
{
	put_open(out, name, '{');
	dw_buf_adds(out, "\"ranking\":");
	dw_buf_add(out, ranking.p, ranking.n);
	put_close(out, '}');
}

static int
push(struct db *db, struct dw_str diagnosis, const struct told *before, const struct told *after,
	const struct dw_buf *ranking, int64_t now, struct dw_fault *fault)
{
	char message[DW_ID_MAX + 1];
	struct dw_buf data = { 0 };
	sqlite3_stmt *row;
	size_t turned;
	bool more;
	int err = db_query(db, &row, fault, sql_ranking_told, "t", diagnosis);

	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	put_open(&data, NULL, '{');
	put_list(&data, "old_data", db_text(row, 1));
	db_end(row);
	put_list(&data, "new_data", dw_bytes(ranking->data, ranking->len));
	turned = put_missing(&data, "added_recommendations", after, before);
	turned += put_missing(&data, "removed_recommendations", before, after);
	put_text(&data, "reason",
		turned > 0 ? DW_STR("other recommendations than before") : DW_STR("what is known changed the order"));
	put_close(&data, '}');
	(void)snprintf(
		message, sizeof(message), "ranking.%.*s.%lld", (int)diagnosis.n, diagnosis.p, (long long)after->version);
	err =
		dw_buf_ok(&data) ? outbox_add(db, diagnosis, "recommendation_update", message, &data, now, fault) : DW_E_NOMEM;
	dw_buf_clear(&data);
	return err;
}

int
rank_predictions(
	struct db *db, struct dw_str diagnosis, const struct predictions *set, int64_t now, struct dw_fault *fault)
{
	struct told before = { 0 }, after = { 0 };
	struct dw_buf ranking = { 0 };
	int err = read_told(db, diagnosis, &before, fault);

	get_ids(set, &after);
	after.version = before.version + 1;
	if (err != DW_OK || (before.version > 0 && same(&before, &after)))
		return err;
	err = put_ranking(db, set, after.count, &ranking, fault);
	if (err == DW_OK && before.version > 0)
		err = push(db, diagnosis, &before, &after, &ranking, now, fault);
	if (err == DW_OK)
		err = db_run(db, fault, sql_ranking_keep, "tit", diagnosis, after.version, dw_bytes(ranking.data, ranking.len));
	dw_buf_clear(&ranking);
	return err;
}

int
rank_diagnosis(struct db *db, struct dw_str diagnosis, int64_t now, struct dw_fault *fault)
{
	struct predictions set;
	int err = predictions_make(db, diagnosis, now, &set, fault);

	if (err == DW_OK)
		err = rank_predictions(db, diagnosis, &set, now, fault);
	predictions_clear(&set);
	return err;
}
