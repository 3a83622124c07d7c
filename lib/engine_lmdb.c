/* The embedded engine: LMDB in one directory, format version 1.
 *
 *   meta      "version" "epoch" "seq" "sweep" "ids"       what the store is and where it stands
 *   messages  seq (8 bytes, big endian) → {prev seq, n, at, room size} room record
 *   rooms     room → {head seq, n, head_at}
 *   ids0, ids1  16-byte digest of room and id → {content hash, seq, n}
 *   cursors   room NUL user NUL device → {seq, n, seen, expires, derived}
 *   owners    room NUL user → {state}
 *
 * Messages are appended at one end whatever their room, and each knows the one before it in its room:
 * a commit dirties few pages, and a room is read from its newest message backwards. A message dies when
 * queue_limit newer ones are in its room, or by age; both only ever kill a room's oldest, so a chain has no
 * hole. The dead are deleted later, by a sweep that looks at a few old messages with every commit.
 * Ids live in two generations: when the newer is as old or as full as the window, the older is emptied.
 *
 * Failure modes: a full map is grown and the batch done again, up to store_limit; then, or on ENOSPC,
 * DW_E_STORAGE_FULL with nothing done. An I/O error is DW_E_STORAGE: the caller must not go on.
 */
#include "diagws/engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "diagws/clock.h"
#include "diagws/paths.h"
#include "diagws/wire.h"

enum {
	FORMAT_VERSION = 1,
	DATABASES = 16,
	READERS = 16,
	SWEEP_PER_APPEND = 4,
	SWEEP_LEAST = 16,
	SWEEP_WHEN_FULL = 4096,
	KEY_MAX = DW_ROOM_MAX + DW_USER_MAX + DW_DEVICE_MAX + 3,
};

static const size_t FIRST_MAP = (size_t)64 << 20;

struct message_head {
	uint64_t prev, n, at;
	uint64_t room_size;
};

struct room_value {
	uint64_t head, n, head_at;
};

struct id_value {
	uint8_t hash[DW_HASH_SIZE];
	uint64_t seq, n;
};

struct cursor_value {
	uint64_t seq, n, seen, expires;
	uint64_t derived;
};

/* Which generation of ids is written to, since when, and how many it holds. */
struct ids_state {
	uint64_t current, begun, count;
};

struct lmdb_engine {
	struct dw_engine base;
	struct dw_engine_config config;
	int lock;
	MDB_env *env;
	MDB_dbi meta, messages, rooms, ids[2], cursors, owners;
	char epoch[DW_EPOCH_SIZE];
	uint64_t seq;
	/* Of the batch under way: */
	MDB_txn *txn;
	uint64_t next_seq, now;
	struct ids_state ids_state;
	size_t deleted; /* messages by the sweep, and generations of ids */
};

static MDB_val
val(const void *bytes, size_t n)
{
	return (MDB_val) { n, (void *)(uintptr_t)bytes };
}

static void
seq_key(uint64_t seq, uint8_t key[8])
{
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(seq >> (56 - 8 * i));
}

static uint64_t
key_seq(const MDB_val *key)
{
	uint64_t seq = 0;

	for (size_t i = 0; i < 8 && i < key->mv_size; i++)
		seq = seq << 8 | ((const uint8_t *)key->mv_data)[i];
	return seq;
}

/* room NUL user NUL device, as far as given. */
static size_t
join_key(char out[KEY_MAX], const char *room, const char *user, const char *device)
{
	size_t n = strlen(room), m;

	memcpy(out, room, n);
	out[n++] = '\0';
	if (user == NULL)
		return n;
	m = strlen(user);
	memcpy(out + n, user, m);
	n += m;
	if (device == NULL)
		return n;
	out[n++] = '\0';
	m = strlen(device);
	memcpy(out + n, device, m);
	return n + m;
}

static int
map_error(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return DW_OK;
	case MDB_MAP_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return DW_E_STORAGE_FULL;
	case ENOMEM:
		return DW_E_NOMEM;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC:
	default:
		return DW_E_STORAGE;
	}
}

/* A fixed-size value; MDB_CORRUPTED when it has another size. */
static int
get_fixed(MDB_txn *txn, MDB_dbi dbi, MDB_val key, void *out, size_t size)
{
	MDB_val value;
	int rc = mdb_get(txn, dbi, &key, &value);

	if (rc != MDB_SUCCESS)
		return rc;
	if (value.mv_size != size)
		return MDB_CORRUPTED;
	memcpy(out, value.mv_data, size);
	return MDB_SUCCESS;
}

static int
put_fixed(MDB_txn *txn, MDB_dbi dbi, MDB_val key, const void *in, size_t size)
{
	MDB_val value = val(in, size);

	return mdb_put(txn, dbi, &key, &value, 0);
}

/* Takes a stored message apart; `room` and `record` point into it. */
static int
take_message(const MDB_val *value, struct message_head *head, struct dw_str *room, struct dw_str *record)
{
	if (value->mv_size < sizeof(*head))
		return MDB_CORRUPTED;
	memcpy(head, value->mv_data, sizeof(*head));
	if (head->room_size > DW_ROOM_MAX || head->room_size > value->mv_size - sizeof(*head))
		return MDB_CORRUPTED;
	*room = (struct dw_str) { (const char *)value->mv_data + sizeof(*head), head->room_size };
	*record = (struct dw_str) { room->p + room->n, value->mv_size - sizeof(*head) - room->n };
	return MDB_SUCCESS;
}

static int
get_message(
	MDB_txn *txn, MDB_dbi dbi, uint64_t seq, struct message_head *head, struct dw_str *room, struct dw_str *record)
{
	uint8_t bytes[8];
	MDB_val key, value;
	int rc;

	seq_key(seq, bytes);
	key = val(bytes, sizeof(bytes));
	rc = mdb_get(txn, dbi, &key, &value);
	return rc == MDB_SUCCESS ? take_message(&value, head, room, record) : rc;
}

static bool
is_expired(const struct lmdb_engine *e, uint64_t at, uint64_t now)
{
	return now > at && now - at > e->config.queue_ttl_ms;
}

static bool
is_dead(const struct lmdb_engine *e, uint64_t room_n, uint64_t n, uint64_t at, uint64_t now)
{
	return room_n - n >= e->config.queue_limit || is_expired(e, at, now);
}

/* The room's live messages after `after`, newest first, as seqs; at most queue_limit. */
static int
follow_chain(struct lmdb_engine *e, MDB_txn *txn, const struct room_value *room, uint64_t after, uint64_t **seqs,
	size_t *count, struct dw_room_summary *summary)
{
	size_t cap = room->n < e->config.queue_limit ? (size_t)room->n : e->config.queue_limit;
	uint64_t seq = room->head;

	*count = 0;
	*seqs = calloc(cap + 1, sizeof(**seqs));
	if (*seqs == NULL)
		return ENOMEM;
	while (seq != 0) {
		struct message_head head;
		struct dw_str name, record;
		int rc = get_message(txn, e->messages, seq, &head, &name, &record);

		if (rc == MDB_NOTFOUND)
			break;
		if (rc != MDB_SUCCESS)
			return rc;
		if (is_dead(e, room->n, head.n, head.at, e->now))
			break;
		summary->oldest = seq;
		summary->oldest_n = head.n;
		if (seq > after && *count < cap)
			(*seqs)[(*count)++] = seq;
		seq = head.prev;
	}
	return MDB_SUCCESS;
}

static void
fill_summary(struct dw_room_summary *summary, struct dw_str room, const struct room_value *value)
{
	*summary = (struct dw_room_summary) {
		.n = value->n, .head = value->head, .head_at = value->head_at, .oldest_n = value->n + 1
	};
	(void)dw_str_copy(room, summary->room, sizeof(summary->room));
}

static int
do_read(struct lmdb_engine *e, struct dw_op *op, uint64_t after, size_t limit)
{
	struct room_value room = { 0 };
	uint64_t *seqs = NULL;
	size_t count = 0;
	int rc = get_fixed(e->txn, e->rooms, val(op->room, strlen(op->room)), &room, sizeof(room));

	fill_summary(&op->read.summary, dw_str(op->room), &room);
	if (rc == MDB_NOTFOUND)
		return MDB_SUCCESS;
	if (rc == MDB_SUCCESS)
		rc = follow_chain(e, e->txn, &room, after, &seqs, &count, &op->read.summary);
	op->read.more = count > limit;
	for (size_t i = 0; rc == MDB_SUCCESS && i < count && i < limit; i++) {
		struct message_head head;
		struct dw_str name, record;

		rc = get_message(e->txn, e->messages, seqs[count - 1 - i], &head, &name, &record);
		if (rc == MDB_SUCCESS)
			dw_buf_add(&op->read.records, record.p, record.n);
	}
	free(seqs);
	return rc == MDB_SUCCESS && !dw_buf_ok(&op->read.records) ? ENOMEM : rc;
}

/* Copies the parts of a key that NULs divide. */
static bool
split_key(const MDB_val *key, char *parts[], const size_t sizes[], size_t count)
{
	const char *at = key->mv_data;
	size_t left = key->mv_size;

	for (size_t i = 0; i < count; i++) {
		const char *end = left > 0 ? memchr(at, '\0', left) : NULL;
		size_t n = end != NULL && i + 1 < count ? (size_t)(end - at) : left;

		if (!dw_str_copy((struct dw_str) { at, n }, parts[i], sizes[i]))
			return false;
		at += n < left ? n + 1 : n;
		left -= n < left ? n + 1 : n;
	}
	return true;
}

static bool
take_cursor(const MDB_val *key, const MDB_val *value, struct dw_cursor *cursor)
{
	char *parts[] = { cursor->room, cursor->user, cursor->device };
	const size_t sizes[] = { sizeof(cursor->room), sizeof(cursor->user), sizeof(cursor->device) };
	struct cursor_value stored;

	if (value->mv_size != sizeof(stored) || !split_key(key, parts, sizes, 3))
		return false;
	memcpy(&stored, value->mv_data, sizeof(stored));
	cursor->seq = stored.seq;
	cursor->n = stored.n;
	cursor->seen = stored.seen;
	cursor->expires = stored.expires;
	cursor->derived = stored.derived != 0;
	return true;
}

static bool
take_owner(const MDB_val *key, const MDB_val *value, struct dw_owner_row *row)
{
	char *parts[] = { row->room, row->user };
	const size_t sizes[] = { sizeof(row->room), sizeof(row->user) };

	if (value->mv_size != 1 || !split_key(key, parts, sizes, 2))
		return false;
	row->state = *(const uint8_t *)value->mv_data == DW_OWNER_DENIED ? DW_OWNER_DENIED : DW_OWNER_GRANTED;
	return true;
}

/* Calls `each` for the entries whose key begins with prefix; a result that is not 0 ends it. */
static int
scan(MDB_txn *txn, MDB_dbi dbi, struct dw_str prefix, int (*each)(void *, const MDB_val *, const MDB_val *), void *user)
{
	MDB_cursor *cursor;
	MDB_val key = val(prefix.p, prefix.n), value;
	int rc = mdb_cursor_open(txn, dbi, &cursor);

	if (rc != MDB_SUCCESS)
		return rc;
	rc = mdb_cursor_get(cursor, &key, &value, prefix.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
	while (rc == MDB_SUCCESS && key.mv_size >= prefix.n &&
		   (prefix.n == 0 || memcmp(key.mv_data, prefix.p, prefix.n) == 0)) {
		rc = each(user, &key, &value);
		if (rc == MDB_SUCCESS)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int
load_cursor(void *user, const MDB_val *key, const MDB_val *value)
{
	struct dw_op *op = user;
	struct dw_cursor cursor = { 0 };

	if (!take_cursor(key, value, &cursor))
		return MDB_CORRUPTED;
	dw_buf_add(&op->read.cursors, &cursor, sizeof(cursor));
	return dw_buf_ok(&op->read.cursors) ? MDB_SUCCESS : ENOMEM;
}

static int
load_owner(void *user, const MDB_val *key, const MDB_val *value)
{
	struct dw_op *op = user;
	struct dw_owner_row row = { 0 };

	if (!take_owner(key, value, &row))
		return MDB_CORRUPTED;
	if (op->kind == DW_OP_OWNERS) {
		if (op->read.user[0] != '\0' && strcmp(op->read.user, row.user) != 0)
			return MDB_SUCCESS;
		if (op->read.owners.len / sizeof(row) >= op->read.limit) {
			op->read.more = true;
			return MDB_NOTFOUND;
		}
	}
	dw_buf_add(&op->read.owners, &row, sizeof(row));
	return dw_buf_ok(&op->read.owners) ? MDB_SUCCESS : ENOMEM;
}

static int
do_load(struct lmdb_engine *e, struct dw_op *op)
{
	char key[KEY_MAX];
	struct dw_str prefix = { key, join_key(key, op->room, NULL, NULL) };
	int rc = do_read(e, op, 0, SIZE_MAX);

	if (rc == MDB_SUCCESS)
		rc = scan(e->txn, e->cursors, prefix, load_cursor, op);
	if (rc == MDB_SUCCESS)
		rc = scan(e->txn, e->owners, prefix, load_owner, op);
	return rc;
}

static int
do_owners(struct lmdb_engine *e, struct dw_op *op)
{
	char key[KEY_MAX];
	struct dw_str prefix = { key, op->room[0] != '\0' ? join_key(key, op->room, NULL, NULL) : 0 };

	return scan(e->txn, e->owners, prefix, load_owner, op);
}

static int
get_owner(struct lmdb_engine *e, const char *room, const char *user, enum dw_owner_state *state)
{
	char key[KEY_MAX];
	uint8_t stored;
	int rc = get_fixed(e->txn, e->owners, val(key, join_key(key, room, user, NULL)), &stored, sizeof(stored));

	*state = rc != MDB_SUCCESS ? DW_OWNER_NONE : stored == DW_OWNER_DENIED ? DW_OWNER_DENIED : DW_OWNER_GRANTED;
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int
do_owner(struct lmdb_engine *e, struct dw_op *op)
{
	char bytes[KEY_MAX];
	MDB_val key = val(bytes, join_key(bytes, op->room, op->owner.user, NULL));
	uint8_t state = (uint8_t)op->owner.state;
	enum dw_owner_state before;
	int rc = get_owner(e, op->room, op->owner.user, &before);

	if (rc != MDB_SUCCESS)
		return rc;
	op->owner.changed = before != op->owner.state;
	if (op->owner.dry || !op->owner.changed)
		return MDB_SUCCESS;
	return op->owner.state == DW_OWNER_NONE ? mdb_del(e->txn, e->owners, &key, NULL)
											: put_fixed(e->txn, e->owners, key, &state, sizeof(state));
}

static int
do_cursor(struct lmdb_engine *e, struct dw_op *op)
{
	const struct dw_cursor *cursor = &op->cursor;
	const struct cursor_value value = { cursor->seq, cursor->n, cursor->seen, cursor->expires, cursor->derived };
	char bytes[KEY_MAX];
	MDB_val key = val(bytes, join_key(bytes, cursor->room, cursor->user, cursor->device));
	int rc;

	if (cursor->seq != 0 || cursor->seen != 0)
		return put_fixed(e->txn, e->cursors, key, &value, sizeof(value));
	rc = mdb_del(e->txn, e->cursors, &key, NULL);
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static void
id_key(const struct dw_op *op, uint8_t key[32])
{
	char text[DW_ROOM_MAX + DW_ID_MAX + 2];
	size_t room = strlen(op->room) + 1, id = strlen(op->append.id);

	memcpy(text, op->room, room);
	memcpy(text + room, op->append.id, id);
	dw_sha256(text, room + id, key);
}

/* MDB_SUCCESS and duplicate or err set; MDB_NOTFOUND: a new id. */
static int
find_id(struct lmdb_engine *e, struct dw_op *op, MDB_val key)
{
	struct id_value value;

	for (int i = 0; i < 2; i++) {
		int rc = get_fixed(e->txn, e->ids[i], key, &value, sizeof(value));

		if (rc == MDB_NOTFOUND)
			continue;
		if (rc != MDB_SUCCESS)
			return rc;
		op->append.seq = value.seq;
		op->append.n = value.n;
		op->append.duplicate = memcmp(value.hash, op->append.hash, DW_HASH_SIZE) == 0;
		op->err = op->append.duplicate ? DW_OK : DW_E_ID_REUSED;
		return MDB_SUCCESS;
	}
	return MDB_NOTFOUND;
}

static int
put_message(struct lmdb_engine *e, struct dw_op *op, const struct room_value *room)
{
	const struct message_head head = {
		.prev = room->head, .n = op->append.n, .at = op->append.at, .room_size = strlen(op->room)
	};
	const struct dw_buf *record = &op->append.record;
	MDB_val key, value = { sizeof(head) + head.room_size + record->len, NULL };
	uint8_t bytes[8];
	char *to;
	int rc;

	seq_key(op->append.seq, bytes);
	key = val(bytes, sizeof(bytes));
	rc = mdb_put(e->txn, e->messages, &key, &value, MDB_APPEND | MDB_RESERVE);
	if (rc != MDB_SUCCESS)
		return rc;
	to = value.mv_data;
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), op->room, head.room_size);
	memcpy(to + sizeof(head) + head.room_size, record->data, record->len);
	return MDB_SUCCESS;
}

static int
do_append(struct lmdb_engine *e, struct dw_op *op)
{
	const MDB_val room_key = val(op->room, strlen(op->room));
	struct room_value room = { 0 };
	struct id_value id;
	enum dw_owner_state state;
	uint8_t digest[32];
	MDB_val key = val(digest, 16);
	int rc;

	if (op->append.publisher[0] != '\0') {
		rc = get_owner(e, op->room, op->append.publisher, &state);
		if (rc != MDB_SUCCESS)
			return rc;
		if (!dw_may(e->config.ownership, state, op->append.claimed)) {
			op->err = DW_E_DENIED;
			return MDB_SUCCESS;
		}
	}
	id_key(op, digest);
	rc = find_id(e, op, key);
	if (rc != MDB_NOTFOUND)
		return rc;
	rc = get_fixed(e->txn, e->rooms, room_key, &room, sizeof(room));
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
		return rc;
	op->append.seq = e->next_seq++;
	op->append.n = room.n + 1;
	dw_record_pack(
		&op->append.record, &(struct dw_record) { op->append.seq, op->append.n, op->append.at, dw_str(op->append.type),
								dw_str(op->append.id), { op->append.data, op->append.size } });
	if (!dw_buf_ok(&op->append.record))
		return ENOMEM;
	rc = put_message(e, op, &room);
	if (rc != MDB_SUCCESS)
		return rc;
	room = (struct room_value) { op->append.seq, op->append.n, op->append.at };
	id = (struct id_value) { .seq = op->append.seq, .n = op->append.n };
	memcpy(id.hash, op->append.hash, DW_HASH_SIZE);
	rc = put_fixed(e->txn, e->rooms, room_key, &room, sizeof(room));
	if (rc != MDB_SUCCESS)
		return rc;
	e->ids_state.count++;
	return put_fixed(e->txn, e->ids[e->ids_state.current], key, &id, sizeof(id));
}

static int
do_op(struct lmdb_engine *e, struct dw_op *op)
{
	switch (op->kind) {
	case DW_OP_APPEND:
		return do_append(e, op);
	case DW_OP_CURSOR:
		return do_cursor(e, op);
	case DW_OP_OWNER:
		return do_owner(e, op);
	case DW_OP_LOAD:
		return do_load(e, op);
	case DW_OP_READ:
		return do_read(e, op, op->read.after, op->read.limit);
	case DW_OP_OWNERS:
		return do_owners(e, op);
	}
	return EINVAL;
}

/* Looks at `budget` old messages from where the last sweep stopped, and deletes the dead. */
static int
sweep(struct lmdb_engine *e, size_t budget)
{
	const MDB_val name = val("sweep", 5);
	uint64_t position = 0;
	uint8_t bytes[8];
	MDB_val key, value;
	MDB_cursor *cursor;
	int rc = get_fixed(e->txn, e->meta, name, &position, sizeof(position));

	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
		return rc;
	rc = mdb_cursor_open(e->txn, e->messages, &cursor);
	if (rc != MDB_SUCCESS)
		return rc;
	seq_key(position, bytes);
	key = val(bytes, sizeof(bytes));
	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (rc == MDB_SUCCESS && budget-- > 0) {
		struct message_head head;
		struct room_value room;
		struct dw_str owner, record;

		position = key_seq(&key);
		rc = take_message(&value, &head, &owner, &record);
		if (rc == MDB_SUCCESS)
			rc = get_fixed(e->txn, e->rooms, val(owner.p, owner.n), &room, sizeof(room));
		if (rc == MDB_SUCCESS && is_dead(e, room.n, head.n, head.at, e->now)) {
			rc = mdb_cursor_del(cursor, 0);
			e->deleted++;
		}
		if (rc == MDB_SUCCESS)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		position++;
	}
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		position = 0;
	else if (rc != MDB_SUCCESS)
		return rc;
	return put_fixed(e->txn, e->meta, name, &position, sizeof(position));
}

/* Begins a new generation of ids when the current one has lasted a window. */
static int
turn_ids(struct lmdb_engine *e)
{
	struct ids_state *state = &e->ids_state;
	int rc = get_fixed(e->txn, e->meta, val("ids", 3), state, sizeof(*state));

	if (rc == MDB_NOTFOUND)
		*state = (struct ids_state) { .begun = e->now };
	else if (rc != MDB_SUCCESS)
		return rc;
	if (state->current > 1)
		return MDB_CORRUPTED;
	if (e->now < state->begun + e->config.id_window_ms && state->count < e->config.id_window_count)
		return MDB_SUCCESS;
	*state = (struct ids_state) { .current = 1 - state->current, .begun = e->now };
	e->deleted++;
	return mdb_drop(e->txn, e->ids[state->current], 0);
}

/* Where the store stands after what was appended. */
static int
put_standing(struct lmdb_engine *e)
{
	const uint64_t last = e->next_seq - 1;
	int rc = put_fixed(e->txn, e->meta, val("ids", 3), &e->ids_state, sizeof(e->ids_state));

	return rc == MDB_SUCCESS ? put_fixed(e->txn, e->meta, val("seq", 3), &last, sizeof(last)) : rc;
}

/* One transaction: the operations, and, where `budget` is not 0, the upkeep: a look at so many old messages, and
 * at the age of the ids. What appends has a budget. */
static int
attempt(struct lmdb_engine *e, struct dw_op **ops, size_t count, size_t budget)
{
	int rc = mdb_txn_begin(e->env, NULL, 0, &e->txn);

	if (rc != MDB_SUCCESS)
		return rc;
	e->now = dw_now_ms();
	e->next_seq = e->seq + 1;
	e->deleted = 0;
	if (budget > 0)
		rc = turn_ids(e);
	for (size_t i = 0; rc == MDB_SUCCESS && i < count; i++)
		rc = do_op(e, ops[i]);
	if (rc == MDB_SUCCESS && budget > 0)
		rc = sweep(e, budget);
	if (rc == MDB_SUCCESS && budget > 0)
		rc = put_standing(e);
	if (rc == MDB_SUCCESS) {
		rc = mdb_txn_commit(e->txn);
		if (rc == MDB_SUCCESS)
			e->seq = e->next_seq - 1;
	} else {
		mdb_txn_abort(e->txn);
	}
	e->txn = NULL;
	return rc;
}

/* Where the limit is reached, deletes dead messages that the sweep had not come to yet, so that a full store
 * mends itself when messages grow old. Deleting takes pages too, so it tries ever fewer; and what one
 * transaction frees, LMDB gives to the second after it. */
static bool
make_room(struct lmdb_engine *e)
{
	for (size_t budget = SWEEP_WHEN_FULL; budget >= SWEEP_LEAST; budget /= 16) {
		int rc = attempt(e, NULL, 0, budget);

		if (rc == MDB_SUCCESS && e->deleted > 0)
			return attempt(e, NULL, 0, SWEEP_LEAST) == MDB_SUCCESS;
		if (rc != MDB_MAP_FULL)
			return false;
	}
	return false;
}

/* LMDB calls a write that the disk took only a part of EIO; so does a disk that breaks. */
static bool
disk_is_full(const struct lmdb_engine *e)
{
	struct statvfs about;

	return statvfs(e->config.dir, &about) == 0 && about.f_bavail < 16;
}

/* Doubles the map, within the limit; false when it has reached it. No transaction may be open. */
static bool
grow(struct lmdb_engine *e)
{
	MDB_envinfo info;
	size_t size;

	if (mdb_env_info(e->env, &info) != MDB_SUCCESS || info.me_mapsize >= e->config.store_limit)
		return false;
	size = info.me_mapsize * 2 < e->config.store_limit ? info.me_mapsize * 2 : e->config.store_limit;
	return mdb_env_set_mapsize(e->env, size) == MDB_SUCCESS;
}

static uint64_t
used_bytes(const struct lmdb_engine *e, size_t *mapsize)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(e->env, &info) != MDB_SUCCESS || mdb_env_stat(e->env, &stat) != MDB_SUCCESS)
		return 0;
	*mapsize = info.me_mapsize;
	return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

static int
lmdb_commit(struct dw_engine *engine, struct dw_op **ops, size_t count, struct dw_fault *fault)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;
	size_t mapsize = 0, appends = 0;
	int rc, err;

	for (size_t i = 0; i < count; i++)
		appends += ops[i]->kind == DW_OP_APPEND;
	do {
		for (size_t i = 0; i < count; i++)
			dw_op_reset(ops[i]);
		rc = attempt(e, ops, count, appends > 0 ? SWEEP_LEAST + SWEEP_PER_APPEND * appends : 0);
	} while (rc == MDB_MAP_FULL && (grow(e) || make_room(e)));
	if (rc == EIO && disk_is_full(e))
		rc = ENOSPC;
	if (rc == MDB_SUCCESS) {
		/* Early, for a full map would not even let us delete. */
		if (used_bytes(e, &mapsize) > mapsize / 4 * 3)
			(void)grow(e);
		return DW_OK;
	}
	for (size_t i = 0; i < count; i++)
		dw_op_reset(ops[i]);
	err = map_error(rc);
	return dw_fault_set(fault, err, NULL, NULL, "the store said: %s", mdb_strerror(rc));
}

static void
lmdb_close(struct dw_engine *engine)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;

	if (e == NULL)
		return;
	if (e->env != NULL)
		mdb_env_close(e->env);
	if (e->lock >= 0)
		(void)close(e->lock);
	free(e);
}

static void
lmdb_info(struct dw_engine *engine, struct dw_engine_info *info)
{
	const struct lmdb_engine *e = (const struct lmdb_engine *)engine;
	size_t mapsize;

	memcpy(info->epoch, e->epoch, sizeof(info->epoch));
	info->head = e->seq;
	info->bytes = used_bytes(e, &mapsize);
}

struct walk {
	struct lmdb_engine *engine;
	int (*room)(void *user, const struct dw_room_summary *summary);
	int (*cursor)(void *user, const struct dw_cursor *cursor);
	void *user;
	int result; /* what the caller's function returned */
};

static int
walk_room(void *user, const MDB_val *key, const MDB_val *value)
{
	struct walk *walk = user;
	const struct dw_engine_config *config = &walk->engine->config;
	struct dw_room_summary summary;
	struct room_value room;

	if (value->mv_size != sizeof(room))
		return MDB_CORRUPTED;
	memcpy(&room, value->mv_data, sizeof(room));
	if (is_expired(walk->engine, room.head_at, walk->engine->now))
		return MDB_SUCCESS;
	fill_summary(&summary, (struct dw_str) { key->mv_data, key->mv_size }, &room);
	summary.oldest_n = room.n > config->queue_limit ? room.n - config->queue_limit + 1 : 1;
	walk->result = walk->room(walk->user, &summary);
	return walk->result != 0 ? MDB_NOTFOUND : MDB_SUCCESS;
}

static int
walk_cursor(void *user, const MDB_val *key, const MDB_val *value)
{
	struct walk *walk = user;
	struct dw_cursor cursor = { 0 };

	if (!take_cursor(key, value, &cursor))
		return MDB_CORRUPTED;
	walk->result = walk->cursor(walk->user, &cursor);
	return walk->result != 0 ? MDB_NOTFOUND : MDB_SUCCESS;
}

static int
walk_all(struct walk *walk, MDB_dbi dbi, int (*each)(void *, const MDB_val *, const MDB_val *))
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(walk->engine->env, NULL, MDB_RDONLY, &txn);

	if (rc != MDB_SUCCESS)
		return map_error(rc);
	walk->engine->now = dw_now_ms();
	rc = scan(txn, dbi, (struct dw_str) { NULL, 0 }, each, walk);
	mdb_txn_abort(txn);
	if (walk->result != 0)
		return walk->result;
	return rc == MDB_CORRUPTED ? DW_E_CORRUPT : map_error(rc);
}

static int
lmdb_rooms(struct dw_engine *engine, int (*each)(void *user, const struct dw_room_summary *summary), void *user)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;

	return walk_all(&(struct walk) { .engine = e, .room = each, .user = user }, e->rooms, walk_room);
}

static int
lmdb_cursors(struct dw_engine *engine, int (*each)(void *user, const struct dw_cursor *cursor), void *user)
{
	struct lmdb_engine *e = (struct lmdb_engine *)engine;

	return walk_all(&(struct walk) { .engine = e, .cursor = each, .user = user }, e->cursors, walk_cursor);
}

static int
lock_dir(struct lmdb_engine *e, struct dw_fault *fault)
{
	char path[DW_PATH_SIZE];
	int err = dw_make_dirs(e->config.dir, 0750, fault);

	if (err != DW_OK)
		return err;
	if (snprintf(path, sizeof(path), "%s/lock", e->config.dir) >= (int)sizeof(path))
		return dw_fault_set(
			fault, DW_E_CREATE, "--state-dir", "a shorter path", "the state directory's path is too long");
	e->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (e->lock < 0)
		return dw_fault_set(fault, errno == EACCES || errno == EPERM ? DW_E_PERMISSION : DW_E_CREATE, "--state-dir",
			"a directory that this user may write to", "cannot write in '%s': %s", e->config.dir, strerror(errno));
	if (flock(e->lock, LOCK_EX | LOCK_NB) != 0)
		return dw_fault_set(fault, DW_E_IN_USE, "--state-dir", "a directory of its own for each hub",
			"another hub uses '%s'", e->config.dir);
	return DW_OK;
}

static int
corrupt(const struct lmdb_engine *e, struct dw_fault *fault, const char *what)
{
	return dw_fault_set(fault, DW_E_CORRUPT, "--state-dir", "a store of diagws; else move it away, or restore a copy",
		"'%s/data.mdb' %s", e->config.dir, what);
}

static int
other_version(const struct lmdb_engine *e, uint64_t version, struct dw_fault *fault)
{
	return dw_fault_set(fault, DW_E_CORRUPT, "--state-dir", "the release that wrote it, or another directory",
		"'%s/data.mdb' has format version %llu; this release reads %d", e->config.dir, (unsigned long long)version,
		FORMAT_VERSION);
}

/* A map that is longer than its file ends in a signal where a page is missing, so the file is made as
 * long as its last transaction says. It may rightly be shorter: LMDB never writes a page at the end that was
 * taken and freed in one transaction. Whether what it needs was cut off shows when the tree is read. */
static bool
extend_file(const struct lmdb_engine *e)
{
	char path[DW_PATH_SIZE];
	struct stat about;
	size_t mapsize;
	uint64_t need = used_bytes(e, &mapsize);

	if (snprintf(path, sizeof(path), "%s/data.mdb", e->config.dir) >= (int)sizeof(path) || stat(path, &about) != 0)
		return false;
	return (uint64_t)about.st_size >= need || truncate(path, (off_t)need) == 0;
}

static int
open_env(struct lmdb_engine *e, struct dw_fault *fault)
{
	size_t map = FIRST_MAP < e->config.store_limit ? FIRST_MAP : (size_t)e->config.store_limit;
	int rc = mdb_env_create(&e->env);

	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(e->env, DATABASES);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxreaders(e->env, READERS);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_mapsize(e->env, map);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(e->env, e->config.dir, 0, 0640);
	if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED)
		return corrupt(e, fault, "is no LMDB file, or a damaged one");
	if (rc == EACCES || rc == EPERM || rc == EROFS)
		return dw_fault_set(fault, DW_E_PERMISSION, "--state-dir", "a directory that this user may write to",
			"cannot open the store in '%s': %s", e->config.dir, mdb_strerror(rc));
	if (rc != MDB_SUCCESS)
		return dw_fault_set(fault, rc == ENOSPC ? DW_E_STORAGE_FULL : DW_E_CREATE, "--state-dir", NULL,
			"cannot open the store in '%s': %s", e->config.dir, mdb_strerror(rc));
	if (!extend_file(e))
		return dw_fault_set(fault, DW_E_STORAGE_FULL, "--state-dir", NULL, "cannot extend the store in '%s': %s",
			e->config.dir, strerror(errno));
	return DW_OK;
}

static int
open_databases(struct lmdb_engine *e, MDB_txn *txn)
{
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} list[] = { { "meta", &e->meta }, { "messages", &e->messages }, { "rooms", &e->rooms }, { "ids0", &e->ids[0] },
		{ "ids1", &e->ids[1] }, { "cursors", &e->cursors }, { "owners", &e->owners } };
	MDB_stat stat;
	int rc = mdb_env_stat(e->env, &stat);

	/* A store that holds something, but not our first database, is another program's. */
	if (rc == MDB_SUCCESS && stat.ms_entries > 0)
		rc = mdb_dbi_open(txn, list[0].name, 0, list[0].dbi);
	if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
		return MDB_CORRUPTED;
	for (size_t i = 0; rc == MDB_SUCCESS && i < sizeof(list) / sizeof(list[0]); i++)
		rc = mdb_dbi_open(txn, list[i].name, MDB_CREATE, list[i].dbi);
	return rc;
}

/* Reads, or in a new store writes, what it is. */
static int
read_meta(struct lmdb_engine *e, MDB_txn *txn, struct dw_fault *fault)
{
	uint64_t version = FORMAT_VERSION;
	int rc = get_fixed(txn, e->meta, val("version", 7), &version, sizeof(version));

	if (rc == MDB_NOTFOUND) {
		dw_random_id(e->epoch);
		rc = put_fixed(txn, e->meta, val("version", 7), &version, sizeof(version));
		if (rc == MDB_SUCCESS)
			rc = put_fixed(txn, e->meta, val("epoch", 5), e->epoch, sizeof(e->epoch));
	} else if (rc == MDB_SUCCESS && version == FORMAT_VERSION) {
		rc = get_fixed(txn, e->meta, val("epoch", 5), e->epoch, sizeof(e->epoch));
		if (rc == MDB_SUCCESS)
			rc = get_fixed(txn, e->meta, val("seq", 3), &e->seq, sizeof(e->seq));
		if (rc == MDB_NOTFOUND && e->epoch[0] != '\0')
			rc = MDB_SUCCESS;
		e->epoch[sizeof(e->epoch) - 1] = '\0';
	}
	if (rc == MDB_SUCCESS && version != FORMAT_VERSION)
		return other_version(e, version, fault);
	if (rc == MDB_SUCCESS)
		return DW_OK;
	if (rc == MDB_CORRUPTED || rc == MDB_NOTFOUND)
		return corrupt(e, fault, "is damaged");
	return dw_fault_set(fault, map_error(rc), "--state-dir", NULL, "cannot read the store: %s", mdb_strerror(rc));
}

static int
prepare(struct lmdb_engine *e, struct dw_fault *fault)
{
	MDB_txn *txn;
	int err, rc = mdb_txn_begin(e->env, NULL, 0, &txn);

	if (rc != MDB_SUCCESS)
		return dw_fault_set(
			fault, map_error(rc), "--state-dir", NULL, "cannot write to the store: %s", mdb_strerror(rc));
	rc = open_databases(e, txn);
	if (rc == MDB_CORRUPTED)
		err = corrupt(e, fault, "is damaged, or another program's");
	else if (rc != MDB_SUCCESS)
		err = dw_fault_set(fault, map_error(rc), "--state-dir", NULL, "cannot prepare the store: %s", mdb_strerror(rc));
	else
		err = read_meta(e, txn, fault);
	if (err != DW_OK) {
		mdb_txn_abort(txn);
		return err;
	}
	rc = mdb_txn_commit(txn);
	return rc == MDB_SUCCESS ? DW_OK
							 : dw_fault_set(fault, map_error(rc), "--state-dir", NULL, "cannot write to the store: %s",
								   mdb_strerror(rc));
}

static int
lmdb_open(struct dw_engine **out, const struct dw_engine_config *config, struct dw_fault *fault)
{
	struct lmdb_engine *e = calloc(1, sizeof(*e));
	int err;

	if (e == NULL)
		return DW_E_NOMEM;
	e->base.ops = &dw_engine_lmdb;
	e->config = *config;
	e->lock = -1;
	err = lock_dir(e, fault);
	if (err == DW_OK)
		err = open_env(e, fault);
	if (err == DW_OK)
		err = prepare(e, fault);
	if (err != DW_OK)
		lmdb_close(&e->base);
	else
		*out = &e->base;
	return err;
}

const struct dw_engine_ops dw_engine_lmdb = {
	.name = "lmdb",
	.open = lmdb_open,
	.close = lmdb_close,
	.info = lmdb_info,
	.rooms = lmdb_rooms,
	.cursors = lmdb_cursors,
	.commit = lmdb_commit,
};
