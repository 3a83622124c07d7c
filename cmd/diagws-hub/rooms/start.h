/* Rooms at the start (start.c). */
#ifndef DIAGWS_HUB_START_H
#define DIAGWS_HUB_START_H

struct hub;

/* DW_E_NOMEM, or the engine's error. */
int rooms_start(struct hub *hub);

#endif
