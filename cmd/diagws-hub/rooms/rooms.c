/* The table of rooms.
 *
 * A room is in the table when it retains messages, has devices or sessions, or is being asked about. So a room that is
 * not there has no device, and a message to it needs no look at the disk. Its own file because all others of this
 * folder look rooms up.
 *
 * Failure modes: memory.
 */
#include "rooms/rooms.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/wheel.h"
#include "hub.h"
#include "rooms/load_queue.h"

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

void
rooms_free(struct hub *hub)
{
	struct dw_room *room, *next;

	HASH_ITER(hh, hub->rooms, room, next)
	{
		struct resident *resident = room->user;

		HASH_DEL(hub->rooms, room);
		dw_wheel_cancel(&room->ages);
		if (resident != NULL) {
			struct waiting *waiting, *after;

			DL_FOREACH_SAFE(resident->waiting, waiting, after)
			{
				waiting_free(hub, waiting);
			}
			load_unqueue(hub, resident);
			free(resident);
		}
		dw_room_destroy(&room);
	}
}
