/* CONFIRM: sessions of a room have received everything up to a position. Their devices' cursors follow; they reach the
 * store within seconds. LEAVE: a session ends, with what it has confirmed last. Its device's cursor goes to the store
 * at once. One that ended before this hub, or before its edge came back, is told once more with its user and device: it
 * moves the cursor when nobody is connected there.
 *
 * Failure modes: sessions that are not this edge's, and positions that the room never had, change nothing.
 */
#include "handle/handlers.h"

#include "base/clock.h"
#include "cli/logging.h"
#include "peers/peers.h"
#include "rooms/load.h"
#include "rooms/rooms.h"
#include "rooms/sessions.h"
#include "rooms/waits.h"
#include "store/stage.h"

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

static void
take_departed(struct hub *hub, struct peer *peer, struct dw_room *room, const struct request *request)
{
	const struct dw_leave *leave = &request->message.leave;
	struct dw_device *device;
	struct had before;

	if (!dw_room_resident(room)) {
		/* Where too much waits already its client may be sent again what it has. */
		if (!stage_full(hub, peer, HUB_SMALL))
			(void)room_wait(hub, room, peer, request->frame);
		return;
	}
	before = had_of(dw_room_device(room, leave->user, leave->device));
	device = dw_room_departed(room, leave, dw_mono_ms());
	if (device != NULL) {
		room_write_device(hub, room, device);
		waits_confirmed(hub, room, device, &before);
	}
	room_done(hub, room);
}

void
on_leave(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_leave *leave = &request->message.leave;
	struct dw_room *room = leave->room.n > 0 ? room_find(hub, leave->room) : NULL;
	struct dw_session *session = room != NULL ? dw_room_session(room, leave->session) : NULL;
	struct dw_device *device;

	asked_forget(hub, peer, leave->session, leave->room, request->again);
	if (session == NULL && leave->user.n > 0 && room != NULL)
		take_departed(hub, peer, room, request);
	if (session == NULL || session->reader->edge != peer->number)
		return;
	device = session->device;
	(void)room_confirm(hub, room, session, leave->at, &leave->begun, leave->sure);
	room_end_session(hub, room, session);
	room_write_device(hub, room, device);
	room_done(hub, room);
}
