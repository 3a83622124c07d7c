/* The batch: what waits for the next commit, and for whom.
 *
 * Its own file because it is where the bound on staged bytes and on a peer's unanswered requests is
 * kept. Happy path: a handler makes an operation, adds it, and the loop hands the batch over when the
 * store thread is idle. Failure modes: memory, told to the handler, which answers.
 */
#include "hub.h"

#include <stdlib.h>

#include "diagws/clock.h"

struct staged *
stage_new(enum dw_op_kind kind, struct dw_str room)
{
	struct staged *staged = calloc(1, sizeof(*staged));

	if (staged == NULL)
		return NULL;
	staged->op.kind = kind;
	(void)dw_str_copy(room, staged->op.room, sizeof(staged->op.room));
	return staged;
}

static bool
grow(struct batch *batch)
{
	size_t cap = batch->cap > 0 ? batch->cap * 2 : 64;
	struct dw_op **ops = realloc(batch->ops, cap * sizeof(struct dw_op *));

	if (ops == NULL)
		return false;
	batch->ops = ops;
	batch->cap = cap;
	return true;
}

int
stage_add(struct hub *hub, struct peer *peer, struct staged *staged)
{
	struct batch *batch = hub->batch;

	if (batch->count == batch->cap && !grow(batch)) {
		dw_op_clear(&staged->op);
		free(staged->place);
		free(staged);
		return DW_E_NOMEM;
	}
	staged->bytes = sizeof(*staged) + (staged->op.kind == DW_OP_APPEND ? staged->op.append.size : 0);
	staged->bytes += staged->place != NULL ? sizeof(*staged->place) + staged->place->n : 0;
	hub->staged_bytes += staged->bytes;
	if (peer != NULL) {
		staged->peer = peer->number;
		peer->pending++;
	}
	if (batch->count == 0)
		hub->staged_at = dw_mono_us();
	batch->ops[batch->count++] = &staged->op;
	batch->appends += staged->op.kind == DW_OP_APPEND;
	batch->patient += staged->op.kind == DW_OP_CURSOR;
	return DW_OK;
}

void
stage_free(struct hub *hub, struct staged *staged)
{
	hub->staged_bytes -= staged->bytes;
	dw_op_clear(&staged->op);
	free(staged->place);
	free(staged);
}

bool
stage_full(const struct hub *hub, const struct peer *peer)
{
	return hub->staged_bytes >= HUB_STAGED_MAX || peer->pending >= HUB_PENDING_MAX;
}

uint64_t
stage_due(const struct hub *hub)
{
	const struct batch *batch = hub->batch;
	uint64_t now, due;

	if (batch->count == 0 || !store_idle(hub->store))
		return UINT64_MAX;
	if (hub->closing)
		return 0;
	if (batch->patient == batch->count)
		due = hub->cursors_at + HUB_CURSORS_US;
	else if (batch->appends > 0 && batch->appends < hub->expected)
		due = hub->staged_at + HUB_LINGER_US;
	else
		return 0;
	now = dw_mono_us();
	return now < due ? due - now : 0;
}

void
stage_commit(struct hub *hub)
{
	const size_t appends = hub->batch->appends;

	if (stage_due(hub) > 0)
		return;
	if (appends > 0)
		hub->expected = appends >= hub->expected ? appends : (appends + hub->expected) / 2;
	if (hub->batch->patient == hub->batch->count)
		hub->cursors_at = dw_mono_us();
	store_give(hub->store, hub->batch);
	hub->batch = hub->spare;
	hub->spare = NULL;
}
