/* What all engines share: freeing and resetting operations, and who may watch and publish. */
#include "store/engine.h"

#include <stdlib.h>

void
dw_op_clear(struct dw_op *op)
{
	switch (op->kind) {
	case DW_OP_APPEND:
		free(op->append.data);
		op->append.data = NULL;
		dw_buf_clear(&op->append.record);
		break;
	case DW_OP_LOAD:
	case DW_OP_OWNERS:
		dw_buf_clear(&op->read.records);
		dw_buf_clear(&op->read.directs);
		dw_buf_clear(&op->read.users);
		dw_buf_clear(&op->read.cursors);
		dw_buf_clear(&op->read.owners);
		break;
	case DW_OP_CURSOR:
	case DW_OP_OWNER:
	case DW_OP_PLACE:
		break;
	}
}

void
dw_op_reset(struct dw_op *op)
{
	op->err = DW_OK;
	if (op->kind == DW_OP_APPEND) {
		op->append.seq = op->append.n = op->append.own = op->append.room_n = 0;
		op->append.duplicate = op->append.had_except = op->append.had_expiry = false;
		dw_buf_reset(&op->append.record);
	} else if (op->kind == DW_OP_OWNER) {
		op->owner.changed = false;
	} else if (op->kind == DW_OP_PLACE) {
		op->place.n = op->place.own = op->place.until_own = 0;
	} else if (op->kind != DW_OP_CURSOR) {
		dw_buf_reset(&op->read.records);
		dw_buf_reset(&op->read.directs);
		dw_buf_reset(&op->read.users);
		dw_buf_reset(&op->read.cursors);
		dw_buf_reset(&op->read.owners);
		op->read.more = false;
		op->read.summary = (struct dw_room_summary) { 0 };
	}
}

bool
dw_may(enum dw_ownership ownership, enum dw_owner_state state, bool claimed)
{
	if (state == DW_OWNER_DENIED)
		return false;
	switch (ownership) {
	case DW_OWNERSHIP_REGISTRY:
		return state == DW_OWNER_GRANTED;
	case DW_OWNERSHIP_CLAIMS:
		return claimed;
	case DW_OWNERSHIP_EITHER:
		return claimed || state == DW_OWNER_GRANTED;
	}
	return false;
}
