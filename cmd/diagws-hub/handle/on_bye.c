/* BYE: the peer goes in order. What sessions it still has leave. */
#include "handle/handlers.h"

#include "handle/farewell.h"

void
on_bye(struct hub *hub, struct peer *peer, struct request *request)
{
	(void)request;
	/* What the outbox holds for it is dropped there: the number is then nobody's. */
	peer_forget(hub, peer);
}
