/* links: lib/store/engine.c lib/store/lmdb/lmdb.c lib/store/lmdb/log.c lib/store/lmdb/ops.c */
/* links: lib/store/lmdb/sweep.c */
/* links: lib/store/lmdb/rooms.c lib/store/lmdb/check.c */
/* links: lib/store/lmdb/note.c */
/* links: lib/store/kv/kv.c lib/store/kv/lmdb.c lib/store/kv/file.c lib/store/kv/journal.c lib/store/kv/look.c */
/* links: lib/store/kv/tree.c lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/paths.c */
/* libs: lmdb libcrypto msgpack */
/* The ids of the LMDB engine by a clock of the test's: to the millisecond and the message what is remembered, what is
 * left of it in the log, and what a batch that fails leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static bool no_memory;

static void *
ids_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : calloc(count, size);
}

#define calloc ids_calloc
#include "../../../lib/store/lmdb/ids.c"
#undef calloc

enum { WINDOW_MS = 60000, COUNT = 300, BATCH = 1500 };

static struct dw_engine_config config;
static struct dw_engine *engine;
static uint64_t now = 1700000000000, age; /* how old a message says to be */
static char dir[64];

int
clock_gettime(clockid_t id, struct timespec *out)
{
	(void)id;
	*out = (struct timespec) { .tv_sec = (time_t)(now / 1000), .tv_nsec = (long)(now % 1000) * 1000000 };
	return 0;
}

static void
reopen(void)
{
	struct dw_fault fault = { 0 };

	if (engine != NULL)
		engine->ops->close(engine);
	engine = NULL;
	if (dw_engine_lmdb.open(&engine, &config, &fault) != DW_OK)
		fail_msg("%s", fault.message);
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/diagws-ids-XXXXXX");
	assert_non_null(mkdtemp(dir));
	config = (struct dw_engine_config) { .dir = dir,
		.queue_limit = 5,
		.queue_ttl_ms = 86400000,
		.id_window_ms = WINDOW_MS,
		.id_window_count = COUNT,
		.store_limit = 1ULL << 28 };
	engine = NULL;
	age = 0;
	reopen();
	return 0;
}

static int
tear_down(void **state)
{
	char command[96];

	(void)state;
	no_memory = false;
	engine->ops->close(engine);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(0, system(command));
	return 0;
}

/* One batch of the messages first, first + 1, …, each of that number as its id; of these that were duplicates; -1: the
 * batch failed with `err`. */
static int
send(int first, int count, size_t size, int err)
{
	struct dw_op *ops = calloc((size_t)count, sizeof(*ops)), **list = calloc((size_t)count, sizeof(struct dw_op *));
	struct dw_fault fault = { 0 };
	int duplicates = 0;

	for (int i = 0; i < count; i++) {
		struct dw_op *op = list[i] = &ops[i];

		op->kind = DW_OP_APPEND;
		(void)dw_str_copy(DW_STR("a"), op->room, sizeof(op->room));
		(void)dw_str_copy(DW_STR("a_update"), op->append.type, sizeof(op->append.type));
		(void)snprintf(op->append.id, sizeof(op->append.id), "%d", first + i);
		op->append.data = calloc(1, size);
		op->append.size = size;
		op->append.at = now - age;
	}
	assert_int_equal(err, engine->ops->commit(engine, list, (size_t)count, &fault));
	for (int i = 0; i < count; i++) {
		duplicates += ops[i].append.duplicate;
		dw_op_clear(&ops[i]);
	}
	free(list);
	free(ops);
	return err == DW_OK ? duplicates : -1;
}

static bool
is_known(int number)
{
	return send(number, 1, 2, DW_OK) == 1;
}

static int
count_entry(void *user, struct dw_str key, struct dw_str value)
{
	(void)key;
	(void)value;
	++*(size_t *)user;
	return DW_OK;
}

/* Entries of the log. */
static size_t
entries(void)
{
	struct dw_kv *kv = ((struct lmdb_engine *)engine)->kv;
	size_t count = 0;

	assert_int_equal(DW_OK, dw_kv_begin(kv, DW_KV_READ));
	assert_int_equal(DW_OK, dw_kv_scan(kv, IDLOG, DW_STR(""), DW_STR(""), count_entry, &count));
	dw_kv_abort(kv);
	return count;
}

static void
test_to_the_millisecond(void **state)
{
	(void)state;
	assert_false(is_known(1));
	now += WINDOW_MS - 1;
	assert_true(is_known(1));
	reopen();
	assert_true(is_known(1));
	now += 1;
	assert_false(is_known(1));
	assert_true(is_known(1));
	/* A message of a later time than now is remembered too. */
	now -= WINDOW_MS / 2;
	assert_true(is_known(1));
}

static void
test_to_the_message(void **state)
{
	(void)state;
	assert_int_equal(0, send(0, COUNT, 2, DW_OK));
	assert_true(is_known(0));
	reopen();
	assert_true(is_known(0));
	assert_false(is_known(COUNT));
	assert_false(is_known(0));
	assert_true(is_known(2));
	reopen();
	/* That was two more: 0 is remembered as it was sent again, and 1 is forgotten. */
	assert_true(is_known(0));
	assert_true(is_known(2));
	assert_false(is_known(1));
}

/* In batches of all sizes, so that the log's entries are long and short; it is never much longer than the window. */
static void
test_the_log_is_trimmed(void **state)
{
	int next = 0;

	(void)state;
	for (int size = 1; size < 130; size++, next += size - 1) {
		assert_int_equal(0, send(next, size, 2, DW_OK));
		assert_true(entries() <= COUNT);
		if (next >= COUNT) {
			assert_int_equal(1, send(next + size - COUNT, 1, 2, DW_OK));
		}
		if (size % 20 == 0)
			reopen();
	}
	assert_true(next > 20 * COUNT);
	assert_true(((struct lmdb_engine *)engine)->ids->cap <= 2 * RING_FIRST);
}

/* After a long silence all that is there is to go, some entries with each commit, and one stays. */
static void
test_a_commit_trims_a_few(void **state)
{
	enum { ENTRIES = 100, EACH = 5 };

	(void)state;
	for (int i = 0; i < ENTRIES; i++)
		assert_false(is_known(i));
	now += 2 * WINDOW_MS;
	for (int i = 1; i <= ENTRIES / EACH; i++) {
		assert_false(is_known(ENTRIES + i));
		assert_int_equal(ENTRIES - i * EACH + i, entries());
	}
	now += 2 * WINDOW_MS;
	for (int i = 0; i < EACH - 1; i++)
		assert_false(is_known(2 * ENTRIES + i));
	assert_int_equal(EACH - 1, entries());
	/* What was stored as if it were so old stays as long as it is the newest. */
	now += 2 * WINDOW_MS;
	age = 2 * WINDOW_MS;
	assert_false(is_known(0));
	assert_int_equal(1, entries());
	reopen();
	assert_false(is_known(0));
	assert_int_equal(1, entries());
	reopen();
}

/* As if a clock had been wrong for a while: what is remembered by the right one is still there. */
static void
test_the_clock_is_set_back(void **state)
{
	(void)state;
	assert_int_equal(0, send(0, 100, 2, DW_OK));
	now += 2 * WINDOW_MS - 1;
	for (int i = 100; i < 200; i++)
		assert_false(is_known(i));
	now -= WINDOW_MS;
	assert_int_equal(100, send(0, 100, 2, DW_OK));
}

static void
test_many(void **state)
{
	enum { MANY = 10000, PART = 700 };

	(void)state;
	config.id_window_count = MANY;
	reopen();
	for (int i = 0; i < MANY; i += PART)
		assert_int_equal(0, send(i, i + PART < MANY ? PART : MANY - i, 2, DW_OK));
	assert_int_equal(MANY, send(0, MANY, 2, DW_OK));
	reopen();
	assert_int_equal(MANY, send(0, MANY, 2, DW_OK));
	assert_int_equal(0, send(MANY, 1000, 2, DW_OK));
	assert_int_equal(MANY - 1000, send(1000, MANY - 1000, 2, DW_OK));
	assert_false(is_known(0));
}

/* Whatever their tags are: here all are in one chain and every row is read. */
static void
test_equal_tags(void **state)
{
	(void)state;
	((struct lmdb_engine *)engine)->ids->key = 0;
	for (int i = 0; i < COUNT; i += 50)
		assert_int_equal(0, send(i, 50, 2, DW_OK));
	assert_int_equal(COUNT, send(0, COUNT, 2, DW_OK));
	assert_int_equal(0, send(COUNT, 50, 2, DW_OK));
	assert_int_equal(COUNT - 50, send(50, COUNT - 50, 2, DW_OK));
	assert_int_equal(0, send(0, 10, 2, DW_OK));
}

/* It finds no room, after it has put ids into the log and the ring has grown; then no memory for the ring. */
static void
test_a_batch_that_fails_leaves_no_id(void **state)
{
	(void)state;
	config.store_limit = 2 << 20;
	config.id_window_count = 3 * BATCH;
	reopen();
	assert_int_equal(0, send(0, BATCH / 2, 2, DW_OK));
	assert_int_equal(-1, send(BATCH / 4, BATCH, 30000, DW_E_STORAGE_FULL));
	assert_int_equal(BATCH / 2, send(0, BATCH / 2, 2, DW_OK));
	assert_int_equal(0, send(BATCH / 2, BATCH, 2, DW_OK));
	assert_int_equal(BATCH + BATCH / 2, send(0, BATCH + BATCH / 2, 2, DW_OK));
	no_memory = true;
	assert_int_equal(-1, send(BATCH, 2 * BATCH, 2, DW_E_NOMEM));
	no_memory = false;
	assert_int_equal(BATCH + BATCH / 2, send(0, BATCH + BATCH / 2, 2, DW_OK));
	assert_int_equal(BATCH / 2, send(BATCH, BATCH, 2, DW_OK));
	reopen();
	assert_int_equal(2 * BATCH, send(0, 2 * BATCH, 2, DW_OK));
}

static void
test_opening_without_memory(void **state)
{
	struct dw_engine *other = NULL;
	struct dw_fault fault = { 0 };

	(void)state;
	assert_false(is_known(1));
	engine->ops->close(engine);
	engine = NULL;
	no_memory = true;
	assert_int_equal(DW_E_NOMEM, dw_engine_lmdb.open(&other, &config, &fault));
	no_memory = false;
	reopen();
	assert_true(is_known(1));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_to_the_millisecond),
		TEST(test_to_the_message),
		TEST(test_the_log_is_trimmed),
		TEST(test_a_commit_trims_a_few),
		TEST(test_the_clock_is_set_back),
		TEST(test_many),
		TEST(test_equal_tags),
		TEST(test_a_batch_that_fails_leaves_no_id),
		TEST(test_opening_without_memory),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
