/* hub */
/* libs: msgpack jansson libcrypto */
/* Waits: nobody takes so many that there is none for others, they end with their peer, and what is counted for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../lib/hub_kit.h"
#include "rooms/waits.h"

enum { EDGE = 1, FIRST = 10, PEERS = 12, EACH = HUB_PENDING_MAX - 1 };

static int
set_up(void **state)
{
	(void)state;
	assert_true(kit_start(NULL));
	kit_hello(EDGE, DW_PEER_EDGE);
	kit_settle();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end();
	return 0;
}

static void
poll(uint32_t peer, uint64_t corr, const char *room)
{
	kit_say(peer, &(struct dw_wire) { .kind = DW_READ,
					  .read = { .corr = corr,
						  .room = dw_str(room),
						  .limit = 10,
						  .user = DW_STR("ann"),
						  .claimed = true,
						  .wait_ms = 60000 } });
}

/* Twelve peers that want all there is: each has as many as are left in the end, and so has the next. */
static void
test_shares(void **state)
{
	size_t most = 0;
	struct dw_wire answer;

	(void)state;
	poll(EDGE, 1, "1");
	kit_settle();
	for (uint32_t i = 0; i < PEERS; i++) {
		kit_hello(FIRST + i, DW_PEER_EDGE);
		for (uint64_t corr = 1; corr <= EACH; corr++)
			poll(FIRST + i, corr, "1");
		outbox_flush(&hub);
	}
	assert_true(hub.waiting < HUB_WAITS_MAX);
	for (uint32_t i = 0; i < PEERS; i++) {
		const struct peer *peer = peer_find(&hub, FIRST + i);

		assert_true(peer->waiting > 0);
		most = peer->waiting > most ? peer->waiting : most;
	}
	/* Whoever came last has filled it to where its own are as many as what is free. */
	assert_true(peer_find(&hub, FIRST + PEERS - 1)->waiting >= HUB_WAITS_MAX - hub.waiting);
	said.count = 0;
	poll(FIRST + PEERS - 1, 9999, "1");
	outbox_flush(&hub);
	assert_true(kit_heard(&answer) && answer.kind == DW_RECORDS);
	assert_int_equal(-DW_E_BUSY, answer.records.code);
	kit_hello(99, DW_PEER_EDGE);
	outbox_flush(&hub);
	said.count = 0;
	poll(99, 1, "1");
	outbox_flush(&hub);
	assert_int_equal(0, said.count);
	assert_int_equal(1, peer_find(&hub, 99)->waiting);
	/* A message to be waited for is not even stored. */
	kit_publish(FIRST + PEERS - 1, 1, "1", 5);
	outbox_flush(&hub);
	assert_true(kit_heard(&answer) && answer.kind == DW_STORED);
	assert_int_equal(-DW_E_BUSY, answer.stored.code);
}

static void
test_they_end_with_their_peer(void **state)
{
	(void)state;
	kit_hello(FIRST, DW_PEER_CLIENT);
	for (uint64_t i = 1; i <= 100; i++)
		kit_publish(FIRST, i, i % 2 == 0 ? "1" : "2", 3);
	kit_settle();
	poll(EDGE, 1, "3");
	kit_settle();
	assert_int_equal(101, hub.waiting);
	for (int i = 0; i < 2; i++)
		assert_int_equal(50, ((struct resident *)room_find(&hub, dw_str(i == 0 ? "1" : "2"))->user)->awaited_count);
	peer_forget(&hub, peer_find(&hub, FIRST));
	assert_int_equal(1, hub.waiting);
	assert_null(hub.awaited);
}

/* One message has bounds of its own, and so has one room. */
static void
test_a_message_that_many_wait_for(void **state)
{
	struct dw_wire answer;

	(void)state;
	kit_hello(FIRST, DW_PEER_CLIENT);
	for (uint64_t corr = 1; corr <= 65; corr++)
		kit_say(FIRST, &(struct dw_wire) { .kind = DW_PUBLISH,
						   .publish = { .corr = corr,
							   .room = DW_STR("1"),
							   .type = DW_STR("a_update"),
							   .id = DW_STR("same"),
							   .data = DW_STR("{}"),
							   .wait = 1,
							   .wait_ms = 60000 } });
	said.count = 0;
	kit_settle();
	assert_int_equal(64, hub.waiting);
	assert_true(kit_heard(&answer) && answer.kind == DW_DELIVERED);
	assert_int_equal(65, answer.delivered.corr);
	assert_int_equal(-DW_E_BUSY, answer.delivered.code);
	for (uint64_t i = 1; i <= 1100; i++)
		kit_publish(FIRST, 1000 + i, "1", 1);
	kit_settle();
	assert_int_equal(64 + 1023, hub.waiting);
}

static void
confirm(uint64_t session, uint64_t seq, uint64_t n)
{
	struct dw_buf sessions = { 0 };

	dw_session_pack(&sessions, session);
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_CONFIRM,
					  .confirm = { .room = DW_STR("1"),
						  .at = dw_position_said(seq, n, 0),
						  .sessions = { sessions.data, sessions.len } } });
	dw_buf_clear(&sessions);
}

/* A device that gets past several has each of them; all who wait for so many devices are answered. */
static void
test_what_is_counted(void **state)
{
	(void)state;
	kit_hello(FIRST, DW_PEER_CLIENT);
	kit_join(EDGE, 1, "1", "ann", "phone");
	kit_join(EDGE, 2, "1", "bob", "phone");
	kit_settle();
	for (uint64_t i = 1; i <= 10; i++)
		kit_publish(FIRST, i, "1", i % 2 + 1);
	kit_settle();
	assert_int_equal(10, hub.waiting);
	confirm(1, 4, 4);
	assert_int_equal(8, hub.waiting); /* 2 and 4 wait for one device */
	confirm(2, 2, 2);
	assert_int_equal(7, hub.waiting); /* 1 has two */
	confirm(2, 10, 10);
	assert_int_equal(3, hub.waiting); /* 3; 6, 8, 10 */
	confirm(2, 10, 10);
	assert_int_equal(3, hub.waiting);
	confirm(1, 10, 10);
	assert_int_equal(0, hub.waiting);
	assert_null(hub.awaited);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_shares),
		TEST(test_they_end_with_their_peer),
		TEST(test_a_message_that_many_wait_for),
		TEST(test_what_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
