/* What is known of rooms at the start: how much each retains, and where its devices stand. None is loaded for it.
 *
 * Its own file because only here the main thread reads from the engine: the store thread does not run yet.
 *
 * Failure modes: memory. A device that was away for too long is removed from the store.
 */
#include "rooms/start.h"

#include "base/clock.h"
#include "hub.h"
#include "rooms/cursors.h"
#include "rooms/resident.h"
#include "rooms/rooms.h"

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
		(void)cursor_stage(hub, NULL, &gone);
		room_done(hub, room);
		return DW_OK;
	}
	room_watch_ages(hub, room);
	return DW_OK;
}

int
rooms_start(struct hub *hub)
{
	return hub->engine->ops->scan(hub->engine, add_summary, add_cursor, hub);
}
