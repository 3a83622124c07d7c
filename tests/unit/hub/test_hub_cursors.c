/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* How far devices have got: when that is written, what becomes of it at the next start, and when it is forgotten. */
#include "../../lib/hub_talk.h"

#include "rooms/sessions.h"

/* With the next round, and not before. */
static void
test_written(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	confirms(EDGE, 1, 1, 1, 0);
	kit_settle();
	assert_position(0, 0, 0, stored_cursor("ann", "phone").at);
	write_cursors();
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
	assert_int_equal(0, stored_cursor("ann", "phone").had.from);
	assert_int_equal(1, stored_cursor("ann", "phone").had.to);
	assert_position(0, 0, 0, stored_cursor("bob", "phone").at);
	/* Where it goes on follows when that has stood for a while, in a later round. */
	assert_position(0, 0, 0, stored_cursor("ann", "phone").resume);
	pass(DW_OVERLAP_MS + SECOND);
	write_cursors();
	assert_position(1, 1, 0, stored_cursor("ann", "phone").resume);
	assert_null(hub.dirty);
}

/* The commit failed: it is written with a later one. */
static void
test_not_written(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	confirms(EDGE, 1, 1, 1, 0);
	kit_fails = DW_E_STORAGE_FULL;
	write_cursors();
	assert_non_null(hub.dirty);
	assert_position(0, 0, 0, stored_cursor("ann", "phone").at);
	kit_fails = DW_OK;
	write_cursors();
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
}

/* So many in a batch; the rooms take turns and none is left out. */
static void
test_many(void **state)
{
	enum { MANY = 300 };
	char name[16];
	size_t rounds = 0;

	(void)state;
	for (uint64_t i = 1; i <= MANY; i++) {
		(void)snprintf(name, sizeof(name), "u%llu", (unsigned long long)i);
		(void)joins(EDGE, i, name, "phone");
	}
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	for (uint64_t i = 1; i <= MANY; i++)
		confirms(EDGE, i, 1, 1, 0);
	rooms_begin_cursors(&hub);
	while (hub.cursor_rooms > 0 && ++rounds < 10) {
		rooms_write_cursors(&hub, 100);
		assert_in_range(hub.batch->count, 1, 100);
		hub.expected = hub.cursors_at = 0;
		turn_commit(&hub);
		turn_apply(&hub, kit_done);
		kit_done = NULL;
	}
	assert_int_equal(MANY / 100, rounds);
	for (uint64_t i = 1; i <= MANY; i++) {
		(void)snprintf(name, sizeof(name), "u%llu", (unsigned long long)i);
		assert_position(1, 1, 0, stored_cursor(name, "phone").at);
	}
}

/* Another hub knows where all stand without loading a room. */
static void
test_start(void **state)
{
	const struct dw_joined *joined;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_many(3);
	forget_said();
	leave_as(EDGE, (struct dw_leave) { .session = 1, .at = dw_position_said(2, 2, 0), .sure = true });
	restart_hub();
	assert_int_equal(1, HASH_COUNT(hub.rooms));
	assert_int_equal(0, hub.resident_count);
	assert_int_equal(3, hub.rooms_shared.retained);
	assert_int_equal(1, hub.rooms_shared.queued);
	assert_int_equal(3, hub.info.head);
	joined = joins(EDGE, 2, "ann", "phone");
	assert_int_equal(DW_RESUME_EXACT, joined->resume);
	assert_position(2, 2, 0, joined->at);
	assert_string_equal("3", seqs_of(told(EDGE, DW_MESSAGES)->messages.records));
}

/* A device that was away for too long is forgotten at the start, by the store too; a room with nothing left goes. */
static void
test_start_with_one_that_is_over_its_age(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	leave_as(EDGE, (struct dw_leave) { .session = 1 });
	kit_settle();
	assert_int_not_equal(0, stored_cursor("ann", "phone").seen);
	assert_true(kit_start(kit_stop()));
	talk_ms += 31ULL * DAY;
	assert_int_equal(DW_OK, rooms_start(&hub));
	kit_settle();
	assert_int_equal(0, stored_cursor("ann", "phone").seen);
	assert_null(hub.rooms);
	say_hellos();
}

/* The same while the hub runs: messages and devices come to their ages, also in rooms that are not in memory. */
static void
test_ages(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes();
	forget_said();
	leave_as(EDGE, (struct dw_leave) { .session = 1 });
	restart_hub();
	assert_int_equal(1, hub.rooms_shared.retained);
	/* Its timer is set for an hour at most, for the clock may be set meanwhile. */
	for (int i = 0; i < 7 * 24 + 1; i++)
		pass(HOUR);
	pass(MINUTE);
	assert_int_equal(0, hub.rooms_shared.retained);
	assert_int_equal(1, hub.rooms_shared.dropped_expired);
	assert_non_null(room_find(&hub, DW_STR("1")));
	for (int i = 0; i < 23 * 24; i++)
		pass(HOUR);
	write_cursors();
	assert_int_equal(0, stored_cursor("ann", "phone").seen);
	assert_null(hub.rooms);
}

/* One that is connected is seen; once a day that is noted. */
static void
test_those_who_stay(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	kit_settle();
	for (int i = 0; i < 25; i++)
		pass(HOUR);
	write_cursors();
	assert_in_range(stored_cursor("ann", "phone").seen, dw_now_ms() - DAY / 2, dw_now_ms());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_written),
		TALK(test_not_written),
		TALK(test_many),
		TALK(test_start),
		TALK(test_start_with_one_that_is_over_its_age),
		TALK(test_ages),
		TALK(test_those_who_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
