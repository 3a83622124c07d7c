/* The edge's HTTP calls, each group of them in a file of its own; the table is routes.c's.
 */
#ifndef CALLS_H
#define CALLS_H

#include "http/route.h"

extern const struct dw_http_route edge_routes[];

void publish_take(struct dw_http_request *request);  /* publish.c: the four that publish */
void messages_take(struct dw_http_request *request); /* messages.c: /ws/messages/{diagnosis_id} */
void status_take(struct dw_http_request *request);   /* status.c: /ws/status */
/* At the end, when nothing is asked any more. */
void status_clear(void);

#endif
