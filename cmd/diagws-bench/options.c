/* The options of diagws-bench, and which of them go with which subcommand. Its own file because subcommands name the
 * command, and main.c, which chooses one, is above them. Failure modes: misuse, told before anything is measured.
 */
#include <string.h>

#include "bench.h"
#include "message/msg.h"
#include "plan.h"
#include "publisher.h"

enum { NOT_GIVEN = -1 };
enum { CLIENTS_MAX = 1000000, ROOMS_MAX = 100000, SENDERS_MAX = 4096, WINDOW_MAX = 4096, BURST_MAX = 4096 };

struct options bench_options = {
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
		.target = &bench_options.ws },
	{ .kind = DW_OPT_TEXT,
		.name = "publish",
		.arg = "URL",
		.help = "publish by HTTP POST there; {room} is replaced",
		.initial = "through the hub's socket",
		.target = &bench_options.publish },
	{ .kind = DW_OPT_TEXT,
		.name = "body",
		.arg = "TEXT",
		.help = "the body of a POST; {room} and {data} are replaced",
		.initial = "that of POST /ws/broadcast",
		.target = &bench_options.body },
	{ .kind = DW_OPT_TEXT,
		.name = "key-file",
		.arg = "FILE",
		.help = "make the tokens with this key, as diagws-token mint does",
		.target = &bench_options.key_file },
	{ .kind = DW_OPT_TEXT,
		.name = "token-file",
		.arg = "FILE",
		.help = "use the one token in it for all; - is standard input",
		.target = &bench_options.token_file },
	{ .kind = DW_OPT_TEXT,
		.name = "ready",
		.arg = "TEXT",
		.help = "a client is in when a message with this text came; '': at the 101",
		.initial = "'\"connect\"'",
		.target = &bench_options.ready },
	{ .kind = DW_OPT_FLAG, .name = "no-confirm", .help = "do not answer PINGs", .target = &bench_options.no_confirm },
	{ .kind = DW_OPT_FLAG,
		.name = "spin",
		.help = "never sleep, so that nobody pays for waking us",
		.target = &bench_options.spin },
	{ .kind = DW_OPT_LIST,
		.name = "process",
		.arg = "NAME=PID",
		.help = "report its CPU time and memory; may be repeated",
		.target = &bench_options.processes },
	{ 0 },
};

static const struct dw_opt load_options[] = {
	{ .kind = DW_OPT_HEADING, .help = "The load" },
	{ .kind = DW_OPT_NUMBER,
		.name = "clients",
		.arg = "N",
		.help = "so many clients",
		.initial = "1000",
		.target = &bench_options.clients,
		.min = 1,
		.max = CLIENTS_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "rooms",
		.arg = "N",
		.help = "spread evenly over so many rooms",
		.initial = "1",
		.target = &bench_options.rooms,
		.min = 1,
		.max = ROOMS_MAX },
	{ .kind = DW_OPT_TEXT,
		.name = "name",
		.arg = "ROOM",
		.help = "the room; NAME-0, NAME-1, ... when there are more",
		.initial = "a new one each time",
		.target = &bench_options.name },
	{ .kind = DW_OPT_NUMBER,
		.name = "size",
		.arg = "BYTES",
		.help = "of a message's data",
		.initial = "200",
		.target = &bench_options.size,
		.min = DATA_MIN,
		.max = DW_DATA_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "messages",
		.arg = "N",
		.help = "to each room (fanout), or over all (latency, publish)",
		.initial = "1000 (fanout)",
		.target = &bench_options.messages,
		.min = 1,
		.max = INT64_C(1000000000000) },
	{ .kind = DW_OPT_DURATION,
		.name = "duration",
		.arg = "DUR",
		.help = "or for so long (fanout, latency, publish); idle for so long (memory)",
		.initial = "10s, memory 2s",
		.target = &bench_options.duration_ms,
		.min = 1,
		.max = INT64_C(7) * 86400000 },
	{ .kind = DW_OPT_NUMBER,
		.name = "warm-up",
		.arg = "N",
		.help = "messages (fanout) or seconds (latency) that are not counted",
		.initial = "0",
		.target = &bench_options.warm_up,
		.min = 0,
		.max = INT64_C(1000000000) },
	{ .kind = DW_OPT_NUMBER,
		.name = "burst",
		.arg = "N",
		.help = "messages at once (fanout)",
		.initial = "1",
		.target = &bench_options.burst,
		.min = 1,
		.max = BURST_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "rate",
		.arg = "N",
		.help = "messages (latency) or connects (connect) a second; 0: no limit (connect)",
		.initial = "1000 (latency), 0 (connect)",
		.target = &bench_options.rate,
		.min = 0,
		.max = INT64_C(10000000) },
	{ .kind = DW_OPT_NUMBER,
		.name = "concurrency",
		.arg = "N",
		.help = "so many connects under way at a time",
		.initial = "100",
		.target = &bench_options.concurrency,
		.min = 1,
		.max = CLIENTS_MAX },
	{ .kind = DW_OPT_CHOICE,
		.name = "until",
		.arg = "WHAT",
		.help = "what ends a connect (connect)",
		.choices = "message|upgrade",
		.initial = "message",
		.target = &bench_options.until },
	{ .kind = DW_OPT_NUMBER,
		.name = "missed",
		.arg = "N",
		.help = "messages to each room while its clients are away (storm)",
		.initial = "10",
		.target = &bench_options.missed,
		.min = 1,
		.max = INT64_C(1000000) },
	{ .kind = DW_OPT_NUMBER,
		.name = "senders",
		.arg = "N",
		.help = "so many connections that publish (publish)",
		.initial = "1",
		.target = &bench_options.senders,
		.min = 1,
		.max = SENDERS_MAX },
	{ .kind = DW_OPT_NUMBER,
		.name = "window",
		.arg = "N",
		.help = "unanswered messages of each; 1 with --publish (publish)",
		.initial = "1",
		.target = &bench_options.window,
		.min = 1,
		.max = WINDOW_MAX },
	{ .kind = DW_OPT_FLAG, .name = "json", .help = "print one JSON object", .target = &bench_options.json },
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

/* Which subcommands an option is for, and what it is when it is not given. */
static const struct {
	const char *name;
	int64_t *value;
	unsigned verbs;
	int64_t initial;
} limits[] = {
	{ "clients", &bench_options.clients, ALL & ~PUBLISH, 1000 },
	{ "messages", &bench_options.messages, FANOUT | LATENCY | PUBLISH, 0 },
	{ "duration", &bench_options.duration_ms, FANOUT | LATENCY | PUBLISH | MEMORY, 0 },
	{ "warm-up", &bench_options.warm_up, FANOUT | LATENCY, 0 },
	{ "burst", &bench_options.burst, FANOUT, 1 },
	{ "rate", &bench_options.rate, LATENCY | CONNECT, 0 },
	{ "concurrency", &bench_options.concurrency, ALL & ~PUBLISH, 100 },
	{ "missed", &bench_options.missed, STORM, 10 },
	{ "senders", &bench_options.senders, PUBLISH, 1 },
	{ "window", &bench_options.window, PUBLISH, 1 },
};

static int
set_initials(const char *name, unsigned verb)
{
	const bool rate_given = bench_options.rate != NOT_GIVEN;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (*limits[i].value != NOT_GIVEN && (limits[i].verbs & verb) == 0)
			return dw_opt_misuse(&bench_command, "option '--%s' is not for %s", limits[i].name, name);
		if (*limits[i].value == NOT_GIVEN)
			*limits[i].value = limits[i].initial;
	}
	if (verb == PUBLISH)
		bench_options.clients = 0;
	if (bench_options.messages > 0 && bench_options.duration_ms > 0)
		return dw_opt_misuse(&bench_command, "'--messages' and '--duration' exclude each other");
	if (verb == LATENCY && rate_given && bench_options.rate == 0)
		return dw_opt_misuse(&bench_command, "option '--rate': latency needs a rate");
	if (verb == LATENCY && !rate_given)
		bench_options.rate = 1000;
	if (verb == FANOUT && bench_options.messages == 0 && bench_options.duration_ms == 0)
		bench_options.messages = 1000;
	if (bench_options.messages == 0 && bench_options.duration_ms == 0)
		bench_options.duration_ms = verb == MEMORY ? 2000 : 10000;
	return DW_OK;
}

int
check_options(const char *name, unsigned verb)
{
	int err = set_initials(name, verb);

	if (err != DW_OK)
		return err;
	if (bench_options.key_file != NULL && bench_options.token_file != NULL)
		return dw_opt_misuse(&bench_command, "'--key-file' and '--token-file' exclude each other");
	if (bench_options.body != NULL && bench_options.publish == NULL)
		return dw_opt_misuse(&bench_command, "option '--body' needs '--publish'");
	if (bench_options.publish != NULL && bench_options.window > 1)
		return dw_opt_misuse(&bench_command, "option '--window': a sender over HTTP has one message unanswered");
	if (bench_options.publish != NULL && bench_options.burst > LANES_MAX)
		return dw_opt_misuse(&bench_command, "option '--burst': at most %d over HTTP", LANES_MAX);
	if (verb != PUBLISH && bench_options.rooms > bench_options.clients)
		return dw_opt_misuse(&bench_command, "'--rooms' is more than '--clients': a room would be empty");
	if (bench_options.name != NULL &&
		(!dw_room_ok(dw_str(bench_options.name)) || strlen(bench_options.name) >= NAME_BYTES))
		return dw_opt_misuse(&bench_command, "option '--name': not 1 to %d of A-Z a-z 0-9 _ -", NAME_BYTES - 1);
	if (verb == MEMORY && bench_options.processes.count == 0)
		return dw_opt_misuse(&bench_command, "option '--process' is missing");
	if (strcmp(bench_options.until, "upgrade") == 0) {
		if (verb != CONNECT)
			return dw_opt_misuse(&bench_command, "option '--until' is not for %s", name);
		bench_options.ready = "";
	}
	return DW_OK;
}
