/* Whether a user may be in a room, before anything of that room is made or loaded.
 *
 * Its own file because three messages need it, and because what it must not do is easily undone: a room that is
 * unknown, one that is forbidden, and one that is forbidden and in memory are refused after the same work, a look at
 * one entry of the registry in one batch. So neither code nor body nor time tells them apart, and no stranger has a
 * room loaded.
 *
 * Happy path: the room is resident, and knows that the user may: at once. Otherwise the message waits for the look; who
 * may goes on, to the room or to wait for it (load_queue.c). What is known once the room is there decides in the end,
 * for rights may change meanwhile.
 *
 * Failure modes: no memory; the engine failed (who asked is told that). A hub that is shutting down looks no more and
 * says nothing: the next one is asked again.
 */
#include "rooms/right.h"

#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "request.h"
#include "rooms/later.h"
#include "rooms/load_queue.h"
#include "rooms/rooms.h"
#include "store/asked.h"
#include "store/stage.h"

struct claim {
	struct dw_str room, user;
	bool claimed; /* the user's token names the room */
};

static struct claim
claim_of(const struct dw_wire *message)
{
	if (message->kind == DW_JOIN)
		return (struct claim) { message->join.room, message->join.user, (message->join.flags & DW_JOIN_CLAIMED) != 0 };
	if (message->kind == DW_READ)
		return (struct claim) { message->read.room, message->read.user, message->read.claimed };
	return (struct claim) { message->publish.room, message->publish.user, message->publish.claimed };
}

static int
stage_look(struct hub *hub, struct peer *peer, const struct dw_wire *message, const struct claim *claim)
{
	struct staged *staged = stage_new(DW_OP_OWNERS, claim->room);

	if (staged == NULL)
		return DW_E_NOMEM;
	(void)dw_str_copy(claim->user, staged->op.read.user, sizeof(staged->op.read.user));
	staged->op.read.limit = 1;
	staged->claimed = claim->claimed;
	staged->reply = REPLY_RIGHT;
	staged->bytes = sizeof(struct dw_owner_row);
	staged->asked = asked_new(hub, peer, message, NULL);
	if (staged->asked == NULL) {
		stage_free(hub, staged);
		return DW_E_NOMEM;
	}
	return stage_add(hub, peer, staged);
}

int
right_check(struct hub *hub, struct peer *peer, const struct request *request, struct dw_room **out)
{
	const struct dw_wire *message = &request->message;
	const struct claim claim = claim_of(message);
	struct dw_room *room = room_find(hub, claim.room);
	const bool in_turn = request->again || message->kind != DW_JOIN || !asked_joins(hub, claim.room);
	int err;

	if (room != NULL && dw_room_resident(room) && in_turn) {
		if (dw_room_may(room, claim.user, claim.claimed)) {
			*out = room;
			return DW_OK;
		}
		if (request->again)
			return DW_E_DENIED;
	}
	if (hub->closing)
		return DW_E_AGAIN;
	err = stage_look(hub, peer, message, &claim);
	return err == DW_OK ? DW_E_AGAIN : err;
}

void
right_told(struct hub *hub, struct staged *staged)
{
	const struct dw_op *op = &staged->op;
	const struct dw_owner_row *rows = (const struct dw_owner_row *)(const void *)op->read.owners.data;
	const enum dw_owner_state state = op->read.owners.len > 0 ? rows[0].state : DW_OWNER_NONE;
	struct asked *asked = staged->asked;
	struct dw_wire message;
	struct dw_str frame;
	int err = op->err;

	if (err == DW_OK && !dw_may(hub->rooms_shared.ownership, state, staged->claimed))
		err = DW_E_DENIED;
	if (err == DW_OK)
		return;
	staged->asked = NULL;
	if (asked_take(hub, asked, peer_find(hub, staged->peer), &message, &frame)) {
		hub->counters.rejected += message.kind == DW_PUBLISH;
		answer_failure(hub, staged->peer, &message, err, NULL);
	}
	asked_free(hub, asked);
}

/* Who may goes on, or waits for the room: that is made, or loaded, now. */
static struct peer *
take_request(struct hub *hub, struct later *later, struct request *request)
{
	const struct staged *staged = staged_of(later);
	struct peer *peer = peer_find(hub, staged->peer);
	struct dw_room *room;
	int err = DW_E_NOMEM;

	if (!asked_take(hub, staged->asked, peer, &request->message, &request->frame))
		return NULL;
	request->again = true;
	room = room_get(hub, claim_of(&request->message).room);
	if (room != NULL && dw_room_resident(room) && !room_waits(room))
		return peer;
	if (room != NULL) {
		err = room_wait(hub, room, peer, request->frame);
		room_done(hub, room);
	}
	if (err != DW_OK)
		answer_failure(hub, peer->number, &request->message, err, NULL);
	return NULL;
}

static void
end_request(struct hub *hub, struct later *later, const struct request *request)
{
	(void)request;
	later_remove(hub, later);
	stage_free(hub, staged_of(later));
}

void
right_found(struct hub *hub, struct staged *staged)
{
	static const struct later_ops ops = { take_request, end_request };

	if (staged->asked != NULL)
		later_add(hub, &staged->later, &ops);
	else
		stage_free(hub, staged);
}
