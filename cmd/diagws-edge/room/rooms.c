/* The edge's rooms, by id: see rooms.h. What comes into them is stream.c's, who reads them fanout.c's.
 */
#include "rooms.h"

#include <stdlib.h>
#include <string.h>

#include "edge.h"

static uint32_t
hash_of(const struct dw_hash_link *link)
{
	return dw_hash_of(dw_str(((const struct room *)(const void *)link)->id));
}

_Static_assert(offsetof(struct room, link) == 0, "a room is its link");

struct room *
room_find(struct edge *edge, struct dw_str id)
{
	struct dw_hash_link *link = dw_hash_chain(&edge->rooms.by_id, dw_hash_of(id));

	for (; link != NULL; link = link->next) {
		struct room *room = (struct room *)(void *)link;

		if (dw_str_is(id, room->id))
			return room;
	}
	return NULL;
}

struct room *
room_get(struct edge *edge, const char *id)
{
	struct room *room = room_find(edge, dw_str(id));

	if (room != NULL)
		return room;
	room = dw_hash_reserve(&edge->rooms.by_id, hash_of) ? calloc(1, sizeof(*room) + strlen(id) + 1) : NULL;
	if (room == NULL)
		return NULL;
	room->edge = edge;
	memcpy(room->id, id, strlen(id));
	dw_hash_add(&edge->rooms.by_id, &room->link, hash_of(&room->link));
	return room;
}

void
room_release(struct room *room)
{
	struct edge *edge = room->edge;

	if (room->readers != NULL || room->parked != NULL)
		return;
	room_stream_end(room);
	fanout_remove(room);
	dw_hash_remove(&edge->rooms.by_id, &room->link, hash_of(&room->link));
	free(room);
}

void
rooms_clear(struct edge *edge)
{
	dw_buf_clear(&edge->rooms.json);
	dw_buf_clear(&edge->rooms.frame);
	dw_buf_clear(&edge->rooms.run);
}
