/* Slices of readers: see fanout.h.
 *
 * A room's readers are a ring of their own: `cursor` is the next to be offered something, `left` how many from there on
 * have not been since the newest message came. Messages that come meanwhile only set `left` to all of them; nobody is
 * moved, nothing is counted for a reader.
 * Failure modes: none; a reader that cannot take anything leaves (watch_park), which may be while it is offered.
 * Invariants: left ≤ reader_count; a room is queued while left > 0.
 */
#include "fanout.h"

#include <utlist.h>

#include "client/watch.h"
#include "edge.h"
#include "room/rooms.h"

enum { SLICE = 64 }; /* readers of a room by turns: about half a millisecond */

void
fanout_enter(struct watch *watch)
{
	struct room *room = watch->room;

	DL_APPEND2(room->readers, watch, room_prev, room_next);
	room->reader_count++;
	/* It may lie among those that are left, and must not push the last of them out. */
	if (room->left > 0)
		room->left++;
}

void
fanout_leave(struct watch *watch)
{
	struct room *room = watch->room;

	if (room->cursor == watch)
		room->cursor = watch->room_next;
	DL_DELETE2(room->readers, watch, room_prev, room_next);
	room->reader_count--;
	if (room->left > room->reader_count)
		room->left = room->reader_count;
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
fanout_slice(struct rooms *rooms, void (*offer)(struct watch *reader))
{
	struct room *room = rooms->queue;

	for (int i = 0; i < SLICE && room->left > 0; i++) {
		struct watch *watch = room->cursor != NULL ? room->cursor : room->readers;

		room->cursor = watch->room_next;
		room->left--;
		__builtin_prefetch(room->cursor);
		offer(watch);
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
