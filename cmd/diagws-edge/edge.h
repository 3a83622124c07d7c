/* What one edge process is: its settings, its parts, its counters. Passed to every part; owned by main.
 */
#ifndef EDGE_H
#define EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"
#include "cli/opt.h"
#include "http/limits.h"
#include "room/rooms.h"
#include "token/auth.h"

enum {
	LIMIT_USER_CONNECTIONS = 64,
	DW_HTTP_DENY_MS = 50, /* refusals come no sooner: unknown and forbidden take the same time */
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
	uint64_t visitors;    /* sockets of which it is not known yet what they want (gate.h) */
	uint64_t lingering;   /* sockets that wait for their clients to end them (gate.h) */
	uint64_t requests;    /* HTTP requests unanswered now */
	uint64_t bytes;       /* of HTTP bodies and answers under way */
	uint64_t checks;      /* tokens whose check is under way */
};

struct edge {
	struct edge_config config;
	struct uv_loop_s *loop;
	struct dw_auth *auth;
	struct uplink *uplink;
	struct dw_http_listener *listeners; /* utlist */
	struct gate *gate;
	struct dw_http *http;
	struct server *server;
	struct dw_wheel wheel;
	struct rooms rooms;
	struct conn *conns;                 /* that the hub knows (utlist), */
	struct dw_hash sessions;            /* and by session */
	struct subscription *confirmations; /* pending (utlist, by pending_next) */
	struct dw_hash users;               /* limits.h */
	struct dw_http_limits limits;
	struct conn_request *requests; /* utlist */
	struct ask *waiting;           /* what HTTP requests wait for at the hub (utlist) */
	uint32_t joins;                /* JOINs sent: their corr */
	struct edge_counts counts;
	uint64_t secret[2];  /* seals PINGs: frame.h */
	uint64_t confirm_ms; /* confirm.c: between two PINGs; */
	uint64_t pongs;      /* answers to them since */
	uint64_t adapted_at; /* dw_mono_ms */
	uint64_t started;    /* dw_mono_ms */
	bool draining;
	bool ending; /* libwebsockets is being ended: nothing can be written */
};

#endif
