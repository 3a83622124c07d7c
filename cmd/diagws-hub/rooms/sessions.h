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
/* Ends a session; its edge's reader goes with the last one. */
void room_end_session(struct hub *hub, struct dw_room *room, struct dw_session *session);

#endif
