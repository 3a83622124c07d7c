/* READ: messages of a room after a position, answered with RECORDS from memory. Two kinds ask: an edge for a session
 * that fell behind its ring (its room is resident), and an edge for somebody who reads without one (session 0), by
 * right of their token. What is no longer retained is told as a gap. Nothing there: a poll waits (waits.c).
 *
 * Failure modes: a field is wrong; a stranger (question.c); a room that must be loaded first, a position that only the
 * engine knows: the frame comes back here when that is done.
 */
#include "handle/handlers.h"

#include "base/clock.h"
#include "hub.h"
#include "message/msg.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/waits.h"
#include "rooms/question.h"
#include "rooms/rooms.h"
#include "store/stage.h"

enum { LIMIT_MAX = 1000, WAIT_MAX_MS = 60 * 1000 };

/* Reads a page, and says where it ends. */
static int
read_page(const struct dw_room *room, const struct dw_read *read, struct dw_str user, struct dw_position at,
	struct dw_buf *out, struct dw_records *records)
{
	records->corr = read->corr;
	records->stay = read->stay;
	records->room = read->room;
	records->head = room->head;
	records->gap = dw_room_gap(room, at);
	records->direct = dw_room_direct_gap(room, user, at);
	records->last = at;
	records->more = dw_room_read(room, &user, &records->last, read->limit, DW_WIRE_BATCH_MAX, dw_now_ms(), out);
	records->records = (struct dw_str) { out->data, out->len };
	return dw_buf_ok(out) ? DW_OK : DW_E_NOMEM;
}

/* A session is told all that it misses at once, and stands behind it. */
static int
read_for_session(struct hub *hub, struct peer *peer, const struct dw_read *read, struct dw_buf *out)
{
	struct dw_room *room = read->room.n > 0 ? room_find(hub, read->room) : NULL;
	struct dw_session *session = room != NULL ? dw_room_session(room, read->session) : NULL;
	struct dw_wire answer = { .kind = DW_RECORDS };
	struct dw_records *records = &answer.records;
	struct dw_str user;
	int err;

	if (session == NULL || session->reader->edge != peer->number)
		return DW_E_DENIED;
	user = dw_str(session->device->member->user);
	dw_room_expire(room, dw_now_ms());
	err = read_page(room, read, user, read->after, out, records);
	if (err != DW_OK)
		return err;
	records->last = dw_room_go_on(room, user, records->last);
	outbox_add(hub, peer->number, &answer);
	return DW_OK;
}

/* What a poll waits for. */
static bool
is_nothing(const struct dw_records *records)
{
	return records->records.n == 0 && !records->reset && records->gap.reason == DW_GAP_NONE &&
		   records->direct.reason == DW_GAP_NONE;
}

static void
cut_gap(struct dw_gap *gap, uint64_t to)
{
	if (gap->to > to)
		gap->to = to;
	if (gap->from > gap->to)
		*gap = (struct dw_gap) { 0, 0, DW_GAP_NONE };
}

/* Who polls goes on from no more than a seq: of what is missing each page tells what lies on it. False: the engine has
 * to be asked how many direct messages that were. */
static bool
cut_gaps(
	const struct dw_room *room, const struct dw_read *read, const struct dw_place *found, struct dw_records *records)
{
	const uint64_t last = dw_seq(records->last);
	uint64_t own;

	if (!records->more)
		return true;
	cut_gap(&records->gap, dw_n(records->last));
	if (records->direct.reason == DW_GAP_NONE)
		return true;
	if (dw_room_own_at(room, read->user, last, &own))
		cut_gap(&records->direct, own);
	else if (found == NULL)
		return false;
	else if (found->until == last)
		cut_gap(&records->direct, found->until_own);
	/* Else the page has become another one meanwhile: rather tell all of it than not all. */
	return true;
}

static int
read_room(struct hub *hub, struct peer *peer, struct dw_room *room, struct request *request, struct dw_buf *out)
{
	const struct dw_read *read = &request->message.read;
	const struct dw_place *found = request->found;
	const struct dw_join_context context = { .edge = peer->number,
		.epoch = hub->info.epoch,
		.engine_head = hub->info.head,
		.now = dw_now_ms(),
		.place = found };
	struct dw_wire answer = { .kind = DW_RECORDS };
	struct dw_records *records = &answer.records;
	struct dw_position at;
	bool asks;
	int err;

	dw_room_expire(room, context.now);
	records->reset = !dw_room_stand(room, read->user, dw_seq(read->after), read->epoch, &context, &at);
	asks = !records->reset && found == NULL && dw_room_asks_place(room, read->user, dw_seq(read->after));
	err = read_page(room, read, read->user, at, out, records);
	if (err != DW_OK)
		return err;
	if (!cut_gaps(room, read, found, records) || asks)
		/* With what is left of its wait. */
		return lookup_ask(hub, peer, &request->message, room, dw_seq(records->last));
	if (is_nothing(records) && read->wait_ms > 0 && !hub->closing)
		return wait_message(hub, peer, room, request);
	if (!records->more)
		records->last = dw_position_said(dw_greater(room->head, records->reset ? 0 : dw_seq(read->after)), room->n, 0);
	outbox_add(hub, peer->number, &answer);
	return DW_OK;
}

static int
read_for_user(struct hub *hub, struct peer *peer, struct request *request, struct dw_buf *out)
{
	const struct dw_read *read = &request->message.read;
	struct dw_room *room = NULL;
	int err;

	if (!dw_room_ok(read->room) || !dw_user_ok(read->user) || read->wait_ms > WAIT_MAX_MS)
		return DW_E_FIELD;
	if (!request->again && request->poll == POLL_FIRST && stage_full(hub, peer, HUB_SMALL))
		return DW_E_BUSY;
	err = right_check(hub, peer, request, &room);
	if (err != DW_OK)
		return err;
	/* Many that waited for the same room would be answered at once, with more than a peer can take. */
	if (request->again && peer_is_deaf(hub, peer))
		err = wait_message(hub, peer, room, request);
	else
		err = read_room(hub, peer, room, request, out);
	room_done(hub, room);
	return err;
}

void
on_read(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_read *read = &request->message.read;
	struct dw_buf out = { 0 };
	int err;

	if (read->limit < 1 || read->limit > LIMIT_MAX)
		err = DW_E_FIELD;
	else if (read->session != 0)
		err = read_for_session(hub, peer, read, &out);
	else
		err = read_for_user(hub, peer, request, &out);
	if (err != DW_OK && err != DW_E_AGAIN)
		answer_failure(hub, peer->number, &request->message, err, NULL);
	dw_buf_clear(&out);
}
