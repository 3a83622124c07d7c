/* The options of diagws-bench, and which of them go with which subcommand. Misuse is told before anything is measured.
 */
#include <string.h>

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
	{ DW_OPT_HEADING, 0, NULL, NULL, "The server", NULL, NULL, NULL, NULL, 0, 0 },
	{ DW_OPT_TEXT, 0, "ws", "URL", "where clients connect; {room}, {client}, {token} and {after} are replaced", NULL,
		"diagws on port 8000", NULL, &bench_options.ws, 0, 0 },
	{ DW_OPT_TEXT, 0, "publish", "URL", "publish by HTTP POST there; {room} is replaced", NULL,
		"through the hub's socket", NULL, &bench_options.publish, 0, 0 },
	{ DW_OPT_TEXT, 0, "body", "TEXT", "the body of a POST; {room} and {data} are replaced", NULL,
		"that of POST /ws/broadcast", NULL, &bench_options.body, 0, 0 },
	{ DW_OPT_TEXT, 0, "key-file", "FILE", "make the tokens with this key, as diagws-token mint does", NULL, NULL, NULL,
		&bench_options.key_file, 0, 0 },
	{ DW_OPT_TEXT, 0, "token-file", "FILE", "use the one token in it for all; - is standard input", NULL, NULL, NULL,
		&bench_options.token_file, 0, 0 },
	{ DW_OPT_TEXT, 0, "ready", "TEXT", "a client is in when a message with this text came; '': at the 101", NULL,
		"'\"connect\"'", NULL, &bench_options.ready, 0, 0 },
	{ DW_OPT_FLAG, 0, "no-confirm", NULL, "do not answer PINGs", NULL, NULL, NULL, &bench_options.no_confirm, 0, 0 },
	{ DW_OPT_FLAG, 0, "spin", NULL, "never sleep, so that nobody pays for waking us", NULL, NULL, NULL,
		&bench_options.spin, 0, 0 },
	{ DW_OPT_LIST, 0, "process", "NAME=PID", "report its CPU time and memory; may be repeated", NULL, NULL, NULL,
		&bench_options.processes, 0, 0 },
	{ 0 },
};

static const struct dw_opt load_options[] = {
	{ DW_OPT_HEADING, 0, NULL, NULL, "The load", NULL, NULL, NULL, NULL, 0, 0 },
	{ DW_OPT_NUMBER, 0, "clients", "N", "so many clients", NULL, "1000", NULL, &bench_options.clients, 1, CLIENTS_MAX },
	{ DW_OPT_NUMBER, 0, "rooms", "N", "spread evenly over so many rooms", NULL, "1", NULL, &bench_options.rooms, 1,
		ROOMS_MAX },
	{ DW_OPT_TEXT, 0, "name", "ROOM", "the room; NAME-0, NAME-1, ... when there are more", NULL, "a new one each time",
		NULL, &bench_options.name, 0, 0 },
	{ DW_OPT_NUMBER, 0, "size", "BYTES", "of a message's data", NULL, "200", NULL, &bench_options.size, DATA_MIN,
		DW_DATA_MAX },
	{ DW_OPT_NUMBER, 0, "messages", "N", "to each room (fanout), or over all (latency, publish)", NULL, "1000 (fanout)",
		NULL, &bench_options.messages, 1, INT64_C(1000000000000) },
	{ DW_OPT_DURATION, 0, "duration", "DUR", "or for so long (fanout, latency, publish); idle for so long (memory)",
		NULL, "10s, memory 2s", NULL, &bench_options.duration_ms, 1, INT64_C(7) * 86400000 },
	{ DW_OPT_NUMBER, 0, "warm-up", "N", "messages (fanout) or seconds (latency) that are not counted", NULL, "0", NULL,
		&bench_options.warm_up, 0, INT64_C(1000000000) },
	{ DW_OPT_NUMBER, 0, "burst", "N", "messages at once (fanout)", NULL, "1", NULL, &bench_options.burst, 1,
		BURST_MAX },
	{ DW_OPT_NUMBER, 0, "rate", "N", "messages (latency) or connects (connect) a second; 0: no limit (connect)", NULL,
		"1000 (latency), 0 (connect)", NULL, &bench_options.rate, 0, INT64_C(10000000) },
	{ DW_OPT_NUMBER, 0, "concurrency", "N", "so many connects under way at a time", NULL, "100", NULL,
		&bench_options.concurrency, 1, CLIENTS_MAX },
	{ DW_OPT_CHOICE, 0, "until", "WHAT", "what ends a connect (connect)", NULL, "message", "message|upgrade",
		&bench_options.until, 0, 0 },
	{ DW_OPT_NUMBER, 0, "missed", "N", "messages to each room while its clients are away (storm)", NULL, "10", NULL,
		&bench_options.missed, 1, INT64_C(1000000) },
	{ DW_OPT_NUMBER, 0, "senders", "N", "so many connections that publish (publish)", NULL, "1", NULL,
		&bench_options.senders, 1, SENDERS_MAX },
	{ DW_OPT_NUMBER, 0, "window", "N", "unanswered messages of each; 1 with --publish (publish)", NULL, "1", NULL,
		&bench_options.window, 1, WINDOW_MAX },
	{ DW_OPT_FLAG, 0, "json", NULL, "print one JSON object", NULL, NULL, NULL, &bench_options.json, 0, 0 },
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
