/* The edge's turn: what the hub sent becomes what clients are sent.
 */
#ifndef TURN_H
#define TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/uplink.h"

extern const struct uplink_events edge_events;

/* Readers are offered what is new, for a while, and what was deferred is taken. True: another turn is due at once. */
bool turn_run(struct edge *edge);
/* All timers that are due. A room may have something new then. */
void turn_timers(struct edge *edge, uint64_t now);

#endif
