/* Who is connected. The router numbers each connection afresh, so a peer is a number, and after its HELLO also a
 * process (`id`) in its so-many-th introduction (`incarnation`).
 *
 * Its own file because everything else asks it who is there, and it asks nobody; how a peer goes, and what goes with
 * it, is in handle/farewell.c. Failure modes: memory.
 */
#include "peers/peers.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "hub.h"
#include "wire/router.h"

struct peer *
peer_find(struct hub *hub, uint32_t number)
{
	struct peer *peer;

	HASH_FIND(hh, hub->peers, &number, sizeof(number), peer);
	return peer;
}

struct peer *
peer_get(struct hub *hub, uint32_t number)
{
	struct peer *peer = peer_find(hub, number);

	if (peer != NULL)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL)
		return NULL;
	peer->number = number;
	peer->roles = dw_router_roles(hub->router, number);
	HASH_ADD(hh, hub->peers, number, sizeof(peer->number), peer);
	DL_APPEND2(hub->looks, peer, look_prev, look_next);
	return peer;
}

static void
count_kind(struct hub *hub, const struct peer *peer, size_t more)
{
	hub->edges += peer->kind == DW_PEER_EDGE ? more : 0;
	hub->clients += peer->kind == DW_PEER_CLIENT ? more : 0;
}

struct peer *
peer_of_id(const struct hub *hub, uint64_t id)
{
	struct peer *peer;

	HASH_FIND(hh_id, hub->peers_by_id, &id, sizeof(id), peer);
	return peer;
}

void
peer_introduce(struct hub *hub, struct peer *peer, const struct dw_hello *hello)
{
	peer->known = true;
	dw_router_known(hub->router, peer->number, true);
	peer->kind = hello->kind;
	peer->id = hello->peer;
	peer->incarnation = hello->incarnation;
	peer->since = dw_mono_ms();
	(void)dw_str_copy(hello->name, peer->name, sizeof(peer->name));
	count_kind(hub, peer, 1);
	HASH_ADD(hh_id, hub->peers_by_id, id, sizeof(peer->id), peer);
}

void
peer_talk(struct hub *hub, struct peer *peer, enum talk talk)
{
	if (peer->talk == TALK_MUTED)
		DL_DELETE2(hub->muted, peer, talk_prev, talk_next);
	else if (peer->talk == TALK_ON)
		DL_DELETE2(hub->talkers, peer, talk_prev, talk_next);
	if (talk == TALK_MUTED)
		DL_APPEND2(hub->muted, peer, talk_prev, talk_next);
	else if (talk == TALK_ON)
		DL_APPEND2(hub->talkers, peer, talk_prev, talk_next);
	peer->talk = talk;
}

void
peer_unknown(struct hub *hub, struct peer *peer)
{
	if (!peer->known)
		return;
	HASH_DELETE(hh_id, hub->peers_by_id, peer);
	count_kind(hub, peer, (size_t)-1);
	peer->known = false;
}

void
peer_remove(struct hub *hub, struct peer *peer)
{
	peer_unknown(hub, peer);
	dw_router_known(hub->router, peer->number, false);
	peer_talk(hub, peer, TALK_DONE);
	dw_router_done(hub->router, peer->number);
	DL_DELETE2(hub->looks, peer, look_prev, look_next);
	if (peer->lost)
		DL_DELETE2(hub->lost, peer, lost_prev, lost_next);
	assert(hub->peers != NULL);
	HASH_DEL(hub->peers, peer);
	free(peer->sizes);
	free(peer);
}

void
peer_answered(struct peer *peer)
{
	assert(peer->pending > 0);
	peer->pending--;
}

void
peer_remove_reader(struct peer *peer, struct dw_reader *reader)
{
	DL_DELETE2(peer->readers, reader, edge_prev, edge_next);
	peer->reader_count--;
	peer->late -= reader->late;
	if (reader->dirty)
		DL_DELETE2(peer->dirty, reader, dirty_prev, dirty_next);
	reader->dirty = false;
}

void
peer_mark_dirty(struct hub *hub, struct peer *peer, struct dw_reader *reader)
{
	peer_count_late(peer, reader);
	if (!reader->dirty) {
		reader->dirty = true;
		DL_APPEND2(peer->dirty, reader, dirty_prev, dirty_next);
	}
	peer_serve(hub, peer);
}

void
peer_count_late(struct peer *peer, struct dw_reader *reader)
{
	const uint64_t late = dw_room_behind(reader->room, dw_n(reader->sent));

	peer->late += late - reader->late;
	reader->late = late;
}

bool
peer_is_deaf(const struct hub *hub, const struct peer *peer)
{
	return peer->out.len + dw_router_unsent(hub->router, peer->number) >= HUB_UNSENT_MAX;
}

bool
peer_has_credit(const struct hub *hub, const struct peer *peer)
{
	return peer->sent - peer->credited < HUB_WINDOW && peer->uncredited < HUB_WINDOW_BYTES &&
		   dw_router_unsent(hub->router, peer->number) < HUB_UNSENT_MAX;
}

void
peer_serve(struct hub *hub, struct peer *peer)
{
	if (peer->serving || peer->lost || peer->dirty == NULL || !peer_has_credit(hub, peer))
		return;
	peer->serving = true;
	DL_APPEND2(hub->serving, peer, serve_prev, serve_next);
}

void
peer_rest(struct hub *hub, struct peer *peer)
{
	if (!peer->serving)
		return;
	peer->serving = false;
	DL_DELETE2(hub->serving, peer, serve_prev, serve_next);
}

void
peer_lose(struct hub *hub, struct peer *peer)
{
	if (!peer->lost)
		DL_APPEND2(hub->lost, peer, lost_prev, lost_next);
	peer->lost = true;
}
