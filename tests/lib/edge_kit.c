/* Who comes to an edge, what it hears, what the hub is asked and says: see edge_kit.h. */
#include "edge_kit.h"

#include <libwebsockets.h>
#include <stdio.h>

#include "door/server.h"
#include "frames.h"
#include "room/frame.h"

/* ---- time */

/* As main's loop and the link's tick have it. */
void
pass(uint64_t ms)
{
	while (ms-- > 0) {
		mono++;
		turn_timers(&edge, mono);
		while (turn_run(&edge))
			continue;
		if (hub.up && mono % 100 == 0)
			edge_events.tick(&edge);
	}
}

/* ---- who comes, what it says and hears */

struct client *
arrive(const char *room, const char *arguments, const char *user)
{
	struct client *client = client_new();
	char path[128];

	(void)snprintf(path, sizeof(path), "/ws/%s", room);
	headers[WSI_TOKEN_GET_URI] = path;
	headers[WSI_TOKEN_HTTP_URI_ARGS] = arguments;
	if (headers[WSI_TOKEN_HTTP_AUTHORIZATION] == NULL)
		headers[WSI_TOKEN_HTTP_AUTHORIZATION] = "Bearer t";
	token.user = user;
	if (ws_filter(&edge, (struct lws *)(void *)client, &client->conn) == 0)
		conn_start(client->conn);
	headers[WSI_TOKEN_GET_URI] = headers[WSI_TOKEN_HTTP_URI_ARGS] = headers[WSI_TOKEN_HTTP_AUTHORIZATION] = NULL;
	return client;
}

void
leaves(struct client *client)
{
	conn_destroy(&client->conn);
}

void
says_piece(struct client *client, const char *bytes, struct piece what)
{
	piece = what;
	(void)ws_receive(client->conn->wsi, client->conn, bytes, strlen(bytes));
}

void
says(struct client *client, const char *json)
{
	says_piece(client, json, (struct piece) { .first = true, .final = true });
}

static void
keep(struct dw_buf *buffer, struct dw_str bytes)
{
	dw_buf_reset(buffer);
	dw_buf_add(buffer, bytes.p, bytes.n);
	dw_buf_addc(buffer, '\0');
	buffer->len--;
}

const char *
hears(struct client *client)
{
	struct dw_str rest = { client->sent.data + client->read, client->sent.len - client->read }, payload;
	unsigned op;

	while (next_frame(&rest, &op, &payload)) {
		client->read = client->sent.len - rest.n;
		assert_int_equal(client->close_code, 0);
		switch (op) {
		case OP_TEXT:
			keep(&client->text, payload);
			return client->text.data;
		case OP_PING:
			keep(&client->ping, payload);
			client->pings++;
			break;
		default:
			assert_int_equal(op, OP_CLOSE);
			client->close_code = payload.n >= 2 ? (uint8_t)payload.p[0] * 256U + (uint8_t)payload.p[1] : 1005;
			if (payload.n >= 2)
				(void)dw_str_copy(
					dw_bytes(payload.p + 2, payload.n - 2), client->close_reason, sizeof(client->close_reason));
		}
	}
	return NULL;
}

void
assert_hears(struct client *client, const char *type, const char *part)
{
	const char *text = hears(client);
	char begin[96];

	(void)snprintf(begin, sizeof(begin), "{\"type\":\"%s\",", type);
	if (text == NULL)
		fail_msg("it hears nothing, and not %s with %s", type, part);
	else if (strncmp(text, begin, strlen(begin)) != 0 || strstr(text, part) == NULL)
		fail_msg("it hears %.200s, and not %s with %s", text, type, part);
}

void
assert_hears_nothing(struct client *client)
{
	const char *text = hears(client);

	if (text != NULL)
		fail_msg("it hears %.200s", text);
}

unsigned
hears_all(struct client *client)
{
	unsigned count = 0;

	while (hears(client) != NULL)
		count++;
	return count;
}

void
assert_refused(struct client *client, const char *code, const char *field, const char *words)
{
	char part[128];

	(void)snprintf(part, sizeof(part), "\"code\":\"%s\"", code);
	assert_hears(client, "error", part);
	assert_non_null(strstr(client->text.data, words));
	(void)snprintf(part, sizeof(part), "\"field\":\"%s\"", field != NULL ? field : "");
	assert_int_equal(strstr(client->text.data, part) != NULL, field != NULL);
}

void
assert_closes(const struct client *client, unsigned code, const char *reason)
{
	assert_true(client->closing);
	assert_int_equal(client->conn->close_code, code);
	assert_string_equal(client->conn->close_reason, reason);
}

void
assert_stays(const struct client *client)
{
	assert_false(client->closing);
	assert_false(client->cut);
	assert_int_equal(client->conn->state, CONN_OPEN);
}

void
pong(struct client *client)
{
	assert_true(client->pings > 0);
	(void)ws_pong(client->conn, client->ping.data, client->ping.len);
}

struct subscription *
watches(const struct client *client, const char *room)
{
	return sub_find(client->conn, room_find(&edge, dw_str(room)));
}

/* ---- the hub */

static struct dw_wire
next_note(struct notes *notes)
{
	struct dw_str rest = { notes->bytes + notes->read, notes->written - notes->read };
	struct dw_wire message = { 0 };
	struct dw_fault fault;

	if (rest.n > 0)
		assert_int_equal(dw_wire_next(&rest, &message, &fault), DW_OK);
	notes->read = notes->written - rest.n;
	return message;
}

struct dw_wire
asked(enum dw_wire_kind kind)
{
	const struct dw_wire message = next_note(&hub.asked);

	assert_int_equal(message.kind, kind);
	return message;
}

void
assert_asked_nothing(void)
{
	assert_int_equal(next_note(&hub.asked).kind, 0);
}

struct dw_leave
departed(void)
{
	const struct dw_wire message = next_note(&hub.departed);

	assert_int_equal(message.kind, DW_LEAVE);
	return message.leave;
}

void
assert_nobody_departed(void)
{
	assert_int_equal(next_note(&hub.departed).kind, 0);
}

void
said(const struct dw_wire *message)
{
	assert_true(edge_events.said(&edge, message));
	while (turn_run(&edge))
		continue;
}

struct dw_joined
an_answer(const struct dw_join *join, struct dw_position at)
{
	return (struct dw_joined) { .corr = join->corr,
		.session = join->session,
		.room = join->room,
		.device = join->device,
		.resume = DW_RESUME_EXACT,
		.at = at,
		.from = at,
		.sent = at,
		.head = dw_seq(at) };
}

void
answer(struct dw_joined joined)
{
	said(&(struct dw_wire) { .kind = DW_JOINED, .joined = joined });
}

void
refuse(const struct dw_join *join, int err)
{
	struct dw_joined joined = an_answer(join, dw_position_start());

	joined.code = (uint64_t)-err;
	answer(joined);
}

/* Where the stream stands in a room, or where it is to begin. */
static struct dw_position
stream_of(struct dw_str id, struct dw_position otherwise)
{
	const struct room *room = room_find(&edge, id);

	return room != NULL && room->streaming ? room->head : otherwise;
}

static void
let_in(const struct dw_join *join, struct dw_position at)
{
	struct dw_joined joined = an_answer(join, at);

	joined.sent = stream_of(join->room, at);
	answer(joined);
}

struct client *
enters(const char *room, const char *arguments, const char *user, struct dw_position at)
{
	struct client *client = arrive(room, arguments, user);
	const struct dw_join join = asked(DW_JOIN).join;

	let_in(&join, at);
	assert_hears(client, "connect", "\"resume\":\"exact\"");
	return client;
}

void
subscribes(struct client *client, const char *room, struct dw_position at)
{
	char json[128];
	struct dw_join join;

	(void)snprintf(json, sizeof(json), "{\"type\":\"subscribe\",\"diagnosis_id\":\"%s\"}", room);
	says(client, json);
	join = asked(DW_JOIN).join;
	let_in(&join, at);
	assert_hears(client, "subscribed", room);
}

struct dw_record
a_record(uint64_t seq, uint64_t n)
{
	return (struct dw_record) {
		.seq = seq, .n = n, .at = WALL, .type = DW_STR("a_update"), .id = DW_STR("i"), .data = DW_STR("{}")
	};
}

struct dw_str
records_of(const struct dw_record *records, size_t count)
{
	static struct dw_buf packed;

	dw_buf_reset(&packed);
	for (size_t i = 0; i < count; i++)
		dw_record_pack(&packed, &records[i]);
	return (struct dw_str) { packed.data, packed.len };
}

void
bring(const char *room, struct dw_record record)
{
	said(&(struct dw_wire) { .kind = DW_MESSAGES,
		.messages = { .room = dw_str(room),
			.prev = stream_of(dw_str(room), dw_position_start()),
			.reason = DW_GAP_LIMIT,
			.records = records_of(&record, 1) } });
}

void
bring_some(const char *room, uint64_t seq, uint64_t n, unsigned count)
{
	while (count-- > 0)
		bring(room, a_record(seq++, n++));
}

void
bring_large(const char *room, uint64_t seq, uint64_t n, size_t size)
{
	struct dw_record record = a_record(seq, n);
	char *data = malloc(size);

	assert_non_null(data);
	memset(data, 'x', size);
	memcpy(data, "{\"x\":\"", 6);
	memcpy(data + size - 2, "\"}", 2);
	record.data = (struct dw_str) { data, size };
	bring(room, record);
	free(data);
}

void
feed(const struct dw_read *read, struct dw_records answer, const struct dw_record *records, size_t count)
{
	answer.corr = read->corr;
	answer.room = read->room;
	answer.stay = read->stay;
	answer.records = records_of(records, count);
	said(&(struct dw_wire) { .kind = DW_RECORDS, .records = answer });
}

void
hub_goes(void)
{
	hub.up = false;
	edge_events.lost(&edge);
}

void
hub_comes(const char *epoch)
{
	const bool other = strcmp(epoch, hub.epoch) != 0;

	hub.up = true;
	(void)dw_str_copy(dw_str(epoch), hub.epoch, sizeof(hub.epoch));
	edge_events.welcomed(&edge, other);
}

/* ---- each test has an edge of its own */

static int
set_up(void **state)
{
	(void)state;
	world_begin();
	edge = (struct edge) { .secret = { 1, 2 }, .confirm_ms = CONFIRM_MS, .adapted_at = mono };
	edge.config.slow_ms = 10 * 1000;
	token = (struct token) { .device = "sid" };
	dw_wheel_init(&edge.wheel, mono);
	assert_int_equal(dw_http_limits_init(&edge.limits, &edge.config.bounds), DW_OK);
	return frame_open() ? 0 : 1;
}

/* Nothing is left of those who were there. */
static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLIENTS; i++)
		if (client_at(i)->conn != NULL)
			leaves(client_at(i));
	assert_int_equal(edge.counts.connections, 0);
	assert_int_equal(edge.sessions.count, 0);
	assert_null(edge.conns);
	assert_null(edge.confirmations);
	assert_null(edge.requests);
	assert_null(edge.rooms.queue);
	assert_null(edge.rooms.credit.deferred);
	rooms_clear(&edge);
	free(edge.sessions.chains);
	dw_http_limits_clear(&edge.limits);
	free(edge.rooms.by_id.chains);
	world_end();
	return 0;
}

int
run_on_edges(const struct plain_test *tests, size_t count)
{
	return run_plain_tests(tests, count, set_up, tear_down);
}
