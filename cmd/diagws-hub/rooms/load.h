/* Loads (load.c). */
#ifndef DIAGWS_HUB_LOAD_H
#define DIAGWS_HUB_LOAD_H

struct hub;
struct staged;

/* Stages the loads whose turn it is. */
void rooms_load(struct hub *hub);
/* A load was committed (or failed): 1. carry it in, and, when the whole batch is, 2. what waits is carried out later:
 * it takes the operation over. */
void room_loaded(struct hub *hub, struct staged *staged);
void room_found(struct hub *hub, struct staged *staged);

#endif
