/* Watches: asking to join, being let in or not, leaving.
 *
 * Happy path: JOIN → JOINED → `connect` (or `subscribed`), then what follows the position (reading.c). Failure
 * modes: the hub is away (the client waits, then 1013 or an `error`), it is busy (asked again), it says no
 * (told after DENY_MS, so that unknown and forbidden take the same time), its answer is lost (the uplink
 * starts over), it ends the session later (the connection closes, or goes on with its other rooms).
 * Invariants: `confirmed` ≤ `at`; a room that is not watched any more was left.
 */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/confirm.h"
#include "client/confirmations.h"
#include "client/conn.h"
#include "client/reading.h"
#include "client/watches.h"
#include "client/written.h"
#include "door/server.h"
#include "edge.h"
#include "hub/uplink.h"
#include "room/frame.h"
#include "room/render.h"
#include "room/rooms.h"
#include "room/stream.h"

enum {
	JOIN_WAIT_MS = 5 * 1000, /* a new client waits so long for the hub, then 1013 */
	AGAIN_MS = 200,          /* a JOIN that met a busy hub is repeated after so long */
};

/* How it comes, or comes back, and what the room's stream has already. */
static struct dw_join
joining(const struct watch *watch)
{
	const struct conn *conn = watch->conn;
	const struct watch_request *request = watch->request;
	struct dw_join join = { .session = conn->session,
		.room = dw_str(watch->room->id),
		.user = dw_str(conn->user->name),
		.device = dw_str(conn->device),
		.expires = conn->expires,
		.corr = ++conn->edge->joins,
		.flags = (conn->derived ? DW_JOIN_DERIVED : 0U) | (watch->claimed ? DW_JOIN_CLAIMED : 0U) |
				 (conn->sure ? DW_JOIN_SURE : 0U) };

	if (watch->room->streaming) {
		join.flags |= DW_JOIN_HAVE;
		join.have = watch->room->head;
	}
	if (request == NULL) {
		join.flags |= DW_JOIN_RETURN;
		join.epoch = dw_str(uplink_epoch(conn->edge->uplink));
		join.after = watch->at;
		join.confirmed = watch->confirmed;
		join.begun = (struct dw_begun) { watch->numbered.begun, watch->direct.begun };
		join.age = dw_mono_ms() - watch->since;
	} else {
		join.flags |= (request->has_after ? DW_JOIN_AFTER : 0U) | (request->after_new ? DW_JOIN_NEW : 0U);
		join.after = dw_position_said(request->after, 0, 0);
		join.epoch = dw_str(request->epoch);
	}
	return join;
}

static void
ask(struct watch *watch)
{
	struct conn *conn = watch->conn;
	struct dw_wire join = { .kind = DW_JOIN };

	/* `connect` is the first message. */
	if (watch->state == WATCH_DENIED || (!conn->connected && watch != &conn->first))
		return;
	join.join = joining(watch);
	if (watch->request == NULL)
		watch->anew = false;
	watch->asked_at = dw_mono_ms();
	watch->asked = uplink_send(conn->edge->uplink, &join);
	watch->stay = (uint32_t)join.join.corr;
	conn_wake(conn, watch->asked_at + OVERDUE_MS);
}

struct watch *
watch_open(struct conn *conn, const char *name, bool claimed, const struct watch_request *request)
{
	struct watch_request *copy = malloc(sizeof(*copy));
	struct room *room = room_get(conn->edge, name);
	struct watch *watch = copy != NULL && room != NULL ? watch_get(conn, room) : NULL;

	if (watch == NULL) {
		free(copy);
		if (room != NULL)
			room_release(room);
		return NULL;
	}
	*copy = *request;
	watch->request = copy;
	watch->claimed = claimed;
	watch->state = WATCH_JOINING;
	watch->since = dw_mono_ms();
	watch->feed = FEED_LIMIT;
	conn->watches++;
	conn_wake(conn, watch->since + JOIN_WAIT_MS);
	ask(watch);
	return watch;
}

/* The hub does not count it any more. */
static void
unjoin(struct watch *watch)
{
	if (watch->joined && --watch->room->joined == 0)
		room_stream_end(watch->room);
	watch->joined = watch->asked = false;
}

void
watch_lose_all(struct conn *conn)
{
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
		unjoin(watch);
}

/* The hub is told, and what was confirmed last until it surely knows. */
static void
leave(struct watch *watch)
{
	const struct conn *conn = watch->conn;
	struct uplink *uplink = conn->edge->uplink;
	const bool sure = conn->sure || dw_position_same(written_acked(watch), watch->confirmed);
	struct dw_leave leave = { .session = conn->session,
		.room = dw_str(watch->room->id),
		.at = watch->confirmed,
		.sure = sure,
		.begun = { watch->numbered.begun, watch->direct.begun } };

	if (!sure)
		confirmations_tell_ack(watch, uplink);
	(void)uplink_send(uplink, &(struct dw_wire) { .kind = DW_LEAVE, .leave = leave });
	if (conn->derived || watch->request != NULL)
		return;
	leave.user = dw_str(conn->user->name);
	leave.device = dw_str(conn->device);
	if (!sure && dw_seq(written_acked(watch)) > 0) {
		struct dw_leave acked = leave;

		acked.at = written_acked(watch);
		acked.sure = true;
		uplink_depart(uplink, &acked);
	}
	uplink_depart(uplink, &leave);
}

void
watch_end(struct watch *watch)
{
	struct room *room = watch->room;

	if (watch->joined || watch->asked)
		leave(watch);
	confirmations_remove(&watch->conn->edge->confirmations, watch);
	unjoin(watch);
	written_forget(watch);
	free(watch->request);
	watch->request = NULL;
	watch->conn->watches--;
	watch_put(watch);
	room_release(room);
}

void
watch_ask_all(struct conn *conn)
{
	if (conn->state != CONN_OPEN)
		return;
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch)) {
		/* Whether it may still watch is to be seen: others' JOINED bring the room's messages before its own. */
		if (watch->state == WATCH_READING || watch->state == WATCH_FEEDING)
			watch->state = WATCH_RETURNING;
		watch->again = false;
		ask(watch);
		watch_park(watch);
	}
}

void
watch_renew_all(struct conn *conn)
{
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
		watch->claimed = conn_claims(conn, dw_str(watch->room->id));
	watch_ask_all(conn);
}

/* It was never let in, and is not to be asked for again. */
static void
give_up(struct watch *watch, unsigned code, const char *reason, const char *error)
{
	struct conn *conn = watch->conn;
	char room[DW_ROOM_MAX + 1];

	if (!conn->connected) {
		conn_close(conn, code, reason);
		return;
	}
	(void)dw_str_copy(dw_str(watch->room->id), room, sizeof(room));
	watch_end(watch);
	conn_error(conn, room, error, NULL, reason);
}

/* It may not watch any more. Its only room ends the connection. */
static void
shut_out(struct watch *watch, unsigned code, const char *reason)
{
	struct conn *conn = watch->conn;
	struct dw_buf data = { 0 };
	char room[DW_ROOM_MAX + 1];

	if (conn->watches == 1) {
		conn_close(conn, code, reason);
		return;
	}
	dw_buf_adds(&data, "{\"reason\":");
	dw_buf_add_json_string(&data, dw_str(reason));
	dw_buf_addc(&data, '}');
	(void)dw_str_copy(dw_str(watch->room->id), room, sizeof(room));
	watch_end(watch);
	if (dw_buf_ok(&data))
		conn_tell(conn, "unsubscribed", room, data.data);
	dw_buf_clear(&data);
}

static void
deny(struct watch *watch)
{
	if (watch->request == NULL) {
		shut_out(watch, 1008, "access denied");
	} else if (!watch->conn->connected) {
		conn_deny(watch->conn);
	} else {
		watch->state = WATCH_DENIED;
		conn_wake(watch->conn, watch->since + DENY_MS);
	}
}

void
watch_closed(struct watch *watch, unsigned code, const char *reason)
{
	if (watch->conn->watches > 1)
		unjoin(watch);
	shut_out(watch, code, reason);
}

static void
write_welcome(const struct watch *watch, const struct dw_joined *joined, struct dw_buf *out)
{
	const struct conn *conn = watch->conn;
	const struct dw_str room = dw_str(watch->room->id);
	struct dw_buf json = { 0 };
	char now[DW_TIME_SIZE];

	dw_time_text(dw_now_ms(), now);
	dw_buf_addf(&json, "{\"type\":\"%s\",\"diagnosis_id\":", conn->connected ? "subscribed" : "connect");
	dw_id_to_json(&json, room);
	dw_buf_addf(&json, ",\"timestamp\":\"%s\",\"data\":{\"message\":\"%s\",\"timestamp\":\"%s\",\"diagnosis_id\":", now,
		conn->connected ? "subscribed" : "connected", now);
	dw_id_to_json(&json, room);
	dw_buf_adds(&json, ",\"user_id\":");
	dw_id_to_json(&json, dw_str(conn->user->name));
	dw_buf_adds(&json, ",\"device\":");
	dw_buf_add_json_string(&json, dw_str(conn->device));
	dw_buf_addf(&json,
		",\"session\":\"%016llx\",\"epoch\":\"%s\",\"head\":%llu,\"oldest\":%llu,\"resume\":\"%s\",\"replaying\":%llu}"
		"}",
		(unsigned long long)conn->session, uplink_epoch(conn->edge->uplink), (unsigned long long)joined->head,
		(unsigned long long)joined->oldest, dw_resume_text(joined->resume), (unsigned long long)joined->replaying);
	frame_text(out, (struct dw_str) { json.data, json.len });
	out->failed |= json.failed;
	dw_buf_clear(&json);
}

static void
welcome(struct watch *watch, const struct dw_joined *joined)
{
	struct conn *conn = watch->conn;
	struct rooms *rooms = &conn->edge->rooms;
	const bool gap = joined->gap.reason != DW_GAP_NONE || joined->direct.reason != DW_GAP_NONE;
	struct dw_buf frames = { 0 };

	write_welcome(watch, joined, &frames);
	room_render_gap(rooms, &frames, watch->room->id, joined->direct, true);
	room_render_gap(rooms, &frames, watch->room->id, joined->gap, false);
	free(watch->request);
	watch->request = NULL;
	watch->state = WATCH_READING;
	watch->numbered = (struct run) { dw_n(joined->from), 0 };
	watch->direct = (struct run) { dw_own(joined->from), 0 };
	conn->connected = true;
	watch->confirmed = joined->at; /* a hub that is killed now may not remember that */
	watch_stand(watch, joined->from);
	if (gap && conn->sure)
		written_note(watch, joined->from);
	watch_park(watch);
	if (!dw_buf_ok(&frames))
		conn_close(conn, 1013, "try again later");
	else if (conn_write(conn, (struct dw_str) { frames.data, frames.len }))
		watch_push(watch);
	server_flush(conn->fd);
	/* Maybe nothing follows whose PING would confirm it. */
	if (gap)
		confirm_owe(conn);
	dw_buf_clear(&frames);
	if (conn->early)
		conn_wake(conn, dw_mono_ms());
}

/* Those that had to wait for `connect`. */
static void
ask_others(struct conn *conn)
{
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
		if (watch->request != NULL && !watch->asked)
			ask(watch);
}

/* The hub counts it. */
static void
join(struct watch *watch, const struct dw_joined *joined)
{
	struct room *room = watch->room;

	if (!room->streaming)
		room_stream_begin(room, joined->sent);
	if (!watch->joined) {
		watch->joined = true;
		room->joined++;
	}
}

/* It is known to the hub again. What it missed meanwhile follows, from the stream or fed. */
static void
come_back(struct watch *watch, const struct dw_joined *joined)
{
	if (joined->resume == DW_RESUME_RESET) {
		conn_close(watch->conn, 1012, "service restart");
		return;
	}
	watch->state = WATCH_READING;
	if (!dw_position_same(written_acked(watch), dw_position_start()))
		confirmations_add(&watch->conn->edge->confirmations, watch, true);
	/* Of these nothing in the ring may tell. */
	watch->lacks = joined->direct.reason != DW_GAP_NONE;
	watch_stand(watch, watch->at);
	watch_park(watch);
	watch_push(watch);
}

void
watch_joined(struct watch *watch, const struct dw_joined *joined)
{
	struct conn *conn = watch->conn;

	/* Still `asked` when it closes: the hub may count it, and must be told that it left. */
	if (conn->state != CONN_OPEN || watch->state == WATCH_DENIED || joined->corr != watch->stay)
		return;
	watch->asked = false;
	if (joined->code == (uint64_t)-DW_E_DENIED) {
		deny(watch);
	} else if (joined->code == (uint64_t)-DW_E_BUSY) {
		watch->again = true;
		conn_wake(conn, watch->asked_at + AGAIN_MS);
	} else if (joined->code != 0 && watch->request == NULL) {
		conn_close(conn, 1013, "try again later");
	} else if (joined->code != 0) {
		give_up(watch, 1013, "try again later", "unavailable");
	} else {
		bool first = !conn->connected;

		join(watch, joined);
		if (watch->request != NULL)
			welcome(watch, joined);
		else
			come_back(watch, joined);
		if (first)
			ask_others(conn);
	}
}

uint64_t
watch_due(const struct watch *watch, uint64_t now, uint64_t due)
{
	uint64_t mine = due;

	if (watch->state == WATCH_DENIED)
		mine = watch->since + DENY_MS;
	else if (watch->state == WATCH_JOINING)
		mine = watch->since + JOIN_WAIT_MS;
	if (watch->again && watch->asked_at + AGAIN_MS < mine)
		mine = watch->asked_at + AGAIN_MS;
	else if (watch->asked && watch->asked_at + OVERDUE_MS < mine)
		mine = watch->asked_at + OVERDUE_MS;
	if (mine < now)
		mine = now;
	return mine < due ? mine : due;
}

void
watch_fire(struct watch *watch, uint64_t now)
{
	if (watch->state == WATCH_DENIED && now >= watch->since + DENY_MS) {
		give_up(watch, 1008, "access denied", "access_denied");
	} else if (watch->state == WATCH_JOINING && now >= watch->since + JOIN_WAIT_MS) {
		give_up(watch, 1013, "try again later", "unavailable");
	} else if (watch->again && now >= watch->asked_at + AGAIN_MS) {
		watch->again = false;
		ask(watch);
	} else if (watch->asked && now >= watch->asked_at + OVERDUE_MS) {
		uplink_doubt(watch->conn->edge->uplink, watch->asked_at);
		if (watch->asked_at + OVERDUE_MS <= now)
			watch->asked_at = now; /* asked about again, not before */
	}
}
