/* The hub's stream of a room: see rooms.h.
 *
 * Happy path: room_take renders each record and appends it; now and then a PING follows; the room is queued, and in the
 * edge's turn every reader writes from its own position (fanout.c). Failure modes: a stream that does not follow, or no
 * memory: the caller starts over from positions. Numbers that jump are told to the clients as a gap. Invariant: a PING
 * lies behind each message that somebody may confirm, or is owed and has its timer.
 */
#include "rooms.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "edge.h"

/* From so many readers on a room is large. A session has one of the turns; flags of an entry: the first that is asked,
 * and how many. */
enum { LARGE_ROOM = 1024, TURNS = 16, FROM_SHIFT = 8, COUNT_SHIFT = 16 };

/* MESSAGES of the hub, from where they could not be taken on. */
struct deferred {
	struct deferred *prev, *next;
	struct credit_deferred credit;
	struct dw_position follows; /* the position before its first record; looked at when none of it was taken */
	uint64_t reason;            /* of a hole before it */
	bool ask, begun;
	bool moves; /* no MESSAGES: the stream goes on from `follows` */
	size_t size, at;
	char records[];
};

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
	/* Indexes are not used again: a reader that was at the end of the ring still is. */
	dw_ring_expire(room->ring, UINT64_MAX);
	room->base = dw_ring_end(room->ring);
}

/* The newest position that came, be it only deferred. */
static uint64_t
stream_end(const struct room *room)
{
	struct dw_record record = { .seq = dw_seq(room->head) };
	struct dw_str rest;

	if (room->deferred == NULL)
		return dw_seq(room->head);
	if (room->deferred->prev->moves)
		return dw_seq(room->deferred->prev->follows);
	rest = (struct dw_str) { room->deferred->prev->records, room->deferred->prev->size };
	while (dw_record_next(&rest, &record) == DW_OK)
		continue;
	return record.seq;
}

/* An entry that nobody is sent as it is. */
static bool
append_mark(struct room *room, struct dw_position at, uint32_t flags)
{
	dw_buf_reset(&room->edge->rooms.frame);
	dw_buf_addc(&room->edge->rooms.frame, '-');
	return room_append(room, at, flags);
}

/* The hub no longer has what lies between the head and `at`. Some readers may have been fed it before, so each is told
 * only what it lacks. */
static bool
take_hole(struct room *room, struct dw_position at, uint64_t reason)
{
	if (dw_n(at) <= dw_n(room->head))
		return true;
	if (!append_mark(room, at, ENTRY_HOLE | (uint32_t)reason << ENTRY_REASON_SHIFT))
		return false;
	room->head = at;
	return true;
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
	struct deferred *deferred;

	if (dw_seq(at) == stream_end(room))
		return true;
	if (room->deferred == NULL)
		return move_stream(room, at);
	deferred = calloc(1, sizeof(*deferred));
	if (deferred == NULL)
		return false;
	deferred->follows = at;
	deferred->moves = true;
	DL_APPEND(room->deferred, deferred);
	return true;
}

static void
release(struct room *room, struct deferred *deferred)
{
	DL_DELETE(room->deferred, deferred);
	if (!deferred->moves)
		DL_DELETE(room->edge->rooms.credit.deferred, &deferred->credit);
	free(deferred);
}

static void
drop_deferred(struct room *room)
{
	while (room->deferred != NULL)
		release(room, room->deferred);
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
rooms_drop_deferred(struct edge *edge)
{
	for_each(edge, drop_deferred);
	edge->rooms.credit = (struct credit) { 0 };
}

void
room_stream_end(struct room *room)
{
	drop_deferred(room);
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
credit_came(struct credit *credit, size_t bytes)
{
	credit->before = credit->came;
	credit->came.messages++;
	credit->came.bytes += bytes;
}

void
credit_defer(struct credit *credit, struct credit_deferred *one)
{
	one->before = credit->before;
	DL_APPEND(credit->deferred, one);
}

bool
credit_due(struct credit *credit)
{
	const struct extent *done = credit->deferred != NULL ? &credit->deferred->before : &credit->came;

	if (done->messages - credit->credited.messages < CREDIT_EVERY &&
		done->bytes - credit->credited.bytes < CREDIT_BYTES)
		return false;
	credit->credited = *done;
	return true;
}

struct frame_key
ping_key(const struct room *room)
{
	return (struct frame_key) { { room->edge->secret[0], room->edge->secret[1] }, (uintptr_t)room };
}

static uint32_t
ping_flags(unsigned from, unsigned count)
{
	return count < TURNS ? ENTRY_PING | ENTRY_TURNS | from << FROM_SHIFT | count << COUNT_SHIFT : ENTRY_PING;
}

bool
ping_asks(const struct dw_ring_entry *ping, uint64_t session)
{
	const unsigned from = ping->flags >> FROM_SHIFT & (TURNS - 1), count = ping->flags >> COUNT_SHIFT;

	return (ping->flags & ENTRY_TURNS) == 0 || ((session >> 32) - from) % TURNS < count;
}

/* How many turns a PING asks now: as many of them as of the time between two PINGs have passed since the last. One that
 * no message goes with waits for all of that time, and then asks who is left. */
static unsigned
due_turns(const struct room *room, uint64_t now, bool came)
{
	const uint64_t passed = now - room->pinged_at, whole = room->edge->confirm_ms;

	if (passed >= whole)
		return room->unasked;
	return came && room->reader_count >= LARGE_ROOM ? (unsigned)(passed * TURNS / whole) : 0;
}

static void ping_room(struct room *room, bool came);

static void
fire_ping(struct dw_wheel_timer *timer)
{
	ping_room((struct room *)((char *)timer - offsetof(struct room, ping)), false);
}

/* Messages came into the room's ring, or the time has: a PING follows, now or when it may. Without memory for one, the
 * next says the same. */
static void
ping_room(struct room *room, bool came)
{
	const uint64_t now = dw_mono_ms(), whole = room->edge->confirm_ms;
	struct dw_buf *frame = &room->edge->rooms.frame;
	const struct frame_key key = ping_key(room);
	unsigned turns;

	if (came)
		room->unasked = TURNS;
	if (!room->streaming || room->unasked == 0)
		return;
	turns = due_turns(room, now, came);
	if (turns < room->unasked && room->ping.link == NULL) {
		room->ping.fire = fire_ping;
		dw_wheel_set(&room->edge->wheel, &room->ping, room->pinged_at + whole);
	}
	if (turns == 0)
		return;
	dw_buf_reset(frame);
	frame_ping(frame, room->head, &key);
	if (!room_append(room, room->head, ping_flags(room->turn, turns)))
		return;
	room->pinged_at = turns < room->unasked ? room->pinged_at + turns * whole / TURNS : now;
	room->unasked -= turns;
	room->turn = (room->turn + turns) % TURNS;
	fanout_add(room);
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
	flags = room_render_entry(room, record);
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

	while ((err = dw_record_next(&left, &record)) == DW_OK && !fanout_full(room, room_entry_most(&record))) {
		/* `ask`: the hub does not know whose direct messages are missing behind the head. */
		follows = (took || !ask || append_mark(room, room->head, ENTRY_ASK)) && take_record(room, &record, reason);
		if (!follows)
			break;
		*rest = left;
		took = true;
	}
	/* Whatever the rest is like: the ring would count as full for ever with what nobody is offered. */
	if (took) {
		fanout_add(room);
		ping_room(room, true);
	}
	return follows && (err == DW_OK || err == DW_E_AGAIN);
}

static bool
defer(struct room *room, const struct dw_messages *messages, size_t taken)
{
	struct deferred *deferred = malloc(sizeof(*deferred) + messages->records.n);

	if (deferred == NULL)
		return false;
	*deferred = (struct deferred) { .follows = messages->prev,
		.reason = messages->reason,
		.ask = messages->ask,
		.begun = taken > 0,
		.size = messages->records.n,
		.at = taken };
	memcpy(deferred->records, messages->records.p, messages->records.n);
	DL_APPEND(room->deferred, deferred);
	credit_defer(&room->edge->rooms.credit, &deferred->credit);
	return true;
}

bool
room_take(struct room *room, const struct dw_messages *messages)
{
	struct dw_str rest = messages->records;

	if (room->deferred != NULL)
		return defer(room, messages, 0);
	if (!room->streaming || dw_seq(messages->prev) != dw_seq(room->head) ||
		!take_records(room, messages->reason, messages->ask, &rest))
		return false;
	return rest.n == 0 || defer(room, messages, messages->records.n - rest.n);
}

bool
room_take_deferred(struct room *room)
{
	while (room->deferred != NULL) {
		struct deferred *deferred = room->deferred;
		struct dw_str rest = { deferred->records + deferred->at, deferred->size - deferred->at };

		if (deferred->moves && move_stream(room, deferred->follows)) {
			release(room, deferred);
			continue;
		}
		if (deferred->moves || (!deferred->begun && dw_seq(deferred->follows) != dw_seq(room->head)) ||
			!take_records(room, deferred->reason, deferred->ask && !deferred->begun, &rest))
			return false;
		deferred->begun = true;
		deferred->at = deferred->size - rest.n;
		if (rest.n > 0)
			break;
		release(room, deferred);
	}
	return true;
}

bool
room_covers(const struct room *room, uint64_t seq)
{
	if (room->ring == NULL || dw_ring_first(room->ring) == room->base)
		return seq >= room->start;
	return seq >= dw_ring_entry(room->ring, dw_ring_first(room->ring))->seq;
}
