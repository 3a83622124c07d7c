/* Who waits: for a message to be delivered, or for the next one (waits.c). */
#ifndef DIAGWS_HUB_WAITS_H
#define DIAGWS_HUB_WAITS_H

#include <stdbool.h>

#include "request.h"
#include "room/room.h"

struct staged;

enum { HUB_WAITS_MAX = 65536 }; /* in all; see waits.c */

/* Whether this peer may have no more waits: it has as many as are still free for others. */
bool waits_full(const struct hub *hub, const struct peer *peer);
void waits_forget_peer(struct peer *peer);

/* STORED has been answered; DELIVERED will be when that many devices have it, or the time is over. */
void wait_delivered(struct hub *hub, struct dw_room *room, const struct staged *staged);

/* What a device had been delivered: a copy, taken before a change. */
struct had {
	struct dw_span numbered, direct;
};
static inline struct had
had_of(const struct dw_device *device)
{
	return device != NULL ? (struct had) { device->had, device->had_own } : (struct had) { 0 };
}
/* A device has confirmed something; a session has joined, by which its device may have more, and by which it is known
 * whose device a message excepts. */
void waits_confirmed(struct hub *hub, struct dw_room *room, const struct dw_device *device, const struct had *before);
void waits_joined(struct hub *hub, struct dw_room *room, const struct dw_session *session, const struct had *before);

/* Keeps a READ that found nothing, or whose answer its peer cannot take now, until there is something or its time is
 * over. Each time it is carried out anew; when it still finds nothing it calls this again (request->poll).
 * DW_E_BUSY, DW_E_NOMEM. */
int wait_message(struct hub *hub, struct peer *peer, struct dw_room *room, struct request *request);

/* A message has come. */
void waits_message(struct hub *hub, struct dw_room *room);
/* The peer has taken all that was sent to it. */
void waits_peer_drained(struct hub *hub, struct peer *peer);

#endif
