/* A message of a peer while it is carried out: when it comes, and again where it had to wait.
 *
 * What cannot be carried out yet (its room is not loaded, a right or a position must be looked up, a poll found
 * nothing) is kept where it waits. When that is over it goes to one queue (rooms/later.c), and is dispatched again from
 * the top of the turn.
 */
#ifndef DIAGWS_HUB_REQUEST_H
#define DIAGWS_HUB_REQUEST_H

#include <stdbool.h>

#include "base/buf.h"
#include "room/room.h"
#include "wire/wire.h"

struct hub;
struct peer;
struct request;

/* A READ that may wait for a message: it has just come; or it waits, and is looked at again; POLL_KEPT says that there
 * is still nothing. */
enum poll_state { POLL_FIRST, POLL_AGAIN, POLL_KEPT };

struct request {
	struct dw_wire message;
	struct dw_str frame;   /* it, as it was packed */
	bool again;            /* it has waited, and was let in then */
	bool looked_up;        /* a position of it was, */
	struct dw_place found; /* and this is what the engine said */
	enum poll_state poll;
};

/* Something in the queue that has messages to be carried out now. */
struct later {
	const struct later_ops *ops; /* NULL: not in the queue */
	struct later *prev, *next;
};

struct later_ops {
	/* Fills in the next message; NULL: it is not to be dispatched, for its peer has gone or was answered. */
	struct peer *(*take)(struct hub *hub, struct later *later, struct request *request);
	/* After each take: whoever has no more takes itself out of the queue. */
	void (*done)(struct hub *hub, struct later *later, const struct request *request);
};

#endif
