/* What goes out. Handlers and commits append answers; once a turn they are sent, and then every reader
 * that has something to get is served with MESSAGES, as far as its edge's credit reaches.
 *
 * Its own file because order lives here: a JOINED is sent before the messages that follow its position, and an
 * answer to a publish only when its commit has put it here.
 *
 * Failure modes: a peer that is gone or takes nothing more is marked lost and forgotten after the flush.
 * A failed allocation would lose an answer: it ends the process, and all that was acknowledged is kept.
 */
#include "hub.h"

#include <stdlib.h>
#include <utlist.h>

#include "diagws/clock.h"

static void
fail(struct hub *hub)
{
	hub->fatal = DW_E_NOMEM;
}

void
outbox_add(struct hub *hub, uint32_t peer, const struct dw_wire *message)
{
	struct outbox *outbox = &hub->outbox;
	size_t at = outbox->bytes.len;

	if (outbox->count == outbox->cap) {
		size_t cap = outbox->cap > 0 ? outbox->cap * 2 : 256;
		struct parcel *parcels = realloc(outbox->parcels, cap * sizeof(*parcels));

		if (parcels == NULL) {
			fail(hub);
			return;
		}
		outbox->parcels = parcels;
		outbox->cap = cap;
	}
	dw_wire_pack(&outbox->bytes, message);
	if (!dw_buf_ok(&outbox->bytes)) {
		fail(hub);
		return;
	}
	outbox->parcels[outbox->count++] = (struct parcel) { peer, at, outbox->bytes.len - at };
}

static bool
send_frame(struct hub *hub, struct peer *peer, const void *frame, size_t n)
{
	if (!peer->lost && dw_bus_send(hub->bus, peer->number, frame, n) != DW_OK)
		peer_lose(hub, peer);
	return !peer->lost;
}

/* One frame of a reader's room. False: nothing was left to send. */
static bool
serve_reader(struct hub *hub, struct peer *peer, struct dw_reader *reader)
{
	struct dw_buf *frame = &hub->outbox.scratch, *records = &hub->outbox.records;
	struct dw_position at = reader->sent;
	struct dw_wire message = { .kind = DW_MESSAGES };
	uint32_t *size;

	/* It has to join anew, for nobody knows any more whose messages they were. */
	if (reader->room->direct_lost > reader->direct_lost && reader->sent.seq < reader->room->direct_lost) {
		peer_lose(hub, peer);
		return false;
	}
	dw_buf_reset(records);
	(void)dw_room_read(reader->room, NULL, &at, SIZE_MAX, DW_WIRE_BATCH_MAX, dw_now_ms(), records);
	if (!dw_buf_ok(records)) {
		fail(hub);
		return false;
	}
	if (records->len == 0)
		return false;
	message.messages = (struct dw_messages) { .room = dw_str(reader->room->name),
		.prev = reader->sent.seq,
		.prev_n = reader->sent.n,
		.records = { records->data, records->len } };
	dw_buf_reset(frame);
	dw_wire_pack(frame, &message);
	if (!dw_buf_ok(frame)) {
		fail(hub);
		return false;
	}
	if (!send_frame(hub, peer, frame->data, frame->len))
		return false;
	size = &peer->sizes[peer->sent++ % HUB_WINDOW];
	*size = (uint32_t)frame->len;
	peer->uncredited += *size;
	dw_room_skip_unsent(reader);
	reader->sent = at;
	return true;
}

static bool
has_sizes(struct hub *hub, struct peer *peer)
{
	if (peer->sizes == NULL)
		peer->sizes = calloc(HUB_WINDOW, sizeof(*peer->sizes));
	if (peer->sizes == NULL)
		fail(hub);
	return peer->sizes != NULL;
}

/* Readers take turns, a frame each. */
static void
serve_peer(struct hub *hub, struct peer *peer)
{
	if (!has_sizes(hub, peer))
		return;
	while (peer->dirty != NULL && peer_has_credit(peer) && !peer->lost) {
		struct dw_reader *reader = peer->dirty;

		DL_DELETE2(peer->dirty, reader, dirty_prev, dirty_next);
		reader->dirty = false;
		if (serve_reader(hub, peer, reader) && reader->sent.seq < reader->room->head)
			peer_mark_dirty(hub, peer, reader);
	}
}

static void
send_parcels(struct hub *hub)
{
	struct outbox *outbox = &hub->outbox;

	for (size_t i = 0; i < outbox->count; i++) {
		const struct parcel *parcel = &outbox->parcels[i];
		struct peer *peer = peer_find(hub, parcel->peer);

		if (peer != NULL)
			(void)send_frame(hub, peer, outbox->bytes.data + parcel->at, parcel->n);
	}
	outbox->count = 0;
	dw_buf_reset(&outbox->bytes);
}

void
outbox_make_way(struct hub *hub, struct dw_room *room)
{
	uint64_t first = room->log != NULL ? dw_log_first(room->log) : 0;
	struct dw_reader *reader;

	if (room->log == NULL || dw_log_end(room->log) - first < hub->rooms_shared.queue_limit)
		return;
	DL_FOREACH(room->readers, reader)
	{
		struct peer *peer = peer_find(hub, reader->edge);

		if (reader->sent.seq >= dw_log_entry(room->log, first)->seq || peer == NULL || !peer_has_credit(peer))
			continue;
		send_parcels(hub); /* a JOINED may be among them */
		if (has_sizes(hub, peer))
			(void)serve_reader(hub, peer, reader);
	}
}

void
outbox_flush(struct hub *hub)
{
	struct peer *peer, *next;

	send_parcels(hub);
	DL_FOREACH_SAFE2(hub->serving, peer, next, serve_next)
	{
		serve_peer(hub, peer);
		peer_rest(hub, peer);
	}
	peers_forget_lost(hub);
}

void
outbox_free(struct outbox *outbox)
{
	dw_buf_clear(&outbox->bytes);
	dw_buf_clear(&outbox->scratch);
	dw_buf_clear(&outbox->records);
	free(outbox->parcels);
	*outbox = (struct outbox) { 0 };
}

void
answer_failure(struct hub *hub, uint32_t peer, const struct dw_wire *request, int err, const char *text)
{
	const uint64_t code = (uint64_t)-err;
	struct dw_wire answer = { 0 };

	switch (request->kind) {
	case DW_PUBLISH:
		answer.kind = DW_STORED;
		answer.stored = (struct dw_stored) {
			.corr = request->publish.corr, .code = code, .text = dw_str(text != NULL ? text : dw_err_text(err))
		};
		break;
	case DW_JOIN:
		answer.kind = DW_JOINED;
		/* No more than what a refusal that waited for a commit says (apply.c). */
		answer.joined = (struct dw_joined) {
			.corr = request->join.corr, .session = request->join.session, .code = code, .room = request->join.room
		};
		break;
	case DW_READ:
		answer.kind = DW_RECORDS;
		answer.records = (struct dw_records) { .corr = request->read.corr, .code = code, .room = request->read.room };
		break;
	case DW_STAT:
		answer.kind = DW_TABLE;
		answer.table = (struct dw_table) { .corr = request->stat.corr, .code = code };
		break;
	case DW_OWN:
		if (dw_str_is(request->own.verb, "list")) {
			answer.kind = DW_TABLE;
			answer.table = (struct dw_table) { .corr = request->own.corr, .code = code };
		} else {
			answer.kind = DW_OWNED;
			answer.owned = (struct dw_owned) { .corr = request->own.corr, .code = code };
		}
		break;
	default:
		return;
	}
	outbox_add(hub, peer, &answer);
}
