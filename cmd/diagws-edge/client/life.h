/* The life of a connection: conn_new (the upgrade was read) → conn_start (established: its first room is asked for, or
 * the refusal is due; or its token is to come, or being checked, and it starts when that is over) → conn_destroy
 * (closed: it leaves its rooms).
 *
 * The first token comes with the upgrade (ws.c) or, where that asked for auth=message, in the client's first message. A
 * later message with a token renews it: the same user's, with another end and other rooms in its claim.
 */
#ifndef LIFE_H
#define LIFE_H

#include <stdbool.h>

#include "base/wheel.h"
#include "door/check.h"

struct conn;
struct conn_request;
struct edge;
struct lws;

/* Takes over *request (also on failure); fire: its timer's. NULL: no memory. */
struct conn *conn_new(
	struct edge *edge, struct lws *wsi, struct conn_request *request, void (*fire)(struct dw_wheel_timer *timer));
/* Lets it in, or begins to close it. */
void conn_start(struct conn *conn);
void conn_destroy(struct conn **conn_p);
/* Of those that were let in: the one whose session this is (NULL: none), and all. Meanwhile none may come, and no other
 * go. */
struct conn *conn_find(const struct edge *edge, uint64_t session);
void conn_each(struct edge *edge, void (*act)(struct conn *conn));
/* Cuts the one that was refused longest ago and has not ended. false: none. */
bool conn_evict(struct edge *edge);

/* The check of a token has ended; its user is the request. */
check_done auth_checked;
/* The client has sent a token: its first, while the connection waits for that (CONN_AWAITING), or a fresh one. */
void auth_take(struct conn *conn, struct dw_str token);

#endif
