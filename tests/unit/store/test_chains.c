/* links: lib/store/engine.c lib/store/lmdb/lmdb.c lib/store/lmdb/log.c lib/store/lmdb/ops.c */
/* links: lib/store/lmdb/rooms.c lib/store/lmdb/ids.c lib/store/lmdb/check.c */
/* links: lib/store/lmdb/sweep.c lib/store/lmdb/note.c */
/* links: lib/store/kv/kv.c lib/store/kv/lmdb.c lib/store/kv/file.c lib/store/kv/journal.c lib/store/kv/look.c */
/* links: lib/store/kv/tree.c lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/paths.c */
/* libs: msgpack lmdb libcrypto */
/* A store whose entries are each whole and do not belong together, as after a page that was never written: it is
 * refused, and what is wrong is named. Room `a` holds 1 to everyone, 2 3 5 to alice, 4 to bob, 6 to everyone.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../lib/store/lmdb/parts.h"
#include "base/clock.h"

#define ALICE ((struct dw_str) { "a\0alice", 7 })
#define BOB ((struct dw_str) { "a\0bob", 5 })

static struct dw_engine_config config;
static struct dw_kv *kv;
static char dir[64];
static int dir_fd;

static int
open_engine(struct dw_engine **engine, struct dw_fault *fault)
{
	*fault = (struct dw_fault) { 0 };
	return dw_engine_lmdb.open(engine, &config, fault);
}

static void
store(struct dw_engine *engine, const char *to)
{
	static int serial;
	struct dw_op op = { .kind = DW_OP_APPEND, .room = "a" }, *ops[1] = { &op };
	struct dw_fault fault = { 0 };

	op.append.data = strdup("{}");
	op.append.size = 2;
	op.append.at = dw_now_ms();
	(void)snprintf(op.append.type, sizeof(op.append.type), "a_update");
	(void)snprintf(op.append.id, sizeof(op.append.id), "%d", serial++);
	(void)dw_str_copy(dw_str(to), op.append.to, sizeof(op.append.to));
	assert_int_equal(DW_OK, engine->ops->commit(engine, ops, 1, &fault));
	dw_op_clear(&op);
}

static int
set_up(void **state)
{
	static const char *const to[] = { "", "alice", "alice", "bob", "alice", "" };
	struct dw_engine *engine;
	struct dw_fault fault;
	bool recovered;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/diagws-chains-XXXXXX");
	assert_non_null(mkdtemp(dir));
	config = (struct dw_engine_config) { .dir = dir,
		.queue_limit = 5,
		.queue_ttl_ms = 86400000,
		.id_window_ms = 86400000,
		.id_window_count = 1000,
		.store_limit = 1ULL << 26 };
	assert_int_equal(DW_OK, open_engine(&engine, &fault));
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
		store(engine, to[i]);
	engine->ops->close(engine);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(
		DW_OK, dw_kv_open(&kv, dir, dir_fd, dw_lmdb_tables, LMDB_TABLES, config.store_limit, &recovered, &fault));
	return 0;
}

static int
tear_down(void **state)
{
	char command[96];

	(void)state;
	dw_kv_close(kv);
	kv = NULL;
	(void)close(dir_fd);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(0, system(command));
	return 0;
}

/* What was changed is committed, and the engine opened. */
static void
assert_refused(const char *what)
{
	struct dw_engine *engine = NULL;
	struct dw_fault fault;

	assert_int_equal(DW_OK, dw_kv_commit(kv));
	dw_kv_close(kv);
	kv = NULL;
	assert_int_equal(DW_E_CORRUPT, open_engine(&engine, &fault));
	if (strstr(fault.message, what) == NULL)
		fail_msg("'%s' does not say '%s'", fault.message, what);
}

static struct dw_str
seq_key(uint64_t seq)
{
	static uint64_t key;

	return dw_lmdb_seq_key(&key, seq);
}

static void
change_user(struct dw_str key, uint64_t last, uint64_t own)
{
	const struct user_value value = { .last = last, .own = own };

	assert_int_equal(DW_OK, dw_kv_put(kv, USERS, key, (struct dw_str) { (const char *)&value, sizeof(value) }));
}

static void
change_head(uint64_t seq, size_t offset, uint64_t number)
{
	struct dw_str value;
	char bytes[512];

	assert_int_equal(DW_OK, dw_kv_get(kv, MESSAGES, seq_key(seq), &value));
	assert_in_range(value.n, sizeof(struct message_head), sizeof(bytes));
	memcpy(bytes, value.p, value.n);
	memcpy(bytes + offset, &number, sizeof(number));
	assert_int_equal(DW_OK, dw_kv_put(kv, MESSAGES, seq_key(seq), (struct dw_str) { bytes, value.n }));
}

static void
test_the_store_is_whole_before(void **state)
{
	struct dw_engine *engine;
	struct dw_fault fault;
	struct user_value alice;

	(void)state;
	assert_int_equal(DW_OK, dw_kv_get_fixed(kv, USERS, ALICE, &alice, sizeof(alice)));
	assert_int_equal(5, alice.last);
	assert_int_equal(3, alice.own);
	change_head(3, offsetof(struct message_head, count), 2);
	assert_int_equal(DW_OK, dw_kv_commit(kv));
	dw_kv_close(kv);
	kv = NULL;
	assert_int_equal(DW_OK, open_engine(&engine, &fault));
	engine->ops->close(engine);
}

static void
test_a_users_newest_is_missing(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_delete(kv, MESSAGES, seq_key(5)));
	assert_refused("a user's newest direct message is missing");
}

static void
test_a_users_only_one_is_missing(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_delete(kv, MESSAGES, seq_key(4)));
	assert_refused("a user's newest direct message is missing");
}

static void
test_a_users_last_number_is_too_high(void **state)
{
	(void)state;
	change_user(ALICE, 5, 4);
	assert_refused("a user's newest direct message is missing");
}

static void
test_a_users_last_number_is_too_low(void **state)
{
	(void)state;
	change_user(ALICE, 3, 2);
	assert_refused("a message that its diagnosis does not know, message 5");
}

static void
test_a_user_is_missing(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_delete(kv, USERS, BOB));
	assert_refused("a message that its diagnosis does not know, message 4");
}

static void
test_a_user_of_a_room_that_is_not_there(void **state)
{
	(void)state;
	change_user((struct dw_str) { "b\0alice", 7 }, 5, 3);
	assert_refused("a user's newest direct message is missing");
}

static void
test_a_message_in_a_users_chain_is_missing(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_delete(kv, MESSAGES, seq_key(3)));
	assert_refused("a message is missing before, message 5");
}

static void
test_a_direct_message_with_a_wrong_own(void **state)
{
	(void)state;
	change_head(3, offsetof(struct message_head, count), 3);
	assert_refused("a message is missing before, message 3");
}

static void
test_a_direct_message_without_own(void **state)
{
	(void)state;
	change_head(4, offsetof(struct message_head, count), 0);
	assert_refused("a message that its diagnosis does not know, message 4");
}

static void
test_a_direct_message_behind_another_users(void **state)
{
	(void)state;
	change_head(5, offsetof(struct message_head, prev), 4);
	assert_refused("a message is missing before, message 5");
}

static void
test_an_id_is_missing(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_delete(kv, IDLOG, seq_key(3)));
	assert_refused("an id is missing, message 3");
}

static void
test_the_newest_id_is_missing(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_delete(kv, IDLOG, seq_key(6)));
	assert_refused("an id is missing, message 6");
}

static void
test_the_oldest_id_is_missing(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_delete(kv, IDLOG, seq_key(1)));
	assert_refused("an id is missing, message 1");
}

static void
test_an_id_of_before_the_log(void **state)
{
	const uint64_t floor = 2;

	(void)state;
	assert_int_equal(DW_OK, dw_kv_put(kv, META, DW_STR("ids"), dw_bytes(&floor, sizeof(floor))));
	assert_refused("an id is missing, message 3");
}

static void
test_half_an_id(void **state)
{
	(void)state;
	assert_int_equal(DW_OK, dw_kv_put(kv, IDLOG, seq_key(6), DW_STR("half")));
	assert_refused("table 'idlog' has an entry that does not fit");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_store_is_whole_before),
		TEST(test_a_users_newest_is_missing),
		TEST(test_a_users_only_one_is_missing),
		TEST(test_a_users_last_number_is_too_high),
		TEST(test_a_users_last_number_is_too_low),
		TEST(test_a_user_is_missing),
		TEST(test_a_user_of_a_room_that_is_not_there),
		TEST(test_a_message_in_a_users_chain_is_missing),
		TEST(test_a_direct_message_with_a_wrong_own),
		TEST(test_a_direct_message_without_own),
		TEST(test_a_direct_message_behind_another_users),
		TEST(test_an_id_is_missing),
		TEST(test_the_newest_id_is_missing),
		TEST(test_the_oldest_id_is_missing),
		TEST(test_an_id_of_before_the_log),
		TEST(test_half_an_id),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
