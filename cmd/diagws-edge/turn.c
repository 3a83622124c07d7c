/* The turn: see turn.h. Its own file because nothing below knows both the rooms and those who read them.
 *
 * Happy path: the link has taken what came → turn_run gives each room with something new a slice of its readers by
 * turns (fanout.h), each of which writes what it lacks (sub_push) → credit for the hub. Failure modes: what was
 * deferred does not follow (frames were lost on the way): the link starts over. Invariant: whoever queues a room
 * outside of a turn asks for one, so nothing new waits for the next message.
 */
#include "turn.h"

#include <stddef.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "client/reading.h"
#include "client/subscription.h"
#include "edge.h"
#include "hub/uplink.h"
#include "room/fanout.h"
#include "room/rooms.h"
#include "room/stream.h"

enum { TURN_US = 1000 };

_Static_assert(offsetof(struct subscription, reader) == 0, "a subscription is its reader");

static void
offer(struct room_reader *reader)
{
	sub_push((struct subscription *)(void *)reader);
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
		uplink_distrust(edge->uplink);
	}
	turn_credit(edge);
	return edge->rooms.queue != NULL;
}

void
turn_credit(struct edge *edge)
{
	struct credit *credit = &edge->rooms.credit;

	if (credit_due(credit))
		(void)uplink_send(
			edge->uplink, &(struct dw_wire) { .kind = DW_CREDIT, .credit = { .received = credit->credited.messages } });
}

void
turn_timers(struct edge *edge, uint64_t now)
{
	(void)dw_wheel_run(&edge->wheel, now, SIZE_MAX);
	if (edge->rooms.queue != NULL)
		uplink_turn(edge->uplink);
}
