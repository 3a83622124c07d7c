/* What all engines share: freeing and resetting operations, and who may watch and publish. */
#include "store/engine.h"

#include <stdlib.h>

void
dw_op_clear(struct dw_op *op)
{
	if (op->kind == DW_OP_APPEND) {
		free(op->append.data);
		op->append.data = NULL;
		dw_buf_clear(&op->append.record);
	} else if (op->kind == DW_OP_LOAD || op->kind == DW_OP_OWNERS) {
		dw_buf_clear(&op->read.records);
		dw_buf_clear(&op->read.directs);
		dw_buf_clear(&op->read.users);
		dw_buf_clear(&op->read.cursors);
		dw_buf_clear(&op->read.owners);
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
	const bool granted = ownership != DW_OWNERSHIP_CLAIMS && state == DW_OWNER_GRANTED;
	const bool named = ownership != DW_OWNERSHIP_REGISTRY && claimed;

	return state != DW_OWNER_DENIED && (granted || named);
}
