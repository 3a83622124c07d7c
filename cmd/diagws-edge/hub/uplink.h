/* The edge's connection to its hub: introduces itself, asks, and after any trouble starts over from
 * positions.
 *
 * Whatever breaks (hub killed or frozen, frames lost, a full pipe) has one answer: HELLO with a fresh
 * incarnation, then every session joins again from where it stands, and requests that were not
 * answered are sent again (a PUBLISH has an id, so it is stored once).
 */
#ifndef UPLINK_H
#define UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

struct edge;
struct room;
struct uplink;
struct uv_loop_s;
struct watch;

/* Connects. DW_E_CONFIG, DW_E_PERMISSION, DW_E_NOMEM. */
int uplink_new(struct uplink **out, struct edge *edge, const char *uri, const char *name, struct uv_loop_s *loop,
	struct dw_fault *fault);
/* Says BYE. The loop must run once more for its handles to close. */
void uplink_destroy(struct uplink **uplink_p);

bool uplink_ready(const struct uplink *uplink); /* the hub has welcomed us and was heard lately */
/* Why no message would be taken now, by what the hub said last; NULL: it would. */
const char *uplink_unready(const struct uplink *uplink);
const char *uplink_epoch(const struct uplink *uplink);
int uplink_fatal(const struct uplink *uplink); /* not 0: the hub will never have us (another version) */

/* For watches. uplink_send: false when the hub is not there; what matters is asked again later. */
bool uplink_send(struct uplink *uplink, const struct dw_wire *message);
/* `confirmed`, or `acked` when sure, has moved: the hub is told, soon and together. */
void uplink_confirmed(struct uplink *uplink, struct watch *watch, bool sure);
/* Fills in corr, and what depends on where we stand: have, epoch. */
bool uplink_join(struct uplink *uplink, struct dw_join *join);
void uplink_leave(struct uplink *uplink, struct watch *watch);
void uplink_forget(struct uplink *uplink, struct watch *watch);
/* For rooms: MESSAGES that were held are not any more; some do not follow; there is something to do in the edge's next
 * turn, which is soon. */
void uplink_credit(struct uplink *uplink);
void uplink_distrust(struct uplink *uplink, const struct room *room);
void uplink_turn(struct uplink *uplink);
/* What was asked then has no answer: starts over if the hub must have had it. */
void uplink_doubt(struct uplink *uplink, uint64_t asked_at);

/* A request (PUBLISH, READ, STAT, OWN): `done` is called once, with the answer or an error (DW_E_TIMEOUT: no answer
 * within timeout_ms, or so long after what the hub was to wait; DW_E_BUSY is returned at once when too much is
 * unanswered). A PUBLISH with `wait` that is stored has `done` called twice: with STORED, then with DELIVERED or an
 * error. corr is filled in here. */
typedef void uplink_done(void *user, int err, const struct dw_wire *answer);
int uplink_ask(
	struct uplink *uplink, struct dw_wire *request, uint64_t timeout_ms, uplink_done *done, void *user, uint64_t *corr);
/* The asker is gone: `done` will not be called. */
void uplink_cancel(struct uplink *uplink, uint64_t corr);
/* The asker cannot wait any longer: `done` is called now, with DW_E_CLOSING. */
void uplink_give_up(struct uplink *uplink, uint64_t corr);

#endif
