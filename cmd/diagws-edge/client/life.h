/* The life of a connection: conn_new (the upgrade was read) → conn_start (established: its first room is asked for, or
 * the refusal is due; or, while its token is to come or being checked, neither before conn_checked) → conn_destroy
 * (closed: it leaves its rooms).
 */
#ifndef LIFE_H
#define LIFE_H

#include <stdbool.h>

#include "base/wheel.h"
#include "token/auth.h"

struct conn;
struct conn_request;
struct edge;
struct lws;

typedef void conn_fire(struct dw_wheel_timer *timer);

/* Takes over *request (also on failure); fire: its timer's. NULL: no memory. */
struct conn *conn_new(struct edge *edge, struct lws *wsi, struct conn_request *request, conn_fire *fire);
/* Lets it in, or begins to close it. One whose token is being checked starts with conn_checked. */
void conn_start(struct conn *conn);
/* Its request's check has ended, and the request says how. */
void conn_checked(struct conn *conn);
void conn_forget_request(struct conn *conn);
/* What its token says counts from now on: its end, and the rooms that it names. false: no memory. */
bool conn_claim(struct conn *conn, const struct dw_claims *claims);
void conn_destroy(struct conn **conn_p);
/* Cuts the one that was refused longest ago and has not ended. false: none. */
bool conn_evict(struct edge *edge);

#endif
