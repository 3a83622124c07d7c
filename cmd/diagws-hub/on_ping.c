/* PING: answered with its own token. That a frame came is all that liveness needs. */
#include "hub.h"

void
on_ping(struct hub *hub, struct peer *peer, const struct dw_wire *message, struct dw_str frame)
{
	const struct dw_wire answer = { .kind = DW_PONG, .pong = { message->ping.token } };

	(void)frame;
	outbox_add(hub, peer->number, &answer);
}
