/* hub */
/* libs: msgpack jansson libcrypto */
/* Frames that wait for their room: who asked may be gone when its turn comes, and back again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../lib/hub_kit.h"

enum { PEER = 1, OTHER = 2 };

static int
set_up(void **state)
{
	(void)state;
	assert_true(kit_start(NULL));
	kit_hello(PEER, DW_PEER_EDGE);
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

/* The same connection, as the same process in the same introduction: but what it asked before was another's. */
static void
test_gone_and_back(void **state)
{
	(void)state;
	kit_stat(PEER, 1, "devices", "1", "", 10);
	kit_say(PEER, &(struct dw_wire) { .kind = DW_BYE });
	kit_hello(PEER, DW_PEER_EDGE);
	kit_settle();
	assert_null(room_find(&hub, DW_STR("1")));
	assert_int_equal(0, hub.staged_bytes);
	assert_int_equal(0, peer_find(&hub, PEER)->pending);
}

/* Who still waits for the room has it loaded. */
static void
test_another_waits(void **state)
{
	struct dw_wire answer = { 0 };

	(void)state;
	kit_hello(OTHER, DW_PEER_EDGE);
	kit_stat(PEER, 1, "devices", "1", "", 10);
	kit_stat(OTHER, 2, "devices", "1", "", 10);
	kit_say(PEER, &(struct dw_wire) { .kind = DW_BYE });
	kit_hello(PEER, DW_PEER_EDGE);
	outbox_flush(&hub);
	said.count = 0;
	kit_settle();
	assert_int_equal(1, said.count);
	assert_int_equal(OTHER, said.peer);
	assert_true(kit_heard(&answer) && answer.kind == DW_TABLE);
	assert_int_equal(2, answer.table.corr);
	assert_int_equal(-DW_E_UNKNOWN, answer.table.code);
	assert_int_equal(0, hub.staged_bytes);
}

/* What was asked before is no longer among what is unanswered, so its answer leaves that alone. */
static void
test_unanswered(void **state)
{
	const struct dw_wire poll = { .kind = DW_READ,
		.read = {
			.corr = 9, .room = DW_STR("1"), .limit = 1, .user = DW_STR("ann"), .claimed = true, .wait_ms = 60000 } };

	(void)state;
	kit_hello(OTHER, DW_PEER_EDGE);
	kit_say(OTHER, &poll);
	kit_settle();
	kit_publish(PEER, 1, "2", 0);
	kit_say(PEER, &(struct dw_wire) { .kind = DW_BYE });
	kit_hello(PEER, DW_PEER_EDGE);
	kit_say(PEER, &poll);
	assert_int_equal(2, hub.waiting);
	kit_settle();
	assert_int_equal(1, peer_find(&hub, PEER)->pending);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gone_and_back),
		TEST(test_another_waits),
		TEST(test_unanswered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
