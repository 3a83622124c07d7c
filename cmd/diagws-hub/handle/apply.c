/* What a commit brings: messages into their rooms, answers to those who asked.
 *
 * Its own file because this is the only place from which a message becomes visible and a sender is
 * answered: both only after the batch is durable. Operations are applied in their order; frames that waited for one of
 * them are carried out when the whole batch has been (rooms/later.c).
 *
 * Failure modes: an operation that was refused is answered with its reason. A storage that cannot be
 * trusted any more (DW_E_STORAGE) fails every operation, and then the process.
 */
#include "handle/handlers.h"

#include "base/clock.h"
#include "cli/logging.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/waits.h"
#include "rooms/load.h"
#include "rooms/question.h"
#include "rooms/rooms.h"
#include "rooms/sessions.h"
#include "store/stage.h"
#include "store/store.h"
#include "tables/scan.h"

/* Into its room, for its readers; and to how many it goes. */
static int
show_message(struct hub *hub, struct dw_room *room, const struct dw_op *op, struct dw_stored *stored)
{
	const struct dw_record record = { .seq = op->append.seq,
		.n = op->append.room_n,
		.at = op->append.at,
		.type = dw_str(op->append.type),
		.id = dw_str(op->append.id),
		.to = dw_str(op->append.to),
		.except = op->append.except,
		.expires_at = op->append.expires_at,
		.own = op->append.own };
	const struct dw_str bytes = { op->append.record.data, op->append.record.len };
	struct dw_audience audience;
	int err;

	outbox_make_way(hub, room);
	err = dw_room_append(room, &record, bytes, dw_now_ms());
	if (err != DW_OK)
		return err;
	audience = dw_room_audience(room, record.to, record.except);
	stored->notified = audience.sessions;
	stored->queued = audience.devices;
	room->sent += audience.sessions;
	hub->rooms_shared.sent += audience.sessions;
	return DW_OK;
}

static void
apply_append(struct hub *hub, struct staged *staged)
{
	const struct dw_op *op = &staged->op;
	const bool stored = op->err == DW_OK, fresh = stored && !op->append.duplicate;
	struct dw_wire answer = { .kind = DW_STORED, .stored = { .corr = staged->corr, .code = (uint64_t)-op->err } };
	struct dw_room *room = stored ? room_get(hub, dw_str(op->room)) : NULL;

	hub->store_full = op->err == DW_E_STORAGE_FULL;
	hub->counters.rejected += !stored;
	hub->counters.duplicates += stored && !fresh;
	hub->counters.stored += fresh;
	if (stored) {
		answer.stored.seq = op->append.seq;
		answer.stored.n = op->append.n;
		answer.stored.duplicate = !fresh;
	} else {
		answer.stored.text = dw_str(dw_err_text(op->err));
	}
	if (fresh) {
		hub->info.head = op->append.seq;
		/* It is stored: without memory to show it, a new process must. */
		if (room == NULL || show_message(hub, room, op, &answer.stored) != DW_OK) {
			hub->fatal = DW_E_NOMEM;
			return;
		}
	}
	outbox_add(hub, staged->peer, &answer);
	if (staged->wait > 0 && room != NULL)
		wait_delivered(hub, room, staged);
	if (fresh) {
		room_mark_readers(hub, room);
		waits_message(hub, room);
	}
	if (staged->holds)
		room_unhold(hub, room_find(hub, dw_str(op->room)));
	else if ((room = room_find(hub, dw_str(op->room))) != NULL)
		room_done(hub, room);
}

static void
close_intruders(struct hub *hub, struct dw_room *room, struct dw_str user)
{
	struct dw_session *session;

	while ((session = dw_room_intruder(room, user)) != NULL) {
		say_close(hub, session, 1008, DW_STR("access denied"));
		room_end_session(hub, room, session);
	}
	room_write_cursors(hub, room);
}

static void
apply_owner(struct hub *hub, struct staged *staged)
{
	const struct dw_op *op = &staged->op;
	const struct dw_wire answer = { .kind = DW_OWNED,
		.owned = { staged->corr, (uint64_t)-op->err, op->err == DW_OK && op->owner.changed } };
	struct dw_room *room = room_find(hub, dw_str(op->room));
	const struct dw_str user = dw_str(op->owner.user);

	if (op->err == DW_OK && !op->owner.dry && room != NULL && dw_room_resident(room)) {
		/* A right that could not be noted must not be exercised either way. */
		if (dw_room_own(room, user, op->owner.state) != DW_OK) {
			hub->fatal = DW_E_NOMEM;
			return;
		}
		close_intruders(hub, room, user);
		room_done(hub, room);
	}
	outbox_add(hub, staged->peer, &answer);
}

static void
apply_owners(struct hub *hub, struct staged *staged)
{
	const struct dw_op *op = &staged->op;
	const struct dw_owner_row *rows = (const struct dw_owner_row *)(const void *)op->read.owners.data;
	size_t count = op->read.owners.len / sizeof(*rows);
	struct table table;

	if (staged->reply == REPLY_RIGHT) {
		right_told(hub, staged);
		return;
	}
	if (staged->reply == REPLY_CHECKED) {
		outbox_add(hub, staged->peer,
			&(struct dw_wire) { DW_OWNED, .owned = { staged->corr, (uint64_t)-right_found(hub, staged) } });
		return;
	}
	if (op->err != DW_OK) {
		outbox_add(hub, staged->peer, &(struct dw_wire) { DW_TABLE, .table = { staged->corr, (uint64_t)-op->err } });
		return;
	}
	table_init(&table, op->read.limit, -1, false);
	if (op->read.more) {
		table.more = true;
		table.next_room = dw_str(rows[count - 1].room);
		table.next_user = dw_str(rows[count - 1].user);
		/* Only looked at. */
		count -= rows[count - 1].state == DW_OWNER_NONE;
	}
	for (size_t i = 0; i < count; i++) {
		table_text(&table, rows[i].room);
		table_text(&table, rows[i].user);
		table_text(&table, rows[i].state == DW_OWNER_DENIED ? "denied" : "granted");
		if (!table_end_row(&table))
			break;
	}
	table_send(hub, staged->peer, staged->corr, "diagnosis_id\tuser_id\tstate", &table);
}

static void
apply_one(struct hub *hub, struct staged *staged)
{
	switch (staged->op.kind) {
	case DW_OP_APPEND:
		apply_append(hub, staged);
		break;
	case DW_OP_CURSOR:
		room_cursor_written(hub, &staged->op);
		break;
	case DW_OP_OWNER:
		apply_owner(hub, staged);
		break;
	case DW_OP_LOAD:
		room_loaded(hub, staged);
		break;
	case DW_OP_OWNERS:
		apply_owners(hub, staged);
		break;
	case DW_OP_PLACE:
		break;
	}
	if (staged->reply != REPLY_NONE) {
		struct peer *peer = peer_find(hub, staged->peer);

		if (peer != NULL && peer->account == staged->account)
			peer_answered(peer);
	}
}

static void
note_commit(struct hub *hub, const struct batch *batch)
{
	struct counters *counters = &hub->counters;

	counters->commit_us[counters->commits++ % HUB_COMMITS] = batch->took_us;
	if (batch->took_us > counters->commit_us_max)
		counters->commit_us_max = batch->took_us;
	hub->info.bytes = batch->info.bytes;
}

void
apply_failure(struct hub *hub, int err)
{
	for (size_t i = 0; i < hub->batch->count; i++) {
		struct staged *staged = (struct staged *)(void *)hub->batch->ops[i];

		staged->op.err = err;
		if (staged->reply != REPLY_NONE && staged->reply != REPLY_LOOKUP)
			apply_one(hub, staged);
		stage_free(hub, staged);
	}
	hub->batch->count = 0;
}

void
apply_batch(struct hub *hub, struct batch *batch)
{
	note_commit(hub, batch);
	if (batch->err == DW_E_STORAGE) {
		dw_log_error("the storage failed, stopping", "reason=%s", batch->fault.message);
		hub->fatal = DW_E_STORAGE;
	} else if (batch->err != DW_OK) {
		dw_log_error("a commit failed", "error=%s reason=%s operations=%zu", dw_err_code(batch->err),
			batch->fault.message, batch->count);
	}
	for (size_t i = 0; i < batch->count; i++)
		apply_one(hub, (struct staged *)(void *)batch->ops[i]);
	for (size_t i = 0; i < batch->count; i++) {
		struct staged *staged = (struct staged *)(void *)batch->ops[i];

		if (staged->later.serve != NULL)
			later_add(hub, &staged->later);
		else
			stage_free(hub, staged);
	}
	batch->count = batch->appends = batch->patient = batch->cursors = 0;
	hub->spare = batch;
}
