/* What sessions have confirmed, and what follows from it: their devices' cursors, and who has been delivered what.
 *
 * Its own file because these are the rules of "Acknowledgment without client code" (ARCHITECTURE.md), each tested
 * for itself.
 *
 * Happy path: a position is confirmed; the device's `at` follows at once, and is noted with the time in its trail.
 * `resume` follows when DW_OVERLAP_MS have passed since and the connection is still there, or a later one has
 * confirmed it again (dw_room_settle, called every few seconds, and at the end of a session): a client that always
 * goes within seconds gets on, too. A client that acknowledges itself is believed at once.
 *
 * Failure modes: a position that the room never had changes nothing; without memory for a trail the device resumes
 * from earlier, and repeats more. Invariants: resume ≤ at ≤ reach, none moves back; a session never confirms past the
 * head.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room_parts.h"

void
dw_room_move_device(struct dw_room *room, struct dw_device *device, struct dw_position at)
{
	free(device->trail);
	device->trail = NULL;
	device->at = device->resume = device->settled = at;
	device->since = device->reach = at.seq;
	room->low_stale = true;
	dw_room_mark_dirty(room, device);
}

/* Takes off the trail what is old enough. */
static void
settle_device(struct dw_device *device, uint64_t now)
{
	struct dw_trail *trail = device->trail;
	size_t old = 0;

	if (trail == NULL)
		return;
	while (old < trail->count && trail->step[old].when + DW_OVERLAP_MS <= now)
		device->settled = trail->step[old++].at;
	trail->count -= old;
	memmove(trail->step, trail->step + old, trail->count * sizeof(trail->step[0]));
	if (trail->count > 0)
		return;
	free(trail);
	device->trail = NULL;
}

void
dw_device_note(struct dw_device *device, struct dw_position at, uint64_t now)
{
	struct dw_trail *trail;
	size_t last;

	settle_device(device, now);
	if (device->trail == NULL)
		device->trail = calloc(1, sizeof(*device->trail));
	trail = device->trail;
	if (trail == NULL)
		return;
	last = trail->count - 1;
	/* A clock that was set may leave no room: the newest is the one to widen. */
	if (trail->count == 0 || (trail->step[last].when / 1000 != now / 1000 && trail->count < DW_TRAIL_STEPS))
		last = trail->count++;
	trail->step[last].at = at;
	trail->step[last].when = now;
}

void
dw_room_advance(struct dw_room *room, struct dw_device *device, uint64_t now)
{
	const struct dw_session *lowest = device->sessions, *session;
	struct dw_position sure;

	if (device->sessions == NULL)
		return;
	LL_FOREACH(device->sessions, session)
	{
		if (session->confirmed.seq < lowest->confirmed.seq)
			lowest = session;
	}
	if (lowest->confirmed.seq > device->at.seq) {
		device->at = lowest->confirmed;
		dw_device_note(device, device->at, now);
		room->low_stale = true;
		dw_room_mark_dirty(room, device);
	}
	settle_device(device, now);
	room->unsettled |= device->trail != NULL;
	sure = lowest->confirmed.seq < device->settled.seq ? lowest->confirmed : device->settled;
	if (sure.seq > device->resume.seq) {
		device->resume = sure;
		dw_room_mark_dirty(room, device);
	}
}

void
dw_room_settle(struct dw_room *room, uint64_t now)
{
	const struct dw_reader *reader;

	if (!room->unsettled)
		return;
	room->unsettled = false;
	DL_FOREACH(room->readers, reader)
	{
		const struct dw_session *session;

		DL_FOREACH2(reader->sessions, session, reader_next)
		{
			if (session->device->trail != NULL)
				dw_room_advance(room, session->device, now);
		}
	}
}

bool
dw_room_is_position(const struct dw_room *room, struct dw_position at)
{
	uint64_t n;

	if (at.seq > room->head || at.n > room->n)
		return false;
	if (dw_room_n_at(room, at.seq, &n))
		return at.n == n;
	/* What the log has no longer is taken on trust, within bounds. */
	return at.n >= n && at.n < room->oldest_n;
}

/* Where a gap ends that lies before the room's oldest message. */
static uint64_t
gap_end(const struct dw_room *room)
{
	const uint64_t first = dw_log_first(room->log);

	return first < dw_log_end(room->log) ? dw_log_entry(room->log, first)->seq - 1 : room->head;
}

/* One that was there when its reader was set back had got further. */
static uint64_t
sent_to(const struct dw_session *session)
{
	const struct dw_reader *reader = session->reader;
	const bool before = session->backs != reader->backs && reader->furthest > reader->sent.seq;

	return before ? reader->furthest : reader->sent.seq;
}

void
dw_room_skip_unsent(const struct dw_reader *reader)
{
	struct dw_session *session;

	if (dw_room_gap(reader->room, reader->sent.n).reason == DW_GAP_NONE)
		return;
	DL_FOREACH2(reader->sessions, session, reader_next)
	{
		if (sent_to(session) < gap_end(reader->room))
			dw_room_skip(reader->room, session);
	}
}

void
dw_room_skip(const struct dw_room *room, struct dw_session *session)
{
	const uint64_t to = gap_end(room);

	if (to <= session->begun || to <= session->confirmed.seq || to <= session->skipped)
		return;
	/* Of two gaps that are not confirmed, what lies between counts only with what follows the second. */
	if (session->skipped > session->begun)
		session->begun = session->skipped;
	session->skipped = to;
}

/* What lies between the session's begin, or its last gap, and this has been delivered to the device. */
static void
extend_reach(struct dw_device *device, struct dw_session *session, uint64_t seq)
{
	if (session->skipped > 0 && seq >= session->skipped) {
		session->begun = session->skipped;
		session->skipped = 0;
	}
	if (session->begun > device->reach) {
		device->since = session->begun;
		device->reach = seq;
		return;
	}
	if (seq > device->reach)
		device->reach = seq;
	if (session->begun < device->since && seq >= device->since)
		device->since = session->begun;
}

static void
count_confirmed(struct dw_room *room, struct dw_position from, struct dw_position to)
{
	const uint64_t first = from.n > room->oldest_n - 1 ? from.n : room->oldest_n - 1;
	const uint64_t count = to.n > first ? to.n - first : 0;

	room->confirmed += count;
	room->all->confirmed += count;
}

bool
dw_room_confirm(struct dw_room *room, struct dw_session *session, struct dw_position at, bool sure, uint64_t now)
{
	if (!dw_room_is_position(room, at))
		return false;
	if (at.seq > session->confirmed.seq) {
		count_confirmed(room, session->confirmed, at);
		session->confirmed = at;
		extend_reach(session->device, session, at.seq);
	}
	if (sure && at.seq > session->device->settled.seq)
		session->device->settled = at;
	dw_room_advance(room, session->device, now);
	return true;
}

void
dw_room_leave(struct dw_room *room, struct dw_session *session, uint64_t ended)
{
	struct dw_device *device = session->device;

	dw_room_advance(room, device, ended);
	LL_DELETE(device->sessions, session);
	DL_DELETE2(session->reader->sessions, session, reader_prev, reader_next);
	dw_room_unlink_session(session);
	session->reader->session_count--;
	room->session_count--;
	room->all->sessions--;
	free(session);
	if (device->sessions == NULL)
		room->device_connected--;
	dw_room_advance(room, device, ended);
	device->seen = ended;
	dw_room_mark_dirty(room, device);
}

bool
dw_device_has(const struct dw_device *device, uint64_t seq, struct dw_str to)
{
	return device->since < seq && seq <= device->reach && (to.n == 0 || dw_str_is(to, device->member->user));
}

static bool
was_sent(const struct dw_device *device, uint64_t seq, struct dw_str to)
{
	const struct dw_session *session;

	if (to.n > 0 && !dw_str_is(to, device->member->user))
		return false;
	LL_FOREACH(device->sessions, session)
	{
		if (session->begun < seq && seq <= sent_to(session))
			return true;
	}
	return false;
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

struct dw_receipts
dw_room_receipts(const struct dw_room *room, uint64_t seq, struct dw_str to, uint64_t except)
{
	struct dw_receipts receipts = { 0 };
	const struct dw_member *member;

	DL_FOREACH(room->members, member)
	{
		const struct dw_device *device;

		LL_FOREACH(member->devices, device)
		{
			const bool has = dw_device_has(device, seq, to);

			if (except != 0 && has_session(device, except))
				continue;
			receipts.delivered += has;
			receipts.sent += has || was_sent(device, seq, to);
		}
	}
	if (except != 0 && dw_room_session(room, except) == NULL) {
		receipts.delivered -= receipts.delivered > 0;
		receipts.sent -= receipts.sent > 0;
	}
	return receipts;
}

static void
add_audience(const struct dw_member *member, uint64_t except, struct dw_audience *audience)
{
	const struct dw_device *device;

	LL_FOREACH(member->devices, device)
	{
		const struct dw_session *session;

		audience->devices += device->sessions == NULL;
		LL_FOREACH(device->sessions, session)
		{
			audience->sessions += session->id != except;
		}
	}
}

struct dw_audience
dw_room_audience(const struct dw_room *room, struct dw_str to, uint64_t except)
{
	struct dw_audience audience = { 0 };

	if (to.n > 0) {
		const struct dw_member *member = dw_room_member(room, to);

		if (member != NULL)
			add_audience(member, except, &audience);
		return audience;
	}
	audience.sessions = room->session_count;
	audience.devices = room->device_count - room->device_connected;
	if (except != 0 && dw_room_session(room, except) != NULL)
		audience.sessions--;
	return audience;
}
