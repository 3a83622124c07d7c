/* Places: what the numbers were at a seq that the room itself does not know any more, asked of the engine.
 *
 * Its own file because it is the one question about a resident room that needs the disk. Who asks waits alone: others
 * who join the room are not held up.
 *
 * Happy path: a JOIN or READ gives a position whose message was dropped; the frame waits, the batch asks; when it has
 * been committed the frame is dispatched again, and finds the answer with place_of. Until then the room stays in
 * memory: else the frame would have it loaded, and ask anew, for ever.
 *
 * Failure modes: the peer is gone or has introduced itself anew: nobody waits. The session left meanwhile: its
 * JOIN is dropped. The engine could not say: the frame goes on with what the room knows.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

int
place_ask(struct hub *hub, struct peer *peer, const struct place_question *question, struct dw_str frame)
{
	struct place *place = calloc(1, sizeof(*place) + frame.n);
	struct staged *staged = stage_new(DW_OP_PLACE, dw_str(question->room->name));
	int err;

	if (place == NULL || staged == NULL) {
		free(place);
		free(staged);
		return DW_E_NOMEM;
	}
	place->room = question->room;
	place->peer = peer->number;
	place->incarnation = peer->incarnation;
	place->session = question->session;
	place->n = frame.n;
	memcpy(place->frame, frame.p, frame.n);
	(void)dw_str_copy(question->user, staged->op.place.user, sizeof(staged->op.place.user));
	staged->op.place.seq = question->seq;
	staged->op.place.until = question->until;
	staged->reply = REPLY_PLACE;
	staged->place = place;
	err = stage_add(hub, peer, staged);
	if (err != DW_OK)
		return err;
	DL_APPEND(hub->places, place);
	room_hold(hub, question->room);
	return DW_OK;
}

void
place_found(struct hub *hub, struct staged *staged)
{
	/* What the engine could not say is 0. */
	const struct dw_place found = {
		.at = dw_position_said(staged->op.place.seq, staged->op.place.n, staged->op.place.own),
		.until = staged->op.place.until,
		.until_own = staged->op.place.until_own,
	};
	struct place *place = staged->place;
	struct peer *peer = peer_find(hub, place->peer);
	const struct dw_str frame = { place->frame, place->n };
	struct dw_wire message;

	DL_DELETE(hub->places, place);
	staged->place = NULL;
	if (peer != NULL && peer->known && peer->incarnation == place->incarnation &&
		dw_wire_unpack(&message, frame.p, frame.n, NULL) == DW_OK) {
		hub->place = &found;
		hub_dispatch(hub, peer, &message, frame);
		hub->place = NULL;
	}
	room_unhold(place->room);
	room_settle(hub, place->room);
	free(place);
}

void
place_forget(struct hub *hub, const struct peer *peer, uint64_t session, struct dw_str room)
{
	struct place *place;

	DL_FOREACH(hub->places, place)
	{
		struct dw_wire message;

		if (place->peer == peer->number && place->session == session &&
			dw_wire_unpack(&message, place->frame, place->n, NULL) == DW_OK && message.kind == DW_JOIN &&
			message.join.room.n == room.n && memcmp(message.join.room.p, room.p, room.n) == 0)
			place->incarnation = UINT64_MAX;
	}
}

const struct dw_place *
place_of(const struct hub *hub, uint64_t seq)
{
	return hub->place != NULL && dw_seq(hub->place->at) == seq ? hub->place : NULL;
}
