/* The hub's rooms: the table of them, what is known at the start, cursors on their way to the store,
 * and ages, for which each room has a timer. What being resident takes is in resident.c.
 *
 * A room is in the table when it retains messages, has devices or sessions, or is being asked about.
 * So a room that is not there has no device, and a message to it needs no look at the disk.
 *
 * Failure modes: memory. A cursor that could not be written is dirty again.
 */
#include "hub.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"

enum { AGES_MIN_MS = 60 * 1000, AGES_MAX_MS = 3600 * 1000 };

struct dw_room *
room_find(struct hub *hub, struct dw_str name)
{
	struct dw_room *room;

	HASH_FIND(hh, hub->rooms, name.p, name.n, room);
	return room;
}

struct dw_room *
room_get(struct hub *hub, struct dw_str name)
{
	struct dw_room *room = room_find(hub, name);
	char text[DW_ROOM_MAX + 1];

	if (room != NULL || !dw_str_copy(name, text, sizeof(text)))
		return room;
	room = dw_room_new(&hub->rooms_shared, text);
	if (room != NULL)
		HASH_ADD_KEYPTR(hh, hub->rooms, room->name, name.n, room);
	return room;
}

static int
add_summary(void *user, const struct dw_room_summary *summary)
{
	struct dw_room *room = room_get(user, dw_str(summary->room));

	if (room == NULL)
		return DW_E_NOMEM;
	dw_room_summarize(room, summary, dw_now_ms());
	room_watch_ages(user, room);
	return DW_OK;
}

/* False: no memory, it is to be written later. */
static bool
stage_cursor(struct hub *hub, struct dw_room *room, const struct dw_cursor *cursor)
{
	struct staged *staged = stage_new(DW_OP_CURSOR, dw_str(cursor->room));
	struct seat *seat = room != NULL ? room->user : NULL;

	if (staged != NULL) {
		staged->op.cursor = *cursor;
		if (stage_add(hub, NULL, staged) != DW_OK)
			staged = NULL;
	}
	if (seat != NULL && staged != NULL)
		seat->writing++;
	else if (seat != NULL)
		dw_room_put_back(room, cursor);
	return staged != NULL;
}

static int
add_cursor(void *user, const struct dw_cursor *cursor)
{
	struct hub *hub = user;
	struct dw_room *room = room_get(hub, dw_str(cursor->room));

	if (room == NULL)
		return DW_E_NOMEM;
	if (!dw_room_count_cursor(room, cursor, dw_now_ms())) {
		struct dw_cursor gone = *cursor;

		gone.seen = 0;
		(void)stage_cursor(hub, NULL, &gone);
		room_settle(hub, room);
		return DW_OK;
	}
	room_watch_ages(hub, room);
	return DW_OK;
}

struct dw_room *
rooms_next(struct hub *hub, struct dw_room *room, bool last)
{
	struct dw_room *next = room != NULL ? room->hh.next : hub->rooms;

	if (last)
		next = NULL;
	if (next != NULL)
		next->pins++;
	/* It may have been given up but for that. */
	if (room != NULL && --room->pins == 0 && room->user == NULL)
		room_settle(hub, room);
	return next;
}

int
rooms_start(struct hub *hub)
{
	int err = hub->engine->ops->rooms(hub->engine, add_summary, hub);

	return err == DW_OK ? hub->engine->ops->cursors(hub->engine, add_cursor, hub) : err;
}

void
room_write_cursors(struct hub *hub, struct dw_room *room)
{
	struct dw_cursor cursor;
	size_t most = room->device_count + 1024;

	/* Bounded, for one that cannot be staged comes back. */
	while (most-- > 0 && dw_room_take_cursor(room, dw_now_ms(), &cursor))
		(void)stage_cursor(hub, room, &cursor);
}

void
room_write_device(struct hub *hub, struct dw_room *room, struct dw_device *device)
{
	struct dw_cursor cursor;

	if (dw_room_take_device(room, device, dw_now_ms(), &cursor))
		(void)stage_cursor(hub, room, &cursor);
}

void
rooms_begin_cursors(struct hub *hub)
{
	hub->cursor_rooms = hub->dirty_rooms;
}

/* True: the room has no more, or none that could be staged now. */
static bool
write_some(struct hub *hub, struct dw_room *room, size_t most)
{
	struct dw_cursor cursor;

	dw_room_settle(room, dw_mono_ms());
	while (hub->batch->cursors < most && dw_room_take_cursor(room, dw_now_ms(), &cursor)) {
		if (!stage_cursor(hub, room, &cursor))
			return true;
		hub->batch->cursors++;
	}
	return room->dirty == NULL && room->gone == NULL;
}

void
rooms_write_cursors(struct hub *hub, size_t most)
{
	while (hub->cursor_rooms > 0 && hub->dirty != NULL && hub->batch->cursors < most) {
		struct seat *seat = hub->dirty;

		if (write_some(hub, seat->room, most)) {
			/* It may stay in the list, with what is not old enough. */
			hub->cursor_rooms--;
			DL_DELETE2(hub->dirty, seat, dirty_prev, dirty_next);
			DL_APPEND2(hub->dirty, seat, dirty_prev, dirty_next);
		}
		room_settle(hub, seat->room);
	}
}

void
room_cursor_written(struct hub *hub, const struct dw_op *op)
{
	struct dw_room *room = room_find(hub, dw_str(op->cursor.room));
	struct seat *seat = room != NULL ? room->user : NULL;

	/* Not resident: it was a removal at the start, and will be one again at the next. */
	if (seat == NULL || seat->writing == 0)
		return;
	seat->writing--;
	if (op->err != DW_OK)
		dw_room_put_back(room, &op->cursor);
	room_settle(hub, room);
}

void
room_hold(struct hub *hub, struct dw_room *room)
{
	((struct seat *)room->user)->holds++;
	room_settle(hub, room);
}

void
room_unhold(struct dw_room *room)
{
	((struct seat *)room->user)->holds--;
}

bool
room_confirm(struct hub *hub, struct dw_room *room, struct dw_session *session, struct dw_position at,
	const struct dw_begun *begun, bool sure)
{
	const struct had before = had_of(session->device);

	if (!dw_room_confirm(room, session, at, begun, sure || session->sure, dw_mono_ms()))
		return false;
	waits_confirmed(hub, room, session->device, &before);
	return true;
}

void
room_mark_readers(struct hub *hub, struct dw_room *room)
{
	struct dw_reader *reader;

	DL_FOREACH(room->readers, reader)
	{
		struct peer *peer = peer_find(hub, reader->edge);

		if (peer != NULL)
			peer_mark_dirty(hub, peer, reader);
	}
}

void
room_end_session(struct hub *hub, struct dw_room *room, struct dw_session *session)
{
	struct dw_reader *reader = session->reader;
	struct peer *peer = peer_find(hub, reader->edge);

	dw_room_leave(room, session, dw_now_ms(), dw_mono_ms());
	if (peer != NULL)
		peer->sessions--;
	if (reader->session_count > 0)
		return;
	if (peer != NULL)
		peer_remove_reader(peer, reader);
	dw_room_drop_reader(room, reader);
}

static struct hub *
hub_of(struct dw_room *room)
{
	return (struct hub *)(void *)((char *)room->all - offsetof(struct hub, rooms_shared));
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct dw_room *room = (struct dw_room *)(void *)((char *)timer - offsetof(struct dw_room, ages));

	room_look_at_ages(hub_of(room), room);
}

/* Not too often, for what is a minute late matters to nobody, and where many come to their age one after another it is
 * one look; and once in a while, for the clock may be set meanwhile. */
void
room_watch_ages(struct hub *hub, struct dw_room *room)
{
	const uint64_t at = dw_room_next_age(room);
	uint64_t now, left;

	if (at == UINT64_MAX || (room->ages.link != NULL && at >= room->ages_at))
		return;
	now = dw_now_ms();
	left = at > now + AGES_MIN_MS ? at - now : AGES_MIN_MS;
	room->ages_at = now + left;
	room->ages.fire = fire;
	dw_wheel_set(&hub->wheel, &room->ages, dw_mono_ms() + dw_less(left, AGES_MAX_MS));
}

void
room_look_at_ages(struct hub *hub, struct dw_room *room)
{
	const uint64_t now = dw_now_ms();
	const bool prunes = room->prune_at != 0 && room->prune_at <= now;

	dw_room_expire(room, now);
	if (prunes && dw_room_resident(room))
		dw_room_prune(room, now);
	else if (prunes)
		(void)room_wait(hub, room, NULL, (struct dw_str) { NULL, 0 });
	room_watch_ages(hub, room);
	/* Only where something changed, for settling counts as use. */
	if (room->user == NULL || room->dirty != NULL || room->gone != NULL || dw_room_retained(room) == 0)
		room_settle(hub, room);
}

void
rooms_free(struct hub *hub)
{
	struct dw_room *room, *next;

	HASH_ITER(hh, hub->rooms, room, next)
	{
		struct seat *seat = room->user;

		HASH_DEL(hub->rooms, room);
		dw_wheel_cancel(&room->ages);
		if (seat != NULL) {
			struct waiting *waiting, *after;

			DL_FOREACH_SAFE(seat->waiting, waiting, after)
			{
				stage_uncount(hub, waiting->account, sizeof(*waiting) + waiting->n);
				free(waiting);
			}
			seat_unqueue(hub, seat);
			free(seat);
		}
		dw_room_destroy(&room);
	}
}
