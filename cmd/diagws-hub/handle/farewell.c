/* How peers go: what they left in rooms, waits, scans and the outbox ends with them; peers.c knows none of it.
 *
 * Happy path: BYE. Failure modes: silence (an edge sends at least a PING each few seconds): the peer is forgotten;
 * should it live, its next frame is answered with WHO. A connection that ends or takes nothing more: it is forgotten at
 * once. A process that comes back takes over what an older introduction of it left (on_hello.c).
 */
#include "handle/handlers.h"

#include <utlist.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/sessions.h"
#include "rooms/rooms.h"
#include "rooms/waits.h"
#include "store/stage.h"
#include "tables/scan.h"
#include "wire/router.h"

static const uint64_t EDGE_SILENCE_MS = 10 * 1000;
static const uint64_t CLIENT_SILENCE_MS = 60 * 1000;
enum { LOOKS = 1024 }; /* in a tick */

void
peer_empty(struct hub *hub, struct peer *peer)
{
	const uint64_t silence = dw_mono_ms() - peer->heard;

	waits_forget_peer(peer);
	scans_forget_peer(hub, peer);
	while (peer->readers != NULL) {
		struct dw_reader *reader = peer->readers;
		struct dw_room *room = reader->room;

		peer->sessions -= reader->session_count;
		peer_remove_reader(peer, reader);
		/* When it was heard last is the latest that its connections were surely there. */
		dw_room_lose_reader(room, reader, dw_now_ms() - silence, dw_mono_ms() - silence);
		room_write_cursors(hub, room);
		room_done(hub, room);
	}
	peer_rest(hub, peer);
	peer->sent = peer->credited = 0;
	peer->uncredited = 0;
}

void
peer_forget(struct hub *hub, struct peer *peer)
{
	peer_empty(hub, peer);
	outbox_forget(hub, peer);
	if (peer->known)
		dw_log_debug("peer gone", "name=%s kind=%llu", peer->name, (unsigned long long)peer->kind);
	scans_pass_peer(hub, peer);
	stage_forget(hub, peer);
	peer_remove(hub, peer);
}

void
peer_close(struct hub *hub, struct peer *peer)
{
	const uint32_t number = peer->number;

	peer_forget(hub, peer);
	dw_router_close(hub->router, number);
}

static void
look_at(struct hub *hub, struct peer *peer, uint64_t now)
{
	const uint64_t silence = peer->known && peer->kind == DW_PEER_CLIENT ? CLIENT_SILENCE_MS : EDGE_SILENCE_MS;

	/* Who is not listened to now is not silent. */
	if (now < peer->heard + silence || peer->talk != TALK_DONE || (peer->kind == DW_PEER_CLIENT && peer->pending > 0))
		return;
	if (peer->known && peer->kind == DW_PEER_EDGE)
		dw_log_warn("edge is silent", "name=%s sessions=%zu", peer->name, peer->sessions);
	peer_forget(hub, peer);
}

void
peers_tick(struct hub *hub)
{
	const struct peer *first = hub->looks;
	const uint64_t now = dw_mono_ms();

	for (int i = 0; i < LOOKS && hub->looks != NULL; i++) {
		struct peer *peer = hub->looks;

		DL_DELETE2(hub->looks, peer, look_prev, look_next);
		DL_APPEND2(hub->looks, peer, look_prev, look_next);
		look_at(hub, peer, now);
		if (hub->looks == first)
			break;
	}
}

void
peers_forget_lost(struct hub *hub)
{
	struct peer *peer;

	while ((peer = hub->lost) != NULL) {
		/* In the end those that went without a word are only found out. */
		if (peer->known && peer->kind == DW_PEER_EDGE && !hub->closing)
			dw_log_warn("edge takes nothing more", "name=%s sessions=%zu", peer->name, peer->sessions);
		peer_close(hub, peer);
	}
}

void
peers_forget_gone(struct hub *hub)
{
	const char *why;
	uint32_t number;

	while (dw_router_gone(hub->router, &number, &why)) {
		struct peer *peer = peer_find(hub, number);

		if (why != NULL)
			dw_log_warn("let a peer go", "peer=%s reason=%s", peer != NULL ? peer->name : "", why);
		if (peer != NULL)
			peer_forget(hub, peer);
	}
}

void
peers_free(struct hub *hub)
{
	while (hub->peers != NULL)
		peer_forget(hub, hub->peers);
}
