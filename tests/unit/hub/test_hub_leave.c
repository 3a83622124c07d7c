/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* Sessions that leave, also after their hub, and peers that go: with a word, without one, and in silence. */
#include "../../lib/hub_talk.h"

#include "rooms/load.h"

#define DEPARTED .user = DW_STR("ann"), .device = DW_STR("phone")

static void
test_leave(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	publish_many(2);
	forget_said();
	leave_as(EDGE, (struct dw_leave) { .session = 1, .at = dw_position_said(2, 2, 0), .sure = true });
	kit_settle();
	assert_position(2, 2, 0, stored_cursor("ann", "phone").at);
	assert_position(2, 2, 0, stored_cursor("ann", "phone").resume);
	assert_int_equal(dw_now_ms(), stored_cursor("ann", "phone").seen);
	assert_int_equal(1, peer_find(&hub, EDGE)->sessions);
	assert_int_equal(1, peer_find(&hub, EDGE)->reader_count);
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	leave_as(EDGE, (struct dw_leave) { .session = 2 });
	(void)publishes();
	told_nothing(EDGE);
	assert_int_equal(0, peer_find(&hub, EDGE)->reader_count);
	assert_int_equal(0, hub.rooms_shared.sessions);
}

/* What its stack confirmed just before it went it may never have shown. */
static void
test_not_surely(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_many(2);
	forget_said();
	confirms(EDGE, 1, 1, 1, 0);
	pass(DW_OVERLAP_MS + SECOND);
	leave_as(EDGE, (struct dw_leave) { .session = 1, .at = dw_position_said(2, 2, 0) });
	kit_settle();
	assert_position(2, 2, 0, stored_cursor("ann", "phone").at);
	assert_position(1, 1, 0, stored_cursor("ann", "phone").resume);
}

/* Another edge's session stays; of a room that is not there nothing is made. */
static void
test_not_its_own(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	leave_as(OTHER_EDGE, (struct dw_leave) { .session = 1 });
	kit_say(
		OTHER_EDGE, &(struct dw_wire) { .kind = DW_LEAVE, .leave = { .session = 1, .room = DW_STR("2"), DEPARTED } });
	kit_settle();
	assert_int_equal(1, hub.rooms_shared.sessions);
	assert_null(room_find(&hub, DW_STR("2")));
}

/* The hub was away when it left: the next one is told with what it had, loads the room for it, and the sender who asks
 * again learns that it has it. */
static void
test_after_its_hub(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes_as((struct dw_publish) { .corr = 1, .id = DW_STR("x") });
	forget_said();
	restart_hub();
	assert_false(dw_room_resident(room_find(&hub, DW_STR("1"))));
	publish_as(SENDER, (struct dw_publish) { .corr = 2, .id = DW_STR("x"), .wait = 1, .wait_ms = MINUTE });
	assert_true(told(SENDER, DW_STORED)->stored.duplicate);
	told_nothing(SENDER);
	leave_as(EDGE, (struct dw_leave) { .session = 1, .at = dw_position_said(1, 1, 0), .sure = true, DEPARTED });
	assert_int_equal(1, told(SENDER, DW_DELIVERED)->delivered.count);
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
}

static void
test_after_its_hub_into_a_room_that_sleeps(void **state)
{
	const struct dw_leave leave = { .session = 1, .at = dw_position_said(1, 1, 0), .sure = true, DEPARTED };

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes();
	forget_said();
	restart_hub();
	leave_as(EDGE, leave);
	kit_settle();
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
	assert_int_equal(0, peer_find(&hub, EDGE)->pending);
}

/* It is somewhere else by now: that counts. */
static void
test_after_its_hub_and_it_is_back(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_many(2);
	forget_said();
	restart_hub();
	(void)joins(OTHER_EDGE, 2, "ann", "phone");
	leave_as(EDGE, (struct dw_leave) { .session = 1, .at = dw_position_said(2, 2, 0), .sure = true, DEPARTED });
	kit_settle();
	write_cursors();
	assert_position(0, 0, 0, stored_cursor("ann", "phone").at);
	forget_said();
}

/* It waits for its room like all others; but for what else is in its frame nothing is kept. */
static void
test_while_the_room_is_loaded(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes();
	forget_said();
	restart_hub();
	(void)room_wait(&hub, room_find(&hub, DW_STR("1")), NULL, DW_STR(""));
	leave_as(EDGE, (struct dw_leave) { .session = 1, .at = dw_position_said(1, 1, 0), .sure = true, DEPARTED });
	assert_int_equal(1, peer_find(&hub, EDGE)->pending);
	kit_settle();
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
}

static void
test_bye(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	confirms(EDGE, 1, 1, 1, 0);
	pass(2 * SECOND);
	publish_as(EDGE, (struct dw_publish) { .corr = 1 });
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_BYE });
	told_nothing(EDGE);
	assert_null(peer_find(&hub, EDGE));
	assert_int_equal(0, hub.rooms_shared.sessions);
	assert_int_equal(1, hub.edges);
	assert_int_equal(2, hub.info.head); /* what it had said before is stored */
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
	assert_int_equal(0, hub.staged_bytes);
}

/* An edge that says nothing for 10 s is forgotten, and asked who it is when it speaks again; clients have a minute. */
static void
test_silence(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	pass(5 * SECOND);
	kit_say(OTHER_EDGE, &(struct dw_wire) { .kind = DW_PING });
	(void)told(OTHER_EDGE, DW_PONG);
	pass(5 * SECOND - 1);
	peers_tick(&hub);
	assert_non_null(peer_find(&hub, EDGE));
	pass(1);
	peers_tick(&hub);
	assert_null(peer_find(&hub, EDGE));
	assert_non_null(peer_find(&hub, OTHER_EDGE));
	assert_non_null(peer_find(&hub, SENDER));
	assert_int_equal(0, hub.rooms_shared.sessions);
	assert_int_equal(0, kit_closed);
	/* Its device was there as long as it was heard. */
	kit_settle();
	assert_int_equal(dw_now_ms() - 10 * SECOND, stored_cursor("ann", "phone").seen);
	publish_as(EDGE, (struct dw_publish) { .corr = 1 });
	(void)told(EDGE, DW_WHO);
}

/* A client that waits for an answer is not silent. */
static void
test_silent_clients(void **state)
{
	(void)state;
	publish_as(SENDER, (struct dw_publish) { .corr = 5, .wait = 1, .wait_ms = 2 * MINUTE });
	(void)told(SENDER, DW_STORED);
	pass(1 * MINUTE);
	peers_tick(&hub);
	assert_null(peer_find(&hub, ADMIN));
	assert_non_null(peer_find(&hub, SENDER));
	pass(1 * MINUTE);
	(void)told(SENDER, DW_DELIVERED);
	peers_tick(&hub);
	assert_null(peer_find(&hub, SENDER));
	assert_int_equal(0, hub.clients);
}

/* Nothing can be sent to it: it is let go with all that it has, and its connection ends. */
static void
test_it_takes_nothing(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(OTHER_EDGE, 2, "bob", "phone");
	kit_lost = OTHER_EDGE;
	publish_as(EDGE, (struct dw_publish) { .corr = 1 });
	(void)told(EDGE, DW_STORED);
	(void)told(EDGE, DW_MESSAGES);
	assert_int_equal(OTHER_EDGE, kit_closed);
	assert_null(peer_find(&hub, OTHER_EDGE));
	assert_int_equal(1, hub.rooms_shared.sessions);
}

/* Its connection ended. */
static void
test_it_is_gone(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	join_as(EDGE, (struct dw_join) { .session = 3, .user = DW_STR("cid"), .device = DW_STR("phone") });
	kit_gone = EDGE;
	told_nothing(EDGE);
	assert_null(peer_find(&hub, EDGE));
	assert_int_equal(0, hub.rooms_shared.sessions);
	assert_int_equal(0, kit_closed);
	kit_gone = OTHER_EDGE;
	kit_why = "it does not speak ZeroMQ";
	kit_settle();
	assert_null(peer_find(&hub, OTHER_EDGE));
	kit_gone = FIRST_FREE; /* one that has not said anything */
	kit_settle();
	assert_int_equal(0, hub.staged_bytes);
	assert_null(hub.asked);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_leave),
		TALK(test_not_surely),
		TALK(test_not_its_own),
		TALK(test_after_its_hub),
		TALK(test_after_its_hub_into_a_room_that_sleeps),
		TALK(test_after_its_hub_and_it_is_back),
		TALK(test_while_the_room_is_loaded),
		TALK(test_bye),
		TALK(test_silence),
		TALK(test_silent_clients),
		TALK(test_it_takes_nothing),
		TALK(test_it_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
