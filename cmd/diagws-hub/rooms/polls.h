/* READs that wait for a message (polls.c). */
#ifndef DIAGWS_HUB_POLLS_H
#define DIAGWS_HUB_POLLS_H

#include "request.h"
#include "room/room.h"

struct hub;
struct peer;

/* A READ that found nothing, or that its peer cannot take the answer of now: it is answered when there is something, or
 * the time is over, and the peer takes it. The READ is kept. It is carried out again meanwhile, and must call this when
 * there is still nothing (request->poll says which time it is). DW_E_BUSY, DW_E_NOMEM. */
int wait_message(struct hub *hub, struct peer *peer, struct dw_room *room, struct request *request);

/* A message has come. */
void waits_message(struct hub *hub, struct dw_room *room);
/* It has taken all that was sent to it. */
void waits_peer_drained(struct hub *hub, struct peer *peer);

#endif
