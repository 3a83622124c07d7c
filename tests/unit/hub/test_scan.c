/* hub */
/* libs: msgpack jansson libcrypto */
/* Long views, a slice a turn: all rows that were there all the time, once, whatever comes and goes meanwhile; who may
 * ask for how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../lib/hub_kit.h"
#include "rooms/rooms.h"
#include "rooms/sessions.h"

enum { EDGE = 1, ASKER = 2, MANY = 4000, SLICE = 1000 };

static int
set_up(void **state)
{
	(void)state;
	assert_true(kit_start(NULL));
	kit_hello(EDGE, DW_PEER_EDGE);
	kit_hello(ASKER, DW_PEER_CLIENT);
	kit_turn();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end();
	return 0;
}

static const char *
name_of(const char *kind, unsigned i)
{
	static char name[32];

	(void)snprintf(name, sizeof(name), "%s%u", kind, i);
	return name;
}

/* A room with one message, of which nobody knows. */
static struct dw_room *
add_room(const char *name)
{
	static uint64_t seq;
	const struct dw_record record = { .seq = ++seq, .n = 1, .at = dw_now_ms(), .type = DW_STR("a_update") };
	struct dw_room *room = room_get(&hub, dw_str(name));

	assert_int_equal(DW_OK, dw_room_append(room, &record, DW_STR(""), record.at));
	return room;
}

/* Its message is over its age. */
static void
remove_room(const char *name)
{
	struct dw_room *room = room_find(&hub, dw_str(name));

	dw_room_expire(room, dw_now_ms() + 8 * 86400000ULL);
	room_done(&hub, room);
}

/* How often each of the names is in the first column of the answer. */
static unsigned
count_rows(const struct dw_wire *answer, size_t columns, const char *kind, unsigned char *seen)
{
	struct dw_str rest = answer->table.cells;
	unsigned rows = 0;

	assert_int_equal(DW_TABLE, answer->kind);
	assert_int_equal(0, answer->table.code);
	memset(seen, 0, MANY);
	for (; rest.n > 0; rows++) {
		struct dw_cell cell;
		char name[32];

		for (size_t i = 0; i < columns; i++) {
			struct dw_cell other;

			assert_int_equal(DW_OK, dw_cell_next(&rest, i == 0 ? &cell : &other));
		}
		assert_true(dw_str_copy(cell.text, name, sizeof(name)));
		if (strncmp(name, kind, strlen(kind)) == 0)
			seen[atoi(name + strlen(kind))]++;
	}
	return rows;
}

static void
test_rooms_that_come_and_go_under_it(void **state)
{
	static unsigned char seen[MANY];
	struct dw_wire answer;
	unsigned turns = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		(void)add_room(name_of("r", i));
	said.count = 0;
	kit_stat(ASKER, 7, "rooms", "", "", TABLE_ROWS_MAX);
	while (scans_turn(&hub)) {
		/* The one where it stands, those around it, and one that it has passed. */
		turns++;
		for (unsigned i = turns * SLICE - 3; i < turns * SLICE + 3 && i < MANY; i++)
			remove_room(name_of("r", i));
		remove_room(name_of("r", turns));
		(void)add_room(name_of("new", turns));
	}
	outbox_flush(&hub);
	assert_in_range(turns, MANY / SLICE - 1, MANY / SLICE);
	assert_true(kit_heard(&answer));
	(void)count_rows(&answer, 11, "r", seen);
	for (unsigned i = 0; i < MANY; i++) {
		const unsigned near = (i + 3) % SLICE;
		const bool gone = (i + 3 >= SLICE && near < 6 && (i + 3) / SLICE <= turns) || (i >= 1 && i <= turns);

		/* What it stood on is gone in the end, too. */
		assert_int_equal(gone, room_find(&hub, dw_str(name_of("r", i))) == NULL);
		assert_true(gone ? seen[i] <= 1 : seen[i] == 1);
	}
}

static void
test_a_scan_ends_with_its_peer(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		(void)add_room(name_of("r", i));
	kit_stat(ASKER, 7, "rooms", "", "n", 10);
	assert_true(scans_turn(&hub));
	peer_forget(&hub, peer_find(&hub, ASKER));
	assert_int_equal(0, hub.scan_count);
	assert_false(scans_turn(&hub));
	for (struct dw_room *room = hub.rooms; room != NULL; room = room->hh.next)
		assert_int_equal(0, room->pins);
}

/* Users and members who go while it stands on them; edges, too. */
static void
test_users_and_devices_and_edges(void **state)
{
	static unsigned char seen[MANY];
	struct dw_wire answer;

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		char device[8] = "d";

		kit_join(EDGE, i + 1, "1", name_of("u", i), device);
	}
	kit_settle();
	for (uint32_t i = 0; i < 1500; i++)
		kit_hello(100 + i, DW_PEER_EDGE);
	outbox_flush(&hub);
	said.count = 0;
	kit_stat(ASKER, 1, "users", "", "", TABLE_ROWS_MAX);
	assert_true(scans_turn(&hub));
	for (unsigned i = 990; i < 1010; i++) {
		struct dw_room *room = room_find(&hub, DW_STR("1"));

		room_end_session(&hub, room, dw_room_session(room, i + 1));
	}
	assert_false(scans_turn(&hub));
	outbox_flush(&hub);
	assert_true(kit_heard(&answer));
	assert_in_range(count_rows(&answer, 2, "u", seen), 1480, 1500);
	for (unsigned i = 0; i < 1500; i++)
		assert_true(i < 990 || i >= 1010 ? seen[i] == 1 : seen[i] <= 1);
	assert_int_equal(1480, HASH_COUNT(hub.rooms_shared.present));

	kit_stat(ASKER, 2, "devices", "1", "", TABLE_ROWS_MAX);
	assert_true(scans_turn(&hub));
	assert_true(scans_turn(&hub));
	assert_true(scans_turn(&hub));
	assert_false(scans_turn(&hub));
	outbox_flush(&hub);
	assert_true(kit_heard(&answer));
	assert_int_equal(1500, count_rows(&answer, 6, "u", seen));

	kit_stat(ASKER, 3, "edges", "", "", TABLE_ROWS_MAX);
	assert_true(scans_turn(&hub));
	for (uint32_t i = 0; i < 1500; i += 2)
		peer_forget(&hub, peer_find(&hub, 100 + i));
	assert_false(scans_turn(&hub));
	outbox_flush(&hub);
	assert_true(kit_heard(&answer));
	assert_in_range(count_rows(&answer, 7, "kit", seen), 751, 1501);
}

/* Who asks for another meanwhile is not listened to until it has the first; others wait in line, and hear what is short
 * at once. */
static void
test_one_for_each_peer(void **state)
{
	struct dw_wire answer;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		(void)add_room(name_of("r", i));
	kit_stat(ASKER, 1, "rooms", "", "n", 10);
	kit_stat(EDGE, 2, "summary", "", "", 10);
	kit_stat(EDGE, 3, "queues", "", "queued", 10);
	said.count = 0;
	kit_stat(ASKER, 4, "users", "", "", 10);
	assert_true(peer_find(&hub, ASKER)->held);
	assert_int_equal(2, hub.scan_count);
	assert_true(kit_turn());
	assert_true(kit_heard(&answer) && answer.table.corr == 2);
	while (hub.scan_count == 2)
		assert_true(kit_turn());
	assert_true(kit_heard(&answer) && answer.table.corr == 1);
	assert_false(peer_find(&hub, ASKER)->held);
	(void)kit_turn();
	assert_int_equal(2, hub.scan_count); /* it has asked again */
	kit_settle();
	assert_true(kit_heard(&answer) && answer.table.corr == 4 && answer.table.code == 0);
	assert_int_equal(0, hub.scan_count);
}

/* Messages are as much to look at as they are long. */
static void
test_long_messages(void **state)
{
	static char data[60 * 1024];
	struct dw_wire answer;
	unsigned turns = 1;

	(void)state;
	(void)snprintf(data, sizeof(data), "{\"a\":\"%0*d\"}", (int)sizeof(data) - 10, 0);
	for (uint64_t i = 1; i <= 100; i++) {
		kit_say(ASKER,
			&(struct dw_wire) { .kind = DW_PUBLISH,
				.publish = { .corr = i, .room = DW_STR("1"), .type = DW_STR("a_update"), .data = dw_str(data) } });
		kit_settle();
	}
	kit_join(EDGE, 1, "1", "ann", "phone");
	kit_settle();
	said.count = 0;
	kit_stat(ASKER, 7, "messages", "1", "", TABLE_ROWS_MAX);
	while (scans_turn(&hub))
		turns++;
	outbox_flush(&hub);
	assert_true(kit_heard(&answer) && answer.table.corr == 7);
	assert_true(turns > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rooms_that_come_and_go_under_it),
		TEST(test_a_scan_ends_with_its_peer),
		TEST(test_users_and_devices_and_edges),
		TEST(test_one_for_each_peer),
		TEST(test_long_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
