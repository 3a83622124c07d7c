/* libmicrohttpd in the edge's loop (daemon.c), the connections that it has (client.c), and their requests (http.c).
 *
 * Life of a connection: http_take (from the gate) → requests one after the other → closed. While nobody works for it it
 * is in a list, the longest idle first: until its time is over, or there is no room.
 *
 * Life of a request: http_handle with its head (what can be refused without the body is; while its token is checked no
 * more is read) → its body → its route takes it → http_answer, now or later → http_completed. The body has a bound and
 * a deadline, and so has taking the answer. A body that is refused is read and thrown away for a while, for many
 * clients read nothing before they have written all.
 */
#ifndef HTTP_H
#define HTTP_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/wheel.h"
#include "door/address.h"
#include "http/reader.h"

struct edge;
struct request;
struct route;

struct http {
	struct edge *edge;
	const struct route *routes;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_idle_t idle;              /* while there is something to do that no socket tells: it calls */
	uv_idle_cb run;              /* this */
	struct http_client *clients; /* the idle ones */
	size_t count;                /* of all clients */
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
void http_client_cut(struct http_client *client);

/* For main, once. Starts libmicrohttpd for these calls. DW_E_CONFIG. */
int http_new(struct http **out, struct edge *edge, const struct route *routes, struct dw_fault *fault);
/* Cuts all connections. The loop must run until its handles are closed. */
void http_destroy(struct http **http_p);

/* A connection that wants HTTP; taken was read of it already. true: the descriptor is ours. */
bool http_take(struct http *http, int fd, const struct address *address, struct dw_str taken);
/* Closes the one that has been longest between two requests, in the midst of a head, or refused, where that is so long.
 * false: none. */
bool http_evict(struct http *http, uint64_t ms);
/* Closes all that are between two requests, or in the midst of a head: no more requests are taken. */
void http_close_idle(struct http *http);

/* libmicrohttpd's callbacks. */
enum MHD_Result http_handle(void *user, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *bytes, size_t *n, void **context);
void http_completed(
	void *user, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code);
/* Its refusal waits for the end of its body no longer. */
void http_hurry(struct request *request);
/* Lets a request go on by its head (REQUEST_BODY), or answers it; while its token is being checked (REQUEST_CHECKING)
 * neither is known. See admit.c. */
void admit_head(struct request *request, const char *method, const char *path);

#endif
