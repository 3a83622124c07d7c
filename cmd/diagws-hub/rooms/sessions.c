/* What sessions do to a room that others beside it must know: its edges, and whoever waits for its messages to be
 * delivered.
 *
 * Its own file because it is where a room (lib/room), peers and waits meet. Failure modes: a position that the room
 * never had is refused; a peer that is gone is passed over.
 */
#include "rooms/sessions.h"

#include <utlist.h>

#include "base/clock.h"
#include "peers/peers.h"
#include "rooms/waits.h"

bool
room_confirm(struct hub *hub, struct dw_room *room, struct dw_session *session, struct dw_position at,
	const struct dw_begun *begun, bool sure)
{
	const struct had before = had_of(session->device);

	if (!dw_room_confirm(room, session, at, begun, sure || session->sure, dw_mono_ms()))
		return false;
	waits_confirmed(hub, room, session->device, &before);
	return true;
}

void
room_mark_readers(struct hub *hub, struct dw_room *room)
{
	struct dw_reader *reader;

	DL_FOREACH(room->readers, reader)
	{
		struct peer *peer = peer_find(hub, reader->edge);

		if (peer != NULL)
			peer_mark_dirty(hub, peer, reader);
	}
}

void
room_leave(struct hub *hub, struct dw_room *room, struct dw_session *session)
{
	struct peer *peer = peer_find(hub, session->reader->edge);

	dw_room_leave(room, session, dw_now_ms(), dw_mono_ms());
	if (peer != NULL)
		peer->sessions--;
}

void
room_drop_empty_readers(struct hub *hub, struct dw_room *room)
{
	struct dw_reader *reader, *next;

	DL_FOREACH_SAFE(room->readers, reader, next)
	{
		struct peer *peer;

		if (reader->session_count > 0)
			continue;
		peer = peer_find(hub, reader->edge);
		if (peer != NULL)
			peer_remove_reader(peer, reader);
		dw_room_drop_reader(room, reader);
	}
}

void
room_end_session(struct hub *hub, struct dw_room *room, struct dw_session *session)
{
	room_leave(hub, room, session);
	room_drop_empty_readers(hub, room);
}
