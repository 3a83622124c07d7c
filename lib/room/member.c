/* Who has to do with a room: members (users with a registry entry, devices or direct messages) and their devices.
 *
 * Its own file because it is what outlives connections: loaded from and written to the store beside messages. A changed
 * device is dirty until its cursor was taken; one that goes and was ever stored leaves a removal behind, taken first,
 * so that one that comes back at once is not removed.
 *
 * Failure modes: memory only. Invariants: a member without devices, without an entry and without a direct message ever
 * does not exist; a device with sessions is never forgotten.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room/parts.h"

static const uint64_t SEEN_EVERY_MS = 24ULL * 3600 * 1000;

uint32_t
dw_room_hash(const struct dw_room *room)
{
	return (uint32_t)(((uint64_t)(uintptr_t)room * 0x9E3779B97F4A7C15U) >> 32);
}

static uint32_t
member_hash(const struct dw_room *room, struct dw_str user)
{
	return dw_room_hash(room) ^ dw_hash_of(user);
}

static uint32_t
link_hash(const struct dw_hash_link *link)
{
	const struct dw_member *member = (const struct dw_member *)(const void *)link;

	return member_hash(member->room, dw_str(member->user));
}

_Static_assert(offsetof(struct dw_member, link) == 0, "a member is its link");

struct dw_member *
dw_room_member(const struct dw_room *room, struct dw_str user)
{
	struct dw_hash_link *link = dw_hash_chain(&room->all->by_user, member_hash(room, user));

	for (; link != NULL; link = link->next) {
		struct dw_member *member = (struct dw_member *)(void *)link;

		if (member->room == room && dw_str_is(user, member->user))
			return member;
	}
	return NULL;
}

struct dw_member *
dw_room_get_member(struct dw_room *room, struct dw_str user)
{
	struct dw_member *member = dw_room_member(room, user);

	if (member != NULL || !dw_hash_reserve(&room->all->by_user, link_hash))
		return member;
	member = calloc(1, offsetof(struct dw_member, user) + user.n + 1);
	if (member == NULL)
		return NULL;
	memcpy(member->user, user.p, user.n);
	member->room = room;
	member->first_own = 1;
	dw_hash_add(&room->all->by_user, &member->link, member_hash(room, user));
	DL_APPEND(room->members, member);
	room->member_count++;
	return member;
}

static void
drop_member(struct dw_room *room, struct dw_member *member)
{
	dw_hash_remove(&room->all->by_user, &member->link, link_hash(&member->link));
	DL_DELETE(room->members, member);
	room->member_count--;
	free(member);
}

static void
drop_member_if_idle(struct dw_room *room, struct dw_member *member)
{
	if (member->devices == NULL && member->state == DW_OWNER_NONE && member->own == 0 && member->pins == 0)
		drop_member(room, member);
}

struct dw_member *
dw_room_next_member(struct dw_room *room, struct dw_member *member, bool last)
{
	struct dw_member *next = member != NULL ? member->next : room->members;

	if (last)
		next = NULL;
	if (next != NULL)
		next->pins++;
	if (member != NULL) {
		member->pins--;
		drop_member_if_idle(room, member);
	}
	return next;
}

struct dw_device *
dw_room_device(const struct dw_room *room, struct dw_str user, struct dw_str id)
{
	const struct dw_member *member = dw_room_member(room, user);
	struct dw_device *device;

	if (member == NULL)
		return NULL;
	LL_FOREACH(member->devices, device)
	{
		if (dw_str_is(id, device->id))
			return device;
	}
	return NULL;
}

void
dw_room_mark_dirty(struct dw_room *room, struct dw_device *device)
{
	if (device->dirty)
		return;
	device->dirty = true;
	DL_APPEND2(room->dirty, device, dirty_prev, dirty_next);
}

static void
clean(struct dw_room *room, struct dw_device *device)
{
	if (!device->dirty)
		return;
	device->dirty = false;
	DL_DELETE2(room->dirty, device, dirty_prev, dirty_next);
}

static void
fill_cursor(const struct dw_room *room, const struct dw_device *device, struct dw_cursor *cursor)
{
	*cursor = (struct dw_cursor) { .at = device->at,
		.resume = device->resume,
		.had = device->had,
		.had_own = device->had_own,
		.seen = device->seen,
		.expires = device->expires,
		.derived = device->derived };
	(void)dw_str_copy(dw_str(room->name), cursor->room, sizeof(cursor->room));
	(void)dw_str_copy(dw_str(device->member->user), cursor->user, sizeof(cursor->user));
	(void)dw_str_copy(dw_str(device->id), cursor->device, sizeof(cursor->device));
}

/* Leaves a removal to be taken. Without memory the store keeps it until its age. */
static void
note_gone(struct dw_room *room, const struct dw_cursor *cursor)
{
	struct dw_gone *gone = calloc(1, sizeof(*gone));

	if (gone == NULL)
		return;
	gone->cursor = *cursor;
	gone->cursor.seen = 0;
	DL_APPEND(room->gone, gone);
}

/* The member stays, maybe idle. */
static void
forget_device(struct dw_room *room, struct dw_device *device)
{
	assert(device->sessions == NULL);
	if (device->stored) {
		struct dw_cursor cursor;

		fill_cursor(room, device, &cursor);
		note_gone(room, &cursor);
	}
	clean(room, device);
	LL_DELETE(device->member->devices, device);
	device->member->device_count--;
	room->device_count--;
	dw_room_uncount_device(room, device);
	free(device->trail);
	free(device);
}

static bool
forget_longest_unseen(struct dw_room *room, struct dw_member *member)
{
	struct dw_device *device, *longest = NULL;

	LL_FOREACH(member->devices, device)
	{
		if (device->sessions == NULL && (longest == NULL || device->seen < longest->seen))
			longest = device;
	}
	if (longest == NULL)
		return false;
	forget_device(room, longest);
	return true;
}

struct dw_device *
dw_room_add_device(struct dw_room *room, struct dw_str user, struct dw_str id, struct dw_position at)
{
	struct dw_member *member = dw_room_get_member(room, user);
	struct dw_device *device;

	if (member == NULL)
		return NULL;
	device = calloc(1, offsetof(struct dw_device, id) + id.n + 1);
	if (device == NULL) {
		drop_member_if_idle(room, member);
		return NULL;
	}
	while (member->device_count >= DW_DEVICES_PER_USER && forget_longest_unseen(room, member))
		continue;
	memcpy(device->id, id.p, id.n);
	device->member = member;
	device->at = at;
	LL_APPEND(member->devices, device);
	member->device_count++;
	room->device_count++;
	dw_room_count_device(room, device);
	return device;
}

int
dw_room_load_cursors(struct dw_room *room, const struct dw_buf *rows)
{
	const struct dw_cursor *cursor = (const void *)rows->data;

	for (size_t left = rows->len / sizeof(*cursor); left > 0; left--, cursor++) {
		struct dw_device *device = dw_room_add_device(room, dw_str(cursor->user), dw_str(cursor->device), cursor->at);

		if (device == NULL)
			return DW_E_NOMEM;
		device->resume = device->settled = cursor->resume;
		device->had = cursor->had;
		device->had_own = cursor->had_own;
		device->seen = cursor->seen;
		device->expires = cursor->expires;
		device->derived = cursor->derived;
		device->stored = true;
	}
	return DW_OK;
}

void
dw_room_free_members(struct dw_room *room)
{
	while (room->members != NULL) {
		struct dw_device *device = room->members->devices, *after;

		for (; device != NULL; device = after) {
			assert(device->sessions == NULL);
			after = device->next;
			free(device->trail);
			free(device);
		}
		drop_member(room, room->members);
	}
	room->dirty = NULL;
}

uint64_t
dw_room_device_end(const struct dw_rooms *all, bool derived, uint64_t seen, uint64_t expires)
{
	const uint64_t unseen = seen + all->cursor_ttl_ms;

	return derived && expires > 0 && expires < unseen ? dw_less(expires + all->queue_ttl_ms, unseen) : unseen;
}

void
dw_room_note_age(struct dw_room *room, const struct dw_device *device)
{
	const uint64_t at = device->sessions != NULL
							? device->seen + SEEN_EVERY_MS + 1
							: dw_room_device_end(room->all, device->derived, device->seen, device->expires);

	if (room->prune_at == 0 || at < room->prune_at)
		room->prune_at = at;
}

void
dw_room_prune(struct dw_room *room, uint64_t now)
{
	struct dw_member *member, *next;

	room->prune_at = 0;
	DL_FOREACH_SAFE(room->members, member, next)
	{
		struct dw_device *device, *after;

		LL_FOREACH_SAFE(member->devices, device, after)
		{
			if (device->sessions == NULL &&
				dw_room_device_end(room->all, device->derived, device->seen, device->expires) <= now) {
				forget_device(room, device);
				continue;
			}
			if (device->sessions != NULL && now > device->seen + SEEN_EVERY_MS)
				dw_room_mark_dirty(room, device);
			dw_room_note_age(room, device);
		}
		drop_member_if_idle(room, member);
	}
	dw_room_sum_up(room);
}

bool
dw_room_may(const struct dw_room *room, struct dw_str user, bool claimed)
{
	const struct dw_member *member = dw_room_member(room, user);

	return dw_may(room->all->ownership, member != NULL ? member->state : DW_OWNER_NONE, claimed);
}

int
dw_room_own(struct dw_room *room, struct dw_str user, enum dw_owner_state state)
{
	struct dw_member *member = dw_room_get_member(room, user);

	if (member == NULL)
		return DW_E_NOMEM;
	member->state = (uint8_t)state;
	drop_member_if_idle(room, member);
	return DW_OK;
}

struct dw_session *
dw_room_intruder(const struct dw_room *room, struct dw_str user)
{
	const struct dw_member *member = dw_room_member(room, user);
	struct dw_device *device;

	if (member == NULL)
		return NULL;
	LL_FOREACH(member->devices, device)
	{
		struct dw_session *session;

		LL_FOREACH(device->sessions, session)
		{
			if (!dw_may(room->all->ownership, member->state, session->claimed))
				return session;
		}
	}
	return NULL;
}

bool
dw_room_take_device(struct dw_room *room, struct dw_device *device, uint64_t now, struct dw_cursor *cursor)
{
	if (!device->dirty)
		return false;
	if (device->sessions != NULL)
		device->seen = now;
	fill_cursor(room, device, cursor);
	device->stored = true;
	clean(room, device);
	return true;
}

bool
dw_room_take_cursor(struct dw_room *room, uint64_t now, struct dw_cursor *cursor)
{
	struct dw_gone *gone = room->gone;

	if (gone != NULL) {
		*cursor = gone->cursor;
		DL_DELETE(room->gone, gone);
		free(gone);
		return true;
	}
	return room->dirty != NULL && dw_room_take_device(room, room->dirty, now, cursor);
}

void
dw_room_put_back(struct dw_room *room, const struct dw_cursor *cursor)
{
	struct dw_device *device = dw_room_device(room, dw_str(cursor->user), dw_str(cursor->device));

	if (device != NULL)
		dw_room_mark_dirty(room, device);
	else
		note_gone(room, cursor);
}
