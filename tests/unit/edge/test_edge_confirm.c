/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* What proves that a client has received something: the PONGs to our PINGs, and its own `ack`; nothing else does. */
#include "../../lib/edge_kit.h"

static struct dw_confirm
confirmed(void)
{
	pass(100);
	return asked(DW_CONFIRM).confirm;
}

static void
assert_nothing_is_confirmed(void)
{
	pass(200);
	assert_asked_nothing();
}

static void
a_pong_confirms_what_was_before_its_ping(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));
	struct dw_confirm confirm;

	bring_some("123", 11, 6, 1);
	(void)hears_all(ann);
	(void)hears_all(bob);
	assert_int_equal(ann->pings, 1);
	bring_some("123", 12, 7, 1); /* its PING has to wait */
	(void)hears_all(ann);
	assert_int_equal(ann->pings, 1);
	pong(ann);
	pong(bob);
	confirm = confirmed();
	assert_text(confirm.room, "123");
	assert_position(confirm.at, 11, 6, 0);
	assert_false(confirm.sure);
	assert_int_equal(confirm.sessions.n, 16); /* both at once */
	assert_asked_nothing();
	pass(CONFIRM_MS);
	(void)hears_all(ann);
	assert_int_equal(ann->pings, 2);
	pong(ann);
	assert_position(confirmed().at, 12, 7, 0);
	pong(ann);
	assert_nothing_is_confirmed();
}

static void
a_forged_pong_moves_nothing(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *eve = enters("124", "", "eve", at(10, 5));

	bring_some("123", 11, 6, 1);
	(void)hears_all(ann);
	for (size_t i = 0; i < ann->ping.len; i++) {
		ann->ping.data[i] ^= 1;
		pong(ann);
		ann->ping.data[i] ^= 1;
	}
	(void)ws_pong(ann->conn, ann->ping.data, ann->ping.len - 1);
	(void)ws_pong(ann->conn, "", 0);
	/* One of another room is none of this. */
	bring_some("124", 11, 6, 1);
	(void)hears_all(eve);
	(void)ws_pong(ann->conn, eve->ping.data, eve->ping.len);
	(void)ws_pong(eve->conn, ann->ping.data, ann->ping.len);
	assert_nothing_is_confirmed();
	pong(ann);
	assert_position(confirmed().at, 11, 6, 0);
}

/* A PING that it cannot have been sent yet: another has told it. */
static void
a_pong_ahead_of_what_was_written_moves_nothing(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5)), *bob = enters("123", "", "bob", at(10, 5));

	ann->space = 1;
	says(ann, "{\"type\":\"ping\"}");
	bring_some("123", 11, 6, 1);
	(void)hears_all(bob);
	(void)ws_pong(ann->conn, bob->ping.data, bob->ping.len);
	assert_nothing_is_confirmed();
	drain(ann, NEVER_STALLS);
	(void)ws_pong(ann->conn, bob->ping.data, bob->ping.len);
	assert_position(confirmed().at, 11, 6, 0);
}

static void
with_several_rooms_a_counter_confirms_all_of_them(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	unsigned pings;
	struct dw_confirm confirm;

	subscribes(ann, "124", at(3, 1)); /* that is the first PING's time */
	(void)hears_all(ann);
	pong(ann);
	bring_some("123", 11, 6, 1);
	bring_some("124", 4, 2, 1);
	pass(CONFIRM_MS);
	(void)hears_all(ann);
	pings = ann->pings;
	assert_int_equal(ann->ping.len, 9);
	/* No other follows before it is answered. */
	bring_some("124", 5, 3, 1);
	pass(1000);
	(void)hears_all(ann);
	assert_int_equal(ann->pings, pings);
	ann->ping.data[8]++;
	pong(ann);
	assert_asked_nothing();
	ann->ping.data[8]--;
	pong(ann);
	confirm = confirmed();
	assert_int_equal(dw_str_is(confirm.room, "123") ? 11 : 4, dw_seq(confirm.at));
	confirm = asked(DW_CONFIRM).confirm;
	assert_int_equal(dw_str_is(confirm.room, "123") ? 11 : 4, dw_seq(confirm.at));
	(void)hears_all(ann);
	assert_int_equal(ann->pings, pings + 1);
	pong(ann);
	confirm = confirmed();
	assert_text(confirm.room, "124");
	assert_position(confirm.at, 5, 3, 0);
}

/* A direct message ahead of the stream's PINGs is confirmed by one of the connection's own. */
static void
what_was_fed_is_confirmed_with_what_was_noted_of_it(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	struct dw_record record = a_record(11, 5);
	struct dw_read read;
	struct dw_confirm confirm;

	record.to = DW_STR("ann");
	record.own = 4;
	bring("123", record);
	read = asked(DW_READ).read;
	feed(&read, (struct dw_records) { .direct = { 1, 3, DW_GAP_LIMIT }, .last = dw_position_said(11, 5, 4) }, &record,
		1);
	pass(CONFIRM_MS);
	(void)hears_all(ann);
	pong(ann);
	confirm = confirmed();
	assert_position(confirm.at, 11, 5, 4);
	/* Behind the gap that it was told it began to read again. */
	assert_true(confirm.anew);
	assert_int_equal(confirm.begun.n, 5);
	assert_int_equal(confirm.begun.own, 3);
}

static void
who_acknowledges_itself_is_believed_nothing_else(void)
{
	struct client *ann = enters("123", "ack=client&device=d", "ann", at(10, 5));
	struct dw_confirm confirm;
	struct dw_leave leave;

	bring_some("123", 11, 6, 4);
	pass(CONFIRM_MS);
	(void)hears_all(ann);
	pong(ann);
	assert_nothing_is_confirmed();
	says(ann, "{\"type\":\"ack\",\"seq\":12}");
	confirm = confirmed();
	assert_true(confirm.sure);
	assert_position(confirm.at, 12, 7, 0);
	says(ann, "{\"type\":\"ack\",\"seq\":11}");
	says(ann, "{\"type\":\"ack\",\"seq\":12}");
	assert_nothing_is_confirmed();
	says(ann, "{\"type\":\"ack\",\"seq\":15}");
	assert_refused(ann, "invalid_field", "seq", "nothing with this seq was sent");
	assert_nothing_is_confirmed();
	says(ann, "{\"type\":\"ack\",\"seq\":14,\"diagnosis_id\":123}");
	leaves(ann);
	leave = asked(DW_LEAVE).leave;
	assert_true(leave.sure);
	assert_position(leave.at, 14, 9, 0);
	assert_position(departed().at, 14, 9, 0);
	assert_nobody_departed();
}

/* Its stack has confirmed more than it has itself, which is worth more: both are told, and both are kept. */
static void
an_ack_behind_a_pong_is_told_too(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(10, 5));
	struct dw_confirm confirm;
	struct dw_leave leave;

	bring_some("123", 11, 6, 3);
	pass(CONFIRM_MS);
	(void)hears_all(ann);
	pong(ann);
	says(ann, "{\"type\":\"ack\",\"seq\":12}");
	confirm = confirmed();
	assert_true(confirm.sure);
	assert_position(confirm.at, 12, 7, 0);
	confirm = asked(DW_CONFIRM).confirm;
	assert_false(confirm.sure);
	assert_position(confirm.at, 13, 8, 0);
	says(ann, "{\"type\":\"ack\",\"seq\":13}");
	bring_some("123", 14, 9, 1);
	pass(CONFIRM_MS);
	(void)hears_all(ann);
	(void)asked(DW_CONFIRM);
	pong(ann);
	says(ann, "{\"type\":\"ack\",\"seq\":13}");
	bring_some("123", 15, 10, 1);
	says(ann, "{\"type\":\"ack\",\"seq\":14}");
	pass(CONFIRM_MS);
	while (hub.asked.read < hub.asked.written)
		(void)asked(DW_CONFIRM);
	(void)hears_all(ann);
	pong(ann);
	leaves(ann);
	leave = asked(DW_LEAVE).leave;
	assert_false(leave.sure);
	assert_position(leave.at, 15, 10, 0);
	leave = departed();
	assert_true(leave.sure);
	assert_position(leave.at, 14, 9, 0);
	assert_position(departed().at, 15, 10, 0);
}

/* What it acknowledged last is told before it leaves. */
static void
an_ack_is_told_before_its_leave(void)
{
	struct client *ann = enters("123", "device=d", "ann", at(10, 5));

	bring_some("123", 11, 6, 2);
	(void)hears_all(ann);
	says(ann, "{\"type\":\"ack\",\"seq\":11}");
	leaves(ann);
	assert_position(asked(DW_CONFIRM).confirm.at, 11, 6, 0);
	assert_position(asked(DW_LEAVE).leave.at, 10, 5, 0);
}

/* The gap that it was told with `connect` is proven by its `ack` of what is behind it. */
static void
an_ack_proves_a_gap_that_was_told(void)
{
	struct client *ann = arrive("123", "ack=client&after=1", "ann");
	const struct dw_join join = asked(DW_JOIN).join;
	struct dw_joined joined = an_answer(&join, at(8, 4));

	joined.at = at(1, 1);
	joined.resume = DW_RESUME_GAP;
	joined.gap = (struct dw_gap) { 2, 4, DW_GAP_LIMIT };
	answer(joined);
	assert_int_equal(hears_all(ann), 2);
	assert_int_equal(ann->pings, 0);
	says(ann, "{\"type\":\"ack\",\"seq\":7}");
	assert_nothing_is_confirmed();
	says(ann, "{\"type\":\"ack\",\"seq\":8}");
	assert_position(confirmed().at, 8, 4, 0);
}

/* Many PONGs a second make PINGs rarer, few make them come again. */
static void
where_pongs_are_many_pings_become_rarer(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	bring_some("123", 11, 6, 1);
	(void)hears_all(ann);
	pong(ann);
	assert_int_equal(edge.pongs, 1);
	pong(ann); /* at once: it counts for nothing */
	assert_int_equal(edge.pongs, 1);
	pass(1000);
	edge.pongs = 4000;
	confirm_adapt(&edge, mono - 1);
	assert_int_equal(edge.confirm_ms, CONFIRM_MS);
	confirm_adapt(&edge, mono);
	assert_int_equal(edge.confirm_ms, 2 * CONFIRM_MS);
	assert_int_equal(edge.pongs, 0);
	edge.pongs = 1000000;
	confirm_adapt(&edge, mono + 1000);
	assert_int_equal(edge.confirm_ms, 1000);
	confirm_adapt(&edge, mono + 2000);
	assert_int_equal(edge.confirm_ms, CONFIRM_MS);
}

/* In a flood of them none is looked at, but for as many as a stack may send. */
static void
a_flood_of_pongs_is_no_answer(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	for (unsigned i = 0; i < 1100; i++)
		(void)ws_pong(ann->conn, "", 0);
	bring_some("123", 11, 6, 1);
	(void)hears_all(ann);
	pong(ann);
	assert_nothing_is_confirmed();
	pass(1000);
	while (hub.asked.read < hub.asked.written)
		(void)asked(DW_CONFIRM);
	pong(ann);
	assert_position(confirmed().at, 11, 6, 0);
}

/* In a large room each message asks some, by turns, and in the end all. */
static void
a_large_room_is_asked_by_turns(void)
{
	struct client *some[32];
	unsigned asked_now = 0;
	struct room *room;

	for (unsigned i = 0; i < 32; i++)
		some[i] = enters("123", "", "ann", at(10, 5));
	room = room_find(&edge, dw_str("123"));
	pass(CONFIRM_MS); /* nothing is owed */
	bring_some("123", 11, 6, 1);
	room->reader_count += 1024;
	pass(CONFIRM_MS / 2);
	bring_some("123", 12, 7, 1);
	room->reader_count -= 1024;
	for (unsigned i = 0; i < 32; i++) {
		(void)hears_all(some[i]);
		asked_now += some[i]->pings - 1;
	}
	assert_int_equal(asked_now, 16); /* half of the time: half of them */
	pass(CONFIRM_MS);
	for (unsigned i = 0; i < 32; i++) {
		(void)hears_all(some[i]);
		assert_int_equal(some[i]->pings, 2);
		pong(some[i]);
	}
	assert_position(confirmed().at, 12, 7, 0);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(a_pong_confirms_what_was_before_its_ping),
		TEST(a_forged_pong_moves_nothing),
		TEST(a_pong_ahead_of_what_was_written_moves_nothing),
		TEST(with_several_rooms_a_counter_confirms_all_of_them),
		TEST(what_was_fed_is_confirmed_with_what_was_noted_of_it),
		TEST(who_acknowledges_itself_is_believed_nothing_else),
		TEST(an_ack_behind_a_pong_is_told_too),
		TEST(an_ack_is_told_before_its_leave),
		TEST(an_ack_proves_a_gap_that_was_told),
		TEST(where_pongs_are_many_pings_become_rarer),
		TEST(a_flood_of_pongs_is_no_answer),
		TEST(a_large_room_is_asked_by_turns),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
