/* What the edge has asked the hub and not been answered. The uplink sends; this keeps, pairs and times out.
 */
#ifndef ASKS_H
#define ASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct ask;
struct dw_bus;
struct dw_wheel;

struct asks {
	struct ask *by_corr;
	struct dw_wheel *wheel;
	size_t bytes;
	uint64_t made;
};

typedef void uplink_done(void *user, int err, const struct dw_wire *answer);

/* See uplink_ask; *frame is what is to be sent, and lives until the answer. */
int asks_add(struct asks *asks, struct dw_wire *request, uint64_t timeout_ms, uplink_done *done, void *user,
	uint64_t *corr, struct dw_str *frame);
void asks_cancel(struct asks *asks, uint64_t corr);
void asks_give_up(struct asks *asks, uint64_t corr, int err); /* ends it with this error */
/* Gives an answer to who asked. false: nobody did. */
bool asks_answer(struct asks *asks, const struct dw_wire *answer);
/* Sends everything again, oldest first. false: the bus did not take it all. */
bool asks_again(struct asks *asks, struct dw_bus *bus);
/* Ends all with this error. */
void asks_end(struct asks *asks, int err);

#endif
