/* Slices of readers: see rooms.h.
 *
 * A room's readers are a ring of their own: `cursor` is the next to be offered something, `left` how many from there on
 * have not been since the newest message came, which only sets `left` to all of them. A reader may leave (fanout_park)
 * while it is offered something. Invariants: left ≤ reader_count; a room is queued while left > 0.
 */
#include "rooms.h"

#include <utlist.h>

#include "edge.h"

enum { SLICE = 64 }; /* readers of a room by turns: about half a millisecond */

void
fanout_park(struct room *room, struct room_reader *reader)
{
	if (room->cursor == reader)
		room->cursor = reader->next;
	DL_DELETE(room->readers, reader);
	room->reader_count--;
	if (room->left > room->reader_count)
		room->left = room->reader_count;
	DL_APPEND(room->parked, reader);
}

void
fanout_enter(struct room *room, struct room_reader *reader)
{
	DL_DELETE(room->parked, reader);
	DL_APPEND(room->readers, reader);
	room->reader_count++;
	/* It may lie among those that are left, and must not push the last of them out. */
	if (room->left > 0)
		room->left++;
}

void
fanout_add(struct room *room)
{
	room->left = room->reader_count;
	if (room->queued)
		return;
	room->queued = true;
	DL_APPEND2(room->edge->rooms.queue, room, queue_prev, queue_next);
}

void
fanout_remove(struct room *room)
{
	if (room->queued)
		DL_DELETE2(room->edge->rooms.queue, room, queue_prev, queue_next);
	room->queued = false;
}

bool
fanout_full(const struct room *room, size_t n)
{
	return room->reader_count > 0 && room->unwritten > 0 && room->unwritten + n > LIMIT_RING;
}

struct room *
fanout_slice(struct rooms *rooms, void (*offer)(struct room_reader *reader))
{
	struct room *room = rooms->queue;

	for (int i = 0; i < SLICE && room->left > 0; i++) {
		struct room_reader *reader = room->cursor != NULL ? room->cursor : room->readers;

		room->cursor = reader->next;
		room->left--;
		__builtin_prefetch(room->cursor);
		offer(reader);
	}
	fanout_remove(room);
	if (room->left > 0) {
		room->queued = true;
		DL_APPEND2(rooms->queue, room, queue_prev, queue_next);
		return NULL;
	}
	room->unwritten = 0;
	return room;
}
