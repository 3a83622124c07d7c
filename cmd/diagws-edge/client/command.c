/* What a client says on its WebSocket: one JSON object a message. All input from strangers: bounds first, then JSON,
 * then the verb.
 */
#include "conn.h"

#include <string.h>

#include "base/clock.h"
#include "client/subscription.h"
#include "edge.h"
#include "json/json.h"
#include "room/rooms.h"

enum { LIMIT_SUBSCRIPTIONS = 64 }; /* rooms on one connection */

static void
take_ping(struct conn *conn, const struct dw_json *json)
{
	char now[DW_TIME_SIZE], data[64];

	(void)json;
	dw_time_text(dw_now_ms(), now);
	(void)snprintf(data, sizeof(data), "{\"timestamp\":\"%s\"}", now);
	conn_tell(conn, "pong", NULL, data);
}

/* The room that a message names, in out. NULL: it names none well; the client was told. */
static const char *
read_room(struct conn *conn, const struct dw_json *json, char out[DW_ROOM_MAX + 1])
{
	const struct dw_json_member *member = dw_json_get(json, "diagnosis_id");
	struct dw_fault fault = { 0 };

	if (member != NULL && dw_id_from_json(member, out, DW_ROOM_MAX + 1, &fault) == DW_OK && dw_room_ok(dw_str(out)))
		return out;
	conn_error(conn, NULL, "invalid_field", "diagnosis_id",
		"field 'diagnosis_id': 1 to 64 of A-Z a-z 0-9 _ -, or a whole number");
	return NULL;
}

/* The subscription that a message is about: of the room that it names, or the only one. NULL: the client was told. */
static struct subscription *
find_sub(struct conn *conn, const struct dw_json *json)
{
	char id[DW_ROOM_MAX + 1];
	struct subscription *sub = sub_first(conn);

	if (dw_json_get(json, "diagnosis_id") == NULL && conn->subscriptions == 1)
		return sub;
	if (read_room(conn, json, id) == NULL)
		return NULL;
	sub = sub_find(conn, room_find(conn->edge, dw_str(id)));
	if (sub == NULL)
		conn_error(conn, id, "not_subscribed", "diagnosis_id", "this connection does not watch this diagnosis");
	return sub;
}

/* {"type":"ack","seq":N}: everything up to N was received. */
static void
take_ack(struct conn *conn, const struct dw_json *json)
{
	const struct dw_json_member *seq = dw_json_get(json, "seq");
	struct subscription *sub = find_sub(conn, json);

	if (sub == NULL)
		return;
	if (seq == NULL || seq->type != DW_JSON_INTEGER || seq->integer < 0)
		conn_error(conn, sub->room->id, "invalid_field", "seq",
			"field 'seq': a whole number, the seq of a message that was received");
	else if (!confirm_ack(sub, (uint64_t)seq->integer))
		conn_error(conn, sub->room->id, "invalid_field", "seq",
			"field 'seq': nothing with this seq was sent on this connection");
}

/* Where to begin. False: a field is wrong; the client was told. */
static bool
read_from(struct conn *conn, const char *room, const struct dw_json *json, struct sub_request *from)
{
	const struct dw_json_member *after = dw_json_get(json, "after"), *epoch = dw_json_get(json, "epoch");

	if (after != NULL && after->type != DW_JSON_NULL) {
		from->after_new = after->type == DW_JSON_STRING && dw_str_is(after->text, "new");
		from->has_after = !from->after_new;
		if (from->has_after && (after->type != DW_JSON_INTEGER || after->integer < 0)) {
			conn_error(conn, room, "invalid_field", "after", "field 'after': a seq or \"new\"");
			return false;
		}
		from->after = from->has_after ? (uint64_t)after->integer : 0;
	}
	if (epoch != NULL && epoch->type != DW_JSON_NULL &&
		(epoch->type != DW_JSON_STRING || !dw_device_ok(epoch->text) ||
			!dw_str_copy(epoch->text, from->epoch, sizeof(from->epoch)))) {
		conn_error(conn, room, "invalid_field", "epoch", "field 'epoch': what a `connect` gave");
		return false;
	}
	return true;
}

/* {"type":"subscribe","diagnosis_id":124,"after":SEQ|"new","epoch":…}: one more room. */
static void
take_subscribe(struct conn *conn, const struct dw_json *json)
{
	struct sub_request from = { 0 };
	char room[DW_ROOM_MAX + 1];

	if (read_room(conn, json, room) == NULL || !read_from(conn, room, json, &from))
		return;
	if (sub_find(conn, room_find(conn->edge, dw_str(room))) != NULL) {
		conn_error(conn, room, "already_subscribed", "diagnosis_id", "this connection watches this diagnosis");
		return;
	}
	if (conn->subscriptions >= LIMIT_SUBSCRIPTIONS) {
		conn_error(conn, room, "too_many", "diagnosis_id", "one connection may watch 64 diagnoses");
		return;
	}
	conn->many = true;
	confirm_owe(conn);
	if (sub_open(conn, room, conn_claims(conn, dw_str(room)), &from) == NULL)
		conn_close(conn, 1013, "try again later");
}

static void
take_unsubscribe(struct conn *conn, const struct dw_json *json)
{
	char room[DW_ROOM_MAX + 1];
	struct subscription *sub = read_room(conn, json, room) != NULL ? find_sub(conn, json) : NULL;

	if (sub == NULL)
		return;
	conn->many = true;
	confirm_owe(conn);
	sub_end(sub);
	conn_tell(conn, "unsubscribed", room, "{}");
}

/* {"type":"auth","token":…} */
static void
take_auth(struct conn *conn, const struct dw_json *json)
{
	const struct dw_json_member *token = dw_json_get(json, "token");

	if (token == NULL || token->type != DW_JSON_STRING)
		conn_error(conn, NULL, "invalid_field", "token", "field 'token' is missing or no string");
	else
		auth_take(conn, token->text);
}

static const struct {
	const char *type;
	void (*take)(struct conn *conn, const struct dw_json *json);
} verbs[] = {
	{ "ping", take_ping },
	{ "ack", take_ack },
	{ "subscribe", take_subscribe },
	{ "unsubscribe", take_unsubscribe },
	{ "auth", take_auth },
};

static void
take_message(struct conn *conn, const struct dw_json *json)
{
	const struct dw_json_member *type = dw_json_get(json, "type");

	if (type == NULL || type->type != DW_JSON_STRING) {
		conn_error(conn, NULL, "invalid_field", "type", "field 'type' is missing or no string");
		return;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (dw_str_is(type->text, verbs[i].type)) {
			verbs[i].take(conn, json);
			return;
		}
	}
	conn_error(
		conn, NULL, "unknown_type", "type", "field 'type': known are ping, ack, subscribe, unsubscribe and auth");
}

/* Before it is known who that is, a client may say one thing, and nothing else goes on. */
static void
take_first(struct conn *conn, const struct dw_json *json)
{
	const struct dw_json_member *type = json != NULL ? dw_json_get(json, "type") : NULL;

	if (type != NULL && type->type == DW_JSON_STRING && dw_str_is(type->text, "auth"))
		take_auth(conn, json);
	else if (json != NULL)
		conn_error(conn, NULL, dw_err_code(DW_E_TOKEN_MISSING), "type",
			"the first message is {\"type\":\"auth\",\"token\":\"...\"}");
	if (conn->state == CONN_AWAITING)
		conn_close(conn, 1008, dw_err_text(DW_E_TOKEN_MISSING));
}

/* CLIENT_BUDGET messages at once, then CLIENT_RATE a second; and of all connections of a user what requests it may
 * make. */
static bool
within_budget(struct conn *conn)
{
	return noise_may(&conn->budget_at, conn->heard_at, CLIENT_BUDGET) &&
		   (conn->user == NULL || conn->service ||
			   dw_http_limits_user(&conn->edge->limits, DW_HTTP_USER_REQUESTS, conn->user->name) == DW_OK);
}

/* An object within bounds; NULL: it is none, and the client was told. */
static struct dw_json *
read_message(struct conn *conn, const struct incoming *rx)
{
	struct dw_fault fault = { 0 };
	struct dw_json *json = NULL;

	if (rx->total > LIMIT_CLIENT_MESSAGE) {
		conn_error(conn, NULL, "too_big", NULL, "a message may have 8192 bytes");
	} else if (dw_json_parse(&json, rx->text.data != NULL ? rx->text.data : "", rx->text.len, &fault) != DW_OK) {
		conn_error(conn, NULL, "bad_json", NULL, fault.message);
	} else if (dw_json_type(json) != DW_JSON_OBJECT) {
		conn_error(conn, NULL, "bad_json", NULL, "a message is a JSON object");
		dw_json_destroy(&json);
	}
	return json;
}

void
conn_text(struct conn *conn, const struct incoming *rx)
{
	struct dw_json *json;

	conn->heard_at = dw_mono_ms();
	if ((conn->state != CONN_OPEN && conn->state != CONN_AWAITING) || conn->over)
		return;
	if (!within_budget(conn)) {
		noise_abuse(conn);
		return;
	}
	json = read_message(conn, rx);
	if (conn->state == CONN_AWAITING)
		take_first(conn, json);
	else if (json != NULL)
		take_message(conn, json);
	dw_json_destroy(&json);
}
