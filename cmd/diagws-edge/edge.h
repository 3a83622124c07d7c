/* What one edge process is: its settings, its parts, its counters. Passed to every part; owned by main.
 */
#ifndef EDGE_H
#define EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"
#include "cli/opt.h"
#include "http/check.h"
#include "http/limits.h"
#include "room/rooms.h"
#include "token/auth.h"

enum { LIMIT_USER_CONNECTIONS = 64 };

struct edge_config {
	struct dw_opt_list listen;
	struct dw_opt_list origins;
	const char *hub;
	const char *keys, *issuer, *audience;
	int64_t leeway_ms;
	const char *tls_cert, *tls_key;
	int64_t drain_ms, slow_ms;
	int64_t max_connections, max_checks;
	bool proxied;                 /* each connection begins with a PROXY header */
	int64_t max_user_connections; /* 0: any number */
	struct dw_http_bounds bounds;
	const char *www; /* the folder of a page; or NULL */
	bool check_only;
};

struct edge_counts {
	uint64_t connections; /* clients' WebSockets, open now */
	uint64_t websockets;  /* what libwebsockets has: these, and those that are not so far or are ending */
	uint64_t visitors;    /* sockets of which it is not known yet what they want (gate.h) */
};

struct edge {
	struct edge_config config;
	struct uv_loop_s *loop;
	struct dw_auth *auth;
	struct uplink *uplink;
	struct dw_http_listener *listeners;
	struct gate *gate;
	struct dw_http *http;
	struct dw_http_files *files; /* NULL: none */
	struct server *server;
	struct dw_wheel wheel;
	struct rooms rooms;
	struct conn *conns;                 /* that the hub knows (utlist), */
	struct dw_hash sessions;            /* and by session */
	struct subscription *confirmations; /* pending (utlist, by pending_next) */
	struct dw_http_limits limits;
	struct dw_http_checks checks;
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
