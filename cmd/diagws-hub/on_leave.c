/* LEAVE: a session ends, with what it has confirmed last. Its device's cursor goes to the store at once. */
#include "hub.h"

void
on_leave(struct hub *hub, struct peer *peer, const struct dw_wire *message, struct dw_str frame)
{
	const struct dw_leave *leave = &message->leave;
	struct dw_room *room = leave->room.n > 0 ? room_find(hub, leave->room) : NULL;
	struct dw_session *session = room != NULL ? dw_room_session(room, leave->session) : NULL;
	struct dw_device *device;

	(void)frame;
	if (session == NULL)
		place_forget(hub, peer, leave->session, leave->room);
	if (session == NULL || session->reader->edge != peer->number)
		return;
	device = session->device;
	(void)room_confirm(hub, room, session, leave->at, &leave->begun, leave->sure);
	room_end_session(hub, room, session);
	room_write_device(hub, room, device);
	room_settle(hub, room);
}
