/* diagws-bench: what its files share. main.c reads the options; each subcommand is a file of its own. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/opt.h"

struct options {
	const char *ws, *publish, *body, *key_file, *token_file, *ready, *until, *name;
	int64_t clients, rooms, size, messages, duration_ms, burst, rate, concurrency, senders, window, missed, warm_up;
	struct dw_opt_list processes;
	bool no_confirm, spin, json;
};

struct bench;

extern const struct dw_command bench_command;

#endif
