/* Asking again with less patience: a request that waits at the hub (PUBLISH for devices, READ for a message) and
 * has to be sent a second time waits there only for what is left.
 *
 * Its own file because both kinds of peers need it, and neither the tables of wire.c nor the bookkeeping of their
 * requests is the place. Failure modes: memory (the frame is then as it was). The frame is one that we packed.
 */
#include <assert.h>

#include "wire/wire.h"

int
dw_wire_wait(struct dw_buf *frame, uint64_t wait_ms)
{
	struct dw_wire message;
	struct dw_buf packed;
	int err = dw_wire_unpack(&message, frame->data, frame->len, NULL);

	if (err != DW_OK)
		return err;
	assert(message.kind == DW_PUBLISH || message.kind == DW_READ);
	if (message.kind == DW_PUBLISH)
		message.publish.wait_ms = wait_ms;
	else
		message.read.wait_ms = wait_ms;
	dw_buf_init(&packed);
	dw_wire_pack(&packed, &message);
	if (!dw_buf_ok(&packed)) {
		dw_buf_clear(&packed);
		return DW_E_NOMEM;
	}
	dw_buf_clear(frame);
	*frame = packed;
	return DW_OK;
}
