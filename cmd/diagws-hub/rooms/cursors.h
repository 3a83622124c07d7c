/* Cursors on their way to the store (cursors.c). */
#ifndef DIAGWS_HUB_CURSORS_H
#define DIAGWS_HUB_CURSORS_H

#include <stdbool.h>
#include <stddef.h>

#include "room/room.h"
#include "store/engine.h"

struct hub;

enum { HUB_CURSORS = 1024 }; /* in a batch, but for the last */

/* room may be NULL. False: no memory, it is to be written later. */
bool cursor_stage(struct hub *hub, struct dw_room *room, const struct dw_cursor *cursor);
/* Stages the changed cursors of the room, or of one device. */
void room_write_cursors(struct hub *hub, struct dw_room *room);
void room_write_device(struct hub *hub, struct dw_room *room, struct dw_device *device);
/* The rooms that have any now are to write them; as many as go into the batch, of which `most` may be theirs. */
void rooms_begin_cursors(struct hub *hub);
void rooms_write_cursors(struct hub *hub, size_t most);
void room_cursor_written(struct hub *hub, const struct dw_op *op);

#endif
