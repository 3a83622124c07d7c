/* Confirmations: see confirm.h.
 *
 * One PING of a connection's own is under way at a time: a stack may answer only the newest (RFC 6455, 5.5.3), and one
 * snapshot of positions is enough then. One that acknowledges itself may do so for what left the ring long ago:
 * what it was sent is noted, WRITTEN_MAX positions at most. Past that every second one is forgotten; an `ack` of
 * one of these confirms up to the one before it.
 */
#include "confirm.h"

#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "diagws/clock.h"
#include "edge.h"
#include "fanout.h"
#include "room.h"
#include "uplink.h"

enum { WRITTEN_FIRST = 16, WRITTEN_MAX = 1024 };

/* From so many readers on a room is large. A session has one of the turns; flags of an entry: the first that is asked,
 * and how many. */
enum { LARGE_ROOM = 1024, TURNS = 16, FROM_SHIFT = 8, COUNT_SHIFT = 16 };

struct written {
	size_t count, cap;
	struct position at[];
};

static void
confirm(struct watch *watch, struct position position)
{
	if (watch->room == NULL || position.seq > watch->at.seq || position.n > watch->at.n ||
		position.seq <= watch->confirmed.seq)
		return;
	watch->confirmed = position;
	uplink_confirmed(watch->conn->edge->uplink, watch, false);
}

void
confirm_adapt(struct edge *edge, uint64_t now)
{
	const uint64_t passed = now - edge->adapted_at;
	uint64_t ms;

	if (passed < 1000)
		return;
	ms = edge->confirm_ms * edge->pongs * 1000 / (passed * CONFIRM_PONGS);
	edge->confirm_ms = ms < CONFIRM_MS ? CONFIRM_MS : ms > CONFIRM_MOST_MS ? CONFIRM_MOST_MS : ms;
	edge->adapted_at = now;
	edge->pongs = 0;
}

static uint32_t
ping_flags(unsigned from, unsigned count)
{
	return count < TURNS ? ENTRY_PING | ENTRY_TURNS | from << FROM_SHIFT | count << COUNT_SHIFT : ENTRY_PING;
}

bool
confirm_asks(const struct dw_log_entry *ping, uint64_t session)
{
	const unsigned from = ping->flags >> FROM_SHIFT & (TURNS - 1), count = ping->flags >> COUNT_SHIFT;

	/* Not of its lowest bits, which are a place: a room's clients may have come to every sixteenth. */
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

void
confirm_room(struct room *room, bool came)
{
	const uint64_t now = dw_mono_ms(), whole = room->edge->confirm_ms;
	struct dw_buf *frame = &room->edge->rooms.frame;
	unsigned turns;

	if (came)
		room->unasked = TURNS;
	if (!room->streaming || room->unasked == 0)
		return;
	turns = due_turns(room, now, came);
	if (turns < room->unasked && room->ping.link == NULL)
		wheel_set(&room->edge->wheel, &room->ping, room->pinged_at + whole);
	if (turns == 0)
		return;
	dw_buf_reset(frame);
	frame_ping(frame, room->head);
	if (!room_append(room, room->head, ping_flags(room->turn, turns)))
		return;
	room->pinged_at = turns < room->unasked ? room->pinged_at + turns * whole / TURNS : now;
	room->unasked -= turns;
	room->turn = (room->turn + turns) % TURNS;
	fanout_add(room);
}

/* It answers a PING that this connection may have been sent; of one with a room it is the position. */
static bool
is_answer(const struct conn *conn, const void *payload, size_t n, struct position *position)
{
	uint64_t counter;

	if (conn->many)
		return conn->awaited && frame_pong_counter(payload, n, &counter) && counter == conn->counter;
	return frame_pong(payload, n, position) && position->seq <= conn->first.at.seq && position->n <= conn->first.at.n;
}

void
confirm_pong(struct conn *conn, const void *payload, size_t n)
{
	struct position position;

	conn->heard_at = dw_mono_ms();
	if (conn->state != CONN_OPEN || !is_answer(conn, payload, n, &position))
		return;
	/* PINGs are CONFIRM_MS apart: one who answers more often must not make them rarer for all. */
	if ((uint16_t)(conn->heard_at - conn->answered_at) >= CONFIRM_MS / 2) {
		conn->answered_at = (uint16_t)conn->heard_at;
		conn->edge->pongs++;
	}
	if (conn->sure)
		return;
	if (!conn->many) {
		confirm(&conn->first, position);
		return;
	}
	conn->awaited = false;
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
		confirm(watch, watch->pinged);
	confirm_try(conn);
}

void
confirm_ping(struct conn *conn)
{
	struct dw_buf frame = { 0 };

	conn->owed = false;
	conn->confirm_at = dw_mono_ms();
	if (conn->many) {
		conn->awaited = true;
		frame_ping_counter(&frame, ++conn->counter);
		for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
			watch->pinged = watch->at;
	} else {
		frame_ping(&frame, conn->first.at);
	}
	if (dw_buf_ok(&frame))
		(void)conn_write(conn, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&frame);
}

uint64_t
confirm_due(const struct conn *conn, uint64_t due)
{
	bool waits = !conn->owed || conn->stalled_at > 0 || (conn->many && conn->awaited);

	const uint64_t next = conn->confirm_at + conn->edge->confirm_ms;

	return !waits && next < due ? next : due;
}

void
confirm_try(struct conn *conn)
{
	if (!conn->owed || conn->state != CONN_OPEN || conn->stalled_at > 0 || (conn->many && conn->awaited))
		return;
	if (dw_mono_ms() >= conn->confirm_at + conn->edge->confirm_ms)
		confirm_ping(conn);
	else
		conn_set_timer(conn);
}

void
confirm_owe(struct conn *conn)
{
	if (conn->sure || conn->owed)
		return;
	conn->owed = true;
	confirm_try(conn);
}

void
confirm_written(struct watch *watch, uint64_t seq, uint64_t n)
{
	struct written *written = watch->written;
	size_t cap = written != NULL ? written->cap * 2 : WRITTEN_FIRST;

	if (written != NULL && written->at[written->count - 1].seq >= seq)
		return;
	if (written != NULL && written->count == WRITTEN_MAX) {
		for (size_t i = 0; i < WRITTEN_MAX / 2; i++)
			written->at[i] = written->at[2 * i + 1];
		written->count = WRITTEN_MAX / 2;
	} else if (written == NULL || written->count == written->cap) {
		written = realloc(written, sizeof(*written) + cap * sizeof(written->at[0]));
		if (written == NULL) /* an `ack` of this confirms up to the one before it */
			return;
		written->count = watch->written != NULL ? written->count : 0;
		written->cap = cap;
		watch->written = written;
	}
	written->at[written->count++] = (struct position) { seq, n };
}

void
confirm_forget(struct watch *watch)
{
	free(watch->written);
	watch->written = NULL;
}

/* The newest position up to seq that was sent to one that acknowledges itself; those are forgotten. */
static struct position
take_written(struct watch *watch, uint64_t seq)
{
	struct written *written = watch->written;
	struct position at = { 0, 0 };
	size_t i = 0;

	while (written != NULL && i < written->count && written->at[i].seq <= seq)
		at = written->at[i++];
	if (i == 0)
		return at;
	written->count -= i;
	memmove(written->at, written->at + i, written->count * sizeof(written->at[0]));
	if (written->count == 0)
		confirm_forget(watch);
	return at;
}

/* The newest position up to seq that the room's ring has. */
static struct position
find_in_ring(const struct room *room, uint64_t seq)
{
	uint64_t index = room->ring != NULL ? dw_log_after(room->ring, seq) : 0;
	const struct dw_log_entry *entry;

	if (room->ring == NULL || index == dw_log_first(room->ring))
		return (struct position) { 0, 0 };
	entry = dw_log_entry(room->ring, index - 1);
	return (struct position) { entry->seq, entry->n };
}

bool
confirm_ack(struct watch *watch, uint64_t seq)
{
	struct position at;

	if (seq > watch->at.seq)
		return false;
	at = watch->conn->sure ? take_written(watch, seq) : find_in_ring(watch->room, seq);
	if (at.seq <= watch->acked.seq || at.seq > watch->at.seq)
		return true;
	watch->acked = at;
	if (at.seq > watch->confirmed.seq)
		watch->confirmed = at;
	uplink_confirmed(watch->conn->edge->uplink, watch, true);
	return true;
}
