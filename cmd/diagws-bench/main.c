/* diagws-bench: measures a server that pushes messages to WebSocket clients, ours or another.
 *
 * This file has the options and finds the subcommand; each is a file of its own, which is its schedule.
 *
 * Exit status: 0; 64 wrong usage; 65 a message was lost, repeated or out of order; 66 a file or process that cannot be
 * read; 74 the output cannot be written; 75 the server or the hub is away; 76 it is none; 77 it lets us not in; 130
 * SIGINT, after saying what was measured.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/interrupt.h"
#include "message/msg.h"
#include "report.h"
#include "run.h"

enum {
	FANOUT = 1,
	LATENCY = 2,
	CONNECT = 4,
	STORM = 8,
	PUBLISH = 16,
	MEMORY = 32,
	ALL = 63,
	NOT_GIVEN = -1,
	INTERRUPTED = 130
};
enum { CLIENTS_MAX = 1000000, ROOMS_MAX = 100000, SENDERS_MAX = 4096, WINDOW_MAX = 4096, BURST_MAX = 4096 };

static struct options o = {
	.ws = "ws://127.0.0.1:8000/ws/{room}?token={token}&device=bench-{client}",
	.ready = "\"connect\"",
	.until = "message",
	.rooms = 1,
	.size = 200,
	.clients = NOT_GIVEN,
	.messages = NOT_GIVEN,
	.duration_ms = NOT_GIVEN,
	.burst = NOT_GIVEN,
	.rate = NOT_GIVEN,
	.concurrency = NOT_GIVEN,
	.senders = NOT_GIVEN,
	.window = NOT_GIVEN,
	.missed = NOT_GIVEN,
	.warm_up = NOT_GIVEN,
};

static const struct dw_opt server_options[] = {
	{ .kind = DW_OPT_HEADING, .help = "The server" },
	{ .kind = DW_OPT_TEXT,
		.name = "ws",
		.arg = "URL",
		.help = "where clients connect; {room}, {client}, {token} and {after} are replaced",
		.initial = "diagws on port 8000",
		.target = &o.ws },
	{ .kind = DW_OPT_TEXT,
		.name = "publish",
		.arg = "URL",
		.help = "publish by HTTP POST there; {room} is replaced",
		.initial = "through the hub's socket",
		.target = &o.publish },
	{ .kind = DW_OPT_TEXT,
		.name = "body",
		.arg = "TEXT",
		.help = "the body of a POST; {room} and {data} are replaced",
		.initial = "that of POST /ws/broadcast",
		.target = &o.body },
	{ .kind = DW_OPT_TEXT,
		.name = "key-file",
		.arg = "FILE",
		.help = "make the tokens with this key, as diagws-token mint does",
		.target = &o.key_file },
	{ .kind = DW_OPT_TEXT,
		.name = "token-file",
		.arg = "FILE",
		.help = "use the one token in it for all; - is standard input",
		.target = &o.token_file },
	{ .kind = DW_OPT_TEXT,
		.name = "ready",
		.arg = "TEXT",
		.help = "a client is in when a message with this text came; '': at the 101",
		.initial = "'\"connect\"'",
		.target = &o.ready },
	{ .kind = DW_OPT_FLAG, .name = "no-confirm", .help = "do not answer PINGs", .target = &o.no_confirm },
	{ .kind = DW_OPT_FLAG,
		.name = "spin",
		.help = "never sleep, so that nobody pays for waking us",
		.target = &o.spin },
	{ .kind = DW_OPT_LIST,
		.name = "process",
		.arg = "NAME=PID",
		.help = "report its CPU time and memory; may be repeated",
		.target = &o.processes },
	{ 0 },
};

static const struct dw_opt load_options[] = {
	{ .kind = DW_OPT_HEADING, .help = "The load" },
	{ .kind = DW_OPT_NUMBER,
		.name = "clients",
		.arg = "N",
		.help = "so many clients",
		.initial = "1000",
		.target = &o.clients,
		.min = 1,
		.max = CLIENTS_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "rooms",
		.arg = "N",
		.help = "spread evenly over so many rooms",
		.initial = "1",
		.target = &o.rooms,
		.min = 1,
		.max = ROOMS_MAX },
	{ .kind = DW_OPT_TEXT,
		.name = "name",
		.arg = "ROOM",
		.help = "the room; NAME-0, NAME-1, ... when there are more",
		.initial = "a new one each time",
		.target = &o.name },
	{ .kind = DW_OPT_NUMBER,
		.name = "size",
		.arg = "BYTES",
		.help = "of a message's data",
		.initial = "200",
		.target = &o.size,
		.min = DATA_MIN,
		.max = DW_DATA_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "messages",
		.arg = "N",
		.help = "to each room (fanout), or over all (latency, publish)",
		.initial = "1000 (fanout)",
		.target = &o.messages,
		.min = 1,
		.max = INT64_C(1000000000000) },
	{ .kind = DW_OPT_DURATION,
		.name = "duration",
		.arg = "DUR",
		.help = "or for so long (fanout, latency, publish); idle for so long (memory)",
		.initial = "10s, memory 2s",
		.target = &o.duration_ms,
		.min = 1,
		.max = INT64_C(7) * 86400000 },
	{ .kind = DW_OPT_NUMBER,
		.name = "warm-up",
		.arg = "N",
		.help = "messages (fanout) or seconds (latency) that are not counted",
		.initial = "0",
		.target = &o.warm_up,
		.min = 0,
		.max = INT64_C(1000000000) },
	{ .kind = DW_OPT_NUMBER,
		.name = "burst",
		.arg = "N",
		.help = "messages at once (fanout)",
		.initial = "1",
		.target = &o.burst,
		.min = 1,
		.max = BURST_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "rate",
		.arg = "N",
		.help = "messages (latency) or connects (connect) a second; 0: no limit (connect)",
		.initial = "1000 (latency), 0 (connect)",
		.target = &o.rate,
		.min = 0,
		.max = INT64_C(10000000) },
	{ .kind = DW_OPT_NUMBER,
		.name = "concurrency",
		.arg = "N",
		.help = "so many connects under way at a time",
		.initial = "100",
		.target = &o.concurrency,
		.min = 1,
		.max = CLIENTS_MAX },
	{ .kind = DW_OPT_CHOICE,
		.name = "until",
		.arg = "WHAT",
		.help = "what ends a connect (connect)",
		.choices = "message|upgrade",
		.initial = "message",
		.target = &o.until },
	{ .kind = DW_OPT_NUMBER,
		.name = "missed",
		.arg = "N",
		.help = "messages to each room while its clients are away (storm)",
		.initial = "10",
		.target = &o.missed,
		.min = 1,
		.max = INT64_C(1000000) },
	{ .kind = DW_OPT_NUMBER,
		.name = "senders",
		.arg = "N",
		.help = "so many connections that publish (publish)",
		.initial = "1",
		.target = &o.senders,
		.min = 1,
		.max = SENDERS_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "window",
		.arg = "N",
		.help = "unanswered messages of each; 1 with --publish (publish)",
		.initial = "1",
		.target = &o.window,
		.min = 1,
		.max = WINDOW_MAX },
	{ .kind = DW_OPT_FLAG, .name = "json", .help = "print one JSON object", .target = &o.json },
	{ 0 },
};

static const struct dw_opt *const groups[] = { server_options, load_options, dw_opt_hub, dw_opt_common, NULL };

const struct dw_command bench_command = {
	.name = "diagws-bench",
	.summary = "measure how a server pushes messages to WebSocket clients",
	.usage = "fanout [--clients N] [--rooms N] [--messages N] [--burst N] [OPTION]...\n"
			 "latency [--clients N] [--rooms N] [--rate N] [--duration DUR] [OPTION]...\n"
			 "connect [--clients N] [--rate N] [--until WHAT] [OPTION]...\n"
			 "storm [--clients N] [--rooms N] [--missed N] [OPTION]...\n"
			 "publish [--senders N] [--window N] [--duration DUR] [OPTION]...\n"
			 "memory [--clients N] --process NAME=PID [OPTION]...",
	.words = "fanout latency connect storm publish memory",
	.examples = "diagws-bench fanout --key-file clinic.hs256 --process edge=$(pidof diagws-edge)\n"
				"diagws-bench latency --ws ws://localhost:9000/{room} --ready '' \\\n"
				"    --publish http://localhost:9000/pub/{room} --body '{data}' --json",
	.groups = groups,
};

struct verb {
	const char *name;
	run_command *run;
	run_report *report;
	unsigned bit;
};

static const struct verb verbs[] = {
	{ "fanout", fanout_run, fanout_report, FANOUT },
	{ "latency", latency_run, latency_report, LATENCY },
	{ "connect", connect_run, connect_report, CONNECT },
	{ "storm", storm_run, storm_report, STORM },
	{ "publish", publish_run, publish_report, PUBLISH },
	{ "memory", memory_run, memory_report, MEMORY },
};

/* Which subcommands an option is for, and what it is when it is not given. */
static const struct {
	const char *name;
	int64_t *value;
	unsigned verbs;
	int64_t initial;
} limits[] = {
	{ "clients", &o.clients, ALL & ~(unsigned)PUBLISH, 1000 },
	{ "messages", &o.messages, FANOUT | LATENCY | PUBLISH, 0 },
	{ "duration", &o.duration_ms, FANOUT | LATENCY | PUBLISH | MEMORY, 0 },
	{ "warm-up", &o.warm_up, FANOUT | LATENCY, 0 },
	{ "burst", &o.burst, FANOUT, 1 },
	{ "rate", &o.rate, LATENCY | CONNECT, 0 },
	{ "concurrency", &o.concurrency, ALL & ~(unsigned)PUBLISH, 100 },
	{ "missed", &o.missed, STORM, 10 },
	{ "senders", &o.senders, PUBLISH, 1 },
	{ "window", &o.window, PUBLISH, 1 },
};

static int
set_initials(const struct verb *verb)
{
	const bool rate_given = o.rate != NOT_GIVEN;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (*limits[i].value != NOT_GIVEN && (limits[i].verbs & verb->bit) == 0)
			return dw_opt_misuse(&bench_command, "option '--%s' is not for %s", limits[i].name, verb->name);
		if (*limits[i].value == NOT_GIVEN)
			*limits[i].value = limits[i].initial;
	}
	if (verb->bit == PUBLISH)
		o.clients = 0;
	if (o.messages > 0 && o.duration_ms > 0)
		return dw_opt_misuse(&bench_command, "'--messages' and '--duration' exclude each other");
	if (verb->bit == LATENCY && rate_given && o.rate == 0)
		return dw_opt_misuse(&bench_command, "option '--rate': latency needs a rate");
	if (verb->bit == LATENCY && !rate_given)
		o.rate = 1000;
	if (verb->bit == FANOUT && o.messages == 0 && o.duration_ms == 0)
		o.messages = 1000;
	if (o.messages == 0 && o.duration_ms == 0)
		o.duration_ms = verb->bit == MEMORY ? 2000 : 10000;
	return DW_OK;
}

static int
check_usage(const struct verb *verb)
{
	int err = set_initials(verb);

	if (err != DW_OK)
		return err;
	if (o.key_file != NULL && o.token_file != NULL)
		return dw_opt_misuse(&bench_command, "'--key-file' and '--token-file' exclude each other");
	if (o.body != NULL && o.publish == NULL)
		return dw_opt_misuse(&bench_command, "option '--body' needs '--publish'");
	if (o.publish != NULL && o.window > 1)
		return dw_opt_misuse(&bench_command, "option '--window': a sender over HTTP has one message unanswered");
	if (o.publish != NULL && o.burst > LANES_MAX)
		return dw_opt_misuse(&bench_command, "option '--burst': at most %d over HTTP", LANES_MAX);
	if (verb->bit != PUBLISH && o.rooms > o.clients)
		return dw_opt_misuse(&bench_command, "'--rooms' is more than '--clients': a room would be empty");
	if (o.name != NULL && (!dw_room_ok(dw_str(o.name)) || strlen(o.name) >= NAME_BYTES))
		return dw_opt_misuse(&bench_command, "option '--name': not 1 to %d of A-Z a-z 0-9 _ -", NAME_BYTES - 1);
	if (verb->bit == MEMORY && o.processes.count == 0)
		return dw_opt_misuse(&bench_command, "option '--process' is missing");
	if (strcmp(o.until, "upgrade") == 0) {
		if (verb->bit != CONNECT)
			return dw_opt_misuse(&bench_command, "option '--until' is not for %s", verb->name);
		o.ready = "";
	}
	return DW_OK;
}

/* Says what was measured; what went wrong, to stderr. */
static int
tell(struct run *run, const struct verb *verb, int err)
{
	const struct crowd *crowd = &run->crowd;
	struct report report;

	if (run->measured) {
		int failed;

		report_init(&report, verb->name, o.json);
		verb->report(run, &report);
		failed = report_end(&report);
		if (failed != DW_OK) {
			dw_fault_print(stderr, bench_command.name, failed, NULL, NULL);
			return dw_err_exit(failed);
		}
	}
	if (dw_interrupted())
		return INTERRUPTED;
	if (err == DW_OK && crowd->err != DW_OK) {
		err = crowd->err;
		run->fault = crowd->fault;
	}
	if (err != DW_OK)
		dw_fault_print(stderr, bench_command.name, err, &run->fault, NULL);
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
	for (size_t i = 0; count == 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(operands[0], verbs[i].name) == 0)
			return &verbs[i];
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
	int first = argc, err, status;

	dw_hold_streams();
	(void)signal(SIGPIPE, SIG_IGN);
	err = dw_opt_parse(&bench_command, argc, argv, &first);
	if (err == DW_OPT_DONE)
		return 0;
	if (err != DW_OK)
		return dw_err_exit(err);
	verb = find_verb(argc - first, argv + first);
	if (verb == NULL)
		return dw_err_exit(DW_E_USAGE);
	err = check_usage(verb);
	if (err != DW_OK)
		return dw_err_exit(err);
	err = run_init(&run, &o);
	if (err == DW_OK)
		err = verb->run(&run);
	status = tell(&run, verb, err);
	if (dw_common.verbose > 0)
		tell_own();
	run_clear(&run);
	return status;
}
