/* What sessions do to a room (sessions.c). */
#ifndef DIAGWS_HUB_SESSIONS_H
#define DIAGWS_HUB_SESSIONS_H

#include <stdbool.h>

#include "room/room.h"

struct hub;

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

#endif
