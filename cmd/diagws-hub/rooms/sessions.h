/* What sessions do to a room, and the cursors of their devices (sessions.c). */
#ifndef DIAGWS_HUB_SESSIONS_H
#define DIAGWS_HUB_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "room/room.h"
#include "store/engine.h"

struct hub;

enum { HUB_CURSORS = 1024 }; /* of rooms_write_cursors in one batch; when the hub ends, all */

/* False: there is no such position. */
bool room_confirm(struct hub *hub, struct dw_room *room, struct dw_session *session, struct dw_position at,
	const struct dw_begun *begun, bool sure);
/* All readers have something to get. */
void room_mark_readers(struct hub *hub, struct dw_room *room);
/* A session leaves; its edge's reader stays, so that an edge that joins again goes on where its stream was; until
 * those without sessions are dropped. Both at once. */
void room_leave(struct hub *hub, struct dw_room *room, struct dw_session *session);
void room_drop_empty_readers(struct hub *hub, struct dw_room *room);
void room_end_session(struct hub *hub, struct dw_room *room, struct dw_session *session);

/* room NULL: a cursor without a resident room, to be removed at the start. False: not staged; with a room it is dirty
 * again. */
bool cursor_stage(struct hub *hub, struct dw_room *room, const struct dw_cursor *cursor);
/* Stages the changed cursors of the room, or of one device. */
void room_write_cursors(struct hub *hub, struct dw_room *room);
void room_write_device(struct hub *hub, struct dw_room *room, struct dw_device *device);
/* Marks the rooms that have changed cursors now. rooms_write_cursors stages some of theirs, until `most` of them are in
 * the batch. */
void rooms_begin_cursors(struct hub *hub);
void rooms_write_cursors(struct hub *hub, size_t most);
/* A staged cursor came back; one that was not written is dirty again. */
void room_cursor_written(struct hub *hub, const struct dw_op *op);

#endif
