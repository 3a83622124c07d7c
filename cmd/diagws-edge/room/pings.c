/* PINGs of rooms: see pings.h. Invariant: one lies behind each message that somebody may confirm, or is owed and has
 * its timer. Failure modes: without memory for one, the next says the same.
 */
#include "pings.h"

#include "base/clock.h"
#include "edge.h"
#include "room/fanout.h"
#include "room/frame.h"
#include "room/render.h"
#include "room/rooms.h"

/* From so many readers on a room is large. A session has one of the turns; flags of an entry: the first that is asked,
 * and how many. */
enum { LARGE_ROOM = 1024, TURNS = 16, FROM_SHIFT = 8, COUNT_SHIFT = 16 };

struct frame_key
ping_key(const struct room *room)
{
	return (struct frame_key) { { room->edge->secret[0], room->edge->secret[1] }, (uintptr_t)room };
}

static uint32_t
ping_flags(unsigned from, unsigned count)
{
	return count < TURNS ? ENTRY_PING | ENTRY_TURNS | from << FROM_SHIFT | count << COUNT_SHIFT : ENTRY_PING;
}

bool
ping_asks(const struct dw_ring_entry *ping, uint64_t session)
{
	const unsigned from = ping->flags >> FROM_SHIFT & (TURNS - 1), count = ping->flags >> COUNT_SHIFT;

	return (ping->flags & ENTRY_TURNS) == 0 || ((session >> 32) - from) % TURNS < count;
}

/* How many turns a PING asks now: as many of them as of the time between two PINGs have passed since the last. One that
 * no message goes with waits for all of that time, and then asks who is left. */
static unsigned
due_turns(const struct room *room, uint64_t now, bool came)
{
	const uint64_t passed = now - room->pinged_at, whole = room->edge->confirm_ms;

	if (passed >= whole)
		return room->unasked;
	return came && room->reader_count >= LARGE_ROOM ? (unsigned)(passed * TURNS / whole) : 0;
}

void
ping_room(struct room *room, bool came)
{
	const uint64_t now = dw_mono_ms(), whole = room->edge->confirm_ms;
	struct dw_buf *frame = &room->edge->rooms.frame;
	const struct frame_key key = ping_key(room);
	unsigned turns;

	if (came)
		room->unasked = TURNS;
	if (!room->streaming || room->unasked == 0)
		return;
	turns = due_turns(room, now, came);
	if (turns < room->unasked && room->ping.link == NULL)
		dw_wheel_set(&room->edge->wheel, &room->ping, room->pinged_at + whole);
	if (turns == 0)
		return;
	dw_buf_reset(frame);
	frame_ping(frame, room->head, &key);
	if (!room_append(room, room->head, ping_flags(room->turn, turns)))
		return;
	room->pinged_at = turns < room->unasked ? room->pinged_at + turns * whole / TURNS : now;
	room->unasked -= turns;
	room->turn = (room->turn + turns) % TURNS;
	fanout_add(room);
}
