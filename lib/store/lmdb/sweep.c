/* The LMDB engine's sweep: clears away dead messages, a few with each commit that appends.
 *
 * What is dead is the log's to say (log.c); when to look is decided here. The head of a dead message moves to the table
 * of places, without its record; a place that is forgotten is deleted. Where the last sweep stopped is kept in meta.
 * Failure modes: what cannot be taken apart is DW_E_CORRUPT and ends the batch.
 */
#include <string.h>

#include "store/lmdb/parts.h"

enum { NAMES_MAX = DW_ROOM_MAX + DW_USER_MAX, PLACES_SHARE = 2 };

/* A sweep is worth it when about half of what it meets is dead: it begins when the table is twice as long as what the
 * last one left, or after SWEEP_EVERY_MS, for age makes no table longer. */
enum { SWEEP_FROM = 1024 };
static const uint64_t SWEEP_EVERY_MS = 3600 * 1000;

/* In meta. */
struct sweep_state {
	uint64_t position;      /* where it goes on; 0: none is under way */
	uint64_t left;          /* entries that it has left so far */
	uint64_t from, from_at; /* the next begins at so many entries, or at that time */
};

struct sweep {
	struct lmdb_engine *engine;
	bool places;
	size_t budget;
	struct sweep_state state;
};

/* Keeps the head of a message that is about to be deleted. */
static int
keep_place(struct lmdb_engine *e, struct dw_str key, const struct lmdb_message *message)
{
	char bytes[sizeof(message->head) + NAMES_MAX];
	const size_t names = message->room.n + message->user.n;
	uint64_t seq;
	int err;

	/* Both lie in the store and may move when it changes. */
	memcpy(&seq, key.p, sizeof(seq));
	memcpy(bytes, &message->head, sizeof(message->head));
	memcpy(bytes + sizeof(message->head), message->room.p, names);
	err = dw_kv_put(e->kv, PLACES, dw_bytes(&seq, sizeof(seq)), dw_bytes(bytes, sizeof(message->head) + names));
	e->deleted++;
	return err == DW_OK ? DW_KV_DELETE : err;
}

static int
sweep_one(void *user, struct dw_str key, struct dw_str value)
{
	struct sweep *sweep = user;
	struct lmdb_engine *e = sweep->engine;
	struct lmdb_message message;
	struct room_value *room;
	struct lmdb_ends ends;
	int err;

	sweep->state.position = dw_lmdb_key_seq(key);
	if (sweep->budget-- == 0)
		return DW_KV_STOP;
	err = key.n == 8 ? dw_lmdb_take_message(value, sweep->places, &message) : DW_E_CORRUPT;
	if (err == DW_OK)
		err = dw_lmdb_get_room(e, message.room, false, &room);
	if (err == DW_OK && room->head == 0)
		err = DW_E_CORRUPT;
	if (err == DW_OK)
		err = dw_lmdb_get_ends(e, room, &message, &ends);
	if (err != DW_OK)
		return err;
	if (dw_lmdb_is_forgotten(e, ends, &message)) {
		e->deleted++;
		return DW_KV_DELETE;
	}
	if (!sweep->places && dw_lmdb_is_dead(e, ends, &message))
		return keep_place(e, key, &message);
	sweep->state.left++;
	return DW_OK;
}

static int
sweep_table(struct lmdb_engine *e, enum lmdb_table table, const char *name, size_t budget, bool must)
{
	struct sweep sweep = { e, table == PLACES, budget, { 0 } };
	struct sweep_state *state = &sweep.state;
	uint64_t key;
	int err = dw_kv_get_fixed(e->kv, META, dw_str(name), state, sizeof(*state));

	if (err != DW_OK)
		return err;
	if (state->position == 0) {
		if (!must && dw_kv_count(e->kv, table) < state->from && e->now < state->from_at)
			return DW_OK;
		state->left = 0;
	}
	err = dw_kv_scan(e->kv, table, dw_lmdb_seq_key(&key, state->position), DW_STR(""), sweep_one, &sweep);
	if (err == DW_OK)
		*state = (struct sweep_state) { .from = 2 * state->left + SWEEP_FROM, .from_at = e->now + SWEEP_EVERY_MS };
	else if (err != DW_KV_STOP)
		return err;
	return dw_kv_put(e->kv, META, dw_str(name), dw_bytes(state, sizeof(*state)));
}

int
dw_lmdb_sweep(struct lmdb_engine *e, size_t budget, bool must)
{
	int err = sweep_table(e, MESSAGES, "sweep", budget, must);

	return err == DW_OK ? sweep_table(e, PLACES, "places", budget / PLACES_SHARE, must) : err;
}
