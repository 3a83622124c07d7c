/* Messages that senders wait for to be delivered (awaited.c). */
#ifndef DIAGWS_HUB_AWAITED_H
#define DIAGWS_HUB_AWAITED_H

#include "room/room.h"

struct hub;
struct staged;

/* STORED has been answered; DELIVERED will be when that many devices have it, or the time is over. */
void wait_delivered(struct hub *hub, struct dw_room *room, const struct staged *staged);

/* What a device had been delivered, before something happened. */
struct had {
	struct dw_span numbered, direct;
};
static inline struct had
had_of(const struct dw_device *device)
{
	return device != NULL ? (struct had) { device->had, device->had_own } : (struct had) { 0 };
}
/* A device has confirmed something; a session has come with what its device has. */
void waits_confirmed(struct hub *hub, struct dw_room *room, const struct dw_device *device, const struct had *before);
void waits_joined(struct hub *hub, struct dw_room *room, const struct dw_session *session, const struct had *before);

#endif
