/* One room on one connection: where in that room the client stands, and how it gets what follows.
 *
 * Life: sub_open (a JOIN) → sub_joined → it reads the room's ring by its position, or is fed by the hub (READ) until
 * the ring covers it → sub_end. Towards the hub (session, room) names it.
 */
#ifndef SUBSCRIPTION_H
#define SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message/msg.h"
#include "message/position.h"
#include "room/rooms.h"
#include "wire/wire.h"

struct conn;
struct edge;

enum {
	OVERDUE_MS = 5000, /* a JOIN or READ without an answer is doubted after so long */
	FEED_LIMIT = 1000, /* records in a READ, at most */
};

enum sub_state {
	SUB_JOINING,   /* the hub has been asked, or will be when it is there */
	SUB_READING,   /* reads the ring */
	SUB_RETURNING, /* was here before the hub heard of us anew: reads nothing until the hub has let it in again */
	SUB_FEEDING,   /* behind the ring: the hub has been asked for what is missing */
	SUB_DENIED     /* will be told when DW_HTTP_DENY_MS are over */
};

/* Where a client wants to begin. */
struct sub_request {
	char epoch[DW_EPOCH_MAX + 1];
	bool has_after, after_new;
	uint64_t after;
};

/* Of one log. begun: it reads without a gap from after this number, as far as is confirmed. broke: where the last gap
 * that it was told since ends, until that is confirmed; 0: none. */
struct run {
	uint64_t begun, broke;
};

/* What is looked at for each message comes first, and so close together that it costs few lines of the cache. */
struct subscription {
	struct room_reader reader; /* first: to fetch it ahead is to fetch the subscription */
	struct conn *conn;
	struct room *room;         /* NULL: nothing is watched (a connection's first, when it is free) */
	uint64_t index;            /* in the ring */
	struct dw_position at;     /* written up to here */
	uint16_t feed;             /* records in a READ */
	uint8_t state;             /* enum sub_state */
	uint8_t pending;           /* confirmations.c's */
	bool behind : 1;           /* the ring does not cover `at`: the hub must feed */
	bool joined : 1;           /* the hub counts this session in this room */
	bool asked : 1;            /* a JOIN or READ is unanswered */
	bool again : 1;            /* the hub was busy: asked again soon */
	bool claimed : 1;          /* the token names the room */
	bool lacks : 1;            /* direct messages that only the hub can name: it is asked before reading on */
	bool anew : 1;             /* the hub is to be told where it began again */
	bool parked : 1;           /* in the room's list of those that are offered nothing */
	struct subscription *next; /* of the connection */
	struct subscription *pending_prev, *pending_next; /* confirmed, but the hub does not know yet */
	struct sub_request *request;                      /* until joined */
	struct written *written;                          /* written.c: what most never need */
	struct dw_position confirmed;                     /* proven up to here, or where it stood when it joined */
	struct run numbered, direct;
	uint64_t since;    /* when it was opened */
	uint64_t asked_at; /* when the unanswered JOIN or READ was sent */
	uint32_t stay;     /* its newest JOIN's corr */
};

/* Begins to watch a room. NULL: no memory. */
struct subscription *sub_open(struct conn *conn, const char *room, bool claimed, const struct sub_request *request);
/* Leaves the room, and tells the hub if that may count the session. Frees it, unless it is its connection's first. */
void sub_end(struct subscription *sub);
void sub_ask_all(struct conn *conn); /* sends the JOINs (again): the hub is there */
/* The token is a fresh one: whether it still may watch is asked of the hub, which keeps what the session has. */
void sub_renew_all(struct conn *conn);
void sub_lose_all(struct conn *conn); /* the hub has another store: what they confirmed means nothing to it */
/* The earliest time at which sub_fire has something to do, at most `due`. */
uint64_t sub_due(const struct subscription *sub, uint64_t due);
/* Does what is due. It may end the subscription. */
void sub_fire(struct subscription *sub, uint64_t now);

/* From the hub. */
void sub_joined(struct subscription *sub, const struct dw_joined *joined);
void sub_closed(struct subscription *sub, unsigned code, const char *reason); /* the hub has ended the session there */

/* ---- reading.c: how it gets what it has not got, from the room's ring, or, behind it, from the hub. */

/* Sets the client's position, and whether the ring or the hub goes on from it. */
void sub_stand(struct subscription *sub, struct dw_position at);
/* Writes what the client has not got, as far as the kernel takes it. */
void sub_push(struct subscription *sub);
/* Of all its rooms, now that the kernel takes again. */
void sub_push_all(struct conn *conn);
/* From the hub. */
void sub_fed(struct subscription *sub, const struct dw_records *records);

/* ---- confirm.c: what proves that a client has received what was written to it.
 *
 * A connection with one room answers the PINGs that lie in the room's ring (room/stream.c). One that has subscribed
 * gets PINGs of its own, which carry a counter: each stands for the positions of all its subscriptions when it was
 * written. One that acknowledges itself (ack=client) is believed nothing but its `ack`. Nothing is ever confirmed
 * beyond what was written before the PING. */

enum { CONFIRM_MS = 250 }; /* at most one PING for confirmation in so long: edge->confirm_ms at first */

/* False: they come in a flood, and this one was not looked at. */
bool confirm_pong(struct conn *conn, const void *payload, size_t n);
/* Each second: a PONG costs what a message does, so where there are too many, PINGs become rarer. */
void confirm_adapt(struct edge *edge, uint64_t now);
/* Something was written that no PING in a ring follows: the connection owes a PING of its own, now or when it may. */
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
/* The furthest noted position up to seq; the start: there is none. Of the positions up to seq only the
 * newest `keep` stay noted. */
struct dw_position written_take(struct subscription *sub, uint64_t seq, size_t keep);
/* What the client itself has acknowledged; the start: nothing. */
struct dw_position written_acked(const struct subscription *sub);

#endif
