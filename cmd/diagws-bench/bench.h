/* diagws-bench: what its files share. the options, which options.c completes and everybody reads. */
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

/* Subcommands, as bits. */
enum { FANOUT = 1, LATENCY = 2, CONNECT = 4, STORM = 8, PUBLISH = 16, MEMORY = 32, ALL = 63 };

extern const struct dw_command bench_command;

extern struct options bench_options;

/* Completes the options for this subcommand. DW_E_USAGE: they do not go with it, which has been told. */
int check_options(const char *name, unsigned verb);

#endif
