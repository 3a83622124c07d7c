/* What proves that a client has received what was written to it.
 *
 * A connection with one room answers the PINGs that lie in the room's ring (room/pings.h). One that has subscribed gets
 * PINGs of its own, which carry a counter: each stands for the positions of all its subscriptions when it was written.
 * One that acknowledges itself (ack=client) is believed nothing but its `ack`. Nothing is ever confirmed beyond what
 * was written before the PING.
 */
#ifndef CONFIRM_H
#define CONFIRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
