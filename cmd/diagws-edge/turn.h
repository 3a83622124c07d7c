/* The edge's turn: what the hub sent becomes what clients are sent.
 */
#ifndef TURN_H
#define TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/uplink.h"

/* What the hub's messages do: the table for the link to the hub. */
extern const struct uplink_events edge_events;

/* Readers are offered what is new, for a while; what was deferred for them is taken. True: another turn is due at once.
 */
bool turn_run(struct edge *edge);
/* All timers that are due. A room may have something new then. */
void turn_timers(struct edge *edge, uint64_t now);

#endif
