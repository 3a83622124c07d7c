/* What is a gap: the messages between where a reader stands and the oldest that its room still has.
 *
 * Its own file because this is the one place that decides it, by numbers alone: a message to everyone is counted by the
 * room's n, a direct one by its user's own. What moves the oldest is in room.c; who is told, and when, is up to those
 * who ask: a join, a poll, an edge's stream.
 */
#include "room/parts.h"

struct dw_gap
dw_room_gap(const struct dw_room *room, struct dw_position at)
{
	if (dw_n(at) + 1 >= room->oldest_n)
		return (struct dw_gap) { 0, 0, DW_GAP_NONE };
	/* With as many behind it as are retained, its age does not matter. */
	return (struct dw_gap) { dw_n(at) + 1, room->oldest_n - 1,
		dw_room_retained(room) >= room->all->queue_limit ? DW_GAP_LIMIT : DW_GAP_EXPIRED };
}

bool
dw_room_is_crowded(const struct dw_room *room)
{
	return dw_ring_count(room->direct) >= room->all->queue_limit * DW_HISTORY_TIMES;
}

struct dw_gap
dw_room_direct_gap(const struct dw_room *room, struct dw_str user, struct dw_position at)
{
	const struct dw_member *member = dw_room_member(room, user);

	if (member == NULL || dw_own(at) + 1 >= member->first_own)
		return (struct dw_gap) { 0, 0, DW_GAP_NONE };
	return (struct dw_gap) { dw_own(at) + 1, member->first_own - 1,
		member->own + 1 - member->first_own >= room->all->queue_limit || dw_room_is_crowded(room) ? DW_GAP_LIMIT
																								  : DW_GAP_EXPIRED };
}
