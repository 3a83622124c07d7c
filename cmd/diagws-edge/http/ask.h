/* What requests ask the hub.
 *
 * Those that wait there for more than its answer (for devices, for the next message) are counted: so many of one user,
 * so many in all, for each holds a connection and a place among the hub's requests of this edge. One whose client left
 * still counts until the hub has answered: leaving and coming again gains nothing.
 */
#ifndef ASK_H
#define ASK_H

#include <stdint.h>

#include "base/buf.h"
#include "http/request.h"

struct dw_wire;

/* As uplink_done. */
typedef void ask_done(struct request *request, int err, const struct dw_wire *answer);

/* Asks the hub, which is to wait so long at the most (0: not at all), and calls `done`; or answers the request, where
 * that cannot be: too many of this user wait, or too many in all, the edge is about to end, no memory. */
void ask_hub(struct request *request, const struct dw_wire *wire, uint64_t wait_ms, ask_done *done);
/* Something is wrong (err, request->fault) with what was asked of a diagnosis: answers that, but one who may not
 * publish there is told only so. */
void ask_refusal(struct request *request, struct dw_str room, int err);
/* The request ends: `done` will not be called. */
void ask_forget(struct request *request);
/* The edge is going to end: those who wait are answered now (503). */
void ask_drain(struct edge *edge);

#endif
