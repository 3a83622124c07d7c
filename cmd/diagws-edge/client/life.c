/* Connections: who they are, and whether they are let in. See life.h.
 *
 * Failure modes: a token that does not let in (1008, after DENY_MS where it is about the room), too many connections of
 * a user. Invariant: whoever was counted, with an address or a user, is not any more when the connection is gone.
 */
#include "life.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "client/conn.h"
#include "client/noise.h"
#include "client/subscription.h"
#include "client/subscriptions.h"
#include "door/check.h"
#include "door/server.h"
#include "edge.h"

static void
free_request(struct edge *edge, struct conn_request **request_p)
{
	if (*request_p == NULL)
		return;
	if ((*request_p)->prev != NULL)
		DL_DELETE(edge->requests, *request_p);
	check_forget(&(*request_p)->check);
	limits_leave(&edge->limits, &(*request_p)->site);
	dw_claims_clear(&(*request_p)->claims);
	free(*request_p);
	*request_p = NULL;
}

void
conn_forget_request(struct conn *conn)
{
	free_request(conn->edge, &conn->request);
}

struct conn *
conn_new(struct edge *edge, struct lws *wsi, struct conn_request *request, conn_fire *fire)
{
	const char *device = request->device[0] != '\0' ? request->device : request->claims.device;
	const size_t size = request->check != NULL || request->awaits ? sizeof(request->device) : strlen(device) + 1;
	struct conn *conn = calloc(1, sizeof(*conn) + size);

	if (conn == NULL) {
		free_request(edge, &request);
		return NULL;
	}
	conn->edge = edge;
	conn->wsi = wsi;
	conn->fd = server_socket(wsi);
	conn->request = request;
	request->conn = conn;
	DL_APPEND(edge->requests, request);
	conn->derived = request->device[0] == '\0';
	conn->sure = request->sure;
	conn->heartbeat = request->heartbeat;
	memcpy(conn->device, device, strlen(device) + 1);
	conn->timer.fire = fire;
	conn->first.conn = conn;
	conn->first.since = conn->heard_at = conn->pinged_at = conn->budget_at = dw_mono_ms();
	conn->budget = CLIENT_BUDGET;
	edge->counts.connections++;
	return conn;
}

bool
conn_claim(struct conn *conn, const struct dw_claims *claims)
{
	const struct dw_buf *diagnoses = &claims->diagnoses;
	char *copy = diagnoses->len > 0 ? malloc(diagnoses->len) : NULL;

	if (copy == NULL && diagnoses->len > 0)
		return false;
	if (copy != NULL)
		memcpy(copy, diagnoses->data, diagnoses->len);
	free((char *)(uintptr_t)conn->diagnoses.p);
	conn->diagnoses = (struct dw_str) { copy, diagnoses->len };
	conn->service = (claims->scope & DW_SCOPE_PUBLISH) != 0;
	conn->expires = claims->expires + (uint64_t)conn->edge->config.leeway_ms / 1000;
	return true;
}

/* What is kept of the request. */
static bool
enter(struct conn *conn, const struct conn_request *request)
{
	if (!conn_claim(conn, &request->claims) || !sessions_add(&conn->edge->sessions, conn))
		return false;
	return sub_open(conn, request->room, conn_claims(conn, dw_str(request->room)), &request->from) != NULL;
}

/* Counts it as one of its user's, unless that has too many. */
static bool
within_limits(struct conn *conn)
{
	const uint64_t most = (uint64_t)conn->edge->config.max_user_connections;

	if ((most == 0 || conn->user->connections < most) &&
		limits_user(&conn->edge->limits, USER_HANDSHAKES, conn->user->name) == DW_OK) {
		conn->user->connections++;
		return true;
	}
	guests_release(&conn->edge->users, conn->user);
	conn->user = NULL;
	return false;
}

void
conn_start(struct conn *conn)
{
	const struct conn_request *request = conn->request;
	bool in = false;

	if (conn->edge->draining) {
		conn_close(conn, 1012, "service restart");
		return;
	}
	if (request->awaits) {
		conn->state = CONN_AWAITING;
		server_flush(conn->fd);
		dw_wheel_set(&conn->edge->wheel, &conn->timer, conn->first.since + AUTH_MS);
		return;
	}
	if (request->check != NULL) {
		conn->state = CONN_CHECKING;
		server_hold(conn->wsi, true);
		return;
	}
	if (request->error != NULL) {
		conn_error(conn, request->room, request->error, NULL, request->detail);
		conn_close(conn, 1008, request->error);
		return;
	}
	if (request->refuse != NULL && !request->deny) {
		conn_close(conn, request->code, request->refuse);
		return;
	}
	if (request->deny) {
		conn_deny(conn);
		return;
	}
	conn->user = guests_get(&conn->edge->users, dw_str(request->claims.user));
	if (conn->user != NULL && !within_limits(conn)) {
		conn_close(conn, 1008, dw_err_text(DW_E_RATE));
		return;
	}
	if (conn->user != NULL)
		in = enter(conn, request);
	conn_forget_request(conn);
	if (in)
		conn_wake(conn, dw_mono_ms());
	else
		conn_close(conn, 1013, "try again later");
}

void
conn_checked(struct conn *conn)
{
	/* Not established yet, or closing. */
	if (conn->state != CONN_CHECKING)
		return;
	conn->state = CONN_OPEN;
	conn->first.since = conn->heard_at = conn->pinged_at = dw_mono_ms();
	if (conn->derived)
		memcpy(conn->device, conn->request->claims.device, sizeof(conn->request->claims.device));
	server_hold(conn->wsi, false);
	conn_start(conn);
}

void
conn_destroy(struct conn **conn_p)
{
	struct conn *conn = *conn_p;
	struct subscription *sub;

	if (conn == NULL)
		return;
	*conn_p = NULL;
	noise_end(conn);
	dw_wheel_cancel(&conn->timer);
	while ((sub = sub_first(conn)) != NULL)
		sub_end(sub);
	if (conn->session != 0)
		sessions_remove(&conn->edge->sessions, conn);
	if (conn->user != NULL)
		conn->user->connections--;
	guests_release(&conn->edge->users, conn->user);
	conn_forget_request(conn);
	free((char *)(uintptr_t)conn->diagnoses.p);
	conn_drop_incoming(conn);
	free(conn->close_reason);
	conn->edge->counts.connections--;
	free(conn);
}

bool
conn_evict(struct edge *edge)
{
	struct conn_request *request;

	DL_FOREACH(edge->requests, request)
	{
		struct conn *conn = request->conn;

		if (conn == NULL || conn->state != CONN_CLOSING)
			continue;
		conn_forget_request(conn);
		server_cut(conn->wsi);
		return true;
	}
	return false;
}
