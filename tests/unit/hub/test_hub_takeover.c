/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* A connection takes over that of the same device: the older one is told so, wherever it is. */
#include "../../lib/hub_talk.h"

static void
assert_replaced(const struct dw_wire *message, uint64_t session)
{
	assert_int_equal(session, message->close.session);
	assert_text("1", message->close.room);
	assert_int_equal(4001, message->close.code);
	assert_text("replaced", message->close.reason);
}

static void
come_back(uint32_t edge, uint64_t session, uint64_t corr, uint64_t age)
{
	join_as(edge, (struct dw_join) { .corr = corr,
					  .session = session,
					  .user = DW_STR("ann"),
					  .device = DW_STR("phone"),
					  .flags = DW_JOIN_RETURN,
					  .age = age });
}

static void
test_at_another_edge(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(OTHER_EDGE, 2, "ann", "phone");
	assert_replaced(told(EDGE, DW_CLOSE), 1);
	assert_int_equal(0, peer_find(&hub, EDGE)->sessions);
	assert_int_equal(0, peer_find(&hub, EDGE)->reader_count);
	(void)publishes();
	told_nothing(EDGE);
	assert_string_equal("1", seqs_of(told(OTHER_EDGE, DW_MESSAGES)->messages.records));
}

/* First the one goes, then the other comes. */
static void
test_at_the_same_edge(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	join_as(EDGE, (struct dw_join) { .session = 2, .user = DW_STR("ann"), .device = DW_STR("phone") });
	assert_replaced(told(EDGE, DW_CLOSE), 1);
	assert_int_equal(2, told(EDGE, DW_JOINED)->joined.session);
	assert_int_equal(1, peer_find(&hub, EDGE)->sessions);
	assert_int_equal(1, peer_find(&hub, EDGE)->reader_count);
}

/* Other users' and other devices' stay; so do those whose device was derived from their token. */
static void
test_side_by_side(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "ann", "pad");
	(void)joins(EDGE, 3, "bob", "phone");
	for (uint64_t session = 4; session < 6; session++) {
		join_as(EDGE, (struct dw_join) { .session = session,
						  .user = DW_STR("cid"),
						  .device = DW_STR("d"),
						  .flags = DW_JOIN_DERIVED,
						  .expires = dw_now_ms() / 1000 + 3600 });
		assert_int_equal(0, told(EDGE, DW_JOINED)->joined.code);
	}
	assert_int_equal(5, hub.rooms_shared.sessions);
}

/* The hub was away, and an older connection comes back after a newer one: it is the one that goes. */
static void
test_an_older_one_comes_back(void **state)
{
	const struct dw_wire *message;

	(void)state;
	pass(MINUTE);
	come_back(EDGE, 1, 11, 10 * SECOND);
	assert_int_equal(0, told(EDGE, DW_JOINED)->joined.code);
	come_back(OTHER_EDGE, 2, (7ULL << 32) + 12, 20 * SECOND);
	message = told(OTHER_EDGE, DW_CLOSE);
	assert_replaced(message, 2);
	assert_int_equal(12, message->close.stay);
	assert_int_equal(1, hub.rooms_shared.sessions);
	assert_int_equal(0, peer_find(&hub, OTHER_EDGE)->sessions);
	assert_int_equal(1, peer_find(&hub, EDGE)->sessions);
}

/* A newer one comes back after an older one and takes over. */
static void
test_a_newer_one_comes_back(void **state)
{
	(void)state;
	pass(MINUTE);
	come_back(EDGE, 1, 11, 20 * SECOND);
	assert_int_equal(0, told(EDGE, DW_JOINED)->joined.code);
	come_back(OTHER_EDGE, 2, 12, 10 * SECOND);
	assert_int_equal(0, told(OTHER_EDGE, DW_JOINED)->joined.code);
	assert_replaced(told(EDGE, DW_CLOSE), 1);
}

/* What it waits for its right and for its room makes it older: so one that was opened after it still is the newer. */
static void
test_it_ages_while_it_waits(void **state)
{
	(void)state;
	(void)publishes();
	restart_hub();
	talk_ms += MINUTE;
	come_back(EDGE, 1, 11, 10 * SECOND);
	talk_ms += 10 * SECOND;
	(void)kit_turn(); /* it may be there, and waits for the room now */
	assert_false(dw_room_resident(room_find(&hub, DW_STR("1"))));
	talk_ms += 10 * SECOND;
	assert_int_equal(0, told(EDGE, DW_JOINED)->joined.code);
	come_back(OTHER_EDGE, 2, 12, 25 * SECOND);
	assert_int_equal(0, told(OTHER_EDGE, DW_JOINED)->joined.code);
	forget_said();
	assert_int_equal(0, peer_find(&hub, EDGE)->sessions);
}

/* It was there already when it comes back as an older one: its reader is not left behind. */
static void
test_it_joins_again_as_an_older_one(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "pad");
	pass(MINUTE);
	(void)joins(OTHER_EDGE, 2, "ann", "phone");
	come_back(EDGE, 1, 3, 30 * SECOND);
	assert_replaced(told(EDGE, DW_CLOSE), 1);
	assert_int_equal(0, peer_find(&hub, EDGE)->reader_count);
	assert_int_equal(0, peer_find(&hub, EDGE)->sessions);
	assert_int_equal(1, hub.rooms_shared.sessions);
	(void)publishes();
	(void)told(OTHER_EDGE, DW_MESSAGES);
}

/* Which of two came last decides, also while both wait for their right to be looked up. */
static void
test_in_the_order_they_came(void **state)
{
	(void)state;
	for (uint64_t session = 1; session <= 2; session++)
		join_as(session == 1 ? EDGE : OTHER_EDGE,
			(struct dw_join) { .session = session, .user = DW_STR("ann"), .device = DW_STR("phone") });
	assert_int_equal(1, told(EDGE, DW_JOINED)->joined.session);
	assert_replaced(told(EDGE, DW_CLOSE), 1);
	assert_int_equal(2, told(OTHER_EDGE, DW_JOINED)->joined.session);
}

/* The room is there, and who needs no look waits all the same behind one that does. */
static void
test_in_the_order_they_came_into_a_room_that_is_there(void **state)
{
	struct dw_wire join = { .kind = DW_JOIN,
		.join = { .session = 1, .room = DW_STR("1"), .user = DW_STR("ann"), .device = DW_STR("phone") } };

	(void)state;
	(void)joins(EDGE, 3, "bob", "phone");
	own_as(ADMIN, (struct dw_own) { .verb = DW_STR("grant"), .user = DW_STR("ann") });
	kit_say(EDGE, &join);
	join.join.session = 2;
	join.join.flags = DW_JOIN_CLAIMED;
	kit_say(EDGE, &join);
	(void)told(ADMIN, DW_OWNED);
	assert_int_equal(1, told(EDGE, DW_JOINED)->joined.session);
	assert_replaced(told(EDGE, DW_CLOSE), 1);
	assert_int_equal(2, told(EDGE, DW_JOINED)->joined.session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_at_another_edge),
		TALK(test_at_the_same_edge),
		TALK(test_side_by_side),
		TALK(test_an_older_one_comes_back),
		TALK(test_a_newer_one_comes_back),
		TALK(test_it_ages_while_it_waits),
		TALK(test_it_joins_again_as_an_older_one),
		TALK(test_in_the_order_they_came),
		TALK(test_in_the_order_they_came_into_a_room_that_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
