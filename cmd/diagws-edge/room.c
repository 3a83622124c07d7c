/* Rooms of the edge: the hub's messages become frames in a ring, once for all who watch.
 *
 * Happy path: room_take renders each record and appends it; at most each CONFIRM_MS a PING follows;
 * the room is marked dirty, and rooms_flush lets every watch write from its own position.
 * Failure modes: a stream that does not follow (frames were lost on the way): said to the caller, who
 * starts over from positions; no memory: likewise. Numbers that jump are told to the clients as a gap.
 */
#include "room.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "diagws/clock.h"
#include "edge.h"
#include "watch.h"

static void owe_ping(struct room *room);

static void
fire_ping(struct wheel_timer *timer)
{
	struct room *room = (struct room *)((char *)timer - offsetof(struct room, ping));

	owe_ping(room);
	rooms_flush(room->edge);
}

struct room *
room_find(struct edge *edge, struct dw_str id)
{
	struct room *room;

	HASH_FIND(hh, edge->rooms.by_id, id.p, id.n, room);
	return room;
}

struct room *
room_get(struct edge *edge, const char *id)
{
	struct room *room = room_find(edge, dw_str(id));

	if (room != NULL)
		return room;
	room = calloc(1, sizeof(*room));
	if (room == NULL)
		return NULL;
	room->edge = edge;
	room->ping.fire = fire_ping;
	(void)dw_str_copy(dw_str(id), room->id, sizeof(room->id));
	HASH_ADD_KEYPTR(hh, edge->rooms.by_id, room->id, strlen(room->id), room);
	return room;
}

void
room_release(struct room *room)
{
	struct edge *edge = room->edge;

	if (room->readers != NULL || room->parked != NULL)
		return;
	room_stream_end(room);
	if (room->dirty)
		LL_DELETE2(edge->rooms.dirty, room, next_dirty);
	HASH_DEL(edge->rooms.by_id, room);
	free(room);
}

void
room_stream_begin(struct room *room, struct position at)
{
	room->streaming = true;
	room->start = room->head = room->pinged = at;
	room->counted = at.n;
	room->base = 0;
}

void
room_rewind(struct room *room, struct position at)
{
	room_stream_begin(room, at);
	if (room->ring == NULL)
		return;
	/* Indexes go on, so that those who were at its end are so still. */
	dw_log_expire(room->ring, UINT64_MAX);
	room->base = dw_log_end(room->ring);
}

void
room_stream_end(struct room *room)
{
	room->streaming = false;
	wheel_cancel(&room->ping);
	dw_log_destroy(&room->ring);
}

void
room_render(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record)
{
	dw_buf_reset(&rooms->json);
	dw_record_to_json(&rooms->json, dw_str(room), record);
	frame_text(out, (struct dw_str) { rooms->json.data, rooms->json.len });
	out->failed |= rooms->json.failed;
}

static void
render_gap(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_direct_gap *gap, bool direct)
{
	struct dw_buf *json = &rooms->json;
	char now[DW_TIME_SIZE];

	dw_time_text(dw_now_ms(), now);
	dw_buf_reset(json);
	dw_buf_adds(json, "{\"type\":\"gap\",\"diagnosis_id\":");
	dw_id_to_json(json, dw_str(room));
	dw_buf_addf(json, ",\"timestamp\":\"%s\",\"data\":{\"from\":%llu,\"to\":%llu,\"count\":%llu,\"reason\":\"%s\"%s}}",
		now, (unsigned long long)gap->from, (unsigned long long)gap->to, (unsigned long long)gap->count,
		dw_gap_text(gap->reason), direct ? ",\"direct\":true" : "");
	frame_text(out, (struct dw_str) { json->data, json->len });
	out->failed |= json->failed;
}

void
room_render_gap(struct rooms *rooms, struct dw_buf *out, const char *room, uint64_t from, uint64_t to, uint64_t reason)
{
	const struct dw_direct_gap gap = { .from = from, .to = to, .count = to - from + 1, .reason = reason };

	render_gap(rooms, out, room, &gap, false);
}

void
room_render_expired(struct rooms *rooms, struct dw_buf *out, const char *room, uint64_t n, bool direct)
{
	const struct dw_direct_gap gap = { .from = n, .to = n, .count = 1, .reason = DW_GAP_EXPIRED };

	render_gap(rooms, out, room, &gap, direct);
}

void
room_render_direct_gap(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_direct_gap *gap)
{
	if (gap->count > 0)
		render_gap(rooms, out, room, gap, true);
}

/* Before a frame that is not for all, or not for ever: who gets it, until when. */
struct prefix {
	uint64_t except, expires_at;
	uint8_t to_size;
	char to[DW_USER_MAX];
};

static void
add_condition(struct dw_buf *out, const struct dw_record *record)
{
	struct prefix prefix = { .except = record->except, .expires_at = record->expires_at };

	prefix.to_size = (uint8_t)record->to.n;
	memcpy(prefix.to, record->to.p, record->to.n);
	dw_buf_add(out, &prefix, offsetof(struct prefix, to) + record->to.n);
}

struct dw_str
room_condition(struct dw_str bytes, struct condition *condition)
{
	struct prefix prefix;
	const size_t fixed = offsetof(struct prefix, to);
	size_t size;

	memcpy(&prefix, bytes.p, fixed);
	size = fixed + prefix.to_size;
	condition->to = (struct dw_str) { bytes.p + fixed, prefix.to_size };
	condition->except = prefix.except;
	condition->expires_at = prefix.expires_at;
	return (struct dw_str) { bytes.p + size, bytes.n - size };
}

static bool
append(struct room *room, struct position at, uint32_t flags)
{
	struct dw_buf *frame = &room->edge->rooms.frame;
	const struct dw_log_entry entry = { .seq = at.seq, .n = at.n, .flags = flags };

	if (room->ring == NULL)
		room->ring = dw_log_new(UINT32_MAX, LIMIT_RING);
	return room->ring != NULL && dw_buf_ok(frame) &&
		   dw_log_append(room->ring, &entry, frame->data, frame->len) == DW_OK;
}

/* Offers what is new to all who are here. */
static void
push(struct room *room)
{
	struct watch *watch, *next;

	room->unwritten = 0;
	DL_FOREACH_SAFE2(room->readers, watch, next, room_next)
	{
		watch_push(watch);
	}
}

static void
mark_dirty(struct room *room)
{
	if (room->dirty)
		return;
	room->dirty = true;
	LL_PREPEND2(room->edge->rooms.dirty, room, next_dirty);
}

/* A PING behind the newest message, now or when CONFIRM_MS are over. */
static void
owe_ping(struct room *room)
{
	uint64_t now = dw_mono_ms();

	if (!room->streaming || room->pinged.seq == room->head.seq)
		return;
	if (now < room->pinged_at + CONFIRM_MS) {
		if (room->ping.link == NULL)
			wheel_set(&room->edge->wheel, &room->ping, room->pinged_at + CONFIRM_MS);
		return;
	}
	dw_buf_reset(&room->edge->rooms.frame);
	frame_ping(&room->edge->rooms.frame, room->head);
	if (!append(room, room->head, ENTRY_PING))
		return;
	room->pinged = room->head;
	room->pinged_at = now;
	mark_dirty(room);
}

/* What lies between the head and this record the hub has no longer. Some who are here may have been fed with it. */
static bool
take_hole(struct room *room, uint64_t to, uint64_t seq)
{
	struct dw_buf *frame = &room->edge->rooms.frame;

	if (to <= room->counted || room->head.seq == 0)
		return true;
	dw_buf_reset(frame);
	dw_buf_addc(frame, '-');
	room->counted = to;
	room->head = (struct position) { seq, to };
	return append(room, room->head, ENTRY_HOLE);
}

/* Its frame, and how it lies in the ring. Nothing for what nobody gets. */
static uint32_t
render_entry(struct room *room, const struct dw_record *record)
{
	struct rooms *rooms = &room->edge->rooms;

	dw_buf_reset(&rooms->frame);
	if (record->type.n == 0 && record->to.n > 0) {
		add_condition(&rooms->frame, record);
		room_render_expired(rooms, &rooms->frame, room->id, record->n, true);
		return ENTRY_CONDITION;
	}
	if (record->to.n == 0 && dw_record_dead(record, dw_now_ms())) {
		room_render_expired(rooms, &rooms->frame, room->id, record->n, false);
		return 0;
	}
	if (dw_record_plain(record)) {
		room_render(rooms, &rooms->frame, room->id, record);
		return 0;
	}
	add_condition(&rooms->frame, record);
	room_render(rooms, &rooms->frame, room->id, record);
	return ENTRY_CONDITION;
}

static bool
take_record(struct room *room, const struct dw_record *record)
{
	const bool direct = record->to.n > 0;
	struct dw_buf *frame = &room->edge->rooms.frame;
	uint32_t flags;

	if (record->seq <= room->head.seq || (!direct && record->n <= room->counted))
		return false;
	if (!take_hole(room, direct ? record->n : record->n - 1, record->seq - 1))
		return false;
	flags = render_entry(room, record);
	room->head = (struct position) { record->seq, record->n };
	if (record->n > room->counted)
		room->counted = record->n;
	if (frame->len == 0 && dw_buf_ok(frame))
		return true;
	if (!append(room, room->head, flags))
		return false;
	room->unwritten += frame->len;
	/* Or the ring would drop what those who keep up were never offered. */
	if (room->unwritten >= LIMIT_RING / 4)
		push(room);
	return true;
}

bool
room_take(struct room *room, const struct dw_messages *messages)
{
	struct dw_str rest = messages->records;
	struct dw_record record;
	int err;

	if (!room->streaming || messages->prev != room->head.seq)
		return false;
	while ((err = dw_record_next(&rest, &record)) == DW_OK)
		if (!take_record(room, &record))
			return false;
	if (err != DW_E_AGAIN)
		return false;
	mark_dirty(room);
	owe_ping(room);
	return true;
}

bool
room_covers(const struct room *room, uint64_t seq)
{
	if (room->ring == NULL || dw_log_first(room->ring) == room->base)
		return seq >= room->start.seq;
	return seq >= dw_log_entry(room->ring, dw_log_first(room->ring))->seq;
}

void
rooms_flush(struct edge *edge)
{
	while (edge->rooms.dirty != NULL) {
		struct room *room = edge->rooms.dirty;

		LL_DELETE2(edge->rooms.dirty, room, next_dirty);
		room->dirty = false;
		push(room);
	}
}

void
rooms_clear(struct edge *edge)
{
	dw_buf_clear(&edge->rooms.json);
	dw_buf_clear(&edge->rooms.frame);
}
