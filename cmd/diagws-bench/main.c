/* diagws-bench: measures a server that pushes messages to WebSocket clients, ours or another.
 *
 * Exit status: 0; 64 wrong usage; 65 a message was lost, repeated or out of order; 66 a file or process that cannot be
 * read; 74 the output cannot be written; 75 the server or the hub is away; 76 it is none; 77 it lets us not in; 130
 * SIGINT, after saying what was measured.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/command.h"
#include "run.h"

/* Says what was measured; what went wrong, to stderr. */
static int
tell(struct run *run, const struct verb *verb, int err)
{
	const struct crowd *crowd = &run->crowd;
	const struct publisher *publisher = &run->publisher;
	const struct dw_fault *fault;

	if (run->measured) {
		int failed;

		err = run_end(run, err);
		failed = report_write(run, verb->name, verb->bit);
		if (failed != DW_OK) {
			dw_fault_print(stderr, bench_command.name, failed, NULL, NULL);
			return dw_err_exit(failed);
		}
	}
	if (dw_interrupted())
		return DW_EXIT_INTERRUPTED;
	if (err == DW_OK)
		err = crowd->err != DW_OK ? crowd->err : publisher->err;
	if (run->fault.message[0] != '\0')
		fault = &run->fault;
	else
		fault = err == crowd->err ? &crowd->fault : &publisher->fault;
	if (err != DW_OK)
		dw_fault_print(stderr, bench_command.name, err, fault, NULL);
	if (run->measured && !run->cut_short && (run_lost(run) > 0 || crowd->repeated > 0 || crowd->disordered > 0))
		return dw_err_exit(DW_E_FIELD);
	return dw_err_exit(err);
}

/* A load tool that is the slowest part measures itself. */
static void
tell_own(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		fprintf(stderr, "%s: itself %lld.%03ld s user, %lld.%03ld s system\n", bench_command.name,
			(long long)usage.ru_utime.tv_sec, usage.ru_utime.tv_usec / 1000, (long long)usage.ru_stime.tv_sec,
			usage.ru_stime.tv_usec / 1000);
}

/* The subcommand that the operands name; NULL: none, which has been told. */
static const struct verb *
find_verb(int count, char **operands)
{
	for (const struct verb *verb = bench_verbs; count == 1 && verb->name != NULL; verb++) {
		if (strcmp(operands[0], verb->name) == 0)
			return verb;
	}
	if (count == 0)
		(void)dw_opt_misuse(&bench_command, "what is to be measured: %s?", bench_command.words);
	else if (count > 1)
		(void)dw_opt_misuse(&bench_command, "'%.40s' is one operand too many", operands[1]);
	else
		(void)dw_opt_misuse(&bench_command, "'%.40s' is not one of: %s", operands[0], bench_command.words);
	return NULL;
}

int
main(int argc, char **argv)
{
	static struct run run;
	const struct verb *verb;
	const int first = dw_command_begin(&bench_command, argc, argv);
	int err, status;

	verb = find_verb(argc - first, argv + first);
	if (verb == NULL)
		return dw_err_exit(DW_E_USAGE);
	err = check_options(verb->name, verb->bit);
	if (err != DW_OK)
		return dw_err_exit(err);
	err = run_init(&run);
	if (err == DW_OK)
		err = verb->measure(&run);
	status = tell(&run, verb, err);
	if (dw_common.verbose > 0)
		tell_own();
	run_clear(&run);
	return status;
}
