/* Waits: senders that want to know when so many devices have their message (awaited.c), and polls that want the next
 * message (polls.c).
 *
 * Its own file because both are the same: something about a room is awaited until a time is over. A room with a wait
 * stays in memory. A wait ends with its peer, and counts as an unanswered request of it. It has its place in a list of
 * what it waits for and in one of its peer, and a timer: nothing here looks at waits that nothing has happened to.
 *
 * Failure modes: too many wait: a peer may have as many as are still free, so that there are always some for one that
 * has none; more are told busy. The hub goes: whoever waits repeats its request, and the devices' cursors tell the new
 * hub who has what.
 */
#include "rooms/waits.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "hub.h"
#include "peers/peers.h"
#include "rooms/later.h"
#include "rooms/rooms.h"

bool
waits_full(const struct hub *hub, const struct peer *peer)
{
	return peer->waiting >= HUB_WAITS_MAX - hub->waiting;
}

int
wait_add(struct hub *hub, struct peer *peer, const struct wait *wait, uint64_t wait_ms, struct dw_str frame)
{
	struct wait *added = malloc(sizeof(*added) + frame.n);

	if (added == NULL)
		return DW_E_NOMEM;
	*added = *wait;
	added->hub = hub;
	added->peer = peer;
	added->n = frame.n;
	if (frame.n > 0)
		memcpy(added->frame, frame.p, frame.n);
	DL_APPEND(*added->list, added);
	DL_APPEND2(peer->waits, added, peer_prev, peer_next);
	added->until = dw_mono_ms() + wait_ms;
	dw_wheel_set(&hub->wheel, &added->timer, added->until);
	if (added->awaited != NULL)
		added->awaited->wait_count++;
	hub->waiting++;
	peer->waiting++;
	peer->pending++;
	return DW_OK;
}

void
awaited_drop_if_idle(struct hub *hub, struct awaited *awaited)
{
	struct resident *resident = awaited->key.room->user;

	if (awaited->waits != NULL)
		return;
	HASH_DEL(hub->awaited, awaited);
	DL_DELETE(resident->awaited, awaited);
	resident->awaited_count--;
	free(awaited);
}

void
wait_end(struct wait *wait)
{
	struct hub *hub = wait->hub;
	struct dw_room *room = wait->room;
	struct awaited *awaited = wait->awaited;

	DL_DELETE(*wait->list, wait);
	DL_DELETE2(wait->peer->waits, wait, peer_prev, peer_next);
	dw_wheel_cancel(&wait->timer);
	later_remove(hub, &wait->later);
	hub->waiting--;
	wait->peer->waiting--;
	peer_answered(wait->peer);
	free(wait);
	if (awaited != NULL) {
		awaited->wait_count--;
		awaited_drop_if_idle(hub, awaited);
	}
	room_done(hub, room);
}

void
waits_forget_peer(struct peer *peer)
{
	struct wait *wait, *next;

	DL_FOREACH_SAFE2(peer->waits, wait, next, peer_next)
	{
		wait_end(wait);
	}
}
