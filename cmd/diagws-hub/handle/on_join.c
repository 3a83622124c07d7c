/* JOIN: a session comes to a room. Answered with JOINED; the messages after its position follow.
 *
 * Happy path: the room is resident, the user may watch, an older connection of the same device is told
 * that it is replaced, the session stands where the rules say (lib/room/join.c). Failure modes: a field is wrong; who
 * may not watch is refused (question.c); a room that is not resident is loaded first, for one who may, and the frame
 * comes back here.
 */
#include "handle/handlers.h"

#include <utlist.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "hub.h"
#include "message/msg.h"
#include "options.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/waits.h"
#include "rooms/question.h"
#include "rooms/rooms.h"
#include "rooms/sessions.h"
#include "store/stage.h"

static bool
well_formed(const struct dw_join *join)
{
	return dw_room_ok(join->room) && dw_user_ok(join->user) && dw_device_ok(join->device) && join->session != 0 &&
		   join->expires < UINT64_MAX / 1000 / 2;
}

/* --max-sessions, of which an edge gets no more than are left for all others: see stage_full. Who comes back after the
 * hub was away keeps its place whatever the order in which edges come. Who takes another's place makes none less. */
static bool
is_full(struct hub *hub, const struct peer *peer, const struct dw_join *join)
{
	const size_t most = (size_t)hub->options->max_sessions, all = hub->rooms_shared.sessions;
	const bool returns = (join->flags & DW_JOIN_RETURN) != 0;
	struct dw_room *room;

	if (all < most && (returns || peer->sessions < most - all))
		return false;
	room = room_find(hub, join->room);
	if (room != NULL && (dw_room_session(room, join->session) != NULL || dw_room_rival(room, join) != NULL))
		return false;
	dw_log_warn(
		"no more sessions", "peer=%s sessions=%zu of_all=%zu max_sessions=%zu", peer->name, peer->sessions, all, most);
	return true;
}

static void
end_rivals(struct hub *hub, struct dw_room *room, const struct dw_join *join)
{
	struct dw_session *rival;

	while ((rival = dw_room_rival(room, join)) != NULL) {
		say_close(hub, rival, 4001, DW_STR("replaced"));
		room_leave(hub, room, rival);
	}
}

static int
join_room(struct hub *hub, struct peer *peer, struct dw_room *room, const struct request *request)
{
	const struct dw_join *join = &request->message.join;
	const struct dw_join_context context = { .edge = peer->number,
		.epoch = hub->info.epoch,
		.engine_head = hub->info.head,
		.now = dw_now_ms(),
		.steady = dw_mono_ms(),
		.place = request->found };
	struct dw_wire answer = { .kind = DW_JOINED };
	struct dw_session *session = dw_room_session(room, join->session);
	const struct had before = had_of(dw_room_device(room, join->user, join->device));
	int err;

	if (session != NULL && session->reader->edge != peer->number)
		return DW_E_FIELD;
	if (session != NULL)
		room_leave(hub, room, session);
	if (dw_room_replaced(room, join, context.steady)) {
		outbox_add(hub, peer->number,
			&(struct dw_wire) { .kind = DW_CLOSE,
				.close = { join->session, join->room, 4001, DW_STR("replaced"), (uint32_t)join->corr } });
		room_drop_empty_readers(hub, room);
		return DW_OK;
	}
	end_rivals(hub, room, join);
	err = dw_room_join(room, join, &context, &answer.joined, &session);
	if (err == DW_OK) {
		peer->sessions++;
		if (session->reader->session_count == 1 && session->reader->edge_prev == NULL) {
			DL_APPEND2(peer->readers, session->reader, edge_prev, edge_next);
			peer->reader_count++;
		}
		if (dw_seq(session->reader->sent) < room->head)
			peer_mark_dirty(hub, peer, session->reader);
		answer.joined.corr = join->corr;
		/* A device that is new is known to the store with the next commit. */
		if (!session->device->stored)
			room_write_device(hub, room, session->device);
		outbox_add(hub, peer->number, &answer);
		waits_joined(hub, room, session, &before);
	}
	room_drop_empty_readers(hub, room);
	return err;
}

/* A position of the client's own whose message was dropped. */
static bool
needs_lookup(const struct hub *hub, const struct dw_room *room, const struct request *request)
{
	const struct dw_join *join = &request->message.join;

	return (join->flags & DW_JOIN_AFTER) != 0 && (join->flags & (DW_JOIN_RETURN | DW_JOIN_NEW)) == 0 &&
		   (join->epoch.n == 0 || dw_str_is(join->epoch, hub->info.epoch)) && dw_seq(join->after) <= hub->info.head &&
		   request->found == NULL && dw_room_asks_place(room, join->user, dw_seq(join->after));
}

void
on_join(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_join *join = &request->message.join;
	struct dw_room *room = NULL;
	int err;

	if (!well_formed(join))
		err = DW_E_FIELD;
	else if (!request->again && stage_full(hub, peer, HUB_SMALL))
		err = DW_E_BUSY;
	else if (is_full(hub, peer, join))
		err = DW_E_RATE;
	else
		err = right_check(hub, peer, request, &room);
	if (err == DW_OK) {
		dw_room_expire(room, dw_now_ms());
		if (needs_lookup(hub, room, request))
			err = lookup_ask(hub, peer, &request->message, room, 0);
		else
			err = join_room(hub, peer, room, request);
	}
	if (err != DW_OK && err != DW_E_AGAIN)
		answer_failure(hub, peer->number, &request->message, err, NULL);
	if (room != NULL)
		room_done(hub, room);
}
