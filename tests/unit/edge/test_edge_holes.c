/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* What is not for all, not for ever, or no more: each client hears what is its own, and is told once what it lacks. */
#include "../../lib/edge_kit.h"

static struct dw_record
direct_record(uint64_t seq, uint64_t n, const char *to, uint64_t own)
{
	struct dw_record record = a_record(seq, n);

	record.to = dw_str(to);
	record.own = own;
	return record;
}

static void
a_session_that_is_excepted_hears_what_follows(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	struct dw_record record = a_record(11, 6);

	record.except = ann->conn->session;
	bring("123", record);
	bring("123", a_record(12, 7));
	assert_hears(ann, "a_update", "\"seq\":12");
	assert_hears_nothing(ann);
	assert_hears(bob, "a_update", "\"seq\":11");
	assert_hears(bob, "a_update", "\"seq\":12");
	assert_position(watches(ann, "123")->at, 12, 7, 0);
}

static void
a_direct_message_is_for_its_user_alone(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));

	bring("123", direct_record(11, 5, "ann", 1));
	assert_hears(ann, "a_update", "\"seq\":11,\"direct\":true,\"direct_n\":1");
	assert_hears_nothing(bob);
	bring("123", a_record(12, 6));
	assert_hears(ann, "a_update", "\"seq\":12,\"n\":6");
	assert_hears(bob, "a_update", "\"seq\":12,\"n\":6");
	assert_position(watches(ann, "123")->at, 12, 6, 1);
	assert_position(watches(bob, "123")->at, 12, 6, 0);
	assert_hears_nothing(ann);
	assert_hears_nothing(bob);
	assert_asked_nothing();
}

/* The one before it is missing, and the hub alone knows why. */
static void
a_direct_message_whose_predecessor_is_missing_is_asked_about(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	const struct dw_record record = direct_record(11, 5, "ann", 3);
	struct dw_read read;

	bring("123", record);
	assert_hears_nothing(ann);
	read = asked(DW_READ).read;
	assert_position(read.after, 10, 5, 0);
	feed(&read, (struct dw_records) { .direct = { 1, 2, DW_GAP_LIMIT }, .last = dw_position_said(11, 5, 3) }, &record,
		1);
	assert_hears(ann, "gap", "{\"from\":1,\"to\":2,\"count\":2,\"reason\":\"limit\",\"direct\":true}");
	assert_hears(ann, "a_update", "\"direct_n\":3");
	bring("123", a_record(12, 6));
	assert_hears(ann, "a_update", "\"seq\":12");
	assert_hears(bob, "a_update", "\"seq\":12");
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

static void
what_expires_is_told_as_a_gap(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	struct dw_record record = a_record(11, 6), direct = direct_record(12, 6, "ann", 1);

	record.expires_at = WALL + mono + 5000;
	direct.expires_at = WALL + mono + 5000;
	ann->space = 1; /* it reads them when they are over their time */
	says(ann, "{\"type\":\"ping\"}");
	bring("123", record);
	bring("123", direct);
	assert_hears(bob, "a_update", "\"seq\":11");
	pass(5000);
	drain(ann, NEVER_STALLS);
	assert_hears(ann, "pong", "");
	assert_hears(ann, "gap", "{\"from\":6,\"to\":6,\"count\":1,\"reason\":\"expired\"}");
	assert_hears(ann, "gap", "{\"from\":1,\"to\":1,\"count\":1,\"reason\":\"expired\",\"direct\":true}");
	assert_hears_nothing(ann);
	assert_hears_nothing(bob);
	/* One that comes dead is a gap for all who would have got it. */
	record = a_record(13, 7);
	record.expires_at = WALL + mono;
	record.except = bob->conn->session;
	bring("123", record);
	assert_hears(ann, "gap", "{\"from\":7,\"to\":7,\"count\":1,\"reason\":\"expired\"}");
	assert_hears_nothing(bob);
	record = a_record(14, 8);
	record.type = DW_STR("");
	record.expires_at = WALL + mono;
	bring("123", record);
	assert_hears(ann, "gap", "{\"from\":8,\"to\":8,\"count\":1,\"reason\":\"expired\"}");
	assert_hears(bob, "gap", "{\"from\":8,\"to\":8,\"count\":1,\"reason\":\"expired\"}");
	direct = direct_record(15, 8, "ann", 2);
	direct.type = DW_STR("");
	direct.expires_at = WALL + mono;
	bring("123", direct);
	assert_hears(ann, "gap", "{\"from\":2,\"to\":2,\"count\":1,\"reason\":\"expired\",\"direct\":true}");
	assert_hears_nothing(bob);
}

/* A tombstone of a direct message that is not retained: its user asks what it lacks. */
static void
a_direct_message_that_is_no_more_is_asked_about(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	struct dw_record record = direct_record(11, 5, "ann", 1);
	struct dw_read read;

	record.type = DW_STR("");
	bring("123", record);
	assert_hears_nothing(ann);
	read = asked(DW_READ).read;
	feed(&read, (struct dw_records) { .direct = { 1, 1, DW_GAP_LIMIT }, .last = dw_position_said(11, 5, 1) }, NULL, 0);
	assert_hears(ann, "gap", "\"direct\":true");
	assert_hears_nothing(ann);
	assert_hears_nothing(bob);
	assert_asked_nothing();
}

/* Lets in one who came with after=10, with a gap from 6 up to n; returns when it has heard of that. */
static struct client *
enters_with_gap(const char *user, uint64_t n, enum dw_gap_reason reason, struct dw_position sent)
{
	struct client *client = arrive("123", "device=d&after=10", user);
	const struct dw_join join = asked(DW_JOIN).join;
	struct dw_joined joined = an_answer(&join, at(10, n));

	joined.at = at(10, 5);
	joined.resume = DW_RESUME_GAP;
	joined.gap = (struct dw_gap) { 6, n, reason };
	joined.sent = sent;
	answer(joined);
	assert_hears(client, "connect", "\"resume\":\"gap\"");
	assert_hears(client, "gap", "{\"from\":6,\"to\":");
	return client;
}

/* Numbers that jump in the hub's stream. */
static void
a_hole_is_told_once(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob;

	bring("123", a_record(20, 9));
	assert_hears(ann, "gap", "{\"from\":6,\"to\":8,\"count\":3,\"reason\":\"limit\"}");
	assert_hears(ann, "a_update", "\"seq\":20,\"n\":9");
	assert_hears_nothing(ann);
	/* One who has been told a part of it when it joined is told the rest. */
	bob = enters_with_gap("bob", 7, DW_GAP_EXPIRED, at(20, 9));
	assert_hears(bob, "gap", "{\"from\":8,\"to\":8,\"count\":1,\"reason\":\"limit\"}");
	assert_hears(bob, "a_update", "\"seq\":20,\"n\":9");
	assert_hears_nothing(bob);
	bring("123", a_record(21, 10));
	assert_hears(ann, "a_update", "\"seq\":21");
	assert_hears(bob, "a_update", "\"seq\":21");
	assert_hears_nothing(ann);
	assert_hears_nothing(bob);
}

/* The hub has them no longer, and the ring still has. */
static void
what_was_told_as_a_gap_is_not_given(void)
{
	struct client *bob;

	(void)enters("123", "", "ann", at(10, 5));
	bring_some("123", 11, 6, 3);
	bob = enters_with_gap("bob", 7, DW_GAP_LIMIT, at(13, 8));
	assert_hears(bob, "a_update", "\"seq\":13,\"n\":8");
	assert_hears_nothing(bob);
}

/* Direct messages are missing, and the hub does not say whose: each reader asks, once. */
static void
what_nobody_knows_of_each_asks_about(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	const struct dw_record record = a_record(15, 6);
	struct dw_read reads[2];

	said(&(struct dw_wire) { .kind = DW_MESSAGES,
		.messages = { .room = DW_STR("123"), .prev = at(10, 5), .ask = true, .records = records_of(&record, 1) } });
	reads[0] = asked(DW_READ).read;
	reads[1] = asked(DW_READ).read;
	assert_asked_nothing();
	assert_int_equal(reads[0].session, ann->conn->session);
	feed(&reads[0], (struct dw_records) { .direct = { 1, 2, DW_GAP_LIMIT }, .last = dw_position_said(15, 6, 2) },
		&record, 1);
	feed(&reads[1], (struct dw_records) { .last = at(15, 6) }, &record, 1);
	assert_hears(ann, "gap", "\"direct\":true");
	assert_hears(ann, "a_update", "\"seq\":15");
	assert_hears(bob, "a_update", "\"seq\":15");
	bring("123", a_record(16, 7));
	assert_hears(ann, "a_update", "\"seq\":16");
	assert_hears(bob, "a_update", "\"seq\":16");
	assert_hears_nothing(ann);
	assert_hears_nothing(bob);
	assert_asked_nothing();
}

/* For somebody who stands further back the hub sends it once more: those who have it hear nothing. */
static void
a_stream_that_is_set_back_is_passed_over_by_those_who_have_it(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob;
	struct dw_join join;

	bring_some("123", 11, 6, 2);
	assert_hears(ann, "a_update", "\"seq\":11");
	assert_hears(ann, "a_update", "\"seq\":12");
	bob = arrive("123", "after=8", "bob");
	join = asked(DW_JOIN).join;
	answer(an_answer(&join, at(8, 3)));
	assert_hears(bob, "connect", "");
	assert_hears_nothing(bob);
	for (uint64_t seq = 9; seq <= 13; seq++)
		bring("123", a_record(seq, seq - 5));
	for (unsigned i = 0; i < 5; i++)
		assert_hears(bob, "a_update", "");
	assert_hears_nothing(bob);
	assert_hears(ann, "a_update", "\"seq\":13");
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

/* What lies between where it stands and where it goes on the hub has no longer. */
static void
a_stream_that_goes_on_further_leaves_a_hole_to_ask_about(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = arrive("123", "after=new", "bob");
	const struct dw_join join = asked(DW_JOIN).join;
	struct dw_read read;

	answer(an_answer(&join, at(30, 9)));
	assert_hears(bob, "connect", "");
	assert_hears_nothing(bob);
	read = asked(DW_READ).read;
	assert_int_equal(read.session, ann->conn->session);
	feed(&read, (struct dw_records) { .gap = { 6, 9, DW_GAP_EXPIRED }, .last = at(30, 9) }, NULL, 0);
	assert_hears(ann, "gap", "{\"from\":6,\"to\":9,\"count\":4,\"reason\":\"expired\"}");
	bring("123", a_record(31, 10));
	assert_hears(ann, "a_update", "\"seq\":31");
	assert_hears(bob, "a_update", "\"seq\":31");
	assert_hears_nothing(ann);
}

/* What was fed of what is not for it, or over its time. */
static void
what_is_fed_is_judged_as_what_is_streamed(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	struct dw_record records[] = { direct_record(11, 5, "ann", 2), a_record(12, 6), a_record(13, 7),
		direct_record(14, 7, "ann", 3) };
	struct dw_read read;

	bring("123", records[0]);
	read = asked(DW_READ).read;
	records[1].except = ann->conn->session;
	records[2].expires_at = WALL + mono;
	feed(&read, (struct dw_records) { .direct = { 1, 1, DW_GAP_LIMIT }, .last = dw_position_said(14, 7, 3) }, records,
		4);
	assert_hears(ann, "gap", "{\"from\":1,\"to\":1,\"count\":1,\"reason\":\"limit\",\"direct\":true}");
	assert_hears(ann, "a_update", "\"direct_n\":2");
	assert_hears(ann, "gap", "{\"from\":7,\"to\":7,\"count\":1,\"reason\":\"expired\"}");
	assert_hears(ann, "a_update", "\"direct_n\":3");
	assert_hears_nothing(ann);
	/* And the stream brings those behind the first once more. */
	for (size_t i = 1; i < 4; i++)
		bring("123", records[i]);
	bring("123", a_record(15, 8));
	assert_hears(ann, "a_update", "\"seq\":15");
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

/* Of two gaps with nothing confirmed between them the run begins behind the first, and once that is proven behind the
 * second.
 */
static void
a_second_gap_begins_the_run_anew(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(10, 5));
	struct dw_confirm confirm;
	struct dw_leave leave;

	bring("123", a_record(20, 9));
	bring("123", a_record(30, 15));
	assert_int_equal(hears_all(ann), 4);
	assert_int_equal(watches(ann, "123")->numbered.begun, 8);
	pass(CONFIRM_MS);
	(void)hears_all(ann);
	pong(ann);
	pass(100);
	confirm = asked(DW_CONFIRM).confirm;
	assert_position(confirm.at, 30, 15, 0);
	assert_true(confirm.anew);
	assert_int_equal(confirm.begun.n, 14);
	leaves(ann);
	leave = asked(DW_LEAVE).leave;
	assert_int_equal(leave.begun.n, 14);
}

/* Fed beyond the stream, it gets a direct message that the stream brings behind: its PING there is not for it. */
static void
a_direct_message_behind_what_was_told_has_a_ping_of_its_own(void)
{
	struct client *ann = enters_with_gap("ann", 8, DW_GAP_LIMIT, at(10, 5));

	pass(CONFIRM_MS);
	bring("123", direct_record(11, 5, "ann", 1));
	assert_hears(ann, "a_update", "\"direct_n\":1");
	pass(CONFIRM_MS);
	assert_hears_nothing(ann);
	pong(ann);
	pass(100);
	assert_position(asked(DW_CONFIRM).confirm.at, 11, 8, 1);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(a_session_that_is_excepted_hears_what_follows),
		TEST(a_direct_message_is_for_its_user_alone),
		TEST(a_direct_message_whose_predecessor_is_missing_is_asked_about),
		TEST(what_expires_is_told_as_a_gap),
		TEST(a_direct_message_that_is_no_more_is_asked_about),
		TEST(a_hole_is_told_once),
		TEST(what_was_told_as_a_gap_is_not_given),
		TEST(what_nobody_knows_of_each_asks_about),
		TEST(a_stream_that_is_set_back_is_passed_over_by_those_who_have_it),
		TEST(a_stream_that_goes_on_further_leaves_a_hole_to_ask_about),
		TEST(a_second_gap_begins_the_run_anew),
		TEST(a_direct_message_behind_what_was_told_has_a_ping_of_its_own),
		TEST(what_is_fed_is_judged_as_what_is_streamed),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
