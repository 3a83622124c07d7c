/* links: lib/room/room.c lib/room/member.c lib/room/join.c lib/room/session.c lib/room/confirm.c lib/room/read.c */
/* links: lib/room/queued.c lib/base/ring.c */
/* links: lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/store/engine.c */
/* libs: msgpack */
/* What is queued, retained and watched is kept, and never counted: after every step of random histories in three rooms
 * that share one struct dw_rooms it is what a walk over all of them finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../lib/room/parts.h"

enum {
	ROOMS = 3,
	LIMIT = 4,
	TTL = 5000,
	CURSOR_TTL = 9000,
	USERS = 3,
	DEVICES = 20,
	SESSIONS = 6,
	RUNS = 300,
	STEPS = 250
};

static const char *const names[USERS] = { "ann", "bob", "carl" };
static const char EPOCH[] = "0123456789abcdef0123456789abcdef";

static struct dw_rooms all;
static uint64_t now, head, next_session;

/* A room, and what an engine would keep of it. */
static struct place {
	struct dw_room *room;
	struct dw_buf records, directs, cursors;
	uint64_t n, head, own[USERS];
	struct dw_session *sessions[SESSIONS];
} places[ROOMS];

static unsigned
any(unsigned below)
{
	return (unsigned)rand() % below;
}

/* ---- the truth, by walking */

static uint64_t
walk_direct(const struct dw_room *room)
{
	uint64_t count = 0;

	for (uint64_t i = dw_ring_first(room->direct); i < dw_ring_end(room->direct); i++) {
		const struct dw_member *member;
		const struct dw_device *device;
		struct dw_record record;
		bool awaited;

		assert_true(dw_record_of(room->direct, i, &record));
		member = dw_room_member(room, record.to);
		awaited = member->devices == NULL;
		for (device = member->devices; device != NULL; device = device->next)
			awaited |= dw_own(device->at) < record.own;
		count += awaited && record.own >= member->first_own;
	}
	return count;
}

static uint64_t
walk_numbered(const struct dw_room *room)
{
	const struct dw_member *member;
	const struct dw_device *device;
	uint64_t low = UINT64_MAX;

	DW_EACH_DEVICE(room, member, device)
	{
		low = dw_less(low, dw_n(device->at));
	}
	if (low == UINT64_MAX || low < room->oldest_n - 1)
		low = room->oldest_n - 1;
	return low < room->n ? room->n - low : 0;
}

static void
compare(void)
{
	uint64_t queued = 0, retained = 0, watched = 0;

	for (size_t i = 0; i < ROOMS; i++) {
		const struct dw_room *room = places[i].room;

		if (dw_room_resident(room)) {
			assert_int_equal(walk_numbered(room) + walk_direct(room), dw_room_queued(room));
			assert_int_equal(dw_ring_count(room->log), dw_room_retained(room));
		}
		queued += dw_room_queued(room);
		retained += dw_room_retained(room);
		watched += room->session_count > 0;
	}
	assert_int_equal(queued, all.queued);
	assert_int_equal(retained, all.retained);
	assert_int_equal(watched, all.watched);
}

/* Until then nothing is over its age, and so neither a message nor a device goes. */
static void
nothing_ages_before_it_is_said(struct dw_room *room)
{
	const uint64_t retained = dw_room_retained(room), until = dw_room_next_age(room) - 1;
	const size_t devices = room->device_count;

	if (until < now || until == UINT64_MAX - 1)
		return;
	dw_room_expire(room, until);
	if (dw_room_resident(room))
		dw_room_prune(room, until);
	assert_int_equal(retained, dw_room_retained(room));
	assert_int_equal(devices, room->device_count);
	/* Once looked at it is not looked at again for nothing. */
	dw_room_expire(room, now);
	if (dw_room_resident(room))
		dw_room_prune(room, now);
	assert_true(dw_room_next_age(room) > now);
}

/* ---- steps */

static void
append(struct place *place)
{
	const unsigned to = any(USERS * 2);
	struct dw_record record = { .at = now, .type = DW_STR("a_update"), .id = DW_STR("i"), .data = DW_STR("{}") };
	struct dw_buf bytes = { 0 };

	/* One to a user is published into a room that is resident. */
	if (to < USERS && dw_room_resident(place->room)) {
		record.to = dw_str(names[to]);
		record.own = ++place->own[to];
	}
	record.seq = place->head = ++head;
	record.n = place->n += record.own == 0;
	dw_record_pack(&bytes, &record);
	assert_int_equal(DW_OK, dw_room_append(place->room, &record, (struct dw_str) { bytes.data, bytes.len }, now));
	dw_buf_add(record.own > 0 ? &place->directs : &place->records, bytes.data, bytes.len);
	dw_buf_clear(&bytes);
}

static void
leave(struct place *place, size_t i)
{
	struct dw_reader *reader = place->sessions[i]->reader;

	dw_room_leave(place->room, place->sessions[i], now, now);
	if (reader->session_count == 0)
		dw_room_drop_reader(place->room, reader);
	place->sessions[i] = NULL;
}

static void
join(struct place *place, size_t i)
{
	const struct dw_join_context context = { 7, EPOCH, head, now, now, NULL };
	static const uint64_t flags[] = { 0, 0, DW_JOIN_AFTER, DW_JOIN_NEW };
	char device[8];
	struct dw_join asked = { .session = ++next_session, .room = DW_STR("1"), .user = dw_str(names[any(USERS)]) };
	struct dw_joined joined = { 0 };

	(void)snprintf(device, sizeof(device), "%u", any(DEVICES));
	asked.device = dw_str(device);
	asked.flags = flags[any(4)] | DW_JOIN_DERIVED;
	asked.after = dw_position_said(head > 0 ? any((unsigned)head) : 0, 0, 0);
	assert_int_equal(DW_OK, dw_room_join(place->room, &asked, &context, &joined, &place->sessions[i]));
}

static void
confirm(struct place *place, size_t i)
{
	struct dw_session *session = place->sessions[i];
	struct dw_str user = dw_str(session->device->member->user);
	struct dw_position at = session->confirmed;
	struct dw_buf out = { 0 };

	(void)dw_room_read(place->room, &user, &at, 1 + any(6), SIZE_MAX, now, &out);
	(void)dw_room_confirm(place->room, session, at, NULL, any(2) == 0, now);
	dw_buf_clear(&out);
}

static void
live(struct place *place)
{
	const size_t i = any(SESSIONS);

	if (!dw_room_resident(place->room))
		return;
	if (place->sessions[i] == NULL)
		join(place, i);
	else if (any(4) == 0)
		leave(place, i);
	else
		confirm(place, i);
}

/* The newest that an engine would give, as records of either log. */
static void
cut(struct dw_buf *records, size_t keep)
{
	struct dw_str rest = { records->data, records->len };
	struct dw_record record;
	size_t count = 0;

	while (rest.n > 0 && dw_record_next(&rest, &record) == DW_OK)
		count++;
	rest = (struct dw_str) { records->data, records->len };
	while (count-- > keep)
		assert_int_equal(DW_OK, dw_record_next(&rest, &record));
	if (rest.n > 0)
		memmove(records->data, rest.p, rest.n);
	records->len = rest.n;
}

static void
unload(struct place *place)
{
	struct dw_cursor cursor;

	for (size_t i = 0; i < SESSIONS; i++)
		if (place->sessions[i] != NULL)
			leave(place, i);
	dw_buf_reset(&place->cursors);
	while (dw_room_take_cursor(place->room, now, &cursor))
		continue;
	{
		const struct dw_member *member;
		struct dw_device *device;

		DW_EACH_DEVICE(place->room, member, device)
		{
			dw_room_mark_dirty(place->room, device);
		}
	}
	while (dw_room_take_cursor(place->room, now, &cursor))
		dw_buf_add(&place->cursors, &cursor, sizeof(cursor));
	dw_room_unload(place->room);
}

static void
load(struct place *place)
{
	struct dw_op op = { .kind = DW_OP_LOAD };
	const uint64_t retained = dw_room_retained(place->room);

	cut(&place->records, retained);
	cut(&place->directs, LIMIT * DW_HISTORY_TIMES);
	op.read.summary = (struct dw_room_summary) { .n = place->n, .head = place->head, .head_at = now };
	dw_buf_add(&op.read.records, place->records.data, place->records.len);
	dw_buf_add(&op.read.directs, place->directs.data, place->directs.len);
	dw_buf_add(&op.read.cursors, place->cursors.data, place->cursors.len);
	for (size_t i = 0; i < USERS; i++) {
		struct dw_user_row row = { .own = place->own[i] };

		(void)dw_str_copy(dw_str(names[i]), row.user, sizeof(row.user));
		if (row.own > 0)
			dw_buf_add(&op.read.users, &row, sizeof(row));
	}
	assert_int_equal(DW_OK, dw_room_load(place->room, &op, now));
	dw_op_clear(&op);
}

static void
step(struct place *place)
{
	switch (any(20)) {
	case 0:
		dw_room_expire(place->room, now);
		break;
	case 1:
		if (dw_room_resident(place->room))
			dw_room_prune(place->room, now);
		break;
	case 2:
		if (dw_room_resident(place->room))
			unload(place);
		break;
	case 3:
	case 4:
		if (!dw_room_resident(place->room))
			load(place);
		break;
	case 5:
		now += any(3) == 0 ? any(TTL) : any(200);
		break;
	case 6:
		dw_room_settle(place->room, now);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
		append(place);
		break;
	default:
		live(place);
	}
}

static void
end(struct place *place)
{
	dw_room_destroy(&place->room);
	dw_buf_clear(&place->records);
	dw_buf_clear(&place->directs);
	dw_buf_clear(&place->cursors);
	*place = (struct place) { 0 };
}

static void
test_kept_numbers_are_what_a_walk_finds(void **state)
{
	(void)state;
	for (unsigned run = 1; run <= RUNS; run++) {
		srand(run);
		now = 1000000;
		head = 0;
		all = (struct dw_rooms) {
			.queue_limit = LIMIT, .queue_ttl_ms = TTL, .cursor_ttl_ms = CURSOR_TTL, .ownership = DW_OWNERSHIP_EITHER
		};
		for (size_t i = 0; i < ROOMS; i++) {
			places[i].room = dw_room_new(&all, names[i]);
			assert_non_null(places[i].room);
		}
		for (unsigned i = 0; i < STEPS; i++) {
			step(&places[any(ROOMS)]);
			compare();
			if (any(4) == 0)
				nothing_ages_before_it_is_said(places[any(ROOMS)].room);
		}
		for (size_t i = 0; i < ROOMS; i++)
			end(&places[i]);
		assert_int_equal(0, all.queued + all.retained + all.watched + all.sessions);
		free(all.by_id.chains);
		free(all.by_user.chains);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_numbers_are_what_a_walk_finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
