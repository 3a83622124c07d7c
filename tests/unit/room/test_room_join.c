/* links: lib/room/room.c lib/room/member.c lib/room/join.c lib/room/session.c lib/room/confirm.c lib/room/read.c */
/* links: lib/room/queued.c lib/base/ring.c */
/* links: lib/base/hash.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/store/engine.c */
/* libs: msgpack */
/* Where a join stands: new, exactly where it was, behind a gap, or at the beginning; and what the edge is sent for it.
 */
#include "room_kit.h"

/* ---- joins */

/* Ann's phone, while these messages were published; and it has confirmed so many of them. */
static void
was_here(uint64_t published, uint64_t n)
{
	struct dw_session *session;

	publish_up_to(published);
	session = visit(1, "phone", 0, 0);
	confirm(session, n * 10, n, true);
	leave(session);
}

static void
test_first_visit_gets_all_retained(void)
{
	publish_up_to(7);
	(void)visit(1, "phone", 0, 0);
	assert_joined(DW_RESUME_NEW, 29, 2, 5);
	assert_no_gap(joined.gap);
	assert_int_equal(joined.head, 70);
	assert_int_equal(joined.oldest, 30);
	assert_int_equal(dw_seq(joined.sent), 29);
	assert_int_equal(dw_n(joined.sent), 2);
	assert_true(dw_str_is(joined.device, "phone"));
	assert_true(dw_str_is(joined.room, "123"));
}

static void
test_first_visit_of_an_empty_room(void)
{
	head = 500;
	(void)visit(1, "phone", 0, 0);
	assert_joined(DW_RESUME_NEW, 0, 0, 0);
	assert_no_gap(joined.gap);
	assert_int_equal(joined.oldest, 0);
}

static void
test_known_device_resumes_exactly(void)
{
	was_here(3, 2);
	publish_up_to(4);
	(void)visit(2, "phone", 0, 0);
	assert_joined(DW_RESUME_EXACT, 29, 2, 2);
	assert_no_gap(joined.gap);
}

static void
test_known_device_is_told_its_gap(void)
{
	was_here(2, 2);
	publish_up_to(10);
	(void)visit(2, "phone", 0, 0);
	/* It goes on behind the gap. */
	assert_joined(DW_RESUME_GAP, 59, 5, 5);
	assert_gap(joined.gap, 3, 5, DW_GAP_LIMIT);
}

static void
test_gap_is_told_again_until_confirmed(void)
{
	struct dw_session *session;

	was_here(2, 2);
	publish_up_to(10);
	leave(visit(2, "phone", 0, 0));
	session = visit(3, "phone", 0, 0);
	assert_gap(joined.gap, 3, 5, DW_GAP_LIMIT);
	confirm(session, 60, 6, true);
	leave(session);
	(void)visit(4, "phone", 0, 0);
	assert_joined(DW_RESUME_EXACT, 69, 6, 4);
}

static void
test_gap_by_age(void)
{
	leave(visit(1, "phone", 0, 0));
	publish_up_to(3);
	now += TTL + 1;
	(void)visit(2, "phone", 0, 0);
	assert_joined(DW_RESUME_GAP, 30, 3, 0);
	assert_gap(joined.gap, 1, 3, DW_GAP_EXPIRED);
	assert_int_equal(joined.oldest, 0);
	assert_int_equal(joined.head, 30);
	assert_int_equal(all.dropped_expired, 3);
	assert_int_equal(dw_room_retained(room), 0);
}

static void
test_newest_drop_gives_the_reason(void)
{
	publish_up_to(2);
	now += TTL + 1;
	publish_up_to(8);
	(void)visit(1, "phone", DW_JOIN_AFTER, 10);
	assert_gap(joined.gap, 1, 3, DW_GAP_LIMIT);
	assert_int_equal(all.dropped_expired, 2);
	assert_int_equal(all.dropped_limit, 1);
}

static void
test_after_retained_is_exact(void)
{
	publish_up_to(5);
	(void)visit(1, "phone", DW_JOIN_AFTER, 30);
	assert_joined(DW_RESUME_EXACT, 39, 3, 2);
	/* Between two of this room's messages. */
	(void)visit(2, "tablet", DW_JOIN_AFTER, 35);
	assert_joined(DW_RESUME_EXACT, 39, 3, 2);
}

static void
test_after_zero_is_all_without_a_gap(void)
{
	publish_up_to(9);
	(void)visit(1, "phone", DW_JOIN_AFTER, 0);
	assert_joined(DW_RESUME_NEW, 49, 4, 5);
	assert_no_gap(joined.gap);
}

static void
test_after_zero_of_this_store_is_a_position(void)
{
	struct dw_join asked = a_join(1, "ann", "phone", DW_JOIN_AFTER);

	publish_up_to(9);
	asked.epoch = dw_str(EPOCH);
	(void)join(&asked);
	assert_joined(DW_RESUME_GAP, 49, 4, 5);
	assert_gap(joined.gap, 1, 4, DW_GAP_LIMIT);
}

static void
test_after_between_head_and_engine_head(void)
{
	publish_up_to(2);
	head = 1000;
	(void)visit(1, "phone", DW_JOIN_AFTER, 900);
	assert_joined(DW_RESUME_EXACT, 20, 2, 0);
	(void)visit(2, "tablet", DW_JOIN_AFTER, 1000);
	assert_joined(DW_RESUME_EXACT, 20, 2, 0);
}

static void
test_after_ahead_of_the_engine_resets(void)
{
	publish_up_to(7);
	(void)visit(1, "phone", DW_JOIN_AFTER, 71);
	assert_joined(DW_RESUME_RESET, 29, 2, 5);
	assert_no_gap(joined.gap);
}

static void
test_after_of_another_store_resets(void)
{
	struct dw_join asked = a_join(1, "ann", "phone", DW_JOIN_AFTER);

	publish_up_to(3);
	asked.after = pos(20, 0);
	asked.epoch = DW_STR("another");
	(void)join(&asked);
	assert_joined(DW_RESUME_RESET, 9, 0, 3);
	asked = a_join(2, "ann", "tablet", DW_JOIN_AFTER);
	asked.after = pos(20, 0);
	asked.epoch = dw_str(EPOCH);
	(void)join(&asked);
	assert_joined(DW_RESUME_EXACT, 29, 2, 1);
}

static void
test_reset_in_an_empty_room_is_said(void)
{
	(void)visit(1, "phone", DW_JOIN_AFTER, 5);
	assert_joined(DW_RESUME_RESET, 0, 0, 0);
}

static void
test_reset_does_not_move_the_cursor_back(void)
{
	struct dw_session *session;

	was_here(3, 3);
	session = visit(2, "phone", DW_JOIN_AFTER, 5000);
	assert_joined(DW_RESUME_RESET, 9, 0, 3);
	assert_int_equal(dw_seq(session->device->at), 30);
}

static void
test_after_trimmed_says_rather_too_much(void)
{
	publish_up_to(12);
	(void)visit(1, "phone", DW_JOIN_AFTER, 50);
	assert_joined(DW_RESUME_GAP, 79, 7, 5);
	assert_gap(joined.gap, 1, 7, DW_GAP_LIMIT);
}

static void
test_after_trimmed_asks_the_engine(void)
{
	const struct dw_place answer = { .at = pos(50, 5) };

	assert_false(dw_room_asks_place(room, DW_STR("ann"), 50));
	publish_up_to(12);
	assert_true(dw_room_asks_place(room, DW_STR("ann"), 50));
	assert_false(dw_room_asks_place(room, DW_STR("ann"), 80));
	assert_false(dw_room_asks_place(room, DW_STR("ann"), 0));
	place = &answer;
	(void)visit(1, "phone", DW_JOIN_AFTER, 50);
	assert_gap(joined.gap, 6, 7, DW_GAP_LIMIT);
}

static void
test_new_skips_and_moves_the_cursor(void)
{
	struct dw_session *session;

	publish_up_to(3);
	leave(visit(1, "phone", 0, 0));
	session = visit(2, "phone", DW_JOIN_NEW, 0);
	assert_joined(DW_RESUME_NEW, 30, 3, 0);
	assert_int_equal(dw_seq(session->device->at), 30);
	leave(session);
	(void)visit(3, "phone", 0, 0);
	assert_joined(DW_RESUME_EXACT, 30, 3, 0);
}

static void
test_cursor_ahead_of_the_engine_resets(void)
{
	struct dw_cursor cursor = { .room = "123", .user = "ann", .device = "phone", .at = pos(900, 90), .seen = NOW };
	struct dw_op load = empty_load();
	struct dw_session *session;

	load_cursor(&load, &cursor);
	finish_load(&load, DW_OK);
	publish_up_to(2);
	session = visit(1, "phone", 0, 0);
	assert_joined(DW_RESUME_RESET, 9, 0, 2);
	assert_int_equal(dw_seq(session->device->at), 9);
}

static void
test_return_keeps_position_and_confirms_no_more_than_the_device(void)
{
	struct dw_join asked = a_return(1, "phone", pos(30, 3));
	struct dw_session *session;

	publish_up_to(4);
	session = join(&asked);
	assert_joined(DW_RESUME_EXACT, 39, 3, 1);
	/* Unknown to us: what it was written is not what it has confirmed. */
	assert_int_equal(dw_seq(session->confirmed), 9);
	confirm(session, 20, 2, true);
	leave(session);
	session = join(&asked);
	assert_int_equal(dw_seq(session->confirmed), 20);
	assert_int_equal(dw_seq(joined.from), 39);
}

static void
test_return_with_a_gap_counts_from_its_n(void)
{
	struct dw_join asked = a_return(1, "phone", pos(50, 5));

	publish_up_to(12);
	(void)join(&asked);
	assert_joined(DW_RESUME_GAP, 79, 7, 5);
	assert_gap(joined.gap, 6, 7, DW_GAP_LIMIT);
	/* An n that cannot be is not believed. */
	asked.session = 2;
	asked.after = pos(40, 11);
	(void)join(&asked);
	assert_gap(joined.gap, 1, 7, DW_GAP_LIMIT);
}

static void
test_return_to_another_store_resets(void)
{
	struct dw_join asked = a_return(1, "phone", pos(20, 2));

	publish_up_to(2);
	asked.epoch = DW_STR("another");
	(void)join(&asked);
	assert_joined(DW_RESUME_RESET, 9, 0, 2);
}

/* ---- sent */

static void
test_sent_is_the_edges(void)
{
	struct dw_join asked = a_join(1, "ann", "phone", DW_JOIN_HAVE);

	publish_up_to(4);
	asked.have = pos(30, 3);
	(void)join(&asked);
	assert_int_equal(dw_seq(joined.from), 9);
	assert_int_equal(dw_seq(joined.sent), 30);
	assert_int_equal(dw_n(joined.sent), 3);
	/* A second session changes nothing about what the edge was sent. */
	(void)visit(2, "tablet", 0, 0);
	assert_int_equal(dw_seq(joined.sent), 30);
	asked = a_join(3, "bob", "phone", DW_JOIN_HAVE);
	asked.have = pos(99999, 0);
	(void)join_at(OTHER_EDGE, &asked);
	assert_int_equal(dw_seq(joined.sent), 9);
	assert_int_equal(dw_n(joined.sent), 0);
}

/* Whoever begins before the others sets the edge back, once: it then has what all who come from there need. */
static void
test_sent_goes_back(void)
{
	struct dw_join asked;

	publish_up_to(4);
	(void)visit(1, "phone", DW_JOIN_NEW, 0);
	assert_int_equal(dw_seq(joined.sent), 40);
	(void)visit(2, "tablet", DW_JOIN_AFTER, 20);
	assert_joined(DW_RESUME_EXACT, 29, 2, 2);
	assert_int_equal(dw_seq(joined.sent), 29);
	assert_int_equal(dw_n(joined.sent), 2);
	room->readers->sent = pos(40, 4); /* it was sent them */
	(void)visit(3, "desk", DW_JOIN_AFTER, 30);
	(void)visit(4, "wall", DW_JOIN_AFTER, 20);
	assert_int_equal(dw_seq(joined.sent), 40);
	/* Who comes back is no newcomer, and another edge is not concerned. */
	asked = a_return(5, "lost", pos(10, 1));
	asked.epoch = DW_STR(EPOCH);
	(void)join(&asked);
	assert_int_equal(dw_seq(joined.sent), 40);
	asked = a_join(6, "ann", "other", DW_JOIN_AFTER);
	asked.after = pos(30, 0);
	(void)join_at(OTHER_EDGE, &asked);
	assert_int_equal(dw_seq(joined.sent), 39);
	(void)visit(7, "new", 0, 0);
	assert_int_equal(dw_seq(joined.sent), 9);
	assert_int_equal(dw_n(joined.sent), 0);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(test_first_visit_gets_all_retained),
		TEST(test_first_visit_of_an_empty_room),
		TEST(test_known_device_resumes_exactly),
		TEST(test_known_device_is_told_its_gap),
		TEST(test_gap_is_told_again_until_confirmed),
		TEST(test_gap_by_age),
		TEST(test_newest_drop_gives_the_reason),
		TEST(test_after_retained_is_exact),
		TEST(test_after_zero_is_all_without_a_gap),
		TEST(test_after_zero_of_this_store_is_a_position),
		TEST(test_after_between_head_and_engine_head),
		TEST(test_after_ahead_of_the_engine_resets),
		TEST(test_after_of_another_store_resets),
		TEST(test_reset_in_an_empty_room_is_said),
		TEST(test_reset_does_not_move_the_cursor_back),
		TEST(test_after_trimmed_says_rather_too_much),
		TEST(test_after_trimmed_asks_the_engine),
		TEST(test_new_skips_and_moves_the_cursor),
		TEST(test_cursor_ahead_of_the_engine_resets),
		TEST(test_return_keeps_position_and_confirms_no_more_than_the_device),
		TEST(test_return_with_a_gap_counts_from_its_n),
		TEST(test_return_to_another_store_resets),
		TEST(test_sent_is_the_edges),
		TEST(test_sent_goes_back),
	};

	return run_in_rooms(tests, sizeof(tests) / sizeof(tests[0]));
}
