/* What is said to peers (outbox.c). */
#ifndef DIAGWS_HUB_OUTBOX_H
#define DIAGWS_HUB_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "room/room.h"
#include "wire/wire.h"

struct hub;
struct peer;

struct outbox {
	struct peer *to;       /* those who are to get something */
	size_t bytes;          /* added since the last flush */
	struct dw_buf scratch; /* what is in it is used at once */
};

void outbox_add(struct hub *hub, uint32_t peer, const struct dw_wire *message);
/* The room's log is full and will drop its oldest message: readers that have not got it, and whose edge
 * has credit, get what there is now. */
void outbox_make_way(struct hub *hub, struct dw_room *room);
/* Serves the readers as far as their edges' credit goes, and sends that with what was added before. Who takes nothing
 * more is in hub->lost then. */
void outbox_flush(struct hub *hub);
/* The peer goes: nothing more is said to it. */
void outbox_forget(struct hub *hub, struct peer *peer);
/* The session is about to end. */
void say_close(struct hub *hub, const struct dw_session *session, uint64_t code, struct dw_str reason);
/* To what is no request. */
void say_refused(struct hub *hub, uint32_t peer, int err, const char *text);
/* The answer that says a request failed; nothing for a message that has no answer. text may be NULL. */
void answer_failure(struct hub *hub, uint32_t peer, const struct dw_wire *request, int err, const char *text);

#endif
