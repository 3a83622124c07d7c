/* What a message asks of the engine before it is carried out: whether its user may be in the room, before anything of
 * that room is made or loaded (right_…); and what the numbers were at a seq that the room does not know any more
 * (lookup_…).
 *
 * A room that is unknown, one that is forbidden, and one that is forbidden and in memory are refused after the same
 * work, a look at one entry of the registry in one batch: so neither code nor body nor time tells them apart.
 *
 * Happy path: the room is resident and knows: at once. Otherwise the message waits alone; when the batch that asks has
 * been committed it is dispatched again, or waits for its room. What is known once the room is there decides in the
 * end, for rights may change meanwhile. A room that is asked about is held until then: else the message would have it
 * loaded, and ask anew, for ever.
 *
 * Failure modes: no memory; nobody waits any more (stage.c). The engine failed: who asked for a right is told that, and
 * who asked for numbers goes on with what the room knows. A hub that is shutting down looks no right up and says
 * nothing: the next one is asked again.
 */
#include "rooms/question.h"

#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/load.h"
#include "rooms/rooms.h"
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

/* Who may goes on, or waits for the room: that is made, or loaded, now. True: it goes on. */
static bool
enter_room(struct hub *hub, struct peer *peer, const struct request *request)
{
	struct dw_room *room = room_get(hub, claim_of(&request->message).room);
	int err = DW_E_NOMEM;

	if (room != NULL && dw_room_resident(room) && !room_waits(room))
		return true;
	if (room != NULL) {
		err = room_wait(hub, room, peer, request->frame);
		room_done(hub, room);
	}
	if (err != DW_OK)
		answer_failure(hub, peer->number, &request->message, err, NULL);
	return false;
}

static void
serve_asked(struct hub *hub, struct later *later, request_fn *dispatch)
{
	struct staged *staged = staged_of(later);
	struct dw_room *room = staged->asked->room;
	struct peer *peer = peer_find(hub, staged->peer);
	struct request request = { .again = true };
	struct dw_place found;

	if (room != NULL) {
		/* What the engine could not say is 0. */
		found = (struct dw_place) {
			.at = dw_position_said(staged->op.place.seq, staged->op.place.n, staged->op.place.own),
			.until = staged->op.place.until,
			.until_own = staged->op.place.until_own,
		};
		request.found = &found;
	}
	if (asked_take(hub, staged->asked, peer, &request.message, &request.frame) &&
		(room != NULL || enter_room(hub, peer, &request)))
		dispatch(hub, peer, &request);
	if (room != NULL)
		room_unhold(hub, room);
	later_remove(hub, later);
	stage_free(hub, staged);
}

/* The message waits for what is staged, which this takes over; room: as asked_new takes it. */
static int
ask(struct hub *hub, struct peer *peer, struct staged *staged, const struct dw_wire *message, struct dw_room *room)
{
	staged->later.serve = serve_asked;
	staged->asked = asked_new(hub, peer, message, room);
	if (staged->asked != NULL)
		return stage_add(hub, peer, staged);
	stage_free(hub, staged);
	return DW_E_NOMEM;
}

static int
ask_right(struct hub *hub, struct peer *peer, const struct dw_wire *message, const struct claim *claim)
{
	struct staged *staged = stage_new(DW_OP_OWNERS, claim->room);

	if (staged == NULL)
		return DW_E_NOMEM;
	(void)dw_str_copy(claim->user, staged->op.read.user, sizeof(staged->op.read.user));
	staged->op.read.limit = 1;
	staged->claimed = claim->claimed;
	staged->reply = REPLY_RIGHT;
	staged->bytes = sizeof(struct dw_owner_row);
	return ask(hub, peer, staged, message, NULL);
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
	err = ask_right(hub, peer, message, &claim);
	return err == DW_OK ? DW_E_AGAIN : err;
}

int
right_found(const struct hub *hub, const struct staged *staged)
{
	const struct dw_buf *owners = &staged->op.read.owners;
	const struct dw_owner_row *row = (const struct dw_owner_row *)(const void *)owners->data;
	const enum dw_owner_state state = owners->len > 0 ? row->state : DW_OWNER_NONE;

	if (staged->op.err != DW_OK)
		return staged->op.err;
	return dw_may(hub->rooms_shared.ownership, state, staged->claimed) ? DW_OK : DW_E_DENIED;
}

void
right_told(struct hub *hub, struct staged *staged)
{
	const int err = right_found(hub, staged);
	struct asked *asked = staged->asked;
	struct dw_wire message;
	struct dw_str frame;

	if (err == DW_OK)
		return;
	staged->asked = NULL;
	staged->later.serve = NULL;
	if (asked_take(hub, asked, peer_find(hub, staged->peer), &message, &frame)) {
		hub->counters.rejected += message.kind == DW_PUBLISH;
		answer_failure(hub, staged->peer, &message, err, NULL);
	}
	asked_free(hub, asked);
}

int
lookup_ask(struct hub *hub, struct peer *peer, const struct dw_wire *message, struct dw_room *room, uint64_t until)
{
	struct staged *staged = stage_new(DW_OP_PLACE, dw_str(room->name));
	int err;

	if (staged == NULL)
		return DW_E_NOMEM;
	(void)dw_str_copy(claim_of(message).user, staged->op.place.user, sizeof(staged->op.place.user));
	staged->op.place.seq = dw_seq(message->kind == DW_JOIN ? message->join.after : message->read.after);
	staged->op.place.until = until;
	staged->reply = REPLY_LOOKUP;
	err = ask(hub, peer, staged, message, room);
	if (err == DW_OK)
		room_hold(hub, room);
	return err;
}
