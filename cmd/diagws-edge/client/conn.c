/* Connections: who they are, how they are kept alive, what they are told, how they end.
 *
 * Happy path: see conn.h. Failure modes: a token that does not let in (1008, after DENY_MS where it is
 * about the room), too many connections of a user, a client that takes nothing for --slow-timeout (1013), that
 * is silent, or whose token ends. One that takes nothing more, not even its Close frame, is cut. Invariants: nothing is
 * written while the last write is unfinished, or after a Close; one timer serves all that is ever due.
 */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "client/confirm.h"
#include "door/check.h"
#include "edge.h"
#include "room/frame.h"
#include "client/noise.h"
#include "room/rooms.h"
#include "room/stream.h"
#include "door/server.h"
#include "hub/uplink.h"

static void fire(struct dw_wheel_timer *timer);

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
conn_new(struct edge *edge, struct lws *wsi, struct conn_request *request)
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

static void
set_reason(struct conn *conn, unsigned code, const char *reason)
{
	conn->close_code = (uint16_t)code;
	free(conn->close_reason);
	conn->close_reason = strdup(reason);
}

void
conn_set_timer(struct conn *conn)
{
	uint64_t due = conn->pinged_at + KEEP_ALIVE_MS;
	uint64_t now = dw_mono_ms(), now_s = dw_now_ms() / 1000;
	uint64_t left_ms = conn->expires == 0 ? UINT64_MAX / 2 : conn->expires > now_s ? (conn->expires - now_s) * 1000 : 0;

	if (conn->state == CONN_AWAITING) {
		due = conn->first.since + AUTH_MS;
	} else if (conn->state == CONN_REFUSED) {
		due = conn->first.since + DENY_MS;
	} else if (conn->state == CONN_CLOSING) {
		due = now + (conn->stalled_at > 0 ? CUT_STALLED_MS / 3 : CUT_MS);
	} else if (conn->early && conn->connected) {
		due = now;
	} else {
		if (conn->heard_at + SILENCE_MS < due)
			due = conn->heard_at + SILENCE_MS;
		if (conn->stalled_at > 0 && conn->stalled_at + (uint64_t)conn->edge->config.slow_ms < due)
			due = conn->stalled_at + (uint64_t)conn->edge->config.slow_ms;
		due = noise_due(conn, due);
		due = confirm_due(conn, due);
		for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
			due = watch_due(watch, now, due);
		if (due < now)
			due = now;
		if (left_ms < due - now)
			due = now + left_ms;
	}
	dw_wheel_set(&conn->edge->wheel, &conn->timer, due);
}

static void
park(struct conn *conn)
{
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
		watch_park(watch);
}

static void
write_no_more(struct conn *conn)
{
	conn->state = CONN_CLOSING;
	park(conn);
	if (conn->early || conn->slowed) { /* it is read on, for its Close is to come */
		if (conn->early)
			conn_drop_incoming(conn);
		conn->early = conn->slowed = false;
		server_hold(conn->wsi, false);
	}
	conn->taken = server_taken(conn->wsi);
	if (conn->stalled_at > 0)
		conn->stalled_at = dw_mono_ms();
	conn_set_timer(conn);
}

/* With the code and reason that are set. */
static void
begin_close(struct conn *conn)
{
	write_no_more(conn);
	server_close(conn->wsi);
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
	return watch_open(conn, request->room, conn_claims(conn, dw_str(request->room)), &request->from) != NULL;
}

/* Counts it as one of its user's, unless that has too many. */
static bool
within_limits(struct conn *conn)
{
	const uint64_t most = (uint64_t)conn->edge->config.max_user_connections;

	if ((most == 0 || conn->user->connections < most) &&
		limits_handshake(&conn->edge->limits, conn->user->name) == DW_OK) {
		conn->user->connections++;
		return true;
	}
	users_release(&conn->edge->users, conn->user);
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
		conn_set_timer(conn);
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
	conn->user = users_get(&conn->edge->users, request->claims.user);
	if (conn->user != NULL && !within_limits(conn)) {
		conn_close(conn, 1008, dw_err_text(DW_E_RATE));
		return;
	}
	if (conn->user != NULL)
		in = enter(conn, request);
	conn_forget_request(conn);
	if (in)
		conn_set_timer(conn);
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
conn_drop_incoming(struct conn *conn)
{
	if (conn->rx != NULL)
		dw_buf_clear(&conn->rx->text);
	free(conn->rx);
	conn->rx = NULL;
}

void
conn_destroy(struct conn **conn_p)
{
	struct conn *conn = *conn_p;
	struct watch *watch;

	if (conn == NULL)
		return;
	*conn_p = NULL;
	noise_end(conn);
	dw_wheel_cancel(&conn->timer);
	while ((watch = watch_first(conn)) != NULL)
		watch_end(watch);
	if (conn->session != 0)
		sessions_remove(&conn->edge->sessions, conn);
	if (conn->user != NULL)
		conn->user->connections--;
	users_release(&conn->edge->users, conn->user);
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

bool
conn_claims(const struct conn *conn, struct dw_str room)
{
	const struct dw_claims claims = { .diagnoses = {
										  .data = (char *)(uintptr_t)conn->diagnoses.p, .len = conn->diagnoses.n } };

	return dw_claims_name(&claims, room);
}

void
conn_close(struct conn *conn, unsigned code, const char *reason)
{
	if (conn->state == CONN_CLOSING)
		return;
	set_reason(conn, code, reason);
	begin_close(conn);
}

void
conn_tell_close(struct conn *conn, unsigned code, struct dw_str reason)
{
	struct dw_buf frame = { 0 };

	write_no_more(conn);
	conn->told = true;
	frame_close(&frame, code, reason);
	if (dw_buf_ok(&frame))
		(void)server_write(conn->wsi, conn->fd, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&frame);
	server_flush(conn->fd);
}

void
conn_deny(struct conn *conn)
{
	conn->state = CONN_REFUSED;
	set_reason(conn, 1008, "access denied");
	conn_set_timer(conn);
}

bool
conn_can_write(const struct conn *conn)
{
	return conn->stalled_at == 0 && !server_stalled(conn->wsi);
}

bool
conn_write(struct conn *conn, struct dw_str frames)
{
	if (conn->stalled_at > 0) {
		conn->waiting += frames.n;
		if (conn->waiting > LIMIT_WAITING) {
			conn_close(conn, 1013, "too slow");
			return false;
		}
	}
	switch (server_write(conn->wsi, conn->fd, frames)) {
	case SERVER_DEAD:
		conn_close(conn, 1006, "");
		return false;
	case SERVER_STALLED:
		if (conn->stalled_at == 0) {
			conn->stalled_at = dw_mono_ms();
			conn->taken = server_taken(conn->wsi);
			park(conn);
			conn_set_timer(conn);
		}
		return true;
	case SERVER_DONE:
		break;
	}
	return true;
}

void
conn_writable(struct conn *conn)
{
	if (server_stalled(conn->wsi))
		return;
	if (conn->state == CONN_CLOSING)
		return;
	conn->stalled_at = 0;
	conn->waiting = 0;
	park(conn);
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
		watch_push(watch);
	confirm_try(conn);
}

void
conn_tell(struct conn *conn, const char *type, const char *room, const char *data)
{
	const struct watch *watch = watch_first(conn);
	struct dw_buf json = { 0 }, frame = { 0 };
	char now[DW_TIME_SIZE];

	if (room == NULL && watch != NULL)
		room = watch->room->id;
	dw_time_text(dw_now_ms(), now);
	dw_buf_addf(&json, "{\"type\":\"%s\",\"diagnosis_id\":", type);
	if (room != NULL)
		dw_id_to_json(&json, dw_str(room));
	else
		dw_buf_adds(&json, "null");
	dw_buf_addf(&json, ",\"timestamp\":\"%s\",\"data\":%s}", now, data);
	frame_text(&frame, (struct dw_str) { json.data, json.len });
	if (dw_buf_ok(&json) && dw_buf_ok(&frame) && conn->state != CONN_CLOSING)
		(void)conn_write(conn, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&json);
	dw_buf_clear(&frame);
}

void
conn_error(struct conn *conn, const char *room, const char *code, const char *field, const char *message)
{
	struct dw_buf data = { 0 };

	dw_buf_addf(&data, "{\"code\":\"%s\",\"message\":", code);
	dw_buf_add_json_string(&data, dw_str(message));
	if (field != NULL)
		dw_buf_addf(&data, ",\"field\":\"%s\"", field);
	dw_buf_addc(&data, '}');
	if (dw_buf_ok(&data))
		conn_tell(conn, "error", room, data.data);
	dw_buf_clear(&data);
}

static void
tell_heads(struct conn *conn)
{
	char data[48];

	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch)) {
		if (watch->request != NULL || !watch->room->streaming)
			continue;
		(void)snprintf(data, sizeof(data), "{\"head\":%llu}", (unsigned long long)room_newest(watch->room));
		conn_tell(conn, "heartbeat", watch->room->id, data);
	}
}

static void
keep_alive(struct conn *conn, uint64_t now)
{
	conn->pinged_at = now;
	if (!conn->connected || !conn_can_write(conn))
		return;
	if (conn->heartbeat)
		tell_heads(conn);
	if (conn_can_write(conn) && conn->state == CONN_OPEN)
		confirm_ping(conn);
}

/* Whether a client that is stalled, or was sent its last, has taken something since this was last asked. */
static bool
has_taken(struct conn *conn)
{
	const uint64_t before = conn->taken;

	conn->taken = server_taken(conn->wsi);
	return conn->taken != before;
}

/* Whether a stalled client has taken nothing for --slow-timeout. */
static bool
is_stuck(struct conn *conn, uint64_t now)
{
	if (conn->stalled_at == 0 || now < conn->stalled_at + (uint64_t)conn->edge->config.slow_ms)
		return false;
	if (!has_taken(conn))
		return true;
	conn->stalled_at = now;
	return false;
}

/* Its Close frame was written, or follows what the client has not taken yet. */
static void
wait_for_end(struct conn *conn, uint64_t now)
{
	if ((conn->stalled_at > 0 || server_owes(conn->wsi)) && has_taken(conn))
		conn->stalled_at = now;
	if (conn->stalled_at > 0 && now < conn->stalled_at + CUT_STALLED_MS)
		conn_set_timer(conn);
	else
		server_cut(conn->wsi);
}

/* What ends it. */
static void
look_for_end(struct conn *conn, uint64_t now)
{
	if (conn->state == CONN_CLOSING)
		wait_for_end(conn, now);
	else if (conn->state == CONN_AWAITING && now >= conn->first.since + AUTH_MS)
		conn_close(conn, 1008, dw_err_text(DW_E_TOKEN_MISSING));
	else if (conn->state == CONN_REFUSED && now >= conn->first.since + DENY_MS)
		conn_close(conn, conn->close_code, "access denied");
	else if (conn->expires > 0 && dw_now_ms() / 1000 >= conn->expires)
		conn_close(conn, 1008, "token expired");
	else if (now >= conn->heard_at + SILENCE_MS)
		conn_close(conn, 1001, "silent");
	else if (is_stuck(conn, now))
		conn_close(conn, 1013, "too slow");
}

/* What it said before `connect`. */
static void
hear_early(struct conn *conn)
{
	conn->early = false;
	conn_text(conn, conn->rx);
	conn_drop_incoming(conn);
	server_hold(conn->wsi, false);
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, timer));
	uint64_t now = dw_mono_ms();

	look_for_end(conn, now);
	noise_fire(conn, now);
	if (conn->state == CONN_OPEN && conn->early && conn->connected)
		hear_early(conn);
	if (conn->state != CONN_OPEN)
		return;
	for (struct watch *watch = watch_first(conn), *next; watch != NULL && conn->state == CONN_OPEN; watch = next) {
		next = watch_after(watch);
		watch_fire(watch, now);
	}
	if (conn->state == CONN_OPEN && now >= conn->pinged_at + KEEP_ALIVE_MS)
		keep_alive(conn, now);
	else
		confirm_try(conn);
	if (conn->state == CONN_OPEN)
		conn_set_timer(conn);
}
