/* Tokens of a WebSocket. Its own file because ws.c knows what came with an upgrade, and life.c what a connection is;
 * who may have one, and for how long, is decided here.
 *
 * Happy path: first token → auth_judge → conn_checked, which starts the connection; fresh token → it is the same user's
 * → another end, another claim, and the hub is asked again for every room (sub_renew_all). Failure modes: a first
 * token that does not let in ends the connection; a fresh one that is not good changes nothing, and the client is told.
 * Invariant: a connection has one check under way, and conn->request holds what it is about.
 */
#include "auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/conn.h"
#include "client/life.h"
#include "client/subscription.h"
#include "door/server.h"
#include "edge.h"

#define LAST_YEAR_S UINT64_C(253402300799) /* 9999-12-31T23:59:59Z: RFC 3339 has no later time */

void
auth_judge(struct conn_request *request, int err)
{
	request->deny = err == DW_OK && request->room[0] == '\0';
	request->limited = err == DW_E_RATE;
	request->code = 1008;
	if (err == DW_E_TOKEN_MISSING || err == DW_E_TOKEN || err == DW_E_TOKEN_EXPIRED || err == DW_E_RATE) {
		request->refuse = dw_err_text(err);
	} else if (err != DW_OK) {
		request->code = 1013;
		request->refuse = "try again later";
	} else if (request->deny) {
		request->refuse = dw_err_text(DW_E_DENIED);
	}
	if (request->refuse != NULL)
		request->error = NULL;
}

void
auth_checked(void *user, int err, struct dw_claims *claims)
{
	struct conn_request *request = user;

	request->claims = *claims;
	dw_claims_init(claims);
	auth_judge(request, err);
	conn_checked(request->conn);
}

static void
take_first(struct conn *conn, struct dw_str token)
{
	struct conn_request *request = conn->request;
	struct address address;
	int err;

	request->awaits = false;
	conn->state = CONN_CHECKING;
	server_address(conn->wsi, &address);
	err = check_begin(conn->edge, &address, token, &request->claims, &request->check, auth_checked, request);
	if (err == DW_E_AGAIN) {
		server_hold(conn->wsi, true);
		return;
	}
	auth_judge(request, err);
	conn_checked(conn);
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
end_renewal(struct conn *conn, int err)
{
	const struct dw_claims *claims = &conn->request->claims;

	if (err == DW_OK && strcmp(claims->user, conn->user->name) == 0)
		err = limits_user(&conn->edge->limits, USER_HANDSHAKES, claims->user);
	if (conn->state != CONN_OPEN) {
		; /* it is being closed */
	} else if (err == DW_E_TOKEN_MISSING || err == DW_E_TOKEN || err == DW_E_TOKEN_EXPIRED || err == DW_E_RATE) {
		conn_error(conn, NULL, dw_err_code(err), "token", dw_err_text(err));
	} else if (err == DW_OK && strcmp(claims->user, conn->user->name) != 0) {
		conn_error(conn, NULL, dw_err_code(DW_E_DENIED), "token", "the token is another user's");
	} else if (err != DW_OK || !conn_claim(conn, claims)) {
		conn_error(conn, NULL, "unavailable", NULL, "try again later");
	} else {
		tell_renewed(conn, claims->expires);
		sub_renew_all(conn);
		conn_wake(conn, dw_mono_ms());
	}
	conn_forget_request(conn);
}

static void
renewed(void *user, int err, struct dw_claims *claims)
{
	struct conn_request *request = user;

	request->claims = *claims;
	dw_claims_init(claims);
	end_renewal(request->conn, err);
}

static void
take_fresh(struct conn *conn, struct dw_str token)
{
	struct conn_request *request = calloc(1, sizeof(*request));
	struct address address;
	int err;

	if (request == NULL) {
		conn_error(conn, NULL, "unavailable", NULL, "try again later");
		return;
	}
	dw_claims_init(&request->claims);
	request->conn = conn;
	conn->request = request;
	server_address(conn->wsi, &address);
	err = check_begin(conn->edge, &address, token, &request->claims, &request->check, renewed, request);
	if (err != DW_E_AGAIN)
		end_renewal(conn, err);
}

void
auth_take(struct conn *conn, struct dw_str token)
{
	if (conn->state == CONN_AWAITING)
		take_first(conn, token);
	else if (conn->request == NULL)
		take_fresh(conn, token);
	else
		conn_error(conn, NULL, "auth_pending", "token", "the token before this one is being checked");
}
