/* What a client says on its WebSocket: one JSON object a message, answered or refused by name. Its
 * own file because it is all input from strangers: bounds first, then JSON, then the verb.
 */
#include <string.h>

#include "conn.h"
#include "diagws/clock.h"
#include "diagws/json.h"
#include "edge.h"
#include "room.h"
#include "uplink.h"

static void
take_ping(struct conn *conn, const struct dw_json *json)
{
	char now[DW_TIME_SIZE], data[64];

	(void)json;
	dw_time_text(dw_now_ms(), now);
	(void)snprintf(data, sizeof(data), "{\"timestamp\":\"%s\"}", now);
	conn_tell(conn, "pong", data);
}

/* {"type":"ack","seq":N}: as good as a PONG, up to what was written. */
static void
take_ack(struct conn *conn, const struct dw_json *json)
{
	const struct dw_json_member *seq = dw_json_get(json, "seq");
	const struct dw_log *ring = conn->room->ring;
	uint64_t index;

	if (seq == NULL || seq->type != DW_JSON_INTEGER || seq->integer < 0) {
		conn_error(conn, "invalid_field", "field 'seq': a whole number, the seq of a message that was received");
		return;
	}
	if ((uint64_t)seq->integer > conn->at.seq) {
		conn_error(conn, "invalid_field", "field 'seq': nothing with this seq was sent on this connection");
		return;
	}
	if (ring == NULL || (uint64_t)seq->integer <= conn->confirmed.seq)
		return;
	index = dw_log_after(ring, (uint64_t)seq->integer);
	if (index == dw_log_first(ring))
		return;
	conn->confirmed = (struct position) { dw_log_entry(ring, index - 1)->seq, dw_log_entry(ring, index - 1)->n };
	uplink_confirmed(conn->edge->uplink, conn);
}

static void
take_later(struct conn *conn, const struct dw_json *json)
{
	(void)json;
	conn_error(conn, "unsupported", "not supported by this version");
}

static const struct {
	const char *type;
	void (*take)(struct conn *conn, const struct dw_json *json);
} verbs[] = {
	{ "ping", take_ping },
	{ "ack", take_ack },
	{ "subscribe", take_later },
	{ "unsubscribe", take_later },
	{ "auth", take_later },
};

static void
take_message(struct conn *conn, const struct dw_json *json)
{
	const struct dw_json_member *type = dw_json_get(json, "type");

	if (type == NULL || type->type != DW_JSON_STRING) {
		conn_error(conn, "invalid_field", "field 'type' is missing or no string");
		return;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (dw_str_is(type->text, verbs[i].type)) {
			verbs[i].take(conn, json);
			return;
		}
	}
	conn_error(conn, "unknown_type", "field 'type': known are ping, ack, subscribe, unsubscribe and auth");
}

/* CLIENT_BUDGET messages at once, then CLIENT_RATE a second. */
static bool
within_budget(struct conn *conn)
{
	uint64_t now = dw_mono_ms();
	uint64_t earned = (now - conn->budget_at) * CLIENT_RATE / 1000;

	if (earned > 0) {
		conn->budget_at = now;
		conn->budget = conn->budget + earned > CLIENT_BUDGET ? CLIENT_BUDGET : conn->budget + (uint32_t)earned;
	}
	if (conn->budget == 0)
		return false;
	conn->budget--;
	return true;
}

void
conn_text(struct conn *conn)
{
	struct dw_fault fault = { 0 };
	struct dw_json *json = NULL;

	conn->heard_at = dw_mono_ms();
	if (conn->state == CONN_CLOSING || conn->state == CONN_REFUSED || conn->room == NULL)
		return;
	if (!within_budget(conn)) {
		conn_close(conn, 1008, "rate limit");
		return;
	}
	if (conn->rx_total > LIMIT_CLIENT_MESSAGE)
		conn_error(conn, "too_big", "a message may have 8192 bytes");
	else if (dw_json_parse(&json, conn->rx.data != NULL ? conn->rx.data : "", conn->rx.len, &fault) != DW_OK)
		conn_error(conn, "bad_json", fault.message);
	else if (dw_json_type(json) != DW_JSON_OBJECT)
		conn_error(conn, "bad_json", "a message is a JSON object");
	else
		take_message(conn, json);
	dw_json_destroy(&json);
}
