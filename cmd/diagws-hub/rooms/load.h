/* What is known of rooms at the start, rooms to be loaded, and frames that wait for that (load_queue.c, load.c). */
#ifndef DIAGWS_HUB_LOAD_H
#define DIAGWS_HUB_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "room/room.h"

struct hub;
struct peer;
struct resident;
struct staged;

/* A frame that waits until its room is loaded. */
struct waiting {
	struct waiting *prev, *next;
	struct account *account;
	uint32_t peer;
	uint64_t incarnation;
	uint64_t came_at; /* dw_mono_ms */
	size_t n;
	char frame[];
};

/* The room is being loaded, or about to be, and frames wait for that. */
bool room_waits(const struct dw_room *room);
/* Keeps the frame until the room has been loaded; peer NULL: only loads it. The room must not be resident. Not all are
 * loaded at once: those who ask take turns. */
int room_wait(struct hub *hub, struct dw_room *room, struct peer *peer, struct dw_str frame);
/* The first that waits. */
void waiting_free(struct hub *hub, struct resident *resident);
/* Puts the account among those that take turns to have a room loaded, or takes it out: it has rooms queued, and not too
 * many under way. To be called when either changed. */
void account_list(struct hub *hub, struct account *account);
/* Its load is not to be staged any more. */
void load_unqueue(struct hub *hub, struct resident *resident);

/* Stages the loads whose turn it is. */
void rooms_load(struct hub *hub);
/* A load was committed (or failed): it is carried in; what waits is carried out later, when the whole batch is. */
void room_loaded(struct hub *hub, struct staged *staged);

/* The rooms that the engine has, and where their devices stand. DW_E_NOMEM, or the engine's error. */
int rooms_start(struct hub *hub);

#endif
