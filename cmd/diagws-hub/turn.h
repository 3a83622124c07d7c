/* A turn (loop.c), and its steps: what peers say (hear.c), how each message is carried out (dispatch.c), and the rest
 * (turn.c). */
#ifndef DIAGWS_HUB_TURN_H
#define DIAGWS_HUB_TURN_H

#include <stdbool.h>
#include <stddef.h>

#include "request.h"

struct batch;

enum {
	HUB_TIMERS = 1024,                  /* that fire in a turn, */
	HUB_TIMERS_BYTES = 2 * 1024 * 1024, /* unless they have so much to say; */
	HUB_TIMERS_STEP = 16,               /* which is looked at after so many */
};

/* Runs turns until a signal or a fatal error; the exit status. */
int loop_run(struct hub *hub);

/* What peers say, by turns. How many messages that were. *more: there is more that can be handled now. */
size_t hear(struct hub *hub, bool *more);
/* The next message of peer->rest. The peer may be forgotten by it. What it cost, in messages of the
 * simplest kind. */
size_t hub_receive(struct hub *hub, struct peer *peer);
/* From a frame to its handler. */
request_fn hub_dispatch;

/* Stages what is to be loaded, and hands the batch over. */
void turn_commit(struct hub *hub);
/* A batch that came back, and then what waited for it. */
void turn_apply(struct hub *hub, struct batch *batch);
/* True: more are due. */
bool turn_timers(struct hub *hub);
/* Sends what is to be sent, and forgets who takes nothing more. */
void turn_send(struct hub *hub);

#endif
