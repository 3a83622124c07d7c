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
#include "base/wheel.h"
#include "door/address.h"
#include "http/reader.h"

struct edge;
struct http;
struct request;
struct MHD_Connection;

struct http_client {
	struct http_client *prev, *next; /* where nobody works for it: with the others, longest first, */
	uint64_t since;                  /* since then */
	struct http *http;
	struct request *request; /* that is not answered yet; or NULL */
	struct address address;
	struct reader reader;
	struct dw_wheel_timer timer;
	int fd;
	bool finished; /* it will send no more */
	bool ended;    /* it is gone, or is not read any more */
	bool idle;     /* nobody works for it */
	bool refused;  /* its request was */
	bool leaves;   /* libmicrohttpd is to let it go: the timer is for that */
	bool head;     /* the timer is for its head */
};

int http_new(struct http **out, struct edge *edge, struct dw_fault *fault);
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

/* libmicrohttpd has something to do that no socket tells it. */
void http_kick(struct http *http);
struct http_client *http_client_of(struct MHD_Connection *connection);
/* Its request was refused, and only the rest of its body is waited for. */
void http_client_refused(struct http_client *client);
/* Its answer is being written. */
void http_client_writes(struct http_client *client);
/* Its request has ended; goes_on: well, and more may come. */
void http_client_answered(struct http_client *client, struct MHD_Connection *connection, bool goes_on);
/* All has been said to it: it is not read any more, and its connection ends when it ends it, or soon. */
void http_client_leave(struct http_client *client, struct MHD_Connection *connection);
/* Ends it now. */
void http_client_cut(struct http_client *client);

#endif
