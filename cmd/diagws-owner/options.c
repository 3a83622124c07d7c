/* The options of diagws-owner, and what all verbs make of them. Its own file because the verbs use it, and
 * main.c, which chooses one, is above them.
 */
#include <stdio.h>

#include "owner.h"

struct options owner_options;

static const struct dw_opt own_options[] = {
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "say what would change, change nothing", .target = &owner_options.dry },
	{ DW_OPT_TEXT, 0, "user", "USER", "list: only what this user may watch or may not", .target = &owner_options.user },
	{ 0 },
};

static const struct dw_opt *const groups[] = { own_options, dw_opt_table, dw_opt_hub, dw_opt_common, NULL };

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
