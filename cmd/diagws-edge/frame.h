/* WebSocket frames from server to client, ready to be sent as they are (RFC 6455 section 5: unmasked,
 * one fragment).
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "diagws/buf.h"

/* A position that a PONG proves: what was written to the connection up to here has been received. */
struct position {
	uint64_t seq, n;
};

/* Appends a text frame. */
void frame_text(struct dw_buf *out, struct dw_str payload);
/* Appends a PING that carries a position. */
void frame_ping(struct dw_buf *out, struct position position);
/* Appends a PING that carries a number. */
void frame_ping_counter(struct dw_buf *out, uint64_t counter);
/* Read the payload of a PONG; false when it is none of the kind. */
bool frame_pong(const void *payload, size_t n, struct position *position);
bool frame_pong_counter(const void *payload, size_t n, uint64_t *counter);

#endif
