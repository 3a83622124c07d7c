/* links: lib/room/room.c lib/room/member.c lib/room/join.c lib/room/session.c lib/room/confirm.c lib/room/read.c */
/* links: lib/room/queued.c lib/base/ring.c */
/* links: lib/base/hash.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/store/engine.c */
/* libs: msgpack */
/* The rules of a room: takeover, devices, cursors, what is queued, what a load brings, whose it is. */
#include "room_kit.h"

/* ---- takeover */

static void
test_explicit_device_is_taken_over(void)
{
	struct dw_join asked = a_join(2, "ann", "phone", 0);
	struct dw_session *first;

	first = visit(1, "phone", 0, 0);
	assert_ptr_equal(dw_room_rival(room, &asked), first);
	asked.device = DW_STR("tablet");
	assert_null(dw_room_rival(room, &asked));
	asked.device = DW_STR("phone");
	asked.user = DW_STR("bob");
	assert_null(dw_room_rival(room, &asked));
	asked.user = DW_STR("ann");
	leave(first);
	asked.flags = 0;
	assert_null(dw_room_rival(room, &asked));
}

/* Both edges were away, or the hub. */
static void
test_who_returns_stays_if_it_is_the_newest(void)
{
	struct dw_join asked = a_return(2, "phone", dw_position_start());

	assert_false(dw_room_replaced(room, &asked, steady));
	(void)visit(1, "phone", 0, 0);
	pass(1000);
	asked.age = 1100;
	assert_true(dw_room_replaced(room, &asked, steady));
	asked.age = UINT32_MAX; /* longer than this machine is up */
	assert_true(dw_room_replaced(room, &asked, steady));
	asked.age = 1000;
	assert_true(dw_room_replaced(room, &asked, steady));
	asked.age = 900;
	assert_false(dw_room_replaced(room, &asked, steady));
	assert_non_null(dw_room_rival(room, &asked));
	asked.age = 1100;
	asked.flags |= DW_JOIN_DERIVED;
	assert_false(dw_room_replaced(room, &asked, steady));
	asked.flags = 0;
	assert_false(dw_room_replaced(room, &asked, steady));
}

static void
test_derived_devices_live_side_by_side(void)
{
	struct dw_join asked = a_join(2, "ann", "d1", DW_JOIN_DERIVED);
	struct dw_session *first, *second;

	publish_up_to(3);
	first = visit(1, "d1", DW_JOIN_DERIVED, 0);
	assert_null(dw_room_rival(room, &asked));
	second = join(&asked);
	assert_ptr_equal(first->device, second->device);
	assert_int_equal(room->device_count, 1);
	assert_int_equal(room->device_connected, 1);
	/* The cursor is the lowest among those open. */
	confirm(first, 30, 3, true);
	assert_int_equal(dw_seq(first->device->at), 9);
	confirm(second, 10, 1, true);
	assert_int_equal(dw_seq(first->device->at), 10);
	leave(second);
	assert_int_equal(dw_seq(first->device->at), 30);
	assert_int_equal(room->device_connected, 1);
	leave(first);
	assert_int_equal(room->device_connected, 0);
}

static void
test_a_session_joins_once(void)
{
	const struct dw_join_context context = { OTHER_EDGE, EPOCH, 0, NOW, steady, NULL };
	struct dw_join asked = a_join(1, "bob", "phone", 0);
	struct dw_session *session;

	(void)visit(1, "phone", 0, 0);
	assert_int_equal(dw_room_join(room, &asked, &context, &joined, &session), DW_E_FIELD);
	assert_int_equal(room->session_count, 1);
	assert_int_equal(room->device_count, 1);
}

/* One connection may watch many rooms, and a user be a member of many. */
static void
test_rooms_do_not_find_each_others(void)
{
	struct dw_room *first = room, *other = dw_room_new(&all, "124");
	struct dw_session *here, *there;

	assert_non_null(other);
	here = visit(1, "phone", 0, 0);
	room = other;
	load_empty();
	assert_null(dw_room_session(other, 1));
	there = visit(1, "phone", 0, 0);
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
visit_briefly(unsigned i)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "d%u", i);
	leave(visit(1 + i, name, 0, 0));
}

static void
test_longest_unseen_device_goes(void)
{
	struct dw_cursor cursor;
	struct dw_session *kept;
	size_t removals = 0;

	kept = visit(1, "d0", 0, 0);
	for (unsigned i = 1; i < DW_DEVICES_PER_USER; i++) {
		now += 1000;
		visit_briefly(i);
	}
	while (dw_room_take_cursor(room, now, &cursor))
		assert_int_not_equal(cursor.seen, 0);
	now += 1000;
	leave(visit(100, "one-more", 0, 0));
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
test_devices_of_others_are_not_counted(void)
{
	for (unsigned i = 0; i < DW_DEVICES_PER_USER; i++)
		visit_briefly(i);
	(void)join_as(100, "bob", "d0", 0, 0);
	assert_int_equal(room->device_count, DW_DEVICES_PER_USER + 1);
}

static void
test_old_devices_are_pruned(void)
{
	struct dw_join asked = a_join(2, "ann", "derived", DW_JOIN_DERIVED);

	leave(visit(1, "phone", 0, 0));
	asked.expires = NOW / 1000 + 10;
	leave(join(&asked));
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
test_connected_devices_are_not_pruned(void)
{
	struct dw_cursor cursor;

	(void)visit(1, "phone", 0, 0);
	take_cursors();
	now += 100ULL * CURSOR_TTL;
	dw_room_prune(room, now);
	assert_int_equal(room->device_count, 1);
	/* And the store learns that it was seen. */
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_int_equal(cursor.seen, now);
}

/* ---- confirming and cursors */

static void
test_confirm_takes_only_positions_of_the_room(void)
{
	struct dw_session *session;

	publish_up_to(8);
	session = visit(1, "phone", 0, 0);
	assert_false(dw_room_confirm(room, session, pos(81, 8), NULL, true, steady));
	assert_false(dw_room_confirm(room, session, pos(80, 9), NULL, true, steady));
	assert_false(dw_room_confirm(room, session, pos(50, 6), NULL, true, steady));
	assert_false(dw_room_confirm(room, session, pos(20, 4), NULL, true, steady));
	assert_int_equal(dw_seq(session->device->at), 39);
	confirm(session, 50, 5, true);
	assert_int_equal(dw_seq(session->device->at), 50);
}

static void
test_cursor_never_moves_back(void)
{
	struct dw_session *session;

	publish_up_to(5);
	session = visit(1, "phone", 0, 0);
	confirm(session, 40, 4, true);
	confirm(session, 20, 2, true);
	assert_int_equal(dw_seq(session->device->at), 40);
	leave(session);
	session = visit(2, "phone", DW_JOIN_AFTER, 10);
	assert_joined(DW_RESUME_EXACT, 19, 1, 4);
	confirm(session, 20, 2, true);
	leave(session);
	(void)visit(3, "phone", 0, 0);
	assert_joined(DW_RESUME_EXACT, 49, 4, 1);
}

static void
test_changed_cursors_are_taken_once(void)
{
	struct dw_session *session;
	struct dw_cursor cursor;

	publish_up_to(2);
	session = visit(1, "phone", DW_JOIN_DERIVED, 0);
	assert_true(dw_room_take_cursor(room, now, &cursor));
	assert_string_equal(cursor.room, "123");
	assert_string_equal(cursor.user, "ann");
	assert_string_equal(cursor.device, "phone");
	assert_true(cursor.derived);
	assert_false(dw_room_take_cursor(room, now, &cursor));
	confirm(session, 20, 2, true);
	confirm(session, 20, 2, true);
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
test_queued_counts_from_the_lowest_cursor(void)
{
	struct dw_session *phone, *tablet;

	assert_int_equal(dw_room_queued(room), 0);
	assert_int_equal(dw_room_oldest_queued_at(room), 0);
	publish_up_to(3);
	/* Nobody is known: all of them. */
	assert_int_equal(dw_room_queued(room), 3);
	phone = visit(1, "phone", 0, 0);
	tablet = visit(2, "tablet", 0, 0);
	assert_int_equal(dw_room_queued(room), 3);
	confirm(phone, 30, 3, true);
	assert_int_equal(dw_room_queued(room), 3);
	confirm(tablet, 20, 2, true);
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
test_queued_survives_unloading(void)
{
	struct dw_session *phone;

	publish_up_to(4);
	phone = visit(1, "phone", 0, 0);
	confirm(phone, 30, 3, true);
	leave(phone);
	take_cursors();
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
test_start_counts_without_loading(void)
{
	const struct dw_room_summary summary = { .room = "123", .n = 9, .head = 90, .head_at = NOW, .oldest_n = 6 };
	struct dw_cursor cursor = { .room = "123", .user = "ann", .device = "a", .at = pos(80, 8), .seen = NOW };

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
test_lowered_limit_holds_at_the_start(void)
{
	const struct dw_room_summary summary = { .room = "123", .n = 100, .head = 1000, .head_at = NOW, .oldest_n = 1 };

	dw_room_unload(room);
	dw_room_summarize(room, &summary, now);
	assert_int_equal(dw_room_retained(room), LIMIT);
}

/* ---- loading */

static void
fill_load(struct dw_op *load, uint64_t from_n, uint64_t to_n)
{
	for (uint64_t n = from_n; n <= to_n; n++) {
		const struct dw_record record = a_record(n * 10, n);

		dw_record_pack(&load->read.records, &record);
	}
	load->read.summary = (struct dw_room_summary) { .n = to_n, .head = to_n * 10, .head_at = NOW };
}

static void
test_load_brings_messages_devices_owners(void)
{
	struct dw_cursor cursor = {
		.room = "123", .user = "ann", .device = "phone", .at = pos(40, 4), .resume = pos(40, 4), .seen = NOW
	};
	struct dw_owner_row owner = { .room = "123", .user = "bob", .state = DW_OWNER_GRANTED };
	struct dw_op load = empty_load();

	fill_load(&load, 3, 6);
	load_cursor(&load, &cursor);
	dw_buf_add(&load.read.owners, &owner, sizeof(owner));
	finish_load(&load, DW_OK);
	assert_true(dw_room_resident(room));
	assert_int_equal(dw_room_retained(room), 4);
	assert_int_equal(dw_room_queued(room), 2);
	assert_true(dw_room_may(room, DW_STR("bob"), false));
	assert_false(dw_room_may(room, DW_STR("ann"), false));
	(void)visit(1, "phone", 0, 0);
	assert_joined(DW_RESUME_EXACT, 49, 4, 2);
	/* What the load brought already is not appended again. */
	publish_at(60, 6);
	assert_int_equal(dw_room_retained(room), 4);
	publish_at(65, 7);
	assert_int_equal(dw_room_retained(room), 5);
}

static void
test_damaged_load_changes_nothing(void)
{
	struct dw_op load = empty_load();
	struct dw_op hole = { .kind = DW_OP_LOAD };

	fill_load(&load, 1, 2);
	dw_buf_adds(&load.read.records, "no record");
	finish_load(&load, DW_E_CORRUPT);
	fill_load(&hole, 1, 2);
	fill_load(&hole, 4, 4);
	finish_load(&hole, DW_E_CORRUPT);
	assert_false(dw_room_resident(room));
	assert_int_equal(room->n, 0);
	assert_int_equal(room->device_count, 0);
}

/* ---- ownership */

static void
test_revoked_sessions_are_found(void)
{
	struct dw_session *session;

	assert_int_equal(dw_room_own(room, DW_STR("bob"), DW_OWNER_GRANTED), DW_OK);
	session = join_as(1, "bob", "phone", 0, 0);
	(void)join_as(2, "bob", "tablet", DW_JOIN_CLAIMED, 0);
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
	const struct plain_test tests[] = {
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

	return run_in_rooms(tests, sizeof(tests) / sizeof(tests[0]));
}
