/* READ: messages of a room that a session has joined, after a position, answered with RECORDS at once
 * from memory (a room with sessions is resident). What is no longer retained is told as a gap.
 */
#include "hub.h"

#include "diagws/clock.h"

/* As many records as the limits allow, at least one where there is one. */
static void
collect(const struct dw_log *log, uint64_t after, uint64_t limit, struct dw_buf *out)
{
	uint64_t index = dw_log_after(log, after);

	for (uint64_t i = 0; i < limit && index < dw_log_end(log); i++, index++) {
		struct dw_str bytes = dw_log_bytes(log, index);

		if (out->len > 0 && out->len + bytes.n > DW_WIRE_BATCH_MAX)
			break;
		dw_buf_add(out, bytes.p, bytes.n);
	}
}

void
on_read(struct hub *hub, struct peer *peer, const struct dw_wire *message, struct dw_str frame)
{
	const struct dw_read *read = &message->read;
	struct dw_room *room = read->room.n > 0 ? room_find(hub, read->room) : NULL;
	struct dw_session *session = room != NULL ? dw_room_session(room, read->session) : NULL;
	struct dw_wire answer = { .kind = DW_RECORDS };
	struct dw_buf records = { 0 };
	struct dw_gap gap;

	(void)frame;
	if (session == NULL || session->reader->edge != peer->number) {
		answer_failure(hub, peer->number, message, DW_E_DENIED, NULL);
		return;
	}
	if (read->limit < 1 || read->limit > 1000) {
		answer_failure(hub, peer->number, message, DW_E_FIELD, NULL);
		return;
	}
	dw_room_expire(room, dw_now_ms());
	gap = dw_room_gap(room, read->after_n);
	collect(room->log, read->after, read->limit, &records);
	answer.records = (struct dw_records) { .corr = read->corr,
		.room = read->room,
		.gap_from = gap.from,
		.gap_to = gap.to,
		.gap_reason = gap.reason,
		.head = room->head,
		.records = { records.data, records.len } };
	if (dw_buf_ok(&records))
		outbox_add(hub, peer->number, &answer);
	else
		answer_failure(hub, peer->number, message, DW_E_NOMEM, NULL);
	dw_buf_clear(&records);
}
