/* Waits: senders that want to know when so many devices have their message, and polls that want the next message.
 *
 * Its own file because both are the same: something about a room is awaited until a time is over. A room with a wait
 * stays in memory. A wait ends with its peer, and counts as an unanswered request of it. It has its place in a list of
 * what it waits for and in one of its peer, and a timer: nothing here looks at waits that nothing has happened to.
 *
 * Happy path: a message is stored and answered, the devices that confirm it are counted (awaited.c), DELIVERED is
 * answered. A READ that found nothing is carried out again with each message of the room, and when its time is over: by
 * its timer, so that of many polls of a room some are answered a turn, and none of a peer that has too much unread.
 *
 * Failure modes: the time is over (the count says how far it came). Too many wait: a peer may have as many as are still
 * free, so that there are always some for one that has none; more are told busy. The hub goes: whoever waits repeats
 * its request, and the devices' cursors tell the new hub who has what.
 */
#include "rooms/waits.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"

static void fire(struct dw_wheel_timer *timer);

bool
waits_full(const struct hub *hub, const struct peer *peer)
{
	return peer->waiting >= HUB_WAITS_MAX - hub->waiting;
}

/* For a message, or for the next. */
static struct wait **
list_of(const struct wait *wait)
{
	return wait->awaited != NULL ? &wait->awaited->waits : &((struct seat *)wait->room->user)->polls;
}

static int
add(struct hub *hub, struct peer *peer, struct wait wait, uint64_t wait_ms, struct dw_str frame)
{
	struct wait *added = malloc(sizeof(*added) + frame.n);

	if (added == NULL)
		return DW_E_NOMEM;
	*added = wait;
	added->hub = hub;
	added->peer = peer;
	added->timer.fire = fire;
	added->n = frame.n;
	if (frame.n > 0)
		memcpy(added->frame, frame.p, frame.n);
	DL_APPEND(*list_of(added), added);
	DL_APPEND2(peer->waits, added, peer_prev, peer_next);
	added->until = dw_mono_ms() + wait_ms;
	dw_wheel_set(&hub->wheel, &added->timer, added->until);
	if (added->awaited != NULL)
		added->awaited->wait_count++;
	hub->waiting++;
	peer->waiting++;
	peer->pending++;
	return DW_OK;
}

/* The room may be given up. */
static void
end(struct wait *wait)
{
	struct hub *hub = wait->hub;
	struct dw_room *room = wait->room;
	struct awaited *awaited = wait->awaited;

	DL_DELETE(*list_of(wait), wait);
	DL_DELETE2(wait->peer->waits, wait, peer_prev, peer_next);
	dw_wheel_cancel(&wait->timer);
	hub->waiting--;
	wait->peer->waiting--;
	peer_answered(wait->peer);
	free(wait);
	if (awaited != NULL) {
		awaited->wait_count--;
		awaited_drop_if_idle(hub, awaited);
	}
	room_settle(hub, room);
}

static void
tell_delivered(struct hub *hub, const struct peer *peer, uint64_t corr, int err, uint64_t count)
{
	outbox_add(hub, peer->number,
		&(struct dw_wire) {
			.kind = DW_DELIVERED, .delivered = { .corr = corr, .code = (uint64_t)-err, .count = count } });
}

void
waits_answer(struct hub *hub, struct awaited *awaited)
{
	struct wait *wait, *next;

	/* It goes with the last of them. */
	DL_FOREACH_SAFE(awaited->waits, wait, next)
	{
		if (awaited->count < wait->need)
			continue;
		tell_delivered(hub, wait->peer, wait->corr, DW_OK, awaited->count);
		end(wait);
	}
}

void
wait_delivered(struct hub *hub, struct dw_room *room, const struct staged *staged)
{
	struct wait wait = { .room = room, .corr = staged->corr, .need = staged->wait };
	struct peer *peer = peer_find(hub, staged->peer);
	int err;

	if (peer == NULL)
		return;
	err = waits_full(hub, peer) ? DW_E_BUSY : awaited_get(hub, room, &staged->op, &wait.awaited);
	if (err == DW_OK && wait.awaited->count < wait.need)
		err = staged->wait_ms > 0 ? add(hub, peer, wait, staged->wait_ms, DW_STR("")) : DW_E_UNDELIVERED;
	else if (err == DW_OK)
		tell_delivered(hub, peer, wait.corr, DW_OK, wait.awaited->count);
	if (err != DW_OK)
		tell_delivered(hub, peer, wait.corr, err, wait.awaited != NULL ? wait.awaited->count : 0);
	if (wait.awaited != NULL)
		awaited_drop_if_idle(hub, wait.awaited);
}

/* Packed anew, for what else a peer put into its frame is not to be kept. */
int
wait_message(struct hub *hub, struct peer *peer, struct dw_room *room, const struct dw_read *read)
{
	struct dw_buf frame = { 0 };
	int err = DW_E_NOMEM;

	if (hub->poll == POLL_AGAIN) {
		hub->poll = POLL_KEPT;
		return DW_OK;
	}
	if (waits_full(hub, peer))
		return DW_E_BUSY;
	dw_wire_pack(&frame, &(struct dw_wire) { .kind = DW_READ, .read = *read });
	if (dw_buf_ok(&frame))
		err = add(hub, peer, (struct wait) { .room = room }, read->wait_ms, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&frame);
	/* There may be something: it is looked at as soon as that can be said. */
	if (err == DW_OK && peer_is_deaf(hub, peer))
		dw_wheel_set(&hub->wheel, &peer->waits->peer_prev->timer, dw_mono_ms());
	return err;
}

/* Carries the READ out again. False: it still waits. */
static bool
poll_again(struct hub *hub, const struct wait *wait, enum poll_state state)
{
	const struct dw_str frame = { wait->frame, wait->n };
	const uint64_t now = dw_mono_ms();
	struct dw_wire message;

	if (dw_wire_unpack(&message, frame.p, frame.n, NULL) != DW_OK)
		return true;
	/* What is left of its time: should it have to ask the engine, it waits no longer than that. */
	message.read.wait_ms = wait->until > now ? wait->until - now : 0;
	hub->poll = state;
	hub_dispatch(hub, wait->peer, &message, frame);
	state = hub->poll;
	hub->poll = POLL_FIRST;
	return state != POLL_KEPT;
}

void
waits_message(struct hub *hub, struct dw_room *room)
{
	struct seat *seat = room->user;
	struct wait *wait;

	if (seat == NULL)
		return;
	DL_FOREACH(seat->polls, wait)
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

/* A message has come, or its time is over. */
static void
fire_poll(struct wait *wait)
{
	const bool over = dw_mono_ms() >= wait->until;

	if (peer_is_deaf(wait->hub, wait->peer))
		wait->stalled = wait->peer->stalled = true;
	else if (poll_again(wait->hub, wait, over ? POLL_OVER : POLL_AGAIN))
		end(wait);
	else
		dw_wheel_set(&wait->hub->wheel, &wait->timer, wait->until);
}

/* Its time is over; of a poll see there. */
static void
fire(struct dw_wheel_timer *timer)
{
	struct wait *wait = (struct wait *)(void *)((char *)timer - offsetof(struct wait, timer));

	if (wait->awaited == NULL) {
		fire_poll(wait);
		return;
	}
	tell_delivered(wait->hub, wait->peer, wait->corr, DW_E_UNDELIVERED, wait->awaited->count);
	end(wait);
}

void
waits_forget_peer(struct peer *peer)
{
	struct wait *wait, *next;

	DL_FOREACH_SAFE2(peer->waits, wait, next, peer_next)
	{
		end(wait);
	}
}
