/* The main loop (loop.c). */
#ifndef DIAGWS_HUB_LOOP_H
#define DIAGWS_HUB_LOOP_H

struct hub;

/* Runs until a signal or a fatal error; the exit status. */
int loop_run(struct hub *hub);

#endif
