/* The rows of each view of STAT (see on_stat.c for their columns). All from memory: what is kept as a number, or one
 * room, user, peer, member or message after another, as scan.c asks. Ids and counts only, never what a message says.
 */
#include "tables/scan.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "hub.h"
#include "peers/peers.h"
#include "rooms/rooms.h"

enum { SORT_EVERY_MS = 1000 };
/* Whether a device has a message is asked faster than a room looked at, and a byte copied. */
enum { DEVICES_A_STEP = 32, BYTES_A_STEP = 4096 };

static int
compare_times(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static double
percentile_ms(const uint64_t *sorted, size_t count, size_t percent)
{
	const size_t at = (count - 1) * percent / 100;

	return (double)sorted[at] / 1000.0;
}

/* Of the latest commits. To sort them takes longer than all else here, so what it gave is good for a while. */
static void
add_commit_times(struct table *table, struct counters *counters)
{
	const size_t count = counters->commits < HUB_COMMITS ? (size_t)counters->commits : HUB_COMMITS;
	const uint64_t now = dw_mono_ms();

	if (counters->commits != counters->sorted &&
		(counters->sorted == 0 || now >= counters->sorted_at + SORT_EVERY_MS)) {
		uint64_t sorted[HUB_COMMITS];

		memcpy(sorted, counters->commit_us, count * sizeof(sorted[0]));
		qsort(sorted, count, sizeof(sorted[0]), compare_times);
		counters->p50_ms = percentile_ms(sorted, count, 50);
		counters->p99_ms = percentile_ms(sorted, count, 99);
		counters->sorted = counters->commits;
		counters->sorted_at = now;
	}
	table_real(table, counters->p50_ms);
	table_real(table, counters->p99_ms);
	table_real(table, (double)counters->commit_us_max / 1000.0);
}

void
stat_summary(struct hub *hub, struct table *table, const struct dw_room *room)
{
	struct counters *counters = &hub->counters;
	const struct dw_rooms *rooms = &hub->rooms_shared;

	(void)room;
	table_text(table, DW_VERSION);
	table_number(table, (dw_mono_ms() - hub->started) / 1000);
	table_text(table, hub->info.epoch);
	table_number(table, hub->info.head);
	table_number(table, rooms->watched);
	table_number(table, hub->resident_count);
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
	(void)table_end_row(table);
}

static void
add_oldest_queued(struct table *table, const struct dw_room *room, uint64_t now)
{
	uint64_t at = dw_room_oldest_queued_at(room);

	if (at == 0)
		table_nil(table);
	else
		table_number(table, now > at ? (now - at) / 1000 : 0);
}

static void
add_room(struct table *table, const struct dw_room *room, uint64_t now)
{
	table_text(table, room->name);
	table_number(table, room->session_count);
	table_number(table, room->device_count);
	table_number(table, dw_room_queued(room));
	table_number(table, dw_room_retained(room));
	table_number(table, room->n);
	table_number(table, room->head);
	add_oldest_queued(table, room, now);
	if (room->log != NULL && dw_ring_first(room->log) != dw_ring_end(room->log))
		table_number(table, dw_ring_entry(room->log, dw_ring_first(room->log))->seq);
	else
		table_nil(table);
	table_number(table, room->sent);
	table_number(table, room->confirmed);
}

void
stat_room(struct hub *hub, struct table *table, const struct dw_room *room)
{
	(void)hub;
	add_room(table, room, dw_now_ms());
	(void)table_end_row(table);
}

static void
add_message(struct table *table, const struct dw_room *room, const struct dw_record *record, uint64_t now)
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
	(void)table_end_row(table);
}

size_t
scan_messages(struct hub *hub, struct scan_point *at, struct table *table, bool last)
{
	const struct dw_room *room = at->of;
	const uint64_t now = dw_now_ms();
	struct dw_buf bytes = { 0 };
	struct dw_record record;
	struct dw_str rest;
	size_t cost;

	if (last)
		return 0;
	(void)dw_room_read(room, NULL, &at->position, 1, DW_WIRE_BATCH_MAX, now, &bytes);
	rest = (struct dw_str) { bytes.data, bytes.len };
	if (!dw_buf_ok(&bytes))
		hub->fatal = DW_E_NOMEM;
	else if (dw_record_next(&rest, &record) == DW_OK && !dw_record_dead(&record, now))
		add_message(table, room, &record, now);
	cost = bytes.len > 0 ? 1 + room->device_count / DEVICES_A_STEP + bytes.len / BYTES_A_STEP : 0;
	dw_buf_clear(&bytes);
	return cost;
}

size_t
scan_rooms(struct hub *hub, struct scan_point *at, struct table *table, bool last)
{
	struct dw_room *room = at->room = rooms_next(hub, at->room, last);

	if (room == NULL)
		return 0;
	if (room->session_count > 0 || dw_room_retained(room) > 0) {
		add_room(table, room, dw_now_ms());
		(void)table_end_row(table);
	}
	return 1;
}

size_t
scan_queues(struct hub *hub, struct scan_point *at, struct table *table, bool last)
{
	struct dw_room *room = at->room = rooms_next(hub, at->room, last);

	if (room == NULL)
		return 0;
	if (dw_room_queued(room) > 0) {
		table_text(table, room->name);
		table_number(table, dw_room_queued(room));
		add_oldest_queued(table, room, dw_now_ms());
		table_number(table, room->device_count - room->device_connected);
		(void)table_end_row(table);
	}
	return 1;
}

static uint64_t
count_sessions(const struct dw_device *device)
{
	const struct dw_session *session;
	uint64_t count;

	LL_COUNT(device->sessions, session, count);
	return count;
}

size_t
scan_devices(struct hub *hub, struct scan_point *at, struct table *table, bool last)
{
	struct dw_room *room = at->of;
	const uint64_t now = dw_now_ms();
	const struct dw_member *member = at->member = dw_room_next_member(room, at->member, last);
	const struct dw_device *device;

	(void)hub;
	if (member == NULL)
		return 0;
	LL_FOREACH(member->devices, device)
	{
		const uint64_t connected = count_sessions(device);

		table_text(table, member->user);
		table_text(table, device->id);
		table_number(table, connected);
		table_number(table, dw_seq(device->at));
		table_number(table, dw_room_behind(room, dw_n(device->at)));
		table_number(table, connected > 0 || now < device->seen ? 0 : (now - device->seen) / 1000);
		if (!table_end_row(table))
			break;
	}
	return 1 + member->device_count;
}

size_t
scan_edges(struct hub *hub, struct scan_point *at, struct table *table, bool last)
{
	const struct peer *peer = at->peer = last ? NULL : at->peer != NULL ? at->peer->hh.next : hub->peers;

	if (peer == NULL)
		return 0;
	if (peer->known && peer->kind == DW_PEER_EDGE) {
		table_text(table, peer->name);
		table_number(table, peer->incarnation);
		table_number(table, peer->sessions);
		table_number(table, peer->reader_count);
		table_number(table, HUB_WINDOW - (peer->sent - peer->credited));
		table_number(table, peer->late);
		table_number(table, (dw_mono_ms() - peer->since) / 1000);
		(void)table_end_row(table);
	}
	return 1;
}

size_t
scan_users(struct hub *hub, struct scan_point *at, struct table *table, bool last)
{
	struct dw_present *present = at->present = dw_rooms_next_present(&hub->rooms_shared, at->present, last);

	if (present == NULL)
		return 0;
	if (present->sessions > 0) {
		table_text(table, present->user);
		table_number(table, present->sessions);
		(void)table_end_row(table);
	}
	return 1;
}
