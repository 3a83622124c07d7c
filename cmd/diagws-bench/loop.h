/* The loop: descriptors, times, and SIGINT.
 *
 * A turn: what is due is done (the subcommand's `turn`), then events are waited for until the time it named and given
 * to their owners. It ends when the turn says so, by SIGINT, by a failure, or when for --timeout nothing that counts
 * as progress has happened.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What waits for events; the first member of who owns it. */
struct source {
	void (*ready)(struct source *source, uint32_t events);
};

#define LOOP_DONE UINT64_C(0)
#define LOOP_IDLE UINT64_MAX /* nothing is due before an event */

struct loop {
	int poller;
	uint64_t wake_at;     /* the turn is wanted by then, whoever wants it sets it in each turn */
	uint64_t progress_at; /* ns; who makes progress sets it */
	uint64_t patience;    /* ns */
	bool spin;            /* it never sleeps: waking us would cost who sends */
	int failed;           /* who sets it ends the loop with it */
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t now_ns(void);

int loop_init(struct loop *loop, int64_t timeout_ms);
void loop_clear(struct loop *loop);
/* Level-triggered, and for EPOLLIN until it is changed. false: see errno. */
bool loop_add(struct loop *loop, int fd, struct source *source);
void loop_change(struct loop *loop, int fd, uint32_t events, struct source *source);
struct run;
typedef uint64_t loop_turn(struct run *run, uint64_t now);
/* turn returns when it wants to be called again (ns), LOOP_IDLE or LOOP_DONE.
 * DW_OK: done. DW_E_CLOSING: SIGINT. DW_E_TIMEOUT: no progress. Else loop->failed. */
int loop_run(struct loop *loop, loop_turn *turn, struct run *run);

#endif
