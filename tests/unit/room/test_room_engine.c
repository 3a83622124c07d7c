/* links: lib/room/room.c lib/room/member.c lib/room/join.c lib/room/session.c lib/room/confirm.c lib/room/read.c */
/* links: lib/room/queued.c lib/base/ring.c */
/* links: lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/store/engine.c tests/lib/engine_mem.c */
/* links: lib/base/clock.c */
/* libs: msgpack libcrypto */
/* A room that was there all the time, and one that is loaded now: both retain the same, tell the same gaps, and know of
 * each seq what is true or that they do not know. Random messages and jumps of time; the test keeps the truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../lib/engine_mem.h"
#include "room/room.h"
#include "store/engine.h"

enum { LIMIT = 3, TTL = 100000, USERS = 6, STEPS = 400, RUNS = 60 };

static const char *const names[USERS] = { "", "ann", "bob", "carl", "dora", "eve" }; /* the first is everyone */

/* The engine's clock. */
static uint64_t now;

int
clock_gettime(clockid_t id, struct timespec *out)
{
	(void)id;
	*out = (struct timespec) { .tv_sec = (time_t)(now / 1000), .tv_nsec = (long)(now % 1000) * 1000000 };
	return 0;
}

static const struct dw_engine_config config = {
	.queue_limit = LIMIT, .queue_ttl_ms = TTL, .id_window_ms = 1, .id_window_count = 1000, .store_limit = 1 << 30
};
static struct dw_rooms all = {
	.queue_limit = LIMIT, .queue_ttl_ms = TTL, .cursor_ttl_ms = TTL, .ownership = DW_OWNERSHIP_EITHER
};
static struct dw_engine *engine;
static struct dw_room *lived;
static uint64_t head;
static uint64_t numbers[USERS][STEPS + 1]; /* at each seq */

static void
commit(struct dw_op *op)
{
	struct dw_fault fault = { 0 };

	assert_int_equal(DW_OK, engine->ops->commit(engine, &op, 1, &fault));
	assert_int_equal(DW_OK, op->err);
}

static struct dw_room *
load_room(void)
{
	struct dw_op op = { .kind = DW_OP_LOAD, .room = "1" };
	struct dw_room *room = dw_room_new(&all, "1");

	commit(&op);
	assert_int_equal(DW_OK, dw_room_load(room, &op, now));
	dw_op_clear(&op);
	return room;
}

static void
publish(size_t to)
{
	struct dw_op op = { .kind = DW_OP_APPEND, .room = "1" };
	struct dw_record record;
	struct dw_str bytes, rest;

	op.append.data = strdup("{}");
	op.append.size = 2;
	op.append.at = now;
	(void)snprintf(op.append.type, sizeof(op.append.type), "a_update");
	(void)snprintf(op.append.id, sizeof(op.append.id), "%llu", (unsigned long long)head);
	(void)dw_str_copy(dw_str(names[to]), op.append.to, sizeof(op.append.to));
	commit(&op);
	assert_int_equal(++head, op.append.seq);
	for (size_t i = 0; i < USERS; i++)
		numbers[i][head] = numbers[i][head - 1] + (i == to);
	assert_int_equal(numbers[to][head], to == 0 ? op.append.n : op.append.own);
	bytes = rest = (struct dw_str) { op.append.record.data, op.append.record.len };
	assert_int_equal(DW_OK, dw_record_next(&rest, &record));
	assert_int_equal(DW_OK, dw_room_append(lived, &record, bytes, now));
	dw_op_clear(&op);
}

static void
same_gap(struct dw_gap a, struct dw_gap b)
{
	assert_int_equal(a.from, b.from);
	assert_int_equal(a.to, b.to);
	assert_int_equal(a.reason, b.reason);
}

static void
same_records(const struct dw_room *loaded, struct dw_str user)
{
	struct dw_position a = dw_room_go_on(lived, user, dw_position_start()), b = a;
	struct dw_buf ours = { 0 }, theirs = { 0 };

	assert_true(dw_position_same(a, dw_room_go_on(loaded, user, dw_position_start())));
	assert_false(dw_room_read(lived, &user, &a, SIZE_MAX, SIZE_MAX, now, &ours));
	assert_false(dw_room_read(loaded, &user, &b, SIZE_MAX, SIZE_MAX, now, &theirs));
	assert_true(dw_position_same(a, b));
	assert_int_equal(ours.len, theirs.len);
	if (ours.len > 0)
		assert_memory_equal(ours.data, theirs.data, ours.len);
	dw_buf_clear(&ours);
	dw_buf_clear(&theirs);
}

/* What a room says of a seq is true; and what it does not know the engine does, if anybody may. */
static void
knows(const struct dw_room *room, size_t user, uint64_t seq)
{
	struct dw_op op = { .kind = DW_OP_PLACE, .room = "1", .place = { .seq = seq, .until = seq } };
	const uint64_t own = numbers[user][seq], last = numbers[user][head];
	uint64_t told;

	if (dw_room_own_at(room, dw_str(names[user]), seq, &told))
		assert_int_equal(own, told);
	else
		assert_int_equal(0, told);
	if (!dw_room_asks_place(room, dw_str(names[user]), seq))
		return;
	(void)dw_str_copy(dw_str(names[user]), op.place.user, sizeof(op.place.user));
	commit(&op);
	assert_int_equal(last - own < LIMIT * DW_HISTORY_TIMES ? own : 0, op.place.own);
	assert_int_equal(op.place.own, op.place.until_own);
	assert_int_equal(numbers[0][head] - numbers[0][seq] < LIMIT * DW_HISTORY_TIMES ? numbers[0][seq] : 0, op.place.n);
}

static void
compare(void)
{
	struct dw_room *loaded = load_room();

	dw_room_expire(lived, now);
	assert_int_equal(lived->oldest_n, loaded->oldest_n);
	assert_int_equal(dw_room_queued(lived), dw_room_queued(loaded));
	same_gap(dw_room_gap(lived, dw_position_start()), dw_room_gap(loaded, dw_position_start()));
	for (size_t i = 1; i < USERS; i++) {
		const struct dw_str user = dw_str(names[i]);

		same_gap(dw_room_direct_gap(lived, user, dw_position_start()),
			dw_room_direct_gap(loaded, user, dw_position_start()));
		same_records(loaded, user);
		for (int tries = 0; tries < 5; tries++) {
			knows(lived, i, (uint64_t)rand() % (head + 1));
			knows(loaded, i, (uint64_t)rand() % (head + 1));
		}
	}
	dw_room_destroy(&loaded);
}

static void
test_a_loaded_room_is_as_one_that_lived(void **state)
{
	struct dw_fault fault;

	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		srand(run);
		now = 1700000000000;
		head = 0;
		memset(numbers, 0, sizeof(numbers));
		assert_int_equal(DW_OK, dw_engine_memory.open(&engine, &config, &fault));
		lived = load_room();
		for (int step = 0; step < STEPS; step++) {
			/* Some users get many more than others. */
			publish((size_t)(rand() % 3 == 0 ? rand() % USERS : rand() % 2));
			now += (uint64_t)(rand() % 40 == 0 ? rand() % (2 * TTL) : rand() % 20);
			if (rand() % 4 == 0)
				compare();
		}
		dw_room_destroy(&lived);
		engine->ops->close(engine);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_loaded_room_is_as_one_that_lived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
