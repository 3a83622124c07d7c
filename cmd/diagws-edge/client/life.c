/* Connections: who they are, and whether they are let in. See conn.h.
 *
 * Failure modes: a first token that does not let in (1008, after DW_HTTP_DENY_MS where it is about the room); too many
 * connections of a user; a fresh token that is not good, or another user's, changes nothing, and the client is told.
 * Invariants: whoever was counted, with an address or a user, is not any more when the connection is gone; a connection
 * has one check under way, and conn->request holds what it is about.
 */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "client/subscription.h"
#include "door/server.h"
#include "edge.h"

#define LAST_YEAR_S UINT64_C(253402300799) /* 9999-12-31T23:59:59Z: RFC 3339 has no later time */

static struct conn *
conn_of(struct dw_hash_link *link)
{
	return (struct conn *)(void *)((char *)link - offsetof(struct conn, link));
}

static uint32_t
hash_of(const struct dw_hash_link *link)
{
	return (uint32_t)conn_of((struct dw_hash_link *)(uintptr_t)link)->session;
}

struct conn *
conn_find(const struct edge *edge, uint64_t session)
{
	struct dw_hash_link *link = dw_hash_chain(&edge->sessions, (uint32_t)session);

	while (link != NULL && conn_of(link)->session != session)
		link = link->next;
	return link != NULL ? conn_of(link) : NULL;
}

void
conn_each(struct edge *edge, void (*act)(struct conn *conn))
{
	struct conn *conn, *next;

	DL_FOREACH_SAFE(edge->conns, conn, next)
	{
		act(conn);
	}
}

/* The hub knows it by that from now on: 64 random bits, so that it is unique for ever. */
static bool
add_session(struct conn *conn)
{
	struct dw_hash *sessions = &conn->edge->sessions;
	uint64_t session;

	if (!dw_hash_reserve(sessions, hash_of))
		return false;
	do {
		session = dw_random();
	} while (session == 0 || conn_find(conn->edge, session) != NULL);
	conn->session = session;
	dw_hash_add(sessions, &conn->link, hash_of(&conn->link));
	DL_APPEND(conn->edge->conns, conn);
	return true;
}

static void
forget_request(struct edge *edge, struct conn_request **request_p)
{
	if (*request_p == NULL)
		return;
	if ((*request_p)->prev != NULL)
		DL_DELETE(edge->requests, *request_p);
	dw_http_check_forget(&(*request_p)->check);
	dw_http_limits_leave(&edge->limits, &(*request_p)->site);
	dw_claims_clear(&(*request_p)->claims);
	free(*request_p);
	*request_p = NULL;
}

struct conn *
conn_new(struct edge *edge, struct lws *wsi, struct conn_request *request, void (*fire)(struct dw_wheel_timer *timer))
{
	const char *device = request->device[0] != '\0' ? request->device : request->claims.device;
	const size_t size = request->check != NULL || request->awaits ? sizeof(request->device) : strlen(device) + 1;
	struct conn *conn = calloc(1, sizeof(*conn) + size);

	if (conn == NULL) {
		forget_request(edge, &request);
		return NULL;
	}
	conn->edge = edge;
	conn->wsi = wsi;
	conn->fd = server_socket(wsi);
	conn->address = request->address;
	conn->request = request;
	request->conn = conn;
	DL_APPEND(edge->requests, request);
	conn->derived = request->device[0] == '\0';
	conn->sure = request->sure;
	conn->heartbeat = request->heartbeat;
	memcpy(conn->device, device, strlen(device) + 1);
	conn->timer.fire = fire;
	conn->first.conn = conn;
	conn->first.since = conn->heard_at = conn->pinged_at = dw_mono_ms();
	edge->counts.connections++;
	return conn;
}

/* What its token says counts from now on: its end, and the rooms that it names. */
static void
use_claims(struct conn *conn)
{
	struct dw_claims *claims = &conn->request->claims;
	const struct dw_buf before = conn->diagnoses;

	conn->diagnoses = claims->diagnoses;
	claims->diagnoses = before; /* it goes with the request */
	conn->service = (claims->scope & DW_SCOPE_PUBLISH) != 0;
	conn->expires = claims->expires + (uint64_t)conn->edge->config.leeway_ms / 1000;
}

/* Counts it as one of its user's, unless that has too many. */
static bool
within_limits(struct conn *conn)
{
	const uint64_t most = (uint64_t)conn->edge->config.max_user_connections;

	if ((most == 0 || conn->user->connections < most) &&
		dw_http_limits_user(&conn->edge->limits, DW_HTTP_USER_HANDSHAKES, conn->user->name) == DW_OK) {
		conn->user->connections++;
		return true;
	}
	dw_http_guest_release(&conn->edge->limits.users, conn->user);
	conn->user = NULL;
	return false;
}

/* A client is told what is wrong with its token, or that it comes too often; of our own trouble only to try again. */
static bool
is_told(int err)
{
	return err == DW_E_TOKEN_MISSING || err == DW_E_TOKEN || err == DW_E_TOKEN_EXPIRED || err == DW_E_RATE;
}

void
conn_start(struct conn *conn)
{
	const struct conn_request *request = conn->request;
	bool in;

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
	if (request->err != DW_OK) {
		const bool told = is_told(request->err);

		conn_close(conn, told ? 1008 : 1013, told ? dw_err_text(request->err) : "try again later");
		return;
	}
	if (request->room[0] == '\0') {
		conn_deny(conn);
		return;
	}
	if (request->wrong != NULL) {
		conn_error(conn, request->room, "invalid_field", NULL, request->wrong);
		conn_close(conn, 1008, "invalid_field");
		return;
	}
	conn->user = dw_http_guest_get(&conn->edge->limits.users, dw_str(request->claims.user));
	if (conn->user != NULL && !within_limits(conn)) {
		conn_close(conn, 1008, dw_err_text(DW_E_RATE));
		return;
	}
	use_claims(conn);
	in = conn->user != NULL && add_session(conn) &&
		 sub_open(conn, request->room, conn_claims(conn, dw_str(request->room)), &request->from) != NULL;
	forget_request(conn->edge, &conn->request);
	if (in)
		conn_wake(conn, dw_mono_ms());
	else
		conn_close(conn, 1013, "try again later");
}

/* The check of its first token has ended, and the request says how. */
static void
admit_checked(struct conn *conn)
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

static void
tell_renewed(struct conn *conn, uint64_t expires)
{
	char at[DW_TIME_SIZE], data[64];

	dw_time_text((expires < LAST_YEAR_S ? expires : LAST_YEAR_S) * 1000, at);
	(void)snprintf(data, sizeof(data), "{\"expires\":\"%s\"}", at);
	conn_tell(conn, "auth", NULL, data);
}

/* The check of a fresh token says this. */
static void
end_renewal(struct conn *conn)
{
	const struct dw_claims *claims = &conn->request->claims;
	int err = conn->request->err;

	if (err == DW_OK && strcmp(claims->user, conn->user->name) == 0)
		err = dw_http_limits_user(&conn->edge->limits, DW_HTTP_USER_HANDSHAKES, claims->user);
	if (conn->state != CONN_OPEN) {
		; /* it is being closed */
	} else if (is_told(err)) {
		conn_error(conn, NULL, dw_err_code(err), "token", dw_err_text(err));
	} else if (err == DW_OK && strcmp(claims->user, conn->user->name) != 0) {
		conn_error(conn, NULL, dw_err_code(DW_E_DENIED), "token", "the token is another user's");
	} else if (err != DW_OK) {
		conn_error(conn, NULL, "unavailable", NULL, "try again later");
	} else {
		use_claims(conn);
		tell_renewed(conn, claims->expires);
		sub_renew_all(conn);
		conn_wake(conn, dw_mono_ms());
	}
	forget_request(conn->edge, &conn->request);
}

/* A connection with a user has started. */
static void
end_check(struct conn *conn)
{
	if (conn->user != NULL)
		end_renewal(conn);
	else
		admit_checked(conn);
}

void
auth_checked(void *user, int err, struct dw_claims *claims)
{
	struct conn_request *request = user;

	request->claims = *claims;
	*claims = (struct dw_claims) { 0 };
	request->err = err;
	end_check(request->conn);
}

void
auth_take(struct conn *conn, struct dw_str token)
{
	struct conn_request *request = conn->request;

	if (conn->state == CONN_AWAITING) {
		request->awaits = false;
		conn->state = CONN_CHECKING;
	} else if (request != NULL) {
		conn_error(conn, NULL, "auth_pending", "token", "the token before this one is being checked");
		return;
	} else {
		request = calloc(1, sizeof(*request));
		if (request == NULL) {
			conn_error(conn, NULL, "unavailable", NULL, "try again later");
			return;
		}
		request->conn = conn;
		conn->request = request;
		request->address = conn->address;
	}
	request->err = dw_http_check_begin(
		&conn->edge->checks, &request->address, token, &request->claims, &request->check, auth_checked, request);
	if (request->err != DW_E_AGAIN)
		end_check(conn);
	else if (conn->state == CONN_CHECKING)
		server_hold(conn->wsi, true);
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
	if (conn->session != 0) {
		dw_hash_remove(&conn->edge->sessions, &conn->link, hash_of(&conn->link));
		DL_DELETE(conn->edge->conns, conn);
	}
	if (conn->user != NULL)
		conn->user->connections--;
	dw_http_guest_release(&conn->edge->limits.users, conn->user);
	forget_request(conn->edge, &conn->request);
	dw_buf_clear(&conn->diagnoses);
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

		if (conn->state != CONN_CLOSING)
			continue;
		forget_request(conn->edge, &conn->request);
		server_cut(conn->wsi);
		return true;
	}
	return false;
}
