/* Messages that senders wait for to be delivered, how many devices have each, and what the senders are told.
 *
 * Its own file because it counts: a device that confirms costs a look for each message that it has got by that, and not
 * one for everybody who waits; one that joins costs none.
 *
 * Happy path: a message is stored and somebody waits, so it is awaited; a device gets on over its number, and it has
 * one more; all who wait for so many are answered. A message that was stored before (a duplicate) is counted once, over
 * the devices of its room.
 *
 * Failure modes: too much is awaited, which whoever asks is told. Once counted, a device stays counted. Where the
 * session that the message is not for has gone, nobody knows which device was its own, and one less is counted: never
 * too many.
 */
#include "rooms/awaited.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/rooms.h"
#include "rooms/waits.h"
#include "store/stage.h"

enum { OF_ROOM_MAX = 1024, OF_MESSAGE_MAX = 64 };

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

/* Whom the message is not for, and when its time is over. What was stored decides, for who repeats a request may leave
 * either out, or name another session. Where the message is retained no more, only that it had them is known: whoever
 * has passed it may not have got it then. */
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
	const struct dw_session *except = awaited->except != 0 ? dw_room_session(room, awaited->except) : NULL;

	awaited->blind = awaited->except != 0 && except == NULL;
	if (!op->append.duplicate || is_over(awaited))
		return;
	awaited->have = dw_room_receipts(room, number, to, 0).delivered;
	awaited->count = awaited->have;
	if (awaited->blind ? awaited->have > 0 : except != NULL && dw_device_has(except->device, number, to))
		awaited->count--;
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
	awaited->key.room = room;
	awaited->key.member = member;
	awaited->key.number = key;
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
	outbox_add(hub, peer->number,
		&(struct dw_wire) {
			.kind = DW_DELIVERED, .delivered = { .corr = corr, .code = (uint64_t)-err, .count = count } });
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
		wait_end(wait);
	}
}

/* Its time is over. */
static void
time_out(struct dw_wheel_timer *timer)
{
	struct wait *wait = (struct wait *)(void *)((char *)timer - offsetof(struct wait, timer));

	tell_delivered(wait->hub, wait->peer, wait->corr, DW_E_UNDELIVERED, wait->awaited->count);
	wait_end(wait);
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
		err = staged->wait_ms > 0 ? wait_add(hub, peer, &wait, staged->wait_ms, DW_STR("")) : DW_E_UNDELIVERED;
	} else if (err == DW_OK) {
		tell_delivered(hub, peer, wait.corr, DW_OK, wait.awaited->count);
	}
	if (err != DW_OK)
		tell_delivered(hub, peer, wait.corr, err, wait.awaited != NULL ? wait.awaited->count : 0);
	if (wait.awaited != NULL)
		awaited_drop_if_idle(hub, wait.awaited);
}

static bool
has_session(const struct dw_device *device, uint64_t id)
{
	const struct dw_session *session;

	LL_FOREACH(device->sessions, session)
	{
		if (session->id == id)
			return true;
	}
	return false;
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
	if (is_over(awaited))
		return;
	awaited->have++;
	if (awaited->blind)
		awaited->count = dw_greater(awaited->count, awaited->have - 1);
	else if (awaited->except == 0 || !has_session(device, awaited->except))
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
