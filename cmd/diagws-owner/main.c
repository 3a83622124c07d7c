/* diagws-owner: who may watch which diagnosis. Grants, revokes and denies are durable when the command ends, and
 * who is shut out by one loses open connections within a second.
 *
 * This file has the options and what the verbs share. Failure modes and exit status: diagws(7).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/interrupt.h"
#include "owner.h"

enum { EXIT_INTERRUPTED = 130 };

static struct options options;

static const struct dw_opt owner_options[] = {
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "say what would change, change nothing", NULL, NULL, NULL, &options.dry, 0,
		0 },
	{ DW_OPT_TEXT, 0, "user", "USER", "list: only what this user may watch or may not", NULL, NULL, NULL, &options.user,
		0, 0 },
	{ 0 },
};

static const struct dw_opt *const groups[] = { owner_options, dw_opt_table, dw_opt_hub, dw_opt_common, NULL };

const struct dw_command owner_command = {
	.name = "diagws-owner",
	.summary = "say who may watch which diagnosis",
	.usage = "[-n] grant|revoke|deny DIAGNOSIS USER…\n"
			 "[--user USER] list [DIAGNOSIS]\n"
			 "[-n] import [FILE|-]",
	.words = "grant revoke deny list import",
	.examples = "diagws-owner grant 123 alice bob\n"
				"diagws-owner list 123\n"
				"echo '{\"diagnosis_id\":123,\"user_id\":\"alice\"}' | diagws-owner import",
	.groups = groups,
};

static const struct verb verbs[] = {
	{ "grant", "granted", "already granted" },
	{ "revoke", "revoked", "not granted before" },
	{ "deny", "denied", "already denied" },
};

int
open_client(struct dw_client **client)
{
	const struct dw_client_config config = { .endpoint = dw_common.endpoint,
		.name = owner_command.name,
		.timeout_ms = dw_common.timeout_ms,
		.window = OWNER_WINDOW };
	struct dw_fault fault = { 0 };
	int err = dw_client_new(client, &config, &fault);

	if (err != DW_OK)
		dw_fault_print(stderr, owner_command.name, err, &fault, NULL);
	return err;
}

int
check_room(struct dw_str room, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	if (dw_room_ok(room))
		return DW_OK;
	return dw_fault_set(fault, DW_E_FIELD, "diagnosis_id", "1 to 64 of A-Z a-z 0-9 _ -", "'%s' is not a diagnosis id",
		dw_quote(room, quoted));
}

int
check_user(struct dw_str user, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	if (dw_user_ok(user))
		return DW_OK;
	return dw_fault_set(fault, DW_E_FIELD, "user_id", "1 to 128 bytes of UTF-8 without control characters",
		"'%s' is not a user id", dw_quote(user, quoted));
}

static int
run(int count, char **operands)
{
	const char *name = count > 0 ? operands[0] : NULL;
	const bool is_list = name != NULL && strcmp(name, "list") == 0;
	const bool is_import = name != NULL && strcmp(name, "import") == 0;

	if (name == NULL)
		return dw_opt_misuse(&owner_command, "one of these is missing: %s", owner_command.words);
	if (options.user != NULL && !is_list)
		return dw_opt_misuse(&owner_command, "option '--user' is for list");
	if (options.dry && is_list)
		return dw_opt_misuse(&owner_command, "option '--dry-run' is not for list");
	if ((is_list || is_import) && count > 2)
		return dw_opt_misuse(&owner_command, "'%s' is one operand too many", operands[2]);
	if (is_list)
		return list_owners(&options, count > 1 ? operands[1] : NULL);
	if (is_import)
		return import_users(&options, &verbs[0], count > 1 ? operands[1] : NULL);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(name, verbs[i].name) != 0)
			continue;
		if (count < 3)
			return dw_opt_misuse(&owner_command, "'%s' needs a diagnosis and at least one user", name);
		return change_users(&options, &verbs[i], operands[1], operands + 2, (size_t)count - 2);
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
