/* READ: messages of a room after a position, answered with RECORDS from memory. Two kinds ask: an edge for a session
 * that fell behind its ring, and an edge for somebody who reads without one (session 0), by right of their token.
 *
 * Happy path: the room is resident (with a session it always is), the records that the reader gets are collected,
 * what is no longer retained is told as a gap. Nothing there: a poll waits (waits.c).
 *
 * Failure modes: a field is wrong; a stranger; a room that must be loaded first, a position that only the engine knows:
 * the frame comes back here when that is done.
 */
#include "hub.h"

#include "diagws/clock.h"
#include "diagws/msg.h"

enum { LIMIT_MAX = 1000, WAIT_MAX_MS = 60 * 1000 };

/* Fills what is the same for both: from `at` on. */
static int
collect(struct dw_room *room, struct dw_str user, const struct dw_read *read, struct dw_position at, struct dw_buf *out,
	struct dw_records *records)
{
	const uint64_t now = dw_now_ms();
	const struct dw_gap gap = dw_room_gap(room, at.n);

	records->corr = read->corr;
	records->room = read->room;
	records->gap_from = gap.from;
	records->gap_to = gap.to;
	records->gap_reason = gap.reason;
	records->direct = dw_room_direct_gap(room, user, at.seq, now);
	if (gap.reason != DW_GAP_NONE)
		at.n = gap.to;
	records->more = dw_room_read(room, &user, &at, read->limit, DW_WIRE_BATCH_MAX, now, out);
	if (!records->more)
		at = (struct dw_position) { at.seq > room->head ? at.seq : room->head, room->n };
	records->last = at.seq;
	records->last_n = at.n;
	records->head = room->head;
	records->records = (struct dw_str) { out->data, out->len };
	return dw_buf_ok(out) ? DW_OK : DW_E_NOMEM;
}

static int
read_for_session(struct hub *hub, struct peer *peer, const struct dw_read *read, struct dw_buf *out)
{
	struct dw_room *room = read->room.n > 0 ? room_find(hub, read->room) : NULL;
	struct dw_session *session = room != NULL ? dw_room_session(room, read->session) : NULL;
	struct dw_wire answer = { .kind = DW_RECORDS };
	int err;

	if (session == NULL || session->reader->edge != peer->number)
		return DW_E_DENIED;
	dw_room_expire(room, dw_now_ms());
	err = collect(room, dw_str(session->device->member->user), read,
		(struct dw_position) { read->after, read->after_n }, out, &answer.records);
	if (err != DW_OK)
		return err;
	if (answer.records.gap_reason != DW_GAP_NONE)
		dw_room_skip(room, session);
	outbox_add(hub, peer->number, &answer);
	return DW_OK;
}

/* What a poll waits for. */
static bool
is_nothing(const struct dw_records *records)
{
	return records->records.n == 0 && !records->reset && records->gap_reason == DW_GAP_NONE &&
		   records->direct.count == 0;
}

static int
read_room(struct hub *hub, struct peer *peer, struct dw_room *room, const struct dw_read *read, struct dw_str frame,
	struct dw_buf *out)
{
	const struct dw_join_context context = { .edge = peer->number,
		.epoch = hub->info.epoch,
		.engine_head = hub->info.head,
		.now = dw_now_ms(),
		.place = place_of(hub, read->after) };
	struct dw_wire answer = { .kind = DW_RECORDS };
	struct dw_position at;
	int err;

	dw_room_expire(room, context.now);
	answer.records.reset = !dw_room_stand(room, read->user, read->after, read->epoch, &context, &at);
	if (!answer.records.reset && context.place == NULL && dw_room_asks_place(room, read->after))
		return place_ask(hub, peer, read->room, read->after, 0, frame);
	err = collect(room, read->user, read, at, out, &answer.records);
	/* Who begins has missed nothing. */
	if ((read->after == 0 && read->epoch.n == 0) || answer.records.reset)
		answer.records.direct = (struct dw_direct_gap) { 0 };
	if (err != DW_OK)
		return err;
	if (is_nothing(&answer.records) && read->wait_ms > 0 && hub->poll != POLL_OVER && !hub->closing)
		return wait_message(hub, peer, room, read);
	outbox_add(hub, peer->number, &answer);
	return DW_OK;
}

static int
read_for_user(struct hub *hub, struct peer *peer, const struct dw_read *read, struct dw_str frame, struct dw_buf *out)
{
	struct dw_room *room;
	int err;

	if (!dw_room_ok(read->room) || !dw_user_ok(read->user) || read->wait_ms > WAIT_MAX_MS)
		return DW_E_FIELD;
	if (!hub->replaying && stage_full(hub, peer))
		return DW_E_BUSY;
	room = room_get(hub, read->room);
	if (room == NULL)
		return DW_E_NOMEM;
	if (!dw_room_resident(room))
		err = room_wait(hub, room, peer, frame);
	else if (!dw_room_may(room, read->user, read->claimed))
		err = deny(hub, peer, REPLY_NOT_READ, read->room, read->user, read->corr, 0);
	else
		err = read_room(hub, peer, room, read, frame, out);
	room_settle(hub, room);
	return err;
}

void
on_read(struct hub *hub, struct peer *peer, const struct dw_wire *message, struct dw_str frame)
{
	const struct dw_read *read = &message->read;
	struct dw_buf out = { 0 };
	int err;

	if (read->limit < 1 || read->limit > LIMIT_MAX)
		err = DW_E_FIELD;
	else if (read->session != 0)
		err = read_for_session(hub, peer, read, &out);
	else
		err = read_for_user(hub, peer, read, frame, &out);
	if (err != DW_OK)
		answer_failure(hub, peer->number, message, err, NULL);
	dw_buf_clear(&out);
}
