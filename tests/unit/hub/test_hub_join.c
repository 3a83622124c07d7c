/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* A session comes to a room: where it stands, what it is told, and who is not let in. */
#include "../../lib/hub_talk.h"

#define ANN .user = DW_STR("ann"), .device = DW_STR("phone")

static const struct dw_joined *
joins_as(struct dw_join join)
{
	join_as(EDGE, join);
	return &told(EDGE, DW_JOINED)->joined;
}

static void
test_first_visit(void **state)
{
	const struct dw_joined *joined;
	const struct dw_messages *messages;

	(void)state;
	publish_many(2);
	joined = joins(EDGE, 7, "ann", "phone");
	assert_int_equal(7, joined->corr);
	assert_text("1", joined->room);
	assert_text("phone", joined->device);
	assert_int_equal(DW_RESUME_NEW, joined->resume);
	assert_position(0, 0, 0, joined->at);
	assert_position(0, 0, 0, joined->from);
	assert_int_equal(2, joined->head);
	assert_int_equal(1, joined->oldest);
	assert_int_equal(2, joined->replaying);
	messages = &told(EDGE, DW_MESSAGES)->messages;
	assert_string_equal("1 2", seqs_of(messages->records));
	assert_position(0, 0, 0, messages->prev);
	/* The store knows the device at once, and that it has nothing. */
	assert_int_equal(dw_now_ms(), stored_cursor("ann", "phone").seen);
	assert_position(0, 0, 0, stored_cursor("ann", "phone").at);
}

static void
leaves(uint64_t session, uint64_t seq)
{
	leave_as(EDGE, (struct dw_leave) { .session = session, .at = dw_position_said(seq, seq, 0), .sure = true });
	kit_settle();
}

static void
test_resume(void **state)
{
	const struct dw_joined *joined;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_many(2);
	forget_said();
	leaves(1, 1);
	joined = joins(EDGE, 2, "ann", "phone");
	assert_int_equal(DW_RESUME_EXACT, joined->resume);
	assert_position(1, 1, 0, joined->at);
	assert_int_equal(1, joined->replaying);
	assert_string_equal("2", seqs_of(told(EDGE, DW_MESSAGES)->messages.records));
}

static void
test_gap(void **state)
{
	const struct dw_joined *joined;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_many(1);
	forget_said();
	leaves(1, 1);
	publish_many(LIMIT + 2);
	joined = joins(EDGE, 2, "ann", "phone");
	assert_int_equal(DW_RESUME_GAP, joined->resume);
	assert_gap(2, 3, DW_GAP_LIMIT, joined->gap);
	assert_gap(0, 0, DW_GAP_NONE, joined->direct);
	assert_position(1, 1, 0, joined->at);
	assert_int_equal(3, dw_n(joined->from));
	assert_int_equal(4, joined->oldest);
	assert_string_equal("4 5 6 7 8", seqs_of(told(EDGE, DW_MESSAGES)->messages.records));
}

/* A position of another store, or ahead of this one. */
static void
test_reset(void **state)
{
	const struct dw_joined *joined;

	(void)state;
	publish_many(2);
	joined = joins_as((struct dw_join) {
		.session = 1, ANN, .flags = DW_JOIN_AFTER, .after = dw_position_said(1, 0, 0), .epoch = DW_STR("other") });
	assert_int_equal(DW_RESUME_RESET, joined->resume);
	assert_int_equal(2, joined->replaying);
	(void)told(EDGE, DW_MESSAGES);
	joined = joins_as((struct dw_join) { .session = 2,
		.user = DW_STR("bob"),
		.device = DW_STR("phone"),
		.flags = DW_JOIN_AFTER,
		.after = dw_position_said(9, 0, 0) });
	assert_int_equal(DW_RESUME_RESET, joined->resume);
}

static void
test_only_what_is_new(void **state)
{
	const struct dw_joined *joined;

	(void)state;
	publish_many(3);
	joined = joins_as((struct dw_join) { .session = 1, ANN, .flags = DW_JOIN_NEW });
	assert_int_equal(DW_RESUME_NEW, joined->resume);
	assert_position(3, 3, 0, joined->at);
	assert_int_equal(0, joined->replaying);
	told_nothing(EDGE);
	(void)publishes();
	assert_string_equal("4", seqs_of(told(EDGE, DW_MESSAGES)->messages.records));
}

/* Numbers at a seq whose message is no more only the engine knows: it is asked, and the gap is exact. */
static void
test_a_position_of_long_ago(void **state)
{
	const struct dw_joined *joined;
	const struct dw_publish elsewhere = { .corr = 1, .room = DW_STR("2") };

	(void)state;
	publish_many(2);
	(void)publishes_as(elsewhere);
	(void)publishes_as(elsewhere);
	publish_many(LIMIT + 3); /* 5 to 12, of which 8 to 12 stay */
	(void)joins(EDGE, 1, "bob", "phone");
	forget_said();
	joined =
		joins_as((struct dw_join) { .session = 2, ANN, .flags = DW_JOIN_AFTER, .after = dw_position_said(4, 0, 0) });
	assert_int_equal(DW_RESUME_GAP, joined->resume);
	assert_gap(3, 5, DW_GAP_LIMIT, joined->gap);
	assert_position(4, 2, 0, joined->at);
	told_nothing(OTHER_EDGE);
	assert_null(hub.asked);
	assert_int_equal(0, peer_find(&hub, EDGE)->pending);
}

/* Of its own room, of another's, whether or not there is one: the answer is the same, and nothing is loaded. */
static void
test_denied(void **state)
{
	static const char *const rooms[] = { "1", "2", "3" };

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes_as((struct dw_publish) { .corr = 1, .room = DW_STR("2") });
	for (uint64_t i = 0; i < 3; i++) {
		const struct dw_joined *joined;

		kit_say(EDGE, &(struct dw_wire) { .kind = DW_JOIN,
						  .join = { .corr = 50 + i,
							  .session = 10 + i,
							  .room = dw_str(rooms[i]),
							  .user = DW_STR("eve"),
							  .device = DW_STR("phone") } });
		joined = &told(EDGE, DW_JOINED)->joined;
		assert_int_equal(-DW_E_DENIED, joined->code);
		assert_int_equal(50 + i, joined->corr);
		assert_int_equal(10 + i, joined->session);
		assert_text(rooms[i], joined->room);
		assert_int_equal(0, joined->head);
		assert_int_equal(1, hub.resident_count);
	}
	assert_null(room_find(&hub, DW_STR("3")));
}

/* The registry's word is enough, and beats the token's. */
static void
test_by_the_registry(void **state)
{
	struct dw_wire join = { .kind = DW_JOIN, .join = { .corr = 1, .session = 1, .room = DW_STR("1"), ANN } };

	(void)state;
	owns("grant", "ann");
	kit_say(EDGE, &join);
	assert_int_equal(0, told(EDGE, DW_JOINED)->joined.code);
	owns("deny", "bob");
	join.join.session = 2;
	join.join.user = DW_STR("bob");
	join.join.flags = DW_JOIN_CLAIMED;
	kit_say(EDGE, &join);
	assert_int_equal(-DW_E_DENIED, told(EDGE, DW_JOINED)->joined.code);
	(void)joins(EDGE, 3, "cid", "phone");
}

static void
test_wrong_fields(void **state)
{
	static const struct dw_join wrong[] = {
		{ .session = 0, ANN },
		{ .session = 1, .user = { "", 0 }, .device = { "phone", 5 } },
		{ .session = 1, .user = { "ann", 3 }, .device = { "a b", 3 } },
		{ .session = 1, .room = { "a b", 3 }, .user = { "ann", 3 }, .device = { "phone", 5 } },
		{ .session = 1, ANN, .expires = UINT64_MAX / 1000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		join_as(EDGE, wrong[i]);
		assert_int_equal(-DW_E_FIELD, told_at_once(EDGE, DW_JOINED)->joined.code);
	}
	assert_int_equal(0, hub.staged_bytes);
}

/* Too many of its requests are unanswered: it is told so at once, and the hub goes on. */
static void
test_busy_while_loading(void **state)
{
	const struct dw_joined *joined;

	(void)state;
	join_as(EDGE, (struct dw_join) { .session = 1, ANN });
	peer_find(&hub, EDGE)->pending += HUB_PENDING_MAX - 1;
	join_as(EDGE, (struct dw_join) { .session = 2, .user = DW_STR("bob"), .device = DW_STR("phone") });
	peer_find(&hub, EDGE)->pending -= HUB_PENDING_MAX - 1;
	joined = &told_at_once(EDGE, DW_JOINED)->joined;
	assert_int_equal(2, joined->session);
	assert_int_equal(-DW_E_BUSY, joined->code);
	joined = &told(EDGE, DW_JOINED)->joined;
	assert_int_equal(1, joined->session);
	assert_int_equal(0, joined->code);
	(void)joins(EDGE, 2, "bob", "phone");
}

/* An edge gets half of what is left for all; who comes back, or takes another's place, always has one. */
static void
test_no_more_sessions(void **state)
{
	(void)state;
	kit_options.max_sessions = 4;
	(void)joins(EDGE, 1, "ann", "a");
	(void)joins(EDGE, 2, "ann", "b");
	join_as(EDGE, (struct dw_join) { .session = 3, .user = DW_STR("ann"), .device = DW_STR("c") });
	assert_int_equal(-DW_E_RATE, told(EDGE, DW_JOINED)->joined.code);
	(void)joins(OTHER_EDGE, 4, "bob", "a");
	join_as(EDGE, (struct dw_join) { .session = 3, ANN, .flags = DW_JOIN_RETURN });
	assert_int_equal(0, told(EDGE, DW_JOINED)->joined.code);
	join_as(
		EDGE, (struct dw_join) { .session = 5, .user = DW_STR("cid"), .device = DW_STR("a"), .flags = DW_JOIN_RETURN });
	assert_int_equal(-DW_E_RATE, told(EDGE, DW_JOINED)->joined.code);
	join_as(OTHER_EDGE, (struct dw_join) { .session = 6, .user = DW_STR("bob"), .device = DW_STR("a") });
	assert_int_equal(4001, told(OTHER_EDGE, DW_CLOSE)->close.code);
	assert_int_equal(0, told(OTHER_EDGE, DW_JOINED)->joined.code);
	assert_int_equal(4, hub.rooms_shared.sessions);
}

/* The same session again goes on where its stream was; another edge's is none of ours. */
static void
test_the_same_session(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	join_as(OTHER_EDGE, (struct dw_join) { .session = 1, .user = DW_STR("bob"), .device = DW_STR("phone") });
	assert_int_equal(-DW_E_FIELD, told(OTHER_EDGE, DW_JOINED)->joined.code);
	join_as(EDGE, (struct dw_join) { .session = 1, ANN, .flags = DW_JOIN_RETURN, .after = dw_position_said(1, 1, 0) });
	assert_int_equal(DW_RESUME_EXACT, told(EDGE, DW_JOINED)->joined.resume);
	told_nothing(EDGE);
	assert_int_equal(1, hub.rooms_shared.sessions);
	assert_int_equal(1, peer_find(&hub, EDGE)->sessions);
	assert_int_equal(0, peer_find(&hub, OTHER_EDGE)->sessions);
}

/* It left before its right was looked up: it is not let in, and nobody is told. */
static void
test_left_meanwhile(void **state)
{
	(void)state;
	join_as(EDGE, (struct dw_join) { .session = 1, ANN });
	leave_as(EDGE, (struct dw_leave) { .session = 1 });
	told_nothing(EDGE);
	assert_int_equal(0, hub.rooms_shared.sessions);
	assert_int_equal(0, peer_find(&hub, EDGE)->pending);
}

/* The registry could not be looked at: the asker is told why, and may ask again. */
static void
test_the_look_fails(void **state)
{
	(void)state;
	kit_fails = DW_E_STORAGE_FULL;
	join_as(EDGE, (struct dw_join) { .session = 1, ANN });
	assert_int_equal(-DW_E_STORAGE_FULL, told(EDGE, DW_JOINED)->joined.code);
	kit_fails = DW_OK;
	(void)joins(EDGE, 1, "ann", "phone");
}

/* A hub that is shutting down lets nobody in and says nothing: the next one is asked again. */
static void
test_closing(void **state)
{
	(void)state;
	hub.closing = true;
	join_as(EDGE, (struct dw_join) { .session = 1, ANN });
	told_nothing(EDGE);
	assert_int_equal(0, hub.rooms_shared.sessions);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_first_visit),
		TALK(test_resume),
		TALK(test_gap),
		TALK(test_reset),
		TALK(test_only_what_is_new),
		TALK(test_a_position_of_long_ago),
		TALK(test_denied),
		TALK(test_by_the_registry),
		TALK(test_wrong_fields),
		TALK(test_busy_while_loading),
		TALK(test_no_more_sessions),
		TALK(test_the_same_session),
		TALK(test_left_meanwhile),
		TALK(test_the_look_fails),
		TALK(test_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
