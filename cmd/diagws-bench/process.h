/* What a process of --process NAME=PID uses: CPU time and memory. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "cli/opt.h"

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

struct processes {
	struct process all[DW_OPT_LIST_MAX];
	size_t count;
};

/* DW_E_USAGE (not NAME=PID), DW_E_NOINPUT (no such process, or it may not be read). */
int processes_init(struct processes *processes, const struct dw_opt_list *wanted, struct dw_fault *fault);
/* Reads all of them: at the begin of what is counted, and again at its end. DW_E_NOINPUT. */
int processes_read(struct processes *processes, bool again, struct dw_fault *fault);

#endif
