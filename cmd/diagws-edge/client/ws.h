/* WebSocket upgrades and frames, as libwebsockets reports them. Return values are its own: 0 goes on.
 */
#ifndef WS_H
#define WS_H

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct edge;
struct lws;

/* Before the upgrade, by TLS: whether it is a good one. Not 0: answered with an HTTP error. */
int ws_confirm(struct edge *edge, struct lws *wsi);
/* By TLS: no upgrade at all. */
int ws_refuse_http(struct lws *wsi);
/* Reads what the client asked for while its headers are there. */
int ws_filter(struct edge *edge, struct lws *wsi, struct conn **conn);
int ws_pong(struct conn *conn, const void *payload, size_t n);
int ws_receive(struct lws *wsi, struct conn *conn, const void *bytes, size_t n);
/* The client's Close. */
int ws_peer_closes(struct conn *conn, const void *payload, size_t n);
/* libwebsockets is about to end the connection, for whatever reason. */
void ws_dropped(struct lws *wsi, struct conn *conn);
/* The timer of server_close: ends the connection with its code. */
int ws_end(struct lws *wsi, struct conn *conn);
/* fd, its socket, will be closed next. */
void ws_closed(const struct conn *conn, int fd);

#endif
