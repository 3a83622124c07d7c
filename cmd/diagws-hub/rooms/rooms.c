/* Rooms: which there are, and which of them are in memory.
 *
 * A room is in the table when it retains messages, has devices or sessions, or is being asked about. So a room that is
 * not there has no device, and a message to it needs no look at the disk. It is looked at when something in it comes to
 * its age, and given up least recently used first when memory is over its bound; but not while it has a session,
 * something to write, something on its way to or from the store, or a frame that waits. Every use of a room ends in
 * room_done. Failure modes: memory.
 */
#include "rooms/rooms.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "hub.h"
#include "options.h"
#include "rooms/load.h"

enum { AGES_MIN_MS = 60 * 1000, AGES_MAX_MS = 3600 * 1000 };

struct dw_room *
room_find(struct hub *hub, struct dw_str name)
{
	struct dw_room *room;

	HASH_FIND(hh, hub->rooms, name.p, name.n, room);
	return room;
}

struct dw_room *
room_get(struct hub *hub, struct dw_str name)
{
	struct dw_room *room = room_find(hub, name);
	char text[DW_ROOM_MAX + 1];

	if (room != NULL || !dw_str_copy(name, text, sizeof(text)))
		return room;
	room = dw_room_new(&hub->rooms_shared, text);
	if (room != NULL)
		HASH_ADD_KEYPTR(hh, hub->rooms, room->name, name.n, room);
	return room;
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct dw_room *room = (struct dw_room *)(void *)((char *)timer - offsetof(struct dw_room, ages));

	room_look_at_ages((struct hub *)(void *)((char *)room->all - offsetof(struct hub, rooms_shared)), room);
}

/* Not too often, for what is a minute late matters to nobody, and where many come to their age one after another it is
 * one look; and once in a while, for the clock may be set meanwhile. */
void
room_watch_ages(struct hub *hub, struct dw_room *room)
{
	const uint64_t at = dw_room_next_age(room);
	uint64_t now, left;

	if (at == UINT64_MAX || (room->ages.link != NULL && at >= room->ages_at))
		return;
	now = dw_now_ms();
	left = at > now + AGES_MIN_MS ? at - now : AGES_MIN_MS;
	room->ages_at = now + left;
	room->ages.fire = fire;
	dw_wheel_set(&hub->wheel, &room->ages, dw_mono_ms() + dw_less(left, AGES_MAX_MS));
}

void
room_look_at_ages(struct hub *hub, struct dw_room *room)
{
	const uint64_t now = dw_now_ms();
	const bool prunes = room->prune_at != 0 && room->prune_at <= now;

	dw_room_expire(room, now);
	if (prunes && dw_room_resident(room))
		dw_room_prune(room, now);
	else if (prunes)
		(void)room_wait(hub, room, NULL, (struct dw_str) { NULL, 0 });
	room_watch_ages(hub, room);
	/* Only where something changed, for this counts as use. */
	if (room->user == NULL || room->dirty != NULL || room->gone != NULL || dw_room_retained(room) == 0)
		room_done(hub, room);
}

static void
unlist_dirty(struct hub *hub, struct resident *resident)
{
	DL_DELETE2(hub->dirty, resident, dirty_prev, dirty_next);
	hub->dirty_rooms--;
}

static void
end_residence(struct hub *hub, struct dw_room *room)
{
	struct resident *resident = room->user;

	if (resident->idle)
		DL_DELETE(hub->idle, resident);
	if (resident->dirty)
		unlist_dirty(hub, resident);
	hub->memory -= resident->memory;
	if (dw_room_resident(room)) {
		dw_room_unload(room);
		hub->resident_count--;
	}
	free(resident);
	room->user = NULL;
}

/* Gives up being resident, and the room itself when nothing is to be remembered of it. */
static void
give_up(struct hub *hub, struct dw_room *room)
{
	if (room->user != NULL)
		end_residence(hub, room);
	if (room->pins > 0 || !dw_room_forgettable(room, dw_now_ms()))
		return;
	assert(hub->rooms != NULL);
	HASH_DEL(hub->rooms, room);
	dw_wheel_cancel(&room->ages);
	dw_room_destroy(&room);
}

static void
list_dirty(struct hub *hub, struct dw_room *room, struct resident *resident)
{
	bool dirty = room->dirty != NULL || room->gone != NULL || room->unsettled;

	if (dirty == resident->dirty)
		return;
	resident->dirty = dirty;
	if (!dirty) {
		unlist_dirty(hub, resident);
		return;
	}
	DL_APPEND2(hub->dirty, resident, dirty_prev, dirty_next);
	hub->dirty_rooms++;
}

void
room_done(struct hub *hub, struct dw_room *room)
{
	struct resident *resident = room->user;
	bool held;

	room_watch_ages(hub, room);
	if (resident == NULL) {
		give_up(hub, room);
		return;
	}
	hub->memory -= resident->memory;
	resident->memory = dw_room_memory(room);
	hub->memory += resident->memory;
	list_dirty(hub, room, resident);
	held = resident->loading || resident->writing > 0 || resident->holds > 0 || resident->polls != NULL ||
		   resident->awaited != NULL || resident->dirty || room->session_count > 0 || room->readers != NULL;
	if (resident->idle)
		DL_DELETE(hub->idle, resident);
	resident->idle = !held;
	if (held)
		return;
	DL_APPEND(hub->idle, resident);
	if (!dw_room_resident(room) || dw_room_forgettable(room, dw_now_ms()))
		give_up(hub, room);
}

void
rooms_evict(struct hub *hub)
{
	while (hub->idle != NULL && hub->memory > (size_t)hub->options->memory_limit)
		give_up(hub, hub->idle->room);
}

void
room_hold(struct hub *hub, struct dw_room *room)
{
	((struct resident *)room->user)->holds++;
	room_done(hub, room);
}

void
room_unhold(struct hub *hub, struct dw_room *room)
{
	((struct resident *)room->user)->holds--;
	room_done(hub, room);
}

struct dw_room *
rooms_next(struct hub *hub, struct dw_room *room, bool last)
{
	struct dw_room *next = room != NULL ? room->hh.next : hub->rooms;

	if (last)
		next = NULL;
	if (next != NULL)
		next->pins++;
	/* It may have been given up but for that. */
	if (room != NULL && --room->pins == 0 && room->user == NULL)
		room_done(hub, room);
	return next;
}

void
rooms_free(struct hub *hub)
{
	struct dw_room *room, *next;

	HASH_ITER(hh, hub->rooms, room, next)
	{
		struct resident *resident = room->user;

		HASH_DEL(hub->rooms, room);
		dw_wheel_cancel(&room->ages);
		if (resident != NULL) {
			while (resident->waiting != NULL)
				waiting_free(hub, resident);
			load_unqueue(hub, resident);
			free(resident);
		}
		dw_room_destroy(&room);
	}
}
