/* Who is connected: to a room, its sessions, each of a device and of a reader, found by their id; and to whichever
 * rooms, users by name, each with how many sessions.
 * Its own file because joining, confirming and a room's end all find, link or unlink a session.
 *
 * Failure modes: memory, before anything was linked. A user who goes while somebody looks at them stays until that one
 * looks on. Invariants: a session is in the lists of its device and of its reader, in the table by id, and in the
 * counts, or in none of them.
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "room/parts.h"

/* An id is random, but one session may be in many rooms. */
static uint32_t
session_hash(const struct dw_room *room, uint64_t id)
{
	return dw_room_hash(room) ^ (uint32_t)(id >> 32) ^ (uint32_t)id;
}

static uint32_t
link_hash(const struct dw_hash_link *link)
{
	const struct dw_session *session = (const struct dw_session *)(const void *)link;

	return session_hash(session->reader->room, session->id);
}

_Static_assert(offsetof(struct dw_session, link) == 0, "a session is its link");

struct dw_session *
dw_room_session(const struct dw_room *room, uint64_t id)
{
	struct dw_hash_link *link = dw_hash_chain(&room->all->by_id, session_hash(room, id));

	for (; link != NULL; link = link->next) {
		struct dw_session *session = (struct dw_session *)(void *)link;

		if (session->id == id && session->reader->room == room)
			return session;
	}
	return NULL;
}

void
dw_room_link_session(struct dw_session *session)
{
	struct dw_room *room = session->reader->room;

	if (session->device->sessions == NULL)
		room->device_connected++;
	LL_PREPEND(session->device->sessions, session);
	DL_APPEND2(session->reader->sessions, session, reader_prev, reader_next);
	session->reader->session_count++;
	dw_hash_add(&room->all->by_id, &session->link, link_hash(&session->link));
	room->all->watched += room->session_count == 0;
	room->session_count++;
	room->all->sessions++;
}

void
dw_room_unlink_session(struct dw_session *session)
{
	struct dw_room *room = session->reader->room;

	LL_DELETE(session->device->sessions, session);
	DL_DELETE2(session->reader->sessions, session, reader_prev, reader_next);
	session->reader->session_count--;
	dw_hash_remove(&room->all->by_id, &session->link, link_hash(&session->link));
	room->session_count--;
	room->all->watched -= room->session_count == 0;
	room->all->sessions--;
	if (session->device->sessions == NULL)
		room->device_connected--;
}

void
dw_room_drop_reader(struct dw_room *room, struct dw_reader *reader)
{
	assert(reader->session_count == 0);
	DL_DELETE(room->readers, reader);
	free(reader);
}

/* ---- in all rooms */

static struct dw_present *
find_present(const struct dw_rooms *all, struct dw_str user)
{
	struct dw_present *present;

	HASH_FIND(hh, all->present, user.p, user.n, present);
	return present;
}

static void
drop_present_if_gone(struct dw_rooms *all, struct dw_present *present)
{
	if (present->sessions > 0 || present->pins > 0)
		return;
	HASH_DEL(all->present, present);
	free(present);
}

bool
dw_rooms_come(struct dw_rooms *all, struct dw_str user)
{
	struct dw_present *present = find_present(all, user);

	if (!dw_hash_reserve(&all->by_id, link_hash))
		return false;
	if (present == NULL) {
		present = calloc(1, sizeof(*present) + user.n + 1);
		if (present == NULL)
			return false;
		memcpy(present->user, user.p, user.n);
		HASH_ADD_KEYPTR(hh, all->present, present->user, user.n, present);
	}
	present->sessions++;
	return true;
}

void
dw_rooms_go(struct dw_rooms *all, struct dw_str user)
{
	struct dw_present *present = find_present(all, user);

	present->sessions--;
	drop_present_if_gone(all, present);
}

struct dw_present *
dw_rooms_next_present(struct dw_rooms *all, struct dw_present *present, bool last)
{
	struct dw_present *next = present != NULL ? present->hh.next : all->present;

	if (last)
		next = NULL;
	if (next != NULL)
		next->pins++;
	if (present != NULL) {
		present->pins--;
		drop_present_if_gone(all, present);
	}
	return next;
}
