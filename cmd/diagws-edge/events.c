/* What comes of the hub's messages: rooms take the stream, subscriptions are let in, fed and closed. Its own file
 * because the link knows neither, and neither knows the other.
 *
 * Happy path: MESSAGES → room_take, JOINED → sub_joined, RECORDS → sub_fed; each looks for whom it is by session
 * and room, and what is for nobody any more is passed over: the hub learns in order that they left. Failure modes: a
 * stream that does not follow, or no memory for it (false: the link starts over); another store (all are closed).
 */
#include "events.h"

#include "cli/logging.h"
#include "client/confirmations.h"
#include "client/conn.h"
#include "client/reading.h"
#include "client/sessions.h"
#include "client/subscription.h"
#include "client/subscriptions.h"
#include "edge.h"
#include "room/rooms.h"
#include "room/stream.h"
#include "turn.h"

/* A store of another name: what clients hold of the old one means nothing here. */
static void
leave_store(struct edge *edge)
{
	struct conn *conn;
	size_t place = 0;

	dw_log_warn("the hub has another store", NULL);
	while ((conn = sessions_each(&edge->sessions, &place)) != NULL) {
		sub_lose_all(conn);
		if (conn->connected)
			conn_close(conn, 1012, "service restart");
	}
	rooms_end_streams(edge);
}

static void
welcomed(struct edge *edge, bool other)
{
	struct conn *conn;
	size_t place = 0;

	if (other)
		leave_store(edge);
	while ((conn = sessions_each(&edge->sessions, &place)) != NULL)
		sub_ask_all(conn);
}

static bool
take_messages(struct edge *edge, const struct dw_messages *messages)
{
	struct room *room = room_find(edge, messages->room);

	credit_came(&edge->rooms.credit, messages->records.n);
	/* A room that was left meanwhile: the hub learns of it in order, so this is no fault. */
	if (room != NULL && room->streaming && !room_take(room, messages)) {
		dw_log_warn("a stream of the hub has a hole", "room=%s", room->id);
		return false;
	}
	turn_credit(edge);
	return true;
}

static struct subscription *
find_sub(struct edge *edge, uint64_t session, struct dw_str room)
{
	struct conn *conn = sessions_find(&edge->sessions, session);

	return conn != NULL ? sub_find(conn, room_find(edge, room)) : NULL;
}

static bool
take_joined(struct edge *edge, const struct dw_joined *joined)
{
	struct room *room = room_find(edge, joined->room);
	struct subscription *sub = find_sub(edge, joined->session, joined->room);

	/* So it is also when that client has gone. */
	if (joined->code == 0 && room != NULL && room->streaming && !room_stream_at(room, joined->sent))
		return false;
	if (sub != NULL)
		sub_joined(sub, joined);
	return true;
}

static void
take_records(struct edge *edge, const struct dw_records *records)
{
	struct subscription *sub = find_sub(edge, records->corr, records->room);

	if (sub != NULL)
		sub_fed(sub, records);
}

static void
take_close(struct edge *edge, const struct dw_close *order)
{
	struct subscription *sub = find_sub(edge, order->session, order->room);
	char reason[32] = "";

	if (sub == NULL || order->stay != sub->stay)
		return;
	(void)dw_str_copy(order->reason, reason, sizeof(reason));
	sub_closed(sub, (unsigned)order->code, reason);
}

static bool
said(struct edge *edge, const struct dw_wire *message)
{
	switch (message->kind) {
	case DW_MESSAGES:
		return take_messages(edge, &message->messages);
	case DW_JOINED:
		return take_joined(edge, &message->joined);
	case DW_RECORDS:
		take_records(edge, &message->records);
		return true;
	case DW_CLOSE:
		take_close(edge, &message->close);
		return true;
	default:
		return true;
	}
}

static void
tick(struct edge *edge)
{
	confirmations_tell(&edge->confirmations, edge->uplink);
}

const struct uplink_events edge_events = {
	.lost = rooms_drop_deferred, .welcomed = welcomed, .said = said, .tick = tick, .turn = turn_run
};
