/* Joining a room: where a session stands. Its own file because these are the rules of resuming (the table at
 * dw_room_join in room.h).
 *
 * Happy path: a device returns, its stored cursor is its position, and it gets what follows. Else: a
 * position of its own, one of another store (reset), one whose messages are gone (gap), none (new).
 *
 * Failure modes: memory, and a session that another edge has. Invariants: a session that was told a gap stands
 * behind it, and has confirmed nothing of it.
 */
#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "room/parts.h"

enum { OPENED_MS = 64, OPENED_MASK = (1 << 30) - 1 };

struct stand {
	struct dw_position at;   /* what it has */
	struct dw_position from; /* where it goes on: behind the gap, where there is one */
	struct dw_gap gap, direct;
	enum dw_resume resume;
};

bool
dw_room_asks_place(const struct dw_room *room, struct dw_str user, uint64_t seq)
{
	uint64_t number;

	return !dw_room_n_at(room, seq, &number) || !dw_room_own_at(room, user, seq, &number);
}

static struct stand
stand_at(const struct dw_room *room, struct dw_position at, struct dw_str user)
{
	struct stand stand = { .at = at,
		.from = dw_room_go_on(room, user, at),
		.gap = dw_room_gap(room, at),
		.direct = dw_room_direct_gap(room, user, at) };

	if (stand.gap.reason != DW_GAP_NONE || stand.direct.reason != DW_GAP_NONE)
		stand.resume = DW_RESUME_GAP;
	return stand;
}

/* Before all that is retained for this user, and nothing is missing. */
static struct stand
stand_fresh(const struct dw_room *room, struct dw_str user, enum dw_resume resume)
{
	const struct dw_position at = dw_room_go_on(room, user, dw_position_start());

	return (struct stand) { .at = at, .from = at, .resume = resume };
}

/* The numbers at a seq that somebody gave. */
static struct dw_position
position_at(const struct dw_room *room, struct dw_str user, uint64_t seq, const struct dw_place *place)
{
	uint64_t n, own;

	/* Nothing of the room lies between its head and the engine's. */
	seq = dw_less(seq, room->head);
	if (!dw_room_n_at(room, seq, &n) && place != NULL)
		n = dw_n(place->at);
	if (!dw_room_own_at(room, user, seq, &own) && place != NULL)
		own = dw_own(place->at);
	return dw_position_said(seq, n, own);
}

/* Of another store, or ahead of this one. */
static bool
is_foreign(uint64_t seq, struct dw_str epoch, const struct dw_join_context *context)
{
	return (epoch.n > 0 && !dw_str_is(epoch, context->epoch)) || seq > context->engine_head;
}

bool
dw_room_stand(const struct dw_room *room, struct dw_str user, uint64_t seq, struct dw_str epoch,
	const struct dw_join_context *context, struct dw_position *at)
{
	const bool foreign = is_foreign(seq, epoch, context);

	if (foreign || (seq == 0 && epoch.n == 0))
		*at = dw_room_go_on(room, user, dw_position_start());
	else
		*at = position_at(room, user, seq, context->place);
	return !foreign;
}

static struct stand
find_stand(const struct dw_room *room, const struct dw_device *device, const struct dw_join *join,
	const struct dw_join_context *context)
{
	const bool returns = (join->flags & DW_JOIN_RETURN) != 0;
	const bool given = returns || (join->flags & DW_JOIN_AFTER) != 0;
	const struct dw_position head = position_at(room, join->user, room->head, NULL);
	const uint64_t after = dw_seq(join->after);

	if (given && is_foreign(after, join->epoch, context))
		return stand_fresh(room, join->user, DW_RESUME_RESET);
	if (returns && dw_room_is_position(room, dw_room_member(room, join->user), join->after))
		return stand_at(room, join->after, join->user);
	if (returns)
		return stand_at(room, position_at(room, join->user, after, NULL), join->user);
	if ((join->flags & DW_JOIN_NEW) != 0)
		return (struct stand) { .at = head, .from = head, .resume = DW_RESUME_NEW };
	if (given && after == 0 && join->epoch.n == 0)
		return stand_fresh(room, join->user, DW_RESUME_NEW);
	if (given)
		return stand_at(room, position_at(room, join->user, after, context->place), join->user);
	if (device == NULL)
		return stand_fresh(room, join->user, DW_RESUME_NEW);
	if (dw_seq(device->at) > context->engine_head)
		return stand_fresh(room, join->user, DW_RESUME_RESET);
	return stand_at(room, device->resume, join->user);
}

struct dw_session *
dw_room_rival(const struct dw_room *room, const struct dw_join *join)
{
	const struct dw_device *device =
		(join->flags & DW_JOIN_DERIVED) == 0 ? dw_room_device(room, join->user, join->device) : NULL;

	return device != NULL && !device->derived ? device->sessions : NULL;
}

static uint32_t
opened_at(const struct dw_join *join, uint64_t steady)
{
	const uint64_t opened = steady - ((join->flags & DW_JOIN_RETURN) != 0 ? join->age : 0);

	return (uint32_t)(opened / OPENED_MS);
}

bool
dw_room_replaced(const struct dw_room *room, const struct dw_join *join, uint64_t steady)
{
	const struct dw_session *session = (join->flags & DW_JOIN_RETURN) != 0 ? dw_room_rival(room, join) : NULL;

	while (session != NULL && ((session->opened - opened_at(join, steady)) & OPENED_MASK) > OPENED_MASK / 2)
		session = session->next;
	return session != NULL;
}

/* For somebody who goes on from there. */
static void
begin_stream(const struct dw_room *room, struct dw_reader *reader, const struct dw_join *join, struct dw_position from)
{
	reader->sent = dw_room_stream_at(room, dw_room_member(room, join->user), dw_seq(from));
	reader->start = dw_seq(reader->sent);
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
	if ((join->flags & DW_JOIN_HAVE) != 0 && dw_seq(join->have) <= context->engine_head && dw_n(join->have) <= room->n)
		reader->sent = join->have;
	else
		begin_stream(room, reader, join, from);
	DL_APPEND(room->readers, reader);
	return reader;
}

/* The edge gets once more what follows this position, and has it then for everyone: otherwise each session from there
 * would have to be fed. One that returns the edge had served already. */
static void
set_back(const struct dw_room *room, struct dw_reader *reader, const struct dw_join *join, struct dw_position from)
{
	if ((join->flags & DW_JOIN_RETURN) == 0 && dw_seq(from) < reader->start)
		begin_stream(room, reader, join, from);
}

/* What the session has certainly received. One that comes back was written up to its position; what of that it has
 * confirmed it says (dw_room_join), and is at least what its device did. One that begins anew says nothing of what is
 * gone before that. */
static struct dw_position
first_confirmed(
	const struct dw_room *room, const struct dw_device *known, const struct dw_join *join, struct stand stand)
{
	const bool anew =
		stand.resume == DW_RESUME_RESET || (stand.resume == DW_RESUME_NEW && (join->flags & DW_JOIN_NEW) == 0);
	struct dw_position had = stand.at;

	if (known != NULL && (anew || (join->flags & DW_JOIN_RETURN) != 0))
		had = known->resume;
	else if (!anew && (join->flags & DW_JOIN_RETURN) != 0)
		had = dw_room_go_on(room, join->user, dw_position_start());
	return dw_position_nearer(had, stand.at);
}

static struct dw_device *
touch_device(struct dw_room *room, struct dw_device *known, const struct dw_join *join,
	const struct dw_join_context *context, struct stand stand, struct dw_position confirmed)
{
	const bool skips = (join->flags & DW_JOIN_NEW) != 0 && stand.resume == DW_RESUME_NEW;
	struct dw_device *device = known != NULL ? known : dw_room_add_device(room, join->user, join->device, confirmed);

	if (device == NULL)
		return NULL;
	if (known == NULL) {
		dw_room_move_device(room, device, confirmed);
	} else if (dw_seq(device->at) > context->engine_head || (skips && dw_seq(stand.at) > dw_seq(device->resume))) {
		dw_room_move_device(room, device, stand.at);
	} else if (device->trail == NULL && (join->flags & DW_JOIN_RETURN) == 0 &&
			   device->seen + DW_OVERLAP_MS <= context->now) {
		/* It was loaded. What it confirmed last it did at the latest when it was seen last. */
		device->settled = dw_position_further(device->settled, device->at);
	} else if (device->trail == NULL && !dw_position_same(device->at, device->settled)) {
		/* That was not long ago, or the clock was set: it counts from now on. */
		dw_device_note(device, device->at, context->steady);
	}
	device->seen = context->now;
	device->derived = (join->flags & DW_JOIN_DERIVED) != 0;
	device->expires = join->expires * 1000;
	return device;
}

static void
fill_joined(const struct dw_room *room, const struct dw_session *session, struct stand stand, uint64_t now,
	struct dw_joined *joined)
{
	joined->session = session->id;
	joined->room = dw_str(room->name);
	joined->device = dw_str(session->device->id);
	joined->resume = stand.resume;
	joined->at = session->confirmed;
	joined->from = stand.from;
	joined->head = room->head;
	joined->oldest = dw_ring_count(room->log) > 0 ? dw_ring_entry(room->log, dw_ring_first(room->log))->seq : 0;
	joined->replaying = dw_room_count(room, dw_str(session->device->member->user), stand.from, now);
	joined->gap = stand.gap;
	joined->direct = stand.direct;
	joined->sent = session->reader->sent;
}

int
dw_room_join(struct dw_room *room, const struct dw_join *join, const struct dw_join_context *context,
	struct dw_joined *joined, struct dw_session **out)
{
	struct dw_session *session;
	struct dw_reader *reader;
	struct dw_device *known;
	struct dw_position confirmed;
	struct stand stand;

	assert(room->log != NULL);
	if (dw_room_session(room, join->session) != NULL)
		return DW_E_FIELD;
	dw_room_expire(room, context->now);
	known = dw_room_device(room, join->user, join->device);
	stand = find_stand(room, known, join, context);
	confirmed = first_confirmed(room, known, join, stand);
	session = calloc(1, sizeof(*session));
	if (session == NULL || !dw_rooms_come(room->all, join->user)) {
		free(session);
		return DW_E_NOMEM;
	}
	DL_SEARCH_SCALAR(room->readers, reader, edge, context->edge);
	session->reader = reader != NULL ? reader : new_reader(room, join, context, stand.from);
	session->device = touch_device(room, known, join, context, stand, confirmed);
	if (session->reader == NULL || session->device == NULL) {
		if (session->reader != reader)
			dw_room_drop_reader(room, session->reader);
		dw_rooms_go(room->all, join->user);
		free(session);
		return DW_E_NOMEM;
	}
	session->id = join->session;
	session->confirmed = confirmed;
	session->begun = (join->flags & DW_JOIN_RETURN) != 0 && stand.resume != DW_RESUME_RESET
						 ? join->begun
						 : (struct dw_begun) { dw_n(stand.from), dw_own(stand.from) };
	session->stay = (uint32_t)join->corr;
	session->opened = opened_at(join, context->steady) & OPENED_MASK;
	session->claimed = (join->flags & DW_JOIN_CLAIMED) != 0;
	session->sure = (join->flags & DW_JOIN_SURE) != 0;
	dw_room_link_session(session);
	set_back(room, session->reader, join, stand.from);
	if ((join->flags & DW_JOIN_RETURN) != 0 && dw_seq(join->confirmed) <= dw_seq(stand.at))
		(void)dw_room_confirm(room, session, join->confirmed, NULL, false, context->steady);
	/* What one that acknowledges itself says that it has it has acknowledged. */
	if (session->sure)
		session->device->settled = dw_position_further(session->device->settled, session->confirmed);
	dw_room_advance(room, session->device, context->steady);
	dw_room_note_age(room, session->device);
	fill_joined(room, session, stand, context->now, joined);
	room->sent += joined->replaying;
	room->all->sent += joined->replaying;
	dw_room_sum_up(room);
	*out = session;
	return DW_OK;
}
