/* The LMDB engine's ids: whether a sender's id was there before.
 *
 * A file of its own because it is a small store in the store. An id's digest may fall anywhere in a table of ids, so
 * each would cost a commit a page of its own there. Instead a commit appends its ids to a log, by seq, and they are
 * carried from there into the tables much later, many neighbours at once. Meanwhile they are found in memory.
 *
 *   idlog   first seq → rows {digest 16, content hash 10, time and two bits 6, n 8}, of that seq and those that follow
 * it
 *
 * An id is remembered for id_window_ms, and while it is among the last id_window_count, which the difference of two
 * seqs tells. One that is not is as good as none: the same id again gets a row of its own, which is found before the
 * old one. The tables hold two generations, each a window or more: what is emptied is not remembered any more.
 *
 * Digests are divided by their first byte into ID_PARTS parts, which take turns: step t (1, 2, …) carries part
 * t % ID_PARTS up to the seq t * ID_STEP into the tables, once that was given. So what has been carried follows from
 * the number of steps, which is in meta, and what all parts have behind them is deleted from the log.
 *
 * Nearly all ids are new, so a filter in memory tells of most of them that they are: two bits for each id, set when it
 * was stored, in one word of many. One filter for each table, so that one that is emptied begins anew.
 *
 * Happy path: a commit looks each id up in the filters, else in memory, then in both tables; appends its rows; takes
 * the steps that are due. Opening fills the filters while the store is looked through, and reads the log into memory.
 *
 * Failure modes: an aborted batch takes its rows back out of memory (dw_lmdb_ids_abort); bits that it set stay, which
 * costs a look, and none is cleared before the commit. A log that has a hole or does not end at the last seq is
 * DW_E_CORRUPT, found by the look-through. Memory: 5 MiB, and 48 bytes for each of ID_PARTS * ID_STEP rows and a batch.
 */
#include <stdlib.h>
#include <string.h>

#include "store/lmdb/parts.h"

enum { BUCKETS_A_PART = 256, BUCKETS = ID_PARTS * BUCKETS_A_PART, RING_FIRST = 1024, FILTER_WORDS = 1 << 18 };

struct row {
	struct id_row id;
	uint64_t next; /* the one before it in its bucket; 0: none */
};

struct lmdb_ids {
	struct row *ring; /* by seq: those after `floor` */
	size_t cap;       /* a power of two */
	uint64_t floor;   /* all parts have been carried up to here, in what was committed; */
	uint64_t steps;   /* by so many steps */
	uint64_t logged;  /* up to here the batch's rows have been put into the log */
	bool turned;      /* the batch has begun a generation */
	uint64_t filters[2][FILTER_WORDS];
	uint64_t heads[BUCKETS]; /* seq of the newest row in memory; 0: none */
};

static struct row *
row_of(const struct lmdb_ids *ids, uint64_t seq)
{
	return &ids->ring[seq & (ids->cap - 1)];
}

static uint64_t *
head_of(struct lmdb_ids *ids, const uint8_t *digest)
{
	return &ids->heads[(size_t)digest[0] % ID_PARTS * BUCKETS_A_PART + digest[1]];
}

/* Up to which seq a part has been carried after so many steps. */
static uint64_t
carried(uint64_t steps, size_t part)
{
	return steps < part ? 0 : (steps - (steps - part) % ID_PARTS) * ID_STEP;
}

uint64_t
dw_lmdb_ids_floor(uint64_t steps)
{
	return steps < ID_PARTS ? 0 : (steps - ID_PARTS + 1) * ID_STEP;
}

static uint64_t
filter_bits(const uint8_t *digest, size_t *word)
{
	uint32_t number;

	memcpy(&number, digest + 2, sizeof(number));
	*word = number % FILTER_WORDS;
	return UINT64_C(1) << digest[6] % 64 | UINT64_C(1) << digest[7] % 64;
}

static bool
is_surely_new(const struct lmdb_ids *ids, const uint8_t *digest)
{
	size_t word;
	const uint64_t bits = filter_bits(digest, &word);

	return (ids->filters[0][word] & bits) != bits && (ids->filters[1][word] & bits) != bits;
}

void
dw_lmdb_ids_note(struct lmdb_engine *e, size_t table, const uint8_t digest[ID_DIGEST])
{
	size_t word;
	const uint64_t bits = filter_bits(digest, &word);

	e->ids->filters[table][word] |= bits;
}

/* Those of the rows in memory. */
static void
note_rows(struct lmdb_engine *e, uint64_t first, uint64_t last)
{
	const struct ids_state *state = &e->ids_state;

	for (uint64_t seq = first > e->ids->floor ? first : e->ids->floor + 1; seq <= last; seq++)
		dw_lmdb_ids_note(e, seq >= state->first ? state->current : 1 - state->current, row_of(e->ids, seq)->id.digest);
}

/* Makes room for the row of this seq. */
static int
make_room(struct lmdb_ids *ids, uint64_t seq)
{
	const size_t before = ids->cap;
	size_t cap = before;
	struct row *ring;

	while (seq - ids->floor >= cap)
		cap *= 2;
	if (cap == before)
		return DW_OK;
	ring = malloc(cap * sizeof(*ring));
	if (ring == NULL)
		return DW_E_NOMEM;
	for (uint64_t at = ids->floor + 1; at < seq && at - ids->floor <= before; at++)
		ring[at & (cap - 1)] = ids->ring[at & (before - 1)];
	free(ids->ring);
	ids->ring = ring;
	ids->cap = cap;
	return DW_OK;
}

static void
link_row(struct lmdb_ids *ids, uint64_t seq)
{
	struct row *row = row_of(ids, seq);
	uint64_t *head = head_of(ids, row->id.digest);

	row->next = *head;
	*head = seq;
}

/* What is in memory becomes what was committed. */
static void
link_all(struct lmdb_ids *ids, uint64_t last)
{
	memset(ids->heads, 0, sizeof(ids->heads));
	for (uint64_t seq = ids->floor + 1; seq <= last; seq++) {
		if (seq > carried(ids->steps, row_of(ids, seq)->id.digest[0] % ID_PARTS))
			link_row(ids, seq);
	}
}

/* ---- opening */

static int
load_rows(void *user, struct dw_str key, struct dw_str value)
{
	struct lmdb_ids *ids = user;
	uint64_t seq = dw_lmdb_key_seq(key);

	for (; value.n >= sizeof(struct id_row); seq++) {
		if (seq > ids->floor) {
			if (make_room(ids, seq) != DW_OK)
				return DW_E_NOMEM;
			memcpy(&row_of(ids, seq)->id, value.p, sizeof(struct id_row));
		}
		value = dw_bytes(value.p + sizeof(struct id_row), value.n - sizeof(struct id_row));
	}
	return DW_OK;
}

int
dw_lmdb_ids_new(struct lmdb_engine *e)
{
	e->ids = calloc(1, sizeof(*e->ids));
	if (e->ids == NULL)
		return DW_E_NOMEM;
	e->ids->cap = RING_FIRST;
	e->ids->ring = malloc(e->ids->cap * sizeof(*e->ids->ring));
	return e->ids->ring != NULL ? DW_OK : DW_E_NOMEM;
}

int
dw_lmdb_ids_open(struct lmdb_engine *e)
{
	struct lmdb_ids *ids = e->ids;
	const struct ids_state *state = &e->ids_state;
	int err = dw_kv_get_fixed(e->kv, META, DW_STR("ids"), &e->ids_state, sizeof(e->ids_state));

	/* Each message leaves it behind. */
	if (err == DW_E_AGAIN)
		return e->seq > 0 ? DW_E_CORRUPT : DW_OK;
	if (err != DW_OK)
		return err;
	if (state->current > 1 || state->steps > e->seq / ID_STEP || state->older > state->first ||
		state->first > e->seq + 1)
		return DW_E_CORRUPT;
	ids->steps = state->steps;
	ids->floor = dw_lmdb_ids_floor(ids->steps);
	err = dw_kv_scan(e->kv, IDLOG, dw_bytes(NULL, 0), load_rows, ids);
	if (err != DW_OK)
		return err;
	link_all(ids, e->seq);
	note_rows(e, e->ids_state.older, e->seq);
	return DW_OK;
}

void
dw_lmdb_ids_close(struct lmdb_engine *e)
{
	if (e->ids != NULL)
		free(e->ids->ring);
	free(e->ids);
}

/* ---- a batch */

/* Begins a new generation when the current one has lasted a window: none of the older one is remembered then. */
int
dw_lmdb_ids_begin(struct lmdb_engine *e)
{
	struct ids_state *state = &e->ids_state;
	int err = dw_kv_get_fixed(e->kv, META, DW_STR("ids"), state, sizeof(*state));

	e->ids->logged = e->seq;
	e->ids->turned = false;
	if (err == DW_E_AGAIN)
		*state = (struct ids_state) { .begun = e->now };
	else if (err != DW_OK)
		return err;
	if (state->current > 1)
		return DW_E_CORRUPT;
	if (e->now < state->begun + e->config.id_window_ms && state->count < e->config.id_window_count)
		return DW_OK;
	*state = (struct ids_state) { .current = 1 - state->current,
		.begun = e->now,
		.first = e->next_seq,
		.older = state->first,
		.steps = state->steps };
	e->ids->turned = true;
	e->deleted++;
	return dw_kv_empty(e->kv, IDS0 + (size_t)state->current);
}

struct id_what
dw_lmdb_id_what(const struct dw_op *op)
{
	const uint64_t at = op->append.at % ID_EXCEPT | (op->append.except != 0 ? ID_EXCEPT : 0) |
						(op->append.expires_at != 0 ? ID_EXPIRY : 0);
	struct id_what what;

	memcpy(what.hash, op->append.hash, sizeof(what.hash));
	for (size_t i = 0; i < ID_TIME; i++)
		what.at[i] = (uint8_t)(at >> 8 * i);
	return what;
}

uint64_t
dw_lmdb_id_at(const struct id_what *what)
{
	uint64_t at = 0;

	for (size_t i = 0; i < ID_TIME; i++)
		at |= (uint64_t)what->at[i] << 8 * i;
	return at;
}

static bool
is_remembered(const struct lmdb_engine *e, const struct id_value *value)
{
	const uint64_t at = dw_lmdb_id_at(&value->what) % ID_EXCEPT;

	return e->next_seq - value->seq <= e->config.id_window_count &&
		   (e->now <= at || e->now - at < e->config.id_window_ms);
}

/* The newest of this id, remembered or not. */
static int
find_newest(struct lmdb_engine *e, const uint8_t digest[ID_DIGEST], struct id_value *value)
{
	const struct lmdb_ids *ids = e->ids;
	const size_t current = (size_t)e->ids_state.current;
	int err;

	if (is_surely_new(ids, digest))
		return DW_E_AGAIN;
	for (uint64_t seq = *head_of(e->ids, digest); seq >= e->ids_state.older && seq != 0; seq = row_of(ids, seq)->next) {
		const struct id_row *row = &row_of(ids, seq)->id;

		if (memcmp(row->digest, digest, ID_DIGEST) != 0)
			continue;
		*value = (struct id_value) { .what = row->what, .seq = seq, .n = row->n };
		return DW_OK;
	}
	err = dw_kv_get_fixed(e->kv, IDS0 + current, dw_bytes(digest, ID_DIGEST), value, sizeof(*value));
	if (err == DW_E_AGAIN)
		err = dw_kv_get_fixed(e->kv, IDS0 + 1 - current, dw_bytes(digest, ID_DIGEST), value, sizeof(*value));
	return err;
}

int
dw_lmdb_id_find(struct lmdb_engine *e, const uint8_t digest[ID_DIGEST], struct id_value *value)
{
	int err = find_newest(e, digest, value);

	return err == DW_OK && !is_remembered(e, value) ? DW_E_AGAIN : err;
}

/* The rows up to this seq that are not in the log yet. */
static int
put_rows(struct lmdb_engine *e, uint64_t last)
{
	struct lmdb_ids *ids = e->ids;
	struct id_row rows[ID_ROWS_MAX];
	uint8_t key[8];
	size_t count = 0;

	dw_lmdb_seq_key(ids->logged + 1, key);
	while (ids->logged < last)
		rows[count++] = row_of(ids, ++ids->logged)->id;
	return count > 0 ? dw_kv_append(e->kv, IDLOG, dw_bytes(key, sizeof(key)),
						   &(struct dw_str) { (const char *)rows, count * sizeof(rows[0]) }, 1)
					 : DW_OK;
}

int
dw_lmdb_id_add(struct lmdb_engine *e, const uint8_t digest[ID_DIGEST], const struct id_value *value)
{
	struct lmdb_ids *ids = e->ids;
	int err = make_room(ids, value->seq);

	if (err != DW_OK)
		return err;
	*row_of(ids, value->seq) = (struct row) { .id = { .what = value->what, .n = value->n } };
	memcpy(row_of(ids, value->seq)->id.digest, digest, ID_DIGEST);
	link_row(ids, value->seq);
	dw_lmdb_ids_note(e, (size_t)e->ids_state.current, digest);
	e->ids_state.count++;
	return value->seq - ids->logged == ID_ROWS_MAX ? put_rows(e, value->seq) : DW_OK;
}

/* ---- steps */

/* Of one id the newest comes last, and stays. */
static int
compare_rows(const void *a, const void *b)
{
	const struct row *one = a, *two = b;
	const int order = memcmp(one->id.digest, two->id.digest, ID_DIGEST);

	return order != 0 ? order : (one->next > two->next) - (one->next < two->next);
}

/* Takes the rows of a part up to a seq out of memory; of those `next` is the own seq then. */
static int
take_part(struct lmdb_engine *e, size_t part, uint64_t last, struct dw_buf *out)
{
	struct lmdb_ids *ids = e->ids;

	for (size_t i = 0; i < BUCKETS_A_PART; i++) {
		uint64_t *link = &ids->heads[part * BUCKETS_A_PART + i], seq;

		while (*link > last)
			link = &row_of(ids, *link)->next;
		for (seq = *link, *link = 0; seq != 0 && seq >= e->ids_state.older; seq = row_of(ids, seq)->next) {
			struct row row = *row_of(ids, seq);

			row.next = seq;
			dw_buf_add(out, &row, sizeof(row));
		}
	}
	return dw_buf_ok(out) ? DW_OK : DW_E_NOMEM;
}

static int
take_step(struct lmdb_engine *e)
{
	const struct ids_state *state = &e->ids_state;
	struct dw_buf rows = { 0 };
	int err = take_part(e, (size_t)(state->steps % ID_PARTS), state->steps * ID_STEP, &rows);

	/* In order, so that neighbours fall into the same page while it is at hand. */
	if (err == DW_OK && rows.len > 0)
		qsort(rows.data, rows.len / sizeof(struct row), sizeof(struct row), compare_rows);
	for (size_t at = 0; err == DW_OK && at < rows.len; at += sizeof(struct row)) {
		struct id_value value;
		struct row row;

		memcpy(&row, rows.data + at, sizeof(row));
		value = (struct id_value) { .what = row.id.what, .seq = row.next, .n = row.id.n };
		err = dw_kv_put(e->kv, IDS0 + (size_t)(value.seq >= state->first ? state->current : 1 - state->current),
			dw_bytes(row.id.digest, ID_DIGEST), dw_bytes(&value, sizeof(value)));
	}
	dw_buf_clear(&rows);
	return err;
}

static int
trim_one(void *user, struct dw_str key, struct dw_str value)
{
	const uint64_t last = dw_lmdb_key_seq(key) + value.n / sizeof(struct id_row) - 1;

	return last <= *(const uint64_t *)user ? DW_KV_DELETE : DW_KV_STOP;
}

int
dw_lmdb_ids_end(struct lmdb_engine *e)
{
	const uint64_t last = e->next_seq - 1, before = e->ids_state.steps;
	uint64_t floor;
	int err = put_rows(e, last);

	while (err == DW_OK && (e->ids_state.steps + 1) * ID_STEP <= last) {
		e->ids_state.steps++;
		err = take_step(e);
	}
	floor = dw_lmdb_ids_floor(e->ids_state.steps);
	if (err == DW_OK && e->ids_state.steps != before && floor > 0)
		err = dw_kv_scan(e->kv, IDLOG, dw_bytes(NULL, 0), trim_one, &floor);
	if (err == DW_OK || err == DW_KV_STOP)
		err = dw_kv_put(e->kv, META, DW_STR("ids"), dw_bytes(&e->ids_state, sizeof(e->ids_state)));
	return err;
}

void
dw_lmdb_ids_committed(struct lmdb_engine *e)
{
	if (e->ids->turned) {
		memset(e->ids->filters[e->ids_state.current], 0, sizeof(e->ids->filters[0]));
		note_rows(e, e->ids_state.first, e->seq);
	}
	e->ids->steps = e->ids_state.steps;
	e->ids->floor = dw_lmdb_ids_floor(e->ids->steps);
}

void
dw_lmdb_ids_abort(struct lmdb_engine *e)
{
	link_all(e->ids, e->seq);
}
