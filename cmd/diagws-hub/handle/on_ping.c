/* PING: answered with its own token. That a frame came is all that liveness needs; and whether messages are taken is
 * all that an edge is asked for by probes of its readiness. */
#include "handle/handlers.h"

#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "request.h"

void
on_ping(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_wire answer = { .kind = DW_PONG, .pong = { request->message.ping.token, !hub->store_full } };

	outbox_add(hub, peer->number, &answer);
}
