/* A client's WebSocket: who it is, which room it watches, and where in that room it stands.
 *
 * Life: conn_new (the upgrade was read) → conn_start (established: a JOIN is asked of the hub, or the
 * refusal is due) → conn_joined → it reads the room's ring by its position, or is fed by the hub
 * (READ) until the ring covers it → conn_destroy (closed: LEAVE). A connection is never more than a
 * position and what the kernel and libwebsockets hold of one write.
 */
#ifndef CONN_H
#define CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "diagws/auth.h"
#include "diagws/wire.h"
#include "frame.h"
#include "wheel.h"

struct edge;
struct lws;
struct room;

enum conn_state {
	CONN_JOINING, /* the hub has been asked, or will be when it is there */
	CONN_READING, /* reads the ring */
	CONN_FEEDING, /* behind the ring: the hub has been asked for what is missing */
	CONN_REFUSED, /* will be closed when DENY_MS are over */
	CONN_CLOSING  /* nothing is written any more */
};

struct user {
	UT_hash_handle hh;
	unsigned connections;
	char name[];
};

/* What a client asked for with its upgrade; refuse is NULL when nothing speaks against it yet. */
struct conn_request {
	const char *refuse; /* reason for 1008 */
	bool deny;          /* refused as one who may not: DENY_MS later */
	const char *error;  /* code of an `error` that is told before 1008, and */
	const char *detail; /* its words */
	char room[DW_ROOM_MAX + 1];
	struct dw_claims claims;
	char device[DW_DEVICE_MAX + 1]; /* "": derived */
	char epoch[DW_ROOM_MAX];
	bool has_after, after_new;
	uint64_t after;
};

struct conn {
	UT_hash_handle hh; /* edge->sessions */
	struct edge *edge;
	struct lws *wsi;
	struct room *room;
	struct conn *room_prev, *room_next;
	struct user *user;
	struct wheel_timer timer;
	uint64_t session;
	uint64_t next;             /* index in the ring */
	struct position at;        /* written up to here */
	struct position confirmed; /* proven up to here */
	struct position told;      /* the hub knows of this much */
	uint64_t expires;          /* s since 1970 */
	uint64_t heard_at, pinged_at, opened_at;
	uint64_t stalled_at;          /* since when the kernel takes nothing; 0: it does */
	struct conn *next_unsaid;     /* uplink: confirmed, but the hub does not know yet */
	struct conn_request *request; /* until joined */
	struct dw_buf rx;             /* an unfinished client message */
	size_t rx_total;
	uint32_t budget; /* client messages that are still allowed */
	uint64_t budget_at;
	uint16_t close_code;
	uint8_t state; /* enum conn_state */
	bool behind;   /* the ring does not cover `at`: the hub must feed */
	bool joined;   /* the hub counts this session */
	bool asked;    /* a JOIN or READ is unanswered */
	bool unsaid;
	bool again; /* the hub was busy: asked again soon */
	bool claimed;
	bool derived;
	char close_reason[32];
	char device[DW_DEVICE_MAX + 1];
};

/* Takes over *request (also on failure). NULL: no memory. */
struct conn *conn_new(struct edge *edge, struct lws *wsi, struct conn_request *request);
/* false: refused at once; close code and reason are set. */
bool conn_start(struct conn *conn);
void conn_destroy(struct conn **conn_p);

/* From the hub. */
void conn_ask(struct conn *conn); /* sends the JOIN (again): the uplink is up */
void conn_joined(struct conn *conn, const struct dw_joined *joined);
void conn_fed(struct conn *conn, const struct dw_records *records);
void conn_close(struct conn *conn, unsigned code, const char *reason);

/* From the client. */
void conn_pong(struct conn *conn, const void *payload, size_t n);
void conn_text(struct conn *conn); /* a whole message is in rx */

/* Writes what the client has not got, as far as the kernel takes it. */
void conn_push(struct conn *conn);
/* The kernel takes again. */
void conn_writable(struct conn *conn);
/* Sends one message to this client alone: {"type":…,…,"data":DATA}. */
void conn_tell(struct conn *conn, const char *type, const char *data);
void conn_error(struct conn *conn, const char *code, const char *message);

#endif
