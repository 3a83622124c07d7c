/* A room's stream from the hub: it becomes the ring, or says that it cannot; what has no place yet is deferred, and the
 * hub has no credit for it. No client, no link. */
/* links: cmd/diagws-edge/room/rooms.c cmd/diagws-edge/room/stream.c cmd/diagws-edge/room/fanout.c */
/* links: cmd/diagws-edge/room/render.c cmd/diagws-edge/room/frame.c */
/* links: lib/message/render.c lib/message/msg.c lib/json/json.c */
/* links: lib/json/json_plain.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/clock.c */
/* links: lib/base/err.c lib/base/hash.c */
/* links: lib/base/ring.c lib/base/utf8.c lib/base/wheel.c */
/* libs: msgpack jansson libcrypto */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utlist.h>

#include "edge.h"
#include "room/frame.h"
#include "room/rooms.h"

enum { LARGE = 60 * 1000 };

static struct edge edge;
static struct room *room;
static struct room_reader reader;
static struct dw_buf records;
static unsigned offered;

static int
set_up(void **state)
{
	(void)state;
	edge = (struct edge) { .confirm_ms = 1 };
	offered = 0;
	if (!frame_open())
		return 1;
	dw_wheel_init(&edge.wheel, 0);
	room = room_get(&edge, "123");
	DL_APPEND(room->parked, &reader);
	fanout_enter(room, &reader);
	room_stream_begin(room, dw_position_said(10, 5, 0));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fanout_park(room, &reader);
	DL_DELETE(room->parked, &reader);
	room_release(room);
	rooms_clear(&edge);
	free(edge.rooms.by_id.chains);
	dw_buf_clear(&records);
	return 0;
}

/* One message, whose data has so many bytes, after this position. */
static bool
take(uint64_t seq, uint64_t n, size_t size, struct dw_position prev)
{
	struct dw_buf data = { 0 };
	struct dw_messages messages = { .room = dw_str("123"), .prev = prev, .reason = DW_GAP_LIMIT };
	bool follows;

	dw_buf_adds(&data, "\"");
	while (data.len < size)
		dw_buf_addc(&data, 'x');
	dw_buf_adds(&data, "\"");
	dw_buf_reset(&records);
	dw_record_pack(
		&records, &(struct dw_record) {
					  .seq = seq, .n = n, .type = DW_STR("note"), .id = DW_STR("i"), .data = { data.data, data.len } });
	messages.records = (struct dw_str) { records.data, records.len };
	credit_came(&edge.rooms.credit, records.len);
	follows = room_take(room, &messages);
	dw_buf_clear(&data);
	return follows;
}

static void
offer(struct room_reader *who)
{
	assert_ptr_equal(&reader, who);
	offered++;
}

static void
test_what_follows_lies_in_the_ring_and_is_offered(void **state)
{
	(void)state;
	assert_true(take(11, 6, 10, dw_position_said(10, 5, 0)));
	assert_int_equal(11, room_newest(room));
	assert_ptr_equal(room, edge.rooms.queue);
	assert_int_equal(0, dw_ring_entry(room->ring, 0)->flags);
	assert_int_equal(ENTRY_PING, dw_ring_entry(room->ring, 1)->flags);
	assert_ptr_equal(room, fanout_slice(&edge.rooms, offer));
	assert_int_equal(1, offered);
	assert_null(edge.rooms.queue);
}

static void
test_what_does_not_follow_is_said(void **state)
{
	(void)state;
	assert_false(take(12, 7, 10, dw_position_said(11, 6, 0)));
	assert_false(take(10, 5, 10, dw_position_said(10, 5, 0)));
	assert_null(room->ring);
	assert_int_equal(10, room_newest(room));
}

static void
test_numbers_that_jump_leave_a_hole(void **state)
{
	const struct dw_ring_entry *hole;

	(void)state;
	assert_true(take(20, 9, 10, dw_position_said(10, 5, 0)));
	hole = dw_ring_entry(room->ring, 0);
	assert_int_equal(ENTRY_HOLE | DW_GAP_LIMIT << ENTRY_REASON_SHIFT, hole->flags);
	assert_int_equal(8, hole->n);
	assert_int_equal(9, dw_ring_entry(room->ring, 1)->n);
}

/* What would push out of the ring what its reader was not offered waits, and the hub's credit with it. */
static void
test_what_has_no_place_is_deferred_without_credit(void **state)
{
	uint64_t seq = 10;

	(void)state;
	while (room->deferred == NULL) {
		seq++;
		assert_true(take(seq, seq - 5, LARGE, dw_position_said(seq - 1, seq - 6, 0)));
		assert_true(seq < 100);
	}
	edge.rooms.credit.came.messages += CREDIT_EVERY;
	assert_int_equal(seq - 1, room_newest(room));
	assert_false(credit_due(&edge.rooms.credit));
	assert_ptr_equal(room, fanout_slice(&edge.rooms, offer));
	assert_true(room_take_deferred(room));
	assert_null(room->deferred);
	assert_int_equal(seq, room_newest(room));
	assert_true(credit_due(&edge.rooms.credit));
}

static void
test_what_is_deferred_and_does_not_follow_is_said(void **state)
{
	uint64_t seq = 10;

	(void)state;
	while (room->deferred == NULL) {
		seq++;
		assert_true(take(seq, seq - 5, LARGE, dw_position_said(seq - 1, seq - 6, 0)));
	}
	assert_true(take(seq + 2, seq - 3, 10, dw_position_said(seq + 1, seq - 4, 0)));
	(void)fanout_slice(&edge.rooms, offer);
	assert_false(room_take_deferred(room));
	rooms_drop_deferred(&edge);
	assert_null(room->deferred);
}

/* For somebody who stands further back: the hub sends it once more. */
static void
test_a_stream_goes_back_and_the_newest_does_not(void **state)
{
	(void)state;
	assert_true(take(11, 6, 10, dw_position_said(10, 5, 0)));
	assert_true(room_covers(room, 10));
	assert_false(room_covers(room, 4));
	assert_true(room_stream_at(room, dw_position_said(4, 2, 0)));
	assert_true(room_covers(room, 4));
	assert_int_equal(11, room_newest(room));
	assert_true(take(5, 3, 10, dw_position_said(4, 2, 0)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_follows_lies_in_the_ring_and_is_offered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_does_not_follow_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_numbers_that_jump_leave_a_hole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_has_no_place_is_deferred_without_credit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_deferred_and_does_not_follow_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_stream_goes_back_and_the_newest_does_not, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
