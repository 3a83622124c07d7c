/* Who may be in a room (right.c). */
#ifndef DIAGWS_HUB_RIGHT_H
#define DIAGWS_HUB_RIGHT_H

#include "request.h"
#include "room/room.h"

struct hub;
struct peer;
struct staged;

/* Whether the user of a JOIN, a READ or a PUBLISH may be in its room. DW_OK: yes, and the room is resident.
 * DW_E_DENIED: no. DW_E_AGAIN: it is answered, or dispatched again, when the registry has been looked at. Nothing of a
 * room is made or loaded for one who may not, and a refusal takes the same, whatever the room: one look. */
int right_check(struct hub *hub, struct peer *peer, const struct request *request, struct dw_room **room);
/* A look was committed: 1. who may not is told, and, when the whole batch is applied, 2. who may goes on later: it
 * takes the operation over. */
void right_told(struct hub *hub, struct staged *staged);
void right_found(struct hub *hub, struct staged *staged);

#endif
