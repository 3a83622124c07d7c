/* diagws-send: sends an update to every client that watches a diagnosis, from a shell, a cron job or a batch.
 *
 * One message: TYPE DIAGNOSIS [JSON|@FILE|-]. Many: -l [FILE|-], a JSON object a line. The command ends when the
 * hub has stored all of them, or it is told of each that it has not. This file has the options and what
 * both ways share; single.c and batch.c are the ways.
 *
 * Failure modes and exit status: diagws(7). Standard input is touched only when it is what is to be sent.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "send.h"

static struct options options;
static const char *wait_for;

enum { DEADLINE_MS = 5000, DEADLINE_MAX_MS = 3600 * 1000, DEVICES_MAX = 1000000 };

static const struct dw_opt message_options[] = {
	{ DW_OPT_HEADING, 0, NULL, NULL, "One message:", NULL, NULL, NULL, NULL, 0, 0 },
	{ DW_OPT_TEXT, 'i', "id", "ID", "the message's id: sent twice, it is stored once", NULL, "made at random", NULL,
		&options.id, 0, 0 },
	{ DW_OPT_HEADING, 0, NULL, NULL, "Many messages:", NULL, NULL, NULL, NULL, 0, 0 },
	{ DW_OPT_FLAG, 'l', "lines", NULL, "read a message from each line: {\"diagnosis_id\",\"type\",\"data\",\"id\"?}",
		NULL, NULL, NULL, &options.lines, 0, 0 },
	{ DW_OPT_TEXT, 't', "type", "TYPE", "the type of lines that give none", NULL, NULL, NULL, &options.type, 0, 0 },
	{ DW_OPT_TEXT, 'd', "diagnosis", "ID", "the diagnosis of lines that give none", NULL, NULL, NULL, &options.room, 0,
		0 },
	{ DW_OPT_NUMBER, 'w', "window", "N", "messages that may be unanswered at once", NULL,
		"256, up to 4096 while answers are prompt", NULL, &options.window, 1, 4096 },
	{ DW_OPT_FLAG, 0, "receipts", NULL,
		"print what became of each line: its number, diagnosis, seq, n, id, outcome, devices", NULL, NULL, NULL,
		&options.receipts, 0, 0 },
	{ DW_OPT_HEADING, 0, NULL, NULL, "Both:", NULL, NULL, NULL, NULL, 0, 0 },
	{ DW_OPT_TEXT, 'u', "user", "USER", "only to this user's devices", NULL, NULL, NULL, &options.to, 0, 0 },
	{ DW_OPT_DURATION, 0, "ttl", "DUR", "it is no more after this time, 1s to 30d", NULL, NULL, NULL, &options.ttl_ms,
		1000, (int64_t)DW_TTL_MAX_S * 1000 },
	{ DW_OPT_TEXT, 0, "wait", "WHAT", "succeed when stored, or when N devices have it: delivered:N", NULL, "stored",
		NULL, &wait_for, 0, 0 },
	{ DW_OPT_DURATION, 0, "deadline", "DUR", "wait so long for devices", NULL, "5s", NULL, &options.wait_ms, 1,
		DEADLINE_MAX_MS },
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "check, send nothing", NULL, NULL, NULL, &options.dry, 0, 0 },
	{ 0 },
};

static const struct dw_opt *const groups[] = { message_options, dw_opt_hub, dw_opt_table, dw_opt_common, NULL };

const struct dw_command send_command = {
	.name = "diagws-send",
	.summary = "send an update to every client that watches a diagnosis",
	.usage = "[-i ID] [-u USER] [--wait delivered:N] TYPE DIAGNOSIS [JSON|@FILE|-]\n"
			 "-l [-t TYPE] [-d DIAGNOSIS] [-w WINDOW] [--receipts] [FILE|-]",
	.words = "recommendation effectiveness feedback",
	.examples =
		"echo '{\"recommendation_id\":789,\"new_effectiveness\":0.85,\"confidence\":0.92,\"sample_size\":150}' |\n"
		"    diagws-send effectiveness 123\n"
		"diagws-send summary_update 123 @/var/lib/report/123.json   # JSON as an operand is seen in ps\n"
		"diagws-send -l --receipts updates.ndjson",
	.groups = groups,
};

void
set_publish(struct dw_wire *message, const struct options *from, const char *room, const char *type, const char *id,
	const struct dw_buf *data)
{
	*message = (struct dw_wire) { .kind = DW_PUBLISH,
		.publish = { .room = dw_str(room),
			.type = dw_str(type),
			.id = dw_str(id),
			.data = { data->data, data->len },
			.to = dw_str(from->to),
			.ttl_ms = (uint64_t)from->ttl_ms,
			.wait = (uint64_t)from->wait,
			.wait_ms = (uint64_t)from->wait_ms } };
}

int
open_client(struct dw_client **client, struct report *report, size_t window)
{
	struct dw_client_config config = {
		.endpoint = dw_common.endpoint,
		.name = send_command.name,
		.timeout_ms = dw_common.timeout_ms,
		.window = window,
		.gathers = true,
	};
	struct dw_fault fault = { 0 };
	int err = dw_client_new(client, &config, &fault);

	if (err != DW_OK)
		report_fatal(report, err, &fault);
	return err;
}

int
refuse_terminal(void)
{
	const char *line = send_command.usage;

	fprintf(stderr, "%s: the data is to come from standard input, which is a terminal [DW%d]\n", send_command.name,
		-DW_E_USAGE);
	while (*line != '\0') {
		const size_t n = strcspn(line, "\n");

		fprintf(stderr, "  %s %.*s\n", send_command.name, (int)n, line);
		line += n + (line[n] == '\n');
	}
	fprintf(stderr, "  hint: '%s --help' tells more\n", send_command.name);
	return DW_E_USAGE;
}

/* `stored`, or `delivered:N` and a deadline. */
static int
check_wait(void)
{
	static const char delivered[] = "delivered:";

	if (wait_for == NULL || strcmp(wait_for, "stored") == 0) {
		if (options.wait_ms > 0)
			return dw_opt_misuse(&send_command, "option '--deadline' is for --wait=delivered:N");
		return DW_OK;
	}
	if (strncmp(wait_for, delivered, strlen(delivered)) != 0)
		return dw_opt_misuse(&send_command, "option '--wait': '%s' is not 'stored' or 'delivered:N'", wait_for);
	if (!dw_parse_number(wait_for + strlen(delivered), &options.wait) || options.wait < 1 || options.wait > DEVICES_MAX)
		return dw_opt_misuse(
			&send_command, "option '--wait': '%s' is not within delivered:1..%d", wait_for, DEVICES_MAX);
	if (options.wait_ms == 0)
		options.wait_ms = DEADLINE_MS;
	return DW_OK;
}

/* What holds for every message is wrong: told once, before anything is read. */
static int
check_user(void)
{
	struct dw_fault fault = { 0 };
	char quoted[DW_QUOTE_SIZE];

	if (options.to == NULL || dw_user_ok(dw_str(options.to)))
		return DW_OK;
	(void)dw_fault_set(&fault, DW_E_FIELD, NULL, "1 to 128 bytes of UTF-8 without control characters",
		"option '--user': '%s' is not a user id", dw_quote(dw_str(options.to), quoted));
	dw_fault_print(stderr, send_command.name, DW_E_FIELD, &fault, NULL);
	return DW_E_FIELD;
}

static int
check_usage(int count, char **operands)
{
	if (options.lines && options.id != NULL)
		return dw_opt_misuse(&send_command, "option '--id' is for one message; with -l each line has its own");
	if (options.lines && count > 1)
		return dw_opt_misuse(&send_command, "'%s' is one operand too many: -l takes one file", operands[1]);
	if (options.lines)
		return DW_OK;
	if (options.type != NULL || options.room != NULL)
		return dw_opt_misuse(&send_command, "options '--type' and '--diagnosis' are for -l");
	if (count < 2)
		return dw_opt_misuse(&send_command, "%s", count < 1 ? "the type is missing" : "the diagnosis is missing");
	if (count > 3)
		return dw_opt_misuse(&send_command, "'%s' is one operand too many; is the JSON quoted?", operands[3]);
	return DW_OK;
}

int
main(int argc, char **argv)
{
	int first = argc;
	int err;

	dw_hold_streams();
	err = dw_opt_parse(&send_command, argc, argv, &first);

	if (err == DW_OPT_DONE)
		return 0;
	if (err == DW_OK)
		err = check_usage(argc - first, argv + first);
	if (err == DW_OK)
		err = check_wait();
	if (err == DW_OK)
		err = check_user();
	if (err != DW_OK)
		return dw_err_exit(err);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)dw_interrupt_fd();
	if (options.lines)
		return send_lines(&options, first < argc ? argv[first] : NULL);
	return send_single(&options, argv[first], argv[first + 1], first + 2 < argc ? argv[first + 2] : NULL);
}
