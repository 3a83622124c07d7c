/* Waits: senders that want to know when so many devices have their message, and READs that found nothing (polls) and
 * want the next one. A wait keeps its room in memory, ends with its peer and counts as an unanswered request of it. It
 * is in a list of what it waits for and in one of its peer, and has a timer: nothing looks at waits that nothing has
 * happened to.
 *
 * A message that somebody waits for is awaited: a device that confirms costs a look for each message that it has got by
 * that, and not one for everybody who waits; one that joins costs none. A message that was stored before (a duplicate)
 * is counted once, over the devices of its room.
 *
 * A poll is dispatched again (later.c) with each message of the room, and when its time is over; by its timer, so that
 * of many polls of a room some are answered a turn, and none of a peer that has too much unread until that has drained.
 *
 * Failure modes: too many wait: a peer may have as many as are still free, so that there are always some for one that
 * has none; more are told busy, and so is who waits where too much is awaited. Where the session that the message is
 * not for has gone, its device is not known, and one less is counted: never too many. The hub goes: whoever waits asks
 * again, and the devices' cursors tell the new hub who has what.
 */
#include "rooms/waits.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/rooms.h"
#include "store/stage.h"

enum { OF_ROOM_MAX = 1024, OF_MESSAGE_MAX = 64 };

struct wait {
	struct wait *peer_prev, *peer_next; /* of its peer */
	struct wait *prev, *next;           /* of what it waits for: a message, or the next one of a room; */
	struct wait **list;                 /* which has them all */
	struct dw_wheel_timer timer;
	uint64_t until;     /* dw_mono_ms: when its time is over */
	struct later later; /* a READ is in the queue: it is carried out again */
	bool stalled;       /* a READ that is to be carried out again when its peer has taken what it was answered */
	struct hub *hub;
	struct peer *peer;
	struct dw_room *room;
	struct awaited *awaited; /* NULL: a READ, */
	size_t n;                /* with its frame */
	uint64_t corr, need;
	char frame[];
};

/* A message, and how many devices have it. */
struct awaited {
	UT_hash_handle hh; /* in hub->awaited */
	struct awaited_key {
		const struct dw_room *room;
		const struct dw_member *member; /* NULL: it is to everyone */
		uint64_t number;                /* n, or own */
	} key;
	struct awaited *prev, *next; /* of the room */
	uint64_t except;             /* as dw_room_receipts takes it; */
	bool blind;                  /* which device that is nobody knows */
	uint64_t expires_at;         /* dw_now_ms; 0: never */
	uint64_t have, count;        /* devices that have it; and those that count */
	struct wait *waits;
	size_t wait_count;
};

bool
waits_full(const struct hub *hub, const struct peer *peer)
{
	return peer->waiting >= HUB_WAITS_MAX - hub->waiting;
}

/* Keeps the frame with it; its list is of what it waits for. DW_E_NOMEM. */
static int
add_wait(struct hub *hub, struct peer *peer, const struct wait *wait, uint64_t wait_ms, struct dw_str frame)
{
	struct wait *added = malloc(sizeof(*added) + frame.n);

	if (added == NULL)
		return DW_E_NOMEM;
	*added = *wait;
	added->hub = hub;
	added->peer = peer;
	added->n = frame.n;
	if (frame.n > 0)
		memcpy(added->frame, frame.p, frame.n);
	DL_APPEND(*added->list, added);
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

/* When nobody waits for it any more. */
static void
drop_if_idle(struct hub *hub, struct awaited *awaited)
{
	struct resident *resident = awaited->key.room->user;

	if (awaited->waits != NULL)
		return;
	HASH_DEL(hub->awaited, awaited);
	DL_DELETE(resident->awaited, awaited);
	resident->awaited_count--;
	free(awaited);
}

/* The room may be given up. */
static void
end_wait(struct wait *wait)
{
	struct hub *hub = wait->hub;
	struct dw_room *room = wait->room;
	struct awaited *awaited = wait->awaited;

	DL_DELETE(*wait->list, wait);
	DL_DELETE2(wait->peer->waits, wait, peer_prev, peer_next);
	dw_wheel_cancel(&wait->timer);
	later_remove(hub, &wait->later);
	hub->waiting--;
	wait->peer->waiting--;
	peer_answered(wait->peer);
	free(wait);
	if (awaited != NULL) {
		awaited->wait_count--;
		drop_if_idle(hub, awaited);
	}
	room_done(hub, room);
}

void
waits_forget_peer(struct peer *peer)
{
	struct wait *wait, *next;

	DL_FOREACH_SAFE2(peer->waits, wait, next, peer_next)
	{
		end_wait(wait);
	}
}

/* ---- messages that senders wait for to be delivered */

static struct awaited *
find_awaited(const struct hub *hub, const struct dw_room *room, const struct dw_member *member, uint64_t number)
{
	struct awaited_key key;
	struct awaited *awaited;

	memset(&key, 0, sizeof(key)); /* all its bytes are hashed */
	key.room = room;
	key.member = member;
	key.number = number;
	HASH_FIND(hh, hub->awaited, &key, sizeof(key), awaited);
	return awaited;
}

/* Whoever confirms now may have been told of a gap instead. */
static bool
is_over(const struct awaited *awaited)
{
	return awaited->expires_at != 0 && awaited->expires_at <= dw_now_ms();
}

/* Which session the message is not for, and when it expires. What was stored counts, for a repeated request may leave
 * them out, or name another session. If the message is retained no more, only whether it had them is known; and if it
 * could expire it is taken as expired, for a device that is past it may have been told of a gap instead. */
static void
recall(const struct dw_room *room, const struct dw_op *op, struct dw_number number, struct awaited *awaited)
{
	const struct dw_str to = dw_str(op->append.to);
	struct dw_position at = dw_position_before(number);
	struct dw_buf bytes = { 0 };
	struct dw_record record;
	struct dw_str rest;

	awaited->except = op->append.had_except ? DW_EXCEPT_SOME : 0;
	awaited->expires_at = op->append.had_expiry;
	(void)dw_room_read(room, to.n > 0 ? &to : NULL, &at, 1, DW_WIRE_BATCH_MAX, dw_now_ms(), &bytes);
	rest = (struct dw_str) { bytes.data, bytes.len };
	if (dw_record_next(&rest, &record) == DW_OK && record.seq == number.seq) {
		awaited->except = record.except;
		awaited->expires_at = record.type.n > 0 ? record.expires_at : 1;
	}
	dw_buf_clear(&bytes);
}

/* Of one that was stored before, devices may have it already. */
static void
count_first(const struct dw_room *room, const struct dw_op *op, struct dw_number number, struct awaited *awaited)
{
	const struct dw_str to = dw_str(op->append.to);

	awaited->blind = awaited->except != 0 && dw_room_session(room, awaited->except) == NULL;
	if (!op->append.duplicate || is_over(awaited))
		return;
	awaited->have = dw_room_receipts(room, number, to, 0).delivered;
	awaited->count = dw_room_receipts(room, number, to, awaited->except).delivered;
}

/* DW_E_BUSY: too much is awaited in this room, or of this message; DW_E_UNDELIVERED: nobody will ever have it. */
static int
get_awaited(struct hub *hub, struct dw_room *room, const struct dw_op *op, struct awaited **out)
{
	const uint64_t key = op->append.own > 0 ? op->append.own : op->append.n;
	const struct dw_number number = { op->append.seq, op->append.n, op->append.own };
	const struct dw_member *member = NULL;
	struct resident *resident = room->user;
	struct awaited *awaited;

	if (op->append.own > 0) {
		member = dw_room_member(room, dw_str(op->append.to));
		if (member == NULL)
			return DW_E_UNDELIVERED;
	}
	awaited = find_awaited(hub, room, member, key);
	if (awaited != NULL && awaited->wait_count >= OF_MESSAGE_MAX)
		return DW_E_BUSY;
	if (awaited != NULL) {
		*out = awaited;
		return DW_OK;
	}
	if (resident->awaited_count >= OF_ROOM_MAX)
		return DW_E_BUSY;
	awaited = calloc(1, sizeof(*awaited));
	if (awaited == NULL)
		return DW_E_NOMEM;
	awaited->key = (struct awaited_key) { room, member, key };
	recall(room, op, number, awaited);
	count_first(room, op, number, awaited);
	HASH_ADD(hh, hub->awaited, key, sizeof(awaited->key), awaited);
	DL_APPEND(resident->awaited, awaited);
	resident->awaited_count++;
	*out = awaited;
	return DW_OK;
}

static void
tell_delivered(struct hub *hub, const struct peer *peer, uint64_t corr, int err, uint64_t count)
{
	outbox_add(hub, peer->number, &(struct dw_wire) { DW_DELIVERED, .delivered = { corr, (uint64_t)-err, count } });
}

/* Those who wait for no more devices than have it. */
static void
answer_waits(struct hub *hub, struct awaited *awaited)
{
	struct wait *wait, *next;

	/* It goes with the last of them. */
	DL_FOREACH_SAFE(awaited->waits, wait, next)
	{
		if (awaited->count < wait->need)
			continue;
		tell_delivered(hub, wait->peer, wait->corr, DW_OK, awaited->count);
		end_wait(wait);
	}
}

/* Its time is over. */
static void
time_out(struct dw_wheel_timer *timer)
{
	struct wait *wait = (struct wait *)(void *)((char *)timer - offsetof(struct wait, timer));

	tell_delivered(wait->hub, wait->peer, wait->corr, DW_E_UNDELIVERED, wait->awaited->count);
	end_wait(wait);
}

void
wait_delivered(struct hub *hub, struct dw_room *room, const struct staged *staged)
{
	struct wait wait = { .room = room, .timer.fire = time_out, .corr = staged->corr, .need = staged->wait };
	struct peer *peer = peer_find(hub, staged->peer);
	int err;

	if (peer == NULL)
		return;
	err = waits_full(hub, peer) ? DW_E_BUSY : get_awaited(hub, room, &staged->op, &wait.awaited);
	if (err == DW_OK && wait.awaited->count < wait.need) {
		wait.list = &wait.awaited->waits;
		err = staged->wait_ms > 0 ? add_wait(hub, peer, &wait, staged->wait_ms, DW_STR("")) : DW_E_UNDELIVERED;
		if (err == DW_OK)
			return;
	}
	tell_delivered(hub, peer, wait.corr, err, wait.awaited != NULL ? wait.awaited->count : 0);
	if (wait.awaited != NULL)
		drop_if_idle(hub, wait.awaited);
}

static bool
has_it(const struct dw_device *device, const struct awaited *awaited)
{
	const struct dw_member *member = awaited->key.member;
	const struct dw_number number = { .n = awaited->key.number, .own = awaited->key.number };

	return awaited->have > 0 && dw_device_has(device, number, dw_str(member != NULL ? member->user : ""));
}

/* This device has it now. */
static void
count_one(struct hub *hub, struct awaited *awaited, const struct dw_device *device)
{
	const struct dw_session *own;

	if (is_over(awaited))
		return;
	awaited->have++;
	if (awaited->blind)
		awaited->count = dw_greater(awaited->count, awaited->have - 1);
	else if (awaited->except == 0 || (own = dw_room_session(awaited->key.room, awaited->except)) == NULL ||
			 own->device != device)
		awaited->count++;
	answer_waits(hub, awaited);
}

/* It has the messages behind one number and up to another now. */
static void
count_range(struct hub *hub, const struct dw_room *room, const struct dw_member *member, const struct dw_device *device,
	struct dw_span range)
{
	const struct resident *resident = room->user;
	struct awaited *awaited, *next;

	if (range.to <= range.from)
		return;
	if (range.to - range.from <= resident->awaited_count) {
		for (uint64_t number = range.from + 1; number <= range.to; number++)
			if ((awaited = find_awaited(hub, room, member, number)) != NULL)
				count_one(hub, awaited, device);
		return;
	}
	DL_FOREACH_SAFE(resident->awaited, awaited, next)
	{
		if (awaited->key.member == member && range.from < awaited->key.number && awaited->key.number <= range.to)
			count_one(hub, awaited, device);
	}
}

/* What is in the one and not in the other lies before it or behind it. */
static void
count_more(struct hub *hub, const struct dw_room *room, const struct dw_member *member, const struct dw_device *device,
	struct dw_span before, struct dw_span after)
{
	count_range(hub, room, member, device, (struct dw_span) { after.from, dw_less(after.to, before.from) });
	count_range(hub, room, member, device, (struct dw_span) { dw_greater(after.from, before.to), after.to });
}

void
waits_confirmed(struct hub *hub, struct dw_room *room, const struct dw_device *device, const struct had *before)
{
	struct resident *resident = room->user;

	if (resident->awaited == NULL)
		return;
	resident->holds++;
	count_more(hub, room, NULL, device, before->numbered, device->had);
	count_more(hub, room, device->member, device, before->direct, device->had_own);
	resident->holds--;
}

void
waits_joined(struct hub *hub, struct dw_room *room, const struct dw_session *session, const struct had *before)
{
	struct resident *resident = room->user;
	struct awaited *awaited, *next;

	if (resident->awaited == NULL)
		return;
	resident->holds++;
	waits_confirmed(hub, room, session->device, before);
	DL_FOREACH_SAFE(resident->awaited, awaited, next)
	{
		if (!awaited->blind || awaited->except != session->id)
			continue;
		awaited->blind = false;
		awaited->count = dw_greater(awaited->count, awaited->have - has_it(session->device, awaited));
		answer_waits(hub, awaited);
	}
	resident->holds--;
}

/* ---- READs that wait for a message */

/* NULL: it is not to be dispatched. */
static struct peer *
take_request(struct wait *wait, struct request *request)
{
	const uint64_t now = dw_mono_ms();

	if (peer_is_deaf(wait->hub, wait->peer)) {
		wait->stalled = wait->peer->stalled = true;
		return NULL;
	}
	request->frame = (struct dw_str) { wait->frame, wait->n };
	if (dw_wire_unpack(&request->message, wait->frame, wait->n, NULL) != DW_OK)
		return NULL;
	/* What is left of its time: it waits no longer than that, nor if it has to ask the engine. */
	request->message.read.wait_ms = wait->until > now ? wait->until - now : 0;
	return wait->peer;
}

static void
serve_poll(struct hub *hub, struct later *later, request_fn *dispatch)
{
	struct wait *wait = (struct wait *)(void *)((char *)later - offsetof(struct wait, later));
	struct request request = { .poll = POLL_AGAIN };
	struct peer *peer = take_request(wait, &request);

	if (peer != NULL)
		dispatch(hub, peer, &request);
	later_remove(hub, later);
	if (wait->stalled)
		return;
	if (request.poll == POLL_KEPT)
		dw_wheel_set(&hub->wheel, &wait->timer, wait->until);
	else
		end_wait(wait);
}

/* A message has come, or its time is over. */
static void
queue_poll(struct dw_wheel_timer *timer)
{
	struct wait *wait = (struct wait *)(void *)((char *)timer - offsetof(struct wait, timer));

	later_add(wait->hub, &wait->later);
}

/* Packed anew, for what else a peer put into its frame is not to be kept. */
int
wait_message(struct hub *hub, struct peer *peer, struct dw_room *room, struct request *request)
{
	const struct dw_read *read = &request->message.read;
	const struct wait wait = { .room = room,
		.timer.fire = queue_poll,
		.later.serve = serve_poll,
		.list = &((struct resident *)room->user)->polls };
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
		err = add_wait(hub, peer, &wait, read->wait_ms, (struct dw_str) { frame.data, frame.len });
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
