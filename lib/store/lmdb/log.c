/* The LMDB engine's log: messages, what remains of them, and the chains through them.
 *
 * A room has a chain of the messages to everyone, and for each user one of the direct messages to that user. The value
 * of the room, or of the user, knows the newest; each message knows the one before it and its number in the chain
 * (`count`). So an append touches one entry of each table, whether a message is dead follows from numbers, and a
 * chain is read from its newest backwards. Of users only those of one room are ever scanned.
 *
 * Dead is what queue_limit newer ones in its chain pushed out (or DW_HISTORY_TIMES as many direct ones to whomever in
 * the room), or what is too old. Of a dead message the sweep (sweep.c) leaves its place, and not even that when
 * DW_HISTORY_TIMES * queue_limit newer ones are in its chain. Until then the tables of messages and of places together
 * hold the chain without a hole. The newest of a chain stays for ever, be it as its place.
 *
 * Failure modes: what cannot be taken apart is DW_E_CORRUPT and ends the batch.
 */
#include <stdlib.h>
#include <string.h>

#include "store/lmdb/parts.h"
#include "wire/wire.h"

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
	message->room = dw_bytes(names, message->head.room_size);
	message->user = dw_bytes(names + message->room.n, message->head.user_size);
	message->record = dw_bytes(message->user.p + message->user.n, left - message->room.n - message->user.n);
	message->place = place;
	return DW_OK;
}

/* The message, or else its place. DW_E_AGAIN: it is forgotten. */
static int
get(struct lmdb_engine *e, uint64_t seq, struct lmdb_message *message)
{
	uint64_t bytes;
	const struct dw_str key = dw_lmdb_seq_key(&bytes, seq);
	struct dw_str value;
	int err = dw_kv_get(e->kv, MESSAGES, key, &value);

	if (err == DW_OK)
		return dw_lmdb_take_message(value, false, message);
	if (err == DW_E_AGAIN)
		err = dw_kv_get(e->kv, PLACES, key, &value);
	return err == DW_OK ? dw_lmdb_take_message(value, true, message) : err;
}

/* All 0: there never was a direct message to that user. */
static int
get_user(struct lmdb_engine *e, struct dw_str room, struct dw_str user, struct user_value *value)
{
	char key[LMDB_KEY_MAX];

	return dw_kv_get_fixed(e->kv, USERS, dw_lmdb_join_key(key, room, user, NULL), value, sizeof(*value));
}

static bool
is_expired(const struct lmdb_engine *e, uint64_t at)
{
	return e->now > at && e->now - at > e->config.queue_ttl_ms;
}

static uint64_t
history_limit(const struct lmdb_engine *e)
{
	return (uint64_t)DW_HISTORY_TIMES * e->config.queue_limit;
}

int
dw_lmdb_get_ends(
	struct lmdb_engine *e, const struct room_value *room, const struct lmdb_message *message, struct lmdb_ends *ends)
{
	struct user_value user = { .own = room->n };
	int err = message->user.n > 0 ? get_user(e, message->room, message->user, &user) : DW_OK;

	*ends = (struct lmdb_ends) { user.own, room->directs };
	return err;
}

bool
dw_lmdb_is_forgotten(const struct lmdb_engine *e, struct lmdb_ends ends, const struct lmdb_message *message)
{
	return ends.count - message->head.count >= history_limit(e);
}

/* Of a direct one: too many newer ones are in the room, to whomever. */
static bool
is_crowded_out(const struct lmdb_engine *e, struct lmdb_ends ends, const struct lmdb_message *message)
{
	return message->user.n > 0 && ends.directs - message->head.total >= history_limit(e);
}

bool
dw_lmdb_is_dead(const struct lmdb_engine *e, struct lmdb_ends ends, const struct lmdb_message *message)
{
	return message->place || ends.count - message->head.count >= e->config.queue_limit ||
		   is_crowded_out(e, ends, message) || is_expired(e, message->head.at);
}

/* ---- append */

static int
put_message(struct lmdb_engine *e, const struct dw_op *op, const struct message_head *head)
{
	const struct dw_str parts[] = { dw_bytes(head, sizeof(*head)), dw_str(op->room), dw_str(op->append.to),
		{ op->append.record.data, op->append.record.len } };
	uint64_t key;

	return dw_kv_append(
		e->kv, MESSAGES, dw_lmdb_seq_key(&key, op->append.seq), parts, sizeof(parts) / sizeof(parts[0]));
}

/* Takes the next place in its chain. */
static int
take_place(struct lmdb_engine *e, struct dw_op *op, struct room_value *room, struct message_head *head)
{
	const uint64_t seq = op->append.seq, at = op->append.at;
	const struct dw_str name = dw_str(op->room), user = dw_str(op->append.to);
	struct user_value value;
	char key[LMDB_KEY_MAX];
	int err;

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
	err = get_user(e, name, user, &value);
	if (err != DW_OK)
		return err;
	head->prev = value.last;
	head->count = op->append.own = ++value.own;
	head->total = ++room->directs;
	head->n = room->n;
	value.last = room->direct = seq;
	room->direct_at = at;
	return dw_kv_put(e->kv, USERS, dw_lmdb_join_key(key, name, user, NULL), dw_bytes(&value, sizeof(value)));
}

int
dw_lmdb_append(struct lmdb_engine *e, struct dw_op *op)
{
	struct room_value *room;
	struct message_head head;
	int err = dw_lmdb_get_room(e, dw_str(op->room), true, &room);

	if (err != DW_OK)
		return err;
	op->append.seq = e->next_seq++;
	err = take_place(e, op, room, &head);
	if (err != DW_OK)
		return err;
	op->append.room_n = room->n;
	op->append.n = head.user_size == 0 ? room->n : 0;
	dw_record_pack(
		&op->append.record, &(struct dw_record) { op->append.seq, room->n, op->append.at, dw_str(op->append.type),
								dw_str(op->append.id), { op->append.data, op->append.size }, dw_str(op->append.to),
								op->append.except, op->append.expires_at, op->append.own });
	if (!dw_buf_ok(&op->append.record))
		return DW_E_NOMEM;
	return put_message(e, op, &head);
}

/* ---- reads */

bool
dw_lmdb_summary(
	const struct lmdb_engine *e, struct dw_room_summary *summary, struct dw_str room, const struct room_value *value)
{
	const uint64_t most = history_limit(e);
	const bool numbered = value->n > 0 && !is_expired(e, value->last_at);
	const bool direct = value->directs > 0 && !is_expired(e, value->direct_at);

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
	struct lmdb_ends ends;
	bool ended; /* what is retained of the chain */
	struct dw_buf found;
};

/* A message that is to be read. */
struct found {
	uint64_t seq;
	bool dead;
};

static int
note_found(struct reading *reading, uint64_t seq, bool dead)
{
	const struct found found = { seq, dead };

	return dw_lmdb_add_row(&reading->found, &found, sizeof(found));
}

static int
read_one(void *user, uint64_t seq, const struct lmdb_message *message)
{
	struct reading *reading = user;

	if (dw_lmdb_is_dead(reading->engine, reading->ends, message))
		return DW_KV_STOP;
	reading->op->read.summary.oldest_n = message->head.n;
	return note_found(reading, seq, false);
}

/* Behind what is retained tombstones follow, as far as the room's newest direct ones go. */
static int
read_direct(void *user, uint64_t seq, const struct lmdb_message *message)
{
	struct reading *reading = user;

	if (dw_lmdb_is_forgotten(reading->engine, reading->ends, message) ||
		is_crowded_out(reading->engine, reading->ends, message))
		return DW_KV_STOP;
	reading->ended = reading->ended || dw_lmdb_is_dead(reading->engine, reading->ends, message);
	reading->op->read.summary.directs += !reading->ended;
	return note_found(reading, seq, reading->ended);
}

static int
add_found(struct lmdb_engine *e, struct found found, struct dw_buf *out)
{
	struct lmdb_message message;
	int err = get(e, found.seq, &message);

	if (err != DW_OK)
		return err;
	if (found.dead)
		dw_record_pack(out, &(struct dw_record) { .seq = found.seq,
								.n = message.head.n,
								.at = message.head.at,
								.to = message.user,
								.own = message.head.count });
	else
		dw_buf_add(out, message.record.p, message.record.n);
	return dw_buf_ok(out) ? DW_OK : DW_E_NOMEM;
}

static int
compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->seq > y->seq ? 1 : -1;
}

/* The oldest first. */
static int
add_records(struct reading *reading, struct dw_buf *out)
{
	const size_t count = reading->found.len / sizeof(struct found);
	struct found *found = (struct found *)(void *)reading->found.data;
	int err = DW_OK;

	if (count > 0)
		qsort(found, count, sizeof(*found), compare_found);
	for (size_t i = 0; i < count && err == DW_OK; i++)
		err = add_found(reading->engine, found[i], out);
	dw_buf_reset(&reading->found);
	return err;
}

/* The chain of one user. */
static int
read_user(void *user, struct dw_str key, struct dw_str value)
{
	struct reading *reading = user;
	struct dw_op *op = reading->op;
	const size_t room = strlen(op->room) + 1;
	struct dw_user_row row = { 0 };
	struct user_value last;
	int err;

	if (value.n != sizeof(last) || !dw_str_copy(dw_bytes(key.p + room, key.n - room), row.user, sizeof(row.user)))
		return DW_E_CORRUPT;
	memcpy(&last, value.p, sizeof(last));
	row.own = last.own;
	reading->ends.count = last.own;
	reading->ended = false;
	err = dw_lmdb_add_row(&op->read.users, &row, sizeof(row));
	return err == DW_OK ? walk(reading->engine, last.last, read_direct, reading) : err;
}

int
dw_lmdb_load(struct lmdb_engine *e, struct dw_op *op)
{
	struct reading reading = { .engine = e, .op = op };
	struct room_value *room;
	char key[LMDB_KEY_MAX];
	const struct dw_str prefix = dw_lmdb_join_key(key, dw_str(op->room), DW_STR(""), NULL);
	int err = dw_lmdb_get_room(e, dw_str(op->room), false, &room);

	if (err != DW_OK)
		return err;
	(void)dw_lmdb_summary(e, &op->read.summary, dw_str(op->room), room);
	op->read.summary.oldest_n = room->n + 1;
	op->read.summary.directs = 0;
	reading.ends = (struct lmdb_ends) { room->n, room->directs };
	err = walk(e, room->last, read_one, &reading);
	if (err == DW_OK)
		err = add_records(&reading, &op->read.records);
	if (err == DW_OK)
		err = dw_kv_scan(e->kv, USERS, prefix, prefix, read_user, &reading);
	if (err == DW_OK)
		err = add_records(&reading, &op->read.directs);
	dw_buf_clear(&reading.found);
	return err;
}

struct search {
	struct lmdb_engine *engine;
	struct lmdb_ends ends;
	uint64_t seq, count; /* wanted, and found there */
};

static int
search_one(void *user, uint64_t seq, const struct lmdb_message *message)
{
	struct search *search = user;

	if (dw_lmdb_is_forgotten(search->engine, search->ends, message))
		return DW_KV_STOP;
	if (seq > search->seq)
		return DW_OK;
	search->count = message->head.count;
	return DW_KV_STOP;
}

/* The number at a seq in the chain that ends with `last`, which is `end`. */
static int
search_chain(struct lmdb_engine *e, uint64_t last, uint64_t end, uint64_t seq, uint64_t *count)
{
	struct search search = { .engine = e, .ends = { .count = end }, .seq = seq };
	int err = seq > 0 ? walk(e, last, search_one, &search) : DW_OK;

	*count = search.count;
	return err;
}

int
dw_lmdb_place(struct lmdb_engine *e, struct dw_op *op)
{
	struct user_value user;
	struct room_value *room;
	int err = dw_lmdb_get_room(e, dw_str(op->room), false, &room);

	if (err == DW_OK)
		err = get_user(e, dw_str(op->room), dw_str(op->place.user), &user);
	if (err == DW_OK)
		err = search_chain(e, room->last, room->n, op->place.seq, &op->place.n);
	if (err == DW_OK)
		err = search_chain(e, user.last, user.own, op->place.seq, &op->place.own);
	return err == DW_OK ? search_chain(e, user.last, user.own, op->place.until, &op->place.until_own) : err;
}
