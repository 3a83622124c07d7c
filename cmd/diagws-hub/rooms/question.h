/* What a message asks of the engine before it is carried out (question.c). */
#ifndef DIAGWS_HUB_QUESTION_H
#define DIAGWS_HUB_QUESTION_H

#include <stdint.h>

#include "request.h"
#include "room/room.h"

struct staged;

/* Whether the user of a JOIN, a READ or a PUBLISH may be in its room. DW_OK: yes, and the room is resident.
 * DW_E_DENIED: no. DW_E_AGAIN: it is answered, or dispatched again, when the registry has been looked at. Nothing of a
 * room is made or loaded for one who may not, and a refusal takes the same, whatever the room: one look. */
int right_check(struct hub *hub, struct peer *peer, const struct request *request, struct dw_room **room);
/* What a look that was committed says: DW_OK, DW_E_DENIED, or the engine's error. */
int right_found(const struct hub *hub, const struct staged *staged);
/* Tells who may not. */
void right_told(struct hub *hub, struct staged *staged);

/* Asks the engine for the numbers at the seq that this JOIN or READ is after, and for the user's own at `until`, too
 * (0: not asked); the message is then dispatched again, with what was found. The room is resident, and held until then.
 */
int lookup_ask(struct hub *hub, struct peer *peer, const struct dw_wire *message, struct dw_room *room, uint64_t until);

#endif
