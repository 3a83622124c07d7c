/* The edge's turn, and what the hub's messages do in it: the link to the hub knows neither rooms nor subscriptions, and
 * neither of these knows the other.
 *
 * Happy path: each message of the hub finds its room or subscription; what is for nobody any more is passed over, for
 * the hub learns in order that they left. Then turn_run offers readers what is new (fanout.c), each writes what it
 * lacks (sub_push), and the hub gets credit. Failure modes: a stream that does not follow, or no memory for it: the
 * link starts over; another store: all are closed. Invariant: whoever queues a room outside of a turn asks for one.
 */
#include "turn.h"

#include <stddef.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "client/conn.h"
#include "client/subscription.h"
#include "edge.h"
#include "room/rooms.h"

enum { TURN_US = 1000 };

_Static_assert(offsetof(struct subscription, reader) == 0, "a subscription is its reader");

static void
offer(struct room_reader *reader)
{
	sub_push((struct subscription *)(void *)reader);
}

static void
give_credit(struct edge *edge)
{
	struct credit *credit = &edge->rooms.credit;

	if (credit_due(credit))
		(void)uplink_send(
			edge->uplink, &(struct dw_wire) { .kind = DW_CREDIT, .credit = { .received = credit->credited.messages } });
}

/* A store of another name: what clients hold of the old one means nothing here. */
static void
leave_store(struct conn *conn)
{
	sub_lose_all(conn);
	if (conn->connected)
		conn_close(conn, 1012, "service restart");
}

static void
welcomed(struct edge *edge, bool other)
{
	if (other) {
		dw_log_warn("the hub has another store", NULL);
		conn_each(edge, leave_store);
		rooms_end_streams(edge);
	}
	conn_each(edge, sub_ask_all);
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
	give_credit(edge);
	return true;
}

static struct subscription *
find_sub(struct edge *edge, uint64_t session, struct dw_str room)
{
	struct conn *conn = conn_find(edge, session);

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
	char reason[DW_CLOSE_REASON_MAX + 1];

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

bool
turn_run(struct edge *edge)
{
	const uint64_t end = dw_mono_us() + TURN_US;

	while (edge->rooms.queue != NULL && dw_mono_us() < end) {
		struct room *room = fanout_slice(&edge->rooms, offer);

		if (room == NULL || room_take_deferred(room))
			continue;
		dw_log_warn("a stream of the hub has a hole", "room=%s", room->id);
		uplink_greet(edge->uplink);
	}
	give_credit(edge);
	return edge->rooms.queue != NULL;
}

const struct uplink_events edge_events = {
	.lost = rooms_drop_deferred, .welcomed = welcomed, .said = said, .tick = confirmations_tell, .turn = turn_run
};

void
turn_timers(struct edge *edge, uint64_t now)
{
	(void)dw_wheel_run(&edge->wheel, now, SIZE_MAX);
	if (edge->rooms.queue != NULL)
		uplink_turn(edge->uplink);
}
