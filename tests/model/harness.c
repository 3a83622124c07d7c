/* A hub, its edges, senders and clients driven by a history on standard input, one step a line; what everybody sees
 * goes to standard output, and a line with a dot ends each step's answer. history.py tells the format.
 *
 *   harness DIR    DIR: where stores of LMDB may lie, best on a tmpfs
 *
 * HARNESS_LOG in the environment: what hub and edges log goes to standard error; HARNESS_LINES: no answer is kept back.
 *
 * A `world` begins anew; `end` ends it and flushes. A step that makes no sense where things stand (a client that is not
 * there, an edge that is stopped) is answered `noop` and changes nothing, so that any part of a history is a history.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/logging.h"

enum { WORDS = 16, SUBSTEP_MS = 1000, LONG_MS = 30 * 1000, LONG_SUBSTEP_MS = 4000 };

static const uint64_t WALL = 1800000000000, MONO = 1000000000;

struct world world;

/* ---- words of a step */

static char *words[WORDS];
static size_t word_count;

size_t
words_given(void)
{
	return word_count;
}

const char *
word(size_t i)
{
	return i < word_count ? words[i] : "";
}

/* What follows NAME=, or NULL. */
const char *
option(const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 1; i < word_count; i++)
		if (strncmp(words[i], name, n) == 0 && words[i][n] == '=')
			return words[i] + n + 1;
	return NULL;
}

uint64_t
number_option(const char *name, uint64_t otherwise)
{
	const char *text = option(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

bool
flag(const char *name)
{
	for (size_t i = 1; i < word_count; i++)
		if (strcmp(words[i], name) == 0)
			return true;
	return false;
}

int
edge_of(const char *text)
{
	const int edge = atoi(text);

	return edge >= 0 && edge < world.edge_count ? edge : -1;
}

bool
is_there(int edge)
{
	return edge >= 0 && !world.stopped[edge] && !world.away[edge];
}

struct sent *
find_sent(const char *id)
{
	for (size_t i = 0; i < world.sent_count; i++)
		if (strcmp(world.sents[i].id, id) == 0)
			return &world.sents[i];
	return NULL;
}

void
noop(void)
{
	puts("noop");
}

/* ---- time */

void
say_time(void)
{
	printf("t %llu %llu\n", (unsigned long long)sim_wall, (unsigned long long)sim_mono);
}

/* Until nothing is left to do. */
void
settle(void)
{
	bool more = true;

	while (more) {
		more = hub_turn();
		for (int edge = 0; edge < world.edge_count; edge++) {
			if (world.stopped[edge])
				continue;
			more |= sim_pump(edge);
			edge_settle(edge);
		}
		polls_settle();
	}
}

/* What the link to the hub does ten times a second, among it telling what was confirmed. */
void
tick_links(void)
{
	for (int edge = 0; edge < world.edge_count; edge++)
		if (!world.stopped[edge])
			sim_tick(edge);
	settle();
}

void
pass(uint64_t ms)
{
	while (ms > 0) {
		const uint64_t most = ms > LONG_MS ? LONG_SUBSTEP_MS : SUBSTEP_MS, part = ms < most ? ms : most;

		sim_mono += part;
		sim_wall += part;
		ms -= part;
		clients_heard();
		senders_alive();
		for (int edge = 0; edge < world.edge_count; edge++)
			if (!world.stopped[edge])
				edge_timers(edge);
		tick_links();
		hub_tick();
		settle();
		line_forget(LINE_SENDER);
	}
	say_time();
}

void
say_epoch(void)
{
	printf("epoch %s\n", hub_epoch());
}

/* ---- all else */

static void
do_age(void)
{
	pass(strtoull(word(1), NULL, 10) * 1000);
}

/* Somebody sets the clock. */
static void
do_clock(void)
{
	sim_wall += (uint64_t)(strtoll(word(1), NULL, 10) * 1000);
	say_time();
}

static void
do_write(void)
{
	hub_write();
	settle();
}

static void
do_sweep(void)
{
	hub_sweep();
	settle();
}

static void
end_world(void)
{
	for (int edge = 0; edge < world.edge_count; edge++) {
		line_cut(edge);
		edge_kill(edge);
	}
	hub_end();
	for (int line = 0; line < LINES; line++) {
		line_cut(line);
		line_forget(line);
	}
	world.edge_count = 0;
	if (world.config.lmdb)
		remove_stores();
}

static void
do_world(void)
{
	const char *engine = option("engine");

	end_world();
	world.config = (struct sim_config) { .lmdb = engine != NULL && strcmp(engine, "lmdb") == 0,
		.either = flag("either"),
		.evict = flag("evict"),
		.limit = number_option("limit", 5),
		.ttl_ms = number_option("ttl", 604800) * 1000,
		.cursor_ttl_ms = number_option("cursors", 2592000) * 1000,
		.ids = number_option("ids", 1000000),
		.id_window_ms = number_option("window", 86400) * 1000 };
	(void)snprintf(world.config.dir, sizeof(world.config.dir), "%s/store", world.base);
	/* One that died left them. */
	if (world.config.lmdb)
		remove_stores();
	sim_seed(number_option("seed", 1));
	sim_wall = WALL;
	sim_mono = MONO;
	world.sent_count = 0;
	poll_forget();
	senders_begin();
	world.edge_count = (int)number_option("edges", 2);
	if (world.edge_count > SIM_EDGES)
		world.edge_count = SIM_EDGES;
	say_time();
	start_hub();
	(void)snprintf(world.first_epoch, sizeof(world.first_epoch), "%s", hub_epoch());
	say_epoch();
	for (int edge = 0; edge < world.edge_count; edge++) {
		world.stopped[edge] = world.away[edge] = false;
		edge_start(edge);
		line_up(edge);
	}
	tick_links();
}

static void
do_end(void)
{
	end_world();
	puts("end");
}

static const struct {
	const char *verb;
	void (*act)(void);
} verbs[] = { { "world", do_world }, { "end", do_end }, { "grant", do_grant }, { "revoke", do_revoke },
	{ "deny", do_deny }, { "send", do_send }, { "receipts", do_receipts }, { "open", do_open }, { "close", do_close },
	{ "sub", do_sub }, { "unsub", do_unsub }, { "pong", do_pong }, { "ack", do_ack }, { "freeze", do_freeze },
	{ "thaw", do_thaw }, { "poll", do_poll }, { "wait", do_wait }, { "age", do_age }, { "clock", do_clock },
	{ "write", do_write }, { "sweep", do_sweep }, { "rest", hub_rest }, { "stop", do_stop }, { "cont", do_cont },
	{ "kill", do_kill }, { "crash", do_crash }, { "restart", do_restart }, { "return", do_return },
	{ "backup", do_backup }, { "restore", do_restore } };

static bool
act(char *line)
{
	char *rest = NULL;

	word_count = 0;
	for (char *w = strtok_r(line, " \n", &rest); w != NULL && word_count < WORDS; w = strtok_r(NULL, " \n", &rest))
		words[word_count++] = w;
	if (word_count == 0 || words[0][0] == '#')
		return false;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(words[0], verbs[i].verb) != 0)
			continue;
		if (hub_up() || verbs[i].act == do_world || verbs[i].act == do_end)
			verbs[i].act();
		else
			puts("dead");
		line_forget(LINE_SENDER);
		puts(".");
		if (verbs[i].act == do_end)
			(void)fflush(stdout);
		return true;
	}
	printf("dead unknown step '%s'\n.\n", words[0]);
	return true;
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;

	if (argc != 2 || strlen(argv[1]) >= sizeof(world.base)) {
		fputs("usage: harness DIR\n", stderr);
		return 64;
	}
	(void)snprintf(world.base, sizeof(world.base), "%s", argv[1]);
	dw_common.log_format = "logfmt";
	dw_log_setup("harness", getenv("HARNESS_LOG") != NULL ? DW_LOG_DEBUG : DW_LOG_ERROR);
	/* Who dies is to have said all before. */
	if (getenv("HARNESS_LINES") != NULL)
		(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	while (getline(&line, &size, stdin) > 0)
		(void)act(line);
	end_world();
	free(line);

	return 0;
}
