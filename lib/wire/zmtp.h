/* ZMTP 3.1, the protocol of ZeroMQ's connections (RFC 37, rfc.zeromq.org/spec/37), at the end that accepts: a ROUTER
 * with the mechanism NULL, for DEALERs. From bytes to frames and back, without a socket.
 *
 * A greeting and a READY command from either side, then messages. Here each is one frame of at most DW_WIRE_FRAME_MAX
 * bytes: a longer one, and one of several frames, is passed over. Of commands only PING is answered.
 */
#ifndef DIAGWS_ZMTP_H
#define DIAGWS_ZMTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	DW_ZMTP_GREETING = 64,
	DW_ZMTP_HEAD_MAX = 9, /* bytes before a frame's own */
	DW_ZMTP_COMMAND_MAX = 512,
};

struct dw_zmtp {
	uint8_t state;   /* private */
	bool parts;      /* private: the rest of a message of several frames is passed over */
	uint64_t passed; /* private: bytes of a frame that are still to be passed over */
};

/* What both sides say first: to be sent as soon as somebody has connected. */
void dw_zmtp_greet(struct dw_buf *out);
/* Takes what it can from the front of *bytes, and moves that on. What is to be said to the peer is added to `out`.
 *   DW_OK          *frame is a whole message, which lies in what was taken
 *   DW_E_AGAIN     more bytes are needed: *need so many, at least, from where *bytes begins now
 *   DW_E_TOO_BIG   a message begins that is too long; what follows is no part of it, but *frame.n says how long it is
 *   DW_E_PROTOCOL  this is no DEALER that speaks ZMTP 3: to be closed, after `out` was sent */
int dw_zmtp_next(struct dw_zmtp *zmtp, struct dw_str *bytes, struct dw_str *frame, size_t *need, struct dw_buf *out);
/* The bytes before those of a message of this size; how many. */
size_t dw_zmtp_head(size_t size, uint8_t head[DW_ZMTP_HEAD_MAX]);
/* Whether both have said what comes before messages. */
bool dw_zmtp_open(const struct dw_zmtp *zmtp);

#endif
