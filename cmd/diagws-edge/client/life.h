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

typedef void conn_fire(struct dw_wheel_timer *timer);

/* Takes over *request (also on failure); fire: its timer's. NULL: no memory. */
struct conn *conn_new(struct edge *edge, struct lws *wsi, struct conn_request *request, conn_fire *fire);
/* Lets it in, or begins to close it. */
void conn_start(struct conn *conn);
void conn_destroy(struct conn **conn_p);
/* Cuts the one that was refused longest ago and has not ended. false: none. */
bool conn_evict(struct edge *edge);

/* What the check of a first token means for its request. */
void auth_judge(struct conn_request *request, int err);
/* The same as a check_done, whose user is the request. */
check_done auth_checked;
/* The client has sent a token: its first, while the connection waits for that (CONN_AWAITING), or a fresh one. */
void auth_take(struct conn *conn, struct dw_str token);

#endif
