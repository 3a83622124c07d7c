/* The hub's stream of a room, as it comes into the ring.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "message/position.h"
#include "room/frame.h"
#include "wire/wire.h"

struct credit;
struct credit_deferred;
struct dw_ring_entry;
struct edge;
struct room;

/* The hub's stream begins here (from the first JOINED), or ends (the last session left). */
void room_stream_begin(struct room *room, struct dw_position at);
void room_stream_end(struct room *room);
/* All streams end: what comes is of another store. */
void rooms_end_streams(struct edge *edge);
/* The newest seq that the edge knows of; it never goes back. */
uint64_t room_newest(const struct room *room);
/* Where the hub's stream stands behind what it has sent so far. When that is less, it sends once more what follows, for
 * somebody who stands there; those who have it pass it over. When it is more, the hub has no longer what lies between:
 * a hole. false: no memory. */
bool room_stream_at(struct room *room, struct dw_position at);

/* Takes what the hub sent. false: it does not follow what we have, or makes no sense: the edge must
 * introduce itself again. Readers get it in the edge's next turn (fanout.h). What would push out of the ring what
 * those who keep up were not offered yet is deferred until they were, which is said by room_take_deferred; the hub has
 * its credit for it only then (rooms->credit). */
bool room_take(struct room *room, const struct dw_messages *messages);
bool room_take_deferred(struct room *room);
/* What is deferred of all rooms belongs to an acquaintance with the hub that is over. */
void rooms_drop_deferred(struct edge *edge);
/* Whether a reader at this position finds all that follows in the ring (or in the stream to come). */
bool room_covers(const struct room *room, uint64_t seq);

/* One has come, with so many bytes of records. */
void credit_came(struct credit *credit, size_t bytes);
/* The newest that came is deferred; and not any more. */
void credit_defer(struct credit *credit, struct credit_deferred *one);
void credit_settle(struct credit *credit, struct credit_deferred *one);
/* Whether it is time to tell the hub that it has credit for all up to credit->credited; it counts as told then. */
bool credit_due(struct credit *credit);

/* The PINGs that lie in a room's ring: each carries its position, and its PONG confirms all before it
 * (client/confirm.h). In a large room, while messages come often, a PING asks some of the readers only, by turns, so
 * that thousands of PONGs do not come at once; each message is followed by one for each of them. */
/* Whether a PING of a ring is for this session. */
bool ping_asks(const struct dw_ring_entry *ping, uint64_t session);
/* What seals a room's PINGs: they are the same for all who watch it. */
struct frame_key ping_key(const struct room *room);

#endif
