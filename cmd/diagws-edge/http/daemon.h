/* libmicrohttpd in the edge's loop, and the connections that it has.
 *
 * Life of a connection: http_take (from the gate) → requests one after the other (http.c) → closed. Between requests it
 * is idle: for so long, and while there is room.
 */
#ifndef HTTP_DAEMON_H
#define HTTP_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "door/address.h"

struct edge;
struct http;
struct route;

int http_new(struct http **out, struct edge *edge, const struct route *routes, struct dw_fault *fault);
/* Cuts all connections. The loop must run until its handles are closed. */
void http_destroy(struct http **http_p);

/* A connection that wants HTTP; taken was read of it already. true: the descriptor is ours. */
bool http_take(struct http *http, int fd, const struct address *address, struct dw_str taken);
size_t http_count(const struct http *http);
/* Closes the one that has been longest between two requests, in the midst of a head, or refused, where that is so long.
 * false: none. */
bool http_evict(struct http *http, uint64_t ms);
/* Closes all that are between two requests, or in the midst of a head: no more requests are taken. */
void http_close_idle(struct http *http);

#endif
