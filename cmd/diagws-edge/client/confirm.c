/* Confirmations: see subscription.h.
 *
 * One PING of a connection's own is under way at a time: a stack may answer only the newest (RFC 6455, 5.5.3), and one
 * snapshot of positions is enough then. What a PONG has proven the client may still acknowledge itself: of that the
 * newest WRITTEN_KEPT stay noted.
 */
#include "subscription.h"

#include "base/clock.h"
#include "client/conn.h"
#include "edge.h"
#include "room/rooms.h"

enum {
	WRITTEN_KEPT = 16,
	CONFIRM_MOST_MS = 1000, /* between two PINGs for confirmation, when there are */
	CONFIRM_PONGS = 2000,   /* more PONGs a second than this */
	CLIENT_PONGS = 1000,    /* PONGs that a client may send at once, and then CLIENT_RATE in a second */
};

/* Something behind the last gap is confirmed, or nothing is. */
static bool
mend_run(struct run *run, uint64_t number)
{
	if (run->broke == 0 || number < run->broke)
		return false;
	*run = (struct run) { .begun = run->broke };
	return true;
}

static void
confirm(struct subscription *sub, struct dw_position position)
{
	if (sub->room == NULL || dw_seq(position) > dw_seq(sub->at) || dw_n(position) > dw_n(sub->at))
		return;
	position = dw_position_further(position, written_take(sub, dw_seq(position), WRITTEN_KEPT));
	position = dw_position_further(position, sub->confirmed);
	if (dw_position_same(position, sub->confirmed))
		return;
	sub->confirmed = position;
	sub->anew |= mend_run(&sub->numbered, dw_n(position));
	sub->anew |= mend_run(&sub->direct, dw_own(position));
	confirmations_add(sub, false);
}

void
confirm_adapt(struct edge *edge, uint64_t now)
{
	const uint64_t passed = now - edge->adapted_at;
	uint64_t ms;

	if (passed < 1000)
		return;
	ms = edge->confirm_ms * edge->pongs * 1000 / (passed * CONFIRM_PONGS);
	edge->confirm_ms = dw_greater(CONFIRM_MS, dw_less(ms, CONFIRM_MOST_MS));
	edge->adapted_at = now;
	edge->pongs = 0;
}

/* It answers a PING that this connection may have been sent; of one with a room it is the position. Any other moves
 * nothing, here or at the hub. */
static bool
is_answer(const struct conn *conn, const void *payload, size_t n, struct dw_position *position)
{
	struct frame_key key;
	uint64_t counter;

	if (conn->many)
		return conn->awaited && frame_pong_counter(payload, n, &counter) && counter == conn->counter;
	if (conn->first.room == NULL)
		return false;
	key = ping_key(conn->first.room);
	return frame_pong(payload, n, &key, position) && dw_seq(*position) <= dw_seq(conn->first.at) &&
		   dw_n(*position) <= dw_n(conn->first.at) && dw_own(*position) <= dw_own(conn->first.at);
}

/* One of those that are no flood. */
static void
take_pong(struct conn *conn, const void *payload, size_t n)
{
	struct dw_position position;

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
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
		if (sub->written != NULL)
			confirm(sub, sub->written->pinged);
	confirm_try(conn);
}

bool
confirm_pong(struct conn *conn, const void *payload, size_t n)
{
	conn->heard_at = dw_mono_ms();
	/* PINGs come a few in a second. One who sends many more PONGs than that is no stack that answers them. */
	if (!noise_may(&conn->pongs_at, conn->heard_at, CLIENT_PONGS))
		return false;
	take_pong(conn, payload, n);
	return true;
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
		/* What cannot be noted the next one asks for. */
		for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
			if (written_get(sub, WRITTEN_LEAST) != NULL)
				sub->written->pinged = sub->at;
	} else if (conn->first.room != NULL) {
		const struct frame_key key = ping_key(conn->first.room);

		frame_ping(&frame, conn->first.at, &key);
	}
	if (dw_buf_ok(&frame))
		(void)conn_write(conn, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&frame);
}

/* Whether it owes a PING that may be written once it is time. */
static bool
is_owed(const struct conn *conn)
{
	return conn->owed && conn->stalled_at == 0 && !(conn->many && conn->awaited);
}

uint64_t
confirm_due(const struct conn *conn, uint64_t due)
{
	return is_owed(conn) ? dw_less(due, conn->confirm_at + conn->edge->confirm_ms) : due;
}

void
confirm_try(struct conn *conn)
{
	const uint64_t next = conn->confirm_at + conn->edge->confirm_ms;

	if (conn->state != CONN_OPEN || !is_owed(conn))
		return;
	if (dw_mono_ms() >= next)
		confirm_ping(conn);
	else
		conn_wake(conn, next);
}

void
confirm_owe(struct conn *conn)
{
	if (conn->sure || conn->owed)
		return;
	conn->owed = true;
	confirm_try(conn);
}

/* The newest position up to seq that the room's ring has. */
static struct dw_position
find_in_ring(const struct room *room, uint64_t seq)
{
	uint64_t index = room->ring != NULL ? dw_ring_after(room->ring, seq) : 0;
	const struct dw_ring_entry *entry;

	if (room->ring == NULL || index == dw_ring_first(room->ring))
		return dw_position_start();
	entry = dw_ring_entry(room->ring, index - 1);
	return dw_position_said(entry->seq, entry->n, 0);
}

bool
confirm_ack(struct subscription *sub, uint64_t seq)
{
	struct dw_position at;

	if (seq > dw_seq(sub->at))
		return false;
	at = written_take(sub, seq, 0);
	if (!sub->conn->sure)
		at = dw_position_further(at, find_in_ring(sub->room, seq));
	at = dw_position_further(at, written_acked(sub));
	if (dw_position_same(at, written_acked(sub)) || dw_seq(at) > dw_seq(sub->at))
		return true;
	if (written_get(sub, WRITTEN_LEAST) == NULL)
		return true; /* the next one acknowledges this, too */
	sub->written->acked = at;
	if (sub->conn->sure)
		sub->confirmed = at;
	sub->anew |= mend_run(&sub->numbered, dw_n(at));
	sub->anew |= mend_run(&sub->direct, dw_own(at));
	confirmations_add(sub, true);
	return true;
}
