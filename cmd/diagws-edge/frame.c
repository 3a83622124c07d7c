/* WebSocket frames, built once and sent to many. Layout of a PING's payload: a tag, then 'D': the position's
 * seq and n, 'C': a counter; 8 bytes each, big endian. A PONG must give the same bytes back.
 */
#include "frame.h"

enum {
	TEXT_FINAL = 0x81,
	PING_FINAL = 0x89,
	POSITION = 'D',
	POSITION_SIZE = 17,
	COUNTER = 'C',
	COUNTER_SIZE = 9,
};

void
frame_text(struct dw_buf *out, struct dw_str payload)
{
	uint8_t header[10] = { TEXT_FINAL };
	size_t size = 2;

	if (payload.n < 126) {
		header[1] = (uint8_t)payload.n;
	} else if (payload.n <= UINT16_MAX) {
		header[1] = 126;
		header[2] = (uint8_t)(payload.n >> 8);
		header[3] = (uint8_t)payload.n;
		size = 4;
	} else {
		header[1] = 127;
		for (size_t i = 0; i < 8; i++)
			header[2 + i] = (uint8_t)((uint64_t)payload.n >> (56 - 8 * i));
		size = 10;
	}
	dw_buf_add(out, header, size);
	dw_buf_add(out, payload.p, payload.n);
}

static void
put_number(uint8_t *to, uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t
get_number(const uint8_t *from)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

void
frame_ping(struct dw_buf *out, struct position position)
{
	uint8_t frame[2 + POSITION_SIZE] = { PING_FINAL, POSITION_SIZE, POSITION };

	put_number(frame + 3, position.seq);
	put_number(frame + 11, position.n);
	dw_buf_add(out, frame, sizeof(frame));
}

bool
frame_pong(const void *payload, size_t n, struct position *position)
{
	const uint8_t *p = payload;

	if (n != POSITION_SIZE || p[0] != POSITION)
		return false;
	position->seq = get_number(p + 1);
	position->n = get_number(p + 9);
	return true;
}

void
frame_ping_counter(struct dw_buf *out, uint64_t counter)
{
	uint8_t frame[2 + COUNTER_SIZE] = { PING_FINAL, COUNTER_SIZE, COUNTER };

	put_number(frame + 3, counter);
	dw_buf_add(out, frame, sizeof(frame));
}

bool
frame_pong_counter(const void *payload, size_t n, uint64_t *counter)
{
	const uint8_t *p = payload;

	if (n != COUNTER_SIZE || p[0] != COUNTER)
		return false;
	*counter = get_number(p + 1);
	return true;
}
