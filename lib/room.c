/* A room's life, its messages, and what is counted about it.
 *
 * Its own file because this is the part that every room has, read or not; members and devices are in
 * room_member.c, joins and confirmations in room_join.c.
 *
 * Happy path: summarized at the start, loaded when somebody joins, appended to after each commit,
 * expired by age, unloaded when nobody has been there for long. A room that is not resident keeps
 * counting: n, head, how many are retained.
 *
 * Failure modes: memory only. Invariants: oldest_n ≤ n + 1; a resident log holds exactly n - oldest_n + 1
 * entries, whose n have no hole.
 */
#include "diagws/room.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room_parts.h"

/* More than any record needs beside its data; and twice that, so that the log's bound in bytes is never
 * what drops a message. */
enum { RECORD_MORE = 1024, SLACK = 2 };

struct dw_room *
dw_room_new(struct dw_rooms *all, const char *name)
{
	struct dw_room *room = calloc(1, sizeof(*room));

	if (room == NULL)
		return NULL;
	room->all = all;
	room->oldest_n = 1;
	(void)dw_str_copy(dw_str(name), room->name, sizeof(room->name));
	return room;
}

static void
free_gone(struct dw_room *room)
{
	struct dw_gone *gone, *next;

	DL_FOREACH_SAFE(room->gone, gone, next)
	{
		free(gone);
	}
	room->gone = NULL;
}

void
dw_room_destroy(struct dw_room **room_p)
{
	struct dw_room *room = *room_p;
	struct dw_session *session, *next_session;
	struct dw_reader *reader, *next_reader;

	if (room == NULL)
		return;
	HASH_ITER(hh, room->sessions, session, next_session)
	{
		dw_room_leave(room, session, 0);
	}
	DL_FOREACH_SAFE(room->readers, reader, next_reader)
	{
		dw_room_drop_reader(room, reader);
	}
	dw_room_free_members(room);
	free_gone(room);
	dw_log_destroy(&room->log);
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
	dw_room_expire(room, now);
}

bool
dw_room_count_cursor(struct dw_room *room, const struct dw_cursor *cursor, uint64_t now)
{
	uint64_t end = dw_room_device_end(room->all, cursor->derived, cursor->seen, cursor->expires);

	if (end <= now)
		return false;
	if (room->device_count == 0 || cursor->n < room->low_n)
		room->low_n = cursor->n;
	if (room->prune_at == 0 || end < room->prune_at)
		room->prune_at = end;
	room->device_count++;
	return true;
}

/* After the log changed. */
static void
note_oldest(struct dw_room *room)
{
	uint64_t first = dw_log_first(room->log);

	room->oldest_n = first == dw_log_end(room->log) ? room->n + 1 : dw_log_entry(room->log, first)->n;
}

/* The records must be what the summary says: growing in seq, without a hole in n, up to its n. */
static int
fill_log(const struct dw_room *room, struct dw_log *log, struct dw_str records)
{
	struct dw_record record;
	uint64_t seq = 0, n = 0;

	while (records.n > 0) {
		struct dw_str before = records;
		struct dw_log_entry entry;
		int err = dw_record_next(&records, &record);

		if (err != DW_OK || record.seq <= seq || record.seq > room->head || (n > 0 && record.n != n + 1))
			return DW_E_CORRUPT;
		seq = record.seq;
		n = record.n;
		entry = (struct dw_log_entry) { .seq = seq, .n = n, .at = record.at };
		err = dw_log_append(log, &entry, before.p, before.n - records.n);
		if (err != DW_OK)
			return err;
	}
	return n == 0 || n == room->n ? DW_OK : DW_E_CORRUPT;
}

static struct dw_log *
new_log(const struct dw_rooms *all)
{
	return dw_log_new(all->queue_limit, all->queue_limit * (DW_DATA_MAX + RECORD_MORE) * SLACK);
}

int
dw_room_load(struct dw_room *room, const struct dw_op *load, uint64_t now)
{
	const struct dw_room before = *room;
	struct dw_log *log = new_log(room->all);
	int err;

	assert(room->log == NULL && load->kind == DW_OP_LOAD);
	if (log == NULL)
		return DW_E_NOMEM;
	room->n = load->read.summary.n;
	room->head = load->read.summary.head;
	room->head_at = load->read.summary.head_at;
	room->device_count = 0;
	err = fill_log(room, log, (struct dw_str) { load->read.records.data, load->read.records.len });
	if (err == DW_OK)
		err = dw_room_load_cursors(room, (const struct dw_cursor *)(const void *)load->read.cursors.data,
			load->read.cursors.len / sizeof(struct dw_cursor));
	if (err == DW_OK)
		err = dw_room_load_owners(room, (const struct dw_owner_row *)(const void *)load->read.owners.data,
			load->read.owners.len / sizeof(struct dw_owner_row));
	if (err != DW_OK) {
		struct dw_gone *gone = room->gone;

		dw_room_free_members(room);
		dw_log_destroy(&log);
		*room = before;
		room->gone = gone;
		return err;
	}
	room->log = log;
	room->low_stale = true;
	room->prune_at = 0;
	note_oldest(room);
	if (before.n > 0 && room->oldest_n > before.oldest_n)
		room->all->dropped_expired += room->oldest_n - before.oldest_n;
	/* Fewer than the limit keeps: the others went by age. */
	room->dropped_by_age = dw_room_retained(room) < room->all->queue_limit;
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
	struct dw_member *member, *next;

	assert(room->session_count == 0 && room->dirty == NULL && room->gone == NULL && room->readers == NULL);
	(void)dw_room_queued(room);
	room->prune_at = 0;
	HASH_ITER(hh, room->members, member, next)
	{
		const struct dw_device *device;

		DL_FOREACH(member->devices, device)
		{
			uint64_t end = dw_room_device_end(room->all, device->derived, device->seen, device->expires);

			if (room->prune_at == 0 || end < room->prune_at)
				room->prune_at = end;
		}
	}
	dw_room_free_members(room);
	dw_log_destroy(&room->log);
}

size_t
dw_room_memory(const struct dw_room *room)
{
	/* A hash handle's bucket and malloc's own, roughly. */
	enum { EACH_MORE = 64 };

	if (room->log == NULL)
		return 0;
	return dw_log_memory(room->log) + HASH_COUNT(room->members) * (sizeof(struct dw_member) + EACH_MORE) +
		   room->device_count * (sizeof(struct dw_device) + EACH_MORE);
}

int
dw_room_append(struct dw_room *room, uint64_t seq, uint64_t n, uint64_t at, struct dw_str record, uint64_t now)
{
	uint64_t oldest_n;

	if (seq <= room->head)
		return DW_OK;
	dw_room_expire(room, now);
	/* Nothing retained: what came before this one, if anything, is not to be counted. */
	oldest_n = room->oldest_n > room->n ? n : room->oldest_n;
	if (room->log != NULL) {
		struct dw_log_entry entry = { .seq = seq, .n = n, .at = at };
		int err = dw_log_append(room->log, &entry, record.p, record.n);

		if (err != DW_OK)
			return err;
	}
	room->n = n;
	room->head = seq;
	room->head_at = at;
	room->oldest_n = oldest_n;
	if (dw_room_retained(room) > room->all->queue_limit) {
		room->oldest_n++;
		room->all->dropped_limit++;
		room->dropped_by_age = false;
	}
	assert(room->log == NULL || dw_room_retained(room) == dw_log_end(room->log) - dw_log_first(room->log));
	return DW_OK;
}

void
dw_room_expire(struct dw_room *room, uint64_t now)
{
	uint64_t ttl = room->all->queue_ttl_ms, before = room->oldest_n;

	if (now < ttl || room->oldest_n > room->n)
		return;
	if (room->log != NULL) {
		dw_log_expire(room->log, now - ttl);
		note_oldest(room);
	} else if (room->head_at < now - ttl) {
		room->oldest_n = room->n + 1;
	}
	if (room->oldest_n > before) {
		room->all->dropped_expired += room->oldest_n - before;
		room->dropped_by_age = true;
	}
}

uint64_t
dw_room_retained(const struct dw_room *room)
{
	return room->n + 1 - room->oldest_n;
}

static void
find_low(struct dw_room *room)
{
	struct dw_member *member, *next;
	bool any = false;

	room->low_n = 0;
	HASH_ITER(hh, room->members, member, next)
	{
		const struct dw_device *device;

		DL_FOREACH(member->devices, device)
		{
			if (!any || device->at.n < room->low_n)
				room->low_n = device->at.n;
			any = true;
		}
	}
	room->low_stale = false;
}

uint64_t
dw_room_queued(struct dw_room *room)
{
	uint64_t from;

	if (room->log != NULL && room->low_stale)
		find_low(room);
	from = room->device_count > 0 ? room->low_n : 0;
	if (from < room->oldest_n - 1)
		from = room->oldest_n - 1;
	return from < room->n ? room->n - from : 0;
}

uint64_t
dw_room_oldest_queued_at(struct dw_room *room)
{
	uint64_t queued = dw_room_queued(room);

	if (room->log == NULL || queued == 0)
		return 0;
	return dw_log_entry(room->log, dw_log_end(room->log) - queued)->at;
}
