/* What the hub's messages do: the table for the link to the hub.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include "hub/uplink.h"

extern const struct uplink_events edge_events;

#endif
