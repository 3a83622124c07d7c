/* What is queued in a room: the messages to everyone behind the device that is furthest behind, and each direct message
 * that some device of its user has not confirmed. Without a device, all that are retained.
 *
 * Its own file because these numbers are kept while things change: statistics of 100,000 rooms cost a few additions.
 *   - each entry of the log counts, in its flags, the devices that have confirmed up to it and no further; `behind`
 *     counts those before the oldest entry. `low_n` is where the last of them all stands: when the only device there
 *     goes on, low_n moves to the next entry with a device, which is at most as far as that device went;
 *   - a member knows how many of its direct messages are queued, and looks at its few devices when that may change;
 *   - dw_room_sum_up carries what that makes of the room into the sums of all rooms.
 * A room that is not resident keeps low_n and direct_queued as they were.
 *
 * Failure modes: none. While a device is ahead of the room's n, where a store was restored (`ahead`), each message
 * counts anew, for it may reach one.
 */
#include <assert.h>
#include <utlist.h>

#include "room/parts.h"

/* Where devices that have confirmed up to n are counted. */
static uint32_t *
devices_at(struct dw_room *room, uint64_t n)
{
	if (n < room->oldest_n)
		return &room->behind;
	if (n > room->n)
		return &room->ahead;
	return dw_ring_flags(room->log, room->n - n);
}

/* To the lowest that some device has confirmed. */
static void
raise_low(struct dw_room *room)
{
	if (room->low_n + 1 < room->oldest_n)
		room->low_n = room->oldest_n - 1;
	while (room->low_n < room->n && *devices_at(room, room->low_n) == 0)
		room->low_n++;
}

static void
count_at(struct dw_room *room, uint64_t n)
{
	(*devices_at(room, n))++;
	if (n >= room->low_n)
		return;
	room->low_n = n;
	room->uneven = true;
}

static void
uncount_at(struct dw_room *room, uint64_t n)
{
	uint32_t *count = devices_at(room, n);

	assert(*count > 0);
	if (--*count == 0 && n <= room->low_n)
		room->uneven = true;
}

void
dw_room_count_direct(struct dw_room *room, struct dw_member *member)
{
	const struct dw_device *device;
	uint64_t from = member->devices != NULL ? UINT64_MAX : 0;

	room->direct_queued -= member->queued;
	LL_FOREACH(member->devices, device)
	{
		from = dw_less(from, dw_own(device->at));
	}
	from = dw_greater(from, member->first_own - 1);
	member->queued = member->own > from ? member->own - from : 0;
	room->direct_queued += member->queued;
	room->uneven = true;
}

void
dw_room_stand_device(struct dw_room *room, struct dw_device *device, struct dw_position at)
{
	const struct dw_position before = device->at;

	device->at = at;
	if (room->log == NULL)
		return;
	if (dw_n(at) != dw_n(before)) {
		uncount_at(room, dw_n(before));
		count_at(room, dw_n(at));
	}
	if (dw_own(at) != dw_own(before))
		dw_room_count_direct(room, device->member);
}

void
dw_room_count_device(struct dw_room *room, const struct dw_device *device)
{
	if (room->log == NULL)
		return;
	count_at(room, dw_n(device->at));
	dw_room_count_direct(room, device->member);
}

void
dw_room_uncount_device(struct dw_room *room, const struct dw_device *device)
{
	if (room->log == NULL)
		return;
	uncount_at(room, dw_n(device->at));
	dw_room_count_direct(room, device->member);
}

void
dw_room_drop_numbered(struct dw_room *room)
{
	if (room->log != NULL) {
		room->behind += *dw_ring_flags(room->log, room->n - room->oldest_n);
		dw_ring_drop(room->log);
	}
	room->oldest_n++;
	room->uneven = true;
}

void
dw_room_count_anew(struct dw_room *room)
{
	struct dw_member *member;
	const struct dw_device *device;

	room->behind = room->ahead = 0;
	room->direct_queued = 0;
	room->low_n = room->n;
	for (uint64_t n = room->oldest_n; n <= room->n; n++)
		*devices_at(room, n) = 0;
	DL_FOREACH(room->members, member)
	{
		LL_FOREACH(member->devices, device)
		{
			count_at(room, dw_n(device->at));
		}
		member->queued = 0;
		dw_room_count_direct(room, member);
	}
}

uint64_t
dw_room_retained(const struct dw_room *room)
{
	return room->n + 1 - room->oldest_n;
}

uint64_t
dw_room_behind(const struct dw_room *room, uint64_t n)
{
	const uint64_t from = dw_greater(n, room->oldest_n - 1);

	return from < room->n ? room->n - from : 0;
}

/* Of those to everyone. */
static uint64_t
queued_numbered(const struct dw_room *room)
{
	return dw_room_behind(room, room->device_count > 0 ? room->low_n : 0);
}

uint64_t
dw_room_queued(const struct dw_room *room)
{
	return queued_numbered(room) + room->direct_queued;
}

uint64_t
dw_room_oldest_queued_at(const struct dw_room *room)
{
	const uint64_t numbered = room->log != NULL ? queued_numbered(room) : 0;

	return numbered > 0 ? dw_ring_entry(room->log, dw_ring_end(room->log) - numbered)->at : 0;
}

void
dw_room_sum_up(struct dw_room *room)
{
	uint64_t queued, retained = dw_room_retained(room);

	if (room->log != NULL && room->device_count > 0)
		raise_low(room);
	queued = dw_room_queued(room);
	room->all->queued += queued - room->counted_queued;
	room->all->retained += retained - room->counted_retained;
	room->counted_queued = queued;
	room->counted_retained = retained;
	room->uneven = false;
}
