/* Rooms (rooms.c), and what the hub keeps of each. */
#ifndef DIAGWS_HUB_ROOMS_H
#define DIAGWS_HUB_ROOMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "room/room.h"

struct hub;

/* What the hub keeps of a room that is resident or about to be. */
struct resident {
	struct dw_room *room;
	struct wait *polls;      /* for the next message, */
	struct awaited *awaited; /* and messages that somebody waits for (waits.h) */
	size_t awaited_count;
	struct resident *prev, *next;             /* in the hub's list of idle ones, oldest first */
	struct resident *dirty_prev, *dirty_next; /* in the list of those with changed cursors */
	struct resident *load_prev, *load_next;   /* in account->rooms, while its load waits for its turn */
	struct account *account;                  /* whose turn that is; NULL: it does not wait */
	struct waiting *waiting;
	size_t writing; /* cursors on their way to the store */
	size_t holds;   /* other reasons not to give it up */
	size_t memory;  /* as counted in hub->memory */
	bool loading, idle, dirty;
};

struct dw_room *room_find(struct hub *hub, struct dw_str name);
/* Makes it when needed. NULL: no memory. */
struct dw_room *room_get(struct hub *hub, struct dw_str name);
void rooms_free(struct hub *hub);
/* After anything was done with the room: counts its memory, lists it, frees it (only it) when it holds nothing. */
void room_done(struct hub *hub, struct dw_room *room);
/* Once a turn: gives up idle rooms while memory is over its bound. */
void rooms_evict(struct hub *hub);
/* Keeps a resident room in memory, and no longer. */
void room_hold(struct hub *hub, struct dw_room *room);
void room_unhold(struct hub *hub, struct dw_room *room);
/* Something may come to its age in it: sees to it that it is looked at then; and looks, which its timer does. */
void room_watch_ages(struct hub *hub, struct dw_room *room);
void room_look_at_ages(struct hub *hub, struct dw_room *room);
/* One after another, as dw_room_next_member. */
struct dw_room *rooms_next(struct hub *hub, struct dw_room *room, bool last);

#endif
