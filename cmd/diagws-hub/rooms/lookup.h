/* What the numbers were at a seq (lookup.c). */
#ifndef DIAGWS_HUB_LOOKUP_H
#define DIAGWS_HUB_LOOKUP_H

#include <stdint.h>

#include "base/buf.h"
#include "request.h"
#include "room/room.h"

struct hub;
struct peer;
struct staged;

/* Asks the engine for the numbers at a seq, and for the user's own at `until`, too (0: not asked); the message is then
 * dispatched again, with what it said. */
struct lookup {
	struct dw_room *room; /* resident, and held until then */
	struct dw_str user;
	uint64_t seq, until;
};
int lookup_ask(struct hub *hub, struct peer *peer, const struct lookup *question, const struct dw_wire *message);
void lookup_found(struct hub *hub, struct staged *staged);
/* What the engine has said of this seq; NULL: nothing. */
const struct dw_place *lookup_of(const struct request *request, uint64_t seq);

#endif
