/* Rooms of the edge: the hub's messages become frames in a ring, once for all who watch.
 *
 * Happy path: room_take renders each record and appends it; now and then a PING follows (confirm.h); the room
 * is queued, and in the edge's turn every watch writes from its own position (fanout.c).
 * Failure modes: a stream that does not follow (frames were lost on the way): said to the caller, who
 * starts over from positions; no memory: likewise. Numbers that jump are told to the clients as a gap.
 */
#include "rooms.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "client/confirm.h"
#include "edge.h"
#include "room/fanout.h"
#include "hub/uplink.h"
#include "client/watch.h"

/* MESSAGES of the hub, from where they could not be taken on. */
struct held {
	struct held *prev, *next;
	struct intake_hold hold;
	struct dw_position follows; /* the position before its first record; looked at when none of it was taken */
	uint64_t reason;            /* of a hole before it */
	bool ask, begun;
	bool moves; /* no MESSAGES: the stream goes on from `follows` */
	size_t size, at;
	char records[];
};

static bool take_hole(struct room *room, struct dw_position at, uint64_t reason);

static void
fire_ping(struct dw_wheel_timer *timer)
{
	struct room *room = (struct room *)((char *)timer - offsetof(struct room, ping));

	confirm_room(room, false);
	uplink_turn(room->edge->uplink);
}

static uint32_t
hash_of(const struct dw_hash_link *link)
{
	return dw_hash_of(dw_str(((const struct room *)(const void *)link)->id));
}

_Static_assert(offsetof(struct room, link) == 0, "a room is its link");

struct room *
room_find(struct edge *edge, struct dw_str id)
{
	struct dw_hash_link *link = dw_hash_chain(&edge->rooms.by_id, dw_hash_of(id));

	for (; link != NULL; link = link->next) {
		struct room *room = (struct room *)(void *)link;

		if (dw_str_is(id, room->id))
			return room;
	}
	return NULL;
}

struct room *
room_get(struct edge *edge, const char *id)
{
	struct room *room = room_find(edge, dw_str(id));

	if (room != NULL)
		return room;
	room = dw_hash_reserve(&edge->rooms.by_id, hash_of) ? calloc(1, sizeof(*room) + strlen(id) + 1) : NULL;
	if (room == NULL)
		return NULL;
	room->edge = edge;
	room->ping.fire = fire_ping;
	memcpy(room->id, id, strlen(id));
	dw_hash_add(&edge->rooms.by_id, &room->link, hash_of(&room->link));
	return room;
}

void
room_release(struct room *room)
{
	struct edge *edge = room->edge;

	if (room->readers != NULL || room->parked != NULL)
		return;
	room_stream_end(room);
	fanout_remove(room);
	dw_hash_remove(&edge->rooms.by_id, &room->link, hash_of(&room->link));
	free(room);
}

void
room_stream_begin(struct room *room, struct dw_position at)
{
	room->streaming = true;
	room->start = dw_seq(at);
	room->head = at;
	room->unasked = 0;
	room->base = 0;
}

uint64_t
room_newest(const struct room *room)
{
	return dw_greater(room->furthest, dw_seq(room->head));
}

static void
rewind_to(struct room *room, struct dw_position at)
{
	room->furthest = room_newest(room);
	room_stream_begin(room, at);
	if (room->ring == NULL)
		return;
	/* Indexes go on, so that those who were at its end are so still. */
	dw_ring_expire(room->ring, UINT64_MAX);
	room->base = dw_ring_end(room->ring);
}

/* The newest position that came, be it only held. */
static uint64_t
stream_end(const struct room *room)
{
	struct dw_record record = { .seq = dw_seq(room->head) };
	struct dw_str rest;

	if (room->held == NULL)
		return dw_seq(room->head);
	if (room->held->prev->moves)
		return dw_seq(room->held->prev->follows);
	rest = (struct dw_str) { room->held->prev->records, room->held->prev->size };
	while (dw_record_next(&rest, &record) == DW_OK)
		continue;
	return record.seq;
}

/* Back, or on over what the hub has no longer. */
static bool
move_stream(struct room *room, struct dw_position at)
{
	if (dw_seq(at) < dw_seq(room->head)) {
		rewind_to(room, at);
		return true;
	}
	if (!take_hole(room, at, DW_GAP_NONE))
		return false;
	room->head = at;
	fanout_add(room);
	return true;
}

bool
room_stream_at(struct room *room, struct dw_position at)
{
	struct held *held;

	if (dw_seq(at) == stream_end(room))
		return true;
	if (room->held == NULL)
		return move_stream(room, at);
	held = calloc(1, sizeof(*held));
	if (held == NULL)
		return false;
	held->follows = at;
	held->moves = true;
	DL_APPEND(room->held, held);
	return true;
}

static void
drop_held(struct room *room)
{
	struct held *held, *next;

	DL_FOREACH_SAFE(room->held, held, next)
	{
		free(held);
	}
	room->held = NULL;
}

/* No room may come or go meanwhile. */
static void
for_each(struct edge *edge, void (*act)(struct room *room))
{
	for (size_t i = 0; i < edge->rooms.by_id.cap; i++) {
		struct dw_hash_link *link = edge->rooms.by_id.chains[i];

		for (; link != NULL; link = link->next)
			act((struct room *)(void *)link);
	}
}

void
rooms_drop_held(struct edge *edge)
{
	for_each(edge, drop_held);
	edge->rooms.intake = (struct intake) { 0 };
}

static void
release(struct room *room, struct held *held)
{
	DL_DELETE(room->held, held);
	if (!held->moves)
		intake_release(&room->edge->rooms.intake, &held->hold);
	free(held);
}

void
room_stream_end(struct room *room)
{
	const bool held = room->held != NULL;

	while (room->held != NULL)
		release(room, room->held);
	if (held)
		uplink_credit(room->edge->uplink);
	room->streaming = false;
	room->furthest = 0;
	dw_wheel_cancel(&room->ping);
	dw_ring_destroy(&room->ring);
}

void
rooms_end_streams(struct edge *edge)
{
	for_each(edge, room_stream_end);
}

void
room_render(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record)
{
	dw_buf_reset(&rooms->json);
	dw_record_to_json(&rooms->json, dw_str(room), record);
	frame_text(out, (struct dw_str) { rooms->json.data, rooms->json.len });
	out->failed |= rooms->json.failed;
}

void
room_render_gap(struct rooms *rooms, struct dw_buf *out, const char *room, struct dw_gap gap, bool direct)
{
	struct dw_buf *json = &rooms->json;
	char now[DW_TIME_SIZE];

	if (gap.reason == DW_GAP_NONE)
		return;
	dw_time_text(dw_now_ms(), now);
	dw_buf_reset(json);
	dw_buf_adds(json, "{\"type\":\"gap\",\"diagnosis_id\":");
	dw_id_to_json(json, dw_str(room));
	dw_buf_addf(json, ",\"timestamp\":\"%s\",\"data\":{\"from\":%llu,\"to\":%llu,\"count\":%llu,\"reason\":\"%s\"%s}}",
		now, (unsigned long long)gap.from, (unsigned long long)gap.to, (unsigned long long)(gap.to - gap.from + 1),
		dw_gap_text(gap.reason), direct ? ",\"direct\":true" : "");
	frame_text(out, (struct dw_str) { json->data, json->len });
	out->failed |= json->failed;
}

void
room_render_expired(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record)
{
	const bool direct = record->to.n > 0;
	const uint64_t number = direct ? record->own : record->n;

	room_render_gap(rooms, out, room, (struct dw_gap) { number, number, DW_GAP_EXPIRED }, direct);
}

/* Before a frame that is not for all, or not for ever: who gets it, until when. */
struct prefix {
	uint64_t except, expires_at, own;
	uint8_t to_size;
	char to[DW_USER_MAX];
};

/* The most that a record takes in the ring. */
static size_t
entry_most(const struct dw_record *record)
{
	return sizeof(struct prefix) + FRAME_HEADER_MAX + dw_rendered_most(record->data.n);
}

static void
add_condition(struct dw_buf *out, const struct dw_record *record)
{
	struct prefix prefix = { .except = record->except, .expires_at = record->expires_at, .own = record->own };

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
	condition->own = prefix.own;
	condition->except = prefix.except;
	condition->expires_at = prefix.expires_at;
	return (struct dw_str) { bytes.p + size, bytes.n - size };
}

bool
room_append(struct room *room, struct dw_position at, uint32_t flags)
{
	struct dw_buf *frame = &room->edge->rooms.frame;
	const struct dw_ring_entry entry = { .seq = dw_seq(at), .n = dw_n(at), .flags = flags };

	if (room->ring == NULL)
		room->ring = dw_ring_new(UINT32_MAX, LIMIT_RING);
	return room->ring != NULL && dw_buf_ok(frame) &&
		   dw_ring_append(room->ring, &entry, frame->data, frame->len) == DW_OK;
}

/* What lies between the head and there the hub has no longer. Some who are here may have been fed with it. */
static bool
take_hole(struct room *room, struct dw_position at, uint64_t reason)
{
	struct dw_buf *frame = &room->edge->rooms.frame;

	if (dw_n(at) <= dw_n(room->head))
		return true;
	dw_buf_reset(frame);
	dw_buf_addc(frame, '-');
	if (!room_append(room, at, ENTRY_HOLE | (uint32_t)reason << ENTRY_REASON))
		return false;
	room->head = at;
	return true;
}

/* The hub does not know whose direct messages are missing behind the head. */
static bool
take_ask(struct room *room)
{
	struct dw_buf *frame = &room->edge->rooms.frame;

	dw_buf_reset(frame);
	dw_buf_addc(frame, '-');
	return room_append(room, room->head, ENTRY_ASK);
}

/* Its frame, and how it lies in the ring. Nothing for what nobody gets. */
static uint32_t
render_entry(struct room *room, const struct dw_record *record)
{
	struct rooms *rooms = &room->edge->rooms;

	dw_buf_reset(&rooms->frame);
	if (record->type.n == 0 && record->to.n > 0) {
		add_condition(&rooms->frame, record);
		/* What is not retained its user asks the hub about. */
		if (record->expires_at > 0)
			room_render_expired(rooms, &rooms->frame, room->id, record);
		return ENTRY_CONDITION;
	}
	if (record->to.n == 0 && dw_record_dead(record, dw_now_ms())) {
		if (record->except != 0)
			add_condition(&rooms->frame, record);
		room_render_expired(rooms, &rooms->frame, room->id, record);
		return record->except != 0 ? ENTRY_CONDITION : 0;
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
take_record(struct room *room, const struct dw_record *record, uint64_t reason)
{
	const struct dw_number number = dw_record_number(record);
	struct dw_buf *frame = &room->edge->rooms.frame;
	uint32_t flags;

	if (number.seq <= dw_seq(room->head) || number.n < dw_n(room->head) + (number.own == 0))
		return false;
	if (!take_hole(room, dw_position_before(number), reason))
		return false;
	flags = render_entry(room, record);
	if ((frame->len > 0 || !dw_buf_ok(frame)) && !room_append(room, dw_position_behind(number), flags))
		return false;
	room->head = dw_position_behind(number);
	room->unwritten += frame->len;
	return true;
}

/* Takes records off *rest, as many as there is a place for. */
static bool
take_records(struct room *room, uint64_t reason, bool ask, struct dw_str *rest)
{
	struct dw_str left = *rest;
	struct dw_record record;
	bool took = false, follows = true;
	int err;

	while ((err = dw_record_next(&left, &record)) == DW_OK && !fanout_full(room, entry_most(&record))) {
		follows = (took || !ask || take_ask(room)) && take_record(room, &record, reason);
		if (!follows)
			break;
		*rest = left;
		took = true;
	}
	/* Whatever the rest is like: the ring would count as full for ever with what nobody is offered. */
	if (took) {
		fanout_add(room);
		confirm_room(room, true);
	}
	return follows && (err == DW_OK || err == DW_E_AGAIN);
}

static bool
hold(struct room *room, const struct dw_messages *messages, size_t taken)
{
	struct held *held = malloc(sizeof(*held) + messages->records.n);

	if (held == NULL)
		return false;
	*held = (struct held) { .follows = messages->prev,
		.reason = messages->reason,
		.ask = messages->ask,
		.begun = taken > 0,
		.size = messages->records.n,
		.at = taken };
	memcpy(held->records, messages->records.p, messages->records.n);
	DL_APPEND(room->held, held);
	intake_hold(&room->edge->rooms.intake, &held->hold);
	return true;
}

bool
room_take(struct room *room, const struct dw_messages *messages)
{
	struct dw_str rest = messages->records;

	if (room->held != NULL)
		return hold(room, messages, 0);
	if (!room->streaming || dw_seq(messages->prev) != dw_seq(room->head) ||
		!take_records(room, messages->reason, messages->ask, &rest))
		return false;
	return rest.n == 0 || hold(room, messages, messages->records.n - rest.n);
}

void
room_take_held(struct room *room)
{
	struct uplink *uplink = room->edge->uplink;

	while (room->held != NULL) {
		struct held *held = room->held;
		struct dw_str rest = { held->records + held->at, held->size - held->at };

		if (held->moves && move_stream(room, held->follows)) {
			release(room, held);
			continue;
		}
		if (held->moves || (!held->begun && dw_seq(held->follows) != dw_seq(room->head)) ||
			!take_records(room, held->reason, held->ask && !held->begun, &rest)) {
			uplink_distrust(uplink, room);
			return;
		}
		held->begun = true;
		held->at = held->size - rest.n;
		if (rest.n > 0)
			return;
		release(room, held);
		uplink_credit(uplink);
	}
}

bool
room_covers(const struct room *room, uint64_t seq)
{
	if (room->ring == NULL || dw_ring_first(room->ring) == room->base)
		return seq >= room->start;
	return seq >= dw_ring_entry(room->ring, dw_ring_first(room->ring))->seq;
}

void
rooms_clear(struct edge *edge)
{
	dw_buf_clear(&edge->rooms.json);
	dw_buf_clear(&edge->rooms.frame);
	dw_buf_clear(&edge->rooms.run);
}
