/* A run: everything that a subcommand works with.
 *
 * Life: run_init → the subcommand → run_end → report → run_clear. `measured` says whether there is anything to report.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "crowd.h"
#include "histogram.h"
#include "loop.h"
#include "plan.h"
#include "publisher.h"

/* What a process of --process NAME=PID uses: CPU time and memory. process.c reads it. */
enum memory_kind { MEMORY_PRIVATE, MEMORY_PSS, MEMORY_RSS, MEMORY_KINDS };

struct usage {
	uint64_t cpu_ns; /* user and system, of all threads */
	uint64_t kb[MEMORY_KINDS];
};

struct process {
	char name[32];
	pid_t pid;
	struct usage before, after;
};

/* DW_E_USAGE (not NAME=PID), DW_E_NOINPUT (no such process, or it may not be read). */
int processes_init(struct process *processes, struct dw_fault *fault);
/* Reads all of them: at the begin of what is counted, and again at its end. DW_E_NOINPUT. */
int processes_read(struct process *processes, bool again, struct dw_fault *fault);

struct run {
	struct plan plan;
	struct loop loop;
	struct crowd crowd;
	struct publisher publisher;
	struct process processes[DW_OPT_LIST_MAX]; /* as many as bench_options.processes */
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

struct verb {
	const char *name;             /* NULL: the table ends */
	int (*measure)(struct run *); /* DW_OK, or what ended it; what it has measured is reported in any case */
	unsigned bit;
};

extern const struct verb bench_verbs[];

/* On failure run->fault may say more. To be cleared also then. */
int run_init(struct run *run);
void run_clear(struct run *run);

/* err: what ended it; returns that, or what went wrong now. */
int run_end(struct run *run, int err);
/* report.c: writes to stdout what this subcommand measures. DW_E_IO. */
int report_write(const struct run *run, const char *name, unsigned verb);
/* Messages that did not come. */
uint64_t run_lost(const struct run *run);

#endif
