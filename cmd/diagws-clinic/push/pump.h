/* Sends what waits in the outbox to the hub, in order, each with its own id: what was sent twice, after a crash or a
 * lost answer, is stored once. A row goes when the hub has stored it. What the hub will never take stays, with its
 * reason, and the next ones go on. When the hub is away everything stays, and the next pump_run begins again.
 *
 * Nothing here waits: for a program with a loop. A shell does
 *
 *   do {
 *       err = pump_run(pump, &idle, &fault);
 *   } while (err == DW_OK && !idle && poll(pump_fd(pump), …));
 *
 * A pump belongs to the thread of its database connection, and never runs between db_begin and db_commit.
 */
#ifndef PUMP_H
#define PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct db;
struct pump;

/* endpoint: NULL: $DIAGWS_HUB, else the default; borrowed, as db is. The hub is not spoken to before there is something
 * to send. DW_E_NOMEM. */
int pump_new(struct pump **out, struct db *db, const char *endpoint, int64_t timeout_ms);
/* What is under way is not waited for: it is still in the outbox. Nulls. */
void pump_destroy(struct pump **pump_p);
/* Takes the answers that are there and sends what fits. *idle: nothing is under way and nothing waits. To be called
 * when pump_fd is readable, when something was added, and 10 times a second until it is idle. DW_E_HUB_AWAY,
 * DW_E_TIMEOUT and whatever else the hub's side fails with, once all that was under way has ended: call again later.
 * What sql/db.h says. */
int pump_run(struct pump *pump, bool *idle, struct dw_fault *fault);
int pump_fd(const struct pump *pump);           /* -1: not connected. May be another one after each pump_run */
uint64_t pump_refused(const struct pump *pump); /* since pump_new */

#endif
