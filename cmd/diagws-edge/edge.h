/* What one edge process is: its settings, its parts, its counters. Passed to every part; owned by main.
 */
#ifndef EDGE_H
#define EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"
#include "cli/opt.h"
#include "client/sessions.h"
#include "client/unsaid.h"
#include "door/limits.h"
#include "room/rooms.h"
#include "token/auth.h"

enum {
	LIMIT_CLIENT_MESSAGE = 8 * 1024,
	LIMIT_CLIENT_FRAME = 64 * 1024,
	LIMIT_USER_CONNECTIONS = 64,
	ADDRESS_CHECKS = 64, /* of signatures, for one address at a time: the others of it wait */
	LIMIT_WAITING = 16 * 1024,
	LIMIT_USER_BYTES = 8 * 1024 * 1024, /* of HTTP bodies and answers under way: of one user, but for services, */
	LIMIT_BYTES = 128 * 1024 * 1024,    /* and in all */
	LIMIT_RING = 256 * 1024,
	BODY_MS = 30 * 1000,
	AUTH_MS = 5 * 1000,      /* with auth=message the token is to be there by then */
	JOIN_WAIT_MS = 5 * 1000, /* a new client waits so long for the hub, then 1013 */
	KEEP_ALIVE_MS = 25 * 1000,
	SILENCE_MS = 60 * 1000,
	CONFIRM_MS = 250,       /* at most one PING for confirmation in so long, */
	CONFIRM_MOST_MS = 1000, /* in so long at the most when there are */
	CONFIRM_PONGS = 2000,   /* more PONGs a second than this */
	AGAIN_MS = 200,         /* a JOIN that met a busy hub is repeated after so long */
	OVERDUE_MS = 5000,      /* a JOIN or READ without an answer is doubted after so long */
	CUT_MS = 4000,          /* a closed client that does not end its connection is cut, before libwebsockets does, */
	CUT_STALLED_MS = 3000,  /* one whose kernel takes nothing of what it was sent, after so long */
	FEED_LIMIT = 1000,      /* records in a READ, at most */
	LIMIT_WATCHES = 64,     /* rooms on one connection */
	DENY_MS = 50,           /* refusals come no sooner: unknown and forbidden take the same time */
	CLIENT_BUDGET = 100,    /* messages that a client may send at once */
	CLIENT_RATE = 20,       /* and then in a second */
	CLIENT_NOISE = 8192,    /* bytes that a client may send at once in frames that say nothing, as PINGs, */
	CLIENT_NOISE_RATE = 1,  /* and then in a millisecond */
	SLOWED_MS = 1000,       /* or it is not read from for so long */
	CLIENT_PONGS = 1000,    /* PONGs that a client may send at once, and then CLIENT_RATE in a second */
};

struct edge_config {
	struct dw_opt_list listen;
	struct dw_opt_list origins;
	const char *hub;
	const char *keys, *issuer, *audience;
	int64_t leeway_ms;
	const char *tls_cert, *tls_key;
	int64_t drain_ms, slow_ms;
	int64_t max_connections, max_checks;
	bool proxied; /* each connection begins with a PROXY header */
	/* 0: without bounds */
	int64_t max_user_connections, max_user_handshakes, max_user_requests;
	int64_t max_address_connections, max_address_handshakes, max_address_requests, max_bad_tokens;
	bool check_only;
};

struct edge_counts {
	uint64_t connections; /* clients' WebSockets, open now */
	uint64_t websockets;  /* what libwebsockets has: these, and those that are not so far or are ending */
	uint64_t lingering;   /* sockets that wait for their clients to end them (linger.h) */
	uint64_t requests;    /* HTTP requests unanswered now */
	uint64_t bytes;       /* of HTTP bodies and answers under way */
	uint64_t checks;      /* tokens whose check is under way */
};

struct check;
struct linger_socket;
struct conn;
struct conn_request;
struct uplink;
struct waiter;
struct gate;
struct http;
struct listeners;
struct server;
struct status;
struct uv_loop_s;

struct edge {
	struct edge_config config;
	struct uv_loop_s *loop;
	struct dw_auth *auth;
	struct uplink *uplink;
	struct listeners *listeners;
	struct gate *gate;
	struct http *http;
	struct server *server;
	struct dw_wheel wheel;
	struct rooms rooms;
	struct sessions sessions;
	struct unsaid unsaid;
	struct dw_hash users; /* users.h */
	struct limits limits;
	struct conn_request *requests;   /* utlist */
	struct check *checks;            /* under way (utlist) */
	struct waiter *waiters;          /* HTTP requests that wait at the hub (utlist) */
	struct status *status;           /* what was answered to /ws/status last */
	struct linger_socket *lingering; /* utlist */
	uint32_t joins;                  /* JOINs sent: their corr */
	struct edge_counts counts;
	uint64_t secret[2];  /* seals PINGs: frame.h */
	uint64_t confirm_ms; /* confirm.h: between two PINGs; */
	uint64_t pongs;      /* answers to them since */
	uint64_t adapted_at; /* dw_mono_ms */
	uint64_t started;    /* dw_mono_ms */
	bool draining;
	bool ending; /* libwebsockets is being ended: nothing can be written */
};

#endif
