/* diagws-owner: who may watch which diagnosis. Grants, revokes and denies are durable when the command ends, and
 * who is shut out by one loses open connections within a second.
 *
 * This file has the options, finds the verb and does the one that changes nothing, list. Names out of their grammar are
 * told before anything is asked. Failure modes and exit status: diagws(7).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "owner.h"

static const char *list_user; /* NULL: everyone's */
static bool dry;

static const struct dw_opt own_options[] = {
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "say what would change, change nothing", .target = &dry },
	{ DW_OPT_TEXT, 0, "user", "USER", "list: only what this user may watch or may not", .target = &list_user },
	{ 0 },
};

static const struct dw_opt *const groups[] = { own_options, dw_opt_table, dw_opt_hub, dw_opt_common, NULL };

static const struct dw_command command = {
	.name = OWNER_NAME,
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

/* Either may be NULL. */
static int
check_names(const char *room, const char *user)
{
	struct dw_fault fault = { 0 };
	int err = room != NULL ? dw_room_check(dw_str(room), "", &fault) : DW_OK;

	if (err == DW_OK && user != NULL)
		err = dw_user_check(dw_str(user), "", &fault);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	return err;
}

static int
list_owners(const char *room)
{
	const enum dw_rows_format format = dw_rows_format(dw_common.format, dw_common.json, isatty(STDOUT_FILENO) != 0);
	struct dw_wire request = { .kind = DW_OWN,
		.own = { .verb = DW_STR("list"), .room = dw_str(room), .user = dw_str(list_user) } };
	struct dw_rows rows = { 0 };
	struct dw_fault fault = { 0 };
	int err = dw_command_ask(command.name, &request, &rows, &fault);

	if (err == DW_OK)
		err = dw_rows_print(&rows, format, false, 2);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	dw_rows_clear(&rows);
	return err;
}

static int
run(int count, char **operands)
{
	const char *name = count > 0 ? operands[0] : NULL;
	const bool is_list = name != NULL && strcmp(name, "list") == 0;
	const bool is_import = name != NULL && strcmp(name, "import") == 0;
	int err = DW_OK;

	if (name == NULL)
		return dw_opt_misuse(&command, "one of these is missing: %s", command.words);
	if (list_user != NULL && !is_list)
		return dw_opt_misuse(&command, "option '--user' is for list");
	if (dry && is_list)
		return dw_opt_misuse(&command, "option '--dry-run' is not for list");
	if ((is_list || is_import) && count > 2)
		return dw_opt_misuse(&command, "'%s' is one operand too many", operands[2]);
	if (is_list) {
		err = check_names(operands[1], list_user);
		return err == DW_OK ? list_owners(operands[1]) : err;
	}
	if (is_import && (count == 1 || strcmp(operands[1], "-") == 0) && isatty(STDIN_FILENO))
		return dw_opt_misuse(&command, "the lines are to come from standard input, which is a terminal");
	if (is_import)
		return import_users(&verbs[0], dry, operands[1]);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(name, verbs[i].name) != 0)
			continue;
		if (count < 3)
			return dw_opt_misuse(&command, "'%s' needs a diagnosis and at least one user", name);
		for (int user = 2; user < count && err == DW_OK; user++)
			err = check_names(operands[1], operands[user]);
		return err == DW_OK ? change_users(&verbs[i], dry, operands[1], operands + 2, (size_t)count - 2) : err;
	}
	return dw_opt_misuse(&command, "'%s' is not one of: %s", name, command.words);
}

int
main(int argc, char **argv)
{
	const int first = dw_command_begin(&command, argc, argv);
	const int err = run(argc - first, argv + first);

	return dw_interrupted() ? DW_EXIT_INTERRUPTED : dw_err_exit(err);
}
