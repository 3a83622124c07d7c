/* Waits: senders that want to know when so many devices have their message, and polls that want the next message.
 *
 * Its own file because both are the same: something about a room is awaited until a time is over. A room with a wait
 * stays in memory. A wait counts as an unanswered request of its peer, which bounds them.
 *
 * Happy path: a message is stored and answered, its wait counts the devices that confirm it, DELIVERED is
 * answered. A READ that found nothing is carried out again with each message of the room, and when its time is over.
 *
 * Failure modes: the time is over (the count says how far it came); the peer goes: its waits go. The hub goes: whoever
 * waits repeats its request, and the devices' cursors tell the new hub who has what.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "diagws/clock.h"

struct wait {
	struct wait *prev, *next;           /* of the hub */
	struct wait *room_prev, *room_next; /* of the seat */
	struct dw_room *room;
	uint32_t peer;
	uint64_t incarnation;
	uint64_t due; /* dw_mono_ms */
	/* For a message to be delivered; need 0: a READ. */
	struct dw_number number;
	uint64_t corr, need, count;
	uint64_t except;     /* as dw_room_receipts takes it */
	uint64_t expires_at; /* dw_now_ms; 0: never */
	/* Of a READ the frame, else the user of a direct message. */
	size_t n;
	char bytes[];
};

/* A wait is counted by its peer until it ends. NULL: no memory. */
static struct wait *
add(struct hub *hub, struct peer *peer, struct dw_room *room, uint64_t wait_ms, struct dw_str bytes)
{
	struct wait *wait = calloc(1, sizeof(*wait) + bytes.n);
	struct seat *seat = room->user;

	if (wait == NULL)
		return NULL;
	wait->room = room;
	wait->peer = peer->number;
	wait->incarnation = peer->incarnation;
	wait->due = dw_mono_ms() + wait_ms;
	wait->n = bytes.n;
	if (bytes.n > 0)
		memcpy(wait->bytes, bytes.p, bytes.n);
	DL_APPEND(hub->waits, wait);
	DL_APPEND2(seat->waits, wait, room_prev, room_next);
	peer->pending++;
	return wait;
}

/* The room may be given up. */
static void
end(struct hub *hub, struct wait *wait)
{
	struct dw_room *room = wait->room;
	struct seat *seat = room->user;
	struct peer *peer = peer_find(hub, wait->peer);

	DL_DELETE(hub->waits, wait);
	DL_DELETE2(seat->waits, wait, room_prev, room_next);
	if (peer != NULL)
		peer_answered(peer);
	free(wait);
	room_settle(hub, room);
}

static void
tell_delivered(struct hub *hub, const struct wait *wait)
{
	outbox_add(hub, wait->peer,
		&(struct dw_wire) { .kind = DW_DELIVERED,
			.delivered = { .corr = wait->corr,
				.code = wait->count < wait->need ? (uint64_t)-DW_E_UNDELIVERED : 0,
				.count = wait->count } });
}

/* Ends it when enough devices have the message. */
static void
answer_enough(struct hub *hub, struct wait *wait)
{
	if (wait->count < wait->need)
		return;
	tell_delivered(hub, wait);
	end(hub, wait);
}

/* Whom the message is not for, and when its time is over. What was stored decides, for who repeats a request may leave
 * either out, or name another session. Where the message is retained no more, only that it had them is known: whoever
 * has passed it may not have got it then. */
static void
recall(const struct dw_room *room, const struct dw_op *op, struct wait *wait)
{
	const struct dw_str to = { wait->bytes, wait->n };
	struct dw_position at = dw_position_before(wait->number);
	struct dw_buf bytes = { 0 };
	struct dw_record record;
	struct dw_str rest;

	wait->except = op->append.had_except ? DW_EXCEPT_SOME : 0;
	wait->expires_at = op->append.had_expiry;
	(void)dw_room_read(room, to.n > 0 ? &to : NULL, &at, 1, DW_WIRE_BATCH_MAX, dw_now_ms(), &bytes);
	rest = (struct dw_str) { bytes.data, bytes.len };
	if (dw_record_next(&rest, &record) == DW_OK && record.seq == wait->number.seq) {
		wait->except = record.except;
		wait->expires_at = record.type.n > 0 ? record.expires_at : 1;
	}
	dw_buf_clear(&bytes);
}

/* Whoever confirms now may have been told of a gap instead. */
static bool
is_over(const struct wait *wait)
{
	return wait->expires_at != 0 && wait->expires_at <= dw_now_ms();
}

/* Once counted, a device stays counted. */
static void
count_anew(struct wait *wait)
{
	const struct dw_str to = { wait->bytes, wait->n };

	if (!is_over(wait))
		wait->count = dw_greater(wait->count, dw_room_receipts(wait->room, wait->number, to, wait->except).delivered);
}

void
wait_delivered(struct hub *hub, struct dw_room *room, const struct staged *staged)
{
	const struct dw_op *op = &staged->op;
	const struct dw_str to = dw_str(op->append.to);
	struct peer *peer = peer_find(hub, staged->peer);
	struct wait *wait = peer != NULL ? add(hub, peer, room, staged->wait_ms, to) : NULL;

	if (wait == NULL)
		return; /* its sender asks again when it hears nothing */
	wait->corr = staged->corr;
	wait->number = (struct dw_number) { op->append.seq, op->append.n, op->append.own };
	wait->need = staged->wait;
	recall(room, op, wait);
	count_anew(wait);
	answer_enough(hub, wait);
}

/* Packed anew, for what else a peer put into its frame is not to be kept. */
int
wait_message(struct hub *hub, struct peer *peer, struct dw_room *room, const struct dw_read *read)
{
	struct dw_buf frame = { 0 };
	int err = DW_OK;

	if (hub->poll == POLL_AGAIN) {
		hub->poll = POLL_KEPT;
		return DW_OK;
	}
	dw_wire_pack(&frame, &(struct dw_wire) { .kind = DW_READ, .read = *read });
	if (!dw_buf_ok(&frame) || add(hub, peer, room, read->wait_ms, (struct dw_str) { frame.data, frame.len }) == NULL)
		err = DW_E_NOMEM;
	dw_buf_clear(&frame);
	return err;
}

/* Carries the READ out again. False: it still waits. */
static bool
poll_again(struct hub *hub, const struct wait *wait, enum poll_state state)
{
	const struct dw_str frame = { wait->bytes, wait->n };
	struct peer *peer = peer_find(hub, wait->peer);
	struct dw_wire message;

	if (peer == NULL || peer->incarnation != wait->incarnation ||
		dw_wire_unpack(&message, frame.p, frame.n, NULL) != DW_OK)
		return true;
	/* What is left of its time: should it have to ask the engine, it waits no longer than that. */
	message.read.wait_ms = wait->due > dw_mono_ms() ? wait->due - dw_mono_ms() : 0;
	hub->poll = state;
	hub_dispatch(hub, peer, &message, frame);
	state = hub->poll;
	hub->poll = POLL_FIRST;
	return state != POLL_KEPT;
}

void
waits_message(struct hub *hub, struct dw_room *room)
{
	struct seat *seat = room->user;
	struct wait *wait, *next;

	if (seat == NULL || seat->waits == NULL)
		return;
	seat->holds++;
	DL_FOREACH_SAFE2(seat->waits, wait, next, room_next)
	{
		if (wait->need == 0 && poll_again(hub, wait, POLL_AGAIN))
			end(hub, wait);
	}
	seat->holds--;
}

void
waits_confirmed(struct hub *hub, struct dw_room *room, const struct dw_session *session, const struct dw_device *before)
{
	struct seat *seat = room->user;
	struct wait *wait, *next;

	if (seat->waits == NULL)
		return;
	seat->holds++;
	DL_FOREACH_SAFE2(seat->waits, wait, next, room_next)
	{
		const struct dw_str to = { wait->bytes, wait->n };

		if (wait->need == 0 || wait->except == session->id || dw_device_has(before, wait->number, to) ||
			!dw_device_has(session->device, wait->number, to) || is_over(wait))
			continue;
		/* Or it is the one device that is not counted. */
		if (wait->except == DW_EXCEPT_SOME)
			count_anew(wait);
		else
			wait->count++;
		answer_enough(hub, wait);
	}
	seat->holds--;
}

void
waits_joined(struct hub *hub, struct dw_room *room)
{
	struct seat *seat = room->user;
	struct wait *wait, *next;

	if (seat->waits == NULL)
		return;
	seat->holds++;
	DL_FOREACH_SAFE2(seat->waits, wait, next, room_next)
	{
		if (wait->need == 0)
			continue;
		count_anew(wait);
		answer_enough(hub, wait);
	}
	seat->holds--;
}

void
waits_tick(struct hub *hub)
{
	const uint64_t now = dw_mono_ms();
	struct wait *wait, *next;

	if (hub->waits == NULL || now < hub->waits_at)
		return;
	hub->waits_at = now + WAITS_MS;
	DL_FOREACH_SAFE(hub->waits, wait, next)
	{
		if (now < wait->due)
			continue;
		if (wait->need > 0)
			tell_delivered(hub, wait);
		else
			(void)poll_again(hub, wait, POLL_OVER);
		end(hub, wait);
	}
}

uint64_t
waits_count(const struct hub *hub)
{
	const struct wait *wait;
	uint64_t count;

	DL_COUNT(hub->waits, wait, count);
	return count;
}

void
waits_forget_peer(struct hub *hub, const struct peer *peer)
{
	struct wait *wait, *next;

	DL_FOREACH_SAFE(hub->waits, wait, next)
	{
		if (wait->peer == peer->number)
			end(hub, wait);
	}
}

void
waits_free(struct hub *hub)
{
	struct wait *wait, *next;

	DL_FOREACH_SAFE(hub->waits, wait, next)
	{
		free(wait);
	}
	hub->waits = NULL;
}
