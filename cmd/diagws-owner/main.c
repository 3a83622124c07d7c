/* diagws-owner: who may watch which diagnosis. Grants, revokes and denies are durable when the command ends, and
 * who is shut out by one loses open connections within a second.
 *
 * This file finds the verb. Failure modes and exit status: diagws(7).
 */
#include <signal.h>
#include <string.h>

#include "cli/interrupt.h"
#include "owner.h"

enum { EXIT_INTERRUPTED = 130 };

static const struct verb verbs[] = {
	{ "grant", "granted", "already granted" },
	{ "revoke", "revoked", "not granted before" },
	{ "deny", "denied", "already denied" },
};

static int
run(int count, char **operands)
{
	const char *name = count > 0 ? operands[0] : NULL;
	const bool is_list = name != NULL && strcmp(name, "list") == 0;
	const bool is_import = name != NULL && strcmp(name, "import") == 0;

	if (name == NULL)
		return dw_opt_misuse(&owner_command, "one of these is missing: %s", owner_command.words);
	if (owner_options.user != NULL && !is_list)
		return dw_opt_misuse(&owner_command, "option '--user' is for list");
	if (owner_options.dry && is_list)
		return dw_opt_misuse(&owner_command, "option '--dry-run' is not for list");
	if ((is_list || is_import) && count > 2)
		return dw_opt_misuse(&owner_command, "'%s' is one operand too many", operands[2]);
	if (is_list)
		return list_owners(&owner_options, count > 1 ? operands[1] : NULL);
	if (is_import)
		return import_users(&owner_options, &verbs[0], count > 1 ? operands[1] : NULL);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(name, verbs[i].name) != 0)
			continue;
		if (count < 3)
			return dw_opt_misuse(&owner_command, "'%s' needs a diagnosis and at least one user", name);
		return change_users(&owner_options, &verbs[i], operands[1], operands + 2, (size_t)count - 2);
	}
	return dw_opt_misuse(&owner_command, "'%s' is not one of: %s", name, owner_command.words);
}

int
main(int argc, char **argv)
{
	int first = argc;
	int err;

	dw_hold_streams();
	err = dw_opt_parse(&owner_command, argc, argv, &first);

	if (err == DW_OPT_DONE)
		return 0;
	if (err != DW_OK)
		return dw_err_exit(err);
	(void)signal(SIGPIPE, SIG_IGN);
	err = run(argc - first, argv + first);
	return dw_interrupted() ? EXIT_INTERRUPTED : dw_err_exit(err);
}
