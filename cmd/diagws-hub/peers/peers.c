/* Who is connected. The router numbers each connection afresh, so a peer is a number, and after its HELLO
 * also a process (`id`) in its so-many-th introduction (`incarnation`).
 *
 * Happy path: first frame, HELLO, frames, BYE. A process that lost its connection says HELLO on a new
 * one: what the older incarnation had here ends, and the process joins again with its positions.
 *
 * Failure modes: silence (an edge sends at least a PING each few seconds): the peer is forgotten; should it live, its
 * next frame is answered with WHO. A connection that ends or takes nothing more: it is forgotten at once.
 */
#include "hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "cli/logging.h"

static const uint64_t EDGE_SILENCE_MS = 10 * 1000;
static const uint64_t CLIENT_SILENCE_MS = 60 * 1000;
enum { LOOKS = 1024 }; /* in a tick */

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

/* Ends all its sessions and readers. */
static void
empty_peer(struct hub *hub, struct peer *peer)
{
	const uint64_t silence = dw_mono_ms() - peer->heard;

	waits_forget_peer(peer);
	scans_forget_peer(hub, peer);
	while (peer->readers != NULL) {
		struct dw_reader *reader = peer->readers;
		struct dw_room *room = reader->room;

		while (reader->sessions != NULL) {
			/* When it was heard last is the latest that its connections were surely there. */
			dw_room_leave(room, reader->sessions, dw_now_ms() - silence, dw_mono_ms() - silence);
			peer->sessions--;
		}
		peer_remove_reader(peer, reader);
		dw_room_drop_reader(room, reader);
		room_write_cursors(hub, room);
		room_settle(hub, room);
	}
	peer_rest(hub, peer);
	peer->sent = peer->credited = 0;
	peer->uncredited = 0;
}

void
peer_forget(struct hub *hub, struct peer *peer)
{
	empty_peer(hub, peer);
	outbox_forget(hub, peer);
	if (peer->known) {
		HASH_DELETE(hh_id, hub->peers_by_id, peer);
		count_kind(hub, peer, (size_t)-1);
		dw_log_debug("peer gone", "name=%s kind=%llu", peer->name, (unsigned long long)peer->kind);
	}
	dw_router_known(hub->router, peer->number, false);
	peer_talks(hub, peer, false);
	dw_router_done(hub->router, peer->number);
	DL_DELETE2(hub->looks, peer, look_prev, look_next);
	if (peer->lost)
		DL_DELETE2(hub->lost, peer, lost_prev, lost_next);
	scans_pass_peer(hub, peer);
	assert(hub->peers != NULL);
	HASH_DEL(hub->peers, peer);
	stage_forget(peer);
	free(peer->sizes);
	free(peer);
}

void
peer_close(struct hub *hub, struct peer *peer)
{
	const uint32_t number = peer->number;

	peer_forget(hub, peer);
	dw_router_close(hub->router, number);
}

/* As far as can be told: nobody takes over what came in by another door, or belongs to another user. */
static bool
is_same_process(const struct hub *hub, const struct peer *a, const struct peer *b)
{
	return a->roles == b->roles && dw_router_uid(hub->router, a->number) == dw_router_uid(hub->router, b->number);
}

void
peer_talks(struct hub *hub, struct peer *peer, bool talks)
{
	if (peer->talks == talks)
		return;
	if (peer->talks && peer->muted)
		DL_DELETE2(hub->muted, peer, talk_prev, talk_next);
	else if (peer->talks)
		DL_DELETE2(hub->talkers, peer, talk_prev, talk_next);
	else
		DL_APPEND2(hub->talkers, peer, talk_prev, talk_next);
	peer->talks = talks;
	peer->muted = false;
}

void
peer_mute(struct hub *hub, struct peer *peer, bool muted)
{
	peer_talks(hub, peer, false);
	peer_talks(hub, peer, true);
	if (!muted)
		return;
	DL_DELETE2(hub->talkers, peer, talk_prev, talk_next);
	DL_APPEND2(hub->muted, peer, talk_prev, talk_next);
	peer->muted = true;
}

bool
peer_hello(struct hub *hub, struct peer *peer, const struct dw_hello *hello)
{
	struct peer *older;

	HASH_FIND(hh_id, hub->peers_by_id, &hello->peer, sizeof(hello->peer), older);
	if (older != NULL && older != peer && !is_same_process(hub, older, peer))
		return false;
	if (older != NULL) {
		if (hello->incarnation < older->incarnation)
			return false;
		if (older == peer && hello->incarnation == older->incarnation)
			return true;
		if (older != peer)
			peer_close(hub, older);
	}
	if (peer->known) {
		HASH_DELETE(hh_id, hub->peers_by_id, peer);
		count_kind(hub, peer, (size_t)-1);
		empty_peer(hub, peer);
	}
	peer->known = true;
	dw_router_known(hub->router, peer->number, true);
	peer->kind = hello->kind;
	peer->id = hello->peer;
	peer->incarnation = hello->incarnation;
	peer->since = dw_mono_ms();
	(void)dw_str_copy(hello->name, peer->name, sizeof(peer->name));
	count_kind(hub, peer, 1);
	HASH_ADD(hh_id, hub->peers_by_id, id, sizeof(peer->id), peer);
	return true;
}

void
peer_answered(struct peer *peer)
{
	assert(peer->pending > 0);
	peer->pending--;
}

static void
look_at(struct hub *hub, struct peer *peer, uint64_t now)
{
	const uint64_t silence = peer->known && peer->kind == DW_PEER_CLIENT ? CLIENT_SILENCE_MS : EDGE_SILENCE_MS;

	/* Who is not listened to now is not silent. */
	if (now < peer->heard + silence || peer->talks || (peer->kind == DW_PEER_CLIENT && peer->pending > 0))
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
	struct peer *peer, *next;

	HASH_ITER(hh, hub->peers, peer, next)
	{
		peer_forget(hub, peer);
	}
}

void
peer_add_reader(struct peer *peer, struct dw_reader *reader)
{
	DL_APPEND2(peer->readers, reader, edge_prev, edge_next);
	peer->reader_count++;
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
