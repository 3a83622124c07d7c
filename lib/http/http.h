/* HTTP/1.1 in a libuv loop, for any program of ours: routes are data (route.h), a request is a struct (request.h), what
 * a client sends is read strictly (head.h, reader.h), tokens are checked beside the loop (check.h), and what people
 * share is bounded (limits.h). A program that serves nothing but HTTP calls dw_http_serve (serve.h); one that looks at
 * its connections first gives them to dw_http_take.
 *
 * Life of a connection: dw_http_take → requests one after the other → closed. While nobody works for it it is in a
 * list, the longest idle first: until its time is over, or there is no room.
 *
 * Life of a request: its head (what can be refused without the body is, in this order: 404 or 405, Origin, 413 or 415,
 * 401, 429; while its token is checked no more is read) → its body → its route takes it → dw_http_answer, now or later.
 * The body has a bound (256 KiB) and a deadline, and so has taking the answer. A body that is refused is read and
 * thrown away for a while, for many clients read nothing before they have written all.
 *
 * One struct dw_http a process: libmicrohttpd reads through our recv (receive.h).
 */
#ifndef DIAGWS_HTTP_H
#define DIAGWS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/address.h"
#include "http/head.h"

struct dw_http;
struct dw_http_checks;
struct dw_http_limits;
struct dw_http_route;
struct dw_opt_list;
struct dw_wheel;
struct uv_loop_s;

/* Another protocol on the same port, which a request may ask for (Upgrade). */
struct dw_http_upgrade {
	/* What reader.h wants to know of each head. */
	dw_http_asks_upgrade *asked;
	/* One that may have it, on a connection where all that came before is answered; the descriptor is the program's. */
	void (*take)(void *user, int fd, const struct dw_http_address *address, const struct dw_http_head *head);
};

/* All of it must live as long as what is made of it. */
struct dw_http_config {
	struct uv_loop_s *loop;
	struct dw_wheel *wheel;                /* the program runs it, some 20 times a second or more often */
	const struct dw_http_route *routes;    /* route.h; */
	const struct dw_http_route *files;     /* others, where no path of these fits (files.h); or NULL */
	const struct dw_opt_list *origins;     /* whose pages may ask: as dw_http_origins_prepare left it */
	struct dw_http_limits *limits;         /* limits.h */
	struct dw_http_checks *checks;         /* check.h */
	const struct dw_http_upgrade *upgrade; /* NULL: there is none */
	uint64_t max_connections;
	void *user; /* the program's own: each request has it */
};

/* Starts libmicrohttpd. DW_E_CONFIG, DW_E_NOMEM. */
int dw_http_new(struct dw_http **out, const struct dw_http_config *config, struct dw_fault *fault);
/* Cuts all connections. The loop must run until its handles are closed. */
void dw_http_destroy(struct dw_http **http_p);

/* A connection that wants HTTP; taken was read of it already. True: the descriptor is ours. False: no memory. */
bool dw_http_take(struct dw_http *http, int fd, const struct dw_http_address *address, struct dw_str taken);
/* The caller closes fd, of whatever kind of connection, next. So that its client sees what was sent last, a copy of it
 * waits until the client ends it, and what comes is dropped; unless both sides have said that it ends (said). */
void dw_http_linger(struct dw_http *http, int fd, bool said);

/* Connections that there are, and that linger. */
uint64_t dw_http_connections(const struct dw_http *http);
/* Of them those for which a drain waits: with a request that is unanswered, or lingering. */
uint64_t dw_http_busy(const struct dw_http *http);
/* Closes the one that has been longest between two requests, in the midst of a head, or refused, where that is so long.
 * False: none. */
bool dw_http_evict(struct dw_http *http, uint64_t ms);
/* Closes the one that has lingered longest; false: none does. */
bool dw_http_evict_leaving(struct dw_http *http);

/* No more requests are taken: each connection is closed with the answer that is due, or at once. */
void dw_http_drain(struct dw_http *http);
bool dw_http_draining(const struct dw_http *http);
/* The one that its config names: for work beside it (uv_queue_work), timers, links. */
struct uv_loop_s *dw_http_loop(const struct dw_http *http);

#endif
