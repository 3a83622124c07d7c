/* links: none; see the Makefile */
/* A hub, its edges, senders and clients driven by a history on standard input, one step a line; what everybody sees
 * goes to standard output, and a line with a dot ends each step's answer. README of the format: history.py.
 *
 *   harness DIR    DIR: where stores of LMDB may lie, best on a tmpfs
 *
 * HARNESS_LOG in the environment: what hub and edges log goes to standard error; HARNESS_LINES: no answer is kept back.
 *
 * A `world` begins anew; `end` ends it and flushes. A step that makes no sense where things stand (a client that is not
 * there, an edge that is stopped) is answered `noop` and changes nothing, so that any part of a history is a history.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diagws/json.h"
#include "diagws/logging.h"
#include "diagws/wire.h"
#include "sim.h"

enum { WORDS = 16, TEXT = 64, IDS = 512, SUBSTEP_MS = 1000, LONG_MS = 30 * 1000, LONG_SUBSTEP_MS = 4000 };

static const uint64_t WALL = 1800000000000, MONO = 1000000000, EXPIRES = 4000000000;

/* A message by its name. */
struct sent {
	char id[TEXT], room[TEXT], to[TEXT], text[TEXT];
	uint64_t seq, ttl_s, size, except;
};

static struct sim_config config;
static char base[200], first_epoch[40];
static struct sent sents[IDS];
static size_t sent_count;
static int edge_count;
static bool stopped[SIM_EDGES], away[SIM_EDGES];
static uint64_t corr, incarnation;

/* ---- words of a step */

static char *words[WORDS];
static size_t word_count;

static const char *
word(size_t i)
{
	return i < word_count ? words[i] : "";
}

/* What follows NAME=, or NULL. */
static const char *
option(const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 1; i < word_count; i++)
		if (strncmp(words[i], name, n) == 0 && words[i][n] == '=')
			return words[i] + n + 1;
	return NULL;
}

static uint64_t
number_option(const char *name, uint64_t otherwise)
{
	const char *text = option(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static bool
flag(const char *name)
{
	for (size_t i = 1; i < word_count; i++)
		if (strcmp(words[i], name) == 0)
			return true;
	return false;
}

static void
copy(char out[TEXT], const char *text)
{
	(void)snprintf(out, TEXT, "%s", text);
}

static int
edge_of(const char *text)
{
	const int edge = atoi(text);

	return edge >= 0 && edge < edge_count ? edge : -1;
}

static bool
is_there(int edge)
{
	return edge >= 0 && !stopped[edge] && !away[edge];
}

static struct sent *
find_sent(const char *id)
{
	for (size_t i = 0; i < sent_count; i++)
		if (strcmp(sents[i].id, id) == 0)
			return &sents[i];
	return NULL;
}

static void
noop(void)
{
	puts("noop");
}

/* ---- time */

static void
say_time(void)
{
	printf("t %llu %llu\n", (unsigned long long)sim_wall, (unsigned long long)sim_mono);
}

/* Until nothing is left to do. */
static void
settle(void)
{
	bool more = true;

	while (more) {
		more = hub_turn();
		for (int edge = 0; edge < edge_count; edge++) {
			if (stopped[edge])
				continue;
			more |= sim_pump(edge);
			edge_settle(edge);
		}
	}
}

/* What the link to the hub does ten times a second, among it telling what was confirmed. */
static void
tick_links(void)
{
	for (int edge = 0; edge < edge_count; edge++)
		if (!stopped[edge])
			sim_tick(edge);
	settle();
}

static void
say_to_hub(const struct dw_wire *message)
{
	struct dw_buf frame = { 0 };

	dw_wire_pack(&frame, message);
	line_say(LINE_SENDER, frame.data, frame.len);
	dw_buf_clear(&frame);
}

static void
pass(uint64_t ms)
{
	while (ms > 0) {
		const uint64_t most = ms > LONG_MS ? LONG_SUBSTEP_MS : SUBSTEP_MS, part = ms < most ? ms : most;

		sim_mono += part;
		sim_wall += part;
		ms -= part;
		clients_heard();
		say_to_hub(&(struct dw_wire) { .kind = DW_PING });
		for (int edge = 0; edge < edge_count; edge++)
			if (!stopped[edge])
				edge_timers(edge);
		tick_links();
		hub_tick();
		settle();
		line_forget(LINE_SENDER);
	}
	say_time();
}

static void
say_epoch(void)
{
	printf("epoch %s\n", hub_epoch());
}

/* ---- hub and sender */

static void
greet(void)
{
	line_cut(LINE_SENDER);
	line_forget(LINE_SENDER);
	line_up(LINE_SENDER);
	say_to_hub(&(struct dw_wire) {
		.kind = DW_HELLO, .hello = { dw_protocol_version(), DW_PEER_CLIENT, 77, ++incarnation, DW_STR("sender") } });
	settle();
	line_forget(LINE_SENDER);
}

static void
start_hub(void)
{
	if (hub_start(&config))
		greet();
}

/* Every edge loses its line. */
static void
restart(void (*end)(void))
{
	for (int edge = 0; edge < edge_count; edge++) {
		line_cut(edge);
		away[edge] = true;
	}
	end();
	start_hub();
	settle();
}

/* The answers to what was just said, as far as they came. */
static bool
hear(struct dw_wire *message, enum dw_wire_kind kind)
{
	static struct dw_buf frame;
	static struct dw_str rest;
	struct dw_fault fault;

	for (;;) {
		while (rest.n > 0) {
			if (dw_wire_next(&rest, message, &fault) == DW_OK && message->kind == kind)
				return true;
		}
		if (!line_hear(LINE_SENDER, &frame))
			return false;
		rest = (struct dw_str) { frame.data, frame.len };
	}
}

static void
say_message(const struct sent *sent, uint64_t wait)
{
	struct dw_buf data = { 0 };

	dw_buf_addf(&data, "{\"t\":\"%s\"", sent->text);
	if (sent->size > 0)
		dw_buf_adds(&data, ",\"pad\":\"");
	for (uint64_t i = 0; i < sent->size; i++)
		dw_buf_addc(&data, 'x');
	dw_buf_adds(&data, sent->size > 0 ? "\"}" : "}");
	say_to_hub(&(struct dw_wire) { .kind = DW_PUBLISH,
		.publish = { .corr = ++corr,
			.room = dw_str(sent->room),
			.type = DW_STR("note_update"),
			.id = dw_str(sent->id),
			.data = { data.data, data.len },
			.to = dw_str(sent->to),
			.except = sent->except,
			.ttl_ms = sent->ttl_s * 1000,
			.wait = wait } });
	dw_buf_clear(&data);
	settle();
}

static bool
hear_stored(struct dw_wire *answer)
{
	if (!hear(answer, DW_STORED)) {
		puts("dead no answer to a message");
		return false;
	}
	printf("stored %llu %llu %llu %d %llu %llu\n", (unsigned long long)answer->stored.code,
		(unsigned long long)answer->stored.seq, (unsigned long long)answer->stored.n, answer->stored.duplicate,
		(unsigned long long)answer->stored.notified, (unsigned long long)answer->stored.queued);
	return true;
}

static void
do_send(void)
{
	struct sent *known = find_sent(word(2)), sent = { 0 };
	const char *except = option("except");
	const struct client *client = except != NULL ? client_find(except) : NULL;
	struct dw_wire answer;

	copy(sent.room, word(1));
	copy(sent.id, word(2));
	copy(sent.to, option("to") != NULL ? option("to") : "");
	copy(sent.text, option("text") != NULL ? option("text") : word(2));
	sent.ttl_s = number_option("ttl", 0);
	sent.size = number_option("size", 0);
	sent.except = client != NULL ? client_session(client) : 0;
	say_message(&sent, 0);
	if (!hear_stored(&answer))
		return;
	if (answer.stored.code != 0 || answer.stored.duplicate)
		return;
	sent.seq = answer.stored.seq;
	if (known == NULL && sent_count < IDS)
		known = &sents[sent_count++];
	if (known != NULL)
		*known = sent;
}

/* Sends it once more and asks how many devices have it. */
static void
do_receipts(void)
{
	struct sent *sent = find_sent(word(1));
	struct dw_wire answer;

	if (sent == NULL) {
		noop();
		return;
	}
	say_message(sent, 1000000);
	if (!hear_stored(&answer))
		return;
	sent->seq = answer.stored.seq;
	if (hear(&answer, DW_DELIVERED))
		printf("receipts %llu\n", (unsigned long long)answer.delivered.count);
	else
		puts("receipts none");
}

static void
do_own(const char *verb)
{
	struct dw_wire answer;

	say_to_hub(&(struct dw_wire) { .kind = DW_OWN,
		.own = { .corr = ++corr, .verb = dw_str(verb), .room = dw_str(word(1)), .user = dw_str(word(2)) } });
	settle();
	if (!hear(&answer, DW_OWNED) || answer.owned.code != 0)
		puts("dead no answer to an owner");
}

static void
do_grant(void)
{
	do_own("grant");
}

static void
do_revoke(void)
{
	do_own("revoke");
}

static void
do_deny(void)
{
	do_own("deny");
}

static void
do_crash(void)
{
	restart(hub_crash);
}

static void
do_restart(void)
{
	restart(hub_stop);
}

/* ---- files */

static int
remove_one(const char *path, const struct stat *about, int kind, struct FTW *ftw)
{
	(void)about;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void
remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* As an administrator does it. */
static void
copy_store(const char *command, const char *from, const char *to)
{
	char line[1024];

	(void)snprintf(line, sizeof(line), "mkdir -p '%s%s' && %s '%s%s'/* '%s%s'", config.dir, to, command, config.dir,
		from, config.dir, to);
	if (system(line) != 0) /* NOLINT(cert-env33-c): our own paths */
		puts("dead cannot copy a store");
}

static void
copy_back(void)
{
	hub_stop();
	copy_store("cp", ".backup", "");
}

static void
do_backup(void)
{
	if (config.lmdb)
		copy_store("cp", "", ".backup");
	else
		noop();
}

static void
do_restore(void)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s.backup", config.dir);
	if (!config.lmdb || access(path, F_OK) != 0) {
		noop();
		return;
	}
	restart(copy_back);
	say_epoch();
}

/* ---- edges */

static void
do_return(void)
{
	const int edge = edge_of(word(1));

	if (edge < 0 || stopped[edge] || !away[edge]) {
		noop();
		return;
	}
	line_up(edge);
	away[edge] = false;
	/* Twice, for what it says first may go to a line that it gives up then. */
	pass(SUBSTEP_MS / 2);
	pass(SUBSTEP_MS / 2);
	if (!hub_knows(line_peer(edge)))
		puts("dead an edge has not come back");
}

static void
do_stop(void)
{
	const int edge = edge_of(word(1));

	if (edge < 0 || stopped[edge])
		noop();
	else
		stopped[edge] = true;
}

static void
do_cont(void)
{
	const int edge = edge_of(word(1));

	if (edge < 0 || !stopped[edge]) {
		noop();
		return;
	}
	stopped[edge] = false;
	/* What it was sent before its line was cut it may still hear or not; here it does not. */
	if (away[edge])
		line_forget(edge);
	clients_heard();
	edge_timers(edge);
	tick_links();
	if (!away[edge] && !hub_knows(line_peer(edge)))
		puts("dead an edge has not come back");
}

static void
do_kill(void)
{
	const int edge = edge_of(word(1));

	if (edge < 0) {
		noop();
		return;
	}
	line_cut(edge);
	hub_lose(line_peer(edge));
	edge_kill(edge);
	stopped[edge] = away[edge] = false;
	edge_start(edge);
	line_up(edge);
	tick_links();
}

/* ---- clients */

/* Where a client begins. False: it names what is not there. */
static bool
read_from(struct sim_from *from)
{
	const char *after = option("after"), *epoch = option("epoch");

	*from = (struct sim_from) { 0 };
	if (epoch != NULL)
		(void)dw_str_copy(dw_str(strcmp(epoch, "first") == 0 ? first_epoch
								 : strcmp(epoch, "now") == 0 ? hub_epoch()
															 : "another"),
			from->epoch, sizeof(from->epoch));
	if (after == NULL)
		return true;
	from->after_new = strcmp(after, "new") == 0;
	from->has_after = !from->after_new;
	if (strcmp(after, "last") == 0)
		from->after = poll_last();
	else if (after[0] == '+')
		from->after = hub_head() + strtoull(after + 1, NULL, 10);
	else if (after[0] >= '0' && after[0] <= '9')
		from->after = strtoull(after, NULL, 10);
	else if (from->has_after && find_sent(after) != NULL)
		from->after = find_sent(after)->seq;
	else
		return from->after_new;
	return true;
}

static void
do_open(void)
{
	const int edge = edge_of(word(2));
	struct sim_from from;

	if (!is_there(edge) || client_find(word(1)) != NULL || !read_from(&from)) {
		noop();
		return;
	}
	client_open(word(1), edge, word(3), word(4), word(5), &from, flag("derived"), flag("ack"), flag("claim"), EXPIRES);
	settle();
}

/* One that can do something now. */
static struct client *
active(bool hub)
{
	struct client *client = client_find(word(1));

	if (client == NULL || stopped[client_edge(client)] || client_frozen(client) || (hub && away[client_edge(client)])) {
		noop();
		return NULL;
	}
	return client;
}

static void
do_sub(void)
{
	struct client *client = active(true);
	struct dw_buf json = { 0 };
	struct sim_from from;

	if (client == NULL)
		return;
	if (!read_from(&from)) {
		noop();
		return;
	}
	dw_buf_addf(&json, "{\"type\":\"subscribe\",\"diagnosis_id\":\"%s\"", word(2));
	if (from.after_new)
		dw_buf_adds(&json, ",\"after\":\"new\"");
	if (from.has_after)
		dw_buf_addf(&json, ",\"after\":%llu", (unsigned long long)from.after);
	if (from.epoch[0] != '\0')
		dw_buf_addf(&json, ",\"epoch\":\"%s\"", from.epoch);
	dw_buf_addc(&json, '}');
	client_say(client, json.data);
	dw_buf_clear(&json);
	settle();
}

static void
do_unsub(void)
{
	struct client *client = active(true);
	char json[200];

	if (client == NULL)
		return;
	(void)snprintf(json, sizeof(json), "{\"type\":\"unsubscribe\",\"diagnosis_id\":\"%s\"}", word(2));
	client_say(client, json);
	settle();
}

static void
do_pong(void)
{
	struct client *client = active(false);
	const struct sent *sent = word_count > 2 ? find_sent(word(2)) : NULL;

	if (client == NULL)
		return;
	if ((word_count > 2 && sent == NULL && !client_many(client)) ||
		!client_pong(client, sent != NULL ? sent->seq : 0)) {
		noop();
		return;
	}
	tick_links();
}

static void
say_ack(struct client *client, const struct sent *sent)
{
	char json[200];

	(void)snprintf(json, sizeof(json), "{\"type\":\"ack\",\"seq\":%llu,\"diagnosis_id\":\"%s\"}",
		(unsigned long long)sent->seq, sent->room);
	client_say(client, json);
}

static void
do_ack(void)
{
	struct client *client = active(false);
	const struct sent *sent = find_sent(word(2));

	if (client == NULL)
		return;
	if (sent == NULL) {
		noop();
		return;
	}
	say_ack(client, sent);
	tick_links();
}

static void
do_close(void)
{
	struct client *client = client_find(word(1));
	const struct sent *sent = option("ack") != NULL ? find_sent(option("ack")) : NULL;

	if (client == NULL || stopped[client_edge(client)]) {
		noop();
		return;
	}
	/* It goes before its edge has told the hub of that. */
	if (sent != NULL && !client_frozen(client))
		say_ack(client, sent);
	client_close(client);
	settle();
}

static void
do_freeze(void)
{
	struct client *client = active(false);

	if (client != NULL)
		client_freeze(client);
}

static void
do_thaw(void)
{
	struct client *client = client_find(word(1));

	if (client == NULL || !client_frozen(client) || stopped[client_edge(client)]) {
		noop();
		return;
	}
	client_thaw(client);
	settle();
}

static void
do_poll(void)
{
	const int edge = edge_of(word(1));
	struct sim_from from;

	if (!is_there(edge) || !read_from(&from) || from.after_new) {
		noop();
		return;
	}
	edge_poll(edge, word(2), word(3), &from, number_option("limit", 0), flag("claim"));
	settle();
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
remove_stores(void)
{
	char path[300];

	remove_tree(config.dir);
	(void)snprintf(path, sizeof(path), "%s.backup", config.dir);
	remove_tree(path);
}

static void
end_world(void)
{
	for (int edge = 0; edge < edge_count; edge++) {
		line_cut(edge);
		edge_kill(edge);
	}
	hub_end();
	for (int line = 0; line < LINES; line++) {
		line_cut(line);
		line_forget(line);
	}
	edge_count = 0;
	if (config.lmdb)
		remove_stores();
}

static void
do_world(void)
{
	const char *engine = option("engine");

	end_world();
	config = (struct sim_config) { .lmdb = engine != NULL && strcmp(engine, "lmdb") == 0,
		.either = flag("either"),
		.evict = flag("evict"),
		.limit = number_option("limit", 5),
		.ttl_ms = number_option("ttl", 604800) * 1000,
		.cursor_ttl_ms = number_option("cursors", 2592000) * 1000,
		.ids = number_option("ids", 1000000),
		.id_window_ms = number_option("window", 86400) * 1000 };
	(void)snprintf(config.dir, sizeof(config.dir), "%s/store", base);
	/* One that died left them. */
	if (config.lmdb)
		remove_stores();
	sim_seed(number_option("seed", 1));
	sim_wall = WALL;
	sim_mono = MONO;
	sent_count = 0;
	poll_forget();
	corr = incarnation = 0;
	edge_count = (int)number_option("edges", 2);
	if (edge_count > SIM_EDGES)
		edge_count = SIM_EDGES;
	say_time();
	start_hub();
	(void)snprintf(first_epoch, sizeof(first_epoch), "%s", hub_epoch());
	say_epoch();
	for (int edge = 0; edge < edge_count; edge++) {
		stopped[edge] = away[edge] = false;
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
	{ "thaw", do_thaw }, { "poll", do_poll }, { "age", do_age }, { "clock", do_clock }, { "write", do_write },
	{ "sweep", do_sweep }, { "rest", hub_rest }, { "stop", do_stop }, { "cont", do_cont }, { "kill", do_kill },
	{ "crash", do_crash }, { "restart", do_restart }, { "return", do_return }, { "backup", do_backup },
	{ "restore", do_restore } };

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

	if (argc != 2 || strlen(argv[1]) >= sizeof(base)) {
		fputs("usage: harness DIR\n", stderr);
		return 64;
	}
	(void)snprintf(base, sizeof(base), "%s", argv[1]);
	dw_log_setup("harness", getenv("HARNESS_LOG") != NULL ? DW_LOG_DEBUG : DW_LOG_ERROR, DW_LOG_LOGFMT);
	/* Who dies is to have said all before. */
	if (getenv("HARNESS_LINES") != NULL)
		(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	while (getline(&line, &size, stdin) > 0)
		(void)act(line);
	end_world();
	free(line);

	return 0;
}
