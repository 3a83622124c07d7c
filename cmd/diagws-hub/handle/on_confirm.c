/* CONFIRM: sessions of a room have received everything up to a position. Their devices' cursors follow;
 * they reach the store within seconds.
 *
 * Failure modes: sessions that are not this edge's, and positions that the room never had, change nothing.
 */
#include "handle/handlers.h"

#include "cli/logging.h"
#include "peers/peers.h"
#include "request.h"
#include "rooms/rooms.h"
#include "rooms/sessions.h"

void
on_confirm(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_confirm *confirm = &request->message.confirm;
	struct dw_room *room = confirm->room.n > 0 ? room_find(hub, confirm->room) : NULL;
	const struct dw_begun *begun = confirm->anew ? &confirm->begun : NULL;
	struct dw_str sessions = confirm->sessions;
	bool said = false;
	uint64_t id;

	if (room == NULL)
		return;
	while (dw_session_next(&sessions, &id)) {
		struct dw_session *session = dw_room_session(room, id);

		if (session == NULL || session->reader->edge != peer->number)
			continue;
		if (!room_confirm(hub, room, session, confirm->at, begun, confirm->sure)) {
			if (!said)
				dw_log_warn("confirmation of no position", "edge=%s diagnosis_id=%s seq=%llu n=%llu", peer->name,
					room->name, (unsigned long long)dw_seq(confirm->at), (unsigned long long)dw_n(confirm->at));
			said = true;
		}
	}
	room_done(hub, room);
}
