/* From a frame to its handler (dispatch.c). */
#ifndef DIAGWS_HUB_DISPATCH_H
#define DIAGWS_HUB_DISPATCH_H

#include <stddef.h>

#include "request.h"

struct hub;
struct peer;

/* The next message of peer->rest. The peer may be forgotten by it. What it cost, in messages of the
 * simplest kind. */
size_t hub_receive(struct hub *hub, struct peer *peer);

void hub_dispatch(struct hub *hub, struct peer *peer, struct request *request);

#endif
