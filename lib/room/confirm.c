/* What sessions have confirmed, and what follows from it: their devices' cursors, and who has been delivered what.
 * Its own file because these are the rules by which a PONG counts as received.
 *
 * Happy path: a position is confirmed; the device's `at` follows at once, and is noted with the time in its trail. What
 * lies between where the session began to read, which the edge says, and that position has been delivered.
 * `resume` follows when DW_OVERLAP_MS have passed since and the connection is still there, or a later one has
 * confirmed it again (dw_room_settle, called every few seconds, and at the end of a session): a client that always
 * goes within seconds gets on, too. A client that acknowledges itself is believed at once.
 *
 * Failure modes: a position that the room never had changes nothing; without memory for a trail the device resumes
 * from earlier, and repeats more. Invariants: resume ≤ at, and none moves back; a session never confirms past
 * the head.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room/parts.h"

/* What it was delivered up to here still is; a run that ended elsewhere begins anew. */
static void
move_span(struct dw_span *had, uint64_t to)
{
	if (had->to != to)
		*had = (struct dw_span) { to, to };
}

void
dw_room_move_device(struct dw_room *room, struct dw_device *device, struct dw_position at)
{
	free(device->trail);
	device->trail = NULL;
	dw_room_stand_device(room, device, at);
	device->resume = device->settled = at;
	move_span(&device->had, dw_n(at));
	move_span(&device->had_own, dw_own(at));
	dw_room_mark_dirty(room, device);
}

/* Takes off the trail what is old enough. While nobody is connected nothing grows older. */
static void
settle_device(struct dw_device *device, uint64_t steady)
{
	struct dw_trail *trail = device->trail;
	size_t old = 0;

	if (trail == NULL || device->sessions == NULL)
		return;
	while (old < trail->count && trail->step[old].when + DW_OVERLAP_MS <= steady)
		device->settled = dw_position_further(device->settled, trail->step[old++].at);
	trail->count -= old;
	memmove(trail->step, trail->step + old, trail->count * sizeof(trail->step[0]));
	if (trail->count > 0)
		return;
	free(trail);
	device->trail = NULL;
}

void
dw_device_note(struct dw_device *device, struct dw_position at, uint64_t steady)
{
	struct dw_trail *trail;
	size_t last;

	settle_device(device, steady);
	if (device->trail == NULL)
		device->trail = calloc(1, sizeof(*device->trail));
	trail = device->trail;
	if (trail == NULL)
		return;
	last = trail->count - 1;
	/* One that left before the last confirmation came may leave no room: the newest is the one to widen. */
	if (trail->count == 0 || (trail->step[last].when / 1000 < steady / 1000 && trail->count < DW_TRAIL_STEPS))
		trail->step[last = trail->count++].when = 0;
	trail->step[last].at = at;
	trail->step[last].when = dw_greater(trail->step[last].when, steady);
}

/* What all open connections have confirmed. */
static struct dw_position
confirmed_by_all(const struct dw_device *device)
{
	struct dw_position at = device->sessions->confirmed;
	const struct dw_session *session;

	LL_FOREACH(device->sessions->next, session)
	{
		at = dw_position_nearer(at, session->confirmed);
	}
	return at;
}

static bool
moves(struct dw_position *at, struct dw_position to)
{
	const struct dw_position further = dw_position_further(*at, to);
	const bool moved = !dw_position_same(further, *at);

	*at = further;
	return moved;
}

/* All its connections have confirmed this. */
static void
advance_to(struct dw_room *room, struct dw_device *device, struct dw_position confirmed, uint64_t steady)
{
	struct dw_position at = device->at;

	if (moves(&at, confirmed)) {
		dw_room_stand_device(room, device, at);
		dw_device_note(device, at, steady);
		dw_room_mark_dirty(room, device);
	}
	settle_device(device, steady);
	room->unsettled |= device->trail != NULL;
	if (moves(&device->resume, dw_position_nearer(confirmed, device->settled)))
		dw_room_mark_dirty(room, device);
}

void
dw_room_advance(struct dw_room *room, struct dw_device *device, uint64_t steady)
{
	if (device->sessions != NULL)
		advance_to(room, device, confirmed_by_all(device), steady);
}

void
dw_room_settle(struct dw_room *room, uint64_t steady)
{
	const struct dw_member *member;
	struct dw_device *device;

	if (!room->unsettled)
		return;
	room->unsettled = false;
	DW_EACH_DEVICE(room, member, device)
	{
		if (device->trail != NULL)
			dw_room_advance(room, device, steady);
	}
	dw_room_even_out(room);
}

bool
dw_room_is_position(const struct dw_room *room, const struct dw_member *member, struct dw_position at)
{
	uint64_t n;

	if (dw_seq(at) > room->head || dw_n(at) > room->n || dw_own(at) > (member != NULL ? member->own : 0))
		return false;
	if (dw_room_n_at(room, dw_seq(at), &n) && dw_n(at) == n)
		return true;
	/* What the log has no longer is taken on trust, within bounds. */
	return dw_n(at) >= n && dw_n(at) < room->oldest_n;
}

/* A PONG's position and a client's own say nothing of the direct messages before it, which were written, too. */
static struct dw_position
with_own(const struct dw_room *room, const struct dw_member *member, struct dw_position at)
{
	uint64_t own;

	if (dw_own(at) == member->own)
		return at;
	(void)dw_room_own_at(room, dw_str(member->user), dw_seq(at), &own);
	return dw_position_skip(at, 0, own);
}

/* What lies between where the session began to read and this has been delivered to the device. */
static bool
deliver(struct dw_span *had, uint64_t begun, uint64_t upto)
{
	const struct dw_span before = *had;

	if (upto <= begun)
		return false;
	if (begun > had->to)
		*had = (struct dw_span) { begun, upto };
	else if (upto >= had->from)
		*had = (struct dw_span) { dw_less(begun, had->from), dw_greater(upto, had->to) };
	return had->from != before.from || had->to != before.to;
}

static void
count_confirmed(struct dw_room *room, struct dw_position from, struct dw_position to)
{
	const uint64_t first = dw_greater(dw_n(from), room->oldest_n - 1);
	const uint64_t count = dw_n(to) > first ? dw_n(to) - first : 0;

	room->confirmed += count;
	room->all->confirmed += count;
}

/* Not all up to there was delivered: where it began is what its device had, or skipped. */
static void
note_confirmed(struct dw_room *room, struct dw_device *device, struct dw_position at, struct dw_begun begun, bool sure)
{
	if (deliver(&device->had, begun.n, dw_n(at)))
		dw_room_mark_dirty(room, device);
	if (deliver(&device->had_own, begun.own, dw_own(at)))
		dw_room_mark_dirty(room, device);
	if (sure)
		device->settled = dw_position_further(device->settled, at);
}

bool
dw_room_confirm(struct dw_room *room, struct dw_session *session, struct dw_position at, const struct dw_begun *begun,
	bool sure, uint64_t steady)
{
	struct dw_device *device = session->device;
	struct dw_position all;

	if (!dw_room_is_position(room, device->member, at))
		return false;
	if (begun != NULL)
		session->begun = *begun;
	at = with_own(room, device->member, at);
	all = dw_position_further(session->confirmed, at);
	count_confirmed(room, session->confirmed, all);
	session->confirmed = all;
	note_confirmed(room, device, at, session->begun, sure);
	dw_room_advance(room, device, steady);
	dw_room_even_out(room);
	return true;
}

struct dw_device *
dw_room_departed(struct dw_room *room, const struct dw_leave *leave, uint64_t steady)
{
	struct dw_device *device = dw_room_device(room, leave->user, leave->device);
	struct dw_position at;

	if (device == NULL || device->derived || device->sessions != NULL ||
		!dw_room_is_position(room, device->member, leave->at))
		return NULL;
	at = with_own(room, device->member, leave->at);
	note_confirmed(room, device, at, leave->begun, leave->sure);
	advance_to(room, device, at, steady);
	dw_room_even_out(room);
	return device->dirty ? device : NULL;
}

static void
end_session(struct dw_room *room, struct dw_session *session, uint64_t ended)
{
	struct dw_device *device = session->device;

	dw_room_unlink_session(session);
	dw_rooms_go(room->all, dw_str(device->member->user));
	free(session);
	device->seen = ended;
	dw_room_note_age(room, device);
	dw_room_mark_dirty(room, device);
}

void
dw_room_leave(struct dw_room *room, struct dw_session *session, uint64_t ended, uint64_t steady)
{
	struct dw_device *device = session->device;

	dw_room_advance(room, device, steady);
	end_session(room, session, ended);
	dw_room_advance(room, device, steady);
	dw_room_even_out(room);
}

void
dw_room_lose_reader(struct dw_room *room, struct dw_reader *reader, uint64_t ended, uint64_t steady)
{
	struct dw_session *session, *next;

	DL_FOREACH2(reader->sessions, session, reader_next)
	{
		dw_room_advance(room, session->device, steady);
	}
	DL_FOREACH_SAFE2(reader->sessions, session, next, reader_next)
	{
		struct dw_device *device = session->device;
		const struct dw_session *other;

		end_session(room, session, ended);
		LL_SEARCH_SCALAR(device->sessions, other, reader, reader);
		if (other == NULL)
			dw_room_advance(room, device, steady);
	}
	dw_room_even_out(room);
	dw_room_drop_reader(room, reader);
}

static bool
lies_in(struct dw_span span, uint64_t number)
{
	return span.from < number && number <= span.to;
}

bool
dw_device_has(const struct dw_device *device, struct dw_number number, struct dw_str to)
{
	return to.n == 0 ? lies_in(device->had, number.n)
					 : dw_str_is(to, device->member->user) && lies_in(device->had_own, number.own);
}

static bool
was_sent(const struct dw_device *device, struct dw_number number, struct dw_str to)
{
	const struct dw_session *session;

	if (to.n > 0 && !dw_str_is(to, device->member->user))
		return false;
	LL_FOREACH(device->sessions, session)
	{
		if (number.seq <= dw_seq(session->reader->sent) &&
			(to.n > 0 ? session->begun.own < number.own : session->begun.n < number.n))
			return true;
	}
	return false;
}

struct dw_receipts
dw_room_receipts(const struct dw_room *room, struct dw_number number, struct dw_str to, uint64_t except)
{
	const struct dw_session *own = except != 0 ? dw_room_session(room, except) : NULL;
	struct dw_receipts receipts = { 0 };
	const struct dw_member *member;
	const struct dw_device *device;

	DW_EACH_DEVICE(room, member, device)
	{
		const bool has = dw_device_has(device, number, to);

		if (own != NULL && own->device == device)
			continue;
		receipts.delivered += has;
		receipts.sent += has || was_sent(device, number, to);
	}
	if (except != 0 && own == NULL) {
		receipts.delivered -= receipts.delivered > 0;
		receipts.sent -= receipts.sent > 0;
	}
	return receipts;
}

struct dw_audience
dw_room_audience(const struct dw_room *room, struct dw_str to, uint64_t except)
{
	const struct dw_member *member = to.n > 0 ? dw_room_member(room, to) : NULL;
	const struct dw_device *device = member != NULL ? member->devices : NULL;
	const struct dw_session *session;
	struct dw_audience audience = { 0 };

	if (to.n == 0) {
		audience.sessions = room->session_count - (except != 0 && dw_room_session(room, except) != NULL);
		audience.devices = room->device_count - room->device_connected;
	}
	for (; device != NULL; device = device->next) {
		audience.devices += device->sessions == NULL;
		LL_FOREACH(device->sessions, session)
		{
			audience.sessions += session->id != except;
		}
	}
	return audience;
}
