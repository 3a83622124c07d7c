/* What all engines share: freeing operations, and who may watch and publish. */
#include "diagws/engine.h"

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
	case DW_OP_READ:
	case DW_OP_OWNERS:
		dw_buf_clear(&op->read.records);
		dw_buf_clear(&op->read.cursors);
		dw_buf_clear(&op->read.owners);
		break;
	case DW_OP_CURSOR:
	case DW_OP_OWNER:
		break;
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
