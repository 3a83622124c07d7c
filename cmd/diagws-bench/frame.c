/* See frame.h. Nothing is copied: a frame points into the bytes it was found in. */
#include "frame.h"

#include <string.h>

enum { LAST = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, SIZE_16 = 126, SIZE_64 = 127 };

static bool
is_allowed(uint8_t first, uint8_t second)
{
	const unsigned opcode = first & OPCODE;

	if ((first & RESERVED) != 0 || (second & MASKED) != 0)
		return false;
	if (opcode >= FRAME_CLOSE)
		return opcode <= FRAME_PONG && (first & LAST) != 0 && second <= FRAME_CONTROL_MAX;
	return opcode <= FRAME_BINARY;
}

long
frame_next(const uint8_t *p, size_t n, struct frame *frame)
{
	size_t header = 2, size;

	if (n < 2)
		return 0;
	if (!is_allowed(p[0], p[1]))
		return -1;
	size = p[1];
	if (size >= SIZE_16) {
		header = size == SIZE_16 ? 4 : FRAME_HEADER_MAX;
		if (n < header)
			return 0;
		size = 0;
		for (size_t i = 2; i < header; i++)
			size = size << 8 | p[i];
		if (size > FRAME_MAX)
			return -1;
	}
	if (n - header < size)
		return 0;
	*frame = (struct frame) { (enum frame_opcode)(p[0] & OPCODE), (p[0] & LAST) != 0, p + header, size };
	return (long)(header + size);
}

size_t
frame_pong(uint8_t *out, const uint8_t *payload, size_t n, uint32_t mask)
{
	out[0] = (uint8_t)(LAST | FRAME_PONG);
	out[1] = (uint8_t)(MASKED | n);
	memcpy(out + 2, &mask, sizeof(mask));
	for (size_t i = 0; i < n; i++)
		out[6 + i] = payload[i] ^ out[2 + i % 4];
	return 6 + n;
}
