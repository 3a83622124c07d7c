/* What a connection watches and is told, and how that ends: see conn.h.
 *
 * Failure modes: a kernel that is full (the connection is stalled: its rooms offer it nothing, and what cannot wait is
 * kept up to a bound, 1013 beyond), a line that is dead. Invariants: nothing is written while the last write is
 * unfinished, or after a Close; what is closed is in no list of readers; one timer serves all that is ever due; a
 * subscription with a room is in one of that room's two lists.
 */
#include "conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "door/server.h"
#include "edge.h"
#include "room/frame.h"
#include "room/rooms.h"

enum { CUT_MS = 4000 }; /* a closed client that does not end its connection is cut, before libwebsockets does */

static struct subscription *
in_use(struct subscription *sub)
{
	while (sub != NULL && sub->room == NULL)
		sub = sub->next;
	return sub;
}

struct subscription *
sub_first(struct conn *conn)
{
	return in_use(&conn->first);
}

struct subscription *
sub_after(struct subscription *sub)
{
	return in_use(sub->next);
}

struct subscription *
sub_find(struct conn *conn, const struct room *room)
{
	struct subscription *sub = room != NULL ? sub_first(conn) : NULL;

	while (sub != NULL && sub->room != room)
		sub = sub_after(sub);
	return sub;
}

void
sub_park(struct subscription *sub)
{
	const struct conn *conn = sub->conn;
	const bool park = sub->state != SUB_READING || conn->stalled_at > 0 || conn->state != CONN_OPEN;

	if (park == sub->parked)
		return;
	sub->parked = park;
	if (park)
		fanout_park(sub->room, &sub->reader);
	else
		fanout_enter(sub->room, &sub->reader);
}

void
sub_park_all(struct conn *conn)
{
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
		sub_park(sub);
}

void
conn_wake(struct conn *conn, uint64_t at)
{
	if (conn->state == CONN_OPEN && (conn->timer.link == NULL || at < conn->timer.due))
		dw_wheel_set(&conn->edge->wheel, &conn->timer, at);
}

static void
set_reason(struct conn *conn, unsigned code, const char *reason)
{
	conn->close_code = (uint16_t)code;
	free(conn->close_reason);
	conn->close_reason = strdup(reason);
}

static void
write_no_more(struct conn *conn)
{
	conn->state = CONN_CLOSING;
	sub_park_all(conn);
	if (conn->early || conn->slowed) { /* it is read on, for its Close is to come */
		if (conn->early)
			conn_drop_incoming(conn);
		conn->early = conn->slowed = false;
		server_hold(conn->wsi, false);
	}
	conn->taken = server_taken(conn->wsi);
	if (conn->stalled_at > 0)
		conn->stalled_at = dw_mono_ms();
	dw_wheel_set(&conn->edge->wheel, &conn->timer, dw_mono_ms() + (conn->stalled_at > 0 ? CUT_STALLED_MS / 3 : CUT_MS));
}

void
conn_drop_incoming(struct conn *conn)
{
	if (conn->rx != NULL)
		dw_buf_clear(&conn->rx->text);
	free(conn->rx);
	conn->rx = NULL;
}

bool
conn_claims(const struct conn *conn, struct dw_str room)
{
	return dw_claims_name(&(struct dw_claims) { .diagnoses = conn->diagnoses }, room);
}

void
conn_close(struct conn *conn, unsigned code, const char *reason)
{
	if (conn->state == CONN_CLOSING)
		return;
	set_reason(conn, code, reason);
	write_no_more(conn);
	server_close(conn->wsi);
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
	dw_wheel_set(&conn->edge->wheel, &conn->timer, conn->first.since + DW_HTTP_DENY_MS);
}

bool
conn_can_write(const struct conn *conn)
{
	return conn->stalled_at == 0 && !server_stalled(conn->wsi);
}

bool
conn_write(struct conn *conn, struct dw_str frames)
{
	enum server_outcome outcome;

	if (conn->stalled_at > 0) {
		conn->waiting += frames.n;
		if (conn->waiting > LIMIT_WAITING) {
			conn_close(conn, 1013, "too slow");
			return false;
		}
	}
	outcome = server_write(conn->wsi, conn->fd, frames);
	if (outcome == SERVER_DEAD) {
		conn_close(conn, 1006, "");
		return false;
	}
	if (outcome == SERVER_STALLED && conn->stalled_at == 0) {
		conn->stalled_at = dw_mono_ms();
		conn->taken = server_taken(conn->wsi);
		sub_park_all(conn);
		conn_wake(conn, conn->stalled_at + (uint64_t)conn->edge->config.slow_ms);
	}
	return true;
}

void
conn_tell(struct conn *conn, const char *type, const char *room, const char *data)
{
	const struct subscription *sub = sub_first(conn);
	struct dw_buf json = { 0 }, frame = { 0 };
	char now[DW_TIME_SIZE];

	if (room == NULL && sub != NULL)
		room = sub->room->id;
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
