/* The options of diagws-send, and what both ways make of them: whether they go together, a connection, a PUBLISH.
 *
 * Its own file because both ways use it, and main.c, which takes one of them, is above them. Failure modes: misuse,
 * told before anything is read.
 */
#include <stdio.h>
#include <string.h>

#include "send.h"

struct options send_options;
static const char *wait_for;

enum { DEADLINE_MS = 5000, DEADLINE_MAX_MS = 3600 * 1000, DEVICES_MAX = 1000000 };

static const struct dw_opt message_options[] = {
	{ DW_OPT_HEADING, .help = "One message:" },
	{ DW_OPT_TEXT, 'i', "id", "ID", "the message's id: sent twice, it is stored once", .initial = "made at random",
		.target = &send_options.id },
	{ DW_OPT_HEADING, .help = "Many messages:" },
	{ DW_OPT_FLAG, 'l', "lines", NULL, "read a message from each line: {\"diagnosis_id\",\"type\",\"data\",\"id\"?}",
		.target = &send_options.lines },
	{ DW_OPT_TEXT, 't', "type", "TYPE", "the type of lines that give none", .target = &send_options.type },
	{ DW_OPT_TEXT, 'd', "diagnosis", "ID", "the diagnosis of lines that give none", .target = &send_options.room },
	{ DW_OPT_NUMBER, 'w', "window", "N", "messages that may be unanswered at once",
		.initial = "256, up to 4096 while answers are prompt", .target = &send_options.window, .min = 1, .max = 4096 },
	{ DW_OPT_FLAG, 0, "receipts", NULL,
		"print what became of each line: its number, diagnosis, seq, n, id, outcome, devices",
		.target = &send_options.receipts },
	{ DW_OPT_HEADING, .help = "Both:" },
	{ DW_OPT_TEXT, 'u', "user", "USER", "only to this user's devices", .target = &send_options.to },
	{ DW_OPT_DURATION, 0, "ttl", "DUR", "it is no more after this time, 1s to 30d", .target = &send_options.ttl_ms,
		.min = 1000, .max = (int64_t)DW_TTL_MAX_S * 1000 },
	{ DW_OPT_TEXT, 0, "wait", "WHAT", "succeed when stored, or when N devices have it: delivered:N",
		.initial = "stored", .target = &wait_for },
	{ DW_OPT_DURATION, 0, "deadline", "DUR", "wait so long for devices", .initial = "5s",
		.target = &send_options.wait_ms, .min = 1, .max = DEADLINE_MAX_MS },
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "check, send nothing", .target = &send_options.dry },
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
open_client(struct dw_client **client, size_t window, struct dw_fault *fault)
{
	struct dw_client_config config = {
		.endpoint = dw_common.endpoint,
		.name = send_command.name,
		.timeout_ms = dw_common.timeout_ms,
		.window = window,
		.gathers = true,
	};

	return dw_client_new(client, &config, fault);
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
		if (send_options.wait_ms > 0)
			return dw_opt_misuse(&send_command, "option '--deadline' is for --wait=delivered:N");
		return DW_OK;
	}
	if (strncmp(wait_for, delivered, strlen(delivered)) != 0)
		return dw_opt_misuse(&send_command, "option '--wait': '%s' is not 'stored' or 'delivered:N'", wait_for);
	if (!dw_parse_number(wait_for + strlen(delivered), &send_options.wait) || send_options.wait < 1 ||
		send_options.wait > DEVICES_MAX)
		return dw_opt_misuse(
			&send_command, "option '--wait': '%s' is not within delivered:1..%d", wait_for, DEVICES_MAX);
	if (send_options.wait_ms == 0)
		send_options.wait_ms = DEADLINE_MS;
	return DW_OK;
}

/* What holds for every message is wrong: told once, before anything is read. */
static int
check_user(void)
{
	struct dw_fault fault = { 0 };
	int err = send_options.to != NULL ? dw_user_check(dw_str(send_options.to), "option '--user': ", &fault) : DW_OK;

	if (err != DW_OK)
		dw_fault_print(stderr, send_command.name, err, &fault, NULL);
	return err;
}

static int
check_usage(int count, char **operands)
{
	if (send_options.lines && send_options.id != NULL)
		return dw_opt_misuse(&send_command, "option '--id' is for one message; with -l each line has its own");
	if (send_options.lines && count > 1)
		return dw_opt_misuse(&send_command, "'%s' is one operand too many: -l takes one file", operands[1]);
	if (send_options.lines)
		return DW_OK;
	if (send_options.type != NULL || send_options.room != NULL)
		return dw_opt_misuse(&send_command, "options '--type' and '--diagnosis' are for -l");
	if (count < 2)
		return dw_opt_misuse(&send_command, "%s", count < 1 ? "the type is missing" : "the diagnosis is missing");
	if (count > 3)
		return dw_opt_misuse(&send_command, "'%s' is one operand too many; is the JSON quoted?", operands[3]);
	return DW_OK;
}

int
check_options(int count, char **operands)
{
	int err = check_usage(count, operands);

	if (err == DW_OK)
		err = check_wait();
	return err == DW_OK ? check_user() : err;
}
