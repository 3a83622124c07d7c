/* Who owns a diagnosis, and whether the hub is there: asked of the hub from the loop, without waiting.
 */
#ifndef OWNERS_H
#define OWNERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct owners;
struct uv_loop_s;

/* DW_OK: the user is the diagnosis's owner; DW_E_DENIED: he is not, or there is none; else why it is not known. */
typedef void owners_done(void *user, int err);

/* endpoint NULL: the default. DW_E_CONFIG, DW_E_PERMISSION, DW_E_NOMEM. */
int owners_new(struct owners **out, const char *endpoint, int64_t timeout_ms, struct dw_fault *fault);
/* From now on answers are taken in this loop. */
int owners_watch(struct owners *owners, struct uv_loop_s *loop);
/* What is unanswered ends with DW_E_CLOSING. The loop must have ended. */
void owners_destroy(struct owners **owners_p);

/* claimed: the user's token names the diagnosis. `done` is called once if this is DW_OK, and not before owners_turn.
 * DW_E_BUSY: too much is unanswered; DW_E_NOMEM; what ended the connection for good. */
int owners_ask(
	struct owners *owners, struct dw_str diagnosis, struct dw_str user, bool claimed, owners_done *done, void *to);
/* Sends what was asked and takes the answers that are there. */
void owners_turn(struct owners *owners);
/* To be called some 20 times a second: ends what is overdue, and looks once a second whether the hub is there. */
void owners_tick(struct owners *owners, uint64_t now_ms);
bool owners_ready(const struct owners *owners); /* it was, when last looked */

#endif
