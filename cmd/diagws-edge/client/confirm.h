/* What proves that a client has received what was written to it.
 *
 * A connection with one room answers the PINGs that lie in the room's ring (room/stream.c). One that has subscribed
 * gets PINGs of its own, which carry a counter: each stands for the positions of all its subscriptions when it was
 * written. One that acknowledges itself (ack=client) is believed nothing but its `ack`. Nothing is ever confirmed
 * beyond what was written before the PING.
 */
#ifndef CONFIRM_H
#define CONFIRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message/position.h"

struct conn;
struct edge;
struct subscription;

enum { CONFIRM_MS = 250 }; /* at most one PING for confirmation in so long: edge->confirm_ms at first */

/* False: they come in a flood, and this one was not looked at. */
bool confirm_pong(struct conn *conn, const void *payload, size_t n);
/* Each second: a PONG costs what a message does, so where there are too many PINGs become rarer. */
void confirm_adapt(struct edge *edge, uint64_t now);
/* Something was written that no PING in a ring follows: one of its own does, now or when it may (confirm_adapt). */
void confirm_owe(struct conn *conn);
/* Writes the PING that is owed, if there is one and nothing is in its way any more. */
void confirm_try(struct conn *conn);
/* When a PING that is owed is due, at most `due`. */
uint64_t confirm_due(const struct conn *conn, uint64_t due);
/* The keep-alive's PING. */
void confirm_ping(struct conn *conn);

/* {"type":"ack","seq":SEQ}. False: nothing with that seq was sent. */
bool confirm_ack(struct subscription *sub, uint64_t seq);

/* ---- confirmations.c: positions of subscriptions that the hub does not know yet. Told together, one CONFIRM for all
 * sessions of a room that stand at one position. */

/* `confirmed`, or `acked` when sure, has moved. */
void confirmations_add(struct subscription *sub, bool sure);
void confirmations_remove(struct subscription *sub);
/* Tells all, and empties it. What no memory is left for stays. */
void confirmations_tell(struct edge *edge);
/* Tells what this one acknowledged itself, if that is not known yet. */
void confirmations_tell_ack(struct subscription *sub);

/* ---- written.c: positions that were written to one client and must be remembered, for no PING in the room's ring
 * tells them: those of messages to it alone and of gaps that only it was told. Of a client that acknowledges itself
 * (ack=client) all are kept, for it may acknowledge what the ring has long dropped. */

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

#endif
