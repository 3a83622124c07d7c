/* WebSocket frames (RFC 6455 section 5): what a server sends, found in the bytes as they came, and what a client
 * answers, masked.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_opcode {
	FRAME_MORE = 0,
	FRAME_TEXT = 1,
	FRAME_BINARY = 2,
	FRAME_CLOSE = 8,
	FRAME_PING = 9,
	FRAME_PONG = 10,
};

enum { FRAME_MAX = 1024 * 1024, FRAME_CONTROL_MAX = 125, FRAME_HEADER_MAX = 10, FRAME_MASKED_MAX = 6 + 125 };

struct frame {
	enum frame_opcode opcode;
	bool last; /* of its message */
	const uint8_t *payload;
	size_t size;
};

/* Finds the frame that begins at p: its bytes with the header, 0 when it is not complete yet, or -1 when it is none
 * that a server may send or over FRAME_MAX. */
long frame_next(const uint8_t *p, size_t n, struct frame *frame);
/* Writes a PONG to out[FRAME_MASKED_MAX] and returns its bytes; n ≤ FRAME_CONTROL_MAX. */
size_t frame_pong(uint8_t *out, const uint8_t *payload, size_t n, uint32_t mask);

#endif
