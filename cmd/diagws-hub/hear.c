/* What peers say: frames from the router, message by message to dispatch.c.
 *
 * Its own file because it is where time is shared out. Each peer says a few messages, then the next one does; a peer
 * that is not through with its frame (a talker) comes again, and in between come those who begin. Nobody is read from
 * while its frame is not handled, and nobody is handled who has too much unread: so what a peer makes the hub keep and
 * do is bounded before it is done.
 *
 * Failure modes: a frame that is too long is refused unread. A peer that is forgotten in the middle of its frame takes
 * the rest with it.
 */
#include "turn.h"

#include "base/clock.h"
#include "cli/logging.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "store/stage.h"
#include "wire/router.h"

enum {
	SHARE = 64,                      /* of a peer, in messages of the simplest kind (hub_receive), */
	A_TURN = 4096,                   /* messages of all, */
	A_TURN_US = 500,                 /* or so long, */
	OUTBOX_A_TURN = 8 * 1024 * 1024, /* or so many bytes of answers */
};

/* Others go on. */
static bool
may_talk(const struct hub *hub, const struct peer *peer)
{
	return !peer_is_deaf(hub, peer) && !stage_crowded(hub, peer) && !peer->held;
}

/* Through with its frame, or gone with the rest of it. */
static void
end_frame(struct hub *hub, uint32_t number)
{
	struct peer *peer = peer_find(hub, number);

	if (peer != NULL && peer->rest.n > 0)
		return;
	if (peer != NULL)
		peer_talk(hub, peer, TALK_DONE);
	dw_router_done(hub->router, number);
}

static void
refuse_frame(struct hub *hub, uint32_t number, size_t n)
{
	struct peer *peer = peer_get(hub, number);

	dw_log_warn("frame refused unread", "bytes=%zu", n);
	if (peer != NULL && may_talk(hub, peer))
		say_refused(hub, number, DW_E_PROTOCOL, "a frame holds 1 byte to 1 MiB");
	else if (peer != NULL)
		peer_lose(hub, peer); /* it neither speaks nor reads as it should */
}

/* Its share of messages; how many. It may be forgotten by one of them. */
static size_t
listen_to(struct hub *hub, uint32_t number)
{
	size_t count = 0, spent = 0;
	struct peer *peer;

	while (spent < SHARE && (peer = peer_find(hub, number)) != NULL && peer->rest.n > 0 && may_talk(hub, peer)) {
		spent += hub_receive(hub, peer);
		count++;
	}
	return count;
}

/* A frame that has just come. */
static size_t
begin_frame(struct hub *hub, uint32_t number, struct dw_str frame)
{
	struct peer *peer = peer_get(hub, number);
	size_t count;

	if (peer == NULL) {
		/* Nobody would answer it. */
		dw_log_error("no memory for a peer", NULL);
		hub->fatal = DW_E_NOMEM;
		return 0;
	}
	peer->heard = dw_mono_ms();
	peer->rest = frame;
	peer_talk(hub, peer, TALK_ON);
	count = listen_to(hub, number);
	end_frame(hub, number);
	return count;
}

/* The next of those who are not through with their frame and may go on. Whoever may not now may not before this is
 * over, and is not asked again. False: nobody may. */
static bool
resume_talker(struct hub *hub, size_t *count)
{
	struct peer *peer;

	while ((peer = hub->talkers) != NULL) {
		const bool may = may_talk(hub, peer);
		const uint32_t number = peer->number;

		peer_talk(hub, peer, may ? TALK_ON : TALK_MUTED);
		if (!may)
			continue;
		*count += listen_to(hub, number);
		end_frame(hub, number);
		return true;
	}
	return false;
}

/* False: none is there. */
static bool
take_next(struct hub *hub, size_t *count)
{
	struct dw_str frame;
	uint32_t number;
	const int err = dw_router_recv(hub->router, &number, &frame);

	if (err == DW_E_AGAIN)
		return false;
	if (err == DW_OK && frame.n > 0) {
		*count += begin_frame(hub, number, frame);
		return true;
	}
	refuse_frame(hub, number, frame.n);
	dw_router_done(hub->router, number);
	*count += 1;
	return true;
}

size_t
hear(struct hub *hub, bool *more)
{
	const uint64_t end = dw_mono_us() + A_TURN_US;
	size_t count = 0;

	if (dw_router_turn(hub->router) != DW_OK) {
		dw_log_error("no memory for a connection", NULL);
		hub->fatal = DW_E_NOMEM; /* a hub that hears nobody is worse than one that is started again */
	}
	while (hub->muted != NULL)
		peer_talk(hub, hub->muted, TALK_ON);
	*more = false;
	while (!*more && hub->fatal == DW_OK) {
		const bool went_on = resume_talker(hub, &count), took = take_next(hub, &count);

		if (!went_on && !took)
			break;
		*more = count >= A_TURN || hub->outbox.bytes >= OUTBOX_A_TURN || dw_mono_us() >= end;
	}
	return count;
}
