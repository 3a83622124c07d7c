/* Steps of the hub, its store, senders and owners, and edges. */
#include "harness.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/wire.h"

enum { SENDER = 77, ALL_DEVICES = 1000000, BACK_MS = 1000 };

static uint64_t corr, incarnation;

static void
say_to_hub(const struct dw_wire *message)
{
	struct dw_buf frame = { 0 };

	dw_wire_pack(&frame, message);
	line_say(LINE_SENDER, frame.data, frame.len);
	dw_buf_clear(&frame);
}

static void
copy(char out[TEXT], const char *text)
{
	(void)snprintf(out, TEXT, "%s", text);
}

/* ---- hub and sender */

static void
greet(void)
{
	line_cut(LINE_SENDER);
	line_forget(LINE_SENDER);
	line_up(LINE_SENDER);
	say_to_hub(&(struct dw_wire) { .kind = DW_HELLO,
		.hello = { dw_protocol_version(), DW_PEER_CLIENT, SENDER, ++incarnation, DW_STR("sender") } });
	settle();
	line_forget(LINE_SENDER);
}

void
start_hub(void)
{
	if (hub_start(&world.config))
		greet();
}

/* Every edge loses its line. */
static void
restart(void (*end)(void))
{
	for (int edge = 0; edge < world.edge_count; edge++) {
		line_cut(edge);
		world.away[edge] = true;
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

/* The session that the step's message is not for; 0: for all. */
static uint64_t
excepted(void)
{
	const char *except = option("except");
	const struct client *client = except != NULL ? client_find(except) : NULL;

	return client != NULL ? client_session(client) : 0;
}

void
do_send(void)
{
	struct sent *known = find_sent(word(2)), sent = { 0 };
	struct dw_wire answer;

	copy(sent.room, word(1));
	copy(sent.id, word(2));
	copy(sent.to, option("to") != NULL ? option("to") : "");
	copy(sent.text, option("text") != NULL ? option("text") : word(2));
	sent.ttl_s = number_option("ttl", 0);
	sent.size = number_option("size", 0);
	sent.except = excepted();
	say_message(&sent, 0);
	if (!hear_stored(&answer))
		return;
	if (answer.stored.code != 0 || answer.stored.duplicate)
		return;
	sent.seq = answer.stored.seq;
	if (known == NULL && world.sent_count < IDS)
		known = &world.sents[world.sent_count++];
	if (known != NULL)
		*known = sent;
}

/* Sends it once more and asks how many devices have it. */
void
do_receipts(void)
{
	struct sent *sent = find_sent(word(1)), again;
	struct dw_wire answer;

	if (sent == NULL) {
		noop();
		return;
	}
	again = *sent;
	if (flag("bare")) {
		again.except = excepted();
		again.ttl_s = 0;
	}
	say_message(&again, ALL_DEVICES);
	if (!hear_stored(&answer))
		return;
	if (!answer.stored.duplicate)
		*sent = again;
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

void
do_grant(void)
{
	do_own("grant");
}

void
do_revoke(void)
{
	do_own("revoke");
}

void
do_deny(void)
{
	do_own("deny");
}

void
do_crash(void)
{
	restart(hub_crash);
}

/* What is kept in memory keeps the limit that it began with. */
void
do_restart(void)
{
	if (world.config.lmdb)
		world.config.limit = number_option("limit", world.config.limit);
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

	(void)snprintf(line, sizeof(line), "mkdir -p '%s%s' && %s '%s%s'/* '%s%s'", world.config.dir, to, command,
		world.config.dir, from, world.config.dir, to);
	if (system(line) != 0) /* NOLINT(cert-env33-c): our own paths */
		puts("dead cannot copy a store");
}

static void
copy_back(void)
{
	hub_stop();
	copy_store("cp", ".backup", "");
}

void
do_backup(void)
{
	if (world.config.lmdb)
		copy_store("cp", "", ".backup");
	else
		noop();
}

void
do_restore(void)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s.backup", world.config.dir);
	if (!world.config.lmdb || access(path, F_OK) != 0) {
		noop();
		return;
	}
	restart(copy_back);
	say_epoch();
}

void
remove_stores(void)
{
	char path[300];

	remove_tree(world.config.dir);
	(void)snprintf(path, sizeof(path), "%s.backup", world.config.dir);
	remove_tree(path);
}

/* ---- edges */

void
do_return(void)
{
	const int edge = edge_of(word(1));

	if (edge < 0 || world.stopped[edge] || !world.away[edge]) {
		noop();
		return;
	}
	line_up(edge);
	world.away[edge] = false;
	/* Twice, for what it says first may go to a line that it gives up then. */
	pass(BACK_MS / 2);
	pass(BACK_MS / 2);
	if (!hub_knows(line_peer(edge)))
		puts("dead an edge has not come back");
}

void
do_stop(void)
{
	const int edge = edge_of(word(1));

	if (edge < 0 || world.stopped[edge])
		noop();
	else
		world.stopped[edge] = true;
}

void
do_cont(void)
{
	const int edge = edge_of(word(1));

	if (edge < 0 || !world.stopped[edge]) {
		noop();
		return;
	}
	world.stopped[edge] = false;
	/* What it was sent before its line was cut it may still hear or not; here it does not. */
	if (world.away[edge])
		line_forget(edge);
	clients_heard();
	edge_timers(edge);
	tick_links();
	if (!world.away[edge] && !hub_knows(line_peer(edge)))
		puts("dead an edge has not come back");
}

void
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
	world.stopped[edge] = world.away[edge] = false;
	edge_start(edge);
	line_up(edge);
	tick_links();
}

void
senders_begin(void)
{
	corr = incarnation = 0;
}

void
senders_alive(void)
{
	say_to_hub(&(struct dw_wire) { .kind = DW_PING });
}
