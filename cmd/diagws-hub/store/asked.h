/* Frames that wait for the answer to a question about them, beside the operation in the batch that asks (asked.c). */
#ifndef DIAGWS_HUB_ASKED_H
#define DIAGWS_HUB_ASKED_H

#include "hub.h"

struct asked_key {
	uint64_t peer, session, right; /* right: 1, a lookup: 0 */
	char room[DW_ROOM_MAX + 8];    /* filled up with 0 */
};

/* JOINs whose user's right is being looked up. */
struct lobby {
	UT_hash_handle hh;
	size_t count;
	char room[DW_ROOM_MAX + 1];
};

struct asked {
	UT_hash_handle hh; /* a JOIN's, so that a LEAVE finds it */
	struct asked_key key;
	struct lobby *lobby;  /* of a JOIN that asks for its right */
	struct dw_room *room; /* of a lookup: held until then */
	uint64_t incarnation; /* UINT64_MAX: forgotten */
	uint64_t came_at;     /* dw_mono_ms */
	bool listed;
	size_t n;
	char frame[];
};

/* Keeps the message, but for what a peer added to it. room: resident, for a lookup; else NULL. NULL: no
 * memory. */
struct asked *asked_new(struct hub *hub, const struct peer *peer, const struct dw_wire *message, struct dw_room *room);
void asked_free(struct hub *hub, struct asked *asked);
/* The answer is there, and so is who asked; NULL: no more. False: nobody waits for it any more; else the message as it
 * was, but older. */
bool asked_take(
	struct hub *hub, struct asked *asked, const struct peer *peer, struct dw_wire *message, struct dw_str *frame);
/* The session left before its JOIN was carried out; again: the LEAVE has waited itself. */
void asked_forget(struct hub *hub, const struct peer *peer, uint64_t session, struct dw_str room, bool again);
/* JOINs of this room have asked for their right and not heard yet: who comes now must not overtake them. */
bool asked_joins(const struct hub *hub, struct dw_str room);

#endif
