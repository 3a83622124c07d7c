/* Joining a room: where a session stands, what it has confirmed, how it ends.
 *
 * Its own file because these are the rules of resuming (ARCHITECTURE.md, "Devices and resuming"), each
 * tested for itself without sockets and without a disk.
 *
 * Happy path: a device returns, its stored cursor is its position, and it gets what follows. Else: a
 * position of its own, one of another store (reset), one whose messages are gone (gap), none (new).
 *
 * Failure modes: memory, and a session that another edge has. Invariants: a device's cursor is the greater of
 * what it was and the lowest confirmed among its open sessions; a session never confirms past the head.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room_parts.h"

struct stand {
	struct dw_position at;
	enum dw_resume resume;
};

/* Everything retained follows it. */
static struct dw_position
before_oldest(const struct dw_room *room)
{
	uint64_t first = dw_log_first(room->log);

	if (first == dw_log_end(room->log))
		return (struct dw_position) { room->head, room->n };
	return (struct dw_position) { dw_log_entry(room->log, first)->seq - 1, room->oldest_n - 1 };
}

/* The greatest n not above seq among what the room's devices have confirmed. */
static uint64_t
known_n(const struct dw_room *room, uint64_t seq)
{
	struct dw_member *member, *next;
	uint64_t n = 0;

	HASH_ITER(hh, room->members, member, next)
	{
		const struct dw_device *device;

		DL_FOREACH(member->devices, device)
		{
			if (device->at.seq <= seq && device->at.n > n)
				n = device->at.n;
		}
	}
	return n;
}

/* The room's n at this seq; false: it is only a lower bound. */
static bool
n_at(const struct dw_room *room, uint64_t seq, uint64_t *n)
{
	uint64_t index;

	if (seq >= room->head) {
		*n = room->n;
		return true;
	}
	index = dw_log_after(room->log, seq);
	if (index > dw_log_first(room->log)) {
		*n = dw_log_entry(room->log, index - 1)->n;
		return true;
	}
	*n = known_n(room, seq);
	return false;
}

struct dw_gap
dw_room_gap(const struct dw_room *room, uint64_t n)
{
	if (n + 1 >= room->oldest_n)
		return (struct dw_gap) { 0, 0, DW_GAP_NONE };
	return (struct dw_gap) { n + 1, room->oldest_n - 1, room->dropped_by_age ? DW_GAP_EXPIRED : DW_GAP_LIMIT };
}

static struct stand
stand_at(const struct dw_room *room, struct dw_position at)
{
	struct dw_gap gap = dw_room_gap(room, at.n);

	return (struct stand) { at, gap.reason == DW_GAP_NONE ? DW_RESUME_EXACT : DW_RESUME_GAP };
}

static struct dw_position
position_of(const struct dw_room *room, const struct dw_join *join)
{
	struct dw_position at = { join->after, 0 };
	bool exact = n_at(room, join->after, &at.n);

	if (!exact && (join->flags & DW_JOIN_RETURN) != 0 && join->after_n > at.n && join->after_n < room->oldest_n)
		at.n = join->after_n;
	return at;
}

static struct stand
find_stand(const struct dw_room *room, const struct dw_device *device, const struct dw_join *join,
	const struct dw_join_context *context)
{
	const bool given = (join->flags & (DW_JOIN_AFTER | DW_JOIN_RETURN)) != 0;

	if (given && ((join->epoch.n > 0 && !dw_str_is(join->epoch, context->epoch)) || join->after > context->engine_head))
		return (struct stand) { before_oldest(room), DW_RESUME_RESET };
	if ((join->flags & DW_JOIN_RETURN) != 0)
		return stand_at(room, position_of(room, join));
	if ((join->flags & DW_JOIN_NEW) != 0)
		return (struct stand) { { room->head, room->n }, DW_RESUME_NEW };
	if (given && join->after == 0)
		return (struct stand) { before_oldest(room), DW_RESUME_NEW };
	if (given)
		return stand_at(room, position_of(room, join));
	if (device == NULL)
		return (struct stand) { before_oldest(room), DW_RESUME_NEW };
	if (device->at.seq > context->engine_head)
		return (struct stand) { before_oldest(room), DW_RESUME_RESET };
	return stand_at(room, device->at);
}

struct dw_session *
dw_room_session(const struct dw_room *room, uint64_t id)
{
	struct dw_session *session;

	HASH_FIND(hh, room->sessions, &id, sizeof(id), session);
	return session;
}

struct dw_session *
dw_room_rival(const struct dw_room *room, const struct dw_join *join)
{
	const struct dw_device *device;

	if ((join->flags & (DW_JOIN_DERIVED | DW_JOIN_RETURN)) != 0)
		return NULL;
	device = dw_room_device(room, join->user, join->device);
	if (device == NULL || device->derived)
		return NULL;
	return device->sessions;
}

static struct dw_reader *
find_reader(const struct dw_room *room, uint32_t edge)
{
	struct dw_reader *reader;

	DL_FOREACH(room->readers, reader)
	{
		if (reader->edge == edge)
			return reader;
	}
	return NULL;
}

static struct dw_reader *
new_reader(
	struct dw_room *room, const struct dw_join *join, const struct dw_join_context *context, struct dw_position from)
{
	struct dw_reader *reader = calloc(1, sizeof(*reader));

	if (reader == NULL)
		return NULL;
	reader->room = room;
	reader->edge = context->edge;
	reader->sent = from;
	if ((join->flags & DW_JOIN_HAVE) != 0 && join->have <= context->engine_head) {
		reader->sent.seq = join->have;
		(void)n_at(room, join->have, &reader->sent.n);
	}
	DL_APPEND(room->readers, reader);
	return reader;
}

/* What the session has certainly received. One that comes back was written up to its position; what of
 * that it confirmed is only what its device did. */
static struct dw_position
first_confirmed(
	const struct dw_room *room, const struct dw_device *known, const struct dw_join *join, struct stand from)
{
	struct dw_position sure;

	if ((join->flags & DW_JOIN_RETURN) == 0 || from.resume == DW_RESUME_RESET)
		return from.at;
	sure = known != NULL ? known->at : before_oldest(room);
	return sure.seq < from.at.seq ? sure : from.at;
}

static void
move_device(struct dw_room *room, struct dw_device *device, struct dw_position at)
{
	if (device->at.seq == at.seq && device->at.n == at.n)
		return;
	device->at = at;
	room->low_stale = true;
	dw_room_mark_dirty(room, device);
}

/* To the lowest position confirmed among its open sessions, but never back. */
static void
advance_device(struct dw_room *room, struct dw_device *device)
{
	const struct dw_session *session, *lowest = device->sessions;

	if (lowest == NULL)
		return;
	DL_FOREACH(device->sessions, session)
	{
		if (session->confirmed.seq < lowest->confirmed.seq)
			lowest = session;
	}
	if (lowest->confirmed.seq > device->at.seq)
		move_device(room, device, lowest->confirmed);
}

static void
link_session(struct dw_room *room, struct dw_session *session)
{
	if (session->device->sessions == NULL)
		room->device_connected++;
	DL_APPEND(session->device->sessions, session);
	DL_APPEND2(session->reader->sessions, session, reader_prev, reader_next);
	session->reader->session_count++;
	HASH_ADD(hh, room->sessions, id, sizeof(session->id), session);
	room->session_count++;
	room->all->sessions++;
}

static struct dw_device *
touch_device(struct dw_room *room, struct dw_device *known, const struct dw_join *join,
	const struct dw_join_context *context, struct stand from, struct dw_position confirmed)
{
	const bool skips = (join->flags & DW_JOIN_NEW) != 0 && from.resume == DW_RESUME_NEW;
	struct dw_device *device = known != NULL ? known : dw_room_add_device(room, join->user, join->device);

	if (device == NULL)
		return NULL;
	if (known == NULL) {
		device->at = confirmed;
		dw_room_mark_dirty(room, device);
	} else if (device->at.seq > context->engine_head || (skips && from.at.seq > device->at.seq)) {
		move_device(room, device, from.at);
	}
	device->seen = context->now;
	device->derived = (join->flags & DW_JOIN_DERIVED) != 0;
	device->expires = join->expires * 1000;
	return device;
}

static void
fill_joined(const struct dw_room *room, const struct dw_session *session, struct stand from, struct dw_joined *joined)
{
	uint64_t first = dw_log_first(room->log), end = dw_log_end(room->log);
	struct dw_gap gap = dw_room_gap(room, from.at.n);

	joined->session = session->id;
	joined->room = dw_str(room->name);
	joined->device = dw_str(session->device->id);
	joined->resume = from.resume;
	joined->from = from.at.seq;
	joined->from_n = from.at.n;
	joined->head = room->head;
	joined->head_n = room->n;
	joined->oldest = first < end ? dw_log_entry(room->log, first)->seq : 0;
	joined->replaying = end - dw_log_after(room->log, from.at.seq);
	joined->gap_from = gap.from;
	joined->gap_to = gap.to;
	joined->gap_reason = gap.reason;
	joined->sent = session->reader->sent.seq;
	joined->sent_n = session->reader->sent.n;
}

int
dw_room_join(struct dw_room *room, const struct dw_join *join, const struct dw_join_context *context,
	struct dw_joined *joined, struct dw_session **out)
{
	struct dw_session *session;
	struct dw_device *known;
	struct dw_position confirmed;
	struct stand from;

	assert(room->log != NULL);
	if (dw_room_session(room, join->session) != NULL)
		return DW_E_FIELD;
	dw_room_expire(room, context->now);
	known = dw_room_device(room, join->user, join->device);
	from = find_stand(room, known, join, context);
	confirmed = first_confirmed(room, known, join, from);
	session = calloc(1, sizeof(*session));
	if (session == NULL)
		return DW_E_NOMEM;
	session->reader = find_reader(room, context->edge);
	if (session->reader == NULL)
		session->reader = new_reader(room, join, context, from.at);
	session->device = touch_device(room, known, join, context, from, confirmed);
	if (session->reader == NULL || session->device == NULL) {
		if (session->reader != NULL && session->reader->session_count == 0)
			dw_room_drop_reader(room, session->reader);
		free(session);
		return DW_E_NOMEM;
	}
	session->id = join->session;
	session->confirmed = confirmed;
	session->claimed = (join->flags & DW_JOIN_CLAIMED) != 0;
	link_session(room, session);
	advance_device(room, session->device);
	fill_joined(room, session, from, joined);
	*out = session;
	return DW_OK;
}

/* Whether the room was ever at this position. What the log has no longer is taken on trust, within bounds. */
static bool
is_position(const struct dw_room *room, struct dw_position at)
{
	uint64_t n;

	if (at.seq > room->head || at.n > room->n)
		return false;
	if (n_at(room, at.seq, &n))
		return at.n == n;
	return at.n >= n && at.n < room->oldest_n;
}

bool
dw_room_confirm(struct dw_room *room, struct dw_session *session, struct dw_position at)
{
	if (!is_position(room, at))
		return false;
	if (at.seq > session->confirmed.seq) {
		session->confirmed = at;
		advance_device(room, session->device);
	}
	return true;
}

void
dw_room_leave(struct dw_room *room, struct dw_session *session, uint64_t now)
{
	struct dw_device *device = session->device;

	DL_DELETE(device->sessions, session);
	DL_DELETE2(session->reader->sessions, session, reader_prev, reader_next);
	session->reader->session_count--;
	HASH_DEL(room->sessions, session);
	room->session_count--;
	room->all->sessions--;
	free(session);
	if (device->sessions == NULL)
		room->device_connected--;
	advance_device(room, device);
	device->seen = now;
	dw_room_mark_dirty(room, device);
}

void
dw_room_drop_reader(struct dw_room *room, struct dw_reader *reader)
{
	assert(reader->session_count == 0);
	DL_DELETE(room->readers, reader);
	free(reader);
}
