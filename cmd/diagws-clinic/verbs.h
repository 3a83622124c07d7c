/* The subcommands, one file each: each reads its operands and ends with an exit status. main.c has read the options
 * (options.c).
 */
#ifndef VERBS_H
#define VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "clinic.h"
#include "cli/opt.h"

extern const struct dw_command clinic_command;

/* The options, as they were given. */
struct clinic_options {
	const char *db;  /* the file */
	const char *now; /* NULL: the clock */
	int64_t limit, min_samples;
	const char *optimization;
	const char *target; /* a number above 0 and up to 1 */
	const char *input;  /* of import: "ndjson" or "csv"; NULL: by the file's name */
	const char *output; /* of export: the same; NULL: "ndjson" */
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

/* For the subcommands' use (verbs.c). What fails there has been told. */

/* The order that the options make: now, limit, … false: exit 64. */
bool verb_order(struct order *order);
/* Opens the file; an exit status. */
int verb_open(struct db **db);
/* Tells what failed, and gives the exit status. */
int verb_fail(int err, const struct dw_fault *fault);
/* Sends all that waits in the outbox. DW_OK: nothing waits any more; else something still does, and *fault says why.
 * ^C ends it, where dw_interrupt_fd was called: DW_E_AGAIN. */
int verb_push(struct db *db, struct dw_fault *fault);
/* Opens the file, carries a call out, prints the answer as --format says (show.h), and pushes where the call had
 * something to push: what cannot be pushed now is kept, and said on stderr. silent: the answer is printed on a
 * terminal, or where a format was asked for. Returns an exit status. */
int verb_call(clinic_call *call, const struct order *order, bool silent);

/* What a call's operand is, beside what the options say. */
enum verb_operand {
	NO_OPERAND,
	DIAGNOSIS_OPERAND,
	PERHAPS_DIAGNOSIS,
	RECOMMENDATION_OPERAND,
	PATIENT_OPERAND,
	FEEDBACK_OPERAND,
	NAME_OPERAND,
};
struct verb_action {
	const char *name;
	clinic_call *call;
	enum verb_operand operand;
	bool has_body; /* JSON, @FILE or standard input is behind it; silent */
};
/* Reads the operands of an action and carries it out. Returns an exit status. */
int verb_act(const struct verb_action *action, int count, char **operands);
/* The same of the one that operands[0] names; verb is for messages. */
int verb_choose(const char *verb, const struct verb_action *actions, size_t n, int count, char **operands);

#endif
