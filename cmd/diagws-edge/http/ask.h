/* What HTTP requests ask the hub.
 */
#ifndef ASK_H
#define ASK_H

#include "http/request.h"

struct dw_wire;
struct edge;

/* As uplink_done. */
typedef void ask_done(struct dw_http_request *request, int err, const struct dw_wire *answer);

/* Asks the hub, which is to wait so long at the most (0: not at all), and calls `done`; or answers the request, where
 * that cannot be: the edge is about to end, no memory, or too many wait at the hub for more than its answer (for
 * devices, for the next message), of this user or in all. One whose client left counts until the hub has answered:
 * leaving and coming again gains nothing. Where the request ends first, `done` is not called. */
void ask_hub(struct dw_http_request *request, const struct dw_wire *wire, uint64_t wait_ms, ask_done *done);
/* Something is wrong (err, request->fault) with what was asked of a diagnosis: answers that, but one who may not
 * publish there is told only so. */
void ask_refusal(struct dw_http_request *request, struct dw_str room, int err);
/* The edge is going to end: those who wait are answered now (503). */
void ask_drain(struct edge *edge);

#endif
