/* A client's WebSocket: what is known of it, and what it is told.
 *
 * What it is told, and how that ends, is conn.c's, how it comes and goes life.c's, what is due on it timers.c's, what
 * it says command.c's; what it gets of a room and has received subscription.h's. A connection is never more than
 * positions and what the kernel and libwebsockets hold of one write. Its first subscription lies in it, for most have
 * no other.
 */
#ifndef CONN_H
#define CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "base/wheel.h"
#include "client/subscription.h"
#include "http/address.h"
#include "http/check.h"
#include "http/limits.h"
#include "token/auth.h"

struct edge;
struct lws;

enum {
	LIMIT_CLIENT_MESSAGE = 8 * 1024,
	LIMIT_WAITING = 16 * 1024,
	AUTH_MS = 5 * 1000,  /* with auth=message the token is to be there by then */
	CLIENT_BUDGET = 100, /* messages that a client may send at once */
	CLIENT_RATE = 20,    /* and then in a second */
};

enum conn_state {
	CONN_OPEN,
	CONN_AWAITING, /* its token is to come in its first message */
	CONN_CHECKING, /* its token is being checked, and what it sends waits */
	CONN_REFUSED,  /* will be closed when DW_HTTP_DENY_MS are over */
	CONN_CLOSING   /* nothing is written any more */
};

/* A message of the client, as far as it is there. */
struct incoming {
	struct dw_buf text; /* no more than LIMIT_CLIENT_MESSAGE */
	size_t total;
	struct dw_utf8 utf8;
};

/* What a client asked for with its upgrade. Of a client that sent a
 * fresh token only the check and the claims are of use (life.c). */
struct conn_request {
	struct conn_request *prev, *next; /* in edge->requests: of connections that have not started */
	struct conn *conn;
	struct dw_http_check *check; /* of its token, while that is under way */
	struct dw_http_address address;
	struct dw_http_guest *site; /* where it is a stranger; NULL: it is none */
	int err;                    /* why it is refused; DW_OK: nothing speaks against it yet */
	bool awaits;                /* auth=message: its token is to come */
	const char *wrong;          /* with its arguments, as its client is told before 1008; NULL: nothing */
	char room[DW_ROOM_MAX + 1];
	struct dw_claims claims;
	char device[DW_DEVICE_MAX + 1]; /* "": derived */
	struct sub_request from;
	bool sure;      /* ack=client */
	bool heartbeat; /* heartbeat=1 */
};

/* What is looked at for each message lies next to the first subscription: see there. */
struct conn {
	struct edge *edge;
	struct dw_http_guest *user;
	struct conn_request *request; /* until started, and while a fresh token is being checked */
	struct lws *wsi;
	uint64_t stalled_at;   /* since when the kernel takes nothing; 0: it does */
	int fd;                /* server_write's */
	uint8_t state;         /* enum conn_state */
	uint8_t subscriptions; /* rooms that it watches or is about to */
	bool derived : 1;
	bool service : 1;   /* its token has the scope `publish` */
	bool sure : 1;      /* it acknowledges itself */
	bool heartbeat : 1; /* it asked for them */
	bool connected : 1; /* `connect` was told */
	bool early : 1;     /* rx is a whole message that came before that */
	bool slowed : 1;    /* nothing is read from it for a while, for all its noise */
	bool over : 1;      /* it has said too much, and will be closed soon */
	bool many : 1;      /* it has subscribed: PINGs of its own confirm */
	bool owed : 1;      /* something was written that a PING of its own is to follow */
	bool awaited : 1;   /* many: the PONG to its newest PING */
	bool told : 1;      /* a Close frame of our own was written: libwebsockets does not know of it; */
	bool handed : 1;    /* or it is libwebsockets that writes it */
	bool ended : 1;     /* the client's Close has come, and was answered; or none is waited for */
	struct subscription first;
	struct dw_wheel_timer timer;
	struct conn *prev, *next; /* in edge->conns, */
	struct dw_hash_link link; /* and in edge->sessions */
	uint64_t session;         /* by this; 0: in neither */
	uint64_t expires;         /* s since 1970 */
	uint64_t heard_at, pinged_at;
	uint64_t taken;          /* what the client's kernel had taken when it stalled, or was sent its last */
	size_t waiting;          /* bytes it was told since */
	uint64_t confirm_at;     /* confirm.c: when its newest PING of its own was written */
	uint64_t counter;        /* that PING's number */
	struct dw_buf diagnoses; /* the token's claim, for later rooms */
	struct incoming *rx;     /* an unfinished client message; NULL: none */
	int32_t noise;           /* noise.c: bytes it has sent that say nothing, less those that it may, */
	uint32_t noise_at;       /* as of when: ms, modulo 2^32 */
	uint64_t pongs_at;       /* confirm.c: when it may send CLIENT_PONGS at once again */
	uint64_t budget_at;      /* the same of CLIENT_BUDGET messages; where it is over: since when */
	uint16_t close_code;
	uint16_t answered_at; /* confirm.c: when an answer to a PING was last counted: ms, modulo 2^16 */
	char *close_reason;   /* NULL: none */
	struct dw_http_address address;
	char device[];
};

/* The rooms that it watches, in this order: sub_first, then sub_after until NULL. */
struct subscription *sub_first(struct conn *conn);
struct subscription *sub_after(struct subscription *sub);
struct subscription *sub_find(struct conn *conn, const struct room *room); /* NULL: none; room may be NULL */
/* Moves it to where it belongs: among those of its room that are offered what is new, or parked. To be called whenever
 * it may no longer read, or can again. */
void sub_park(struct subscription *sub);
void sub_park_all(struct conn *conn);

/* Closes it with this code and reason; CLOSE CODES in man/diagws.7 lists them. Nothing if it is closing already. */
void conn_close(struct conn *conn, unsigned code, const char *reason);
/* Writes the Close frame itself, behind whatever is half sent, and nothing after it. Code 0: with neither. */
void conn_tell_close(struct conn *conn, unsigned code, struct dw_str reason);
/* Closes it with 1008 when DW_HTTP_DENY_MS are over since it came. */
void conn_deny(struct conn *conn);
/* Something will be due then: while it is open, its timer fires no later. Whoever makes something due says so. */
void conn_wake(struct conn *conn, uint64_t at);
/* Whether the token names the room. */
bool conn_claims(const struct conn *conn, struct dw_str room);
/* Drops what has come of a message of the client. */
void conn_drop_incoming(struct conn *conn);

/* Hands ready frames to the kernel. False: the connection is at its end. While it is stalled nothing should be written
 * that can wait elsewhere: of what cannot LIMIT_WAITING bytes are kept, more ends the connection. */
bool conn_write(struct conn *conn, struct dw_str frames);
bool conn_can_write(const struct conn *conn);
/* Sends one message to this client alone: {"type":…,"diagnosis_id":ROOM,…,"data":DATA}; room NULL: what it watches. */
void conn_tell(struct conn *conn, const char *type, const char *room, const char *data);
/* An `error`; field may be NULL. */
void conn_error(struct conn *conn, const char *room, const char *code, const char *field, const char *message);

/* ---- life.c: conn_new (the upgrade was read) → conn_start (established: its first room is asked for, or it is
 * refused; or its token is to come, or being checked, and it starts when that is over) → conn_destroy (it leaves its
 * rooms).
 *
 * The first token comes with the upgrade (ws.c) or, where that asked for auth=message, in the client's first message. A
 * later message with a token renews it: the same user's, with another end and other rooms in its claim. */

/* Takes over *request (also on failure); fire: its timer's. NULL: no memory. */
struct conn *conn_new(
	struct edge *edge, struct lws *wsi, struct conn_request *request, void (*fire)(struct dw_wheel_timer *timer));
/* Lets it in, or begins to close it. */
void conn_start(struct conn *conn);
void conn_destroy(struct conn **conn_p);
/* Of those that were let in: the one whose session this is (NULL: none), and all, oldest first: so the hub hears of
 * them again in the order in which they came. Meanwhile none may come, and no other go. */
struct conn *conn_find(const struct edge *edge, uint64_t session);
void conn_each(struct edge *edge, void (*act)(struct conn *conn));
/* Cuts the one that was refused longest ago and has not ended. false: none. */
bool conn_evict(struct edge *edge);

/* The check of a token has ended; its user is the request. */
dw_http_check_done auth_checked;
/* The client has sent a token: its first, while the connection waits for that (CONN_AWAITING), or a fresh one. */
void auth_take(struct conn *conn, struct dw_str token);

/* ---- command.c: a whole message of the client. */
void conn_text(struct conn *conn, const struct incoming *rx);

/* ---- timers.c: does what is due on a connection, and sets its one timer anew. May be called too early. */
void timers_fire(struct dw_wheel_timer *timer);

/* ---- noise.c: what a client sends that says nothing: PINGs, empty fragments, PONGs in a flood.
 *
 * libwebsockets tells nobody of these, and each read of a few bytes of them costs as much as a message. So what is read
 * of a client is weighed against what we are told of it: beyond CLIENT_NOISE nothing is read from it for SLOWED_MS. It
 * is not closed: to come again would cost more. One by TLS is not weighed, for what it sends is not read by recv. */

/* What is read of it is weighed from now on; and not any more. */
void noise_begin(struct conn *conn);
void noise_end(const struct conn *conn);
/* n bytes of a frame say something; whole: it ends with them. */
void noise_said(struct conn *conn, size_t n, bool whole);
/* Whether it may send one more of those that it may send `most` of at once, and then CLIENT_RATE in a second. *all_at:
 * when it may send all of them again. */
bool noise_may(uint64_t *all_at, uint64_t now, uint64_t most);
/* It has said too much. What else it says is dropped, and it is closed SLOWED_MS later: who comes again and again does
 * so no more often than that. */
void noise_abuse(struct conn *conn);
/* When it is to be read from again, at most `due`; and that, or its end, when it is time. */
uint64_t noise_due(const struct conn *conn, uint64_t due);
void noise_fire(struct conn *conn, uint64_t now);

/* ---- ws.c: upgrades and frames, as libwebsockets reports them. Return values are its own: 0 goes on. */

/* Before the upgrade, by TLS: whether it is a good one. Not 0: answered with an HTTP error. */
int ws_confirm(struct edge *edge, struct lws *wsi);
/* By TLS: no upgrade at all. */
int ws_refuse_http(struct lws *wsi);
/* Reads what the client asked for while its headers are there. */
int ws_filter(struct edge *edge, struct lws *wsi, struct conn **conn);
int ws_pong(struct conn *conn, const void *payload, size_t n);
int ws_receive(struct lws *wsi, struct conn *conn, const void *bytes, size_t n);
/* The client's Close. */
int ws_peer_closes(struct conn *conn, const void *payload, size_t n);
/* libwebsockets is about to end the connection, for whatever reason. */
void ws_dropped(struct lws *wsi, struct conn *conn);
/* The timer of server_close: ends the connection with its code. */
int ws_end(struct lws *wsi, struct conn *conn);
/* fd, its socket, will be closed next. */
void ws_closed(const struct conn *conn, int fd);

#endif
