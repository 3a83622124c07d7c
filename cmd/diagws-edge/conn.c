/* Connections: joining, reading the ring, being fed, being confirmed, being closed.
 *
 * Happy path: see conn.h. Failure modes: the hub is away (the client waits, then 1013), it says no
 * (1008 after DENY_MS, so that unknown and forbidden take the same time), the client reads too slowly
 * (it falls off the ring and is fed; 1013 when it takes nothing for --slow-timeout), it is silent, its
 * token ends. Invariants: `confirmed` ≤ `at`; nothing is written while the last write is unfinished.
 */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "diagws/clock.h"
#include "edge.h"
#include "room.h"
#include "server.h"
#include "uplink.h"

enum { RUN_MAX = 256 * 1024, FEED_LIMIT = 1000 };

static void fire(struct wheel_timer *timer);

static struct user *
user_get(struct edge *edge, const char *name)
{
	struct user *user;

	HASH_FIND_STR(edge->users, name, user);
	if (user != NULL)
		return user;
	user = calloc(1, sizeof(*user) + strlen(name) + 1);
	if (user == NULL)
		return NULL;
	memcpy(user->name, name, strlen(name));
	HASH_ADD_STR(edge->users, name, user);
	return user;
}

static void
user_release(struct edge *edge, struct user *user)
{
	if (user == NULL || --user->connections > 0)
		return;
	HASH_DEL(edge->users, user);
	free(user);
}

static void
free_request(struct conn_request **request_p)
{
	if (*request_p == NULL)
		return;
	dw_claims_clear(&(*request_p)->claims);
	free(*request_p);
	*request_p = NULL;
}

struct conn *
conn_new(struct edge *edge, struct lws *wsi, struct conn_request *request)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL) {
		free_request(&request);
		return NULL;
	}
	conn->edge = edge;
	conn->wsi = wsi;
	conn->request = request;
	conn->timer.fire = fire;
	conn->opened_at = conn->heard_at = conn->pinged_at = conn->budget_at = dw_mono_ms();
	conn->budget = CLIENT_BUDGET;
	edge->counts.connections++;
	return conn;
}

static void
set_reason(struct conn *conn, unsigned code, const char *reason)
{
	conn->close_code = (uint16_t)code;
	(void)snprintf(conn->close_reason, sizeof(conn->close_reason), "%s", reason);
}

/* When something is next due for this connection. */
static void
set_timer(struct conn *conn)
{
	uint64_t due = conn->pinged_at + KEEP_ALIVE_MS;
	uint64_t now = dw_mono_ms(), now_s = dw_now_ms() / 1000;
	uint64_t left_ms = conn->expires == 0 ? UINT64_MAX / 2 : conn->expires > now_s ? (conn->expires - now_s) * 1000 : 0;

	if (conn->state == CONN_REFUSED)
		due = conn->opened_at + DENY_MS;
	else if (conn->state == CONN_JOINING)
		due = conn->opened_at + JOIN_WAIT_MS;
	else if (conn->stalled_at > 0 && conn->stalled_at + (uint64_t)conn->edge->config.slow_ms < due)
		due = conn->stalled_at + (uint64_t)conn->edge->config.slow_ms;
	if (conn->again && now + AGAIN_MS < due)
		due = now + AGAIN_MS;
	if (left_ms < due - now || due < now)
		due = due < now ? now : now + left_ms;
	wheel_set(&conn->edge->wheel, &conn->timer, due);
}

static bool
enter_room(struct conn *conn)
{
	conn->room = room_get(conn->edge, conn->request->room);
	if (conn->room == NULL)
		return false;
	DL_APPEND2(conn->room->conns, conn, room_prev, room_next);
	return true;
}

bool
conn_start(struct conn *conn)
{
	struct conn_request *request = conn->request;

	if (request->error != NULL) {
		conn_error(conn, request->error, request->detail);
		conn_close(conn, 1008, request->error);
		return true;
	}
	if (request->refuse != NULL && !request->deny) {
		set_reason(conn, 1008, request->refuse);
		return false;
	}
	if (request->deny) {
		conn->state = CONN_REFUSED;
		set_reason(conn, 1008, request->refuse);
		set_timer(conn);
		return true;
	}
	conn->user = user_get(conn->edge, request->claims.user);
	if (conn->user != NULL && ++conn->user->connections > LIMIT_USER_CONNECTIONS) {
		set_reason(conn, 1008, "rate limit");
		return false;
	}
	if (conn->edge->draining || conn->user == NULL || !enter_room(conn)) {
		set_reason(conn, 1013, "try again later");
		return false;
	}
	conn->expires = request->claims.expires + (uint64_t)conn->edge->config.leeway_ms / 1000;
	conn->derived = request->device[0] == '\0';
	conn->claimed = dw_claims_name(&request->claims, dw_str(request->room));
	(void)dw_str_copy(
		dw_str(conn->derived ? request->claims.device : request->device), conn->device, sizeof(conn->device));
	do {
		conn->session = dw_random();
	} while (conn->session == 0);
	HASH_ADD(hh, conn->edge->sessions, session, sizeof(conn->session), conn);
	conn_ask(conn);
	set_timer(conn);
	return true;
}

/* The hub has it no longer, or never had. */
static void
leave_room(struct conn *conn)
{
	struct room *room = conn->room;

	if (room == NULL)
		return;
	conn->room = NULL;
	DL_DELETE2(room->conns, conn, room_prev, room_next);
	if (conn->joined && --room->joined == 0)
		room_stream_end(room);
	conn->joined = false;
	room_release(room);
}

void
conn_destroy(struct conn **conn_p)
{
	struct conn *conn = *conn_p;

	if (conn == NULL)
		return;
	*conn_p = NULL;
	wheel_cancel(&conn->timer);
	uplink_forget(conn->edge->uplink, conn);
	if (conn->session != 0) {
		if (conn->joined || conn->asked)
			uplink_leave(conn->edge->uplink, conn);
		HASH_DEL(conn->edge->sessions, conn);
	}
	leave_room(conn);
	user_release(conn->edge, conn->user);
	free_request(&conn->request);
	dw_buf_clear(&conn->rx);
	conn->edge->counts.connections--;
	free(conn);
}

void
conn_ask(struct conn *conn)
{
	struct dw_join join = { .session = conn->session };
	const struct conn_request *request = conn->request;

	if (conn->session == 0 || conn->room == NULL)
		return;
	join.corr = conn->session;
	join.room = dw_str(conn->room->id);
	join.user = dw_str(conn->user->name);
	join.device = dw_str(conn->device);
	join.expires = conn->expires;
	join.flags = (conn->derived ? DW_JOIN_DERIVED : 0U) | (conn->claimed ? DW_JOIN_CLAIMED : 0U);
	if (conn->room->streaming) {
		join.flags |= DW_JOIN_HAVE;
		join.have = conn->room->head.seq;
	}
	if (request == NULL) {
		join.flags |= DW_JOIN_RETURN;
		join.after = conn->at.seq;
		join.after_n = conn->at.n;
		join.epoch = dw_str(uplink_epoch(conn->edge->uplink));
	} else {
		join.flags |= (request->has_after ? DW_JOIN_AFTER : 0U) | (request->after_new ? DW_JOIN_NEW : 0U);
		join.after = request->after;
		join.epoch = dw_str(request->epoch);
	}
	conn->asked = uplink_send(conn->edge->uplink, &(struct dw_wire) { .kind = DW_JOIN, .join = join });
}

void
conn_close(struct conn *conn, unsigned code, const char *reason)
{
	if (conn->state == CONN_CLOSING)
		return;
	conn->state = CONN_CLOSING;
	set_reason(conn, code, reason);
	wheel_cancel(&conn->timer);
	server_close(conn->wsi);
}

static void
refuse(struct conn *conn)
{
	if (conn->joined) {
		conn_close(conn, 1008, "access denied");
		return;
	}
	conn->state = CONN_REFUSED;
	set_reason(conn, 1008, "access denied");
	set_timer(conn);
}

static void
write_connect(struct conn *conn, const struct dw_joined *joined, struct dw_buf *out)
{
	struct dw_buf json = { 0 };
	char now[DW_TIME_SIZE];

	dw_time_text(dw_now_ms(), now);
	dw_buf_adds(&json, "{\"type\":\"connect\",\"diagnosis_id\":");
	dw_id_to_json(&json, dw_str(conn->room->id));
	dw_buf_addf(&json,
		",\"timestamp\":\"%s\",\"data\":{\"message\":\"connected\",\"timestamp\":\"%s\",\"diagnosis_id\":", now, now);
	dw_id_to_json(&json, dw_str(conn->room->id));
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

/* Hands ready frames to the kernel. libwebsockets keeps what does not fit and says so. */
static bool
send_frames(struct conn *conn, struct dw_str frames)
{
	switch (server_write(conn->wsi, frames)) {
	case SERVER_DEAD:
		conn_close(conn, 1006, "");
		return false;
	case SERVER_STALLED:
		if (conn->stalled_at == 0) {
			conn->stalled_at = dw_mono_ms();
			set_timer(conn);
		}
		return true;
	case SERVER_DONE:
		break;
	}
	return true;
}

void
conn_tell(struct conn *conn, const char *type, const char *data)
{
	struct dw_buf json = { 0 }, frame = { 0 };
	char now[DW_TIME_SIZE];

	dw_time_text(dw_now_ms(), now);
	dw_buf_addf(&json, "{\"type\":\"%s\",\"diagnosis_id\":", type);
	dw_id_to_json(&json, dw_str(conn->room != NULL ? conn->room->id : conn->request->room));
	dw_buf_addf(&json, ",\"timestamp\":\"%s\",\"data\":%s}", now, data);
	frame_text(&frame, (struct dw_str) { json.data, json.len });
	if (dw_buf_ok(&json) && dw_buf_ok(&frame) && !server_stalled(conn->wsi))
		(void)send_frames(conn, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&json);
	dw_buf_clear(&frame);
}

void
conn_error(struct conn *conn, const char *code, const char *message)
{
	struct dw_buf data = { 0 };

	dw_buf_addf(&data, "{\"code\":\"%s\",\"message\":", code);
	dw_buf_add_json_string(&data, dw_str(message));
	dw_buf_addc(&data, '}');
	if (dw_buf_ok(&data))
		conn_tell(conn, "error", data.data);
	dw_buf_clear(&data);
}

/* The client's own position, from which the ring or the hub goes on. */
static void
set_position(struct conn *conn, struct position at)
{
	conn->at = at;
	conn->behind = !room_covers(conn->room, at.seq);
	conn->next = conn->room->ring != NULL ? dw_log_after(conn->room->ring, at.seq) : 0;
}

static void
welcome(struct conn *conn, const struct dw_joined *joined)
{
	struct dw_buf frames = { 0 };
	struct position at = { joined->from, joined->from_n };

	write_connect(conn, joined, &frames);
	if (joined->gap_reason != DW_GAP_NONE && joined->gap_to >= joined->gap_from) {
		room_render_gap(
			&conn->edge->rooms, &frames, conn->room->id, joined->gap_from, joined->gap_to, joined->gap_reason);
		at.n = joined->gap_to;
	}
	free_request(&conn->request);
	conn->state = CONN_READING;
	conn->confirmed = conn->told = (struct position) { joined->from, joined->from_n };
	set_position(conn, at);
	if (!dw_buf_ok(&frames))
		conn_close(conn, 1013, "try again later");
	else if (send_frames(conn, (struct dw_str) { frames.data, frames.len }))
		conn_push(conn);
	dw_buf_clear(&frames);
	if (conn->state != CONN_CLOSING)
		set_timer(conn);
}

void
conn_joined(struct conn *conn, const struct dw_joined *joined)
{
	struct room *room = conn->room;

	/* Still `asked` when it closes: the hub may count it, and must be told that it left. */
	if (conn->state == CONN_CLOSING || conn->state == CONN_REFUSED || room == NULL)
		return;
	conn->asked = false;
	if (joined->code == (uint64_t)-DW_E_DENIED) {
		refuse(conn);
		return;
	}
	if (joined->code == (uint64_t)-DW_E_BUSY) {
		conn->again = true;
		set_timer(conn);
		return;
	}
	if (joined->code != 0) {
		conn_close(conn, 1013, "try again later");
		return;
	}
	if (!room->streaming)
		room_stream_begin(
			room, (struct position) { joined->sent, joined->gap_reason != DW_GAP_NONE && joined->gap_to > joined->sent_n
														? joined->gap_to
														: joined->sent_n });
	if (!conn->joined) {
		conn->joined = true;
		room->joined++;
	}
	if (conn->request != NULL)
		welcome(conn, joined);
	else if (joined->resume == DW_RESUME_RESET)
		conn_close(conn, 1012, "service restart");
	else
		conn_push(conn);
}

/* Behind the ring: the hub is asked for what follows our position. */
static void
ask_feed(struct conn *conn)
{
	struct dw_wire read = { .kind = DW_READ,
		.read = { .corr = conn->session,
			.session = conn->session,
			.room = dw_str(conn->room->id),
			.after = conn->at.seq,
			.after_n = conn->at.n,
			.limit = FEED_LIMIT } };

	if (conn->asked || !conn->joined)
		return;
	conn->state = CONN_FEEDING;
	conn->asked = uplink_send(conn->edge->uplink, &read);
}

void
conn_fed(struct conn *conn, const struct dw_records *records)
{
	struct rooms *rooms = &conn->edge->rooms;
	struct dw_str rest = records->records;
	struct position at = conn->at;
	struct dw_buf frames = { 0 };
	struct dw_record record;
	int err = DW_E_AGAIN;

	conn->asked = false;
	if (conn->state != CONN_FEEDING)
		return;
	conn->state = CONN_READING;
	if (records->code != 0) {
		conn_close(conn, 1013, "try again later");
		return;
	}
	if (records->gap_reason != DW_GAP_NONE && records->gap_to > at.n) {
		room_render_gap(rooms, &frames, conn->room->id, at.n + 1, records->gap_to, DW_GAP_SLOW);
		at.n = records->gap_to;
	}
	while ((err = dw_record_next(&rest, &record)) == DW_OK) {
		if (record.seq <= at.seq)
			continue;
		room_render(rooms, &frames, conn->room->id, &record);
		at = (struct position) { record.seq, record.n };
	}
	if (records->records.n == 0 && records->head > at.seq)
		at.seq = records->head;
	frame_ping(&frames, at);
	if (err != DW_E_AGAIN || !dw_buf_ok(&frames)) {
		conn_close(conn, 1013, "try again later");
	} else if (send_frames(conn, (struct dw_str) { frames.data, frames.len })) {
		set_position(conn, at);
		conn_push(conn);
	}
	dw_buf_clear(&frames);
}

void
conn_push(struct conn *conn)
{
	struct room *room = conn->room;

	while (conn->state == CONN_READING && conn->stalled_at == 0) {
		const struct dw_log_entry *last;
		struct dw_str run;
		uint64_t next;

		if (conn->behind || room->ring == NULL || conn->next < dw_log_first(room->ring)) {
			set_position(conn, conn->at);
			if (conn->behind) {
				ask_feed(conn);
				return;
			}
			if (room->ring == NULL)
				return;
		}
		/* Fed beyond what the stream had brought: those frames come again, and are passed over. */
		while (conn->next != dw_log_end(room->ring) && dw_log_entry(room->ring, conn->next)->seq < conn->at.seq)
			conn->next++;
		if (conn->next == dw_log_end(room->ring))
			return;
		run = dw_log_run(room->ring, conn->next, RUN_MAX, &next);
		last = dw_log_entry(room->ring, next - 1);
		conn->at = (struct position) { last->seq, last->n };
		conn->next = next;
		if (!send_frames(conn, run))
			return;
	}
}

void
conn_writable(struct conn *conn)
{
	if (conn->state == CONN_CLOSING || server_stalled(conn->wsi))
		return;
	conn->stalled_at = 0;
	conn_push(conn);
}

void
conn_pong(struct conn *conn, const void *payload, size_t n)
{
	struct position position;

	conn->heard_at = dw_mono_ms();
	if (!frame_pong(payload, n, &position) || position.seq > conn->at.seq || position.n > conn->at.n)
		return;
	if (position.seq <= conn->confirmed.seq)
		return;
	conn->confirmed = position;
	uplink_confirmed(conn->edge->uplink, conn);
}

static void
send_keep_alive(struct conn *conn, uint64_t now)
{
	struct dw_buf frame = { 0 };

	conn->pinged_at = now;
	if (server_stalled(conn->wsi))
		return;
	frame_ping(&frame, conn->at);
	if (dw_buf_ok(&frame))
		(void)send_frames(conn, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&frame);
}

static void
fire(struct wheel_timer *timer)
{
	struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, timer));
	uint64_t now = dw_mono_ms();

	if (conn->state == CONN_REFUSED && now >= conn->opened_at + DENY_MS)
		conn_close(conn, conn->close_code, "access denied");
	else if (conn->expires > 0 && dw_now_ms() / 1000 >= conn->expires)
		conn_close(conn, 1008, "token expired");
	else if (conn->state == CONN_JOINING && now >= conn->opened_at + JOIN_WAIT_MS)
		conn_close(conn, 1013, "try again later");
	else if (now >= conn->heard_at + SILENCE_MS)
		conn_close(conn, 1001, "silent");
	else if (conn->stalled_at > 0 && now >= conn->stalled_at + (uint64_t)conn->edge->config.slow_ms)
		conn_close(conn, 1013, "too slow");
	if (conn->state == CONN_CLOSING)
		return;
	if (conn->again) {
		conn->again = false;
		conn_ask(conn);
	}
	if ((conn->state == CONN_READING || conn->state == CONN_FEEDING) && now >= conn->pinged_at + KEEP_ALIVE_MS)
		send_keep_alive(conn, now);
	if (conn->state != CONN_CLOSING)
		set_timer(conn);
}
