/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* READ: pages of a room, for who has no session and for a session that fell behind; polls, which wait. */
#include "../../lib/hub_talk.h"

static struct dw_read
by_ann(struct dw_read read)
{
	read.corr = read.corr > 0 ? read.corr : 1;
	read.user = DW_STR("ann");
	read.claimed = true;
	return read;
}

static const struct dw_records *
reads(struct dw_read read)
{
	read_as(EDGE, by_ann(read));
	return &told(EDGE, DW_RECORDS)->records;
}

static void
polls(struct dw_read read)
{
	read.wait_ms = read.wait_ms > 0 ? read.wait_ms : 30 * SECOND;
	read_as(EDGE, by_ann(read));
	told_nothing(EDGE);
	assert_int_equal(1, hub.waiting);
}

static void
test_pages(void **state)
{
	const struct dw_records *records;

	(void)state;
	publish_many(2);
	(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("bob") });
	(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("ann") });
	publish_many(1);
	records = reads((struct dw_read) { .corr = 8, .limit = 2 });
	assert_int_equal(8, records->corr);
	assert_int_equal(0, records->code);
	assert_text("1", records->room);
	assert_string_equal("1 2", seqs_of(records->records));
	assert_true(records->more);
	assert_int_equal(5, records->head);
	assert_int_equal(2, dw_seq(records->last));
	records = reads((struct dw_read) { .after = records->last });
	assert_string_equal("4 5", seqs_of(records->records)); /* without what is for bob */
	assert_false(records->more);
	assert_false(records->reset);
	assert_gap(0, 0, DW_GAP_NONE, records->gap);
	assert_position(5, 3, 0, records->last);
	assert_string_equal("", seqs_of(reads((struct dw_read) { .after = records->last })->records));
}

/* Each page tells what is missing on it, and no more. */
static void
test_gaps(void **state)
{
	const struct dw_records *records;

	(void)state;
	publish_many(LIMIT + 3);
	records = reads((struct dw_read) { .after = dw_position_said(1, 0, 0), .limit = 2 });
	assert_gap(2, 3, DW_GAP_LIMIT, records->gap);
	assert_string_equal("4 5", seqs_of(records->records));
	assert_gap(0, 0, DW_GAP_NONE, reads((struct dw_read) { .after = records->last })->gap);
}

/* What is missing of direct messages, on a page that ends before all of them: the engine is asked. */
static void
test_gaps_of_direct_ones(void **state)
{
	const struct dw_publish direct = { .corr = 1, .to = DW_STR("ann") };
	const struct dw_records *records;

	(void)state;
	(void)publishes();
	for (int i = 0; i < LIMIT + 3; i++)
		(void)publishes_as(direct); /* 2 to 9, of which 5 to 9 stay */
	(void)publishes();
	records = reads((struct dw_read) { .limit = 2, .after = dw_position_said(2, 0, 0) });
	assert_string_equal("5 6", seqs_of(records->records));
	assert_gap(2, 3, DW_GAP_LIMIT, records->direct);
	records = reads((struct dw_read) { .after = dw_position_said(6, 0, 0) });
	assert_string_equal("7 8 9 10", seqs_of(records->records));
	assert_gap(0, 0, DW_GAP_NONE, records->direct);
	assert_null(hub.asked);
	assert_int_equal(0, peer_find(&hub, EDGE)->pending);
}

/* Of everyone's 1 3 5 7 9 are there; of ann's 2 4 6 8 10 11 12 13 the last five. */
static void
mix(void)
{
	for (int i = 0; i < LIMIT; i++) {
		(void)publishes();
		(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("ann") });
	}
	for (int i = 0; i < 3; i++)
		(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("ann") });
}

/* A page ends between messages to everyone while direct ones behind it are missing: only those before its end count. */
static void
test_a_page_between(void **state)
{
	const struct dw_records *records;

	(void)state;
	mix();
	records = reads((struct dw_read) { .limit = 2, .after = dw_position_said(1, 0, 0) });
	assert_string_equal("3 5", seqs_of(records->records));
	assert_gap(1, 2, DW_GAP_LIMIT, records->direct);
	records = reads((struct dw_read) { .after = records->last });
	assert_gap(3, 3, DW_GAP_LIMIT, records->direct);
	assert_string_equal("7 8 9 10 11 12 13", seqs_of(records->records));
}

static void
test_reset(void **state)
{
	const struct dw_records *records;

	(void)state;
	publish_many(2);
	records = reads((struct dw_read) { .after = dw_position_said(2, 0, 0), .epoch = DW_STR("other") });
	assert_true(records->reset);
	assert_string_equal("1 2", seqs_of(records->records));
	assert_int_equal(2, dw_seq(records->last));
}

static void
test_refused(void **state)
{
	static const struct dw_read wrong[] = {
		{ .user = { "ann", 3 }, .limit = 1001 },
		{ .user = { "ann", 3 }, .wait_ms = 60001 },
		{ .user = { "", 0 } },
		{ .user = { "ann", 3 }, .room = { "a b", 3 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		read_as(EDGE, wrong[i]);
		assert_int_equal(-DW_E_FIELD, told(EDGE, DW_RECORDS)->records.code);
	}
	read_as(EDGE, (struct dw_read) { .corr = 4, .user = DW_STR("eve") });
	assert_int_equal(-DW_E_DENIED, told(EDGE, DW_RECORDS)->records.code);
	(void)joins(EDGE, 1, "ann", "phone");
	read_as(EDGE, (struct dw_read) { .corr = 4, .user = DW_STR("eve") });
	assert_int_equal(-DW_E_DENIED, told(EDGE, DW_RECORDS)->records.code);
	read_as(OTHER_EDGE, (struct dw_read) { .corr = 5, .session = 1 });
	assert_int_equal(-DW_E_DENIED, told(OTHER_EDGE, DW_RECORDS)->records.code);
	peer_find(&hub, EDGE)->pending += HUB_PENDING_MAX;
	read_as(EDGE, by_ann((struct dw_read) { .corr = 6 }));
	peer_find(&hub, EDGE)->pending -= HUB_PENDING_MAX;
	assert_int_equal(-DW_E_BUSY, told(EDGE, DW_RECORDS)->records.code);
}

/* A session behind its edge's ring is told all that it misses, and stands behind it. */
static void
test_for_a_session(void **state)
{
	const struct dw_records *records;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_many(LIMIT + 2);
	(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("bob") });
	forget_said();
	read_as(EDGE, (struct dw_read) { .corr = 3, .session = 1, .limit = 2, .stay = 77 });
	records = &told(EDGE, DW_RECORDS)->records;
	assert_int_equal(77, records->stay);
	assert_gap(1, 2, DW_GAP_LIMIT, records->gap);
	assert_string_equal("3 4", seqs_of(records->records));
	assert_true(records->more);
	assert_position(4, 4, 0, records->last);
	read_as(EDGE, (struct dw_read) { .corr = 4, .session = 1, .after = records->last });
	records = &told(EDGE, DW_RECORDS)->records;
	assert_string_equal("5 6 7", seqs_of(records->records));
	assert_false(records->more);
	assert_position(8, 7, 0, records->last);
	assert_gap(0, 0, DW_GAP_NONE, records->gap);
}

/* It is told all at once what it misses of direct messages, wherever its page ends; and not once more. */
static void
test_gaps_of_a_session(void **state)
{
	const struct dw_records *records;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	mix();
	forget_said();
	read_as(EDGE, (struct dw_read) { .session = 1, .limit = 2, .after = dw_position_said(1, 1, 0) });
	records = &told(EDGE, DW_RECORDS)->records;
	assert_string_equal("3 5", seqs_of(records->records));
	assert_gap(1, 3, DW_GAP_LIMIT, records->direct);
	assert_int_equal(3, dw_own(records->last));
	read_as(EDGE, (struct dw_read) { .session = 1, .after = records->last });
	records = &told(EDGE, DW_RECORDS)->records;
	assert_string_equal("7 8 9 10 11 12 13", seqs_of(records->records));
	assert_gap(0, 0, DW_GAP_NONE, records->direct);
}

/* A poll is answered with the next message, and not with what is for somebody else. */
static void
test_a_poll(void **state)
{
	const struct dw_records *records;

	(void)state;
	(void)publishes();
	polls((struct dw_read) { .corr = 9, .after = dw_position_said(1, 0, 0) });
	(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("bob") });
	told_nothing(EDGE);
	assert_int_equal(1, hub.waiting);
	(void)publishes();
	records = &told(EDGE, DW_RECORDS)->records;
	assert_int_equal(9, records->corr);
	assert_string_equal("3", seqs_of(records->records));
	assert_int_equal(0, hub.waiting);
	assert_int_equal(0, peer_find(&hub, EDGE)->pending);
	(void)publishes();
	told_nothing(EDGE);
}

static void
test_a_poll_is_over(void **state)
{
	const struct dw_records *records;

	(void)state;
	(void)publishes();
	polls((struct dw_read) { .after = dw_position_said(1, 0, 0), .wait_ms = 10 * SECOND });
	(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("bob") });
	pass(10 * SECOND - 1);
	told_nothing(EDGE);
	pass(1);
	records = &told(EDGE, DW_RECORDS)->records;
	assert_int_equal(0, records->code);
	assert_string_equal("", seqs_of(records->records));
	assert_int_equal(2, dw_seq(records->last)); /* it need not look there again */
	assert_int_equal(0, hub.waiting);
}

/* Who takes nothing now is answered when it does: its time may be over by then. */
static void
test_a_poll_of_one_that_does_not_read(void **state)
{
	(void)state;
	(void)publishes();
	polls((struct dw_read) { .after = dw_position_said(1, 0, 0) });
	kit_deaf = EDGE;
	kit_say(SENDER, &(struct dw_wire) { .kind = DW_PING });
	publish_as(SENDER, (struct dw_publish) { .corr = 1 });
	pass(1);
	forget_said();
	assert_true(peer_find(&hub, EDGE)->stalled);
	assert_int_equal(1, hub.waiting);
	pass(60 * SECOND);
	(void)publishes();
	told_nothing(EDGE);
	kit_deaf = UINT32_MAX;
	kit_drained = EDGE;
	(void)kit_turn();
	pass(1);
	assert_string_equal("2 3", seqs_of(told(EDGE, DW_RECORDS)->records.records));
	assert_int_equal(0, hub.waiting);
}

/* It waited for the room, and its edge cannot take the answer when that is there. */
static void
test_a_read_of_one_that_does_not_read(void **state)
{
	(void)state;
	(void)publishes();
	read_as(EDGE, by_ann((struct dw_read) { .corr = 4, .wait_ms = 30 * SECOND }));
	kit_deaf = EDGE;
	told_nothing(EDGE);
	assert_int_equal(1, hub.waiting);
	kit_deaf = UINT32_MAX;
	kit_drained = EDGE;
	(void)kit_turn();
	pass(1);
	assert_string_equal("1", seqs_of(told(EDGE, DW_RECORDS)->records.records));
	assert_int_equal(0, hub.waiting);
}

/* Rights may go while it waits. */
static void
test_a_poll_of_one_who_is_shut_out(void **state)
{
	(void)state;
	(void)publishes();
	polls((struct dw_read) { .after = dw_position_said(1, 0, 0) });
	owns("deny", "ann");
	(void)publishes();
	assert_int_equal(-DW_E_DENIED, told(EDGE, DW_RECORDS)->records.code);
	assert_int_equal(0, hub.waiting);
}

static void
test_a_poll_whose_edge_goes(void **state)
{
	(void)state;
	(void)publishes();
	polls((struct dw_read) { .after = dw_position_said(1, 0, 0) });
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_BYE });
	kit_settle();
	assert_int_equal(0, hub.waiting);
	(void)publishes();
}

/* Who asked goes while the engine is asked: the room is not held for it. */
static void
test_whose_edge_goes_while_it_is_looked_up(void **state)
{
	(void)state;
	for (int i = 0; i < LIMIT + 3; i++)
		(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("ann") });
	(void)reads((struct dw_read) { .limit = 1 });
	read_as(EDGE, by_ann((struct dw_read) { .after = dw_position_said(2, 0, 0), .limit = 2 }));
	assert_int_equal(1, peer_find(&hub, EDGE)->pending);
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_BYE });
	kit_settle();
	assert_int_equal(0, hub.staged_bytes);
	kit_options.memory_limit = 0;
	kit_settle();
	assert_int_equal(0, hub.resident_count);
}

/* A page that ends before what is missing says nothing of that. */
static void
test_a_gap_behind_the_page(void **state)
{
	const struct dw_records *records;

	(void)state;
	for (int i = 0; i < 2; i++)
		(void)publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("ann") });
	publish_many(LIMIT + 2); /* 3 to 9, of which 5 to 9 stay */
	records = reads((struct dw_read) { .after = dw_position_said(1, 0, 0), .limit = 1 });
	assert_string_equal("2", seqs_of(records->records));
	assert_gap(0, 0, DW_GAP_NONE, records->gap);
	records = reads((struct dw_read) { .after = records->last, .limit = 1 });
	assert_gap(1, 2, DW_GAP_LIMIT, records->gap);
	assert_string_equal("5", seqs_of(records->records));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_pages),
		TALK(test_gaps),
		TALK(test_gaps_of_direct_ones),
		TALK(test_a_page_between),
		TALK(test_reset),
		TALK(test_refused),
		TALK(test_for_a_session),
		TALK(test_gaps_of_a_session),
		TALK(test_a_poll),
		TALK(test_a_poll_is_over),
		TALK(test_a_poll_of_one_that_does_not_read),
		TALK(test_a_read_of_one_that_does_not_read),
		TALK(test_a_poll_of_one_who_is_shut_out),
		TALK(test_a_poll_whose_edge_goes),
		TALK(test_whose_edge_goes_while_it_is_looked_up),
		TALK(test_a_gap_behind_the_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
