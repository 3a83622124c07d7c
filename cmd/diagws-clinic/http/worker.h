/* The thread that has the clinic's file: it carries calls out one after the other, and pushes what they leave in the
 * outbox, so that no commit and no other writer of the file ever holds up the loop.
 *
 * A job is the caller's. Between worker_add and worker_take it belongs to the thread, but for what worker_cancel does.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clinic.h"

struct pump;
struct worker;

struct job {
	clinic_call *call;
	struct order order; /* now 0: the clock's, when it is carried out. Its texts must live as long as the job */
	/* What came of it. */
	int err;
	struct dw_buf answer;
	struct dw_fault fault;

	/* The least goes first, and of equals who came first. Each of a user's jobs in hand has more than those before it,
	 * so that who has many does not keep others waiting for all of them; worker_add makes it no less than that of the
	 * job that was begun last. */
	uint64_t turn;

	/* For the thread alone. */
	struct job *prev, *next;
	uint64_t due; /* dw_mono_ms: later it is not begun any more */
	atomic_bool cancelled;
};

enum { WORKER_WAIT_MS = 10 * 1000 }; /* a job that has not begun after so long ends with DW_E_BUSY */

/* Starts the thread, whose both are until worker_destroy. DW_E_NOMEM. */
int worker_new(struct worker **out, struct db *db, struct pump *pump);
/* What is under way is finished, and what was not begun ends with DW_E_CLOSING: no more is taken, and worker_take has
 * the rest. */
void worker_end(struct worker *worker);
void worker_destroy(struct worker **worker_p); /* after worker_end, or NULL */

void worker_add(struct worker *worker, struct job *job);
/* Nobody wants it any more: it is not carried out, unless it has begun. */
void worker_cancel(struct job *job);
/* One that is done, in the order in which they are; NULL: there is none. */
struct job *worker_take(struct worker *worker);
/* Readable when one is done; worker_take reads it. */
int worker_fd(const struct worker *worker);

/* Why the last call that wrote or read could not use the file: DW_E_IO, DW_E_STORAGE_FULL, …; DW_OK: it could. */
int worker_trouble(const struct worker *worker);
/* Why what is to be pushed waits in the outbox; DW_OK: it does not. */
int worker_pushing(const struct worker *worker);

#endif
