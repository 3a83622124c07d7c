/* links: lib/client.c lib/bus.c lib/wire.c lib/buf.c lib/err.c lib/clock.c lib/paths.c */
/* libs: libzmq msgpack libcrypto */
/* The client against a hub played by the test, over a real socket: introduction, pairing of answers, a hub that
 * forgot us, one that refuses, one that is silent, and the window.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "diagws/bus.h"
#include "diagws/client.h"
#include "diagws/clock.h"

enum { TURNS = 2000 };

struct outcome {
	int calls;
	int err;
	uint64_t seq;
	enum dw_wire_kind kind;
};

struct play {
	char folder[64];
	char uri[128];
	struct dw_bus *hub;
	struct dw_client *client;
	/* what the hub saw last */
	struct dw_wire seen;
	char frame[8192];
	uint32_t peer;
	struct outcome outcomes[5]; /* here, for the client may live until the tear-down */
};

static struct dw_bus *
bind_hub(const char *uri)
{
	struct dw_bus *hub = NULL;

	assert_int_equal(DW_OK, dw_bus_bind(&hub, &uri, 1, NULL));
	return hub;
}

static int
set_up(void **state)
{
	struct play *play = calloc(1, sizeof(*play));

	(void)snprintf(play->folder, sizeof(play->folder), "/tmp/diagws-test-XXXXXX");
	assert_non_null(mkdtemp(play->folder));
	(void)snprintf(play->uri, sizeof(play->uri), "ipc://%s/hub.sock", play->folder);
	*state = play;
	return 0;
}

static int
tear_down(void **state)
{
	struct play *play = *state;
	char path[160];

	dw_client_destroy(&play->client);
	dw_bus_destroy(&play->hub);
	(void)snprintf(path, sizeof(path), "%s/hub.sock", play->folder);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/hub.sock.lock", play->folder);
	(void)unlink(path);
	(void)rmdir(play->folder);
	free(play);
	return 0;
}

static void
connect_client(struct play *play, int64_t timeout_ms, size_t window)
{
	const struct dw_client_config config = {
		.endpoint = play->uri, .name = "test", .timeout_ms = timeout_ms, .window = window
	};

	assert_int_equal(DW_OK, dw_client_new(&play->client, &config, NULL));
}

/* Takes turns until the hub sees a message, which must be of this kind. */
static void
expect_kind(struct play *play, enum dw_wire_kind kind)
{
	for (int i = 0; i < TURNS; i++) {
		struct dw_str frame;

		(void)dw_client_poll(play->client, 0);
		if (dw_bus_recv(play->hub, &play->peer, &frame) != DW_OK) {
			(void)dw_bus_wait(play->hub, 1);
			continue;
		}
		assert_true(frame.n <= sizeof(play->frame));
		memcpy(play->frame, frame.p, frame.n);
		assert_int_equal(DW_OK, dw_wire_unpack(&play->seen, play->frame, frame.n, NULL));
		assert_int_equal(kind, play->seen.kind);
		return;
	}
	fail_msg("no message of kind %d came", (int)kind);
}

/* The client has taken what was said to it, and has nothing to say. */
static void
expect_silence(struct play *play)
{
	struct dw_str frame;

	(void)dw_client_poll(play->client, 50);
	assert_int_equal(DW_E_AGAIN, dw_bus_recv(play->hub, &play->peer, &frame));
}

static void
say(struct play *play, const struct dw_wire *message)
{
	struct dw_buf frame;

	dw_buf_init(&frame);
	dw_wire_pack(&frame, message);
	assert_int_equal(DW_OK, dw_bus_send(play->hub, play->peer, frame.data, frame.len));
	dw_buf_clear(&frame);
}

static void
welcome(struct play *play)
{
	struct dw_wire message = { .kind = DW_WELCOME };

	expect_kind(play, DW_HELLO);
	message.welcome.version = dw_protocol_version();
	message.welcome.incarnation = play->seen.hello.incarnation;
	say(play, &message);
}

static void
answer_stored(struct play *play, uint64_t corr, uint64_t code, uint64_t seq)
{
	struct dw_wire message = { .kind = DW_STORED };

	message.stored.corr = corr;
	message.stored.code = code;
	message.stored.seq = seq;
	say(play, &message);
}

static void
take(void *user, int err, const struct dw_wire *message)
{
	struct outcome *outcome = user;

	outcome->calls++;
	outcome->err = err;
	outcome->kind = message != NULL ? message->kind : 0;
	outcome->seq = message != NULL && message->kind == DW_STORED ? message->stored.seq : 0;
}

static void
ask(struct play *play, const char *id, struct outcome *outcome)
{
	struct dw_wire request = { .kind = DW_PUBLISH };

	request.publish.room = dw_str("123");
	request.publish.type = dw_str("note_update");
	request.publish.id = dw_str(id);
	request.publish.data = dw_str("{}");
	assert_int_equal(DW_OK, dw_client_ask(play->client, &request, take, outcome));
}

static void
wait_until_called(struct play *play, const struct outcome *outcome)
{
	for (int i = 0; i < TURNS && outcome->calls == 0; i++)
		(void)dw_client_poll(play->client, 5);
	assert_int_equal(1, outcome->calls);
}

static void
introduces_itself_then_asks(void **state)
{
	struct play *play = *state;
	struct outcome *outcome = &play->outcomes[0];

	play->hub = bind_hub(play->uri);
	connect_client(play, 5000, 4);
	ask(play, "a", outcome);
	expect_kind(play, DW_HELLO);
	assert_int_equal(dw_protocol_version(), play->seen.hello.version);
	assert_int_equal(DW_PEER_CLIENT, play->seen.hello.kind);
	assert_true(dw_str_is(play->seen.hello.name, "test"));
	assert_int_equal(1, play->seen.hello.incarnation);
	say(play, &(struct dw_wire) { .kind = DW_WELCOME, .welcome = { .version = 1, .incarnation = 1 } });
	expect_kind(play, DW_PUBLISH);
	assert_true(dw_str_is(play->seen.publish.id, "a"));
	assert_int_equal(0, outcome->calls);
	answer_stored(play, play->seen.publish.corr, 0, 7);
	wait_until_called(play, outcome);
	assert_int_equal(DW_OK, outcome->err);
	assert_int_equal(7, outcome->seq);
	dw_client_destroy(&play->client);
	assert_null(play->client);
}

static void
pairs_answers_in_any_order_and_passes_errors(void **state)
{
	struct play *play = *state;
	struct outcome *first = &play->outcomes[0], *second = &play->outcomes[1];
	uint64_t corr;

	play->hub = bind_hub(play->uri);
	connect_client(play, 5000, 4);
	welcome(play);
	ask(play, "a", first);
	ask(play, "b", second);
	expect_kind(play, DW_PUBLISH);
	corr = play->seen.publish.corr;
	expect_kind(play, DW_PUBLISH);
	assert_int_not_equal(corr, play->seen.publish.corr);
	answer_stored(play, 999999, 0, 1);      /* nobody's */
	answer_stored(play, corr + 4096, 0, 1); /* of the same place, at another time */
	answer_stored(play, play->seen.publish.corr, 1103, 0);
	answer_stored(play, corr, 0, 5);
	answer_stored(play, corr, 0, 6); /* a second answer to the same */
	wait_until_called(play, second);
	wait_until_called(play, first);
	assert_int_equal(DW_E_STORAGE_FULL, second->err);
	assert_int_equal(DW_STORED, second->kind);
	assert_int_equal(5, first->seq);
	assert_int_equal(0, dw_client_poll(play->client, 0));
}

/* A hub that forgot us asks WHO; all that is unanswered comes again, in order, with the same ids. */
static void
sends_again_after_who(void **state)
{
	struct play *play = *state;
	struct outcome *outcomes = play->outcomes;
	const char *ids[] = { "a", "b", "c" };

	play->hub = bind_hub(play->uri);
	connect_client(play, 5000, 4);
	welcome(play);
	for (size_t i = 0; i < 3; i++) {
		ask(play, ids[i], &outcomes[i]);
		expect_kind(play, DW_PUBLISH);
	}
	answer_stored(play, play->seen.publish.corr, 0, 3);
	wait_until_called(play, &outcomes[2]);
	for (int i = 0; i < 3; i++) /* one for each message that it did not know us for */
		say(play, &(struct dw_wire) { .kind = DW_WHO });
	expect_kind(play, DW_HELLO);
	assert_int_equal(2, play->seen.hello.incarnation);
	/* A welcome of the earlier introduction counts for nothing. */
	say(play, &(struct dw_wire) { .kind = DW_WELCOME, .welcome = { .version = 1, .incarnation = 1 } });
	expect_silence(play);
	say(play, &(struct dw_wire) { .kind = DW_WELCOME, .welcome = { .version = 1, .incarnation = 2 } });
	for (size_t i = 0; i < 2; i++) {
		expect_kind(play, DW_PUBLISH);
		assert_true(dw_str_is(play->seen.publish.id, ids[i]));
		answer_stored(play, play->seen.publish.corr, 0, i + 1);
		wait_until_called(play, &outcomes[i]);
		assert_int_equal(i + 1, outcomes[i].seq);
	}
	assert_int_equal(1, outcomes[2].calls);
}

/* A hub that is started again on the same path is found, told again, and answers. */
static void
survives_a_restart(void **state)
{
	struct play *play = *state;
	struct outcome *outcome = &play->outcomes[0];

	play->hub = bind_hub(play->uri);
	connect_client(play, 20000, 4);
	welcome(play);
	ask(play, "a", outcome);
	expect_kind(play, DW_PUBLISH);
	dw_bus_destroy(&play->hub);
	play->hub = bind_hub(play->uri);
	expect_kind(play, DW_PING);
	say(play, &(struct dw_wire) { .kind = DW_WHO });
	welcome(play);
	expect_kind(play, DW_PUBLISH);
	assert_true(dw_str_is(play->seen.publish.id, "a"));
	answer_stored(play, play->seen.publish.corr, 0, 1);
	wait_until_called(play, outcome);
	assert_int_equal(DW_OK, outcome->err);
}

static void
says_which_version_is_refused(void **state)
{
	struct play *play = *state;
	struct outcome *first = &play->outcomes[0], *second = &play->outcomes[1];
	struct dw_wire request = { .kind = DW_STAT };
	struct dw_fault fault = { 0 };

	play->hub = bind_hub(play->uri);
	connect_client(play, 5000, 4);
	ask(play, "a", first);
	ask(play, "b", second);
	expect_kind(play, DW_HELLO);
	say(play, &(struct dw_wire) { .kind = DW_REFUSED, .refused = { 1107, dw_str("we speak 2") } });
	wait_until_called(play, first);
	wait_until_called(play, second);
	assert_int_equal(DW_E_VERSION, first->err);
	assert_int_equal(DW_E_VERSION, second->err);
	assert_int_equal(DW_E_VERSION, dw_client_poll(play->client, 0));
	request.stat.view = dw_str("summary");
	assert_int_equal(DW_E_VERSION, dw_client_ask(play->client, &request, take, first));
	assert_int_equal(1, first->calls);
	dw_client_explain(play->client, DW_E_VERSION, &fault);
	assert_string_equal("we speak 2", fault.message);
}

static void
stands_no_other_protocol(void **state)
{
	struct play *play = *state;
	struct outcome *outcome = &play->outcomes[0];

	play->hub = bind_hub(play->uri);
	connect_client(play, 5000, 4);
	ask(play, "a", outcome);
	expect_kind(play, DW_HELLO);
	assert_int_equal(DW_OK, dw_bus_send(play->hub, play->peer, "HTTP/1.1", 8));
	wait_until_called(play, outcome);
	assert_int_equal(DW_E_PROTOCOL, outcome->err);
}

/* A table is no answer to a PUBLISH. */
static void
stands_no_answer_of_another_kind(void **state)
{
	struct play *play = *state;
	struct outcome *outcome = &play->outcomes[0];

	play->hub = bind_hub(play->uri);
	connect_client(play, 5000, 4);
	welcome(play);
	ask(play, "a", outcome);
	expect_kind(play, DW_PUBLISH);
	say(play, &(struct dw_wire) { .kind = DW_TABLE, .table = { .corr = play->seen.publish.corr } });
	wait_until_called(play, outcome);
	assert_int_equal(DW_E_PROTOCOL, outcome->err);
	assert_int_equal(0, outcome->kind);
}

static void
knows_an_absent_hub_from_a_slow_one(void **state)
{
	struct play *play = *state;
	struct outcome *absent = &play->outcomes[0], *slow = &play->outcomes[1];
	struct outcome *answered = &play->outcomes[2], *silent = &play->outcomes[3];
	struct dw_fault fault = { 0 };
	uint64_t corr;

	connect_client(play, 200, 4);
	ask(play, "a", absent);
	wait_until_called(play, absent);
	assert_int_equal(DW_E_HUB_AWAY, absent->err);
	dw_client_explain(play->client, DW_E_HUB_AWAY, &fault);
	assert_non_null(strstr(fault.message, play->uri));

	/* One that was here, answered, and then says nothing more is away, too. */
	play->hub = bind_hub(play->uri);
	welcome(play);
	ask(play, "b", answered);
	expect_kind(play, DW_PUBLISH);
	answer_stored(play, play->seen.publish.corr, 0, 1);
	wait_until_called(play, answered);
	assert_int_equal(DW_OK, answered->err);
	for (uint64_t now = dw_mono_ms(); dw_mono_ms() == now;)
		continue;
	ask(play, "c", silent);
	wait_until_called(play, silent);
	assert_int_equal(DW_E_HUB_AWAY, silent->err);

	ask(play, "d", slow);
	do
		expect_kind(play, DW_PUBLISH);
	while (!dw_str_is(play->seen.publish.id, "d"));
	corr = play->seen.publish.corr;
	say(play, &(struct dw_wire) { .kind = DW_PONG });
	wait_until_called(play, slow);
	assert_int_equal(DW_E_TIMEOUT, slow->err);
	answer_stored(play, corr, 0, 1); /* too late for anyone */
	assert_int_equal(0, dw_client_poll(play->client, 0));
	assert_int_equal(1, slow->calls);
}

/* The fifth request of a window of four waits for an answer to one of them. */
static void
holds_the_window(void **state)
{
	struct play *play = *state;
	struct outcome *outcomes = play->outcomes;

	play->hub = bind_hub(play->uri);
	connect_client(play, 5000, 4);
	welcome(play);
	for (size_t i = 0; i < 4; i++) {
		ask(play, "x", &outcomes[i]);
		expect_kind(play, DW_PUBLISH);
	}
	assert_int_equal(4, dw_client_poll(play->client, 0));
	answer_stored(play, play->seen.publish.corr, 0, 1);
	ask(play, "y", &outcomes[4]);
	assert_int_equal(1, outcomes[3].calls);
	assert_int_equal(0, outcomes[0].calls);
	expect_kind(play, DW_PUBLISH);
	assert_true(dw_str_is(play->seen.publish.id, "y"));
}

static void
ends_everything_when_destroyed(void **state)
{
	struct play *play = *state;
	struct outcome *outcome = &play->outcomes[0];

	connect_client(play, 5000, 4);
	ask(play, "a", outcome);
	dw_client_destroy(&play->client);
	assert_int_equal(1, outcome->calls);
	assert_int_equal(DW_E_CLOSING, outcome->err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(introduces_itself_then_asks),
		TEST(pairs_answers_in_any_order_and_passes_errors),
		TEST(sends_again_after_who),
		TEST(survives_a_restart),
		TEST(says_which_version_is_refused),
		TEST(stands_no_other_protocol),
		TEST(stands_no_answer_of_another_kind),
		TEST(knows_an_absent_hub_from_a_slow_one),
		TEST(holds_the_window),
		TEST(ends_everything_when_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
