/* links: lib/diagws.c lib/diagws_updates.c lib/client.c lib/bus.c lib/wire.c lib/msg.c */
/* links: lib/json.c lib/buf.c lib/err.c lib/clock.c lib/paths.c */
/* libs: libzmq msgpack jansson libcrypto */
/* libdiagws against a hub played by a thread: what reaches the hub, what comes back, what is refused before. */
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "diagws.h"
#include "diagws/bus.h"
#include "diagws/wire.h"

struct play {
	char folder[64];
	char uri[128];
	struct dw_bus *hub;
	pthread_t thread;
	atomic_bool stop;
	/* written by the hub before its answer, read by the test after it */
	char room[80], type[80], id[160], data[4096], view[40];
	uint64_t seq;
	uint64_t code; /* what STORED says */
	struct diagws *d;
};

static void
say(struct play *play, uint32_t peer, const struct dw_wire *message)
{
	struct dw_buf frame;

	dw_buf_init(&frame);
	dw_wire_pack(&frame, message);
	(void)dw_bus_send(play->hub, peer, frame.data, frame.len);
	dw_buf_clear(&frame);
}

static void
answer_publish(struct play *play, uint32_t peer, const struct dw_publish *publish)
{
	struct dw_wire answer = { .kind = DW_STORED };

	(void)dw_str_copy(publish->room, play->room, sizeof(play->room));
	(void)dw_str_copy(publish->type, play->type, sizeof(play->type));
	(void)dw_str_copy(publish->id, play->id, sizeof(play->id));
	(void)dw_str_copy(publish->data, play->data, sizeof(play->data));
	answer.stored.corr = publish->corr;
	answer.stored.code = play->code;
	answer.stored.seq = play->code == 0 ? ++play->seq : 0;
	answer.stored.n = 17;
	answer.stored.duplicate = dw_str_is(publish->id, "again");
	answer.stored.notified = 3;
	answer.stored.queued = 1;
	answer.stored.text = play->code != 0 ? dw_str("said by the hub") : dw_str("");
	say(play, peer, &answer);
}

static void
answer_stat(struct play *play, uint32_t peer, const struct dw_stat *stat)
{
	struct dw_wire answer = { .kind = DW_TABLE, .table = { .corr = stat->corr } };
	struct dw_buf cells;

	dw_buf_init(&cells);
	(void)dw_str_copy(stat->view, play->view, sizeof(play->view));
	for (int64_t i = 1; i <= 4; i++)
		dw_cell_pack(&cells, &(struct dw_cell) { .type = DW_CELL_NUMBER, .number = i });
	answer.table.columns = dw_str("connections\tsomething\tqueued\thead");
	answer.table.cells = (struct dw_str) { cells.data, cells.len };
	if (dw_str_is(stat->room, "nobody"))
		answer.table = (struct dw_table) { .corr = stat->corr, .code = 1109 };
	say(play, peer, &answer);
	dw_buf_clear(&cells);
}

static void *
run_hub(void *at)
{
	struct play *play = at;

	while (!play->stop) {
		struct dw_wire message;
		struct dw_str frame;
		uint32_t peer;

		if (dw_bus_recv(play->hub, &peer, &frame) != DW_OK) {
			(void)dw_bus_wait(play->hub, 10);
			continue;
		}
		if (dw_wire_unpack(&message, frame.p, frame.n, NULL) != DW_OK)
			break;
		if (message.kind == DW_HELLO)
			say(play, peer,
				&(struct dw_wire) {
					.kind = DW_WELCOME, .welcome = { .version = 1, .incarnation = message.hello.incarnation } });
		else if (message.kind == DW_PUBLISH)
			answer_publish(play, peer, &message.publish);
		else if (message.kind == DW_STAT)
			answer_stat(play, peer, &message.stat);
	}
	return NULL;
}

static int
set_up(void **state)
{
	struct play *play = calloc(1, sizeof(*play));
	const char *uri = play->uri;

	(void)snprintf(play->folder, sizeof(play->folder), "/tmp/diagws-test-XXXXXX");
	assert_non_null(mkdtemp(play->folder));
	(void)snprintf(play->uri, sizeof(play->uri), "ipc://%s/hub.sock", play->folder);
	assert_int_equal(DW_OK, dw_bus_bind(&play->hub, &uri, 1, NULL));
	assert_int_equal(0, pthread_create(&play->thread, NULL, run_hub, play));
	assert_int_equal(0, diagws_open(&play->d, play->uri, NULL));
	*state = play;
	return 0;
}

static int
tear_down(void **state)
{
	struct play *play = *state;
	char path[160];

	diagws_close(&play->d);
	assert_null(play->d);
	play->stop = true;
	(void)pthread_join(play->thread, NULL);
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
sends_the_documented_updates(void **state)
{
	struct play *play = *state;
	struct diagws_receipt receipt = { 0 };

	assert_int_equal(0, diagws_broadcast_recommendation_update(
							play->d, "123", " { \"a\" : 1.10 }", "{\"a\":2}", "a \"why\"", &receipt));
	assert_string_equal("recommendation_update", play->type);
	assert_string_equal("{\"old_data\":{\"a\":1.10},\"new_data\":{\"a\":2},\"reason\":\"a \\\"why\\\"\"}", play->data);
	assert_string_equal("123", play->room);
	assert_string_equal(play->id, receipt.id);
	assert_int_equal(1, receipt.seq);
	assert_int_equal(17, receipt.n);
	assert_int_equal(3, receipt.clients_notified);
	assert_int_equal(1, receipt.devices_queued);
	assert_false(receipt.duplicate);

	assert_int_equal(0, diagws_broadcast_effectiveness_update(play->d, "123", 789, 0.85, 0.92, 150, NULL));
	assert_string_equal("effectiveness_update", play->type);
	assert_string_equal(
		"{\"recommendation_id\":789,\"new_effectiveness\":0.85,\"confidence\":0.92,\"sample_size\":150}", play->data);

	assert_int_equal(0, diagws_broadcast_feedback_update(play->d, "x-1", 4, 5, 1, -1, NULL, &receipt));
	assert_string_equal("{\"feedback_id\":4,\"rating\":5,\"effectiveness\":1}", play->data);
	assert_int_equal(0, diagws_broadcast_feedback_update(play->d, "x-1", 4, 5, 0.1, 7, "gut – ja", &receipt));
	assert_string_equal("{\"feedback_id\":4,\"rating\":5,\"effectiveness\":0.1,\"recommendation_id\":7,"
						"\"comment\":\"gut – ja\"}",
		play->data);
	assert_int_equal(4, receipt.seq);
}

/* Each value arrives as the same double, in as few digits as that takes. */
static void
prints_numbers_that_read_back(void **state)
{
	struct play *play = *state;
	const double values[] = { 0, 1, 0.1, 1.0 / 3, 0.30000000000000004, 5e-324, 1e-5, 0.99999999999999989 };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const char *text;

		assert_int_equal(0, diagws_broadcast_effectiveness_update(play->d, "1", 1, values[i], 0, 0, NULL));
		text = strstr(play->data, "\"new_effectiveness\":");
		assert_non_null(text);
		assert_memory_equal(&(double) { strtod(text + strlen("\"new_effectiveness\":"), NULL) }, &values[i], 8);
	}
}

static void
prints_a_point_in_any_locale(void **state)
{
	struct play *play = *state;
	const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8" };
	const char *found = NULL;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && found == NULL; i++)
		found = setlocale(LC_NUMERIC, names[i]);
	if (found == NULL)
		skip(); /* this machine has no locale with another sign */
	assert_int_equal(0, diagws_broadcast_effectiveness_update(play->d, "1", 1, 0.25, 0, 0, NULL));
	(void)setlocale(LC_NUMERIC, "C");
	assert_non_null(strstr(play->data, "\"new_effectiveness\":0.25,"));
}

#define REFUSED(expected, words, call)                                             \
	do {                                                                           \
		assert_int_equal(expected, call);                                          \
		if (strstr(diagws_last_error(play->d), words) == NULL)                     \
			fail_msg("'%s' does not say '%s'", diagws_last_error(play->d), words); \
	} while (0)

static void
refuses_what_is_wrong_before_it_is_sent(void **state)
{
	struct play *play = *state;
	struct diagws *d = play->d;
	struct diagws_receipt receipt = { .seq = 99 };

	REFUSED(DIAGWS_INVALID, "rating", diagws_broadcast_feedback_update(d, "1", 1, 6, 0.5, -1, NULL, &receipt));
	assert_int_equal(0, receipt.seq);
	REFUSED(DIAGWS_INVALID, "new_effectiveness", diagws_broadcast_effectiveness_update(d, "1", 1, NAN, 0, 0, NULL));
	REFUSED(DIAGWS_INVALID, "confidence", diagws_broadcast_effectiveness_update(d, "1", 1, 0, INFINITY, 0, NULL));
	REFUSED(DIAGWS_INVALID, "confidence", diagws_broadcast_effectiveness_update(d, "1", 1, 0, 1.5, 0, NULL));
	REFUSED(DIAGWS_INVALID, "sample_size", diagws_broadcast_effectiveness_update(d, "1", 1, 0, 1, -1, NULL));
	REFUSED(DIAGWS_INVALID, "diagnosis", diagws_broadcast_effectiveness_update(d, "a b", 1, 0, 1, 1, NULL));
	REFUSED(DIAGWS_INVALID, "diagnosis", diagws_broadcast_effectiveness_update(d, NULL, 1, 0, 1, 1, NULL));
	/* Two texts that are an object only together. */
	REFUSED(DIAGWS_BAD_JSON, "", diagws_broadcast_recommendation_update(d, "1", "{},\"x\":{}", "{}", NULL, NULL));
	REFUSED(DIAGWS_INVALID, "new_data", diagws_broadcast_recommendation_update(d, "1", "{}", "[]", NULL, NULL));
	REFUSED(DIAGWS_INVALID, "old_data", diagws_broadcast_recommendation_update(d, "1", NULL, "{}", NULL, NULL));
	REFUSED(DIAGWS_BAD_JSON, "", diagws_broadcast_feedback_update(d, "1", 1, 5, 0.5, -1, "\xff", NULL));
	REFUSED(DIAGWS_INVALID, "id", diagws_publish(d, "1", "x_update", "{}", 2, "a b", NULL));
	REFUSED(DIAGWS_INVALID, "type", diagws_publish(d, "1", "x", "{}", 2, NULL, NULL));
	REFUSED(DIAGWS_INVALID, "type", diagws_publish(d, "1", NULL, "{}", 2, NULL, NULL));
	REFUSED(DIAGWS_INVALID, "data", diagws_publish(d, "1", "x_update", NULL, 0, NULL, NULL));
	REFUSED(DIAGWS_BAD_JSON, "", diagws_publish(d, "1", "x_update", "{", 1, NULL, NULL));
	REFUSED(DIAGWS_INVALID, "diagnosis", diagws_room_info(d, "a b", NULL));
	assert_string_equal("", play->type);
	assert_int_equal(0, diagws_publish(d, "1", "x_update", "{}trailing", 2, "again", &receipt));
	assert_string_equal("again", receipt.id);
	assert_true(receipt.duplicate);
	assert_string_equal("", diagws_last_error(d));
}

static void
passes_on_what_the_hub_says(void **state)
{
	struct play *play = *state;
	struct diagws_receipt receipt = { 0 };

	play->code = 1103;
	REFUSED(DIAGWS_STORAGE_FULL, "said by the hub", diagws_publish(play->d, "1", "x_update", "{}", 2, NULL, &receipt));
	assert_int_equal(0, receipt.seq);
	assert_int_equal(32, strlen(receipt.id));
	assert_string_equal("the hub's storage is full", diagws_strerror(DIAGWS_STORAGE_FULL));
	assert_string_equal(DW_VERSION, diagws_version());
}

struct batch {
	struct diagws *d;
	size_t calls;
	size_t failures;
	uint64_t last;
	int nested;
};

static void
count_answer(void *user, int err, const struct diagws_receipt *receipt)
{
	struct batch *batch = user;

	batch->calls++;
	batch->failures += err != 0;
	batch->last = receipt->seq;
	if (batch->calls == 1)
		batch->nested = diagws_publish(batch->d, "1", "x_update", "{}", 2, NULL, NULL);
}

static void
keeps_a_window_of_unanswered_messages(void **state)
{
	struct play *play = *state;
	struct batch batch = { .nested = 1 };
	int left;

	diagws_close(&play->d);
	assert_int_equal(0, diagws_open(&play->d, play->uri, &(struct diagws_options) { .window = 4, .name = "test" }));
	batch.d = play->d;
	for (int i = 0; i < 500; i++)
		assert_int_equal(0, diagws_send(play->d, "1", "x_update", "{}", 2, NULL, count_answer, &batch));
	assert_true(batch.calls >= 496);
	left = diagws_poll(play->d, 0);
	assert_true(left >= 0 && left <= 4);
	assert_int_equal(0, diagws_flush(play->d));
	assert_int_equal(500, batch.calls);
	assert_int_equal(0, batch.failures);
	assert_int_equal(500, batch.last);
	assert_int_equal(DIAGWS_BUSY, batch.nested); /* a callback cannot wait */
	assert_true(diagws_fd(play->d) >= 0);
	/* Without a callback, and refused ones call none. */
	assert_int_equal(0, diagws_send(play->d, "1", "x_update", "{}", 2, NULL, NULL, NULL));
	assert_int_equal(DIAGWS_BAD_JSON, diagws_send(play->d, "1", "x_update", "{", 1, NULL, count_answer, &batch));
	assert_int_equal(0, diagws_flush(play->d));
	assert_int_equal(500, batch.calls);
}

static void
closes_without_waiting(void **state)
{
	struct play *play = *state;
	struct batch batch = { 0 };

	diagws_close(&play->d);
	assert_int_equal(0, diagws_open(&play->d, "ipc:///tmp/diagws-nobody-is-here.sock", NULL));
	assert_int_equal(0, diagws_send(play->d, "1", "x_update", "{}", 2, NULL, count_answer, &batch));
	diagws_close(&play->d);
	assert_int_equal(0, batch.calls);
	diagws_close(&play->d); /* of nothing is nothing */
}

static void
tells_an_absent_hub(void **state)
{
	struct play *play = *state;
	struct diagws_receipt receipt = { 0 };

	diagws_close(&play->d);
	assert_int_equal(0,
		diagws_open(&play->d, "ipc:///tmp/diagws-nobody-is-here.sock", &(struct diagws_options) { .timeout_ms = 50 }));
	REFUSED(DIAGWS_HUB_AWAY, "nobody-is-here", diagws_publish(play->d, "1", "x_update", "{}", 2, NULL, &receipt));
	assert_int_equal(32, strlen(receipt.id));
}

static void
opens_only_what_is_an_endpoint(void **state)
{
	struct diagws *d = NULL;

	(void)state;
	assert_int_equal(DIAGWS_CONFIG, diagws_open(&d, "http://example.org", NULL));
	assert_int_equal(DIAGWS_CONFIG, diagws_open(&d, "tcp://192.0.2.1:1", NULL));
	assert_int_equal(DIAGWS_INVALID, diagws_open(&d, NULL, &(struct diagws_options) { .window = 5000 }));
	assert_int_equal(DIAGWS_INVALID, diagws_open(&d, NULL, &(struct diagws_options) { .timeout_ms = -1 }));
	assert_null(d);
}

static void
counts(void **state)
{
	struct play *play = *state;
	struct diagws_counts all = { 0 };
	struct diagws_room room = { .connections = 99 };

	assert_int_equal(0, diagws_connection_counts(play->d, &all));
	assert_string_equal("summary", play->view);
	assert_int_equal(1, all.connections);
	assert_int_equal(3, all.queued);
	assert_int_equal(4, all.head);
	assert_int_equal(0, all.edges);
	REFUSED(DIAGWS_UNKNOWN, "", diagws_room_info(play->d, "nobody", &room));
	assert_int_equal(99, room.connections);
	assert_int_equal(0, diagws_room_info(play->d, "123", &room));
	assert_string_equal("room", play->view);
	assert_int_equal(1, room.connections);
	assert_int_equal(4, room.head);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sends_the_documented_updates),
		TEST(prints_numbers_that_read_back),
		TEST(prints_a_point_in_any_locale),
		TEST(refuses_what_is_wrong_before_it_is_sent),
		TEST(passes_on_what_the_hub_says),
		TEST(keeps_a_window_of_unanswered_messages),
		TEST(closes_without_waiting),
		TEST(tells_an_absent_hub),
		cmocka_unit_test(opens_only_what_is_an_endpoint),
		TEST(counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
