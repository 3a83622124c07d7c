/* links: lib/room/room.c lib/room/member.c lib/room/join.c lib/room/session.c lib/room/confirm.c lib/room/read.c */
/* links: lib/room/queued.c lib/room/present.c lib/base/ring.c lib/message/record.c */
/* links: lib/base/hash.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/store/engine.c */
/* libs: msgpack */
/* The rules of a room: where a join stands, takeover, devices, gaps, cursors, what is queued. Pure memory;
 * time is a number. Messages have seq 10, 20, 30, … unless a test says otherwise, for seq counts the
 * whole engine and n the room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "room/room.h"

enum { NOW = 1000000000, STEADY = 5000, LIMIT = 5, TTL = 1000000, CURSOR_TTL = 3000000, EDGE = 7, OTHER_EDGE = 8 };

static const char EPOCH[] = "0123456789abcdef0123456789abcdef";

static struct dw_rooms all;
static struct dw_room *room;
static uint64_t engine_head;
static uint64_t now;
static const struct dw_place *place;

/* Of one that gets nothing direct. */
static struct dw_position
pos(uint64_t seq, uint64_t n)
{
	return dw_position_said(seq, n, 0);
}

static void
add_record(struct dw_buf *out, uint64_t seq, uint64_t n, uint64_t at)
{
	const struct dw_record record = {
		.seq = seq, .n = n, .at = at, .type = DW_STR("a_update"), .id = DW_STR("i"), .data = DW_STR("{}")
	};

	dw_record_pack(out, &record);
}

static void
publish_at(uint64_t seq, uint64_t n)
{
	const struct dw_record record = { .seq = seq, .n = n, .at = now, .type = DW_STR("a_update") };
	struct dw_buf bytes = { 0 };

	add_record(&bytes, seq, n, now);
	assert_int_equal(dw_room_append(room, &record, (struct dw_str) { bytes.data, bytes.len }, now), DW_OK);
	dw_buf_clear(&bytes);
	engine_head = seq;
}

/* Messages 1 to n, seq 10 to 10 × n. */
static void
publish_up_to(uint64_t n)
{
	for (uint64_t i = room->n + 1; i <= n; i++)
		publish_at(i * 10, i);
}

static void
load_empty(void)
{
	struct dw_op load = { .kind = DW_OP_LOAD };

	assert_int_equal(dw_room_load(room, &load, now), DW_OK);
}

static int
set_up(void **state)
{
	(void)state;
	all = (struct dw_rooms) {
		.queue_limit = LIMIT, .queue_ttl_ms = TTL, .cursor_ttl_ms = CURSOR_TTL, .ownership = DW_OWNERSHIP_EITHER
	};
	now = NOW;
	engine_head = 0;
	place = NULL;
	room = dw_room_new(&all, "123");
	assert_non_null(room);
	load_empty();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	dw_room_destroy(&room);
	assert_int_equal(all.sessions, 0);
	return 0;
}

static struct dw_join
a_join(uint64_t session, const char *user, const char *device, uint64_t flags)
{
	return (struct dw_join) {
		.session = session, .room = DW_STR("123"), .user = dw_str(user), .device = dw_str(device), .flags = flags
	};
}

static struct dw_session *
enter(const struct dw_join *join, uint32_t edge, struct dw_joined *joined)
{
	const struct dw_join_context context = { edge, EPOCH, engine_head, now, STEADY, place };
	struct dw_session *session = NULL;

	*joined = (struct dw_joined) { 0 };
	assert_int_equal(dw_room_join(room, join, &context, joined, &session), DW_OK);
	assert_non_null(session);
	return session;
}

static struct dw_session *
visit(uint64_t session, const char *device, uint64_t flags, uint64_t after, struct dw_joined *joined)
{
	struct dw_join join = a_join(session, "ann", device, flags);

	join.after = pos(after, 0);
	return enter(&join, EDGE, joined);
}

static void
leave(struct dw_session *session)
{
	struct dw_reader *reader = session->reader;

	dw_room_leave(room, session, now, STEADY);
	if (reader->session_count == 0)
		dw_room_drop_reader(room, reader);
}

static void
assert_stands(const struct dw_joined *joined, enum dw_resume resume, uint64_t from, uint64_t from_n, uint64_t replaying)
{
	assert_string_equal(dw_resume_text(joined->resume), dw_resume_text(resume));
	assert_int_equal(dw_seq(joined->from), from);
	assert_int_equal(dw_n(joined->from), from_n);
	assert_int_equal(joined->replaying, replaying);
}

static void
assert_gap(const struct dw_joined *joined, uint64_t from, uint64_t to, enum dw_gap_reason reason)
{
	assert_int_equal(joined->gap.from, from);
	assert_int_equal(joined->gap.to, to);
	assert_string_equal(dw_gap_text(joined->gap.reason), dw_gap_text(reason));
}

/* ---- joins */

static void
test_first_visit_gets_all_retained(void **state)
{
	struct dw_joined joined;

	(void)state;
	publish_up_to(7);
	(void)visit(1, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_NEW, 29, 2, 5);
	assert_gap(&joined, 0, 0, DW_GAP_NONE);
	assert_int_equal(joined.head, 70);
	assert_int_equal(joined.oldest, 30);
	assert_int_equal(dw_seq(joined.sent), 29);
	assert_int_equal(dw_n(joined.sent), 2);
	assert_true(dw_str_is(joined.device, "phone"));
	assert_true(dw_str_is(joined.room, "123"));
}

static void
test_first_visit_of_an_empty_room(void **state)
{
	struct dw_joined joined;

	(void)state;
	engine_head = 500;
	(void)visit(1, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_NEW, 0, 0, 0);
	assert_gap(&joined, 0, 0, DW_GAP_NONE);
	assert_int_equal(joined.oldest, 0);
}

static void
test_known_device_resumes_exactly(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(3);
	session = visit(1, "phone", 0, 0, &joined);
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	leave(session);
	publish_up_to(4);
	(void)visit(2, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 29, 2, 2);
	assert_gap(&joined, 0, 0, DW_GAP_NONE);
}

static void
test_known_device_is_told_its_gap(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(2);
	session = visit(1, "phone", 0, 0, &joined);
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	leave(session);
	publish_up_to(10);
	(void)visit(2, "phone", 0, 0, &joined);
	/* It goes on behind the gap. */
	assert_stands(&joined, DW_RESUME_GAP, 59, 5, 5);
	assert_gap(&joined, 3, 5, DW_GAP_LIMIT);
}

static void
test_gap_is_told_again_until_confirmed(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(2);
	session = visit(1, "phone", 0, 0, &joined);
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	leave(session);
	publish_up_to(10);
	leave(visit(2, "phone", 0, 0, &joined));
	session = visit(3, "phone", 0, 0, &joined);
	assert_gap(&joined, 3, 5, DW_GAP_LIMIT);
	assert_true(dw_room_confirm(room, session, pos(60, 6), NULL, true, STEADY));
	leave(session);
	(void)visit(4, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 69, 6, 4);
}

static void
test_gap_by_age(void **state)
{
	struct dw_joined joined;

	(void)state;
	leave(visit(1, "phone", 0, 0, &joined));
	publish_up_to(3);
	now += TTL + 1;
	(void)visit(2, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_GAP, 30, 3, 0);
	assert_gap(&joined, 1, 3, DW_GAP_EXPIRED);
	assert_int_equal(joined.oldest, 0);
	assert_int_equal(joined.head, 30);
	assert_int_equal(all.dropped_expired, 3);
	assert_int_equal(dw_room_retained(room), 0);
}

static void
test_newest_drop_gives_the_reason(void **state)
{
	struct dw_joined joined;

	(void)state;
	publish_up_to(2);
	now += TTL + 1;
	publish_up_to(8);
	(void)visit(1, "phone", DW_JOIN_AFTER, 10, &joined);
	assert_gap(&joined, 1, 3, DW_GAP_LIMIT);
	assert_int_equal(all.dropped_expired, 2);
	assert_int_equal(all.dropped_limit, 1);
}

static void
test_after_retained_is_exact(void **state)
{
	struct dw_joined joined;

	(void)state;
	publish_up_to(5);
	(void)visit(1, "phone", DW_JOIN_AFTER, 30, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 39, 3, 2);
	/* Between two of this room's messages. */
	(void)visit(2, "tablet", DW_JOIN_AFTER, 35, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 39, 3, 2);
}

static void
test_after_zero_is_all_without_a_gap(void **state)
{
	struct dw_joined joined;

	(void)state;
	publish_up_to(9);
	(void)visit(1, "phone", DW_JOIN_AFTER, 0, &joined);
	assert_stands(&joined, DW_RESUME_NEW, 49, 4, 5);
	assert_gap(&joined, 0, 0, DW_GAP_NONE);
}

static void
test_after_zero_of_this_store_is_a_position(void **state)
{
	struct dw_join join = a_join(1, "ann", "phone", DW_JOIN_AFTER);
	struct dw_joined joined;

	(void)state;
	publish_up_to(9);
	join.epoch = dw_str(EPOCH);
	(void)enter(&join, EDGE, &joined);
	assert_stands(&joined, DW_RESUME_GAP, 49, 4, 5);
	assert_gap(&joined, 1, 4, DW_GAP_LIMIT);
}

static void
test_after_between_head_and_engine_head(void **state)
{
	struct dw_joined joined;

	(void)state;
	publish_up_to(2);
	engine_head = 1000;
	(void)visit(1, "phone", DW_JOIN_AFTER, 900, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 20, 2, 0);
	(void)visit(2, "tablet", DW_JOIN_AFTER, 1000, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 20, 2, 0);
}

static void
test_after_ahead_of_the_engine_resets(void **state)
{
	struct dw_joined joined;

	(void)state;
	publish_up_to(7);
	(void)visit(1, "phone", DW_JOIN_AFTER, 71, &joined);
	assert_stands(&joined, DW_RESUME_RESET, 29, 2, 5);
	assert_gap(&joined, 0, 0, DW_GAP_NONE);
}

static void
test_after_of_another_store_resets(void **state)
{
	struct dw_join join = a_join(1, "ann", "phone", DW_JOIN_AFTER);
	struct dw_joined joined;

	(void)state;
	publish_up_to(3);
	join.after = pos(20, 0);
	join.epoch = DW_STR("another");
	(void)enter(&join, EDGE, &joined);
	assert_stands(&joined, DW_RESUME_RESET, 9, 0, 3);
	join = a_join(2, "ann", "tablet", DW_JOIN_AFTER);
	join.after = pos(20, 0);
	join.epoch = dw_str(EPOCH);
	(void)enter(&join, EDGE, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 29, 2, 1);
}

static void
test_reset_in_an_empty_room_is_said(void **state)
{
	struct dw_joined joined;

	(void)state;
	(void)visit(1, "phone", DW_JOIN_AFTER, 5, &joined);
	assert_stands(&joined, DW_RESUME_RESET, 0, 0, 0);
}

static void
test_reset_does_not_move_the_cursor_back(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(3);
	session = visit(1, "phone", 0, 0, &joined);
	assert_true(dw_room_confirm(room, session, pos(30, 3), NULL, true, STEADY));
	leave(session);
	session = visit(2, "phone", DW_JOIN_AFTER, 5000, &joined);
	assert_stands(&joined, DW_RESUME_RESET, 9, 0, 3);
	assert_int_equal(dw_seq(session->device->at), 30);
}

static void
test_after_trimmed_says_rather_too_much(void **state)
{
	struct dw_joined joined;

	(void)state;
	publish_up_to(12);
	(void)visit(1, "phone", DW_JOIN_AFTER, 50, &joined);
	assert_stands(&joined, DW_RESUME_GAP, 79, 7, 5);
	assert_gap(&joined, 1, 7, DW_GAP_LIMIT);
}

static void
test_after_trimmed_asks_the_engine(void **state)
{
	const struct dw_place answer = { .at = pos(50, 5) };
	struct dw_joined joined;

	(void)state;
	assert_false(dw_room_asks_place(room, DW_STR("ann"), 50));
	publish_up_to(12);
	assert_true(dw_room_asks_place(room, DW_STR("ann"), 50));
	assert_false(dw_room_asks_place(room, DW_STR("ann"), 80));
	assert_false(dw_room_asks_place(room, DW_STR("ann"), 0));
	place = &answer;
	(void)visit(1, "phone", DW_JOIN_AFTER, 50, &joined);
	assert_gap(&joined, 6, 7, DW_GAP_LIMIT);
}

static void
test_new_skips_and_moves_the_cursor(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(3);
	leave(visit(1, "phone", 0, 0, &joined));
	session = visit(2, "phone", DW_JOIN_NEW, 0, &joined);
	assert_stands(&joined, DW_RESUME_NEW, 30, 3, 0);
	assert_int_equal(dw_seq(session->device->at), 30);
	leave(session);
	(void)visit(3, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 30, 3, 0);
}

static void
test_cursor_ahead_of_the_engine_resets(void **state)
{
	struct dw_cursor cursor = { .room = "123", .user = "ann", .device = "phone", .at = pos(900, 90), .seen = NOW };
	struct dw_op load = { .kind = DW_OP_LOAD };
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	dw_room_unload(room);
	dw_buf_add(&load.read.cursors, &cursor, sizeof(cursor));
	assert_int_equal(dw_room_load(room, &load, now), DW_OK);
	dw_buf_clear(&load.read.cursors);
	publish_up_to(2);
	session = visit(1, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_RESET, 9, 0, 2);
	assert_int_equal(dw_seq(session->device->at), 9);
}

static void
test_return_keeps_position_and_confirms_no_more_than_the_device(void **state)
{
	struct dw_join join = a_join(1, "ann", "phone", DW_JOIN_RETURN);
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(4);
	join.after = pos(30, 3);
	session = enter(&join, EDGE, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 39, 3, 1);
	/* Unknown to us: what it was written is not what it has confirmed. */
	assert_int_equal(dw_seq(session->confirmed), 9);
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	leave(session);
	session = enter(&join, EDGE, &joined);
	assert_int_equal(dw_seq(session->confirmed), 20);
	assert_int_equal(dw_seq(joined.from), 39);
}

static void
test_return_with_a_gap_counts_from_its_n(void **state)
{
	struct dw_join join = a_join(1, "ann", "phone", DW_JOIN_RETURN);
	struct dw_joined joined;

	(void)state;
	publish_up_to(12);
	join.after = pos(50, 5);
	(void)enter(&join, EDGE, &joined);
	assert_stands(&joined, DW_RESUME_GAP, 79, 7, 5);
	assert_gap(&joined, 6, 7, DW_GAP_LIMIT);
	/* An n that cannot be is not believed. */
	join.session = 2;
	join.after = pos(40, 11);
	(void)enter(&join, EDGE, &joined);
	assert_gap(&joined, 1, 7, DW_GAP_LIMIT);
}

static void
test_return_to_another_store_resets(void **state)
{
	struct dw_join join = a_join(1, "ann", "phone", DW_JOIN_RETURN);
	struct dw_joined joined;

	(void)state;
	publish_up_to(2);
	join.after = pos(20, 2);
	join.epoch = DW_STR("another");
	(void)enter(&join, EDGE, &joined);
	assert_stands(&joined, DW_RESUME_RESET, 9, 0, 2);
}

/* ---- sent */

static void
test_sent_is_the_edges(void **state)
{
	struct dw_join join = a_join(1, "ann", "phone", DW_JOIN_HAVE);
	struct dw_joined joined;

	(void)state;
	publish_up_to(4);
	join.have = pos(30, 3);
	(void)enter(&join, EDGE, &joined);
	assert_int_equal(dw_seq(joined.from), 9);
	assert_int_equal(dw_seq(joined.sent), 30);
	assert_int_equal(dw_n(joined.sent), 3);
	/* A second session changes nothing about what the edge was sent. */
	(void)visit(2, "tablet", 0, 0, &joined);
	assert_int_equal(dw_seq(joined.sent), 30);
	join = a_join(3, "bob", "phone", DW_JOIN_HAVE);
	join.have = pos(99999, 0);
	(void)enter(&join, OTHER_EDGE, &joined);
	assert_int_equal(dw_seq(joined.sent), 9);
	assert_int_equal(dw_n(joined.sent), 0);
}

/* Whoever begins before the others sets the edge back, once: it then has what all who come from there need. */
static void
test_sent_goes_back(void **state)
{
	struct dw_join join;
	struct dw_joined joined;

	(void)state;
	publish_up_to(4);
	(void)visit(1, "phone", DW_JOIN_NEW, 0, &joined);
	assert_int_equal(dw_seq(joined.sent), 40);
	(void)visit(2, "tablet", DW_JOIN_AFTER, 20, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 29, 2, 2);
	assert_int_equal(dw_seq(joined.sent), 29);
	assert_int_equal(dw_n(joined.sent), 2);
	room->readers->sent = pos(40, 4); /* it was sent them */
	(void)visit(3, "desk", DW_JOIN_AFTER, 30, &joined);
	(void)visit(4, "wall", DW_JOIN_AFTER, 20, &joined);
	assert_int_equal(dw_seq(joined.sent), 40);
	/* Who comes back is no newcomer, and another edge is not concerned. */
	join = a_join(5, "ann", "lost", DW_JOIN_RETURN);
	join.after = pos(10, 1);
	join.epoch = DW_STR(EPOCH);
	(void)enter(&join, EDGE, &joined);
	assert_int_equal(dw_seq(joined.sent), 40);
	join = a_join(6, "ann", "other", DW_JOIN_AFTER);
	join.after = pos(30, 0);
	(void)enter(&join, OTHER_EDGE, &joined);
	assert_int_equal(dw_seq(joined.sent), 39);
	(void)visit(7, "new", 0, 0, &joined);
	assert_int_equal(dw_seq(joined.sent), 9);
	assert_int_equal(dw_n(joined.sent), 0);
}

/* ---- takeover */

static void
test_explicit_device_is_taken_over(void **state)
{
	struct dw_join join = a_join(2, "ann", "phone", 0);
	struct dw_joined joined;
	struct dw_session *first;

	(void)state;
	first = visit(1, "phone", 0, 0, &joined);
	assert_ptr_equal(dw_room_rival(room, &join), first);
	join.device = DW_STR("tablet");
	assert_null(dw_room_rival(room, &join));
	join.device = DW_STR("phone");
	join.user = DW_STR("bob");
	assert_null(dw_room_rival(room, &join));
	join.user = DW_STR("ann");
	leave(first);
	join.flags = 0;
	assert_null(dw_room_rival(room, &join));
}

/* Both edges were away, or the hub. */
static void
test_who_returns_stays_if_it_is_the_newest(void **state)
{
	struct dw_join join = a_join(2, "ann", "phone", DW_JOIN_RETURN);
	struct dw_joined joined;
	const uint64_t steady = STEADY + 1000;

	(void)state;
	assert_false(dw_room_replaced(room, &join, steady));
	(void)visit(1, "phone", 0, 0, &joined);
	join.age = 1100;
	assert_true(dw_room_replaced(room, &join, steady));
	join.age = UINT32_MAX; /* longer than this machine is up */
	assert_true(dw_room_replaced(room, &join, steady));
	join.age = 1000;
	assert_true(dw_room_replaced(room, &join, steady));
	join.age = 900;
	assert_false(dw_room_replaced(room, &join, steady));
	assert_non_null(dw_room_rival(room, &join));
	join.age = 1100;
	join.flags |= DW_JOIN_DERIVED;
	assert_false(dw_room_replaced(room, &join, steady));
	join.flags = 0;
	assert_false(dw_room_replaced(room, &join, steady));
}

static void
test_derived_devices_live_side_by_side(void **state)
{
	struct dw_join join = a_join(2, "ann", "d1", DW_JOIN_DERIVED);
	struct dw_joined joined;
	struct dw_session *first, *second;

	(void)state;
	publish_up_to(3);
	first = visit(1, "d1", DW_JOIN_DERIVED, 0, &joined);
	assert_null(dw_room_rival(room, &join));
	second = enter(&join, EDGE, &joined);
	assert_ptr_equal(first->device, second->device);
	assert_int_equal(room->device_count, 1);
	assert_int_equal(room->device_connected, 1);
	/* The cursor is the lowest among those open. */
	assert_true(dw_room_confirm(room, first, pos(30, 3), NULL, true, STEADY));
	assert_int_equal(dw_seq(first->device->at), 9);
	assert_true(dw_room_confirm(room, second, pos(10, 1), NULL, true, STEADY));
	assert_int_equal(dw_seq(first->device->at), 10);
	leave(second);
	assert_int_equal(dw_seq(first->device->at), 30);
	assert_int_equal(room->device_connected, 1);
	leave(first);
	assert_int_equal(room->device_connected, 0);
}

static void
test_a_session_joins_once(void **state)
{
	const struct dw_join_context context = { OTHER_EDGE, EPOCH, 0, NOW, STEADY, NULL };
	struct dw_join join = a_join(1, "bob", "phone", 0);
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	(void)visit(1, "phone", 0, 0, &joined);
	assert_int_equal(dw_room_join(room, &join, &context, &joined, &session), DW_E_FIELD);
	assert_int_equal(room->session_count, 1);
	assert_int_equal(room->device_count, 1);
}

/* One connection may watch many rooms, and a user be a member of many. */
static void
test_rooms_do_not_find_each_others(void **state)
{
	struct dw_room *first = room, *other = dw_room_new(&all, "124");
	struct dw_session *here, *there;
	struct dw_joined joined;

	(void)state;
	assert_non_null(other);
	here = visit(1, "phone", 0, 0, &joined);
	room = other;
	load_empty();
	assert_null(dw_room_session(other, 1));
	there = visit(1, "phone", 0, 0, &joined);
	assert_ptr_not_equal(here->device->member, there->device->member);
	assert_ptr_equal(dw_room_session(first, 1), here);
	assert_ptr_equal(dw_room_session(other, 1), there);
	assert_int_equal(dw_room_own(other, dw_str("ann"), DW_OWNER_DENIED), DW_OK);
	assert_true(dw_room_may(first, dw_str("ann"), true));
	assert_false(dw_room_may(other, dw_str("ann"), true));
	dw_room_destroy(&room);
	room = first;
	assert_ptr_equal(dw_room_session(first, 1), here);
}

/* ---- devices */

static void
test_longest_unseen_device_goes(void **state)
{
	struct dw_cursor cursor;
	struct dw_joined joined;
	struct dw_session *kept;
	char name[16];
	size_t removals = 0;

	(void)state;
	kept = visit(1, "d0", 0, 0, &joined);
	for (unsigned i = 1; i < DW_DEVICES_PER_USER; i++) {
		now += 1000;
		(void)snprintf(name, sizeof(name), "d%u", i);
		leave(visit(1 + i, name, 0, 0, &joined));
	}
	while (dw_room_take_cursor(room, now, &cursor))
		assert_int_not_equal(cursor.seen, 0);
	now += 1000;
	leave(visit(100, "one-more", 0, 0, &joined));
	assert_int_equal(room->device_count, DW_DEVICES_PER_USER);
	while (dw_room_take_cursor(room, now, &cursor)) {
		if (cursor.seen != 0)
			continue;
		removals++;
		/* d0 is older, but connected. */
		assert_string_equal(cursor.device, "d1");
		assert_string_equal(cursor.user, "ann");
		assert_string_equal(cursor.room, "123");
		assert_int_equal(dw_seq(cursor.at), 0);
	}
	assert_int_equal(removals, 1);
	assert_int_equal(kept->device->member->device_count, DW_DEVICES_PER_USER);
}

static void
test_devices_of_others_are_not_counted(void **state)
{
	struct dw_join join;
	struct dw_joined joined;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < DW_DEVICES_PER_USER; i++) {
		(void)snprintf(name, sizeof(name), "d%u", i);
		leave(visit(1 + i, name, 0, 0, &joined));
	}
	join = a_join(100, "bob", "d0", 0);
	(void)enter(&join, EDGE, &joined);
	assert_int_equal(room->device_count, DW_DEVICES_PER_USER + 1);
}

static void
test_old_devices_are_pruned(void **state)
{
	struct dw_join join = a_join(2, "ann", "derived", DW_JOIN_DERIVED);
	struct dw_joined joined;

	(void)state;
	leave(visit(1, "phone", 0, 0, &joined));
	join.expires = NOW / 1000 + 10;
	leave(enter(&join, EDGE, &joined));
	now = (uint64_t)NOW + 10000 + TTL - 1;
	dw_room_prune(room, now);
	assert_int_equal(room->device_count, 2);
	now += 1;
	dw_room_prune(room, now);
	assert_int_equal(room->device_count, 1);
	now = (uint64_t)NOW + CURSOR_TTL;
	dw_room_prune(room, now);
	assert_int_equal(room->device_count, 0);
	assert_null(room->members);
}

static void
test_connected_devices_are_not_pruned(void **state)
{
	struct dw_joined joined;
	struct dw_cursor cursor;

	(void)state;
	(void)visit(1, "phone", 0, 0, &joined);
	while (dw_room_take_cursor(room, now, &cursor))
		continue;
	now += 100ULL * CURSOR_TTL;
	dw_room_prune(room, now);
	assert_int_equal(room->device_count, 1);
	/* And the store learns that it was seen. */
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_int_equal(cursor.seen, now);
}

/* ---- confirming and cursors */

static void
test_confirm_takes_only_positions_of_the_room(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(8);
	session = visit(1, "phone", 0, 0, &joined);
	assert_false(dw_room_confirm(room, session, pos(81, 8), NULL, true, STEADY));
	assert_false(dw_room_confirm(room, session, pos(80, 9), NULL, true, STEADY));
	assert_false(dw_room_confirm(room, session, pos(50, 6), NULL, true, STEADY));
	assert_false(dw_room_confirm(room, session, pos(20, 4), NULL, true, STEADY));
	assert_int_equal(dw_seq(session->device->at), 39);
	assert_true(dw_room_confirm(room, session, pos(50, 5), NULL, true, STEADY));
	assert_int_equal(dw_seq(session->device->at), 50);
}

static void
test_cursor_never_moves_back(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;

	(void)state;
	publish_up_to(5);
	session = visit(1, "phone", 0, 0, &joined);
	assert_true(dw_room_confirm(room, session, pos(40, 4), NULL, true, STEADY));
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	assert_int_equal(dw_seq(session->device->at), 40);
	leave(session);
	session = visit(2, "phone", DW_JOIN_AFTER, 10, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 19, 1, 4);
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	leave(session);
	(void)visit(3, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 49, 4, 1);
}

static void
test_changed_cursors_are_taken_once(void **state)
{
	struct dw_joined joined;
	struct dw_session *session;
	struct dw_cursor cursor;

	(void)state;
	publish_up_to(2);
	session = visit(1, "phone", DW_JOIN_DERIVED, 0, &joined);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_string_equal(cursor.room, "123");
	assert_string_equal(cursor.user, "ann");
	assert_string_equal(cursor.device, "phone");
	assert_true(cursor.derived);
	assert_false(dw_room_take_cursor(room, now, &cursor));
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	assert_true(dw_room_confirm(room, session, pos(20, 2), NULL, true, STEADY));
	assert_true(dw_room_take_device(room, session->device, now, &cursor));
	assert_int_equal(dw_seq(cursor.at), 20);
	assert_int_equal(dw_n(cursor.at), 2);
	assert_false(dw_room_take_device(room, session->device, now, &cursor));
	dw_room_put_back(room, &cursor);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_int_equal(dw_seq(cursor.at), 20);
}

/* ---- queued */

static void
test_queued_counts_from_the_lowest_cursor(void **state)
{
	struct dw_joined joined;
	struct dw_session *phone, *tablet;

	(void)state;
	assert_int_equal(dw_room_queued(room), 0);
	assert_int_equal(dw_room_oldest_queued_at(room), 0);
	publish_up_to(3);
	/* Nobody is known: all of them. */
	assert_int_equal(dw_room_queued(room), 3);
	phone = visit(1, "phone", 0, 0, &joined);
	tablet = visit(2, "tablet", 0, 0, &joined);
	assert_int_equal(dw_room_queued(room), 3);
	assert_true(dw_room_confirm(room, phone, pos(30, 3), NULL, true, STEADY));
	assert_int_equal(dw_room_queued(room), 3);
	assert_true(dw_room_confirm(room, tablet, pos(20, 2), NULL, true, STEADY));
	assert_int_equal(dw_room_queued(room), 1);
	assert_int_equal(dw_room_oldest_queued_at(room), NOW);
	leave(tablet);
	now += 5;
	publish_up_to(9);
	/* What was dropped is not queued any more. */
	assert_int_equal(dw_room_queued(room), LIMIT);
	assert_int_equal(dw_room_oldest_queued_at(room), NOW + 5);
}

static void
test_queued_survives_unloading(void **state)
{
	struct dw_joined joined;
	struct dw_session *phone;
	struct dw_cursor cursor;

	(void)state;
	publish_up_to(4);
	phone = visit(1, "phone", 0, 0, &joined);
	assert_true(dw_room_confirm(room, phone, pos(30, 3), NULL, true, STEADY));
	leave(phone);
	while (dw_room_take_cursor(room, now, &cursor))
		continue;
	dw_room_unload(room);
	assert_false(dw_room_resident(room));
	assert_int_equal(dw_room_queued(room), 1);
	assert_int_equal(room->device_count, 1);
	assert_int_equal(room->prune_at, (uint64_t)NOW + CURSOR_TTL);
	assert_int_equal(dw_room_memory(room), 0);
	publish_up_to(6);
	assert_int_equal(dw_room_queued(room), 3);
	assert_int_equal(dw_room_retained(room), 5);
	now += TTL + 1;
	dw_room_expire(room, now);
	assert_int_equal(dw_room_queued(room), 0);
	publish_at(90, 7);
	assert_int_equal(dw_room_retained(room), 1);
	assert_int_equal(dw_room_queued(room), 1);
}

static void
test_start_counts_without_loading(void **state)
{
	const struct dw_room_summary summary = {
		.room = "123", .n = 9, .head = 90, .head_at = NOW, .oldest = 60, .oldest_n = 6
	};
	struct dw_cursor cursor = { .room = "123", .user = "ann", .device = "a", .at = pos(80, 8), .seen = NOW };

	(void)state;
	dw_room_unload(room);
	dw_room_summarize(room, &summary, now);
	assert_int_equal(dw_room_retained(room), 4);
	assert_int_equal(dw_room_queued(room), 4);
	assert_true(dw_room_count_cursor(room, &cursor, now));
	assert_int_equal(dw_room_queued(room), 1);
	cursor.at = pos(70, 7);
	assert_true(dw_room_count_cursor(room, &cursor, now));
	assert_int_equal(dw_room_queued(room), 2);
	cursor.seen = NOW - CURSOR_TTL;
	cursor.at = pos(10, 1);
	assert_false(dw_room_count_cursor(room, &cursor, now));
	assert_int_equal(room->device_count, 2);
	assert_int_equal(dw_room_queued(room), 2);
}

static void
test_lowered_limit_holds_at_the_start(void **state)
{
	const struct dw_room_summary summary = {
		.room = "123", .n = 100, .head = 1000, .head_at = NOW, .oldest = 10, .oldest_n = 1
	};

	(void)state;
	dw_room_unload(room);
	dw_room_summarize(room, &summary, now);
	assert_int_equal(dw_room_retained(room), LIMIT);
}

/* ---- loading */

static void
fill_load(struct dw_op *load, uint64_t from_n, uint64_t to_n)
{
	for (uint64_t n = from_n; n <= to_n; n++)
		add_record(&load->read.records, n * 10, n, NOW);
	load->read.summary =
		(struct dw_room_summary) { .n = to_n, .head = to_n * 10, .head_at = NOW, .oldest = from_n * 10 };
}

static void
test_load_brings_messages_devices_owners(void **state)
{
	struct dw_cursor cursor = {
		.room = "123", .user = "ann", .device = "phone", .at = pos(40, 4), .resume = pos(40, 4), .seen = NOW
	};
	struct dw_owner_row owner = { .room = "123", .user = "bob", .state = DW_OWNER_GRANTED };
	struct dw_op load = { .kind = DW_OP_LOAD };
	struct dw_joined joined;

	(void)state;
	dw_room_unload(room);
	fill_load(&load, 3, 6);
	dw_buf_add(&load.read.cursors, &cursor, sizeof(cursor));
	dw_buf_add(&load.read.owners, &owner, sizeof(owner));
	assert_int_equal(dw_room_load(room, &load, now), DW_OK);
	assert_true(dw_room_resident(room));
	assert_int_equal(dw_room_retained(room), 4);
	assert_int_equal(dw_room_queued(room), 2);
	assert_true(dw_room_may(room, DW_STR("bob"), false));
	assert_false(dw_room_may(room, DW_STR("ann"), false));
	engine_head = 60;
	(void)visit(1, "phone", 0, 0, &joined);
	assert_stands(&joined, DW_RESUME_EXACT, 49, 4, 2);
	/* What the load brought already is not appended again. */
	publish_at(60, 6);
	assert_int_equal(dw_room_retained(room), 4);
	publish_at(65, 7);
	assert_int_equal(dw_room_retained(room), 5);
	dw_op_clear(&load);
}

static void
test_damaged_load_changes_nothing(void **state)
{
	struct dw_op load = { .kind = DW_OP_LOAD };
	struct dw_op hole = { .kind = DW_OP_LOAD };

	(void)state;
	dw_room_unload(room);
	fill_load(&load, 1, 2);
	dw_buf_adds(&load.read.records, "no record");
	assert_int_equal(dw_room_load(room, &load, now), DW_E_CORRUPT);
	fill_load(&hole, 1, 2);
	fill_load(&hole, 4, 4);
	assert_int_equal(dw_room_load(room, &hole, now), DW_E_CORRUPT);
	assert_false(dw_room_resident(room));
	assert_int_equal(room->n, 0);
	assert_int_equal(room->device_count, 0);
	dw_op_clear(&load);
	dw_op_clear(&hole);
}

/* ---- ownership */

static void
test_revoked_sessions_are_found(void **state)
{
	struct dw_join claimed = a_join(2, "bob", "tablet", DW_JOIN_CLAIMED);
	struct dw_joined joined;
	struct dw_session *session;
	struct dw_join plain = a_join(1, "bob", "phone", 0);

	(void)state;
	assert_int_equal(dw_room_own(room, DW_STR("bob"), DW_OWNER_GRANTED), DW_OK);
	session = enter(&plain, EDGE, &joined);
	(void)enter(&claimed, EDGE, &joined);
	assert_null(dw_room_intruder(room, DW_STR("bob")));
	assert_int_equal(dw_room_own(room, DW_STR("bob"), DW_OWNER_NONE), DW_OK);
	/* The claim still lets the other one in. */
	assert_ptr_equal(dw_room_intruder(room, DW_STR("bob")), session);
	leave(session);
	assert_null(dw_room_intruder(room, DW_STR("bob")));
	assert_int_equal(dw_room_own(room, DW_STR("bob"), DW_OWNER_DENIED), DW_OK);
	assert_non_null(dw_room_intruder(room, DW_STR("bob")));
	assert_null(dw_room_intruder(room, DW_STR("nobody")));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
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
		TEST(test_explicit_device_is_taken_over),
		TEST(test_who_returns_stays_if_it_is_the_newest),
		TEST(test_derived_devices_live_side_by_side),
		TEST(test_a_session_joins_once),
		TEST(test_rooms_do_not_find_each_others),
		TEST(test_longest_unseen_device_goes),
		TEST(test_devices_of_others_are_not_counted),
		TEST(test_old_devices_are_pruned),
		TEST(test_connected_devices_are_not_pruned),
		TEST(test_confirm_takes_only_positions_of_the_room),
		TEST(test_cursor_never_moves_back),
		TEST(test_changed_cursors_are_taken_once),
		TEST(test_queued_counts_from_the_lowest_cursor),
		TEST(test_queued_survives_unloading),
		TEST(test_start_counts_without_loading),
		TEST(test_lowered_limit_holds_at_the_start),
		TEST(test_load_brings_messages_devices_owners),
		TEST(test_damaged_load_changes_nothing),
		TEST(test_revoked_sessions_are_found),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
