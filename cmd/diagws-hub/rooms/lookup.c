/* Lookups: what the numbers were at a seq that the room itself does not know any more, asked of the engine.
 *
 * Its own file because it is the one question about a resident room that needs the disk. Who asks waits alone: others
 * who join the room are not held up.
 *
 * Happy path: a JOIN or READ gives a position whose message was dropped; the frame waits, the batch asks; when it has
 * been committed the frame is dispatched again, and finds the answer with lookup_of. Until then the room stays in
 * memory: else the frame would have it loaded, and ask anew, for ever.
 *
 * Failure modes: nobody waits any more (asked.c). The engine could not say: the frame goes on with what the room knows.
 */
#include "rooms/lookup.h"

#include "peers/peers.h"
#include "request.h"
#include "rooms/later.h"
#include "rooms/rooms.h"
#include "store/asked.h"
#include "store/stage.h"

int
lookup_ask(struct hub *hub, struct peer *peer, const struct lookup *question, const struct dw_wire *message)
{
	struct staged *staged = stage_new(DW_OP_PLACE, dw_str(question->room->name));
	int err;

	if (staged == NULL)
		return DW_E_NOMEM;
	(void)dw_str_copy(question->user, staged->op.place.user, sizeof(staged->op.place.user));
	staged->op.place.seq = question->seq;
	staged->op.place.until = question->until;
	staged->reply = REPLY_LOOKUP;
	staged->asked = asked_new(hub, peer, message, question->room);
	if (staged->asked == NULL) {
		stage_free(hub, staged);
		return DW_E_NOMEM;
	}
	err = stage_add(hub, peer, staged);
	if (err == DW_OK)
		room_hold(hub, question->room);
	return err;
}

static struct peer *
take_request(struct hub *hub, struct later *later, struct request *request)
{
	const struct staged *staged = staged_of(later);
	struct peer *peer = peer_find(hub, staged->peer);

	if (!asked_take(hub, staged->asked, peer, &request->message, &request->frame))
		return NULL;
	request->again = request->looked_up = true;
	/* What the engine could not say is 0. */
	request->found = (struct dw_place) {
		.at = dw_position_said(staged->op.place.seq, staged->op.place.n, staged->op.place.own),
		.until = staged->op.place.until,
		.until_own = staged->op.place.until_own,
	};
	return peer;
}

static void
end_request(struct hub *hub, struct later *later, const struct request *request)
{
	struct staged *staged = staged_of(later);
	struct dw_room *room = staged->asked->room;

	(void)request;
	room_unhold(room);
	room_done(hub, room);
	later_remove(hub, later);
	stage_free(hub, staged);
}

void
lookup_found(struct hub *hub, struct staged *staged)
{
	static const struct later_ops ops = { take_request, end_request };

	later_add(hub, &staged->later, &ops);
}

const struct dw_place *
lookup_of(const struct request *request, uint64_t seq)
{
	return request->looked_up && dw_seq(request->found.at) == seq ? &request->found : NULL;
}
