/* The engine's twin in memory: the same meaning as LMDB's in plain structures, for tests, and to say by
 * its simplicity what the other one must do. It forgets everything at close.
 *
 * A batch is all or nothing in that its size is checked against store_limit before anything is done. Failure
 * modes: DW_E_STORAGE_FULL by that check; memory in the middle of a batch is DW_E_STORAGE, after which the
 * caller must not go on, for what was done is not undone.
 */
#include "engine_mem.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "wire/wire.h"

struct message {
	struct message *prev, *next;
	uint64_t seq, n, at;
	uint64_t count, total; /* in its chain; of a direct one: among all direct ones of the room */
	struct entry *user;    /* of a direct one */
	char to[DW_USER_MAX + 1];
	char *record; /* NULL: dropped, only its place is known */
	size_t size;
};

struct room {
	UT_hash_handle hh;
	char name[DW_ROOM_MAX + 1];
	uint64_t n, head, head_at, total;
	struct message *messages, *directs; /* oldest first */
};

/* What hangs on a key of parts that NULs divide: an id, a user of direct messages, a cursor or an owner. */
struct entry {
	UT_hash_handle hh;
	uint8_t hash[DW_HASH_SIZE];
	uint64_t seq, n, at;
	bool except, expiry; /* of an id: whether its message had them */
	bool ended;          /* of a user: what is retained of the chain */
	struct dw_cursor cursor;
	struct dw_owner_row owner;
	size_t key_size;
	char key[];
};

struct mem_engine {
	struct dw_engine base;
	struct dw_engine_config config;
	char epoch[DW_EPOCH_SIZE];
	uint64_t seq, bytes, now;
	struct room *rooms;
	struct entry *ids, *users, *cursors, *owners; /* of ids all that ever were */
};

static struct dw_str
join_key(char *out, const char *first, const char *second, const char *third)
{
	size_t n = strlen(first) + 1;

	memcpy(out, first, n);
	memcpy(out + n, second, strlen(second));
	n += strlen(second);
	if (third != NULL) {
		out[n++] = '\0';
		memcpy(out + n, third, strlen(third));
		n += strlen(third);
	}
	return (struct dw_str) { out, n };
}

static struct entry *
find_entry(struct entry *table, struct dw_str key)
{
	struct entry *entry;

	HASH_FIND(hh, table, key.p, key.n, entry);
	return entry;
}

static struct entry *
get_entry(struct entry **table, struct dw_str key)
{
	struct entry *entry = find_entry(*table, key);

	if (entry != NULL)
		return entry;
	entry = calloc(1, sizeof(*entry) + key.n);
	if (entry == NULL)
		return NULL;
	memcpy(entry->key, key.p, key.n);
	entry->key_size = key.n;
	HASH_ADD_KEYPTR(hh, *table, entry->key, entry->key_size, entry);
	return entry;
}

static void
remove_entry(struct entry **table, struct entry *entry)
{
	if (entry == NULL)
		return;
	HASH_DEL(*table, entry);
	free(entry);
}

static void
clear_table(struct entry **table)
{
	struct entry *entry = *table, *next;

	HASH_CLEAR(hh, *table);
	for (; entry != NULL; entry = next) {
		next = entry->hh.next;
		free(entry);
	}
}

static struct room *
find_room(const struct mem_engine *e, const char *name)
{
	struct room *room;

	HASH_FIND_STR(e->rooms, name, room);
	return room;
}

static void
drop(struct mem_engine *e, struct message *message)
{
	if (message->record != NULL)
		e->bytes -= message->size;
	free(message->record);
	message->record = NULL;
}

static bool
is_dead(const struct mem_engine *e, const struct room *room, const struct message *message)
{
	const bool direct = message->user != NULL;
	const uint64_t newest = direct ? message->user->n : room->n;

	return newest - message->count >= e->config.queue_limit ||
		   (direct && room->total - message->total >= DW_HISTORY_TIMES * e->config.queue_limit) ||
		   (e->now > message->at && e->now - message->at > e->config.queue_ttl_ms);
}

/* Drops what is dead, and what is older than that in its chain; forgets what has DW_HISTORY_TIMES * queue_limit newer
 * ones in its chain. */
static void
trim_list(struct mem_engine *e, struct room *room, struct message **list)
{
	struct message *message, *next;
	bool ended = false;

	DL_FOREACH(*list, message)
	{
		if (message->user != NULL)
			message->user->ended = false;
	}
	for (message = *list != NULL ? (*list)->prev : NULL; message != NULL;
		 message = message != *list ? message->prev : NULL) {
		bool *its = message->user != NULL ? &message->user->ended : &ended;

		*its = *its || is_dead(e, room, message);
		if (*its)
			drop(e, message);
	}
	DL_FOREACH_SAFE(*list, message, next)
	{
		const uint64_t newest = message->user != NULL ? message->user->n : room->n;

		if (newest - message->count < DW_HISTORY_TIMES * e->config.queue_limit)
			continue;
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): who has another before it is not alone */
		DL_DELETE(*list, message);
		free(message);
	}
}

static void
trim(struct mem_engine *e, struct room *room)
{
	trim_list(e, room, &room->messages);
	trim_list(e, room, &room->directs);
}

static enum dw_owner_state
owner_state(const struct mem_engine *e, const char *room, const char *user)
{
	char key[DW_ROOM_MAX + DW_USER_MAX + 2];
	const struct entry *entry = find_entry(e->owners, join_key(key, room, user, NULL));

	return entry != NULL ? entry->owner.state : DW_OWNER_NONE;
}

static int
store_message(struct mem_engine *e, struct room *room, const struct dw_op *op)
{
	const struct dw_buf *record = &op->append.record;
	const bool direct = op->append.to[0] != '\0';
	char bytes[DW_ROOM_MAX + DW_USER_MAX + 2];
	struct entry *user = direct ? get_entry(&e->users, join_key(bytes, op->room, op->append.to, NULL)) : NULL;
	struct message *message = calloc(1, sizeof(*message));
	char *copy = malloc(record->len);

	if (message == NULL || copy == NULL || (direct && user == NULL)) {
		free(message);
		free(copy);
		return DW_E_STORAGE;
	}
	memcpy(copy, record->data, record->len);
	*message = (struct message) {
		.seq = op->append.seq, .n = op->append.room_n, .at = op->append.at, .record = copy, .size = record->len
	};
	(void)dw_str_copy(dw_str(op->append.to), message->to, sizeof(message->to));
	message->user = user;
	message->count = direct ? op->append.own : op->append.room_n;
	if (direct) {
		user->n = op->append.own;
		message->total = ++room->total;
		DL_APPEND(room->directs, message);
	} else {
		DL_APPEND(room->messages, message);
	}
	e->bytes += record->len;
	room->n = op->append.room_n;
	room->head = op->append.seq;
	room->head_at = op->append.at;
	return DW_OK;
}

/* The number of the newest direct message to the user; 0: there never was one. */
static uint64_t
last_own(const struct mem_engine *e, const char *room, const char *user)
{
	char bytes[DW_ROOM_MAX + DW_USER_MAX + 2];
	const struct entry *entry = find_entry(e->users, join_key(bytes, room, user, NULL));

	return entry != NULL ? entry->n : 0;
}

/* NULL: it is new, or not remembered any more. */
static struct entry *
find_id(const struct mem_engine *e, struct dw_str key)
{
	struct entry *id = find_entry(e->ids, key);

	return id != NULL && e->seq + 1 - id->seq <= e->config.id_window_count &&
				   (e->now <= id->at || e->now - id->at < e->config.id_window_ms)
			   ? id
			   : NULL;
}

static int
do_append(struct mem_engine *e, struct dw_op *op)
{
	char bytes[DW_ROOM_MAX + DW_ID_MAX + 2];
	const struct dw_str key = join_key(bytes, op->room, op->append.id, NULL);
	struct room *room = find_room(e, op->room);
	struct entry *id = find_id(e, key);

	if (op->append.publisher[0] != '\0' &&
		!dw_may(e->config.ownership, owner_state(e, op->room, op->append.publisher), op->append.claimed)) {
		op->err = DW_E_DENIED;
		return DW_OK;
	}
	if (id != NULL) {
		op->append.seq = id->seq;
		op->append.n = op->append.to[0] == '\0' ? id->n : 0;
		op->append.own = op->append.to[0] == '\0' ? 0 : id->n;
		op->append.duplicate = memcmp(id->hash, op->append.hash, DW_HASH_SIZE) == 0;
		op->append.had_except = id->except;
		op->append.had_expiry = id->expiry;
		op->err = op->append.duplicate ? DW_OK : DW_E_ID_REUSED;
		return DW_OK;
	}
	id = get_entry(&e->ids, key);
	if (room == NULL && (room = calloc(1, sizeof(*room))) != NULL) {
		(void)dw_str_copy(dw_str(op->room), room->name, sizeof(room->name));
		HASH_ADD_STR(e->rooms, name, room);
	}
	if (id == NULL || room == NULL)
		return DW_E_STORAGE;
	op->append.seq = id->seq = ++e->seq;
	op->append.room_n = op->append.to[0] == '\0' ? room->n + 1 : room->n;
	op->append.n = op->append.to[0] == '\0' ? room->n + 1 : 0;
	op->append.own = op->append.to[0] == '\0' ? 0 : last_own(e, op->room, op->append.to) + 1;
	id->n = op->append.own > 0 ? op->append.own : op->append.n;
	memcpy(id->hash, op->append.hash, DW_HASH_SIZE);
	id->at = op->append.at;
	id->except = op->append.except != 0;
	id->expiry = op->append.expires_at != 0;
	dw_record_pack(
		&op->append.record, &(struct dw_record) { op->append.seq, op->append.room_n, op->append.at,
								dw_str(op->append.type), dw_str(op->append.id), { op->append.data, op->append.size },
								dw_str(op->append.to), op->append.except, op->append.expires_at, op->append.own });
	return dw_buf_ok(&op->append.record) ? store_message(e, room, op) : DW_E_STORAGE;
}

static void
fill_summary(struct dw_room_summary *summary, const struct room *room)
{
	const struct message *oldest, *message;

	DL_FOREACH(room->messages, oldest)
	{
		if (oldest->record != NULL)
			break;
	}
	*summary = (struct dw_room_summary) {
		.n = room->n, .head = room->head, .head_at = room->head_at, .oldest_n = oldest != NULL ? oldest->n : room->n + 1
	};
	DL_FOREACH(room->directs, message)
	{
		summary->directs += message->record != NULL;
	}
	(void)dw_str_copy(dw_str(room->name), summary->room, sizeof(summary->room));
}

static int
compare_keys(const struct entry *a, const struct entry *b)
{
	size_t n = a->key_size < b->key_size ? a->key_size : b->key_size;
	int order = memcmp(a->key, b->key, n);

	return order != 0 ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

/* And who ever got one. */
static void
read_directs(struct mem_engine *e, struct dw_op *op, const struct room *room)
{
	const size_t prefix = strlen(op->room) + 1;
	const struct message *message;
	const struct entry *entry, *next;

	DL_FOREACH(room->directs, message)
	{
		if (message->record != NULL)
			dw_buf_add(&op->read.directs, message->record, message->size);
		else if (room->total - message->total < DW_HISTORY_TIMES * e->config.queue_limit)
			dw_record_pack(&op->read.directs, &(struct dw_record) { .seq = message->seq,
												  .n = message->n,
												  .at = message->at,
												  .to = dw_str(message->to),
												  .own = message->count });
	}
	HASH_SORT(e->users, compare_keys);
	HASH_ITER(hh, e->users, entry, next)
	{
		struct dw_user_row row = { .own = entry->n };

		if (entry->key_size < prefix || memcmp(entry->key, op->room, prefix) != 0)
			continue;
		(void)dw_str_copy(
			(struct dw_str) { entry->key + prefix, entry->key_size - prefix }, row.user, sizeof(row.user));
		dw_buf_add(&op->read.users, &row, sizeof(row));
	}
}

static int
load_messages(struct mem_engine *e, struct dw_op *op)
{
	struct room *room = find_room(e, op->room);
	const struct message *message;

	op->read.summary = (struct dw_room_summary) { .oldest_n = 1 };
	(void)dw_str_copy(dw_str(op->room), op->read.summary.room, sizeof(op->read.summary.room));
	if (room == NULL)
		return DW_OK;
	trim(e, room);
	fill_summary(&op->read.summary, room);
	DL_FOREACH(room->messages, message)
	{
		if (message->record != NULL)
			dw_buf_add(&op->read.records, message->record, message->size);
	}
	read_directs(e, op, room);
	return dw_buf_ok(&op->read.records) && dw_buf_ok(&op->read.directs) && dw_buf_ok(&op->read.users) ? DW_OK
																									  : DW_E_STORAGE;
}

/* The number at a seq of what is to this user, or to everyone. */
static uint64_t
number_at(const struct message *list, const char *to, uint64_t seq)
{
	const struct message *message;
	uint64_t count = 0;

	DL_FOREACH(list, message)
	{
		if (message->seq <= seq && strcmp(message->to, to) == 0)
			count = message->count;
	}
	return count;
}

static void
do_place(const struct mem_engine *e, struct dw_op *op)
{
	const struct room *room = find_room(e, op->room);

	if (room == NULL)
		return;
	op->place.n = number_at(room->messages, "", op->place.seq);
	op->place.own = number_at(room->directs, op->place.user, op->place.seq);
	op->place.until_own = number_at(room->directs, op->place.user, op->place.until);
}

static int
add_owner(struct dw_op *op, const struct dw_owner_row *row)
{
	dw_buf_add(&op->read.owners, row, sizeof(*row));
	return dw_buf_ok(&op->read.owners) ? DW_OK : DW_E_STORAGE;
}

/* Of a room all, at once. */
static int
load_owners(struct mem_engine *e, struct dw_op *op)
{
	const struct entry *entry, *next;
	int err = DW_OK;

	HASH_SORT(e->owners, compare_keys);
	HASH_ITER(hh, e->owners, entry, next)
	{
		if (err == DW_OK && strcmp(op->room, entry->owner.room) == 0)
			err = add_owner(op, &entry->owner);
	}
	return err;
}

static bool
is_behind(const struct dw_op *op, const struct dw_owner_row *row)
{
	const int order = strcmp(row->room, op->read.after_room);

	return order > 0 || (order == 0 && strcmp(row->user, op->read.after_user) > 0);
}

static int
list_owners(struct mem_engine *e, struct dw_op *op)
{
	struct dw_owner_row last = { 0 };
	const struct entry *entry, *next;
	size_t looks = 0;
	bool listed = false;

	HASH_SORT(e->owners, compare_keys);
	HASH_ITER(hh, e->owners, entry, next)
	{
		if ((op->room[0] != '\0' && strcmp(op->room, entry->owner.room) != 0) || !is_behind(op, &entry->owner))
			continue;
		if (op->read.owners.len / sizeof(last) >= op->read.limit || looks >= op->read.limit * DW_OWNERS_TIMES) {
			op->read.more = true;
			last.state = DW_OWNER_NONE;
			return listed ? DW_OK : add_owner(op, &last);
		}
		looks++;
		last = entry->owner;
		listed = op->read.user[0] == '\0' || strcmp(op->read.user, last.user) == 0;
		if (listed && add_owner(op, &last) != DW_OK)
			return DW_E_STORAGE;
	}
	return DW_OK;
}

static int
do_load(struct mem_engine *e, struct dw_op *op)
{
	const struct entry *entry, *next;
	int err = load_messages(e, op);

	HASH_SORT(e->cursors, compare_keys);
	HASH_ITER(hh, e->cursors, entry, next)
	{
		if (strcmp(op->room, entry->cursor.room) == 0)
			dw_buf_add(&op->read.cursors, &entry->cursor, sizeof(entry->cursor));
	}
	if (err == DW_OK && !dw_buf_ok(&op->read.cursors))
		err = DW_E_STORAGE;
	return err == DW_OK ? load_owners(e, op) : err;
}

static int
do_cursor(struct mem_engine *e, const struct dw_op *op)
{
	const struct dw_cursor *cursor = &op->cursor;
	char bytes[DW_ROOM_MAX + DW_USER_MAX + DW_DEVICE_MAX + 3];
	const struct dw_str key = join_key(bytes, cursor->room, cursor->user, cursor->device);
	struct entry *entry;

	if (cursor->seen == 0) {
		remove_entry(&e->cursors, find_entry(e->cursors, key));
		return DW_OK;
	}
	entry = get_entry(&e->cursors, key);
	if (entry == NULL)
		return DW_E_STORAGE;
	entry->cursor = *cursor;
	return DW_OK;
}

static int
do_owner(struct mem_engine *e, struct dw_op *op)
{
	char bytes[DW_ROOM_MAX + DW_USER_MAX + 2];
	const struct dw_str key = join_key(bytes, op->room, op->owner.user, NULL);
	struct entry *entry = find_entry(e->owners, key);

	op->owner.changed = owner_state(e, op->room, op->owner.user) != op->owner.state;
	if (op->owner.dry || !op->owner.changed)
		return DW_OK;
	if (op->owner.state == DW_OWNER_NONE) {
		remove_entry(&e->owners, entry);
		return DW_OK;
	}
	entry = get_entry(&e->owners, key);
	if (entry == NULL)
		return DW_E_STORAGE;
	(void)dw_str_copy(dw_str(op->room), entry->owner.room, sizeof(entry->owner.room));
	(void)dw_str_copy(dw_str(op->owner.user), entry->owner.user, sizeof(entry->owner.user));
	entry->owner.state = op->owner.state;
	return DW_OK;
}

static int
do_op(struct mem_engine *e, struct dw_op *op)
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
	case DW_OP_PLACE:
		do_place(e, op);
		return DW_OK;
	case DW_OP_OWNERS:
		return list_owners(e, op);
	}
	return DW_E_INTERNAL;
}

static int
mem_commit(struct dw_engine *engine, struct dw_op **ops, size_t count, struct dw_fault *fault)
{
	struct mem_engine *e = (struct mem_engine *)engine;
	uint64_t wanted = e->bytes;
	int err = DW_OK;

	for (size_t i = 0; i < count; i++) {
		dw_op_reset(ops[i]);
		wanted += ops[i]->kind == DW_OP_APPEND ? ops[i]->append.size : 0;
	}
	if (wanted > e->config.store_limit)
		return dw_fault_set(fault, DW_E_STORAGE_FULL, NULL, NULL, "the store has its %llu bytes",
			(unsigned long long)e->config.store_limit);
	e->now = dw_now_ms();
	for (size_t i = 0; err == DW_OK && i < count; i++)
		err = do_op(e, ops[i]);
	for (size_t i = 0; i < count; i++) {
		struct room *room = ops[i]->kind == DW_OP_APPEND ? find_room(e, ops[i]->room) : NULL;

		if (room != NULL)
			trim(e, room);
	}
	return err;
}

static void
free_list(struct message *message)
{
	while (message != NULL) {
		struct message *next = message->next;

		free(message->record);
		free(message);
		message = next;
	}
}

static void
mem_rest(struct dw_engine *engine)
{
	(void)engine;
}

static void
mem_close(struct dw_engine *engine)
{
	struct mem_engine *e = (struct mem_engine *)engine;
	struct room *room, *next;

	if (e == NULL)
		return;
	room = e->rooms;
	HASH_CLEAR(hh, e->rooms);
	for (; room != NULL; room = next) {
		next = room->hh.next;
		free_list(room->messages);
		free_list(room->directs);
		free(room);
	}
	clear_table(&e->ids);
	clear_table(&e->users);
	clear_table(&e->cursors);
	clear_table(&e->owners);
	free(e);
}

static void
mem_info(struct dw_engine *engine, struct dw_engine_info *info)
{
	const struct mem_engine *e = (const struct mem_engine *)engine;

	memcpy(info->epoch, e->epoch, sizeof(info->epoch));
	info->head = e->seq;
	info->bytes = e->bytes;
	info->restored = false;
}

static int
mem_scan(struct dw_engine *engine, dw_each_room *each_room, dw_each_cursor *each_cursor, void *user)
{
	struct mem_engine *e = (struct mem_engine *)engine;
	const struct entry *entry, *next_entry;
	struct room *room, *next;
	int result = 0;

	e->now = dw_now_ms();
	HASH_ITER(hh, e->rooms, room, next)
	{
		struct dw_room_summary summary;

		trim(e, room);
		fill_summary(&summary, room);
		if (each_room != NULL && result == 0 && (summary.oldest_n <= summary.n || summary.directs > 0))
			result = each_room(user, &summary);
	}
	HASH_ITER(hh, e->cursors, entry, next_entry)
	{
		if (each_cursor != NULL && result == 0)
			result = each_cursor(user, &entry->cursor);
	}
	return result;
}

static int
mem_open(struct dw_engine **out, const struct dw_engine_config *config, struct dw_fault *fault)
{
	struct mem_engine *e = calloc(1, sizeof(*e));

	(void)fault;
	if (e == NULL)
		return DW_E_NOMEM;
	e->base.ops = &dw_engine_memory;
	e->config = *config;
	dw_random_id(e->epoch);
	*out = &e->base;
	return DW_OK;
}

const struct dw_engine_ops dw_engine_memory = {
	.open = mem_open,
	.rest = mem_rest,
	.close = mem_close,
	.info = mem_info,
	.scan = mem_scan,
	.commit = mem_commit,
};
