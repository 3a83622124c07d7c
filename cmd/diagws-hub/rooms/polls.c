/* Polls: READs that found nothing, or whose peer cannot take the answer now, and that wait for a message to come.
 *
 * Its own file because a poll is carried out again: with each message of the room, and when its time is over; by its
 * timer, so that of many polls of a room some are answered a turn, and none of a peer that has too much unread.
 *
 * Happy path: a READ finds nothing, so it is kept; a message comes, its timer fires, it is in the queue (later.c) and
 * dispatched again; it finds something and is answered, and the wait ends. Failure modes: see waits.c; its peer takes
 * nothing now: it goes on when that has drained.
 */
#include "rooms/polls.h"

#include <utlist.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "hub.h"
#include "peers/peers.h"
#include "request.h"
#include "rooms/later.h"
#include "rooms/rooms.h"
#include "rooms/waits.h"

static struct wait *
wait_of(struct later *later)
{
	return (struct wait *)(void *)((char *)later - offsetof(struct wait, later));
}

static struct peer *
take_request(struct hub *hub, struct later *later, struct request *request)
{
	struct wait *wait = wait_of(later);
	const uint64_t now = dw_mono_ms();

	request->poll = now >= wait->until ? POLL_OVER : POLL_AGAIN;
	if (peer_is_deaf(hub, wait->peer)) {
		wait->stalled = wait->peer->stalled = true;
		return NULL;
	}
	request->frame = (struct dw_str) { wait->frame, wait->n };
	if (dw_wire_unpack(&request->message, wait->frame, wait->n, NULL) != DW_OK)
		return NULL;
	/* What is left of its time: should it have to ask the engine, it waits no longer than that. */
	request->message.read.wait_ms = wait->until > now ? wait->until - now : 0;
	return wait->peer;
}

static void
end_request(struct hub *hub, struct later *later, const struct request *request)
{
	struct wait *wait = wait_of(later);

	later_remove(hub, later);
	if (wait->stalled)
		return;
	if (request->poll == POLL_KEPT)
		dw_wheel_set(&hub->wheel, &wait->timer, wait->until);
	else
		wait_end(wait);
}

/* A message has come, or its time is over. */
static void
queue_poll(struct dw_wheel_timer *timer)
{
	static const struct later_ops ops = { take_request, end_request };
	struct wait *wait = (struct wait *)(void *)((char *)timer - offsetof(struct wait, timer));

	later_add(wait->hub, &wait->later, &ops);
}

/* Packed anew, for what else a peer put into its frame is not to be kept. */
int
wait_message(struct hub *hub, struct peer *peer, struct dw_room *room, struct request *request)
{
	const struct dw_read *read = &request->message.read;
	const struct wait wait = {
		.room = room, .timer.fire = queue_poll, .list = &((struct resident *)room->user)->polls
	};
	struct dw_buf frame = { 0 };
	int err = DW_E_NOMEM;

	if (request->poll == POLL_AGAIN) {
		request->poll = POLL_KEPT;
		return DW_OK;
	}
	if (waits_full(hub, peer))
		return DW_E_BUSY;
	dw_wire_pack(&frame, &(struct dw_wire) { .kind = DW_READ, .read = *read });
	if (dw_buf_ok(&frame))
		err = wait_add(hub, peer, &wait, read->wait_ms, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&frame);
	/* There may be something: it is looked at as soon as that can be said. */
	if (err == DW_OK && peer_is_deaf(hub, peer))
		dw_wheel_set(&hub->wheel, &peer->waits->peer_prev->timer, dw_mono_ms());
	return err;
}

void
waits_message(struct hub *hub, struct dw_room *room)
{
	struct resident *resident = room->user;
	struct wait *wait;

	if (resident == NULL)
		return;
	DL_FOREACH(resident->polls, wait)
	{
		if (!wait->stalled)
			dw_wheel_set(&hub->wheel, &wait->timer, dw_mono_ms());
	}
}

void
waits_peer_drained(struct hub *hub, struct peer *peer)
{
	struct wait *wait;

	if (!peer->stalled)
		return;
	peer->stalled = false;
	DL_FOREACH2(peer->waits, wait, peer_next)
	{
		if (wait->stalled)
			dw_wheel_set(&hub->wheel, &wait->timer, dw_mono_ms());
		wait->stalled = false;
	}
}
