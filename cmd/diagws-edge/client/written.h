/* Positions that were written to one client and must be remembered, for no PING in the room's ring tells them: those of
 * messages to it alone and of gaps that only it was told. Of a client that acknowledges itself (ack=client) all are
 * kept, for it may acknowledge what the ring has long dropped.
 */
#ifndef WRITTEN_H
#define WRITTEN_H

#include <stddef.h>
#include <stdint.h>

#include "message/position.h"

struct subscription;

enum { WRITTEN_LEAST = 1 };

struct written {
	struct dw_position acked;  /* by the client itself */
	struct dw_position pinged; /* where it stood at the connection's newest PING */
	size_t count, cap;
	struct dw_position at[];
};

/* Makes place for so many positions. NULL: no memory, and nothing changed. */
struct written *written_get(struct subscription *sub, size_t cap);
/* Notes a position that was written: every one to a client that acknowledges itself, else those of the messages to it
 * alone, of which no PING in a ring knows. */
void written_note(struct subscription *sub, struct dw_position at);
/* The furthest noted position that is not behind seq; the start: there is none. Of the positions up to seq only the
 * newest `keep` stay noted. */
struct dw_position written_take(struct subscription *sub, uint64_t seq, size_t keep);
/* What the client itself has acknowledged; the start: nothing. */
struct dw_position written_acked(const struct subscription *sub);
void written_forget(struct subscription *sub);

#endif
