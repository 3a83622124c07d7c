/* The rows of each view of STAT (see on_stat.c for their columns). All from memory: one pass over the rooms,
 * the peers, or one room's devices. Ids and counts only, never what a message says.
 */
#include "stat.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "diagws/clock.h"

static int
compare_times(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static double
percentile_ms(const uint64_t *sorted, size_t count, size_t percent)
{
	size_t index = count > 0 ? (count - 1) * percent / 100 : 0;

	return count > 0 ? (double)sorted[index] / 1000.0 : 0;
}

/* Of the latest commits. */
static void
add_commit_times(struct table *table, const struct counters *counters)
{
	uint64_t sorted[HUB_COMMITS];
	size_t count = counters->commits < HUB_COMMITS ? (size_t)counters->commits : HUB_COMMITS;

	memcpy(sorted, counters->commit_us, count * sizeof(sorted[0]));
	qsort(sorted, count, sizeof(sorted[0]), compare_times);
	table_real(table, percentile_ms(sorted, count, 50));
	table_real(table, percentile_ms(sorted, count, 99));
	table_real(table, (double)counters->commit_us_max / 1000.0);
}

void
stat_summary(struct hub *hub, struct table *table, struct dw_room *room)
{
	const struct counters *counters = &hub->counters;
	const struct dw_rooms *rooms = &hub->rooms_shared;

	(void)room;
	table_text(table, DW_VERSION);
	table_number(table, (dw_mono_ms() - hub->started) / 1000);
	table_text(table, hub->info.epoch);
	table_number(table, hub->info.head);
	table_number(table, rooms->watched);
	table_number(table, hub->resident);
	table_number(table, rooms->sessions);
	table_number(table, hub->edges);
	table_number(table, hub->clients);
	table_number(table, counters->received);
	table_number(table, counters->stored);
	table_number(table, counters->rejected);
	table_number(table, counters->duplicates);
	table_number(table, rooms->queued);
	table_number(table, rooms->retained);
	table_number(table, rooms->dropped_limit);
	table_number(table, rooms->dropped_expired);
	table_number(table, counters->commits);
	add_commit_times(table, counters);
	table_number(table, hub->info.bytes);
	table_number(table, hub->staged_bytes);
	table_number(table, rooms->sent);
	table_number(table, rooms->confirmed);
	table_number(table, hub->waiting);
	table_number(table, !hub->store_full);
	(void)table_row(table);
}

static void
add_oldest_queued(struct table *table, struct dw_room *room, uint64_t now)
{
	uint64_t at = dw_room_oldest_queued_at(room);

	if (at == 0)
		table_nil(table);
	else
		table_number(table, now > at ? (now - at) / 1000 : 0);
}

static void
add_room(struct table *table, struct dw_room *room, uint64_t now)
{
	table_text(table, room->name);
	table_number(table, room->session_count);
	table_number(table, room->device_count);
	table_number(table, dw_room_queued(room));
	table_number(table, dw_room_retained(room));
	table_number(table, room->n);
	table_number(table, room->head);
	add_oldest_queued(table, room, now);
	if (room->log != NULL && dw_log_first(room->log) != dw_log_end(room->log))
		table_number(table, dw_log_entry(room->log, dw_log_first(room->log))->seq);
	else
		table_nil(table);
	table_number(table, room->sent);
	table_number(table, room->confirmed);
}

void
stat_room(struct hub *hub, struct table *table, struct dw_room *room)
{
	(void)hub;
	add_room(table, room, dw_now_ms());
	(void)table_row(table);
}

static void
stat_message(struct table *table, const struct dw_room *room, const struct dw_record *record, uint64_t now)
{
	const struct dw_receipts receipts = dw_room_receipts(room, dw_record_number(record), record->to, record->except);

	table_number(table, record->seq);
	if (record->to.n > 0)
		table_nil(table);
	else
		table_number(table, record->n);
	table_str(table, record->id);
	table_str(table, record->type);
	table_number(table, record->data.n);
	table_number(table, now > record->at ? (now - record->at) / 1000 : 0);
	table_number(table, receipts.sent);
	table_number(table, receipts.delivered);
	table_number(table, record->to.n > 0);
}

void
stat_messages(struct hub *hub, struct table *table, struct dw_room *room)
{
	const uint64_t now = dw_now_ms();
	struct dw_position at = dw_position_start();
	struct dw_buf records = { 0 };
	bool more = true;

	while (more && !hub->fatal) {
		struct dw_record record;
		struct dw_str rest;

		dw_buf_reset(&records);
		more = dw_room_read(room, NULL, &at, SIZE_MAX, DW_WIRE_BATCH_MAX, now, &records);
		rest = (struct dw_str) { records.data, records.len };
		while (dw_buf_ok(&records) && dw_record_next(&rest, &record) == DW_OK) {
			if (dw_record_dead(&record, now))
				continue;
			stat_message(table, room, &record, now);
			if (!table_row(table))
				more = false;
		}
	}
	dw_buf_clear(&records);
}

void
stat_rooms(struct hub *hub, struct table *table, struct dw_room *unused)
{
	const uint64_t now = dw_now_ms();
	struct dw_room *room, *next;

	(void)unused;
	HASH_ITER(hh, hub->rooms, room, next)
	{
		if (room->session_count == 0 && dw_room_retained(room) == 0)
			continue;
		add_room(table, room, now);
		if (!table_row(table))
			return;
	}
}

static uint64_t
behind(const struct dw_room *room, uint64_t n)
{
	uint64_t from = n < room->oldest_n - 1 ? room->oldest_n - 1 : n;

	return from < room->n ? room->n - from : 0;
}

static uint64_t
count_sessions(const struct dw_device *device)
{
	const struct dw_session *session;
	uint64_t count;

	LL_COUNT(device->sessions, session, count);
	return count;
}

void
stat_devices(struct hub *hub, struct table *table, struct dw_room *room)
{
	const struct dw_member *member;
	uint64_t now = dw_now_ms();

	(void)hub;
	DL_FOREACH(room->members, member)
	{
		const struct dw_device *device;

		LL_FOREACH(member->devices, device)
		{
			uint64_t connected = count_sessions(device);

			table_text(table, member->user);
			table_text(table, device->id);
			table_number(table, connected);
			table_number(table, dw_seq(device->at));
			table_number(table, behind(room, dw_n(device->at)));
			table_number(table, connected > 0 || now < device->seen ? 0 : (now - device->seen) / 1000);
			if (!table_row(table))
				return;
		}
	}
}

void
stat_edges(struct hub *hub, struct table *table, struct dw_room *room)
{
	struct peer *peer, *next;
	uint64_t now = dw_mono_ms();

	(void)room;
	HASH_ITER(hh, hub->peers, peer, next)
	{
		const struct dw_reader *reader;
		uint64_t late = 0;

		if (!peer->known || peer->kind != DW_PEER_EDGE)
			continue;
		DL_FOREACH2(peer->dirty, reader, dirty_next)
		{
			late += behind(reader->room, dw_n(reader->sent));
		}
		table_text(table, peer->name);
		table_number(table, peer->incarnation);
		table_number(table, peer->sessions);
		table_number(table, peer->reader_count);
		table_number(table, HUB_WINDOW - (peer->sent - peer->credited));
		table_number(table, late);
		table_number(table, (now - peer->since) / 1000);
		if (!table_row(table))
			return;
	}
}

void
stat_queues(struct hub *hub, struct table *table, struct dw_room *unused)
{
	const uint64_t now = dw_now_ms();
	struct dw_room *room, *next;

	(void)unused;
	HASH_ITER(hh, hub->rooms, room, next)
	{
		uint64_t queued = dw_room_queued(room);

		if (queued == 0)
			continue;
		table_text(table, room->name);
		table_number(table, queued);
		add_oldest_queued(table, room, now);
		table_number(table, room->device_count - room->device_connected);
		if (!table_row(table))
			return;
	}
}

struct tally {
	UT_hash_handle hh;
	uint64_t connections;
	const char *user; /* lies in a room */
};

static void
count_user(struct tally **tallies, const struct dw_member *member)
{
	const struct dw_device *device;
	struct tally *tally;
	uint64_t connections = 0;

	LL_FOREACH(member->devices, device)
	{
		connections += count_sessions(device);
	}
	if (connections == 0)
		return;
	HASH_FIND(hh, *tallies, member->user, strlen(member->user), tally);
	if (tally == NULL) {
		tally = calloc(1, sizeof(*tally));
		if (tally == NULL)
			return;
		tally->user = member->user;
		HASH_ADD_KEYPTR(hh, *tallies, tally->user, strlen(tally->user), tally);
	}
	tally->connections += connections;
}

void
stat_users(struct hub *hub, struct table *table, struct dw_room *unused)
{
	struct tally *tallies = NULL, *tally, *next_tally;
	struct dw_room *room, *next;

	(void)unused;
	HASH_ITER(hh, hub->rooms, room, next)
	{
		const struct dw_member *member;

		if (room->session_count == 0)
			continue;
		DL_FOREACH(room->members, member)
		{
			count_user(&tallies, member);
		}
	}
	tally = tallies;
	HASH_CLEAR(hh, tallies);
	for (; tally != NULL; tally = next_tally) {
		next_tally = tally->hh.next;
		if (!table->more) {
			table_text(table, tally->user);
			table_number(table, tally->connections);
			(void)table_row(table);
		}
		free(tally);
	}
}
