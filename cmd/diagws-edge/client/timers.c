/* What is due on a connection: see conn.h. Failure modes: a client that takes nothing for --slow-timeout (1013), that
 * is silent, or whose token ends; one that takes nothing more, not even its Close frame, is cut.
 */
#include "conn.h"

#include <stdio.h>

#include "base/clock.h"
#include "client/subscription.h"
#include "door/server.h"
#include "edge.h"
#include "room/rooms.h"

enum { KEEP_ALIVE_MS = 25 * 1000, SILENCE_MS = 60 * 1000 };

/* When something is next due. */
static void
set_timer(struct conn *conn)
{
	const uint64_t now = dw_mono_ms(), wall = dw_now_ms();
	const uint64_t left_ms = conn->expires == 0            ? UINT64_MAX / 2
							 : conn->expires > wall / 1000 ? (conn->expires - wall / 1000) * 1000 - wall % 1000
														   : 0;
	uint64_t due = dw_less(conn->pinged_at + KEEP_ALIVE_MS, conn->heard_at + SILENCE_MS);

	if (conn->stalled_at > 0)
		due = dw_less(due, conn->stalled_at + (uint64_t)conn->edge->config.slow_ms);
	due = noise_due(conn, due);
	due = confirm_due(conn, due);
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
		due = sub_due(sub, due);
	if (due < now || (conn->early && conn->connected))
		due = now;
	if (left_ms < due - now)
		due = now + left_ms;
	dw_wheel_set(&conn->edge->wheel, &conn->timer, due);
}

static void
tell_heads(struct conn *conn)
{
	char data[48];

	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub)) {
		if (sub->request != NULL || !sub->room->streaming)
			continue;
		(void)snprintf(data, sizeof(data), "{\"head\":%llu}", (unsigned long long)room_newest(sub->room));
		conn_tell(conn, "heartbeat", sub->room->id, data);
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
		dw_wheel_set(&conn->edge->wheel, &conn->timer, now + CUT_STALLED_MS / 3);
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
	else if (conn->state == CONN_REFUSED && now >= conn->first.since + DW_HTTP_DENY_MS)
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

void
timers_fire(struct dw_wheel_timer *timer)
{
	struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, timer));
	uint64_t now = dw_mono_ms();

	look_for_end(conn, now);
	noise_fire(conn, now);
	if (conn->state == CONN_OPEN && conn->early && conn->connected)
		hear_early(conn);
	if (conn->state != CONN_OPEN)
		return;
	for (struct subscription *sub = sub_first(conn), *next; sub != NULL && conn->state == CONN_OPEN; sub = next) {
		next = sub_after(sub);
		sub_fire(sub, now);
	}
	if (conn->state == CONN_OPEN && now >= conn->pinged_at + KEEP_ALIVE_MS)
		keep_alive(conn, now);
	else
		confirm_try(conn);
	if (conn->state == CONN_OPEN)
		set_timer(conn);
}
