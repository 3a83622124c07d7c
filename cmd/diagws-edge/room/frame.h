/* WebSocket frames from server to client, ready to be sent as they are (RFC 6455 section 5: unmasked,
 * one fragment).
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "message/position.h"

enum { FRAME_HEADER_MAX = 10 };

/* What seals the positions in PINGs: the edge's secret, and which of its rooms they are of. */
struct frame_key {
	uint64_t secret[2], of;
};

/* Before the first PING. false: OpenSSL does not give SipHash, or no memory. */
bool frame_open(void);
/* Appends a text frame. */
void frame_text(struct dw_buf *out, struct dw_str payload);
/* Appends a Close; code 0: with neither. Of a reason 123 bytes. */
void frame_close(struct dw_buf *out, unsigned code, struct dw_str reason);
/* Appends a PING that carries a position: what was written to the connection up to there has been received when its
 * PONG comes. */
void frame_ping(struct dw_buf *out, struct dw_position position, const struct frame_key *key);
/* Appends a PING that carries a number. */
void frame_ping_counter(struct dw_buf *out, uint64_t counter);
/* Read the payload of a PONG; false when it is none of the kind, or of a position that no PING with this key carried.
 */
bool frame_pong(const void *payload, size_t n, const struct frame_key *key, struct dw_position *position);
bool frame_pong_counter(const void *payload, size_t n, uint64_t *counter);

#endif
