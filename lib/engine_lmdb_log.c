/* The LMDB engine's log: messages, what remains of them, and the chains through them.
 *
 * A room has two chains, of the messages to everyone and of the direct ones. Its value knows the newest of each, each
 * message knows the one before it and its number in the chain (`count`), a direct one also its number among
 * those to its user, of which the table of users knows the last. So an append touches one entry of each
 * table, whether a message is dead follows from numbers, and a chain is read from its newest backwards. Nothing
 * needs to be scanned.
 *
 * Dead is what newer ones pushed out (queue_limit to everyone or to that user; of all users DW_HISTORY_TIMES as many)
 * or what is too old. The sweep moves the head of a dead message to the table of places, without its record, and
 * deletes the place when DW_HISTORY_TIMES * queue_limit newer ones are in its chain. Until then both tables together
 * hold the chain without a hole.
 *
 * Failure modes: what cannot be taken apart is DW_E_CORRUPT and ends the batch.
 */
#include <stdlib.h>
#include <string.h>

#include "diagws/wire.h"
#include "engine_lmdb_parts.h"

enum { NAMES_MAX = DW_ROOM_MAX + DW_USER_MAX, PLACES_SHARE = 2 };

static struct dw_str
val(const void *bytes, size_t n)
{
	return (struct dw_str) { bytes, n };
}

void
dw_lmdb_seq_key(uint64_t seq, uint8_t key[8])
{
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(seq >> (56 - 8 * i));
}

uint64_t
dw_lmdb_key_seq(struct dw_str key)
{
	uint64_t seq = 0;

	for (size_t i = 0; i < 8 && i < key.n; i++)
		seq = seq << 8 | ((const uint8_t *)key.p)[i];
	return seq;
}

int
dw_lmdb_take_message(struct dw_str value, bool place, struct lmdb_message *message)
{
	const char *names = value.p + sizeof(message->head);
	size_t left;

	if (value.n < sizeof(message->head))
		return DW_E_CORRUPT;
	left = value.n - sizeof(message->head);
	memcpy(&message->head, value.p, sizeof(message->head));
	if (message->head.room_size > DW_ROOM_MAX || message->head.user_size > DW_USER_MAX ||
		message->head.room_size + message->head.user_size > left)
		return DW_E_CORRUPT;
	message->room = val(names, message->head.room_size);
	message->user = val(names + message->room.n, message->head.user_size);
	message->record = val(message->user.p + message->user.n, left - message->room.n - message->user.n);
	message->place = place;
	return DW_OK;
}

/* The message, or else its place. DW_E_AGAIN: it is forgotten. */
static int
get(struct lmdb_engine *e, uint64_t seq, struct lmdb_message *message)
{
	uint8_t key[8];
	struct dw_str value;
	int err;

	dw_lmdb_seq_key(seq, key);
	err = dw_kv_get(e->kv, MESSAGES, val(key, sizeof(key)), &value);
	if (err == DW_OK)
		return dw_lmdb_take_message(value, false, message);
	if (err == DW_E_AGAIN)
		err = dw_kv_get(e->kv, PLACES, val(key, sizeof(key)), &value);
	return err == DW_OK ? dw_lmdb_take_message(value, true, message) : err;
}

static struct dw_str
user_key(char out[LMDB_KEY_MAX], struct dw_str room, struct dw_str user)
{
	memcpy(out, room.p, room.n);
	out[room.n] = '\0';
	memcpy(out + room.n + 1, user.p, user.n);
	return val(out, room.n + 1 + user.n);
}

/* How many direct messages the user ever got in the room; 0: all were forgotten. */
static int
get_user_count(struct lmdb_engine *e, struct dw_str room, struct dw_str user, uint64_t *count)
{
	char key[LMDB_KEY_MAX];
	int err = dw_kv_get_fixed(e->kv, USERS, user_key(key, room, user), count, sizeof(*count));

	if (err == DW_E_AGAIN)
		*count = 0;
	return err == DW_E_AGAIN ? DW_OK : err;
}

bool
dw_lmdb_expired(const struct lmdb_engine *e, uint64_t at)
{
	return e->now > at && e->now - at > e->config.queue_ttl_ms;
}

/* Too many newer ones are in its chain for even its place to be kept. */
static bool
is_history(const struct lmdb_engine *e, const struct room_value *room, const struct lmdb_message *message)
{
	const uint64_t newest = message->user.n > 0 ? room->directs : room->n;

	return newest - message->head.count >= (uint64_t)DW_HISTORY_TIMES * e->config.queue_limit;
}

static int
is_dead(struct lmdb_engine *e, const struct room_value *room, const struct lmdb_message *message, bool *dead)
{
	uint64_t newest = room->n, count = message->head.count;
	int err = DW_OK;

	*dead = message->place || is_history(e, room, message) || dw_lmdb_expired(e, message->head.at);
	if (*dead)
		return DW_OK;
	if (message->user.n > 0) {
		err = get_user_count(e, message->room, message->user, &newest);
		count = message->head.user_count;
	}
	/* Where the count was forgotten this wraps around: dead. */
	*dead = newest - count >= e->config.queue_limit;
	return err;
}

/* ---- append */

static int
put_message(struct lmdb_engine *e, const struct dw_op *op, const struct message_head *head)
{
	const struct dw_str parts[] = { val(head, sizeof(*head)), dw_str(op->room), dw_str(op->append.to),
		{ op->append.record.data, op->append.record.len } };
	uint8_t key[8];

	dw_lmdb_seq_key(op->append.seq, key);
	return dw_kv_append(e->kv, MESSAGES, val(key, sizeof(key)), parts, sizeof(parts) / sizeof(parts[0]));
}

/* Takes the next place in its chain. */
static int
take_place(struct lmdb_engine *e, struct dw_op *op, struct room_value *room, struct message_head *head)
{
	const uint64_t seq = op->append.seq, at = op->append.at;
	const struct dw_str name = dw_str(op->room), user = dw_str(op->append.to);
	char key[LMDB_KEY_MAX];
	int err = DW_OK;

	*head = (struct message_head) { .at = at, .room_size = (uint32_t)name.n, .user_size = (uint32_t)user.n };
	room->head = seq;
	room->head_at = at;
	if (user.n == 0) {
		head->prev = room->last;
		head->count = head->n = ++room->n;
		room->last = seq;
		room->last_at = at;
		return DW_OK;
	}
	head->prev = room->direct;
	head->count = ++room->directs;
	head->n = room->n;
	room->direct = seq;
	room->direct_at = at;
	err = get_user_count(e, name, user, &head->user_count);
	if (err != DW_OK)
		return err;
	/* Where it begins anew it stays above what was forgotten: numbers must not come back. */
	head->user_count = head->user_count > 0 ? head->user_count + 1 : room->directs;
	return dw_kv_put(e->kv, USERS, user_key(key, name, user), val(&head->user_count, sizeof(head->user_count)));
}

int
dw_lmdb_append(struct lmdb_engine *e, struct dw_op *op)
{
	const struct dw_str name = dw_str(op->room);
	struct room_value room = { 0 };
	struct message_head head;
	int err = dw_lmdb_get_room(e, name, &room);

	if (err != DW_OK && err != DW_E_AGAIN)
		return err;
	op->append.seq = e->next_seq++;
	err = take_place(e, op, &room, &head);
	if (err != DW_OK)
		return err;
	op->append.room_n = room.n;
	op->append.n = head.user_size == 0 ? room.n : 0;
	dw_record_pack(&op->append.record,
		&(struct dw_record) { op->append.seq, room.n, op->append.at, dw_str(op->append.type), dw_str(op->append.id),
			{ op->append.data, op->append.size }, dw_str(op->append.to), op->append.except, op->append.expires_at });
	if (!dw_buf_ok(&op->append.record))
		return DW_E_NOMEM;
	err = put_message(e, op, &head);
	return err == DW_OK ? dw_lmdb_put_room(e, name, &room) : err;
}

/* ---- reads */

bool
dw_lmdb_summary(
	const struct lmdb_engine *e, struct dw_room_summary *summary, struct dw_str room, const struct room_value *value)
{
	const uint64_t most = (uint64_t)DW_HISTORY_TIMES * e->config.queue_limit;
	const bool numbered = value->n > 0 && !dw_lmdb_expired(e, value->last_at);
	const bool direct = value->directs > 0 && !dw_lmdb_expired(e, value->direct_at);

	*summary = (struct dw_room_summary) {
		.n = value->n, .head = value->head, .head_at = value->head_at, .oldest_n = value->n + 1
	};
	if (numbered)
		summary->oldest_n = value->n > e->config.queue_limit ? value->n - e->config.queue_limit + 1 : 1;
	if (direct)
		summary->directs = value->directs < most ? value->directs : most;
	(void)dw_str_copy(room, summary->room, sizeof(summary->room));
	return numbered || direct;
}

/* Walks a chain backwards from seq; `each` returns DW_KV_STOP to end it. */
static int
walk(struct lmdb_engine *e, uint64_t seq, int (*each)(void *user, uint64_t seq, const struct lmdb_message *message),
	void *user)
{
	while (seq != 0) {
		struct lmdb_message message;
		int err = get(e, seq, &message);

		if (err == DW_OK)
			err = each(user, seq, &message);
		if (err != DW_OK)
			return err == DW_KV_STOP || err == DW_E_AGAIN ? DW_OK : err;
		seq = message.head.prev;
	}
	return DW_OK;
}

struct reading {
	struct lmdb_engine *engine;
	struct dw_op *op;
	struct room_value room;
	uint64_t after;
	struct dw_buf seqs; /* newest first */
};

static int
read_one(void *user, uint64_t seq, const struct lmdb_message *message)
{
	struct reading *reading = user;
	bool dead;
	int err = is_dead(reading->engine, &reading->room, message, &dead);

	if (err != DW_OK || dead)
		return err != DW_OK ? err : DW_KV_STOP;
	reading->op->read.summary.oldest = seq;
	reading->op->read.summary.oldest_n = message->head.n;
	if (seq > reading->after)
		dw_buf_add(&reading->seqs, &seq, sizeof(seq));
	return dw_buf_ok(&reading->seqs) ? DW_OK : DW_E_NOMEM;
}

static int
read_direct(void *user, uint64_t seq, const struct lmdb_message *message)
{
	struct reading *reading = user;

	if (is_history(reading->engine, &reading->room, message))
		return DW_KV_STOP;
	dw_buf_add(&reading->seqs, &seq, sizeof(seq));
	return dw_buf_ok(&reading->seqs) ? DW_OK : DW_E_NOMEM;
}

static uint64_t
seq_at(const struct dw_buf *seqs, size_t i)
{
	uint64_t seq;

	memcpy(&seq, seqs->data + i * sizeof(seq), sizeof(seq));
	return seq;
}

static int
add_records(struct reading *reading, size_t limit)
{
	const size_t count = reading->seqs.len / sizeof(uint64_t);
	struct dw_buf *out = &reading->op->read.records;

	reading->op->read.more = count > limit;
	for (size_t i = count; i > 0 && count - i < limit; i--) {
		struct lmdb_message message;
		int err = get(reading->engine, seq_at(&reading->seqs, i - 1), &message);

		if (err != DW_OK)
			return err;
		dw_buf_add(out, message.record.p, message.record.n);
	}
	return dw_buf_ok(out) ? DW_OK : DW_E_NOMEM;
}

static int
add_directs(struct reading *reading)
{
	struct dw_buf *out = &reading->op->read.directs;

	reading->op->read.summary.directs = 0;
	for (size_t i = reading->seqs.len / sizeof(uint64_t); i > 0; i--) {
		const uint64_t seq = seq_at(&reading->seqs, i - 1);
		struct lmdb_message message;
		bool dead = false;
		int err = get(reading->engine, seq, &message);

		if (err == DW_OK)
			err = is_dead(reading->engine, &reading->room, &message, &dead);
		if (err != DW_OK)
			return err;
		if (dead)
			dw_record_pack(out,
				&(struct dw_record) { .seq = seq, .n = message.head.n, .at = message.head.at, .to = message.user });
		else
			dw_buf_add(out, message.record.p, message.record.n);
		reading->op->read.summary.directs += !dead;
	}
	return dw_buf_ok(out) ? DW_OK : DW_E_NOMEM;
}

int
dw_lmdb_read(struct lmdb_engine *e, struct dw_op *op)
{
	const bool load = op->kind == DW_OP_LOAD;
	struct reading reading = { .engine = e, .op = op, .after = load ? 0 : op->read.after };
	int err = dw_lmdb_get_room(e, dw_str(op->room), &reading.room);

	(void)dw_lmdb_summary(e, &op->read.summary, dw_str(op->room), &reading.room);
	op->read.summary.oldest_n = reading.room.n + 1;
	if (err == DW_E_AGAIN)
		return DW_OK;
	if (err == DW_OK)
		err = walk(e, reading.room.last, read_one, &reading);
	if (err == DW_OK)
		err = add_records(&reading, load ? SIZE_MAX : op->read.limit);
	dw_buf_reset(&reading.seqs);
	if (err == DW_OK && load)
		err = walk(e, reading.room.direct, read_direct, &reading);
	if (err == DW_OK && load)
		err = add_directs(&reading);
	dw_buf_clear(&reading.seqs);
	return err;
}

struct search {
	struct lmdb_engine *engine;
	struct dw_op *op;
	struct room_value room;
	uint64_t oldest_n; /* of the oldest message met */
};

static int
search_one(void *user, uint64_t seq, const struct lmdb_message *message)
{
	struct search *search = user;

	if (is_history(search->engine, &search->room, message))
		return DW_KV_STOP;
	search->oldest_n = message->head.n;
	if (seq > search->op->place.seq)
		return DW_OK;
	search->op->place.n = message->head.n;
	search->op->place.exact = true;
	return DW_KV_STOP;
}

int
dw_lmdb_place(struct lmdb_engine *e, struct dw_op *op)
{
	struct search search = { .engine = e, .op = op };
	int err = dw_lmdb_get_room(e, dw_str(op->room), &search.room);

	if (err != DW_OK && err != DW_E_AGAIN)
		return err;
	search.oldest_n = search.room.n + 1;
	if (op->place.seq > 0)
		err = walk(e, search.room.last, search_one, &search);
	/* Nothing precedes a room's first message, nor the first seq. */
	if (err == DW_OK || err == DW_E_AGAIN)
		op->place.exact = op->place.exact || op->place.seq == 0 || search.oldest_n == 1;
	return err == DW_E_AGAIN ? DW_OK : err;
}

/* ---- sweep */

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

/* It and its place are to be forgotten; with a user's last one goes the count. */
static int
forget(struct lmdb_engine *e, const struct lmdb_message *message)
{
	char key[LMDB_KEY_MAX];
	uint64_t count;
	int err;

	e->deleted++;
	if (message->user.n == 0)
		return DW_KV_DELETE;
	err = get_user_count(e, message->room, message->user, &count);
	if (err == DW_OK && count == message->head.user_count)
		err = dw_kv_delete(e->kv, USERS, user_key(key, message->room, message->user));
	return err == DW_OK ? DW_KV_DELETE : err;
}

/* Keeps the head of a message that is about to be deleted. */
static int
keep_place(struct lmdb_engine *e, struct dw_str key, const struct lmdb_message *message)
{
	char bytes[sizeof(message->head) + NAMES_MAX];
	char seq[8];
	const size_t names = message->room.n + message->user.n;
	int err;

	/* Both lie in the store and may move when it changes. */
	memcpy(seq, key.p, sizeof(seq));
	memcpy(bytes, &message->head, sizeof(message->head));
	memcpy(bytes + sizeof(message->head), message->room.p, names);
	err = dw_kv_put(e->kv, PLACES, val(seq, sizeof(seq)), val(bytes, sizeof(message->head) + names));
	e->deleted++;
	return err == DW_OK ? DW_KV_DELETE : err;
}

static int
sweep_one(void *user, struct dw_str key, struct dw_str value)
{
	struct sweep *sweep = user;
	struct lmdb_engine *e = sweep->engine;
	struct lmdb_message message;
	struct room_value room;
	bool dead;
	int err;

	sweep->state.position = dw_lmdb_key_seq(key);
	if (sweep->budget-- == 0)
		return DW_KV_STOP;
	err = key.n == 8 ? dw_lmdb_take_message(value, sweep->places, &message) : DW_E_CORRUPT;
	if (err == DW_OK)
		err = dw_lmdb_get_room(e, message.room, &room);
	if (err != DW_OK)
		return err == DW_E_AGAIN ? DW_E_CORRUPT : err;
	if (is_history(e, &room, &message))
		return forget(e, &message);
	if (!sweep->places) {
		err = is_dead(e, &room, &message, &dead);
		if (err != DW_OK || dead)
			return err != DW_OK ? err : keep_place(e, key, &message);
	}
	sweep->state.left++;
	return DW_OK;
}

static int
sweep_table(struct lmdb_engine *e, enum lmdb_table table, const char *name, size_t budget, bool must)
{
	struct sweep sweep = { e, table == PLACES, budget, { 0 } };
	struct sweep_state *state = &sweep.state;
	uint8_t key[8];
	int err = dw_kv_get_fixed(e->kv, META, dw_str(name), state, sizeof(*state));

	if (err != DW_OK && err != DW_E_AGAIN)
		return err;
	if (state->position == 0) {
		if (!must && dw_kv_count(e->kv, table) < state->from && e->now < state->from_at)
			return DW_OK;
		state->left = 0;
	}
	dw_lmdb_seq_key(state->position, key);
	err = dw_kv_scan(e->kv, table, val(key, sizeof(key)), sweep_one, &sweep);
	if (err == DW_OK)
		*state = (struct sweep_state) { .from = 2 * state->left + SWEEP_FROM, .from_at = e->now + SWEEP_EVERY_MS };
	else if (err != DW_KV_STOP)
		return err;
	return dw_kv_put(e->kv, META, dw_str(name), val(state, sizeof(*state)));
}

int
dw_lmdb_sweep(struct lmdb_engine *e, size_t budget, bool must)
{
	int err = sweep_table(e, MESSAGES, "sweep", budget, must);

	return err == DW_OK ? sweep_table(e, PLACES, "places", budget / PLACES_SHARE, must) : err;
}
