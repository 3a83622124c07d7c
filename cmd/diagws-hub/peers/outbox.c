/* What goes out. Handlers and commits append answers; once a turn every reader that has something to get is served with
 * MESSAGES, as far as its edge's credit reaches, and all that one peer gets is sent in as few frames as it fits into.
 *
 * Its own file because order lives here: a JOINED is sent before the messages that follow its position, and an
 * answer to a publish only when its commit has put it here.
 *
 * Failure modes: a peer that is gone or takes nothing more is marked lost, and forgotten after the flush (turn.c). A
 * failed allocation would lose an answer: it ends the process, and all that was acknowledged is kept.
 */
#include "peers/outbox.h"

#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "hub.h"
#include "peers/peers.h"
#include "wire/router.h"

enum { KEEP_BYTES = 8 * 1024 }; /* of memory that a peer to whom nothing is to be said keeps */

/* Sends the first n bytes of what is to be said to the peer, whole messages, as one frame. */
static void
send_out(struct hub *hub, struct peer *peer, size_t n)
{
	struct dw_buf *out = &peer->out;

	if (!peer->lost && dw_router_send(hub->router, peer->number, out->data, n) != DW_OK)
		peer_lose(hub, peer);
	out->len -= n;
	memmove(out->data, out->data + n, out->len);
}

/* Returns the message's size; 0: it was not added. */
static size_t
append_message(struct hub *hub, struct peer *peer, const struct dw_wire *message)
{
	struct dw_buf *out = &peer->out;
	const size_t before = out->len;
	size_t size;

	dw_wire_pack(out, message);
	if (!dw_buf_ok(out)) {
		hub->fatal = DW_E_NOMEM;
		return 0;
	}
	size = out->len - before;
	hub->outbox.bytes += size;
	if (before == 0)
		DL_APPEND2(hub->outbox.to, peer, spoken_prev, spoken_next);
	else if (out->len > DW_WIRE_TOGETHER)
		send_out(hub, peer, before);
	return size;
}

void
outbox_add(struct hub *hub, uint32_t number, const struct dw_wire *message)
{
	struct peer *peer = peer_find(hub, number);

	if (peer != NULL)
		(void)append_message(hub, peer, message);
}

/* One MESSAGES of a reader's room. False: nothing was left to send. */
static bool
serve_reader(struct hub *hub, struct peer *peer, struct dw_reader *reader)
{
	struct dw_buf *records = &hub->outbox.scratch;
	struct dw_position at = reader->sent;
	struct dw_wire message = { .kind = DW_MESSAGES };
	size_t size;

	dw_buf_reset(records);
	(void)dw_room_read(reader->room, NULL, &at, SIZE_MAX, DW_WIRE_BATCH_MAX, dw_now_ms(), records);
	if (peer->sizes == NULL)
		peer->sizes = calloc(HUB_WINDOW, sizeof(*peer->sizes));
	if (peer->sizes == NULL || !dw_buf_ok(records)) {
		hub->fatal = DW_E_NOMEM;
		return false;
	}
	if (records->len == 0)
		return false;
	message.messages = (struct dw_messages) { .room = dw_str(reader->room->name),
		.prev = reader->sent,
		.reason = dw_room_gap(reader->room, reader->sent).reason,
		.ask = dw_seq(reader->sent) < reader->room->direct_gone,
		.records = { records->data, records->len } };
	size = append_message(hub, peer, &message);
	if (size == 0)
		return false;
	peer->sizes[peer->sent++ % HUB_WINDOW] = (uint32_t)size;
	peer->uncredited += size;
	reader->sent = at;
	peer_count_late(peer, reader);
	return true;
}

/* Readers take turns, one MESSAGES each. */
static void
serve_peer(struct hub *hub, struct peer *peer)
{
	while (peer->dirty != NULL && peer_has_credit(hub, peer) && !peer->lost) {
		struct dw_reader *reader = peer->dirty;

		DL_DELETE2(peer->dirty, reader, dirty_prev, dirty_next);
		reader->dirty = false;
		if (serve_reader(hub, peer, reader) && dw_seq(reader->sent) < reader->room->head)
			peer_mark_dirty(hub, peer, reader);
	}
}

void
outbox_make_way(struct hub *hub, struct dw_room *room)
{
	uint64_t first = room->log != NULL ? dw_ring_first(room->log) : 0;
	struct dw_reader *reader;

	if (room->log == NULL || dw_ring_end(room->log) - first < hub->rooms_shared.queue_limit)
		return;
	DL_FOREACH(room->readers, reader)
	{
		struct peer *peer = peer_find(hub, reader->edge);

		if (dw_seq(reader->sent) >= dw_ring_entry(room->log, first)->seq || peer == NULL || !peer_has_credit(hub, peer))
			continue;
		(void)serve_reader(hub, peer, reader);
	}
}

void
outbox_flush(struct hub *hub)
{
	struct peer *peer, *next;

	DL_FOREACH_SAFE2(hub->serving, peer, next, serve_next)
	{
		serve_peer(hub, peer);
		peer_rest(hub, peer);
	}
	while ((peer = hub->outbox.to) != NULL) {
		DL_DELETE2(hub->outbox.to, peer, spoken_prev, spoken_next);
		send_out(hub, peer, peer->out.len);
		if (peer->out.cap > KEEP_BYTES)
			dw_buf_clear(&peer->out);
	}
	hub->outbox.bytes = 0;
}

void
outbox_forget(struct hub *hub, struct peer *peer)
{
	if (peer->out.len > 0)
		DL_DELETE2(hub->outbox.to, peer, spoken_prev, spoken_next);
	dw_buf_clear(&peer->out);
}

void
say_close(struct hub *hub, const struct dw_session *session, uint64_t code, struct dw_str reason)
{
	const struct dw_reader *reader = session->reader;

	outbox_add(hub, reader->edge,
		&(struct dw_wire) {
			.kind = DW_CLOSE, .close = { session->id, dw_str(reader->room->name), code, reason, session->stay } });
}

void
say_refused(struct hub *hub, uint32_t peer, int err, const char *text)
{
	outbox_add(hub, peer, &(struct dw_wire) { .kind = DW_REFUSED, .refused = { (uint64_t)-err, dw_str(text) } });
}

void
answer_failure(struct hub *hub, uint32_t peer, const struct dw_wire *request, int err, const char *text)
{
	const uint64_t code = (uint64_t)-err;
	struct dw_wire answer;

	switch (request->kind) {
	case DW_PUBLISH:
		text = text != NULL ? text : dw_err_text(err);
		answer = (struct dw_wire) { DW_STORED, .stored = { request->publish.corr, code, .text = dw_str(text) } };
		break;
	case DW_JOIN:
		/* No more than what a refusal that waited for a commit says (apply.c). */
		answer = (struct dw_wire) { DW_JOINED,
			.joined = { request->join.corr, request->join.session, code, request->join.room } };
		break;
	case DW_READ:
		answer = (struct dw_wire) { DW_RECORDS,
			.records = { request->read.corr, code, request->read.room, .stay = request->read.stay } };
		break;
	case DW_STAT:
		answer = (struct dw_wire) { DW_TABLE, .table = { request->stat.corr, code } };
		break;
	case DW_OWN:
		if (dw_str_is(request->own.verb, "list"))
			answer = (struct dw_wire) { DW_TABLE, .table = { request->own.corr, code } };
		else
			answer = (struct dw_wire) { DW_OWNED, .owned = { request->own.corr, code } };
		break;
	default:
		return;
	}
	outbox_add(hub, peer, &answer);
}
