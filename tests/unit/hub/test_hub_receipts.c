/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* Senders that wait until so many devices have their message: what counts, and what they are told. */
#include "../../lib/hub_talk.h"

static void
assert_delivered(const struct dw_wire *message, uint64_t corr, int err, uint64_t count)
{
	assert_int_equal(corr, message->delivered.corr);
	assert_int_equal(-err, message->delivered.code);
	assert_int_equal(count, message->delivered.count);
}

/* It is stored, and its sender waits. */
static void
awaits(struct dw_publish publish)
{
	publish.wait_ms = publish.wait_ms > 0 ? publish.wait_ms : 30 * SECOND;
	assert_int_equal(0, publishes_as(publish)->code);
	told_nothing(SENDER);
}

/* Two devices are to have it; one that is not there yet counts when it has got it. */
static void
test_delivered(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	awaits((struct dw_publish) { .corr = 5, .wait = 2 });
	confirms(EDGE, 1, 1, 1, 0);
	told_nothing(SENDER);
	confirms(EDGE, 1, 1, 1, 0);
	told_nothing(SENDER);
	(void)joins(OTHER_EDGE, 2, "bob", "phone");
	told_nothing(SENDER);
	confirms(OTHER_EDGE, 2, 1, 1, 0);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 2);
	assert_null(hub.awaited);
	assert_int_equal(0, peer_find(&hub, SENDER)->pending);
	forget_said();
}

static void
test_the_time_is_over(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	awaits((struct dw_publish) { .corr = 5, .wait = 2, .wait_ms = 10 * SECOND });
	confirms(EDGE, 1, 1, 1, 0);
	pass(10 * SECOND - 1);
	told_nothing(SENDER);
	pass(1);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_E_UNDELIVERED, 1);
	assert_int_equal(0, hub.waiting);
	confirms(EDGE, 1, 1, 1, 0);
	forget_said();
}

/* Who does not wait at all learns at once how many have it. */
static void
test_no_time_to_wait(void **state)
{
	(void)state;
	publish_as(SENDER, (struct dw_publish) { .corr = 5, .wait = 1, .wait_ms = 0 });
	assert_int_equal(0, told(SENDER, DW_STORED)->stored.code);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_E_UNDELIVERED, 0);
}

/* A direct one: only that user's devices have it. */
static void
test_direct(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	awaits((struct dw_publish) { .corr = 5, .to = DW_STR("bob"), .wait = 1 });
	confirms(EDGE, 1, 1, 0, 0);
	told_nothing(SENDER);
	confirms(EDGE, 2, 1, 0, 1);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 1);
	forget_said();
}

/* To one who was never there: nobody will ever have it... until they come. */
static void
test_direct_to_one_who_comes(void **state)
{
	(void)state;
	awaits((struct dw_publish) { .corr = 5, .to = DW_STR("bob"), .wait = 1 });
	(void)joins(EDGE, 1, "bob", "phone");
	confirms(EDGE, 1, 1, 0, 1);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 1);
	forget_said();
}

/* The request is repeated: those who have it by now are counted. */
static void
test_repeated(void **state)
{
	const struct dw_publish publish = { .corr = 5, .id = DW_STR("x"), .wait = 2, .wait_ms = 10 * SECOND };

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	assert_int_equal(0, publishes_as((struct dw_publish) { .corr = 4, .id = DW_STR("x") })->code);
	confirms(EDGE, 1, 1, 1, 0);
	kit_settle();
	assert_true(publishes_as(publish)->duplicate);
	told_nothing(SENDER);
	confirms(EDGE, 2, 1, 1, 0);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 2);
	/* And all have it already. */
	publish_as(SENDER, publish);
	assert_true(told(SENDER, DW_STORED)->stored.duplicate);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 2);
	forget_said();
}

/* The device of the session that it is from does not count. */
static void
test_not_its_own(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	awaits((struct dw_publish) { .corr = 5, .except = 1, .wait = 1 });
	confirms(EDGE, 1, 1, 1, 0);
	told_nothing(SENDER);
	confirms(EDGE, 2, 1, 1, 0);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 1);
	forget_said();
}

/* The session that it is from has gone: one of the devices is its own, and nobody knows which; until it comes back. */
static void
test_its_own_is_away(void **state)
{
	(void)state;
	(void)joins(EDGE, 2, "bob", "phone");
	(void)joins(EDGE, 3, "cid", "phone");
	awaits((struct dw_publish) { .corr = 5, .except = 99, .wait = 2 });
	confirms(EDGE, 2, 1, 1, 0);
	confirms(EDGE, 3, 1, 1, 0);
	told_nothing(SENDER);
	join_as(EDGE,
		(struct dw_join) { .session = 99, .user = DW_STR("ann"), .device = DW_STR("phone"), .flags = DW_JOIN_RETURN });
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 2);
	forget_said();
}

/* What it is not for, of one that is repeated: what was stored decides. */
static void
test_repeated_not_its_own(void **state)
{
	struct dw_publish publish = { .corr = 5, .id = DW_STR("x"), .except = 1 };

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	(void)publishes_as(publish);
	confirms(EDGE, 1, 1, 1, 0);
	confirms(EDGE, 2, 1, 1, 0);
	kit_settle();
	publish.except = 0;
	publish.wait = 2;
	awaits(publish);
	pass(30 * SECOND);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_E_UNDELIVERED, 1);
	/* When it is retained no more, one less is counted. */
	publish_many(LIMIT);
	awaits(publish);
	pass(30 * SECOND);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_E_UNDELIVERED, 1);
	forget_said();
}

/* Its time is over: whoever confirms now may have been told a gap instead. */
static void
test_the_message_is_over(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	awaits((struct dw_publish) { .corr = 5, .wait = 1, .ttl_ms = 5 * SECOND });
	pass(5 * SECOND);
	confirms(EDGE, 1, 1, 1, 0);
	told_nothing(SENDER);
	pass(25 * SECOND);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_E_UNDELIVERED, 0);
	forget_said();
}

/* The same of one that is repeated when it is retained no more: whoever passed it may have been told a gap. */
static void
test_the_message_was_over(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes_as((struct dw_publish) { .corr = 4, .id = DW_STR("x"), .ttl_ms = HOUR });
	confirms(EDGE, 1, 1, 1, 0);
	publish_many(LIMIT);
	awaits((struct dw_publish) { .corr = 5, .id = DW_STR("x"), .wait = 1 });
	pass(30 * SECOND);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_E_UNDELIVERED, 0);
	forget_said();
}

/* A device that comes back with what it has confirmed meanwhile counts. */
static void
test_it_comes_back_with_it(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	awaits((struct dw_publish) { .corr = 5, .wait = 1 });
	forget_said();
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_BYE });
	kit_hello(EDGE, DW_PEER_EDGE);
	forget_said();
	join_as(EDGE, (struct dw_join) { .session = 1,
					  .user = DW_STR("ann"),
					  .device = DW_STR("phone"),
					  .flags = DW_JOIN_RETURN,
					  .after = dw_position_said(1, 1, 0),
					  .confirmed = dw_position_said(1, 1, 0) });
	(void)told(EDGE, DW_JOINED);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 1);
}

/* It leaves with that as its last word. */
static void
test_it_leaves_with_it(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	awaits((struct dw_publish) { .corr = 5, .wait = 1 });
	forget_said();
	leave_as(EDGE, (struct dw_leave) { .session = 1, .at = dw_position_said(1, 1, 0), .sure = true });
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_OK, 1);
}

/* The sender goes: its message stays, and nobody waits. */
static void
test_the_sender_goes(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_as(SENDER, (struct dw_publish) { .corr = 5, .wait = 1, .wait_ms = HOUR });
	kit_say(SENDER, &(struct dw_wire) { .kind = DW_BYE });
	kit_settle();
	assert_int_equal(0, hub.waiting);
	assert_string_equal("1", seqs_of(told(EDGE, DW_MESSAGES)->messages.records));
	confirms(EDGE, 1, 1, 1, 0);
	told_nothing(SENDER);
}

/* A position that the room never had, another edge's session, or none: nothing changes. */
static void
test_no_such_position(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	awaits((struct dw_publish) { .corr = 5, .wait = 1 });
	forget_said();
	confirms(EDGE, 1, 9, 9, 0);
	confirms(OTHER_EDGE, 1, 1, 1, 0);
	confirms(EDGE, 7, 1, 1, 0);
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_CONFIRM, .confirm = { .room = DW_STR("none") } });
	told_nothing(SENDER);
	write_cursors();
	assert_position(0, 0, 0, stored_cursor("ann", "phone").at);
	confirms(EDGE, 1, 1, 1, 0);
	(void)told(SENDER, DW_DELIVERED);
	write_cursors();
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
}

/* Behind a gap that it was told a session begins anew: what was lost there it does not have. */
static void
test_not_what_was_lost(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	awaits((struct dw_publish) { .corr = 5, .wait = 1 });
	publish_many(LIMIT + 1);
	forget_said();
	confirm_as(
		EDGE, 1, (struct dw_confirm) { .at = dw_position_said(6, 6, 0), .anew = true, .begun = { .n = 5, .own = 0 } });
	told_nothing(SENDER);
	pass(30 * SECOND);
	assert_delivered(told(SENDER, DW_DELIVERED), 5, DW_E_UNDELIVERED, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_delivered),
		TALK(test_the_time_is_over),
		TALK(test_no_time_to_wait),
		TALK(test_direct),
		TALK(test_direct_to_one_who_comes),
		TALK(test_repeated),
		TALK(test_not_its_own),
		TALK(test_its_own_is_away),
		TALK(test_repeated_not_its_own),
		TALK(test_the_message_is_over),
		TALK(test_the_message_was_over),
		TALK(test_it_comes_back_with_it),
		TALK(test_it_leaves_with_it),
		TALK(test_the_sender_goes),
		TALK(test_no_such_position),
		TALK(test_not_what_was_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
