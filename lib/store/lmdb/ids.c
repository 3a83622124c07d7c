/* The LMDB engine's ids: whether a sender's id was there before.
 *
 * An id is remembered for id_window_ms, and while it is among the last id_window_count, which the difference of two
 * seqs tells. One that is not is as good as none: the same id again gets a row of its own, which is found first.
 *
 *   idlog   first seq → rows {digest of room and id 16, content hash 16, time and two bits 8, n 8}, one a message
 *
 * In a table by digest each id would cost a commit a page of its own. So ids are only appended to a log, and found by a
 * hash in memory, made anew at each opening: a tag of each, in a ring by seq, chained to the one before it in its
 * bucket. A chain ends where the log begins: nothing is taken out of its middle.
 *
 * Happy path: a commit walks the chain of each id, and reads the row of an equal tag from the log; appends its rows;
 * deletes a few of the log's oldest entries when they are out of the window.
 *
 * Failure modes: an aborted batch takes its rows back out, newest first, so each bucket is what it was. A log that has
 * a hole, does not begin where meta's `ids` says, or does not end at the last seq is DW_E_CORRUPT, found by the
 * look-through. No memory is DW_E_NOMEM, and the ring is as it was. Tags depend on a number drawn at each opening, so
 * that nobody can choose ids that make a long chain.
 *
 * Memory: 16 bytes for each row of the log and of a batch, rounded up to a power of two: 16 MiB for a million. The ring
 * doubles when it is full, which holds a commit up, the last time for some 25 ms.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/lmdb/parts.h"

enum { RING_FIRST = 1024 };

/* Above the time of a row: whether its message had an except, and an expires_at. */
#define ID_EXCEPT (UINT64_C(1) << 62)
#define ID_EXPIRY (UINT64_C(1) << 63)

#define SEQ_MAX (UINT64_MAX >> 8)

/* A row's place in the ring and, apart from that, a bucket of the hash. */
struct slot {
	uint64_t head : 56; /* of the bucket: seq of its newest row, far below SEQ_MAX */
	uint64_t at : 8;    /* of the row: how many are before it in its entry of the log */
	uint32_t tag, back; /* the one before it in its bucket is so many seqs back */
};

struct lmdb_ids {
	struct slot *slots;
	size_t cap;           /* a power of two */
	uint64_t floor, last; /* in memory are the rows after the one seq and up to the other */
	uint64_t trimmed;     /* the floor when the batch has been committed */
	uint64_t key;         /* of the tags */
	size_t count, budget; /* rows that are not in the log yet; entries that may still be deleted */
	struct id_row rows[ID_ROWS_MAX];
};

static struct slot *
slot_of(const struct lmdb_ids *ids, uint64_t number)
{
	return &ids->slots[number & (ids->cap - 1)];
}

static uint32_t
tag_of(const struct lmdb_ids *ids, const void *digest)
{
	uint64_t number;

	memcpy(&number, digest, sizeof(number));
	return (uint32_t)(number * ids->key >> 32);
}

/* 32 bits are enough for `back`: no ring is so long, so what is further back is no longer in it, and the chain ends. */
static void
link_row(struct lmdb_ids *ids, uint64_t seq)
{
	struct slot *row = slot_of(ids, seq), *bucket = slot_of(ids, row->tag);
	const uint64_t back = seq - bucket->head;

	row->back = back < UINT32_MAX ? (uint32_t)back : UINT32_MAX;
	bucket->head = seq & SEQ_MAX;
}

static int
grow(struct lmdb_ids *ids)
{
	struct lmdb_ids larger = *ids;

	larger.cap = ids->cap > 0 ? 2 * ids->cap : RING_FIRST;
	larger.slots = calloc(larger.cap, sizeof(*larger.slots));
	if (larger.slots == NULL)
		return DW_E_NOMEM;
	for (uint64_t seq = ids->floor + 1; seq <= ids->last; seq++) {
		slot_of(&larger, seq)->tag = slot_of(ids, seq)->tag;
		slot_of(&larger, seq)->at = slot_of(ids, seq)->at;
		link_row(&larger, seq);
	}
	free(ids->slots);
	ids->slots = larger.slots;
	ids->cap = larger.cap;
	return DW_OK;
}

/* The row of the next seq. */
static int
add_row(struct lmdb_ids *ids, const void *digest, size_t at)
{
	int err = ids->last - ids->floor < ids->cap ? DW_OK : grow(ids);

	if (err != DW_OK)
		return err;
	ids->last++;
	slot_of(ids, ids->last)->tag = tag_of(ids, digest);
	slot_of(ids, ids->last)->at = (uint8_t)at;
	link_row(ids, ids->last);
	return DW_OK;
}

static int
load_entry(void *user, struct dw_str key, struct dw_str value)
{
	struct lmdb_ids *ids = user;
	int err = DW_OK;

	if (ids->last == 0)
		ids->floor = ids->trimmed = ids->last = dw_lmdb_key_seq(key) - 1;
	for (size_t i = 0; err == DW_OK && i < value.n / sizeof(struct id_row); i++)
		err = add_row(ids, value.p + i * sizeof(struct id_row), i);
	return err;
}

int
dw_lmdb_ids_open(struct lmdb_engine *e)
{
	e->ids = calloc(1, sizeof(*e->ids));
	if (e->ids == NULL)
		return DW_E_NOMEM;
	e->ids->key = dw_random() | 1;
	return dw_kv_scan(e->kv, IDLOG, DW_STR(""), DW_STR(""), load_entry, e->ids);
}

void
dw_lmdb_ids_close(struct lmdb_engine *e)
{
	if (e->ids != NULL)
		free(e->ids->slots);
	free(e->ids);
}

/* ---- a batch */

/* By the next message, and for so many windows of time. */
static bool
is_remembered(const struct lmdb_engine *e, uint64_t seq, const struct id_row *row, uint64_t windows)
{
	const uint64_t at = row->at & ~(ID_EXCEPT | ID_EXPIRY);

	return e->next_seq - seq <= e->config.id_window_count &&
		   (e->now <= at || (e->now - at) / windows < e->config.id_window_ms);
}

static int
read_row(struct lmdb_engine *e, uint64_t seq, struct id_row *row)
{
	const size_t at = slot_of(e->ids, seq)->at;
	struct dw_str value = { 0 };
	uint64_t key;
	int err;

	if (seq > e->ids->last - e->ids->count) {
		*row = e->ids->rows[at];
		return DW_OK;
	}
	err = dw_kv_get(e->kv, IDLOG, dw_lmdb_seq_key(&key, seq - at), &value);
	if (err != DW_OK || value.n < (at + 1) * sizeof(*row))
		return err == DW_OK || err == DW_E_AGAIN ? DW_E_CORRUPT : err;
	memcpy(row, value.p + at * sizeof(*row), sizeof(*row));
	return DW_OK;
}

int
dw_lmdb_id_find(struct lmdb_engine *e, struct dw_op *op, const uint8_t digest[ID_DIGEST])
{
	const struct lmdb_ids *ids = e->ids;
	const uint32_t tag = tag_of(ids, digest);
	uint64_t seq = ids->cap > 0 ? slot_of(ids, tag)->head : 0;
	struct id_row row = { 0 };

	for (; seq > ids->floor; seq -= slot_of(ids, seq)->back) {
		int err = slot_of(ids, seq)->tag == tag ? read_row(e, seq, &row) : DW_E_AGAIN;

		if (err == DW_OK && memcmp(row.digest, digest, ID_DIGEST) == 0)
			break;
		if (err != DW_OK && err != DW_E_AGAIN)
			return err;
	}
	if (seq <= ids->floor || !is_remembered(e, seq, &row, 1))
		return DW_E_AGAIN;
	op->append.seq = seq;
	if (op->append.to[0] == '\0')
		op->append.n = row.n;
	else
		op->append.own = row.n;
	op->append.duplicate = memcmp(row.hash, op->append.hash, sizeof(row.hash)) == 0;
	op->append.had_except = (row.at & ID_EXCEPT) != 0;
	op->append.had_expiry = (row.at & ID_EXPIRY) != 0;
	op->err = op->append.duplicate ? DW_OK : DW_E_ID_REUSED;
	return DW_OK;
}

/* Those that are not in the log yet. */
static int
put_rows(struct lmdb_engine *e)
{
	struct lmdb_ids *ids = e->ids;
	const struct dw_str rows = dw_bytes(ids->rows, ids->count * sizeof(ids->rows[0]));
	uint64_t bytes;
	const struct dw_str key = dw_lmdb_seq_key(&bytes, ids->last - ids->count + 1);

	ids->count = 0;
	return rows.n > 0 ? dw_kv_append(e->kv, IDLOG, key, &rows, 1) : DW_OK;
}

int
dw_lmdb_id_add(struct lmdb_engine *e, const struct dw_op *op, const uint8_t digest[ID_DIGEST])
{
	struct lmdb_ids *ids = e->ids;
	struct id_row *row = &ids->rows[ids->count];
	int err = add_row(ids, digest, ids->count);

	if (err != DW_OK)
		return err;
	memcpy(row->digest, digest, sizeof(row->digest));
	memcpy(row->hash, op->append.hash, sizeof(row->hash));
	row->at = (op->append.at & ~(ID_EXCEPT | ID_EXPIRY)) | (op->append.except != 0 ? ID_EXCEPT : 0) |
			  (op->append.expires_at != 0 ? ID_EXPIRY : 0);
	row->n = op->append.own > 0 ? op->append.own : op->append.n;
	ids->count++;
	return ids->count == ID_ROWS_MAX ? put_rows(e) : DW_OK;
}

/* What is not remembered, nor was a window ago: the clock may be set back. The newest entry tells where the log ends,
 * and stays. */
static int
trim_entry(void *user, struct dw_str key, struct dw_str value)
{
	struct lmdb_engine *e = user;
	uint64_t seq = dw_lmdb_key_seq(key);
	struct id_row row;

	if (e->ids->budget == 0 || seq + value.n / sizeof(row) > e->ids->last)
		return DW_KV_STOP;
	for (size_t at = 0; at < value.n; at += sizeof(row), seq++) {
		memcpy(&row, value.p + at, sizeof(row));
		if (is_remembered(e, seq, &row, 2))
			return DW_KV_STOP;
	}
	e->ids->budget--;
	e->ids->trimmed = seq - 1;
	e->deleted++;
	return DW_KV_DELETE;
}

int
dw_lmdb_ids_end(struct lmdb_engine *e, size_t budget)
{
	struct lmdb_ids *ids = e->ids;
	int err = put_rows(e);

	ids->budget = budget;
	if (err == DW_OK)
		err = dw_kv_scan(e->kv, IDLOG, DW_STR(""), DW_STR(""), trim_entry, e);
	if (err != DW_OK && err != DW_KV_STOP)
		return err;
	return ids->trimmed == ids->floor
			   ? DW_OK
			   : dw_kv_put(e->kv, META, DW_STR("ids"), dw_bytes(&ids->trimmed, sizeof(ids->trimmed)));
}

void
dw_lmdb_ids_settle(struct lmdb_engine *e, bool committed)
{
	struct lmdb_ids *ids = e->ids;

	if (committed)
		ids->floor = ids->trimmed;
	for (; ids->last > e->seq; ids->last--) {
		const struct slot *row = slot_of(ids, ids->last);

		slot_of(ids, row->tag)->head = (ids->last - row->back) & SEQ_MAX;
	}
	ids->trimmed = ids->floor;
	ids->count = 0;
}
