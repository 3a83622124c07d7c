/* The edge's HTTP calls, each group in a file of its own.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include "http/route.h"

extern const struct route edge_routes[];

void publish_take(struct request *request);  /* publish.c: the four that publish */
void messages_take(struct request *request); /* messages.c: /ws/messages/{diagnosis_id} */
void status_take(struct request *request);   /* status.c: /ws/status */
/* At the end, when nothing is asked any more. */
void status_clear(void);

#endif
