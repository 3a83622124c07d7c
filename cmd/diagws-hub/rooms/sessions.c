/* What sessions confirm, and how they end, which the room's edges and whoever waits for its messages must know; and the
 * cursors of their devices on the way to the store: those of a device at once, those of many every few seconds.
 *
 * Failure modes: a position that the room never had is refused; a peer that is gone is passed over. A cursor that could
 * not be staged or written is dirty again.
 */
#include "rooms/sessions.h"

#include <utlist.h>

#include "base/clock.h"
#include "hub.h"
#include "peers/peers.h"
#include "rooms/rooms.h"
#include "rooms/waits.h"
#include "store/stage.h"
#include "store/store.h"

bool
cursor_stage(struct hub *hub, struct dw_room *room, const struct dw_cursor *cursor)
{
	struct staged *staged = stage_new(DW_OP_CURSOR, dw_str(cursor->room));
	struct resident *resident = room != NULL ? room->user : NULL;

	if (staged != NULL) {
		staged->op.cursor = *cursor;
		if (stage_add(hub, NULL, staged) != DW_OK)
			staged = NULL;
	}
	if (resident != NULL && staged != NULL)
		resident->writing++;
	else if (resident != NULL)
		dw_room_put_back(room, cursor);
	return staged != NULL;
}

void
room_write_cursors(struct hub *hub, struct dw_room *room)
{
	struct dw_cursor cursor;

	while (dw_room_take_cursor(room, dw_now_ms(), &cursor) && cursor_stage(hub, room, &cursor))
		continue;
}

void
room_write_device(struct hub *hub, struct dw_room *room, struct dw_device *device)
{
	struct dw_cursor cursor;

	if (dw_room_take_device(room, device, dw_now_ms(), &cursor))
		(void)cursor_stage(hub, room, &cursor);
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
		if (!cursor_stage(hub, room, &cursor))
			return true;
		hub->batch->cursors++;
	}
	return room->dirty == NULL && room->gone == NULL;
}

void
rooms_write_cursors(struct hub *hub, size_t most)
{
	while (hub->cursor_rooms > 0 && hub->dirty != NULL && hub->batch->cursors < most) {
		struct resident *resident = hub->dirty;

		if (write_some(hub, resident->room, most)) {
			/* It may stay in the list, with what is not old enough. */
			hub->cursor_rooms--;
			DL_DELETE2(hub->dirty, resident, dirty_prev, dirty_next);
			DL_APPEND2(hub->dirty, resident, dirty_prev, dirty_next);
		}
		room_done(hub, resident->room);
	}
}

void
room_cursor_written(struct hub *hub, const struct dw_op *op)
{
	struct dw_room *room = room_find(hub, dw_str(op->cursor.room));
	struct resident *resident = room != NULL ? room->user : NULL;

	/* Not resident: it was a removal at the start, and will be one again at the next. */
	if (resident == NULL || resident->writing == 0)
		return;
	resident->writing--;
	if (op->err != DW_OK)
		dw_room_put_back(room, &op->cursor);
	room_done(hub, room);
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
room_leave(struct hub *hub, struct dw_room *room, struct dw_session *session)
{
	struct peer *peer = peer_find(hub, session->reader->edge);

	dw_room_leave(room, session, dw_now_ms(), dw_mono_ms());
	if (peer != NULL)
		peer->sessions--;
}

void
room_drop_empty_readers(struct hub *hub, struct dw_room *room)
{
	struct dw_reader *reader, *next;

	DL_FOREACH_SAFE(room->readers, reader, next)
	{
		struct peer *peer;

		if (reader->session_count > 0)
			continue;
		peer = peer_find(hub, reader->edge);
		if (peer != NULL)
			peer_remove_reader(peer, reader);
		dw_room_drop_reader(room, reader);
	}
}

void
room_end_session(struct hub *hub, struct dw_room *room, struct dw_session *session)
{
	room_leave(hub, room, session);
	room_drop_empty_readers(hub, room);
}
