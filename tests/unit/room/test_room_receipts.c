/* links: lib/room/room.c lib/room/member.c lib/room/join.c lib/room/session.c lib/room/confirm.c lib/room/read.c */
/* links: lib/room/queued.c lib/base/ring.c */
/* links: lib/base/hash.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/store/engine.c */
/* libs: msgpack */
/* What follows from confirmations: where a device resumes, who has been delivered what; what is excepted. */
#include "room_kit.h"

/* Behind which n the device goes on when it comes back now. */
static uint64_t
resumes_behind(const char *device)
{
	struct dw_session *session = visit(99, device, 0, 0);

	leave(session);
	return dw_n(joined.from);
}

static struct dw_receipts
receipts(uint64_t n, uint64_t except)
{
	return dw_room_receipts(room, (struct dw_number) { n * 10, n, 0 }, DW_STR(""), except);
}

/* To how many devices; where nothing direct was published. */
static uint64_t
delivered(uint64_t n)
{
	return receipts(n, 0).delivered;
}

/* Of one to a user. */
static uint64_t
delivered_to(const char *user, uint64_t seq, uint64_t n, uint64_t own)
{
	return dw_room_receipts(room, (struct dw_number) { seq, n, own }, dw_str(user), 0).delivered;
}

static void
test_resumes_from_five_seconds_before_the_end(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(3);
	confirm(session, 10, 1, false);
	pass(3000);
	confirm(session, 20, 2, false);
	pass(2500);
	confirm(session, 30, 3, false);
	assert_int_equal(dw_seq(session->device->at), 30);
	leave(session);
	/* 5.5 s, 2.5 s and 0 s ago. */
	assert_int_equal(resumes_behind("phone"), 1);
	pass(60000);
	assert_int_equal(resumes_behind("phone"), 1);
}

static void
test_resumes_from_the_newest_that_is_old_enough(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(5);
	for (unsigned i = 1; i <= 5; i++) {
		pass(250);
		confirm(session, i * 10, i, false);
	}
	pass(DW_OVERLAP_MS);
	leave(session);
	assert_int_equal(resumes_behind("phone"), 5);
}

static void
test_a_long_stream_overlaps_by_six_seconds_at_most(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);
	const struct dw_device *device = session->device;

	for (unsigned i = 1; i <= 200; i++) {
		publish("", 0, 0);
		pass(250);
		confirm(session, i * 10, i, false);
	}
	leave(session);
	/* 4 messages a second. */
	assert_in_range(dw_seq(device->resume), (200 - 6 * 4) * 10, (200 - 5 * 4) * 10);
}

static void
test_one_that_always_goes_within_seconds_gets_on(void)
{
	for (unsigned i = 1; i <= 5; i++) {
		struct dw_session *session;

		publish("", 0, 0);
		session = visit(i, "phone", 0, 0);
		confirm(session, i * 10, i, false);
		pass(2000);
		leave(session);
	}
	/* What it confirmed 10, 8 and 6 s ago it has confirmed again on its last connection. */
	assert_int_equal(resumes_behind("phone"), 3);
}

static void
test_what_only_an_earlier_connection_confirmed_comes_again(void)
{
	struct dw_session *session;

	publish_some(3);
	session = visit(1, "phone", 0, 0);
	confirm(session, 30, 3, false);
	leave(session);
	pass(60000);
	session = visit(2, "phone", 0, 0);
	confirm(session, 10, 1, false);
	leave(session);
	assert_int_equal(resumes_behind("phone"), 1);
}

static void
test_who_acknowledges_itself_resumes_exactly(void)
{
	struct dw_session *session = visit(1, "phone", DW_JOIN_SURE, 0);

	publish_some(4);
	confirm(session, 20, 2, true);
	leave(session);
	assert_int_equal(resumes_behind("phone"), 2);
	/* One that did so once, on top of PONGs, has that for certain and no more. */
	session = visit(2, "phone", 0, 0);
	confirm(session, 40, 4, false);
	confirm(session, 30, 3, true);
	leave(session);
	assert_int_equal(resumes_behind("phone"), 3);
}

static void
test_settling_moves_the_stored_cursor(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);
	struct dw_cursor cursor;

	publish_some(2);
	confirm(session, 20, 2, false);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_position(cursor.at, 20, 2, 0);
	assert_position(cursor.resume, 0, 0, 0);
	pass(DW_OVERLAP_MS - 1);
	dw_room_settle(room, steady);
	assert_false(dw_room_take_cursor(room, now, &cursor));
	pass(1);
	dw_room_settle(room, steady);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_position(cursor.resume, 20, 2, 0);
	assert_null(session->device->trail);
}

/* Somebody sets the clock. */
static void
test_the_clock_on_the_wall_settles_nothing(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(2);
	confirm(session, 20, 2, false);
	now += TTL / 2;
	dw_room_settle(room, steady);
	assert_position(session->device->resume, 0, 0, 0);
	leave(session);
	assert_int_equal(resumes_behind("phone"), 0);
}

static void
test_cursors_settle_when_the_clock_is_set_back(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);
	struct dw_cursor cursor;

	publish_some(2);
	confirm(session, 20, 2, false);
	now -= 3600 * 1000 * 5;
	steady += DW_OVERLAP_MS;
	dw_room_settle(room, steady);
	assert_position(session->device->resume, 20, 2, 0);
	leave(session);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_position(cursor.resume, 20, 2, 0);
	assert_int_equal(resumes_behind("phone"), 2);
}

/* What it confirmed last is in its cursor, and the hub begins again minutes later by the clock on the wall. */
static void
begin_again(struct dw_session *session)
{
	struct dw_op load;
	struct dw_cursor cursor;

	publish_some(2);
	confirm(session, 20, 2, false);
	leave(session);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	now += TTL / 2;
	load = empty_load();
	load.read.summary = (struct dw_room_summary) { .n = 2, .head = 20, .head_at = now, .oldest_n = 3 };
	load_cursor(&load, &cursor);
	finish_load(&load, DW_OK);
}

static void
test_a_session_that_returns_settles_by_the_steady_clock(void)
{
	struct dw_join back = a_return(1, "phone", pos(20, 2));
	struct dw_session *session;

	begin_again(visit(1, "phone", 0, 0));
	back.confirmed = pos(20, 2);
	session = join(&back);
	assert_position(session->device->resume, 0, 0, 0);
	pass(DW_OVERLAP_MS);
	dw_room_settle(room, steady);
	assert_position(session->device->resume, 20, 2, 0);
}

static void
test_what_a_later_connection_confirms_again_is_settled(void)
{
	struct dw_session *session;

	begin_again(visit(1, "phone", 0, 0));
	session = visit(2, "phone", 0, 0);
	assert_position(session->device->resume, 0, 0, 0);
	confirm(session, 20, 2, false);
	assert_position(session->device->resume, 20, 2, 0);
}

static void
test_who_has_departed_moves_a_device_that_nobody_uses(void)
{
	const struct dw_leave left = { .at = pos(20, 2), .sure = true, .user = DW_STR("ann"), .device = DW_STR("phone") };
	struct dw_session *session;

	assert_null(dw_room_departed(room, &left, steady));
	session = visit(1, "phone", 0, 0);
	publish_some(3);
	assert_null(dw_room_departed(room, &left, steady));
	leave(session);
	assert_non_null(dw_room_departed(room, &left, steady));
	assert_int_equal(delivered(2), 1);
	assert_int_equal(delivered(3), 0);
	assert_int_equal(resumes_behind("phone"), 2);
}

static void
test_who_has_departed_says_nothing_for_other_tabs(void)
{
	const struct dw_leave left = { .at = pos(20, 2), .sure = true, .user = DW_STR("ann"), .device = DW_STR("tab") };

	publish_some(2);
	leave(visit(1, "tab", DW_JOIN_DERIVED, 0));
	assert_null(dw_room_departed(room, &left, steady));
}

static void
test_tabs_that_end_with_their_edge_end_together(void)
{
	struct dw_session *one = visit(1, "tab", DW_JOIN_DERIVED, 0);
	struct dw_session *other = visit(2, "tab", DW_JOIN_DERIVED, 0);

	publish_some(2);
	confirm(other, 20, 2, false);
	confirm(one, 10, 1, false);
	dw_room_lose_reader(room, one->reader, now, steady);
	assert_position(dw_room_device(room, DW_STR("ann"), DW_STR("tab"))->at, 10, 1, 0);
}

static void
test_a_tab_that_ends_with_its_edge_leaves_the_others_behind(void)
{
	const struct dw_join elsewhere = a_join(2, "ann", "tab", DW_JOIN_DERIVED);
	struct dw_session *one = visit(1, "tab", DW_JOIN_DERIVED, 0), *other = join_at(OTHER_EDGE, &elsewhere);

	publish_some(2);
	confirm(other, 20, 2, false);
	assert_position(other->device->at, 0, 0, 0);
	dw_room_lose_reader(room, one->reader, now, steady);
	assert_position(other->device->at, 20, 2, 0);
	assert_int_equal(dw_room_queued(room), 0);
}

static void
test_settling_takes_nothing_back_from_who_acknowledges(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(4);
	confirm(session, 20, 2, false);
	pass(1000);
	confirm(session, 40, 4, true);
	assert_position(session->device->resume, 40, 4, 0);
	for (int i = 0; i < 8; i++) {
		pass(1000);
		dw_room_settle(room, steady);
		assert_position(session->device->resume, 40, 4, 0);
		assert_position(session->device->settled, 40, 4, 0);
	}
	confirm(session, 30, 3, true);
	leave(session);
	assert_int_equal(resumes_behind("phone"), 4);
}

static void
test_own_numbers_settle_like_the_others(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish("ann", 0, 0);
	publish("", 0, 0);
	publish("ann", 0, 0);
	confirm_own(session, 20, 1, 1, false);
	pass(3000);
	confirm_own(session, 30, 1, 2, false);
	pass(2500);
	leave(session);
	session = visit(2, "phone", 0, 0);
	assert_int_equal(joined.resume, DW_RESUME_EXACT);
	assert_position(joined.from, 29, 1, 1);
}

static void
test_a_device_is_as_far_as_its_sessions_in_each_number(void)
{
	struct dw_session *tab = visit(1, "tabs", DW_JOIN_DERIVED, 0);
	struct dw_session *other = visit(2, "tabs", DW_JOIN_DERIVED, 0);

	publish_some(2);
	direct_some("ann", 2);
	confirm_own(tab, 40, 2, 2, false);
	assert_position(tab->device->at, 0, 0, 0);
	confirm_own(other, 10, 1, 0, false);
	assert_position(tab->device->at, 10, 1, 0);
	confirm_own(other, 30, 2, 1, false);
	assert_position(tab->device->at, 30, 2, 1);
	leave(other);
	assert_position(tab->device->at, 40, 2, 2);
}

static void
test_delivered_counts_devices_once(void)
{
	struct dw_session *phone, *tab, *other;

	publish_some(2);
	phone = visit(1, "phone", 0, 0);
	tab = visit(2, "tabs", DW_JOIN_DERIVED, 0);
	other = visit(3, "tabs", DW_JOIN_DERIVED, 0);
	assert_int_equal(delivered(1), 0);
	confirm(phone, 20, 2, false);
	assert_int_equal(delivered(1), 1);
	confirm(tab, 10, 1, false);
	confirm(other, 20, 2, false);
	assert_int_equal(delivered(1), 2);
	assert_int_equal(delivered(2), 2);
	confirm(tab, 20, 2, false);
	leave(tab);
	assert_int_equal(delivered(2), 2);
}

static void
test_what_was_skipped_is_not_delivered(void)
{
	struct dw_session *session;

	publish_some(3);
	session = visit(1, "phone", DW_JOIN_AFTER, 10);
	confirm(session, 30, 3, false);
	assert_int_equal(delivered(1), 0);
	assert_int_equal(delivered(2), 1);
	leave(session);
	publish_some(1);
	session = visit(2, "phone", DW_JOIN_NEW, 0);
	publish_some(1);
	confirm(session, 50, 5, false);
	assert_int_equal(delivered(4), 0);
	assert_int_equal(delivered(5), 1);
	/* It reads what it had skipped. */
	leave(session);
	session = visit(3, "phone", DW_JOIN_AFTER, 30);
	confirm(session, 50, 5, false);
	assert_int_equal(delivered(4), 1);
}

static void
test_an_excluded_session_that_has_gone_is_not_counted(void)
{
	struct dw_session *phone = visit(1, "phone", 0, 0);
	struct dw_session *tablet = join_as(2, "bob", "tablet", 0, 0);

	publish("", 1, 0);
	confirm(phone, 10, 1, false);
	assert_int_equal(receipts(1, 1).delivered, 0);
	assert_int_equal(receipts(1, DW_EXCEPT_SOME).delivered, 0);
	leave(phone);
	assert_int_equal(receipts(1, 1).delivered, 0);
	confirm(tablet, 10, 1, false);
	assert_in_range(receipts(1, 1).delivered, 0, 1);
	assert_in_range(receipts(1, DW_EXCEPT_SOME).delivered, 0, 1);
}

/* To begin further on is no reason to forget. */
static void
test_a_jump_ahead_takes_nothing_back(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(5);
	confirm(session, 20, 2, false);
	leave(session);
	assert_int_equal(delivered(1), 1);
	(void)visit(2, "phone", DW_JOIN_AFTER, 40);
	assert_int_equal(delivered(1), 1);
	assert_int_equal(delivered(2), 1);
	assert_int_equal(delivered(3), 0);
}

/* The edge, which told of the gap, says where each session began to read again. */
static void
test_what_lay_in_a_gap_is_not_delivered(void)
{
	const struct dw_join back = a_return(2, "pad", dw_position_start());
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(LIMIT + 3);
	/* Too slow: 1, 2 and 3 are no more. */
	confirm_behind(session, 80, 8, 0, (struct dw_begun) { 3, 0 });
	assert_int_equal(delivered(3), 0);
	assert_int_equal(delivered(4), 1);
	assert_int_equal(delivered(8), 1);
	/* What was confirmed before the gap stays delivered, and the next gap is one of its own. */
	publish_some(LIMIT + 1);
	confirm(session, 80, 8, false);
	assert_int_equal(delivered(8), 1);
	confirm_behind(session, 140, 14, 0, (struct dw_begun) { 9, 0 });
	assert_int_equal(delivered(9), 0);
	assert_int_equal(delivered(10), 1);
	/* One that was there from the beginning, and returns behind a gap. */
	session = join(&back);
	assert_int_equal(joined.resume, DW_RESUME_GAP);
	confirm_behind(session, 140, 14, 0, (struct dw_begun) { 9, 0 });
	assert_int_equal(delivered(9), 0);
	assert_int_equal(delivered(10), 2);
}

static void
test_what_lay_in_a_gap_of_its_own_is_not_delivered(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(1);
	direct_some("ann", LIMIT + 2);
	/* 1 and 2 are no more; of the others' nothing is. */
	confirm_behind(session, head, 1, LIMIT + 2, (struct dw_begun) { 0, 2 });
	assert_int_equal(delivered(1), 1);
	for (uint64_t own = 1; own <= LIMIT + 2; own++)
		assert_int_equal(delivered_to("ann", 10 + own * 10, 1, own), own > 2);
	assert_int_equal(delivered_to("bob", 50, 1, 4), 0);
}

/* Where it began to read goes on until the edge says otherwise. */
static void
test_without_a_gap_all_that_is_confirmed_is_delivered(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(2);
	confirm(session, 20, 2, false);
	publish_some(LIMIT + 3);
	confirm(session, 100, 10, false);
	for (uint64_t n = 1; n <= 10; n++)
		assert_int_equal(delivered(n), 1);
}

static void
test_what_was_delivered_is_kept_in_the_cursor(void)
{
	struct dw_op load;
	struct dw_session *session;
	struct dw_cursor cursor;

	publish_some(2);
	direct_some("ann", 2);
	session = visit(1, "phone", DW_JOIN_AFTER, 10);
	confirm_behind(session, 40, 2, 2, (struct dw_begun) { 1, 1 });
	leave(session);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_int_equal(cursor.had.from, 1);
	assert_int_equal(cursor.had.to, 2);
	assert_int_equal(cursor.had_own.from, 1);
	assert_int_equal(cursor.had_own.to, 2);
	load = empty_load();
	load.read.summary = (struct dw_room_summary) { .n = 2, .head = 40, .head_at = now, .oldest_n = 3 };
	load_user(&load, "ann", 2);
	load_cursor(&load, &cursor);
	finish_load(&load, DW_OK);
	assert_int_equal(delivered(1), 0);
	assert_int_equal(delivered(2), 1);
	assert_int_equal(delivered_to("ann", 30, 2, 1), 0);
	assert_int_equal(delivered_to("ann", 40, 2, 2), 1);
}

/* A stream is set back for one who begins further back, and what only that one lacks is dropped before it is sent. */
static void
test_a_gap_is_only_of_whom_it_was_told(void)
{
	struct dw_session *first, *second, *third;

	publish_some(LIMIT);
	first = visit(1, "phone", DW_JOIN_NEW, 0);
	publish_some(3);
	first->reader->sent = pos(80, 8);
	second = join_as(2, "bob", "phone", DW_JOIN_AFTER, 60);
	assert_position(joined.sent, 80, 8, 0);
	third = join_as(3, "cid", "phone", DW_JOIN_AFTER, 40);
	assert_position(joined.sent, 49, 4, 0);
	/* The oldest is 8. */
	publish_some(4);
	first->reader->sent = pos(120, 12);
	confirm(first, 120, 12, false);
	confirm(second, 120, 12, false);
	confirm_behind(third, 120, 12, 0, (struct dw_begun) { 7, 0 });
	assert_int_equal(delivered(6), 1);
	assert_int_equal(delivered(7), 2);
	assert_int_equal(delivered(8), 3);
}

static void
test_sent_follows_the_edges_stream(void)
{
	struct dw_session *session = visit(1, "phone", 0, 0);

	publish_some(2);
	assert_int_equal(receipts(1, 0).sent, 0);
	session->reader->sent = pos(10, 1);
	assert_int_equal(receipts(1, 0).sent, 1);
	assert_int_equal(receipts(2, 0).sent, 0);
	assert_int_equal(receipts(1, 1).sent, 0);
}

static void
test_one_that_returns_says_what_it_has(void)
{
	struct dw_session *session;
	struct dw_join back = a_return(1, "phone", pos(40, 4));

	back.confirmed = pos(30, 3);
	back.begun.n = 1;
	publish_some(4);
	session = join(&back);
	assert_position(session->confirmed, 30, 3, 0);
	assert_int_equal(delivered(1), 0);
	assert_int_equal(delivered(2), 1);
	assert_int_equal(delivered(4), 0);
	/* It is not for certain yet. */
	assert_true(dw_n(session->device->resume) < 3);
	confirm(session, 40, 4, false);
	assert_int_equal(delivered(4), 1);
	/* Another was there before the first message. */
	back.session = 2;
	back.device = DW_STR("tablet");
	back.begun.n = 0;
	(void)join(&back);
	assert_int_equal(delivered(1), 1);
	assert_int_equal(delivered(2), 2);
}

static void
test_audience(void)
{
	struct dw_audience audience;

	(void)visit(1, "phone", 0, 0);
	(void)join_as(2, "bob", "phone", 0, 0);
	leave(join_as(3, "bob", "tablet", 0, 0));
	audience = dw_room_audience(room, dw_str(""), 0);
	assert_int_equal(audience.sessions, 2);
	assert_int_equal(audience.devices, 1);
	assert_int_equal(dw_room_audience(room, dw_str(""), 1).sessions, 1);
	assert_int_equal(dw_room_audience(room, dw_str(""), 77).sessions, 2);
	assert_int_equal(dw_room_audience(room, DW_STR("ann"), 0).sessions, 1);
	assert_int_equal(dw_room_audience(room, DW_STR("ann"), 0).devices, 0);
	assert_int_equal(dw_room_audience(room, DW_STR("bob"), 0).devices, 1);
	assert_int_equal(dw_room_audience(room, DW_STR("carl"), 0).sessions, 0);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(test_resumes_from_five_seconds_before_the_end),
		TEST(test_resumes_from_the_newest_that_is_old_enough),
		TEST(test_a_long_stream_overlaps_by_six_seconds_at_most),
		TEST(test_one_that_always_goes_within_seconds_gets_on),
		TEST(test_what_only_an_earlier_connection_confirmed_comes_again),
		TEST(test_who_acknowledges_itself_resumes_exactly),
		TEST(test_settling_moves_the_stored_cursor),
		TEST(test_the_clock_on_the_wall_settles_nothing),
		TEST(test_cursors_settle_when_the_clock_is_set_back),
		TEST(test_a_session_that_returns_settles_by_the_steady_clock),
		TEST(test_what_a_later_connection_confirms_again_is_settled),
		TEST(test_who_has_departed_moves_a_device_that_nobody_uses),
		TEST(test_who_has_departed_says_nothing_for_other_tabs),
		TEST(test_tabs_that_end_with_their_edge_end_together),
		TEST(test_a_tab_that_ends_with_its_edge_leaves_the_others_behind),
		TEST(test_settling_takes_nothing_back_from_who_acknowledges),
		TEST(test_own_numbers_settle_like_the_others),
		TEST(test_a_device_is_as_far_as_its_sessions_in_each_number),
		TEST(test_delivered_counts_devices_once),
		TEST(test_what_was_skipped_is_not_delivered),
		TEST(test_an_excluded_session_that_has_gone_is_not_counted),
		TEST(test_a_jump_ahead_takes_nothing_back),
		TEST(test_what_lay_in_a_gap_is_not_delivered),
		TEST(test_what_lay_in_a_gap_of_its_own_is_not_delivered),
		TEST(test_without_a_gap_all_that_is_confirmed_is_delivered),
		TEST(test_what_was_delivered_is_kept_in_the_cursor),
		TEST(test_a_gap_is_only_of_whom_it_was_told),
		TEST(test_sent_follows_the_edges_stream),
		TEST(test_one_that_returns_says_what_it_has),
		TEST(test_audience),
	};

	return run_in_rooms(tests, sizeof(tests) / sizeof(tests[0]));
}
