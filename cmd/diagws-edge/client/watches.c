/* The rooms of a connection: see watches.h. Its own file because what writes to a connection, and what ends it, has to
 * take it off the rooms' lists and needs to know nothing else of them. Invariant: a watch with a room is in one of that
 * room's two lists.
 */
#include "watches.h"

#include <stdlib.h>

#include <utlist.h>

#include "client/conn.h"
#include "room/fanout.h"

static struct watch *
in_use(struct watch *watch)
{
	while (watch != NULL && watch->room == NULL)
		watch = watch->next;
	return watch;
}

struct watch *
watch_first(struct conn *conn)
{
	return in_use(&conn->first);
}

struct watch *
watch_after(struct watch *watch)
{
	return in_use(watch->next);
}

struct watch *
watch_find(struct conn *conn, const struct room *room)
{
	struct watch *watch = room != NULL ? watch_first(conn) : NULL;

	while (watch != NULL && watch->room != room)
		watch = watch_after(watch);
	return watch;
}

struct watch *
watch_get(struct conn *conn, struct room *room)
{
	struct watch *watch = &conn->first;

	if (watch->room == NULL) {
		*watch = (struct watch) { .next = watch->next };
	} else {
		watch = calloc(1, sizeof(*watch));
		if (watch == NULL)
			return NULL;
		watch->next = conn->first.next;
		conn->first.next = watch;
	}
	watch->conn = conn;
	watch->room = room;
	watch->parked = true;
	fanout_join(room, &watch->reader);
	return watch;
}

void
watch_put(struct watch *watch)
{
	struct conn *conn = watch->conn;

	fanout_part(watch->room, &watch->reader, watch->parked);
	watch->room = NULL;
	if (watch == &conn->first)
		return;
	LL_DELETE(conn->first.next, watch);
	free(watch);
}

void
watch_park(struct watch *watch)
{
	const struct conn *conn = watch->conn;
	const bool park = watch->state != WATCH_READING || conn->stalled_at > 0 || conn->state != CONN_OPEN;

	if (park == watch->parked)
		return;
	watch->parked = park;
	if (park)
		fanout_park(watch->room, &watch->reader);
	else
		fanout_enter(watch->room, &watch->reader);
}

void
watch_park_all(struct conn *conn)
{
	for (struct watch *watch = watch_first(conn); watch != NULL; watch = watch_after(watch))
		watch_park(watch);
}
