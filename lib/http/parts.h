/* What the files of lib/http share that nobody else needs: libmicrohttpd in the loop (daemon.c), the connections that
 * it has (client.c), and their requests (life.c). See http.h.
 */
#ifndef DIAGWS_HTTP_PARTS_H
#define DIAGWS_HTTP_PARTS_H

#include <microhttpd.h>
#include <uv.h>

#include "base/wheel.h"
#include "http/http.h"
#include "http/reader.h"

struct dw_http_request;

struct dw_http {
	struct dw_http_config config;
	struct dw_http_lingering *linger;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_idle_t idle;                 /* while there is something to do that no socket tells: it calls */
	uv_idle_cb run;                 /* this */
	struct dw_http_client *clients; /* the idle ones */
	uint64_t count;                 /* of all clients, */
	uint64_t requests;              /* of those unanswered now, */
	uint64_t bytes;                 /* and of bodies and answers under way */
	bool draining;
};

struct dw_http_client {
	struct dw_http_client *prev, *next; /* where nobody works for it: with the others, longest first, */
	uint64_t since;                     /* since then */
	struct dw_http *http;
	struct dw_http_request *request; /* that is not answered yet; or NULL */
	struct dw_http_address address;
	struct dw_http_reader reader;
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
struct dw_http_client *dw_http_client_new(
	struct dw_http *http, int fd, const struct dw_http_address *address, struct dw_str taken);
/* libmicrohttpd is about to close its descriptor. */
void dw_http_client_end(struct dw_http_client *client);
struct dw_http_client *dw_http_client_at(int fd); /* NULL: none */
/* libmicrohttpd has something to do that no socket tells it. */
void dw_http_kick(struct dw_http *http);
struct dw_http_client *dw_http_client_of(struct MHD_Connection *connection);
/* Its request was refused, and only the rest of its body is waited for; or no longer: its answer is being written. */
void dw_http_client_refused(struct dw_http_client *client, bool refused);
/* Its request has ended; goes_on: well, and more may come. */
void dw_http_client_answered(struct dw_http_client *client, struct MHD_Connection *connection, bool goes_on);
/* All has been said to it: it is not read any more, and its connection ends when it ends it, or soon. */
void dw_http_client_leave(struct dw_http_client *client, struct MHD_Connection *connection);
/* It is not waited for any more, and ends. */
void dw_http_client_cut(struct dw_http_client *client);

/* libmicrohttpd's callbacks. */
enum MHD_Result dw_http_handle(void *user, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *bytes, size_t *n, void **context);
void dw_http_completed(
	void *user, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code);
/* Nothing more is read of it; and dw_http_handle is called again, in this turn, where it was suspended. */
void dw_http_suspend(struct dw_http_request *request);
void dw_http_resume(struct dw_http_request *request);
/* Its refusal waits for the end of its body no longer. */
void dw_http_hurry(struct dw_http_request *request);
/* Lets a request go on by its head (DW_HTTP_IN_BODY), or answers it; while its token is being checked
 * (DW_HTTP_IN_CHECKING) neither is known. See admit.c. */
void dw_http_admit(struct dw_http_request *request, const char *method, const char *path);

#endif
