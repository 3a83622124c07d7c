/* What the numbers were at a seq (place.c). */
#ifndef DIAGWS_HUB_PLACE_H
#define DIAGWS_HUB_PLACE_H

#include <stdint.h>

#include "base/buf.h"
#include "request.h"
#include "room/room.h"

struct hub;
struct peer;
struct staged;

/* Asks the engine for the numbers at a seq, and for the user's own at `until`, too (0: not asked); the message is then
 * dispatched again, with what it said. */
struct place_question {
	struct dw_room *room; /* resident, and held until then */
	struct dw_str user;
	uint64_t seq, until;
};
int place_ask(struct hub *hub, struct peer *peer, const struct place_question *question, const struct dw_wire *message);
void place_found(struct hub *hub, struct staged *staged);
/* What the engine has said of this seq; NULL: nothing. */
const struct dw_place *place_of(const struct request *request, uint64_t seq);

#endif
