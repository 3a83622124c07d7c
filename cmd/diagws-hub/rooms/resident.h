/* Rooms in memory (resident.c). */
#ifndef DIAGWS_HUB_RESIDENT_H
#define DIAGWS_HUB_RESIDENT_H

#include <stdbool.h>

#include "room/room.h"

struct hub;

/* After anything was done with the room: counts its memory, lists it, frees it (only it) when it holds nothing. */
void room_done(struct hub *hub, struct dw_room *room);
/* Once a turn: gives up idle rooms while memory is over its bound. */
void rooms_evict(struct hub *hub);
/* Keeps a resident room in memory, and no longer. */
void room_hold(struct hub *hub, struct dw_room *room);
void room_unhold(struct dw_room *room);
/* Something may come to its age in it: sees to it that it is looked at then; and looks, which its timer does. */
void room_watch_ages(struct hub *hub, struct dw_room *room);
void room_look_at_ages(struct hub *hub, struct dw_room *room);
/* One after another, as dw_room_next_member. */
struct dw_room *rooms_next(struct hub *hub, struct dw_room *room, bool last);

#endif
