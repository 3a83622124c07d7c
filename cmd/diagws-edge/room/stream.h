/* The hub's stream of a room, as it comes into the ring.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "message/position.h"
#include "wire/wire.h"

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

#endif
