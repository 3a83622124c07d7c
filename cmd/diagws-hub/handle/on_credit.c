/* CREDIT: how many MESSAGES the edge has taken in since its HELLO. More may then be sent. */
#include "handle/handlers.h"

#include "peers/peers.h"
#include "request.h"

void
on_credit(struct hub *hub, struct peer *peer, struct request *request)
{
	uint64_t received = request->message.credit.received;

	/* One that says more than was sent is of an older introduction, or wrong. */
	if (received > peer->sent)
		return;
	while (peer->credited < received) {
		peer->uncredited -= peer->sizes[peer->credited % HUB_WINDOW];
		peer->credited++;
	}
	peer_serve(hub, peer);
}
