/* Requests in flight: what the edge has asked the hub and not been answered. The uplink sends; this keeps, pairs and
 * times out.
 */
#ifndef INFLIGHT_H
#define INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct inflight_request;
struct dw_bus;
struct dw_wheel;

struct inflight {
	struct inflight_request *by_corr;
	struct dw_wheel *wheel;
	size_t bytes;
	uint64_t made;
};

typedef void uplink_done(void *user, int err, const struct dw_wire *answer);

/* See uplink_ask; *frame is what is to be sent, and lives until the answer. */
int inflight_add(struct inflight *inflight, struct dw_wire *message, uint64_t timeout_ms, uplink_done *done, void *user,
	uint64_t *corr, struct dw_str *frame);
void inflight_cancel(struct inflight *inflight, uint64_t corr);
void inflight_give_up(struct inflight *inflight, uint64_t corr, int err); /* ends it with this error */
/* Gives an answer to who asked. false: nobody did. */
bool inflight_answer(struct inflight *inflight, const struct dw_wire *answer);
/* Sends everything again, oldest first. false: the bus did not take it all. */
bool inflight_again(struct inflight *inflight, struct dw_bus *bus);
/* Ends all with this error. */
void inflight_end(struct inflight *inflight, int err);

#endif
