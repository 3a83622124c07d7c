/* The rooms of a connection: see subscriptions.h. Its own file because what writes to a connection, and what ends it,
 * has to take it off the rooms' lists and needs to know nothing else of them. Invariant: one with a room is in one
 * of that room's two lists.
 */
#include "subscriptions.h"

#include <stdlib.h>

#include <utlist.h>

#include "client/conn.h"
#include "room/fanout.h"

static struct subscription *
in_use(struct subscription *sub)
{
	while (sub != NULL && sub->room == NULL)
		sub = sub->next;
	return sub;
}

struct subscription *
sub_first(struct conn *conn)
{
	return in_use(&conn->first);
}

struct subscription *
sub_after(struct subscription *sub)
{
	return in_use(sub->next);
}

struct subscription *
sub_find(struct conn *conn, const struct room *room)
{
	struct subscription *sub = room != NULL ? sub_first(conn) : NULL;

	while (sub != NULL && sub->room != room)
		sub = sub_after(sub);
	return sub;
}

struct subscription *
sub_get(struct conn *conn, struct room *room)
{
	struct subscription *sub = &conn->first;

	if (sub->room == NULL) {
		*sub = (struct subscription) { .next = sub->next };
	} else {
		sub = calloc(1, sizeof(*sub));
		if (sub == NULL)
			return NULL;
		sub->next = conn->first.next;
		conn->first.next = sub;
	}
	sub->conn = conn;
	sub->room = room;
	sub->parked = true;
	fanout_join(room, &sub->reader);
	return sub;
}

void
sub_put(struct subscription *sub)
{
	struct conn *conn = sub->conn;

	fanout_part(sub->room, &sub->reader, sub->parked);
	sub->room = NULL;
	if (sub == &conn->first)
		return;
	LL_DELETE(conn->first.next, sub);
	free(sub);
}

void
sub_park(struct subscription *sub)
{
	const struct conn *conn = sub->conn;
	const bool park = sub->state != SUB_READING || conn->stalled_at > 0 || conn->state != CONN_OPEN;

	if (park == sub->parked)
		return;
	sub->parked = park;
	if (park)
		fanout_park(sub->room, &sub->reader);
	else
		fanout_enter(sub->room, &sub->reader);
}

void
sub_park_all(struct conn *conn)
{
	for (struct subscription *sub = sub_first(conn); sub != NULL; sub = sub_after(sub))
		sub_park(sub);
}
