/* What peers say, by turns (hear.c). */
#ifndef DIAGWS_HUB_HEAR_H
#define DIAGWS_HUB_HEAR_H

#include <stdbool.h>
#include <stddef.h>

struct hub;

/* How many messages that were. *more: there is more that can be handled now. */
size_t hear(struct hub *hub, bool *more);

#endif
