/* The steps of a turn (turn.c). */
#ifndef DIAGWS_HUB_TURN_H
#define DIAGWS_HUB_TURN_H

#include <stdbool.h>

struct batch;
struct hub;

enum {
	HUB_TIMERS = 1024,                  /* that fire in a turn, */
	HUB_TIMERS_BYTES = 2 * 1024 * 1024, /* unless they have so much to say; */
	HUB_TIMERS_STEP = 16,               /* which is looked at after so many */
};

/* Stages what is to be loaded, and hands the batch over. */
void turn_commit(struct hub *hub);
/* A batch that came back, and then what waited for it. */
void turn_apply(struct hub *hub, struct batch *batch);
/* True: more are due. */
bool turn_timers(struct hub *hub);
/* Sends what is to be sent, and forgets who takes nothing more. */
void turn_send(struct hub *hub);

#endif
