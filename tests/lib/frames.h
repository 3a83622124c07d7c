/* The frames of a server, as its client reads them: unmasked, and each of one fragment. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9 };

/* Takes the first frame off *bytes. false: it is not whole yet. */
static inline bool
next_frame(struct dw_str *bytes, unsigned *op, struct dw_str *payload)
{
	const uint8_t *u = (const uint8_t *)bytes->p;
	size_t more = bytes->n < 2 ? 0 : u[1] == 126 ? 2 : u[1] == 127 ? 8 : 0, size = 0;

	if (bytes->n < 2 + more)
		return false;
	for (size_t i = 0; i < more; i++)
		size = size << 8 | u[2 + i];
	size = more > 0 ? size : u[1];
	if (bytes->n - 2 - more < size)
		return false;
	*op = u[0] & 15U;
	*payload = (struct dw_str) { bytes->p + 2 + more, size };
	*bytes = (struct dw_str) { payload->p + size, bytes->n - 2 - more - size };
	return true;
}

#endif
