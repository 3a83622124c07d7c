/* The connections that libmicrohttpd has, as they are read, waited for and ended.
 *
 * Between requests one is idle: for so long, and while there is room. Where nobody works for it it is in a list, those
 * first that have been so for longest.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/wheel.h"
#include "door/address.h"
#include "http/reader.h"

struct edge;
struct request;
struct route;
struct MHD_Connection;
struct MHD_Daemon;

struct http {
	struct edge *edge;
	const struct route *routes;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_check_t check;
	uv_idle_t idle;              /* while there is something to do: the loop must not wait then */
	struct http_client *clients; /* the idle ones */
	size_t count;
	int handles;
	bool due;
};

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

/* Its reads are the reader's from now on; taken: what has been read of it. NULL: no memory. */
struct http_client *http_client_new(struct http *http, int fd, const struct address *address, struct dw_str taken);
/* libmicrohttpd is about to close its descriptor. */
void http_client_end(struct http_client *client);
struct http_client *http_client_at(int fd); /* NULL: none */
/* libmicrohttpd has something to do that no socket tells it. */
void http_kick(struct http *http);
struct http_client *http_client_of(struct MHD_Connection *connection);
/* Its request was refused, and only the rest of its body is waited for; or no longer: its answer is being written. */
void http_client_refused(struct http_client *client, bool refused);
/* Its request has ended; goes_on: well, and more may come. */
void http_client_answered(struct http_client *client, struct MHD_Connection *connection, bool goes_on);
/* All has been said to it: it is not read any more, and its connection ends when it ends it, or soon. */
void http_client_leave(struct http_client *client, struct MHD_Connection *connection);
/* It is not waited for any more, and ends. */
void http_client_dismiss(struct http_client *client);
/* Ends it now. */
void http_client_cut(struct http_client *client);

#endif
