/* diagws-clinic: analytics, feedback and predictions of a clinic, on one SQLite file, and what they push to those who
 * watch. A subcommand has a file of its own (verbs.h); what it does is a call (clinic.h), which serve offers by HTTP,
 * too.
 */
#include <string.h>

#include "cli/command.h"
#include "verbs.h"

static const struct {
	const char *name;
	verb_run *run;
} verbs[] = {
	{ "init", verb_init },
	{ "import", verb_import },
	{ "export", verb_export },
	{ "feedback", verb_feedback },
	{ "analytics", verb_analytics },
	{ "predict", verb_predict },
	{ "optimize", verb_optimize },
	{ "evolution", verb_evolution },
	{ "accuracy", verb_accuracy },
	{ "profile", verb_profile },
	{ "stats", verb_stats },
	{ "outbox", verb_outbox },
	{ "serve", verb_serve },
	{ "demo", verb_demo },
};

int
main(int argc, char **argv)
{
	const int first = dw_command_begin(&clinic_command, argc, argv);

	if (first == argc)
		return dw_err_exit(dw_opt_misuse(&clinic_command, "one of these is missing: %s", clinic_command.words));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[first], verbs[i].name) == 0)
			return verbs[i].run(argc - first - 1, argv + first + 1);
	return dw_err_exit(dw_opt_misuse(&clinic_command, "'%s' is not one of: %s", argv[first], clinic_command.words));
}
