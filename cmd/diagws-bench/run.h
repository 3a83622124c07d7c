/* A run: everything that a subcommand works with.
 *
 * Life: run_init → the subcommand (run_clients, run_begin, its own turns in run_loop) → run_end → report → run_clear.
 * `measured` says whether there is anything to report.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench.h"
#include "crowd.h"
#include "histogram.h"
#include "loop.h"
#include "plan.h"
#include "process.h"
#include "publisher.h"

struct run {
	struct plan plan;
	struct loop loop;
	struct crowd crowd;
	struct publisher publisher;
	struct processes processes;
	struct histogram latency;
	uint64_t begun_at, ended_at; /* ns: what is counted */
	uint64_t end_at;             /* ns: --duration is over; UINT64_MAX: there is none */
	/* what is sent */
	uint64_t number, until; /* messages so far, and at the end: to each room, or over all */
	uint64_t first;         /* number before this part of the schedule, which */
	uint64_t start_at;      /* began then (ns) */
	bool mixed;             /* messages of a burst go out by several lanes, and may come in any order */
	size_t lane;            /* the next one's */
	bool measured;
	bool cut_short;    /* what is under way is not lost: we do not wait for it */
	uint64_t shown_at; /* the progress line */
	struct dw_fault fault;
};

/* The subcommands: DW_OK, or what ended it. What it has measured is reported in any case. */
int run_fanout(struct run *run);
int run_latency(struct run *run);
int run_connect(struct run *run);
int run_storm(struct run *run);
int run_publish(struct run *run);
int run_memory(struct run *run);

/* On failure run->fault may say more. To be cleared also then. */
int run_init(struct run *run);
/* Over HTTP at most so many, and at most LANES_MAX, messages are unanswered at a time, each on a lane of its own. One
 * that is not stored ends the loop. */
int run_publisher(struct run *run, uint64_t parallel);
void run_clear(struct run *run);

/* loop_run, with words for what went wrong. */
int run_loop(struct run *run, loop_turn *turn);
/* Connects all clients, and waits until each has all that is owed to it. Before run_begin all must come in; what fails
 * later is counted. */
int run_clients(struct run *run);
/* What is sent from now on counts, and what processes use. */
int run_begin(struct run *run);
/* The same without the processes. */
void run_count(struct run *run);
/* err: what ended it; returns that, or what went wrong now. */
int run_end(struct run *run, int err);
/* A message to a room is due. */
void run_message(struct run *run, size_t lane, uint32_t room, uint64_t number, uint64_t due);
/* Everybody has everything, and the publisher all its answers. */
bool run_is_quiet(const struct run *run);
/* On a terminal: how far it is, four times a second. */
void run_progress(struct run *run, uint64_t now, const char *what, uint64_t done, uint64_t all);
/* report.c: writes to stdout what this subcommand measures. DW_E_IO. */
int report_write(const struct run *run, const char *name, unsigned verb);
/* Messages that did not come. */
uint64_t run_lost(const struct run *run);

#endif
