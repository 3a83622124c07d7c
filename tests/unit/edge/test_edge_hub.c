/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* The hub goes and comes back: whoever was here joins again from where it stands, and reads nothing before its own
 * JOINED.
 */
#include "../../lib/edge_kit.h"

static void
who_returns_says_where_it_stands(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(10, 5));
	struct dw_join join;

	bring_some("123", 11, 6, 3);
	(void)hears_all(ann);
	pong(ann);
	hub_goes();
	pass(700);
	assert_stays(ann);
	hub_comes("aaaa");
	join = asked(DW_JOIN).join;
	assert_int_equal(join.flags, DW_JOIN_RETURN | DW_JOIN_HAVE);
	assert_text(join.epoch, "aaaa");
	assert_position(join.after, 13, 8, 0);
	assert_position(join.have, 13, 8, 0);
	assert_position(join.confirmed, 11, 6, 0);
	assert_int_equal(join.begun.n, 5);
	assert_int_equal(join.age, 700);
	/* It is confirmed when the hub counts it again. */
	pass(300);
	assert_asked_nothing();
	answer(an_answer(&join, at(13, 8)));
	assert_hears_nothing(ann);
	pass(100);
	assert_position(asked(DW_CONFIRM).confirm.at, 11, 6, 0);
	bring("123", a_record(14, 9));
	assert_hears(ann, "a_update", "\"seq\":14");
	assert_hears_nothing(ann);
}

static void
who_returns_hears_nothing_before_its_own_answer(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	struct dw_join joins[2];

	hub_goes();
	hub_comes("aaaa");
	joins[0] = asked(DW_JOIN).join;
	joins[1] = asked(DW_JOIN).join;
	answer(an_answer(&joins[1], at(10, 5)));
	bring_some("123", 11, 6, 2);
	assert_hears(bob, "a_update", "\"seq\":11");
	assert_hears(bob, "a_update", "\"seq\":12");
	assert_hears_nothing(ann);
	refuse(&joins[0], DW_E_BUSY);
	pass(100);
	assert_hears_nothing(ann);
	pass(100);
	joins[0] = asked(DW_JOIN).join;
	answer((struct dw_joined) { .corr = joins[0].corr,
		.session = joins[0].session,
		.room = joins[0].room,
		.at = at(10, 5),
		.from = at(10, 5),
		.sent = at(12, 7) });
	assert_hears(ann, "a_update", "\"seq\":11");
	assert_hears(ann, "a_update", "\"seq\":12");
	assert_hears_nothing(ann);
}

static void
who_may_not_come_back_is_closed(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5)),
				  *eve = enters("123", "", "eve", at(10, 5));
	struct dw_join join;
	struct dw_joined joined;

	hub_goes();
	hub_comes("aaaa");
	join = asked(DW_JOIN).join;
	refuse(&join, DW_E_DENIED);
	assert_closes(ann, 1008, "access denied");
	join = asked(DW_JOIN).join;
	refuse(&join, DW_E_NOMEM);
	assert_closes(bob, 1013, "try again later");
	join = asked(DW_JOIN).join;
	joined = an_answer(&join, at(0, 0));
	joined.resume = DW_RESUME_RESET;
	answer(joined);
	assert_closes(eve, 1012, "service restart");
}

/* Its own messages have gone meanwhile: nothing in the ring tells, so it asks before it reads on. */
static void
who_lacks_direct_messages_asks_first(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	struct dw_join join;
	struct dw_joined joined;
	struct dw_read read;

	hub_goes();
	hub_comes("aaaa");
	join = asked(DW_JOIN).join;
	joined = an_answer(&join, at(10, 5));
	joined.direct = (struct dw_gap) { 1, 2, DW_GAP_LIMIT };
	answer(joined);
	read = asked(DW_READ).read;
	bring("123", a_record(11, 6));
	assert_hears_nothing(ann);
	feed(&read, (struct dw_records) { .direct = { 1, 2, DW_GAP_LIMIT }, .last = dw_position_said(10, 5, 2) }, NULL, 0);
	assert_hears(ann, "gap", "{\"from\":1,\"to\":2,\"count\":2,\"reason\":\"limit\",\"direct\":true}");
	assert_hears(ann, "a_update", "\"seq\":11");
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

/* What it has acknowledged itself the hub is told once more, for it may have been killed before it wrote that. */
static void
an_ack_is_told_to_the_hub_that_comes(void)
{
	struct client *ann = enters("123", "ack=client&device=d", "ann", at(10, 5));
	struct dw_join join;
	struct dw_confirm confirm;

	bring_some("123", 11, 6, 2);
	says(ann, "{\"type\":\"ack\",\"seq\":11}");
	pass(100);
	(void)asked(DW_CONFIRM);
	hub_goes();
	hub_comes("aaaa");
	join = asked(DW_JOIN).join;
	assert_int_equal(join.flags, DW_JOIN_RETURN | DW_JOIN_HAVE | DW_JOIN_SURE);
	answer(an_answer(&join, at(12, 7)));
	pass(100);
	confirm = asked(DW_CONFIRM).confirm;
	assert_true(confirm.sure);
	assert_position(confirm.at, 11, 6, 0);
}

/* What it had confirmed of it means nothing there. */
static void
a_hub_with_another_store_closes_all(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(10, 5)), *bob;
	struct dw_join join;

	bob = arrive("123", "device=e&after=4", "bob");
	(void)asked(DW_JOIN);
	bring_some("123", 11, 6, 1);
	hub_goes();
	hub_comes("bbbb");
	assert_closes(ann, 1012, "service restart");
	join = asked(DW_JOIN).join;
	assert_int_equal(join.session, bob->conn->session);
	assert_int_equal(join.flags, DW_JOIN_AFTER); /* of the room nothing is had */
	leaves(ann);
	assert_asked_nothing();
	answer(an_answer(&join, at(4, 2)));
	assert_hears(bob, "connect", "\"epoch\":\"bbbb\"");
}

static void
what_was_deferred_is_dropped_with_the_hub(void)
{
	const struct dw_record one = a_record(11, 6);

	(void)enters("123", "", "ann", at(10, 5));
	room_find(&edge, dw_str("123"))->unwritten = LIMIT_RING;
	assert_true(edge_events.said(
		&edge, &(struct dw_wire) { .kind = DW_MESSAGES,
				   .messages = { .room = DW_STR("123"), .prev = at(10, 5), .records = records_of(&one, 1) } }));
	assert_non_null(room_find(&edge, dw_str("123"))->deferred);
	hub_goes();
	assert_null(room_find(&edge, dw_str("123"))->deferred);
	assert_int_equal(edge.rooms.credit.came.messages, 0);
	room_find(&edge, dw_str("123"))->unwritten = 0;
	hub_comes("aaaa");
	/* It is sent again behind where we stood. */
	assert_position(asked(DW_JOIN).join.have, 10, 5, 0);
}

/* Fed when the hub went: what it was asked for then has no answer, and is not waited for. */
static void
who_was_fed_asks_again(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	struct dw_record record = a_record(11, 5);
	struct dw_join join;

	record.to = DW_STR("ann");
	record.own = 3;
	bring("123", record);
	(void)asked(DW_READ);
	hub_goes();
	hub_comes("aaaa");
	join = asked(DW_JOIN).join;
	assert_position(join.after, 10, 5, 0);
	answer(an_answer(&join, at(11, 5)));
	assert_position(asked(DW_READ).read.after, 10, 5, 0);
	assert_stays(ann);
}

/* What is for nobody any more, or of no kind that concerns the rooms, is passed over. */
static void
what_is_for_nobody_is_passed_over(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	const struct dw_join none = { .corr = 7, .session = 7, .room = DW_STR("9") };

	answer(an_answer(&none, at(3, 3)));
	feed(&(struct dw_read) { .corr = 7, .room = DW_STR("123") }, (struct dw_records) { 0 }, NULL, 0);
	said(&(struct dw_wire) { .kind = DW_CLOSE, .close = { .session = 7, .room = DW_STR("123"), .code = 4001 } });
	said(&(struct dw_wire) { .kind = DW_SHUTDOWN });
	assert_stays(ann);
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(who_returns_says_where_it_stands),
		TEST(who_returns_hears_nothing_before_its_own_answer),
		TEST(who_may_not_come_back_is_closed),
		TEST(who_lacks_direct_messages_asks_first),
		TEST(an_ack_is_told_to_the_hub_that_comes),
		TEST(a_hub_with_another_store_closes_all),
		TEST(what_was_deferred_is_dropped_with_the_hub),
		TEST(who_was_fed_asks_again),
		TEST(what_is_for_nobody_is_passed_over),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
