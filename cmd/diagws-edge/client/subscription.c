/* Subscriptions: asking to join, being let in or not, leaving.
 *
 * Happy path: JOIN → JOINED → `connect` (or `subscribed`), then what follows the position (reading.c). Failure modes:
 * the hub is away (the client waits, then 1013 or an `error`), is busy (asked again), says no (told after
 * DW_HTTP_DENY_MS), its answer is lost (the uplink starts over), it ends the session later (the connection closes, or
 * goes on with its other rooms). Invariants: `confirmed` ≤ `at`; a room that is not watched any more was left.
 */
#include "subscription.h"

#include <stdlib.h>

#include <utlist.h>

#include "base/clock.h"
#include "client/conn.h"
#include "door/server.h"
#include "edge.h"
#include "hub/uplink.h"
#include "room/frame.h"
#include "room/rooms.h"

enum {
	JOIN_WAIT_MS = 5 * 1000, /* a new client waits so long for the hub, then 1013 */
	AGAIN_MS = 200,          /* a JOIN that met a busy hub is repeated after so long */
};

/* How it comes, or comes back, and what the room's stream has already. */
static struct dw_join
joining(const struct subscription *sub)
{
	const struct conn *conn = sub->conn;
	const struct sub_request *request = sub->request;
	struct dw_join join = { .session = conn->session,
		.room = dw_str(sub->room->id),
		.user = dw_str(conn->user->name),
		.device = dw_str(conn->device),
		.expires = conn->expires,
		.corr = ++conn->edge->joins,
		.flags = (conn->derived ? DW_JOIN_DERIVED : 0U) | (sub->claimed ? DW_JOIN_CLAIMED : 0U) |
				 (conn->sure ? DW_JOIN_SURE : 0U) };

	if (sub->room->streaming) {
		join.flags |= DW_JOIN_HAVE;
		join.have = sub->room->head;
	}
	if (request == NULL) {
		join.flags |= DW_JOIN_RETURN;
		join.epoch = dw_str(uplink_epoch(conn->edge->uplink));
		join.after = sub->at;
		join.confirmed = sub->confirmed;
		join.begun = (struct dw_begun) { sub->numbered.begun, sub->direct.begun };
		join.age = dw_mono_ms() - sub->since;
	} else {
		join.flags |= (request->has_after ? DW_JOIN_AFTER : 0U) | (request->after_new ? DW_JOIN_NEW : 0U);
		join.after = dw_position_said(request->after, 0, 0);
		join.epoch = dw_str(request->epoch);
	}
	return join;
}

static void
ask(struct subscription *sub)
{
	struct conn *conn = sub->conn;
	struct dw_wire join = { .kind = DW_JOIN };

	if (sub->state == SUB_DENIED)
		return;
	join.join = joining(sub);
	if (sub->request == NULL)
		sub->anew = false;
	sub->asked_at = dw_mono_ms();
	sub->asked = uplink_send(conn->edge->uplink, &join);
	sub->stay = (uint32_t)join.join.corr;
	conn_wake(conn, sub->asked_at + OVERDUE_MS);
}

struct subscription *
sub_open(struct conn *conn, const char *name, bool claimed, const struct sub_request *request)
{
	struct subscription *first = &conn->first, *more = first->room != NULL ? calloc(1, sizeof(*more)) : NULL;
	struct subscription *sub = first->room != NULL ? more : first;
	struct sub_request *copy = malloc(sizeof(*copy));
	struct room *room = room_get(conn->edge, name);

	if (sub == NULL || copy == NULL || room == NULL) {
		free(more);
		free(copy);
		if (room != NULL)
			room_release(room);
		return NULL;
	}
	if (more != NULL)
		LL_PREPEND(first->next, more);
	*copy = *request;
	*sub = (struct subscription) { .conn = conn,
		.room = room,
		.next = sub->next,
		.request = copy,
		.claimed = claimed,
		.state = SUB_JOINING,
		.since = dw_mono_ms(),
		.feed = FEED_LIMIT,
		.parked = true };
	DL_APPEND(room->parked, &sub->reader);
	conn->subscriptions++;
	conn_wake(conn, sub->since + JOIN_WAIT_MS);
	ask(sub);
	return sub;
}

/* The hub does not count it any more. */
static void
unjoin(struct subscription *sub)
{
	if (sub->joined && --sub->room->joined == 0)
		room_stream_end(sub->room);
	sub->joined = sub->asked = false;
}

void
sub_lose_all(struct conn *conn)
{
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
		unjoin(sub);
}

/* The hub is told, and what was confirmed last until it surely knows. */
static void
leave(struct subscription *sub)
{
	const struct conn *conn = sub->conn;
	struct uplink *uplink = conn->edge->uplink;
	const bool sure = conn->sure || dw_position_same(written_acked(sub), sub->confirmed);
	struct dw_leave leave = { .session = conn->session,
		.room = dw_str(sub->room->id),
		.at = sub->confirmed,
		.sure = sure,
		.begun = { sub->numbered.begun, sub->direct.begun } };

	if (!sure)
		confirmations_tell_ack(sub);
	(void)uplink_send(uplink, &(struct dw_wire) { .kind = DW_LEAVE, .leave = leave });
	if (conn->derived || sub->request != NULL)
		return;
	leave.user = dw_str(conn->user->name);
	leave.device = dw_str(conn->device);
	if (!sure && dw_seq(written_acked(sub)) > 0) {
		struct dw_leave acked = leave;

		acked.at = written_acked(sub);
		acked.sure = true;
		uplink_depart(uplink, &acked);
	}
	uplink_depart(uplink, &leave);
}

void
sub_end(struct subscription *sub)
{
	struct conn *conn = sub->conn;
	struct room *room = sub->room;

	if (sub->joined || sub->asked)
		leave(sub);
	confirmations_remove(sub);
	unjoin(sub);
	free(sub->written);
	sub->written = NULL;
	free(sub->request);
	sub->request = NULL;
	conn->subscriptions--;
	if (!sub->parked)
		fanout_park(room, &sub->reader);
	DL_DELETE(room->parked, &sub->reader);
	sub->room = NULL;
	if (sub != &conn->first) {
		LL_DELETE(conn->first.next, sub);
		free(sub);
	}
	room_release(room);
}

void
sub_ask_all(struct conn *conn)
{
	if (conn->state != CONN_OPEN)
		return;
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub)) {
		/* Whether it may still watch is to be seen: others' JOINED bring the room's messages before its own. */
		if (sub->state == SUB_READING || sub->state == SUB_FEEDING)
			sub->state = SUB_RETURNING;
		sub->again = false;
		ask(sub);
		sub_park(sub);
	}
}

void
sub_renew_all(struct conn *conn)
{
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
		sub->claimed = conn_claims(conn, dw_str(sub->room->id));
	sub_ask_all(conn);
}

/* It was never let in, and is not to be asked for again. */
static void
give_up(struct subscription *sub, unsigned code, const char *reason, const char *error)
{
	struct conn *conn = sub->conn;

	if (!conn->connected) {
		conn_close(conn, code, reason);
		return;
	}
	conn_error(conn, sub->room->id, error, NULL, reason);
	sub_end(sub);
}

/* It may not watch any more. Its only room ends the connection. */
static void
shut_out(struct subscription *sub, unsigned code, const char *reason)
{
	struct conn *conn = sub->conn;
	struct dw_buf data = { 0 };

	if (conn->subscriptions == 1) {
		conn_close(conn, code, reason);
		return;
	}
	dw_buf_adds(&data, "{\"reason\":");
	dw_buf_add_json_string(&data, dw_str(reason));
	dw_buf_addc(&data, '}');
	if (dw_buf_ok(&data))
		conn_tell(conn, "unsubscribed", sub->room->id, data.data);
	sub_end(sub);
	dw_buf_clear(&data);
}

static void
deny(struct subscription *sub)
{
	if (sub->request == NULL) {
		shut_out(sub, 1008, "access denied");
	} else if (!sub->conn->connected) {
		conn_deny(sub->conn);
	} else {
		sub->state = SUB_DENIED;
		conn_wake(sub->conn, sub->since + DW_HTTP_DENY_MS);
	}
}

void
sub_closed(struct subscription *sub, unsigned code, const char *reason)
{
	if (sub->conn->subscriptions > 1)
		unjoin(sub);
	shut_out(sub, code, reason);
}

static void
write_welcome(const struct subscription *sub, const struct dw_joined *joined, struct dw_buf *out)
{
	const struct conn *conn = sub->conn;
	const struct dw_str room = dw_str(sub->room->id);
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
welcome(struct subscription *sub, const struct dw_joined *joined)
{
	struct conn *conn = sub->conn;
	struct rooms *rooms = &conn->edge->rooms;
	const bool gap = joined->gap.reason != DW_GAP_NONE || joined->direct.reason != DW_GAP_NONE;
	struct dw_buf frames = { 0 };

	write_welcome(sub, joined, &frames);
	room_render_gap(rooms, &frames, sub->room->id, joined->direct, true);
	room_render_gap(rooms, &frames, sub->room->id, joined->gap, false);
	free(sub->request);
	sub->request = NULL;
	sub->state = SUB_READING;
	sub->numbered = (struct run) { dw_n(joined->from), 0 };
	sub->direct = (struct run) { dw_own(joined->from), 0 };
	conn->connected = true;
	sub->confirmed = joined->at; /* a hub that is killed now may not remember that */
	sub_stand(sub, joined->from);
	if (gap)
		written_note(sub, joined->from);
	sub_park(sub);
	if (!dw_buf_ok(&frames))
		conn_close(conn, 1013, "try again later");
	else if (conn_write(conn, (struct dw_str) { frames.data, frames.len }))
		sub_push(sub);
	server_flush(conn->fd);
	/* Maybe nothing follows whose PING would confirm it. */
	if (gap)
		confirm_owe(conn);
	dw_buf_clear(&frames);
	if (conn->early)
		conn_wake(conn, dw_mono_ms());
}

/* The hub counts it. */
static void
join(struct subscription *sub, const struct dw_joined *joined)
{
	struct room *room = sub->room;

	if (!room->streaming)
		room_stream_begin(room, joined->sent);
	if (!sub->joined) {
		sub->joined = true;
		room->joined++;
	}
}

/* It is known to the hub again. What it missed meanwhile follows, from the stream or fed. */
static void
come_back(struct subscription *sub, const struct dw_joined *joined)
{
	if (joined->resume == DW_RESUME_RESET) {
		conn_close(sub->conn, 1012, "service restart");
		return;
	}
	sub->state = SUB_READING;
	if (!dw_position_same(written_acked(sub), dw_position_start()))
		confirmations_add(sub, true);
	/* Of these nothing in the ring may tell. */
	sub->lacks = joined->direct.reason != DW_GAP_NONE;
	sub_stand(sub, sub->at);
	sub_park(sub);
	sub_push(sub);
}

void
sub_joined(struct subscription *sub, const struct dw_joined *joined)
{
	struct conn *conn = sub->conn;

	/* Still `asked` when it closes: the hub may count it, and must be told that it left. */
	if (conn->state != CONN_OPEN || sub->state == SUB_DENIED || joined->corr != sub->stay)
		return;
	sub->asked = false;
	if (joined->code == (uint64_t)-DW_E_DENIED) {
		deny(sub);
	} else if (joined->code == (uint64_t)-DW_E_BUSY) {
		sub->again = true;
		conn_wake(conn, sub->asked_at + AGAIN_MS);
	} else if (joined->code != 0 && sub->request == NULL) {
		conn_close(conn, 1013, "try again later");
	} else if (joined->code != 0) {
		give_up(sub, 1013, "try again later", "unavailable");
	} else {
		join(sub, joined);
		if (sub->request != NULL)
			welcome(sub, joined);
		else
			come_back(sub, joined);
	}
}

uint64_t
sub_due(const struct subscription *sub, uint64_t due)
{
	if (sub->state == SUB_DENIED)
		due = dw_less(due, sub->since + DW_HTTP_DENY_MS);
	else if (sub->state == SUB_JOINING)
		due = dw_less(due, sub->since + JOIN_WAIT_MS);
	if (sub->again)
		due = dw_less(due, sub->asked_at + AGAIN_MS);
	else if (sub->asked)
		due = dw_less(due, sub->asked_at + OVERDUE_MS);
	return due;
}

void
sub_fire(struct subscription *sub, uint64_t now)
{
	if (sub->state == SUB_DENIED && now >= sub->since + DW_HTTP_DENY_MS) {
		give_up(sub, 1008, "access denied", "access_denied");
	} else if (sub->state == SUB_JOINING && now >= sub->since + JOIN_WAIT_MS) {
		give_up(sub, 1013, "try again later", "unavailable");
	} else if (sub->again && now >= sub->asked_at + AGAIN_MS) {
		sub->again = false;
		ask(sub);
	} else if (sub->asked && now >= sub->asked_at + OVERDUE_MS) {
		uplink_doubt(sub->conn->edge->uplink, sub->asked_at);
		if (sub->asked_at + OVERDUE_MS <= now)
			sub->asked_at = now; /* asked about again, not before */
	}
}
