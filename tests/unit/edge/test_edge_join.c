/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* Coming to a room: what the hub is asked, what the client hears, how long it waits, and what ends it. */
#include <stdio.h>

#include "../../lib/edge_kit.h"

static void
connect_is_the_first_that_is_heard(void)
{
	struct client *ann = arrive("123", "device=phone&after=7&epoch=e1", "ann");
	const struct dw_join join = asked(DW_JOIN).join;
	struct dw_joined joined = an_answer(&join, at(7, 3));
	char part[256];

	assert_text(join.room, "123");
	assert_text(join.user, "ann");
	assert_text(join.device, "phone");
	assert_text(join.epoch, "e1");
	assert_int_equal(join.flags, DW_JOIN_AFTER);
	assert_position(join.after, 7, 0, 0);
	assert_hears_nothing(ann);
	joined.head = 9;
	joined.oldest = 2;
	joined.replaying = 2;
	answer(joined);
	(void)snprintf(part, sizeof(part),
		"\"diagnosis_id\":123,\"user_id\":\"ann\",\"device\":\"phone\",\"session\":\"%016llx\",\"epoch\":\"aaaa\","
		"\"head\":9,"
		"\"oldest\":2,\"resume\":\"exact\",\"replaying\":2}",
		(unsigned long long)join.session);
	assert_hears(ann, "connect", part);
	bring_some("123", 8, 4, 2);
	assert_hears(ann, "a_update", "\"seq\":8,\"n\":4");
	assert_hears(ann, "a_update", "\"seq\":9,\"n\":5");
	assert_hears_nothing(ann);
	assert_asked_nothing();
}

static void
what_comes_before_its_own_answer_is_heard_behind_connect(void)
{
	struct client *ann, *bob;
	struct dw_join join;

	(void)enters("123", "", "eve", at(10, 5));
	ann = arrive("123", "after=new", "ann");
	join = asked(DW_JOIN).join;
	assert_int_equal(join.flags, DW_JOIN_DERIVED | DW_JOIN_NEW | DW_JOIN_HAVE);
	assert_position(join.have, 10, 5, 0);
	bring_some("123", 11, 6, 2);
	assert_hears_nothing(ann);
	answer((struct dw_joined) { .corr = join.corr,
		.session = join.session,
		.room = join.room,
		.resume = DW_RESUME_NEW,
		.at = at(11, 6),
		.from = at(11, 6),
		.sent = at(12, 7) });
	assert_hears(ann, "connect", "\"resume\":\"new\"");
	assert_hears(ann, "a_update", "\"seq\":12");
	assert_hears_nothing(ann);
	bob = arrive("123", "", "bob");
	join = asked(DW_JOIN).join;
	assert_int_equal(join.flags, DW_JOIN_DERIVED | DW_JOIN_HAVE);
	leaves(bob);
	assert_int_equal(asked(DW_LEAVE).leave.session, join.session);
}

static void
a_gap_is_told_behind_connect(void)
{
	struct client *ann = arrive("123", "after=1&device=phone", "ann");
	const struct dw_join join = asked(DW_JOIN).join;
	struct dw_joined joined = an_answer(&join, dw_position_said(8, 4, 2));

	joined.at = at(1, 1);
	joined.resume = DW_RESUME_GAP;
	joined.gap = (struct dw_gap) { 2, 4, DW_GAP_LIMIT };
	joined.direct = (struct dw_gap) { 1, 2, DW_GAP_EXPIRED };
	joined.sent = at(8, 4);
	answer(joined);
	assert_hears(ann, "connect", "\"resume\":\"gap\"");
	assert_hears(ann, "gap", "{\"from\":1,\"to\":2,\"count\":2,\"reason\":\"expired\",\"direct\":true}");
	assert_hears(ann, "gap", "{\"from\":2,\"to\":4,\"count\":3,\"reason\":\"limit\"}");
	assert_hears_nothing(ann);
	assert_position(watches(ann, "123")->confirmed, 1, 1, 0);
	/* Nothing follows whose PING would confirm it: it has one of its own. */
	assert_int_equal(ann->pings, 1);
	pong(ann);
	pass(100);
	assert_position(asked(DW_CONFIRM).confirm.at, 8, 4, 2);
}

static void
denied_is_told_no_sooner_than_another(void)
{
	struct client *ann = arrive("123", "", "ann");
	const struct dw_join join = asked(DW_JOIN).join;

	refuse(&join, DW_E_DENIED);
	pass(DW_HTTP_DENY_MS - 1);
	assert_false(ann->closing);
	pass(1);
	assert_closes(ann, 1008, "access denied");
	assert_hears_nothing(ann);
	leaves(ann);
	assert_asked_nothing();
}

static void
a_busy_hub_is_asked_again(void)
{
	struct client *ann = arrive("123", "after=4", "ann");
	struct dw_join join = asked(DW_JOIN).join, again;

	refuse(&join, DW_E_BUSY);
	pass(199);
	assert_asked_nothing();
	pass(1);
	again = asked(DW_JOIN).join;
	assert_int_equal(again.session, join.session);
	assert_int_not_equal(again.corr, join.corr);
	assert_position(again.after, 4, 0, 0);
	/* The answer to the first one is none. */
	answer(an_answer(&join, at(4, 2)));
	assert_hears_nothing(ann);
	answer(an_answer(&again, at(4, 2)));
	assert_hears(ann, "connect", "exact");
}

static void
a_hub_that_is_away_is_waited_for(void)
{
	struct client *ann;
	struct dw_join join;

	hub.up = false;
	ann = arrive("123", "", "ann");
	pass(4999);
	assert_stays(ann);
	pass(1);
	assert_closes(ann, 1013, "try again later");
	leaves(ann);
	ann = arrive("123", "", "ann");
	pass(3000);
	hub_comes("aaaa");
	join = asked(DW_JOIN).join;
	answer(an_answer(&join, at(0, 0)));
	assert_hears(ann, "connect", "exact");
	pass(5000);
	assert_stays(ann);
}

/* A hub that counts it is told that it left, and again until it surely knows. */
static void
an_answer_that_comes_too_late_is_none(void)
{
	struct client *ann = arrive("123", "device=phone", "ann");
	const struct dw_join join = asked(DW_JOIN).join;

	pass(5000);
	assert_closes(ann, 1013, "try again later");
	answer(an_answer(&join, at(4, 2)));
	assert_hears_nothing(ann);
	leaves(ann);
	assert_int_equal(asked(DW_LEAVE).leave.session, join.session);
	assert_nobody_departed();
}

static void
another_error_of_the_hub_is_no_room(void)
{
	struct client *ann = arrive("123", "", "ann");
	const struct dw_join join = asked(DW_JOIN).join;

	refuse(&join, DW_E_NOMEM);
	assert_closes(ann, 1013, "try again later");
}

static void
who_leaves_is_left_with_what_it_has(void)
{
	struct client *ann = enters("123", "device=phone", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	const uint64_t session = ann->conn->session;
	struct dw_leave leave;

	bring_some("123", 11, 6, 1);
	assert_hears(ann, "a_update", "\"seq\":11");
	assert_hears_nothing(ann);
	pong(ann);
	leaves(ann);
	leave = asked(DW_LEAVE).leave;
	assert_int_equal(leave.session, session);
	assert_text(leave.room, "123");
	assert_position(leave.at, 11, 6, 0);
	assert_int_equal(leave.begun.n, 5);
	assert_false(leave.sure);
	assert_int_equal(leave.user.n, 0);
	leave = departed();
	assert_text(leave.user, "ann");
	assert_text(leave.device, "phone");
	assert_position(leave.at, 11, 6, 0);
	/* Of a derived device nothing is kept. */
	leaves(bob);
	assert_position(asked(DW_LEAVE).leave.at, 10, 5, 0);
	assert_nobody_departed();
	assert_null(room_find(&edge, dw_str("123")));
}

static void
many_of_one_user_are_too_many(void)
{
	struct client *third;

	edge.config.max_user_connections = 2;
	(void)enters("123", "", "ann", at(0, 0));
	(void)enters("123", "", "ann", at(0, 0));
	third = arrive("123", "", "ann");
	assert_closes(third, 1008, "rate limit");
	assert_asked_nothing();
	(void)enters("123", "", "bob", at(0, 0));
	leaves(client_at(0));
	(void)asked(DW_LEAVE);
	(void)enters("123", "", "ann", at(0, 0));
}

static void
an_edge_that_ends_takes_nobody(void)
{
	edge.draining = true;
	assert_closes(arrive("123", "", "ann"), 1012, "service restart");
	assert_asked_nothing();
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(connect_is_the_first_that_is_heard),
		TEST(what_comes_before_its_own_answer_is_heard_behind_connect),
		TEST(a_gap_is_told_behind_connect),
		TEST(denied_is_told_no_sooner_than_another),
		TEST(a_busy_hub_is_asked_again),
		TEST(a_hub_that_is_away_is_waited_for),
		TEST(an_answer_that_comes_too_late_is_none),
		TEST(another_error_of_the_hub_is_no_room),
		TEST(who_leaves_is_left_with_what_it_has),
		TEST(many_of_one_user_are_too_many),
		TEST(an_edge_that_ends_takes_nobody),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
