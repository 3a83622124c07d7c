/* Joining a room: where a session stands.
 *
 * Its own file because these are the rules of resuming (ARCHITECTURE.md, "Devices and resuming"), each
 * tested for itself without sockets and without a disk.
 *
 * Happy path: a device returns, its stored cursor is its position, and it gets what follows. Else: a
 * position of its own, one of another store (reset), one whose messages are gone (gap), none (new).
 *
 * Failure modes: memory, and a session that another edge has. Invariants: a session that was told a gap stands
 * behind it, and has confirmed nothing of it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room_parts.h"

struct stand {
	struct dw_position at;   /* what it has */
	struct dw_position from; /* where it goes on: behind the gap, where there is one */
	struct dw_gap gap;
	enum dw_resume resume;
};

static void
note_oldest_live(void *context, const struct dw_record *record, enum dw_gap_reason dropped)
{
	if (dropped == DW_GAP_NONE)
		*(uint64_t *)context = record->seq;
}

/* All that is retained for this user after a seq follows it. */
static struct dw_position
before_oldest(const struct dw_room *room, struct dw_str user, uint64_t after, uint64_t now)
{
	uint64_t first = dw_log_first(room->log), direct = UINT64_MAX;
	struct dw_position at = { room->head, room->oldest_n - 1 };

	if (first < dw_log_end(room->log))
		at.seq = dw_log_entry(room->log, first)->seq - 1;
	dw_room_walk_direct(room, user, after, now, note_oldest_live, &direct);
	if (direct <= at.seq)
		at.seq = direct - 1;
	return at;
}

/* The greatest n not above seq among what is known of the room's devices; true: one stands there. */
static bool
known_n(const struct dw_room *room, uint64_t seq, uint64_t *n)
{
	const struct dw_member *member;
	bool exact = false;

	*n = 0;
	DL_FOREACH(room->members, member)
	{
		const struct dw_device *device;

		LL_FOREACH(member->devices, device)
		{
			const struct dw_position known[] = { device->at, device->resume };

			for (size_t i = 0; i < 2; i++) {
				if (known[i].seq <= seq && known[i].n > *n)
					*n = known[i].n;
				exact |= known[i].seq == seq;
			}
		}
	}
	return exact;
}

bool
dw_room_n_at(const struct dw_room *room, uint64_t seq, uint64_t *n)
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
	return known_n(room, seq, n);
}

bool
dw_room_asks_place(const struct dw_room *room, uint64_t seq)
{
	uint64_t n;

	/* Where everything there ever was is retained there is nothing to ask. */
	return seq > 0 && room->oldest_n > 1 && !dw_room_n_at(room, seq, &n);
}

struct dw_gap
dw_room_gap(const struct dw_room *room, uint64_t n)
{
	if (n + 1 >= room->oldest_n)
		return (struct dw_gap) { 0, 0, DW_GAP_NONE };
	return (struct dw_gap) { n + 1, room->oldest_n - 1, room->dropped_by_age ? DW_GAP_EXPIRED : DW_GAP_LIMIT };
}

static struct stand
stand_at(const struct dw_room *room, struct dw_position at, struct dw_str user, uint64_t now)
{
	struct dw_gap gap = dw_room_gap(room, at.n);

	if (gap.reason == DW_GAP_NONE)
		return (struct stand) { at, at, gap, DW_RESUME_EXACT };
	return (struct stand) { at, before_oldest(room, user, at.seq, now), gap, DW_RESUME_GAP };
}

static struct stand
stand_fresh(const struct dw_room *room, struct dw_str user, uint64_t now, enum dw_resume resume)
{
	struct dw_position at = before_oldest(room, user, 0, now);

	return (struct stand) { at, at, { 0, 0, DW_GAP_NONE }, resume };
}

static struct dw_position
position_of(const struct dw_room *room, uint64_t seq, uint64_t least_n, const struct dw_place *place)
{
	struct dw_position at = { seq, 0 };

	if (dw_room_n_at(room, seq, &at.n))
		return at;
	if (place != NULL && place->seq == seq && place->n > at.n)
		at.n = place->n;
	if (least_n > at.n && least_n < room->oldest_n)
		at.n = least_n;
	return at;
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
		*at = before_oldest(room, user, 0, context->now);
	else
		*at = position_of(room, seq, 0, context->place);
	return !foreign;
}

static struct stand
find_stand(const struct dw_room *room, const struct dw_device *device, const struct dw_join *join,
	const struct dw_join_context *context)
{
	const bool returns = (join->flags & DW_JOIN_RETURN) != 0;
	const bool given = returns || (join->flags & DW_JOIN_AFTER) != 0;
	const struct dw_position head = { room->head, room->n };

	if (given && is_foreign(join->after, join->epoch, context))
		return stand_fresh(room, join->user, context->now, DW_RESUME_RESET);
	if (returns)
		return stand_at(room, position_of(room, join->after, join->after_n, context->place), join->user, context->now);
	if ((join->flags & DW_JOIN_NEW) != 0)
		return (struct stand) { head, head, { 0, 0, DW_GAP_NONE }, DW_RESUME_NEW };
	if (given && join->after == 0 && join->epoch.n == 0)
		return stand_fresh(room, join->user, context->now, DW_RESUME_NEW);
	if (given)
		return stand_at(room, position_of(room, join->after, 0, context->place), join->user, context->now);
	if (device == NULL)
		return stand_fresh(room, join->user, context->now, DW_RESUME_NEW);
	if (device->at.seq > context->engine_head)
		return stand_fresh(room, join->user, context->now, DW_RESUME_RESET);
	return stand_at(room, device->resume, join->user, context->now);
}

/* An id is random, but one session may be in many rooms. */
static uint32_t
session_hash(const struct dw_room *room, uint64_t id)
{
	return dw_room_hash(room) ^ (uint32_t)(id >> 32) ^ (uint32_t)id;
}

static uint32_t
link_hash(const struct dw_link *link)
{
	const struct dw_session *session = (const struct dw_session *)(const void *)link;

	return session_hash(session->reader->room, session->id);
}

_Static_assert(offsetof(struct dw_session, link) == 0, "a session is its link");

struct dw_session *
dw_room_session(const struct dw_room *room, uint64_t id)
{
	struct dw_link *link = dw_links_chain(&room->all->by_id, session_hash(room, id));

	for (; link != NULL; link = link->next) {
		struct dw_session *session = (struct dw_session *)(void *)link;

		if (session->id == id && session->reader->room == room)
			return session;
	}
	return NULL;
}

void
dw_room_unlink_session(struct dw_session *session)
{
	dw_links_remove(&session->reader->room->all->by_id, &session->link, link_hash(&session->link));
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
	reader->start = from.seq;
	reader->direct_lost = room->direct_lost;
	if ((join->flags & DW_JOIN_HAVE) != 0 && join->have <= context->engine_head && join->have >= room->direct_lost) {
		reader->sent.seq = join->have;
		reader->start = 0;
		(void)dw_room_n_at(room, join->have, &reader->sent.n);
	}
	DL_APPEND(room->readers, reader);
	return reader;
}

/* The edge gets once more what follows this position, and has it then for everyone: otherwise each session from there
 * would have to be fed. One that returns the edge had served already. */
static void
set_back(const struct dw_room *room, struct dw_reader *reader, const struct dw_join *join, struct dw_position from)
{
	const bool told = from.seq >= room->direct_lost || room->direct_lost == reader->direct_lost;

	if ((join->flags & DW_JOIN_RETURN) != 0 || from.seq >= reader->start || !told)
		return;
	if (reader->sent.seq > reader->furthest) {
		reader->furthest = reader->sent.seq;
		reader->backs++;
	}
	reader->start = from.seq;
	reader->sent = from;
}

/* What the session has certainly received. One that comes back was written up to its position; what of that it has
 * confirmed it says (dw_room_join), and is at least what its device did. */
static struct dw_position
first_confirmed(const struct dw_room *room, const struct dw_device *known, const struct dw_join *join,
	const struct dw_join_context *context, struct stand stand)
{
	struct dw_position sure;

	if ((join->flags & DW_JOIN_RETURN) == 0 || stand.resume == DW_RESUME_RESET)
		return stand.at;
	sure = known != NULL ? known->resume : before_oldest(room, join->user, 0, context->now);
	return sure.seq < stand.at.seq ? sure : stand.at;
}

static void
link_session(struct dw_room *room, struct dw_session *session)
{
	if (session->device->sessions == NULL)
		room->device_connected++;
	LL_PREPEND(session->device->sessions, session);
	DL_APPEND2(session->reader->sessions, session, reader_prev, reader_next);
	session->reader->session_count++;
	dw_links_add(&room->all->by_id, &session->link, link_hash(&session->link));
	room->session_count++;
	room->all->sessions++;
}

static uint64_t
begun_at(const struct dw_join *join, struct stand stand)
{
	const bool told = (join->flags & DW_JOIN_RETURN) != 0 && join->begun < stand.from.seq;

	return told ? join->begun : stand.from.seq;
}

static struct dw_device *
touch_device(struct dw_room *room, struct dw_device *known, const struct dw_join *join,
	const struct dw_join_context *context, struct stand stand, struct dw_position confirmed)
{
	const bool skips = (join->flags & DW_JOIN_NEW) != 0 && stand.resume == DW_RESUME_NEW;
	struct dw_device *device = known != NULL ? known : dw_room_add_device(room, join->user, join->device);

	if (device == NULL)
		return NULL;
	if (known == NULL) {
		device->at = device->resume = device->settled = confirmed;
		device->since = device->reach = begun_at(join, stand);
		dw_room_mark_dirty(room, device);
	} else if (device->at.seq > context->engine_head || (skips && stand.at.seq > device->resume.seq)) {
		dw_room_move_device(room, device, stand.at);
	}
	device->seen = context->now;
	device->derived = (join->flags & DW_JOIN_DERIVED) != 0;
	dw_device_expires(device, join->expires * 1000);
	return device;
}

static void
fill_joined(const struct dw_room *room, const struct dw_session *session, struct stand stand, uint64_t now,
	struct dw_joined *joined)
{
	const struct dw_str user = dw_str(session->device->member->user);
	uint64_t first = dw_log_first(room->log), end = dw_log_end(room->log);

	joined->session = session->id;
	joined->room = dw_str(room->name);
	joined->device = dw_str(session->device->id);
	joined->resume = stand.resume;
	joined->from = stand.from.seq;
	joined->from_n = stand.from.n;
	joined->head = room->head;
	joined->head_n = room->n;
	joined->oldest = first < end ? dw_log_entry(room->log, first)->seq : 0;
	joined->replaying = dw_room_count(room, user, stand.from.seq, now);
	joined->gap_from = stand.gap.from;
	joined->gap_to = stand.gap.to;
	joined->gap_reason = stand.gap.reason;
	/* A first visit has missed nothing. */
	if (stand.resume != DW_RESUME_NEW && stand.resume != DW_RESUME_RESET)
		joined->direct = dw_room_direct_gap(room, user, stand.at.seq, now);
	if (joined->direct.count > 0)
		joined->resume = DW_RESUME_GAP;
	joined->sent = session->reader->sent.seq;
	joined->sent_n = session->reader->sent.n;
}

int
dw_room_join(struct dw_room *room, const struct dw_join *join, const struct dw_join_context *context,
	struct dw_joined *joined, struct dw_session **out)
{
	const struct dw_position said = { join->confirmed, join->confirmed_n };
	struct dw_session *session;
	struct dw_device *known;
	struct dw_position confirmed;
	struct stand stand;

	assert(room->log != NULL);
	if (dw_room_session(room, join->session) != NULL)
		return DW_E_FIELD;
	dw_room_expire(room, context->now);
	known = dw_room_device(room, join->user, join->device);
	stand = find_stand(room, known, join, context);
	confirmed = first_confirmed(room, known, join, context, stand);
	session = dw_links_reserve(&room->all->by_id, link_hash) ? calloc(1, sizeof(*session)) : NULL;
	if (session == NULL)
		return DW_E_NOMEM;
	session->reader = find_reader(room, context->edge);
	if (session->reader == NULL)
		session->reader = new_reader(room, join, context, stand.from);
	session->device = touch_device(room, known, join, context, stand, confirmed);
	if (session->reader == NULL || session->device == NULL) {
		if (session->reader != NULL && session->reader->session_count == 0)
			dw_room_drop_reader(room, session->reader);
		free(session);
		return DW_E_NOMEM;
	}
	session->id = join->session;
	session->confirmed = confirmed;
	session->begun = begun_at(join, stand);
	session->claimed = (join->flags & DW_JOIN_CLAIMED) != 0;
	session->sure = (join->flags & DW_JOIN_SURE) != 0;
	link_session(room, session);
	set_back(room, session->reader, join, stand.from);
	session->backs = session->reader->backs;
	if (stand.gap.reason != DW_GAP_NONE)
		dw_room_skip(room, session);
	if (said.seq > confirmed.seq && said.seq <= stand.at.seq)
		(void)dw_room_confirm(room, session, said, session->sure, context->now);
	dw_room_advance(room, session->device, context->now);
	fill_joined(room, session, stand, context->now, joined);
	room->sent += joined->replaying;
	room->all->sent += joined->replaying;
	*out = session;
	return DW_OK;
}

void
dw_room_drop_reader(struct dw_room *room, struct dw_reader *reader)
{
	assert(reader->session_count == 0);
	DL_DELETE(room->readers, reader);
	free(reader);
}
