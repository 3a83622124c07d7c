/* The WebSockets of an edge. Only server.c and client/ws.c know libwebsockets; the rest of the edge sees these calls.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dw_http_address;
struct conn;
struct edge;
struct dw_http_head;
struct lws;
struct server;

/* What libwebsockets reports of a client, which is whatever `filter` made of it. What is returned is its own: 0 goes
 * on.
 */
struct server_events {
	/* Before the upgrade, by TLS: whether it is a good one. Not 0: answered with an HTTP error. */
	int (*confirm)(struct edge *edge, struct lws *wsi);
	/* By TLS: no upgrade at all. */
	int (*refuse_http)(struct lws *wsi);
	/* The headers are there. */
	int (*filter)(struct edge *edge, struct lws *wsi, struct conn **conn);
	void (*start)(struct conn *conn);
	int (*receive)(struct lws *wsi, struct conn *conn, const void *bytes, size_t n);
	int (*pong)(struct conn *conn, const void *payload, size_t n);
	int (*peer_closes)(struct conn *conn, const void *payload, size_t n);
	/* libwebsockets is about to end the connection, for whatever reason. */
	void (*dropped)(struct lws *wsi, struct conn *conn);
	/* The kernel takes again. */
	void (*writable)(struct conn *conn);
	/* server_close was called. */
	int (*end)(struct lws *wsi, struct conn *conn);
	/* fd, its socket, will be closed next. */
	void (*closed)(const struct conn *conn, int fd);
	void (*destroy)(struct conn **conn);
};

/* DW_E_CONFIG: TLS files. */
int server_new(struct server **out, struct edge *edge, const struct server_events *told, struct dw_fault *fault);
/* Ends all connections. The loop must run until its handles are closed. */
void server_destroy(struct server **server_p);

/* A connection that asks for a WebSocket, with a head that upgrade_check has passed. The descriptor is libwebsockets'.
 */
bool server_adopt(
	struct server *server, int fd, const struct dw_http_address *address, const struct dw_http_head *head);
/* What the client of a connection that is being adopted has sent; NULL: libwebsockets has read it itself, by TLS. */
const struct dw_http_head *server_head(struct lws *wsi);
/* One that begins with TLS. */
void server_adopt_tls(struct server *server, int fd);
/* Who the client of a connection that is not accepted yet is: what a proxy says of it no socket knows. */
void server_address(struct lws *wsi, struct dw_http_address *out);
/* Reads the TLS files again, for new connections. */
void server_reload_tls(struct server *server);

enum {
	LIMIT_HANDSHAKES = 1024, /* by TLS, under way at a time */
	CUT_STALLED_MS = 3000,   /* who takes nothing of what was sent is cut after so long */
};

enum server_outcome { SERVER_DONE, SERVER_STALLED, SERVER_DEAD };

/* The socket that server_write may write to itself; -1: only libwebsockets may, for it encrypts. */
int server_socket(struct lws *wsi);
/* Writes ready frames to an established WebSocket, or whatever bytes; fd is its server_socket. STALLED: taken, but the
 * kernel is full; `writable` is told when it takes again, and nothing should be written until then. */
enum server_outcome server_write(struct lws *wsi, int fd, struct dw_str bytes);
/* What was kept since server_adopt goes out; fd is its server_socket. */
void server_flush(int fd);
bool server_stalled(struct lws *wsi);
/* Changes with each byte that the other end's kernel takes. */
uint64_t server_taken(struct lws *wsi);
/* Whether there is some that it has not taken. */
bool server_owes(struct lws *wsi);
/* Reads nothing of it, or goes on. */
void server_hold(struct lws *wsi, bool hold);
/* Closes with the code and reason of its conn, as soon as the loop is reached. */
void server_close(struct lws *wsi);
/* Whether the client, or the edge, has ended its connection. */
bool server_ended(struct lws *wsi);
/* Nothing is written any more: what is half sent is left to the kernel, and the end of it. */
void server_finish(struct lws *wsi);
/* Ends its connection now, without what the client has not taken. */
void server_cut(struct lws *wsi);

#endif
