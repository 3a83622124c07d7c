/* The subcommands, one file each: each reads its operands and ends with an exit status. main.c has read the options.
 */
#ifndef VERBS_H
#define VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "clinic.h"
#include "cli/opt.h"

extern const struct dw_command clinic_command;

/* The options, as main.c has read them. */
struct clinic_options {
	const char *db;  /* the file */
	const char *now; /* NULL: the clock */
	int64_t limit, min_samples;
	const char *optimization;
	const char *target; /* a number from 0 to 1 */
	const char *input;  /* of import: "ndjson" or "csv"; NULL: by the file's name */
	bool atomic, all, dry;
	int64_t seed;
	/* serve */
	struct dw_opt_list listen, origins, edges;
	const char *keys, *issuer, *audience, *www;
	int64_t leeway_ms, max_connections;
};

extern struct clinic_options clinic_options;

/* A subcommand: operands behind its name. Returns an exit status. */
typedef int verb_run(int count, char **operands);
verb_run verb_init, verb_import, verb_export, verb_feedback, verb_analytics, verb_predict, verb_optimize,
	verb_evolution, verb_accuracy, verb_profile, verb_stats, verb_outbox, verb_serve, verb_demo;

/* For the subcommands' use (verbs.c): */

/* The order that the options make: now, limit, … false: told already, exit 64. */
bool verb_order(struct order *order);
/* Opens the file, carries a call out, pushes what waits, prints the answer as --format says (show.h). Returns an exit
 * status; what failed has been told. */
int verb_call(clinic_call *call, const struct order *order);

/* Until all of them are there. */
#pragma weak verb_import
#pragma weak verb_export
#pragma weak verb_feedback
#pragma weak verb_analytics
#pragma weak verb_predict
#pragma weak verb_optimize
#pragma weak verb_evolution
#pragma weak verb_accuracy
#pragma weak verb_profile
#pragma weak verb_stats
#pragma weak verb_outbox
#pragma weak verb_serve
#pragma weak verb_demo

#endif
