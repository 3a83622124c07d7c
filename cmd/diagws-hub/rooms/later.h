/* What waited and can be carried out now (later.c). */
#ifndef DIAGWS_HUB_LATER_H
#define DIAGWS_HUB_LATER_H

#include "request.h"

struct hub;
struct peer;

/* Behind what is in the queue; what is in it stays where it is. */
void later_add(struct hub *hub, struct later *later, const struct later_ops *ops);
void later_remove(struct hub *hub, struct later *later);
/* Until there is none. */
void later_serve(struct hub *hub, void (*dispatch)(struct hub *hub, struct peer *peer, struct request *request));

#endif
