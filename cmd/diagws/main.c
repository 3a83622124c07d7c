/* diagws: runs diagws-NAME, as git does; `diagws up` is built in.
 *
 * A command is looked for beside this program first, so that a build that was not installed uses its own;
 * any other diagws-NAME in PATH is run too.
 * Failure modes: no such command (64, with those there are), one that cannot be run (69).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/opt.h"
#include "up.h"

static const struct {
	const char *name, *summary;
} commands[] = {
	{ "up", "a hub and edges for development, on temporary folders" },
	{ "send", "send updates" },
	{ "stat", "look into the hub" },
	{ "owner", "say who may watch a diagnosis" },
	{ "token", "make and check tokens" },
	{ "bench", "measure how a server pushes messages" },
	{ "clinic", "a clinic's feedback, what works, and what is to be expected" },
	{ "hub", "the hub: rooms and durable queues" },
	{ "edge", "the edge: WebSockets and HTTP for clients" },
};

static const struct dw_command command = {
	.name = "diagws",
	.summary = "run a command of diagws",
	.usage = "COMMAND [ARGUMENT]...\nhelp COMMAND",
	.words = "up send stat owner token bench clinic hub edge help",
	.examples = "diagws up\ndiagws send note_update 123 '{\"text\":\"hello\"}'\ndiagws help send",
	.groups = (const struct dw_opt *const[]) { dw_opt_common, NULL },
};

static void
list_commands(FILE *stream)
{
	fprintf(stream, "\nCommands\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
}

static bool
is_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return true;
	return false;
}

static int
show_manual(const char *name)
{
	char page[64];

	(void)snprintf(page, sizeof(page), "diagws-%s", name);
	(void)execlp("man", "man", is_command(name) ? page : "diagws", (char *)NULL);
	fprintf(stderr, "diagws: cannot run man: %s\n", strerror(errno));
	return dw_err_exit(DW_E_UNSUPPORTED);
}

static int
run_command(const char *given, char **arguments)
{
	char path[DW_PATH_SIZE], name[64];
	bool known = is_command(given);
	int n = snprintf(name, sizeof(name), "diagws-%s", given), err;

	errno = ENOENT;
	if (n < (int)sizeof(name) && given[0] != '\0' && strchr(given, '/') == NULL) {
		sibling_path(given, path);
		arguments[0] = name;
		(void)execvp(path, arguments);
	}
	if (known || errno != ENOENT) {
		fprintf(stderr, "diagws: cannot run '%s': %s\n", name, strerror(errno));
		return dw_err_exit(DW_E_UNSUPPORTED);
	}
	err = dw_opt_misuse(&command, "'%.40s' is no command", given);
	list_commands(stderr);
	return dw_err_exit(err);
}

int
main(int argc, char **argv)
{
	int first = 1, err;

	/* What follows the command is the command's. */
	if (argc < 2 || argv[1][0] == '-') {
		err = dw_opt_parse(&command, argc < 2 ? 1 : 2, argv, &first);
		if (err == DW_OPT_DONE && argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
			list_commands(stdout);
		if (err == DW_OPT_DONE)
			return 0;
		if (err == DW_OK)
			err = dw_opt_misuse(&command, "which command?");
		list_commands(stderr);
		return dw_err_exit(err);
	}
	if (strcmp(argv[1], "up") == 0)
		return up_main(argc - 1, argv + 1);
	if (strcmp(argv[1], "help") == 0)
		return show_manual(argc > 2 ? argv[2] : "");
	return run_command(argv[1], argv + 1);
}
