/* The network side of an edge: libwebsockets on a libuv loop, our own listening sockets.
 *
 * Only server.c, ws.c and http.c know libwebsockets; the rest of the edge sees these calls.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>

#include "diagws/buf.h"
#include "diagws/err.h"

struct edge;
struct lws;
struct server;
struct uv_loop_s;

/* Binds every --listen address and serves on the loop. DW_E_CONFIG (address, TLS files), DW_E_IN_USE,
 * DW_E_CREATE, DW_E_PERMISSION. */
int server_new(struct server **out, struct edge *edge, struct uv_loop_s *loop, struct dw_fault *fault);
/* No new connections from now on. */
void server_stop_listening(struct server *server);
/* Ends all connections. The loop must run until its handles are closed. */
void server_destroy(struct server **server_p);

enum server_outcome { SERVER_DONE, SERVER_STALLED, SERVER_DEAD };

/* The socket that server_write may write to itself; -1: only libwebsockets may, for it encrypts. */
int server_socket(struct lws *wsi);
/* Writes ready frames to an established WebSocket, or whatever bytes; fd is its server_socket. STALLED: taken, but the
 * kernel is full; conn_writable is called when it takes again, and nothing should be written until then. */
enum server_outcome server_write(struct lws *wsi, int fd, struct dw_str bytes);
bool server_stalled(struct lws *wsi);
/* Changes with each byte that the other end's kernel takes. */
uint64_t server_taken(struct lws *wsi);
/* Reads nothing of it, or goes on. */
void server_hold(struct lws *wsi, bool hold);
/* Closes with the code and reason of its conn, as soon as the loop is reached. */
void server_close(struct lws *wsi);
/* Ends its connection now; drop: with what the kernel holds for it. */
void server_cut(struct lws *wsi, bool drop);

#endif
