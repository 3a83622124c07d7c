/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* Rooms in memory: they are loaded when somebody asks for them, by turns, and given up when memory is short. */
#include "../../lib/hub_talk.h"

/* Rooms "r0", "r1", … with a message each, in a hub that has loaded none. */
static void
store_rooms(unsigned count)
{
	char name[16];

	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(name, sizeof(name), "r%u", i);
		(void)publishes_as((struct dw_publish) { .corr = 1, .room = dw_str(name) });
	}
	restart_hub();
	assert_int_equal(count, HASH_COUNT(hub.rooms));
	assert_int_equal(0, hub.resident_count);
}

static void
ask_for(uint32_t peer, unsigned room)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "r%u", room);
	kit_stat(peer, room, "room", name, "", 10);
}

static void
test_loaded_once(void **state)
{
	(void)state;
	store_rooms(1);
	ask_for(ADMIN, 0);
	ask_for(SENDER, 0);
	assert_int_equal(0, told(ADMIN, DW_TABLE)->table.code);
	assert_int_equal(0, told(SENDER, DW_TABLE)->table.code);
	assert_int_equal(1, hub.resident_count);
	assert_int_equal(1, hub.counters.commits);
	ask_for(ADMIN, 0);
	assert_int_equal(0, told(ADMIN, DW_TABLE)->table.code);
	assert_int_equal(1, hub.counters.commits);
}

/* All who wait are told; the next who asks has it loaded. */
static void
test_a_load_fails(void **state)
{
	(void)state;
	store_rooms(1);
	kit_fails = DW_E_STORAGE_FULL;
	ask_for(ADMIN, 0);
	publish_as(SENDER, (struct dw_publish) { .corr = 9, .room = DW_STR("r0"), .to = DW_STR("ann") });
	assert_int_equal(-DW_E_STORAGE_FULL, told(ADMIN, DW_TABLE)->table.code);
	assert_int_equal(-DW_E_STORAGE_FULL, told(SENDER, DW_STORED)->stored.code);
	assert_int_equal(0, hub.resident_count);
	assert_int_equal(0, hub.loads);
	assert_int_equal(0, hub.staged_bytes);
	assert_false(dw_room_resident(room_find(&hub, DW_STR("r0"))));
	kit_fails = DW_OK;
	ask_for(ADMIN, 0);
	assert_int_equal(0, told(ADMIN, DW_TABLE)->table.code);
}

/* A room that nobody knows is not kept for who asks. */
static void
test_unknown(void **state)
{
	(void)state;
	ask_for(ADMIN, 0);
	assert_int_equal(-DW_E_UNKNOWN, told(ADMIN, DW_TABLE)->table.code);
	assert_null(hub.rooms);
	assert_int_equal(0, hub.memory);
}

/* Who asks for one room does not wait behind all that another has asked for; and one peer has only so many loaded at a
 * time. */
static void
test_turns(void **state)
{
	(void)state;
	store_rooms(200);
	for (unsigned i = 0; i < 199; i++)
		ask_for(ADMIN, i);
	ask_for(SENDER, 199);
	ask_for(EDGE, 198); /* which the other has asked for too, as the last */
	turn_commit(&hub);
	assert_int_equal(34, hub.loads);
	turn_apply(&hub, kit_done);
	kit_done = NULL;
	assert_int_equal(0, told_at_once(SENDER, DW_TABLE)->table.code);
	assert_int_equal(0, told_at_once(EDGE, DW_TABLE)->table.code);
	for (unsigned i = 0; i < 199; i++)
		assert_int_equal(0, told(ADMIN, DW_TABLE)->table.code);
	assert_int_equal(200, hub.resident_count);
	assert_int_equal(0, hub.staged_bytes);
}

/* What came while it was loaded is carried out after what waited, in the order it came. */
static void
test_in_order(void **state)
{
	(void)state;
	store_rooms(1);
	for (uint64_t corr = 1; corr <= 3; corr++)
		publish_as(SENDER, (struct dw_publish) { .corr = corr, .room = DW_STR("r0"), .to = DW_STR("ann") });
	for (uint64_t corr = 1; corr <= 3; corr++) {
		const struct dw_stored *stored = &told(SENDER, DW_STORED)->stored;

		assert_int_equal(corr, stored->corr);
		assert_int_equal(1 + corr, stored->seq);
	}
}

/* All who asked are gone: it is not loaded. */
static void
test_nobody_waits(void **state)
{
	(void)state;
	store_rooms(1);
	ask_for(SENDER, 0);
	kit_say(SENDER, &(struct dw_wire) { .kind = DW_BYE });
	kit_settle();
	assert_int_equal(0, hub.resident_count);
	assert_int_equal(0, hub.counters.commits);
	assert_null(hub.loaders);
}

/* It has begun anew meanwhile: what it asked before is not answered, and the room is there. */
static void
test_who_asked_began_anew(void **state)
{
	(void)state;
	store_rooms(1);
	ask_for(ADMIN, 0);
	kit_say(ADMIN, &(struct dw_wire) { .kind = DW_HELLO,
					   .hello = { .version = dw_protocol_version(),
						   .kind = DW_PEER_CLIENT,
						   .peer = ADMIN,
						   .incarnation = 2,
						   .name = DW_STR("anew") } });
	(void)told(ADMIN, DW_WELCOME);
	told_nothing(ADMIN);
	assert_int_equal(0, peer_find(&hub, ADMIN)->pending);
	assert_int_equal(0, hub.staged_bytes);
}

/* The hub ends while rooms wait to be loaded. */
static void
test_it_ends_meanwhile(void **state)
{
	(void)state;
	store_rooms(2);
	hub.closing = true;
	ask_for(ADMIN, 0);
	ask_for(ADMIN, 1);
	assert_non_null(hub.loaders);
	assert_true(kit_start(kit_stop())); /* frees what waits */
}

/* While memory is over its bound the room that was used least recently goes, and none that is in use. */
static void
test_memory(void **state)
{
	size_t each;

	(void)state;
	store_rooms(4);
	ask_for(ADMIN, 0);
	(void)told(ADMIN, DW_TABLE);
	each = hub.memory;
	join_as(EDGE,
		(struct dw_join) { .session = 1, .room = DW_STR("r3"), .user = DW_STR("ann"), .device = DW_STR("phone") });
	(void)told(EDGE, DW_JOINED);
	(void)told(EDGE, DW_MESSAGES);
	for (unsigned i = 1; i < 3; i++) {
		ask_for(ADMIN, i);
		(void)told(ADMIN, DW_TABLE);
	}
	ask_for(ADMIN, 0); /* so it is not the oldest any more */
	(void)told(ADMIN, DW_TABLE);
	assert_int_equal(4, hub.resident_count);
	kit_options.memory_limit = (int64_t)(hub.memory - each / 2);
	kit_settle();
	assert_int_equal(3, hub.resident_count);
	assert_false(dw_room_resident(room_find(&hub, DW_STR("r1"))));
	kit_options.memory_limit = 0;
	kit_settle();
	assert_int_equal(1, hub.resident_count);
	assert_true(dw_room_resident(room_find(&hub, DW_STR("r3"))));
	/* What they retain is known all the same, and they come back. */
	assert_int_equal(4, hub.rooms_shared.retained);
	ask_for(ADMIN, 1);
	assert_int_equal(0, told(ADMIN, DW_TABLE)->table.code);
	assert_int_equal(1, hub.resident_count);
	leave_as(EDGE, (struct dw_leave) { .session = 1 });
	forget_said();
}

/* A room with somebody who waits stays. */
static void
test_memory_of_those_who_wait(void **state)
{
	(void)state;
	kit_options.memory_limit = 0;
	read_as(EDGE, (struct dw_read) { .corr = 1, .user = DW_STR("ann"), .claimed = true, .wait_ms = MINUTE });
	publish_as(SENDER, (struct dw_publish) { .corr = 2, .room = DW_STR("2"), .wait = 1, .wait_ms = MINUTE });
	(void)told(SENDER, DW_STORED);
	assert_int_equal(2, hub.resident_count);
	pass(MINUTE);
	(void)told(EDGE, DW_RECORDS);
	(void)told(SENDER, DW_DELIVERED);
	assert_int_equal(0, hub.resident_count);
	assert_int_equal(0, hub.memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_loaded_once),
		TALK(test_a_load_fails),
		TALK(test_unknown),
		TALK(test_turns),
		TALK(test_in_order),
		TALK(test_nobody_waits),
		TALK(test_who_asked_began_anew),
		TALK(test_it_ends_meanwhile),
		TALK(test_memory),
		TALK(test_memory_of_those_who_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
