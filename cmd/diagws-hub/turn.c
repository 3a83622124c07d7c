/* The steps of the hub's turn. Its own file because tests take the same steps without the loop, its sockets and its
 * store thread.
 *
 * Invariant: what waited for a batch or a timer is carried out in the same step, when the whole batch has been applied
 * or those few timers have fired. Failure modes: once the storage has failed, what was staged meanwhile fails too.
 */
#include "turn.h"

#include "base/clock.h"
#include "base/wheel.h"
#include "handle/handlers.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/load.h"
#include "rooms/waits.h"
#include "store/stage.h"
#include "wire/router.h"

void
turn_commit(struct hub *hub)
{
	rooms_load(hub);
	stage_commit(hub);
}

void
turn_send(struct hub *hub)
{
	struct peer *peer;
	uint32_t number;

	while (dw_router_drained(hub->router, &number))
		if ((peer = peer_find(hub, number)) != NULL) {
			peer_serve(hub, peer);
			waits_peer_drained(hub, peer);
		}
	outbox_flush(hub);
	peers_forget_lost(hub);
}

void
turn_apply(struct hub *hub, struct batch *batch)
{
	apply_batch(hub, batch);
	later_serve(hub, hub_dispatch);
	if (hub->fatal == DW_E_STORAGE)
		apply_failure(hub, DW_E_STORAGE);
}

bool
turn_timers(struct hub *hub)
{
	bool more = true;

	for (int i = 0; more && i < HUB_TIMERS; i += HUB_TIMERS_STEP) {
		more = dw_wheel_run(&hub->wheel, dw_mono_ms(), HUB_TIMERS_STEP);
		later_serve(hub, hub_dispatch);
		if (hub->outbox.bytes >= HUB_TIMERS_BYTES)
			break;
	}
	return more;
}
