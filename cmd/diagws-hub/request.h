/* A message of a peer while it is carried out. What cannot be carried out yet (its room is not loaded, a right or a
 * position must be looked up, a poll found nothing) is kept where it waits; when that is over it goes to one queue
 * (rooms/later.c), and is dispatched again from the top of the turn.
 */
#ifndef DIAGWS_HUB_REQUEST_H
#define DIAGWS_HUB_REQUEST_H

#include <stdbool.h>

#include "base/buf.h"
#include "room/room.h"
#include "wire/wire.h"

struct hub;
struct peer;

/* A READ that may wait for a message: it has just come; or it waits, and is looked at again; POLL_KEPT says that there
 * is still nothing. */
enum poll_state { POLL_FIRST, POLL_AGAIN, POLL_KEPT };

struct request {
	struct dw_wire message;
	struct dw_str frame;          /* it, as it was packed */
	bool again;                   /* it has waited, and was let in then */
	const struct dw_place *found; /* what the engine said of its position; NULL: that was not looked up */
	enum poll_state poll;
};

/* Carries a message out. */
typedef void request_fn(struct hub *hub, struct peer *peer, struct request *request);

/* Something in the queue that has messages to be carried out now. */
struct later {
	/* Dispatches its next message, if who sent it is there; whoever has no more takes itself out of the queue. */
	void (*serve)(struct hub *hub, struct later *later, request_fn *dispatch);
	struct later *prev, *next; /* prev NULL: not in the queue */
};

/* The queue (rooms/later.c). Behind what is in it; what is in it stays where it is. */
void later_add(struct hub *hub, struct later *later);
void later_remove(struct hub *hub, struct later *later);
/* Until there is none. */
void later_serve(struct hub *hub, request_fn *dispatch);

#endif
