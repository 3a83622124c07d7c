/* A room's life and its messages.
 *
 * Its own file because this is the part that every room has, read or not.
 *
 * Happy path: summarized at the start, loaded when somebody joins, appended to after each commit, expired by age,
 * unloaded when nobody has been there for long. One that is not resident counts on: n, head, how many are retained.
 *
 * Failure modes: memory only. Invariants: oldest_n ≤ n + 1; a resident log holds exactly n - oldest_n + 1
 * entries, whose n have no hole.
 */
#include "room/room.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room/parts.h"

/* More than any record needs beside its data; and twice that, so that the log's bound in bytes drops no message. */
enum { RECORD_MORE = 1024, SLACK = 2 };

struct dw_room *
dw_room_new(struct dw_rooms *all, const char *name)
{
	const size_t length = strlen(name);
	struct dw_room *room = length <= DW_ROOM_MAX ? calloc(1, sizeof(*room) + length + 1) : NULL;

	if (room == NULL)
		return NULL;
	room->all = all;
	room->oldest_n = 1;
	(void)dw_str_copy((struct dw_str) { name, length }, room->name, length + 1);
	return room;
}

void
dw_room_destroy(struct dw_room **room_p)
{
	struct dw_room *room = *room_p;
	struct dw_reader *reader, *next_reader;
	struct dw_gone *gone, *next_gone;

	if (room == NULL)
		return;
	DL_FOREACH_SAFE(room->readers, reader, next_reader)
	{
		dw_room_lose_reader(room, reader, 0, 0);
	}
	room->all->queued -= room->counted_queued;
	room->all->retained -= room->counted_retained;
	dw_room_free_members(room);
	DL_FOREACH_SAFE(room->gone, gone, next_gone)
	{
		free(gone);
	}
	dw_ring_destroy(&room->log);
	dw_ring_destroy(&room->direct);
	free(room);
	*room_p = NULL;
}

void
dw_room_summarize(struct dw_room *room, const struct dw_room_summary *summary, uint64_t now)
{
	room->n = summary->n;
	room->head = summary->head;
	room->head_at = summary->head_at;
	/* Only oldest_n counts: an engine need not look for the oldest message itself to give a summary. */
	room->oldest_n = summary->oldest_n > 0 && summary->oldest_n <= summary->n ? summary->oldest_n : summary->n + 1;
	/* The limit may have been lowered since. */
	if (dw_room_retained(room) > room->all->queue_limit)
		room->oldest_n = room->n + 1 - room->all->queue_limit;
	room->direct_at = summary->directs > 0 ? summary->head_at : 0;
	dw_room_expire(room, now);
	dw_room_sum_up(room);
}

bool
dw_room_count_cursor(struct dw_room *room, const struct dw_cursor *cursor, uint64_t now)
{
	uint64_t end = dw_room_device_end(room->all, cursor->derived, cursor->seen, cursor->expires);

	if (end <= now)
		return false;
	if (room->device_count == 0 || dw_n(cursor->at) < room->low_n)
		room->low_n = dw_n(cursor->at);
	if (room->prune_at == 0 || end < room->prune_at)
		room->prune_at = end;
	room->device_count++;
	dw_room_sum_up(room);
	return true;
}

/* The records must be what the summary says: growing in seq, without a hole in n, up to its n. */
static int
fill_log(struct dw_room *room, struct dw_ring *log, struct dw_str records)
{
	struct dw_record record;
	uint64_t seq = 0, n = 0;

	room->mixed = false;
	while (records.n > 0) {
		struct dw_str before = records;
		struct dw_ring_entry entry;
		int err = dw_record_next(&records, &record);

		if (err != DW_OK || record.seq <= seq || record.seq > room->head || (n > 0 && record.n != n + 1))
			return DW_E_CORRUPT;
		seq = record.seq;
		n = record.n;
		room->mixed |= !dw_record_plain(&record);
		entry = (struct dw_ring_entry) { .seq = seq, .n = n, .at = record.at };
		err = dw_ring_append(log, &entry, before.p, before.n - records.n);
		if (err != DW_OK)
			return err;
	}
	return n == 0 || n == room->n ? DW_OK : DW_E_CORRUPT;
}

static struct dw_ring *
new_log(size_t entries)
{
	return dw_ring_new(entries, entries * (DW_DATA_MAX + RECORD_MORE) * SLACK);
}

/* The oldest one, which its user may have lost before. */
static void
drop_direct(struct dw_room *room)
{
	struct dw_record record;
	struct dw_member *member =
		dw_record_of(room->direct, dw_ring_first(room->direct), &record) ? dw_room_member(room, record.to) : NULL;

	if (member != NULL && record.own >= member->first_own) {
		member->first_own = record.own + 1;
		dw_room_count_direct(room, member);
	}
	room->direct_gone = dw_ring_entry(room->direct, dw_ring_first(room->direct))->seq;
	dw_ring_drop(room->direct);
}

static int
add_direct(struct dw_room *room, const struct dw_record *record, struct dw_str bytes)
{
	const struct dw_ring_entry entry = {
		.seq = record->seq, .n = record->n, .at = record->at, .flags = dw_hash_of(record->to) /* who it is to */
	};

	if (room->direct == NULL)
		room->direct = new_log(room->all->queue_limit * DW_HISTORY_TIMES);
	if (room->direct == NULL)
		return DW_E_NOMEM;
	if (dw_room_is_crowded(room))
		drop_direct(room);
	if (record->type.n > 0)
		room->direct_at = record->at;
	return dw_ring_append(room->direct, &entry, bytes.p, bytes.n);
}

static int
append_direct(struct dw_room *room, const struct dw_record *record, struct dw_str bytes)
{
	struct dw_member *member = dw_room_get_member(room, record->to);
	int err = member != NULL ? add_direct(room, record, bytes) : DW_E_NOMEM;

	if (err != DW_OK)
		return err;
	member->own = record->own;
	if (member->own - member->first_own >= room->all->queue_limit)
		member->first_own = member->own + 1 - room->all->queue_limit;
	dw_room_count_direct(room, member);
	return DW_OK;
}

static int
load_users(struct dw_room *room, const struct dw_buf *rows)
{
	const struct dw_user_row *row = (const void *)rows->data;

	for (size_t left = rows->len / sizeof(*row); left > 0; left--, row++) {
		struct dw_member *member = dw_room_get_member(room, dw_str(row->user));

		if (member == NULL)
			return DW_E_NOMEM;
		member->own = row->own;
		member->first_own = row->own + 1;
	}
	return DW_OK;
}

static int
load_owners(struct dw_room *room, const struct dw_buf *rows)
{
	const struct dw_owner_row *row = (const void *)rows->data;
	int err = DW_OK;

	for (size_t left = rows->len / sizeof(*row); left > 0 && err == DW_OK; left--, row++)
		err = dw_room_own(room, dw_str(row->user), row->state);
	return err;
}

static int
fill_direct(struct dw_room *room, struct dw_str records)
{
	uint64_t seq = 0;

	room->direct_at = room->direct_gone = 0;
	while (records.n > 0) {
		struct dw_str bytes = records;
		struct dw_member *member;
		struct dw_record record;
		int err = dw_record_next(&records, &record);

		member = err == DW_OK ? dw_room_member(room, record.to) : NULL;
		if (member == NULL || record.seq <= seq || record.seq > room->head || record.own == 0 ||
			record.own > member->own)
			return DW_E_CORRUPT;
		seq = record.seq;
		if (record.type.n > 0 && record.own < member->first_own)
			member->first_own = record.own;
		bytes.n -= records.n;
		err = add_direct(room, &record, bytes);
		if (err != DW_OK)
			return err;
	}
	/* As many as the engine gives: there may have been more. */
	if (dw_room_is_crowded(room))
		room->direct_gone = dw_ring_entry(room->direct, dw_ring_first(room->direct))->seq - 1;
	return DW_OK;
}

int
dw_room_load(struct dw_room *room, const struct dw_op *load, uint64_t now)
{
	const struct dw_room before = *room;
	struct dw_ring *log = new_log(room->all->queue_limit);
	int err;

	assert(room->log == NULL && load->kind == DW_OP_LOAD);
	if (log == NULL)
		return DW_E_NOMEM;
	room->n = load->read.summary.n;
	room->head = load->read.summary.head;
	room->head_at = load->read.summary.head_at;
	room->device_count = 0;
	err = fill_log(room, log, dw_bytes(load->read.records.data, load->read.records.len));
	if (err == DW_OK)
		err = load_users(room, &load->read.users);
	if (err == DW_OK)
		err = fill_direct(room, dw_bytes(load->read.directs.data, load->read.directs.len));
	if (err == DW_OK)
		err = dw_room_load_cursors(room, &load->read.cursors);
	if (err == DW_OK)
		err = load_owners(room, &load->read.owners);
	if (err != DW_OK) {
		struct dw_gone *gone = room->gone;

		dw_room_free_members(room);
		dw_ring_destroy(&log);
		dw_ring_destroy(&room->direct);
		*room = before;
		room->gone = gone;
		return err;
	}
	room->log = log;
	room->prune_at = 0;
	room->oldest_n = room->n + 1 - dw_ring_count(log);
	dw_room_count_anew(room);
	if (before.n > 0 && room->oldest_n > before.oldest_n)
		room->all->dropped_expired += room->oldest_n - before.oldest_n;
	dw_room_expire(room, now);
	dw_room_prune(room, now);
	return DW_OK;
}

bool
dw_room_resident(const struct dw_room *room)
{
	return room->log != NULL;
}

void
dw_room_unload(struct dw_room *room)
{
	const struct dw_member *member;
	const struct dw_device *device;

	assert(room->session_count == 0 && room->dirty == NULL && room->gone == NULL && room->readers == NULL);
	room->prune_at = 0;
	room->low_n = UINT64_MAX;
	DW_EACH_DEVICE(room, member, device)
	{
		room->low_n = dw_less(room->low_n, dw_n(device->at));
		dw_room_note_age(room, device);
	}
	dw_room_free_members(room);
	dw_ring_destroy(&room->log);
	dw_ring_destroy(&room->direct);
	dw_room_sum_up(room);
}

size_t
dw_room_memory(const struct dw_room *room)
{
	/* Its id or name, its place in a table and malloc's own, roughly. */
	enum { EACH_MORE = 64 };

	if (room->log == NULL)
		return 0;
	return dw_ring_memory(room->log) + dw_ring_memory(room->direct) +
		   room->member_count * (sizeof(struct dw_member) + EACH_MORE) +
		   room->device_count * (sizeof(struct dw_device) + EACH_MORE);
}

/* A message to everyone. */
static int
append_numbered(struct dw_room *room, const struct dw_record *record, struct dw_str bytes)
{
	if (dw_room_retained(room) >= room->all->queue_limit) {
		dw_room_drop_numbered(room);
		room->all->dropped_limit++;
	}
	if (room->log != NULL) {
		const struct dw_ring_entry entry = { .seq = record->seq, .n = record->n, .at = record->at };
		int err = dw_ring_append(room->log, &entry, bytes.p, bytes.n);

		if (err != DW_OK)
			return err;
	}
	room->mixed |= !dw_record_plain(record);
	/* Nothing retained: what came before this one, if anything, is not to be counted. */
	if (room->oldest_n > room->n)
		room->oldest_n = record->n;
	room->n = record->n;
	if (room->ahead > 0)
		dw_room_count_anew(room);
	assert(room->log == NULL || dw_room_retained(room) == dw_ring_count(room->log));
	return DW_OK;
}

int
dw_room_append(struct dw_room *room, const struct dw_record *record, struct dw_str bytes, uint64_t now)
{
	int err = DW_OK;

	if (record->seq <= room->head)
		return DW_OK;
	dw_room_expire(room, now);
	if (record->to.n == 0)
		err = append_numbered(room, record, bytes);
	else if (room->log != NULL)
		err = append_direct(room, record, bytes);
	else
		room->direct_at = record->at;
	if (err != DW_OK)
		return err;
	room->head = record->seq;
	room->head_at = record->at;
	dw_room_sum_up(room);
	return DW_OK;
}

/* When a log's oldest message was stored; UINT64_MAX: there is none. */
static uint64_t
first_at(const struct dw_ring *log)
{
	return dw_ring_count(log) > 0 ? dw_ring_entry(log, dw_ring_first(log))->at : UINT64_MAX;
}

void
dw_room_expire(struct dw_room *room, uint64_t now)
{
	const uint64_t ttl = room->all->queue_ttl_ms, at = now - ttl, before = room->oldest_n;

	if (now < ttl)
		return;
	while (first_at(room->direct) < at)
		drop_direct(room);
	while (
		room->log != NULL && room->oldest_n <= room->n && dw_ring_entry(room->log, dw_ring_first(room->log))->at < at)
		dw_room_drop_numbered(room);
	/* Of a summary: when its newest message is over its age, all are. */
	if (room->log == NULL && room->direct_at < at)
		room->direct_queued = 0;
	if (room->log == NULL && room->head_at < at)
		room->oldest_n = room->n + 1;
	if (room->direct_at < at)
		room->direct_at = 0;
	room->uneven = room->uneven || room->log == NULL;
	dw_room_even_out(room);
	room->all->dropped_expired += room->oldest_n - before;
}

uint64_t
dw_room_next_age(const struct dw_room *room)
{
	uint64_t at = dw_less(first_at(room->log), first_at(room->direct));

	if (room->log == NULL && dw_room_retained(room) > 0)
		at = room->head_at;
	if (room->direct_at > 0)
		at = dw_less(at, room->direct_at);
	if (at < UINT64_MAX)
		at += room->all->queue_ttl_ms + 1;
	return room->prune_at > 0 ? dw_less(at, room->prune_at) : at;
}

bool
dw_room_forgettable(const struct dw_room *room, uint64_t now)
{
	return dw_room_retained(room) == 0 && room->device_count == 0 &&
		   (room->direct_at == 0 || room->direct_at + room->all->queue_ttl_ms < now);
}
