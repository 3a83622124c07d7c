/* diagws-send: sends an update to every client that watches a diagnosis, from a shell, a cron job or a batch.
 *
 * One message: TYPE DIAGNOSIS [JSON|@FILE|-]. Many: -l [FILE|-], a JSON object a line. The command ends when the
 * hub has stored all of them, or it is told of each that it has not. What holds for every message is checked here,
 * before anything is read; standard input is touched only when it is what is to be sent. Exit status: diagws(7).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "send.h"

enum { DEADLINE_MS = 5000, DEADLINE_MAX_MS = 3600 * 1000, DEVICES_MAX = 1000000 };

static struct options options;
static const char *to, *wait_for;
static int64_t ttl_ms, deadline_ms;

static const struct dw_opt message_options[] = {
	{ DW_OPT_HEADING, .help = "One message:" },
	{ DW_OPT_TEXT, 'i', "id", "ID", "the message's id: sent twice, it is stored once", .initial = "made at random",
		.target = &options.id },
	{ DW_OPT_HEADING, .help = "Many messages:" },
	{ DW_OPT_FLAG, 'l', "lines", NULL, "read a message from each line: {\"diagnosis_id\",\"type\",\"data\",\"id\"?}",
		.target = &options.lines },
	{ DW_OPT_TEXT, 't', "type", "TYPE", "the type of lines that give none", .target = &options.type },
	{ DW_OPT_TEXT, 'd', "diagnosis", "ID", "the diagnosis of lines that give none", .target = &options.room },
	{ DW_OPT_NUMBER, 'w', "window", "N", "messages that may be unanswered at once",
		.initial = "256, up to 4096 while answers are prompt", .target = &options.window, .min = 1, .max = 4096 },
	{ DW_OPT_FLAG, 0, "receipts", NULL,
		"print what became of each line: its number, diagnosis, seq, n, id, outcome, devices",
		.target = &options.receipts },
	{ DW_OPT_HEADING, .help = "Both:" },
	{ DW_OPT_TEXT, 'u', "user", "USER", "only to this user's devices", .target = &to },
	{ DW_OPT_DURATION, 0, "ttl", "DUR", "it is no more after this time, 1s to 30d", .target = &ttl_ms, .min = 1000,
		.max = (int64_t)DW_TTL_MAX_S * 1000 },
	{ DW_OPT_TEXT, 0, "wait", "WHAT", "succeed when stored, or when N devices have it: delivered:N",
		.initial = "stored", .target = &wait_for },
	{ DW_OPT_DURATION, 0, "deadline", "DUR", "wait so long for devices", .initial = "5s", .target = &deadline_ms,
		.min = 1, .max = DEADLINE_MAX_MS },
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "check, send nothing", .target = &options.dry },
	{ 0 },
};

static const struct dw_command command = {
	.name = SEND_NAME,
	.summary = "send an update to every client that watches a diagnosis",
	.usage = "[-i ID] [-u USER] [--wait delivered:N] TYPE DIAGNOSIS [JSON|@FILE|-]\n"
			 "-l [-t TYPE] [-d DIAGNOSIS] [-w WINDOW] [--receipts] [FILE|-]",
	.words = "recommendation effectiveness feedback",
	.examples =
		"echo '{\"recommendation_id\":789,\"new_effectiveness\":0.85,\"confidence\":0.92,\"sample_size\":150}' |\n"
		"    diagws-send effectiveness 123\n"
		"diagws-send summary_update 123 @/var/lib/report/123.json   # JSON as an operand is seen in ps\n"
		"diagws-send -l --receipts updates.ndjson",
	.groups = (const struct dw_opt *const[]) { message_options, dw_opt_hub, dw_opt_table, dw_opt_common, NULL },
};

/* Standard input is needed and is a terminal: short help. */
static int
refuse_terminal(void)
{
	const char *line = command.usage;

	fprintf(
		stderr, "%s: the data is to come from standard input, which is a terminal [DW%d]\n", command.name, -DW_E_USAGE);
	while (*line != '\0') {
		const size_t n = strcspn(line, "\n");

		fprintf(stderr, "  %s %.*s\n", command.name, (int)n, line);
		line += n + (line[n] == '\n');
	}
	fprintf(stderr, "  hint: '%s --help' tells more\n", command.name);
	return DW_E_USAGE;
}

/* `stored`, or `delivered:N` and a deadline. */
static int
check_wait(void)
{
	static const char delivered[] = "delivered:";
	int64_t devices = 0;

	if (wait_for == NULL || strcmp(wait_for, "stored") == 0) {
		if (deadline_ms > 0)
			return dw_opt_misuse(&command, "option '--deadline' is for --wait=delivered:N");
		return DW_OK;
	}
	if (strncmp(wait_for, delivered, strlen(delivered)) != 0)
		return dw_opt_misuse(&command, "option '--wait': '%s' is not 'stored' or 'delivered:N'", wait_for);
	if (!dw_parse_number(wait_for + strlen(delivered), &devices) || devices < 1 || devices > DEVICES_MAX)
		return dw_opt_misuse(&command, "option '--wait': '%s' is not within delivered:1..%d", wait_for, DEVICES_MAX);
	options.publish.wait = (uint64_t)devices;
	options.publish.wait_ms = deadline_ms > 0 ? (uint64_t)deadline_ms : DEADLINE_MS;
	return DW_OK;
}

static int
check_values(void)
{
	char type[DW_TYPE_MAX + 1];
	struct dw_fault fault = { 0 };
	int err = to != NULL ? dw_user_check(dw_str(to), "option '--user': ", &fault) : DW_OK;

	if (err == DW_OK && options.type != NULL)
		err = dw_type_expand(dw_str(options.type), type, &fault);
	if (err == DW_OK && options.room != NULL)
		err = dw_room_check(dw_str(options.room), "option '--diagnosis': ", &fault);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	options.publish.to = dw_str(to);
	options.publish.ttl_ms = (uint64_t)ttl_ms;
	return err;
}

static int
check_usage(int count, char **operands)
{
	if (options.lines && options.id != NULL)
		return dw_opt_misuse(&command, "option '--id' is for one message; with -l each line has its own");
	if (options.lines && count > 1)
		return dw_opt_misuse(&command, "'%s' is one operand too many: -l takes one file", operands[1]);
	if (options.lines)
		return DW_OK;
	if (options.type != NULL || options.room != NULL)
		return dw_opt_misuse(&command, "options '--type' and '--diagnosis' are for -l");
	if (count < 2)
		return dw_opt_misuse(&command, "%s", count < 1 ? "the type is missing" : "the diagnosis is missing");
	if (count > 3)
		return dw_opt_misuse(&command, "'%s' is one operand too many; is the JSON quoted?", operands[3]);
	return DW_OK;
}

int
main(int argc, char **argv)
{
	const int first = dw_command_begin(&command, argc, argv), count = argc - first;
	char **operands = argv + first;
	const char *input = options.lines ? operands[0] : count > 2 ? operands[2] : NULL;
	int err = check_usage(count, operands);

	if (err == DW_OK)
		err = check_wait();
	if (err == DW_OK)
		err = check_values();
	if (input != NULL && (strcmp(input, "-") == 0 || (!options.lines && strcmp(input, "@-") == 0)))
		input = NULL;
	if (err == DW_OK && input == NULL && isatty(STDIN_FILENO))
		err = refuse_terminal();
	if (err != DW_OK)
		return dw_err_exit(err);
	(void)dw_interrupt_fd();
	return options.lines ? send_lines(&options, input) : send_single(&options, operands[0], operands[1], input);
}
