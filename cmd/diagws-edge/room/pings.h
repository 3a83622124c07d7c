/* The PINGs that lie in a room's ring: each carries its position, and its PONG confirms all before it
 * (client/confirm.h).
 *
 * In a large room, while messages come often, a PING asks some of the readers only, by turns, so that thousands of
 * PONGs do not come at once; each message is followed by one for each of them.
 */
#ifndef PINGS_H
#define PINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "room/frame.h"

struct dw_ring_entry;
struct room;

/* Messages came into the room's ring: a PING follows, now or when it may; and when that is. */
void ping_room(struct room *room, bool came);
/* Whether a PING of a ring is for this session. */
bool ping_asks(const struct dw_ring_entry *ping, uint64_t session);
/* What seals a room's PINGs: they are the same for all who watch it. */
struct frame_key ping_key(const struct room *room);

#endif
