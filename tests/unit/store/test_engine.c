/* links: lib/store/engine.c tests/lib/engine_mem.c lib/store/lmdb/lmdb.c lib/store/lmdb/log.c lib/store/lmdb/ops.c */
/* links: lib/store/lmdb/rooms.c lib/store/lmdb/ids.c lib/store/lmdb/check.c */
/* links: lib/store/lmdb/sweep.c lib/store/lmdb/note.c */
/* links: lib/store/kv/kv.c lib/store/kv/lmdb.c lib/store/kv/file.c lib/store/kv/journal.c lib/store/kv/look.c */
/* links: lib/store/kv/tree.c lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/paths.c */
/* libs: msgpack lmdb libcrypto */
/* One contract for every engine: each test runs on LMDB in a directory of its own and on the twin in
 * memory; then what only a store on disk can do; then both side by side on random operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "../../lib/engine_mem.h"
#include "base/clock.h"
#include "store/engine.h"
#include "store_kit.h"
#include "wire/wire.h"

struct fixture {
	const struct dw_engine_ops *ops;
	struct dw_engine_config config;
	struct dw_engine *engine;
	char dir[KIT_DIR];
};

static void
open_engine(struct fixture *f)
{
	struct dw_fault fault = { 0 };

	assert_int_equal(DW_OK, f->ops->open(&f->engine, &f->config, &fault));
}

static int
set_up(void **state, const struct dw_engine_ops *ops)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->ops = ops;
	f->config = kit_open_dir(f->dir);
	f->config.id_window_count = 1000000;
	f->config.ownership = DW_OWNERSHIP_REGISTRY;
	open_engine(f);
	*state = f;
	return 0;
}

static int
set_up_lmdb(void **state)
{
	return set_up(state, &dw_engine_lmdb);
}

static int
set_up_memory(void **state)
{
	return set_up(state, &dw_engine_memory);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->engine != NULL)
		f->ops->close(f->engine);
	kit_close_dir(f->dir);
	free(f);
	return 0;
}

static struct dw_op *
op_new(enum dw_op_kind kind, const char *room)
{
	struct dw_op *op = calloc(1, sizeof(*op));

	op->kind = kind;
	assert_true(dw_str_copy(dw_str(room), op->room, sizeof(op->room)));
	return op;
}

static struct dw_op *
append_new(const char *room, const char *id, const char *data)
{
	struct dw_op *op = op_new(DW_OP_APPEND, room);

	op->append.data = strdup(data);
	op->append.size = strlen(data);
	op->append.at = dw_now_ms();
	op->append.hash[0] = (uint8_t)strlen(data);
	op->append.hash[1] = (uint8_t)data[strlen(data) - 2];
	(void)dw_str_copy(DW_STR("note_update"), op->append.type, sizeof(op->append.type));
	(void)dw_str_copy(dw_str(id), op->append.id, sizeof(op->append.id));
	return op;
}

static void
op_free(struct dw_op *op)
{
	dw_op_clear(op);
	free(op);
}

static int
commit(struct fixture *f, struct dw_op **ops, size_t count)
{
	struct dw_fault fault = { 0 };

	return f->ops->commit(f->engine, ops, count, &fault);
}

/* One operation alone; returns its own outcome. */
static int
run(struct fixture *f, struct dw_op *op)
{
	assert_int_equal(DW_OK, commit(f, &op, 1));
	return op->err;
}

static uint64_t
append(struct fixture *f, const char *room, const char *id, uint64_t *n)
{
	struct dw_op *op = append_new(room, id, "{\"a\":1}");
	uint64_t seq;

	assert_int_equal(DW_OK, run(f, op));
	seq = op->append.seq;
	if (n != NULL)
		*n = op->append.n;
	op_free(op);
	return seq;
}

/* To one user; returns its seq. */
static uint64_t
direct(struct fixture *f, const char *room, const char *user, uint64_t at)
{
	static int serial;
	struct dw_op *op;
	char id[32];
	uint64_t seq;

	(void)snprintf(id, sizeof(id), "direct:%d", serial++);
	op = append_new(room, id, "{\"a\":1}");
	(void)dw_str_copy(dw_str(user), op->append.to, sizeof(op->append.to));
	op->append.at = at;
	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(0, op->append.n);
	seq = op->append.seq;
	op_free(op);
	return seq;
}

static void
append_many(struct fixture *f, const char *room, int count)
{
	static int serial;
	char id[32];

	while (count-- > 0) {
		(void)snprintf(id, sizeof(id), "many:%d", serial++);
		(void)append(f, room, id, NULL);
	}
}

/* The seqs of packed records. */
static size_t
seqs_of(const struct dw_buf *records, uint64_t *seqs, size_t max)
{
	struct dw_str rest = { records->data, records->len };
	struct dw_record record;
	size_t count = 0;

	while (dw_record_next(&rest, &record) == DW_OK) {
		assert_true(count < max);
		seqs[count++] = record.seq;
	}
	assert_int_equal(0, rest.n);
	return count;
}

static void
own(struct fixture *f, const char *room, const char *user, enum dw_owner_state to, bool dry, bool changed)
{
	struct dw_op *op = op_new(DW_OP_OWNER, room);

	(void)dw_str_copy(dw_str(user), op->owner.user, sizeof(op->owner.user));
	op->owner.state = to;
	op->owner.dry = dry;
	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(changed, op->owner.changed);
	op_free(op);
}

static void
set_cursor(struct fixture *f, const char *room, const char *user, const char *device, uint64_t seq, uint64_t seen)
{
	struct dw_op *op = op_new(DW_OP_CURSOR, room);

	(void)dw_str_copy(dw_str(room), op->cursor.room, sizeof(op->cursor.room));
	(void)dw_str_copy(dw_str(user), op->cursor.user, sizeof(op->cursor.user));
	(void)dw_str_copy(dw_str(device), op->cursor.device, sizeof(op->cursor.device));
	op->cursor.at = dw_position_said(seq, seq, seq / 2);
	op->cursor.resume = dw_position_said(seq > 2 ? seq - 2 : 0, seq > 3 ? seq - 3 : 0, 1);
	op->cursor.had = (struct dw_span) { 1, seq };
	op->cursor.had_own = (struct dw_span) { 2, seq / 2 };
	op->cursor.seen = seen;
	op->cursor.derived = true;
	assert_int_equal(DW_OK, run(f, op));
	op_free(op);
}

static void
test_numbers(void **state)
{
	struct fixture *f = *state;
	uint64_t n, first = append(f, "a", "1", &n);

	assert_int_equal(1, first);
	assert_int_equal(1, n);
	assert_int_equal(2, append(f, "b", "1", &n));
	assert_int_equal(1, n);
	assert_int_equal(3, append(f, "a", "2", &n));
	assert_int_equal(2, n);
}

static void
test_ids(void **state)
{
	struct fixture *f = *state;
	struct dw_op *ops[4] = { append_new("a", "x", "{\"a\":1}"), append_new("a", "x", "{\"a\":1}"),
		append_new("a", "x", "{\"a\":2}"), append_new("b", "x", "{\"a\":2}") };
	struct dw_op *again = append_new("a", "x", "{\"a\":1}");

	assert_int_equal(DW_OK, commit(f, ops, 4));
	assert_false(ops[0]->append.duplicate);
	assert_true(ops[0]->append.record.len > 0);
	assert_true(ops[1]->append.duplicate);
	assert_int_equal(ops[0]->append.seq, ops[1]->append.seq);
	assert_int_equal(ops[0]->append.n, ops[1]->append.n);
	assert_int_equal(0, ops[1]->append.record.len);
	assert_int_equal(DW_E_ID_REUSED, ops[2]->err);
	assert_int_equal(DW_OK, ops[3]->err);
	assert_int_equal(2, ops[3]->append.seq);
	assert_int_equal(DW_OK, run(f, again));
	assert_true(again->append.duplicate);
	assert_int_equal(1, again->append.seq);
	for (size_t i = 0; i < 4; i++)
		op_free(ops[i]);
	op_free(again);
}

/* The last so many, and not one more, wherever they lie. */
static void
test_ids_are_remembered_so_many(void **state)
{
	enum { WINDOW = 10, IDS = 25, ROUNDS = 800 };
	struct fixture *f = *state;
	uint64_t stored[IDS] = { 0 }, last = 0;
	size_t duplicates = 0, forgotten = 0;

	srand(7);
	f->ops->close(f->engine);
	f->config.id_window_count = WINDOW;
	open_engine(f);
	for (int round = 0; round < ROUNDS; round++) {
		struct dw_op *ops[4];
		size_t count = 1 + (size_t)rand() % 4, numbers[4];
		char id[16];

		for (size_t i = 0; i < count; i++) {
			numbers[i] = (size_t)rand() % IDS;
			(void)snprintf(id, sizeof(id), "%zu", numbers[i]);
			ops[i] = append_new("a", id, "{\"a\":1}");
		}
		assert_int_equal(DW_OK, commit(f, ops, count));
		for (size_t i = 0; i < count; i++) {
			uint64_t *seq = &stored[numbers[i]];
			const bool known = *seq != 0 && last + 1 - *seq <= WINDOW;

			duplicates += known;
			forgotten += *seq != 0 && !known;
			if (!known)
				*seq = ++last;
			assert_int_equal(known, ops[i]->append.duplicate);
			assert_int_equal(*seq, ops[i]->append.seq);
			op_free(ops[i]);
		}
		if (f->ops == &dw_engine_lmdb && round % 150 == 149) {
			f->ops->close(f->engine);
			open_engine(f);
		}
	}
	assert_true(duplicates > ROUNDS / 3 && forgotten > ROUNDS / 3);
}

/* As what it is stored under at this time, how long ago. */
static struct dw_op *
append_aged(const char *id, const char *data, uint64_t age)
{
	struct dw_op *op = append_new("a", id, data);

	op->append.at = dw_now_ms() - age;
	return op;
}

static void
test_ids_are_remembered_so_long(void **state)
{
	struct fixture *f = *state;
	const uint64_t window = f->config.id_window_ms;
	const struct {
		const char *id, *data;
		uint64_t age;
		int err;
		bool duplicate;
		uint64_t seq;
	} cases[] = {
		{ "old", "{\"a\":1}", window, DW_OK, false, 1 },
		{ "young", "{\"a\":1}", window - 60000, DW_OK, false, 2 },
		{ "young", "{\"a\":1}", 0, DW_OK, true, 2 },
		{ "young", "{\"a\":22}", 0, DW_E_ID_REUSED, false, 2 },
		/* What is not remembered is new, with other content too. */
		{ "old", "{\"a\":22}", window + 1000, DW_OK, false, 3 },
		{ "old", "{\"a\":1}", 0, DW_OK, false, 4 },
		{ "old", "{\"a\":1}", 0, DW_OK, true, 4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dw_op *op = append_aged(cases[i].id, cases[i].data, cases[i].age);

		assert_int_equal(cases[i].err, run(f, op));
		assert_int_equal(cases[i].duplicate, op->append.duplicate);
		assert_int_equal(cases[i].seq, op->append.seq);
		op_free(op);
	}
}

static void
test_load(void **state)
{
	struct fixture *f = *state;
	struct dw_op *ops[2] = { append_new("a", "last", "{\"a\":1}"), op_new(DW_OP_LOAD, "a") };
	const struct dw_owner_row *owners;
	const struct dw_cursor *cursors;
	uint64_t seqs[100];

	append_many(f, "other", 3);
	append_many(f, "a", 149);
	append_many(f, "ab", 2);
	set_cursor(f, "a", "alice", "phone", 7, 9);
	set_cursor(f, "ab", "alice", "phone", 1, 1);
	own(f, "a", "alice", DW_OWNER_GRANTED, false, true);
	own(f, "a", "eve", DW_OWNER_DENIED, false, true);
	own(f, "ab", "bob", DW_OWNER_GRANTED, false, true);
	assert_int_equal(DW_OK, commit(f, ops, 2));
	assert_int_equal(100, seqs_of(&ops[1]->read.records, seqs, 100));
	for (size_t i = 1; i < 99; i++)
		assert_int_equal(seqs[i - 1] + 1, seqs[i]);
	assert_int_equal(ops[0]->append.seq, seqs[99]);
	assert_int_equal(150, ops[1]->read.summary.n);
	assert_int_equal(seqs[99], ops[1]->read.summary.head);
	assert_int_equal(51, ops[1]->read.summary.oldest_n);
	assert_int_equal(sizeof(*cursors), ops[1]->read.cursors.len);
	cursors = (const struct dw_cursor *)(const void *)ops[1]->read.cursors.data;
	assert_string_equal("alice", cursors->user);
	assert_string_equal("phone", cursors->device);
	assert_true(dw_position_same(dw_position_said(7, 7, 3), cursors->at));
	assert_true(dw_position_same(dw_position_said(5, 4, 1), cursors->resume));
	assert_int_equal(1, cursors->had.from);
	assert_int_equal(7, cursors->had.to);
	assert_int_equal(2, cursors->had_own.from);
	assert_int_equal(3, cursors->had_own.to);
	assert_int_equal(9, cursors->seen);
	assert_true(cursors->derived);
	assert_int_equal(2 * sizeof(*owners), ops[1]->read.owners.len);
	owners = (const struct dw_owner_row *)(const void *)ops[1]->read.owners.data;
	assert_string_equal("alice", owners[0].user);
	assert_int_equal(DW_OWNER_GRANTED, owners[0].state);
	assert_int_equal(DW_OWNER_DENIED, owners[1].state);
	op_free(ops[0]);
	op_free(ops[1]);
}

static void
test_load_of_nothing(void **state)
{
	struct fixture *f = *state;
	struct dw_op *op = op_new(DW_OP_LOAD, "nowhere");

	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(0, op->read.summary.head);
	assert_int_equal(1, op->read.summary.oldest_n);
	assert_int_equal(0, op->read.records.len + op->read.cursors.len + op->read.owners.len);
	op_free(op);
}

static void
test_age(void **state)
{
	struct fixture *f = *state;
	struct dw_op *old = append_new("a", "old", "{\"a\":1}"), *load = op_new(DW_OP_LOAD, "a");
	uint64_t seqs[10];

	old->append.at = dw_now_ms() - f->config.queue_ttl_ms - 1000;
	assert_int_equal(DW_OK, run(f, old));
	(void)append(f, "a", "young", NULL);
	assert_int_equal(DW_OK, run(f, load));
	assert_int_equal(1, seqs_of(&load->read.records, seqs, 10));
	assert_int_equal(2, seqs[0]);
	assert_int_equal(2, load->read.summary.oldest_n);
	op_free(old);
	op_free(load);
}

/* Direct messages of a LOAD: how many, of which to this user and whole, and where the first whole one stands. */
struct directs {
	size_t all, whole;
	uint64_t oldest, first_whole;
};

static struct directs
load_directs(struct fixture *f, const char *room, const char *user)
{
	struct dw_op *load = op_new(DW_OP_LOAD, room);
	struct directs result = { 0 };
	struct dw_record record;
	struct dw_str rest;
	uint64_t last = 0, whole = 0;

	assert_int_equal(DW_OK, run(f, load));
	rest = (struct dw_str) { load->read.directs.data, load->read.directs.len };
	while (dw_record_next(&rest, &record) == DW_OK) {
		assert_true(record.seq > last);
		last = record.seq;
		result.oldest = result.oldest == 0 ? record.seq : result.oldest;
		result.all++;
		whole += record.type.n > 0;
		if (record.type.n == 0)
			assert_int_equal(0, record.id.n + record.data.n);
		assert_true(record.to.n > 0 && record.at > 0);
		if (record.type.n == 0 || !dw_str_is(record.to, user))
			continue;
		result.first_whole = result.first_whole == 0 ? record.seq : result.first_whole;
		result.whole++;
	}
	assert_int_equal(0, rest.n);
	assert_int_equal(whole, load->read.summary.directs);
	assert_true(load->read.summary.head >= last);
	op_free(load);
	return result;
}

static void
test_direct_messages(void **state)
{
	struct fixture *f = *state;
	struct dw_op *op = append_new("a", "secret", "{\"a\":1}"), *again = append_new("a", "secret", "{\"a\":1}"),
				 *load = op_new(DW_OP_LOAD, "a");
	struct dw_record record;
	struct dw_str rest;
	uint64_t n, seqs[4];

	(void)append(f, "a", "1", NULL);
	(void)dw_str_copy(DW_STR("alice"), op->append.to, sizeof(op->append.to));
	(void)dw_str_copy(DW_STR("alice"), again->append.to, sizeof(again->append.to));
	op->append.except = 77;
	op->append.expires_at = 1ULL << 50;
	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(2, op->append.seq);
	assert_int_equal(0, op->append.n);
	assert_int_equal(1, op->append.room_n);
	assert_int_equal(DW_OK, run(f, again));
	assert_true(again->append.duplicate);
	assert_int_equal(2, again->append.seq);
	assert_int_equal(0, again->append.n);
	assert_int_equal(DW_OK, run(f, load));
	assert_int_equal(1, load->read.summary.n);
	assert_int_equal(2, load->read.summary.head);
	assert_int_equal(op->append.at, load->read.summary.head_at);
	assert_int_equal(1, load->read.summary.directs);
	assert_int_equal(1, seqs_of(&load->read.records, seqs, 4));
	rest = (struct dw_str) { load->read.directs.data, load->read.directs.len };
	assert_int_equal(DW_OK, dw_record_next(&rest, &record));
	assert_int_equal(0, rest.n);
	assert_int_equal(2, record.seq);
	assert_int_equal(1, record.n);
	assert_int_equal(1, record.own);
	assert_true(dw_str_is(record.to, "alice") && dw_str_is(record.id, "secret"));
	assert_int_equal(77, record.except);
	assert_int_equal(1ULL << 50, record.expires_at);
	assert_int_equal(3, append(f, "a", "2", &n));
	assert_int_equal(2, n);
	op_free(op);
	op_free(again);
	op_free(load);
}

static void
test_direct_messages_have_limits_of_their_own(void **state)
{
	struct fixture *f = *state;
	const uint64_t now = dw_now_ms();
	struct directs got;
	uint64_t last = 0, bob;
	char user[16];

	f->ops->close(f->engine);
	f->config.queue_limit = 5;
	open_engine(f);
	append_many(f, "a", 5);
	bob = direct(f, "a", "bob", now);
	for (int i = 0; i < 20; i++)
		last = direct(f, "a", "alice", now);
	append_many(f, "a", 20);
	got = load_directs(f, "a", "alice");
	assert_int_equal(21, got.all);
	assert_int_equal(5, got.whole);
	assert_int_equal(last - 4, got.first_whole);
	got = load_directs(f, "a", "bob");
	assert_int_equal(1, got.whole);
	assert_int_equal(bob, got.first_whole);
	/* Of all users together ten times as many, and nothing is known beyond. */
	for (int i = 0; i < 30; i++) {
		(void)snprintf(user, sizeof(user), "user%d", i);
		(void)direct(f, "a", user, now);
	}
	got = load_directs(f, "a", "bob");
	assert_int_equal(50, got.all);
	assert_int_equal(0, got.whole);
	assert_int_equal(bob + 1, got.oldest);
	/* Whoever was forgotten gets messages like anybody else. */
	for (int i = 0; i < 5; i++)
		(void)direct(f, "a", "bob", now);
	assert_int_equal(5, load_directs(f, "a", "bob").whole);
	(void)direct(f, "a", "bob", now);
	assert_int_equal(5, load_directs(f, "a", "bob").whole);
	assert_int_equal(50, load_directs(f, "a", "bob").all);
}

static int
sum_directs(void *user, const struct dw_room_summary *summary)
{
	*(uint64_t *)user += summary->directs;
	return 0;
}

static void
test_direct_messages_age(void **state)
{
	struct fixture *f = *state;
	const uint64_t now = dw_now_ms(), before = now - f->config.queue_ttl_ms - 1000;
	uint64_t sum = 0;

	(void)direct(f, "a", "alice", before);
	assert_int_equal(0, f->ops->scan(f->engine, sum_directs, NULL, &sum));
	assert_int_equal(0, sum);
	assert_int_equal(1, load_directs(f, "a", "alice").all);
	assert_int_equal(0, load_directs(f, "a", "alice").whole);
	(void)direct(f, "a", "alice", now);
	assert_int_equal(2, load_directs(f, "a", "alice").all);
	assert_int_equal(1, load_directs(f, "a", "alice").whole);
	assert_int_equal(0, f->ops->scan(f->engine, sum_directs, NULL, &sum));
	assert_true(sum >= 1);
}

static struct dw_op *
place_new(const char *room, const char *user, uint64_t seq, uint64_t until)
{
	struct dw_op *op = op_new(DW_OP_PLACE, room);

	(void)dw_str_copy(dw_str(user), op->place.user, sizeof(op->place.user));
	op->place.seq = seq;
	op->place.until = until;
	return op;
}

static void
place_is(struct fixture *f, const char *room, uint64_t seq, uint64_t n)
{
	struct dw_op *op = place_new(room, "", seq, 0);

	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(n, op->place.n);
	assert_int_equal(0, op->place.own + op->place.until_own);
	op_free(op);
}

static void
own_is(struct fixture *f, const char *user, uint64_t seq, uint64_t own_there, uint64_t until, uint64_t until_own)
{
	struct dw_op *op = place_new("a", user, seq, until);

	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(own_there, op->place.own);
	assert_int_equal(until_own, op->place.until_own);
	op_free(op);
}

static void
test_places(void **state)
{
	struct fixture *f = *state;
	const uint64_t now = dw_now_ms();

	f->ops->close(f->engine);
	f->config.queue_limit = 5;
	open_engine(f);
	place_is(f, "a", 10, 0);
	/* seq 1 … 40: a room's message, a direct one, two of another room. */
	for (int i = 0; i < 10; i++) {
		append_many(f, "a", 1);
		(void)direct(f, "a", "alice", now);
		append_many(f, "b", 2);
	}
	place_is(f, "a", 0, 0);
	place_is(f, "a", 1, 1);
	place_is(f, "a", 4, 1);
	place_is(f, "a", 5, 2);
	place_is(f, "a", 37, 10);
	place_is(f, "a", UINT64_MAX, 10);
	append_many(f, "a", 60);
	place_is(f, "a", 100, 70);
	/* The newest fifty are known. */
	place_is(f, "a", 51, 21);
	place_is(f, "a", 50, 0);
	place_is(f, "a", 1, 0);
	place_is(f, "a", 0, 0);
	place_is(f, "b", 3, 1);
}

static void
test_places_of_a_user(void **state)
{
	struct fixture *f = *state;
	const uint64_t now = dw_now_ms();

	f->ops->close(f->engine);
	f->config.queue_limit = 5;
	open_engine(f);
	own_is(f, "alice", 10, 0, 0, 0);
	/* seq 1 … 30: to everyone, to alice, to bob. */
	for (int i = 0; i < 10; i++) {
		append_many(f, "a", 1);
		(void)direct(f, "a", "alice", now);
		(void)direct(f, "a", "bob", now);
	}
	own_is(f, "alice", 1, 0, 2, 1);
	own_is(f, "alice", 5, 2, 29, 10);
	own_is(f, "bob", 5, 1, 29, 9);
	own_is(f, "bob", 5, 1, 0, 0);
	own_is(f, "carl", 30, 0, 30, 0);
	own_is(f, "", 30, 0, 30, 0);
	/* Hers alone push hers out: 11 … 60 are known. */
	for (int i = 0; i < 50; i++)
		(void)direct(f, "a", "alice", now);
	own_is(f, "alice", 30, 0, 31, 11);
	own_is(f, "alice", UINT64_MAX, 60, 79, 59);
	own_is(f, "bob", 6, 2, 30, 10);
}

/* Who ever got one, and the number of the last: all that is known of `user`; 0: nothing is. */
static uint64_t
row_of(struct fixture *f, const char *room, const char *user, size_t *count)
{
	struct dw_op *load = op_new(DW_OP_LOAD, room);
	const struct dw_user_row *rows;
	uint64_t last = 0;

	assert_int_equal(DW_OK, run(f, load));
	rows = (const struct dw_user_row *)(const void *)load->read.users.data;
	*count = load->read.users.len / sizeof(*rows);
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(rows[i].user, user) == 0)
			last = rows[i].own;
	}
	op_free(load);
	return last;
}

static void
test_own_numbers_are_for_ever(void **state)
{
	struct fixture *f = *state;
	const uint64_t before = dw_now_ms() - f->config.queue_ttl_ms - 1000;
	struct dw_op *op = append_new("a", "next", "{\"a\":1}");
	size_t count;

	(void)row_of(f, "a", "alice", &count);
	assert_int_equal(0, count);
	for (int i = 0; i < 3; i++) {
		(void)direct(f, "a", "alice", before);
		(void)direct(f, "ab", "alice", before);
	}
	(void)direct(f, "a", "bob", before);
	assert_int_equal(0, load_directs(f, "a", "alice").whole);
	assert_int_equal(3, row_of(f, "a", "alice", &count));
	assert_int_equal(2, count);
	if (f->ops == &dw_engine_lmdb) {
		f->ops->close(f->engine);
		open_engine(f);
	}
	(void)dw_str_copy(DW_STR("alice"), op->append.to, sizeof(op->append.to));
	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(4, op->append.own);
	assert_int_equal(0, op->append.n);
	assert_int_equal(4, row_of(f, "a", "alice", &count));
	assert_int_equal(1, row_of(f, "a", "bob", &count));
	assert_int_equal(0, row_of(f, "a", "carl", &count));
	op_free(op);
}

/* What was sent once has its number, and gives it again. */
static void
test_a_duplicate_says_its_own_number(void **state)
{
	struct fixture *f = *state;
	struct dw_op *first = append_new("a", "x", "{\"a\":1}"), *again = append_new("a", "x", "{\"a\":1}");

	(void)direct(f, "a", "alice", dw_now_ms());
	(void)dw_str_copy(DW_STR("alice"), first->append.to, sizeof(first->append.to));
	(void)dw_str_copy(DW_STR("alice"), again->append.to, sizeof(again->append.to));
	assert_int_equal(DW_OK, run(f, first));
	assert_int_equal(2, first->append.own);
	(void)direct(f, "a", "alice", dw_now_ms());
	assert_int_equal(DW_OK, run(f, again));
	assert_true(again->append.duplicate);
	assert_int_equal(2, again->append.own);
	op_free(first);
	op_free(again);
}

/* Whatever the repeat has itself, and also when the store has been opened again. */
static void
test_a_duplicate_says_what_the_first_one_had(void **state)
{
	struct fixture *f = *state;
	const uint64_t window = f->config.id_window_ms;

	for (unsigned had = 0; had < 4; had++) {
		const char id[] = { 'a', (char)('0' + had), '\0' };
		struct dw_op *first = append_aged(id, "{\"a\":1}", window - 60000);

		first->append.except = had & 1 ? 7 : 0;
		first->append.expires_at = had & 2 ? 8 : 0;
		assert_int_equal(DW_OK, run(f, first));
		assert_false(first->append.had_except || first->append.had_expiry);
		op_free(first);
	}
	if (f->ops == &dw_engine_lmdb) {
		f->ops->close(f->engine);
		open_engine(f);
	}
	for (unsigned had = 0; had < 4; had++) {
		const char id[] = { 'a', (char)('0' + had), '\0' };
		struct dw_op *again = append_aged(id, "{\"a\":1}", 0);

		again->append.except = had & 1 ? 0 : 7;
		again->append.expires_at = had & 2 ? 0 : 8;
		assert_int_equal(DW_OK, run(f, again));
		assert_true(again->append.duplicate);
		assert_int_equal((had & 1) != 0, again->append.had_except);
		assert_int_equal((had & 2) != 0, again->append.had_expiry);
		dw_op_reset(again);
		assert_false(again->append.had_except || again->append.had_expiry);
		op_free(again);
	}
}

/* One that is not remembered any more says nothing to the message that takes its id. */
static void
test_a_forgotten_id_says_nothing(void **state)
{
	struct fixture *f = *state;

	for (int had = 1; had >= 0; had--) {
		struct dw_op *op = append_aged("x", "{\"a\":1}", had ? f->config.id_window_ms : 0), *again;

		op->append.except = op->append.expires_at = (uint64_t)had;
		assert_int_equal(DW_OK, run(f, op));
		assert_false(op->append.duplicate || op->append.had_except || op->append.had_expiry);
		op_free(op);
		if (had)
			continue;
		again = append_aged("x", "{\"a\":1}", 0);
		assert_int_equal(DW_OK, run(f, again));
		assert_true(again->append.duplicate);
		assert_false(again->append.had_except || again->append.had_expiry);
		op_free(again);
	}
}

/* One that is too old ends what is retained of its chain, whatever is before it; another user's is not concerned. */
static void
test_retained_is_what_is_newest(void **state)
{
	struct fixture *f = *state;
	const uint64_t now = dw_now_ms(), before = now - f->config.queue_ttl_ms - 1000;
	struct dw_op *old, *load = op_new(DW_OP_LOAD, "a");
	struct directs got;
	uint64_t seqs[8];

	(void)direct(f, "a", "alice", now);
	(void)direct(f, "a", "bob", now);
	(void)direct(f, "a", "alice", before);
	(void)direct(f, "a", "alice", now);
	got = load_directs(f, "a", "alice");
	assert_int_equal(4, got.all);
	assert_int_equal(1, got.whole);
	assert_int_equal(4, got.first_whole);
	assert_int_equal(1, load_directs(f, "a", "bob").whole);
	append_many(f, "a", 1);
	old = append_new("a", "old", "{\"a\":1}");
	old->append.at = before;
	assert_int_equal(DW_OK, run(f, old));
	append_many(f, "a", 2);
	assert_int_equal(DW_OK, run(f, load));
	assert_int_equal(2, seqs_of(&load->read.records, seqs, 8));
	assert_int_equal(3, load->read.summary.oldest_n);
	op_free(old);
	op_free(load);
}

static int
count_room(void *user, const struct dw_room_summary *summary)
{
	*(uint64_t *)user += summary->n;
	return 0;
}

static void
test_a_room_outlives_its_messages(void **state)
{
	struct fixture *f = *state;
	struct dw_op *old = append_new("a", "old", "{\"a\":1}"), *load = op_new(DW_OP_LOAD, "a");
	uint64_t sum = 0, n;

	old->append.at = dw_now_ms() - f->config.queue_ttl_ms - 1000;
	assert_int_equal(DW_OK, run(f, old));
	assert_int_equal(0, f->ops->scan(f->engine, count_room, NULL, &sum));
	assert_int_equal(0, sum);
	assert_int_equal(DW_OK, run(f, load));
	assert_int_equal(0, load->read.records.len);
	assert_int_equal(1, load->read.summary.n);
	assert_int_equal(1, load->read.summary.head);
	assert_int_equal(2, load->read.summary.oldest_n);
	assert_int_equal(2, append(f, "a", "young", &n));
	assert_int_equal(2, n);
	op_free(old);
	op_free(load);
}

static void
test_publishers(void **state)
{
	static const struct {
		enum dw_ownership ownership;
		enum dw_owner_state state;
		bool claimed, may;
	} cases[] = {
		{ DW_OWNERSHIP_REGISTRY, DW_OWNER_NONE, true, false },
		{ DW_OWNERSHIP_REGISTRY, DW_OWNER_GRANTED, false, true },
		{ DW_OWNERSHIP_REGISTRY, DW_OWNER_DENIED, true, false },
		{ DW_OWNERSHIP_CLAIMS, DW_OWNER_NONE, true, true },
		{ DW_OWNERSHIP_CLAIMS, DW_OWNER_NONE, false, false },
		{ DW_OWNERSHIP_CLAIMS, DW_OWNER_GRANTED, false, false },
		{ DW_OWNERSHIP_CLAIMS, DW_OWNER_DENIED, true, false },
		{ DW_OWNERSHIP_EITHER, DW_OWNER_NONE, true, true },
		{ DW_OWNERSHIP_EITHER, DW_OWNER_GRANTED, false, true },
		{ DW_OWNERSHIP_EITHER, DW_OWNER_NONE, false, false },
		{ DW_OWNERSHIP_EITHER, DW_OWNER_DENIED, true, false },
	};
	struct fixture *f = *state;
	char room[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dw_op *op;

		(void)snprintf(room, sizeof(room), "r%zu", i);
		op = append_new(room, "1", "{\"a\":1}");
		f->ops->close(f->engine);
		f->config.ownership = cases[i].ownership;
		open_engine(f);
		if (cases[i].state != DW_OWNER_NONE)
			own(f, room, "alice", cases[i].state, false, true);
		(void)dw_str_copy(DW_STR("alice"), op->append.publisher, sizeof(op->append.publisher));
		op->append.claimed = cases[i].claimed;
		assert_int_equal(cases[i].may ? DW_OK : DW_E_DENIED, run(f, op));
		assert_int_equal(cases[i].may, op->append.record.len > 0);
		op_free(op);
	}
}

static void
test_owners(void **state)
{
	struct fixture *f = *state;
	struct dw_op *op;

	own(f, "a", "alice", DW_OWNER_GRANTED, true, true);
	own(f, "a", "alice", DW_OWNER_GRANTED, false, true);
	own(f, "a", "alice", DW_OWNER_GRANTED, false, false);
	own(f, "b", "alice", DW_OWNER_GRANTED, false, true);
	own(f, "b", "bob", DW_OWNER_GRANTED, false, true);
	own(f, "b", "nobody", DW_OWNER_NONE, false, false);
	op = op_new(DW_OP_OWNERS, "");
	op->read.limit = 2;
	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(2 * sizeof(struct dw_owner_row), op->read.owners.len);
	assert_true(op->read.more);
	op_free(op);
	op = op_new(DW_OP_OWNERS, "");
	op->read.limit = 10;
	(void)dw_str_copy(DW_STR("bob"), op->read.user, sizeof(op->read.user));
	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(sizeof(struct dw_owner_row), op->read.owners.len);
	assert_false(op->read.more);
	op_free(op);
	own(f, "a", "alice", DW_OWNER_NONE, false, true);
	op = op_new(DW_OP_OWNERS, "a");
	op->read.limit = 10;
	assert_int_equal(DW_OK, run(f, op));
	assert_int_equal(0, op->read.owners.len);
	op_free(op);
}

/* All pages of a list, one behind another; how many pages there were. */
static size_t
list_pages(struct fixture *f, const char *user, size_t limit, struct dw_buf *rows)
{
	struct dw_owner_row last = { 0 };
	size_t pages = 0;
	bool more = true;

	while (more) {
		struct dw_op *op = op_new(DW_OP_OWNERS, "");
		const struct dw_owner_row *found;
		size_t count;

		op->read.limit = limit;
		(void)dw_str_copy(dw_str(user), op->read.user, sizeof(op->read.user));
		(void)dw_str_copy(dw_str(last.room), op->read.after_room, sizeof(op->read.after_room));
		(void)dw_str_copy(dw_str(last.user), op->read.after_user, sizeof(op->read.after_user));
		assert_int_equal(DW_OK, run(f, op));
		found = (const struct dw_owner_row *)(const void *)op->read.owners.data;
		count = op->read.owners.len / sizeof(last);
		more = op->read.more;
		assert_true(count <= limit + 1 && (count > 0 || !more));
		for (size_t i = 0; i < count; i++) {
			assert_true(found[i].state != DW_OWNER_NONE || (more && i + 1 == count));
			if (found[i].state != DW_OWNER_NONE)
				dw_buf_add(rows, &found[i], sizeof(last));
		}
		if (more)
			last = found[count - 1];
		pages++;
		op_free(op);
	}
	return pages;
}

/* However long the registry is, and however few of it one asks for, a page costs no more than a page. */
static void
test_owners_in_pages(void **state)
{
	struct fixture *f = *state;
	struct dw_buf rows = { 0 };
	const struct dw_owner_row *row;

	for (int i = 0; i < 95; i++) {
		char user[16], room[16];

		(void)snprintf(room, sizeof(room), "%d", i / 10);
		(void)snprintf(user, sizeof(user), "u%02d", i);
		own(f, room, user, i % 2 == 0 ? DW_OWNER_GRANTED : DW_OWNER_DENIED, false, true);
	}
	assert_int_equal(10, list_pages(f, "", 10, &rows));
	row = (const struct dw_owner_row *)(const void *)rows.data;
	assert_int_equal(95 * sizeof(*row), rows.len);
	for (int i = 0; i < 95; i++) {
		assert_int_equal(i, atoi(row[i].user + 1));
		assert_int_equal(i / 10, atoi(row[i].room));
		assert_int_equal(i % 2 == 0 ? DW_OWNER_GRANTED : DW_OWNER_DENIED, row[i].state);
	}
	dw_buf_reset(&rows);
	assert_int_equal(5, list_pages(f, "u77", 2, &rows));
	assert_int_equal(sizeof(*row), rows.len);
	dw_buf_reset(&rows);
	assert_int_equal(1, list_pages(f, "u77", 10, &rows));
	assert_int_equal(sizeof(*row), rows.len);
	dw_buf_clear(&rows);
}

static int
count_cursor(void *user, const struct dw_cursor *cursor)
{
	*(uint64_t *)user += dw_seq(cursor->at);
	return 0;
}

static int
stop_at_once(void *user, const struct dw_room_summary *summary)
{
	(void)summary;
	++*(uint64_t *)user;
	return DW_E_BUSY;
}

static void
test_scans(void **state)
{
	struct fixture *f = *state;
	uint64_t sum = 0, calls = 0;

	append_many(f, "a", 3);
	append_many(f, "b", 4);
	set_cursor(f, "a", "alice", "phone", 10, 1);
	set_cursor(f, "b", "alice", "phone", 20, 1);
	set_cursor(f, "b", "alice", "pad", 40, 1);
	set_cursor(f, "b", "alice", "phone", 0, 0);
	set_cursor(f, "b", "alice", "never", 0, 0);
	assert_int_equal(0, f->ops->scan(f->engine, NULL, count_cursor, &sum));
	assert_int_equal(50, sum);
	sum = 0;
	assert_int_equal(0, f->ops->scan(f->engine, count_room, NULL, &sum));
	assert_int_equal(7, sum);
	assert_int_equal(DW_E_BUSY, f->ops->scan(f->engine, stop_at_once, NULL, &calls));
	assert_int_equal(1, calls);
}

static void
test_full(void **state)
{
	struct fixture *f = *state;
	struct dw_fault fault = { 0 };
	struct dw_engine_info before, after;
	char *large = malloc(60001);
	struct dw_op *ops[2], *load = op_new(DW_OP_LOAD, "a");
	int err = DW_OK;
	char id[32];

	f->ops->close(f->engine);
	f->config.store_limit = 2 << 20;
	f->config.queue_limit = 1000;
	open_engine(f);
	memset(large, '1', 60000);
	large[60000] = '\0';
	for (int i = 0; i < 200 && err == DW_OK; i++) {
		f->ops->info(f->engine, &before);
		for (size_t k = 0; k < 2; k++) {
			(void)snprintf(id, sizeof(id), "%d-%zu", i, k);
			ops[k] = append_new("a", id, large);
		}
		err = f->ops->commit(f->engine, ops, 2, &fault);
		if (err != DW_OK)
			assert_int_equal(0, ops[0]->append.seq + ops[0]->append.record.len);
		op_free(ops[0]);
		op_free(ops[1]);
	}
	assert_int_equal(DW_E_STORAGE_FULL, err);
	assert_non_null(strstr(fault.message, f->ops == &dw_engine_lmdb ? "MDB_MAP_FULL" : "2097152 bytes"));
	f->ops->info(f->engine, &after);
	assert_int_equal(before.head, after.head);
	assert_true(after.head > 10);
	assert_int_equal(DW_OK, run(f, load));
	assert_int_equal(after.head, load->read.summary.head);
	op_free(load);
	free(large);
	if (f->ops == &dw_engine_memory)
		return;
	f->ops->close(f->engine);
	f->config.store_limit = 64 << 20;
	open_engine(f);
	assert_int_equal(after.head + 1, append(f, "a", "more", NULL));
}

static void
test_everything_stays(void **state)
{
	struct fixture *f = *state;
	struct dw_engine_info before, after;
	struct dw_op *again = append_new("a", "kept", "{\"a\":1}"), *load = op_new(DW_OP_LOAD, "a");
	uint64_t seqs[100];

	append_many(f, "a", 5);
	(void)append(f, "a", "kept", NULL);
	set_cursor(f, "a", "alice", "phone", 3, 1);
	own(f, "a", "alice", DW_OWNER_GRANTED, false, true);
	f->ops->info(f->engine, &before);
	f->ops->close(f->engine);
	open_engine(f);
	f->ops->info(f->engine, &after);
	assert_string_equal(before.epoch, after.epoch);
	assert_int_equal(before.head, after.head);
	assert_int_equal(DW_OK, run(f, again));
	assert_true(again->append.duplicate);
	assert_int_equal(DW_OK, run(f, load));
	assert_int_equal(6, seqs_of(&load->read.records, seqs, 100));
	assert_true(load->read.cursors.len > 0 && load->read.owners.len > 0);
	assert_int_equal(before.head + 1, append(f, "b", "1", NULL));
	op_free(again);
	op_free(load);
}

static void
test_a_copy_has_an_epoch_of_its_own(void **state)
{
	struct fixture *f = *state, copy = *f;
	struct dw_engine_info ours, theirs;
	char command[320], dir[80];

	append_many(f, "a", 3);
	f->ops->info(f->engine, &ours);
	f->ops->close(f->engine);
	(void)snprintf(dir, sizeof(dir), "%s/copy", f->dir);
	(void)snprintf(command, sizeof(command), "mkdir %s && cp %s/data.mdb %s", dir, f->dir, dir);
	assert_int_equal(0, system(command));
	copy.config.dir = dir;
	open_engine(&copy);
	copy.ops->info(copy.engine, &theirs);
	copy.ops->close(copy.engine);
	assert_int_equal(ours.head, theirs.head);
	assert_string_not_equal(ours.epoch, theirs.epoch);
	open_engine(f);
	f->ops->info(f->engine, &theirs);
	assert_string_equal(ours.epoch, theirs.epoch);
}

static void
test_grows(void **state)
{
	struct fixture *f = *state;
	char *large = malloc(60001);
	struct dw_engine_info info;
	char id[32];

	f->ops->close(f->engine);
	f->config.queue_limit = 10000;
	open_engine(f);
	memset(large, '1', 60000);
	large[60000] = '\0';
	for (int i = 0; i < 40; i++) {
		struct dw_op *ops[50];

		for (int k = 0; k < 50; k++) {
			(void)snprintf(id, sizeof(id), "%d-%d", i, k);
			ops[k] = append_new("a", id, large);
		}
		assert_int_equal(DW_OK, commit(f, ops, 50));
		for (int k = 0; k < 50; k++)
			op_free(ops[k]);
	}
	f->ops->info(f->engine, &info);
	assert_int_equal(2000, info.head);
	assert_true(info.bytes > 100 << 20);
	free(large);
}

static void
test_the_dead_are_deleted(void **state)
{
	struct fixture *f = *state;
	struct dw_engine_info middle, end;

	for (int i = 0; i < 10; i++)
		append_many(f, "a", 200);
	f->ops->info(f->engine, &middle);
	for (int i = 0; i < 10; i++)
		append_many(f, "a", 200);
	f->ops->info(f->engine, &end);
	/* Ids grow, messages do not: 2,000 ids are far less than 2,000 messages and ids. */
	assert_true(end.bytes - middle.bytes < 2000 * 150);
}

static void
write_file(const struct fixture *f, const char *name, const char *bytes, size_t n)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(n, fwrite(bytes, 1, n, file));
	assert_int_equal(0, fclose(file));
}

static void
test_refuses_what_is_not_its_own(void **state)
{
	struct fixture *f = *state;
	struct dw_engine *other = NULL;
	struct dw_fault fault = { 0 };
	char garbage[8192], path[96];

	assert_int_equal(DW_E_IN_USE, f->ops->open(&other, &f->config, &fault));
	assert_non_null(strstr(fault.message, f->dir));
	f->ops->close(f->engine);
	f->engine = NULL;
	memset(garbage, 'x', sizeof(garbage));
	write_file(f, "data.mdb", garbage, sizeof(garbage));
	assert_int_equal(DW_E_CORRUPT, f->ops->open(&other, &f->config, &fault));
	assert_non_null(strstr(fault.message, "data.mdb"));
	(void)snprintf(path, sizeof(path), "%s/data.mdb/below", f->dir);
	f->config.dir = path;
	assert_int_equal(DW_E_CREATE, f->ops->open(&other, &f->config, &fault));
	assert_null(other);
}

static void
test_a_full_store_mends_itself(void **state)
{
	struct fixture *f = *state;
	struct dw_op *ops[20];
	char *large = malloc(3001);
	int err = DW_OK;
	char id[32];

	f->ops->close(f->engine);
	f->config.store_limit = 2 << 20;
	f->config.queue_limit = 10000;
	open_engine(f);
	memset(large, '1', 3000);
	large[3000] = '\0';
	for (int i = 0; err == DW_OK; i++) {
		assert_true(i < 1000);
		for (int k = 0; k < 20; k++) {
			(void)snprintf(id, sizeof(id), "%d-%d", i, k);
			ops[k] = append_new(k % 2 == 0 ? "a" : "b", id, large);
		}
		err = commit(f, ops, 20);
		for (int k = 0; k < 20; k++)
			op_free(ops[k]);
	}
	assert_int_equal(DW_E_STORAGE_FULL, err);
	f->ops->close(f->engine);
	f->config.queue_limit = 5; /* as if nearly all had grown old */
	open_engine(f);
	for (int i = 0; i < 50; i++) {
		for (int k = 0; k < 20; k++) {
			(void)snprintf(id, sizeof(id), "again:%d-%d", i, k);
			ops[k] = append_new(k % 2 == 0 ? "a" : "b", id, large);
		}
		assert_int_equal(DW_OK, commit(f, ops, 20));
		for (int k = 0; k < 20; k++)
			op_free(ops[k]);
	}
	free(large);
}

/* Puts one entry into a database of the store in f->dir, as another program or release would. */
static void
put_raw(const struct fixture *f, const char *database, struct dw_str name, const void *bytes, size_t n)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val key = { name.n, (void *)(uintptr_t)name.p }, value = { n, (void *)(uintptr_t)bytes };

	assert_int_equal(0, mdb_env_create(&env));
	assert_int_equal(0, mdb_env_set_maxdbs(env, 16));
	assert_int_equal(0, mdb_env_open(env, f->dir, 0, 0640));
	assert_int_equal(0, mdb_txn_begin(env, NULL, 0, &txn));
	assert_int_equal(0, mdb_dbi_open(txn, database, MDB_CREATE, &dbi));
	assert_int_equal(0, mdb_put(txn, dbi, &key, &value, 0));
	assert_int_equal(0, mdb_txn_commit(txn));
	mdb_env_close(env);
}

static void
remove_store(struct fixture *f)
{
	char command[192];

	f->ops->close(f->engine);
	f->engine = NULL;
	(void)snprintf(command, sizeof(command), "rm %s/data.mdb %s/lock.mdb", f->dir, f->dir);
	assert_int_equal(0, system(command));
}

static void
test_refuses_another_format(void **state)
{
	struct fixture *f = *state;
	struct dw_fault fault = { 0 };
	uint64_t version = 1;

	remove_store(f);
	put_raw(f, "meta", DW_STR("version"), &version, sizeof(version));
	put_raw(f, "ids0", DW_STR("a table that is ours no more"), "value", 5);
	assert_int_equal(DW_E_CORRUPT, f->ops->open(&f->engine, &f->config, &fault));
	assert_non_null(strstr(fault.message, "has format version 1; this release reads 6"));
	assert_non_null(strstr(fault.expected, "the release that wrote it"));
}

static void
test_refuses_another_programs_store(void **state)
{
	struct fixture *f = *state;
	struct dw_fault fault = { 0 };

	remove_store(f);
	put_raw(f, "theirs", DW_STR("key"), "value", 5);
	assert_int_equal(DW_E_CORRUPT, f->ops->open(&f->engine, &f->config, &fault));
	assert_non_null(strstr(fault.message, "another program's"));
}

/* Root may write anywhere, so this is asked as somebody else. */
static void
test_refuses_a_directory_of_others(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t child;

	f->ops->close(f->engine);
	f->engine = NULL;
	assert_int_equal(0, chmod(f->dir, 0500));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct dw_fault fault = { 0 };
		struct dw_engine *engine = NULL;

		if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		_exit(f->ops->open(&engine, &f->config, &fault) == DW_E_PERMISSION && engine == NULL ? 0 : 1);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_int_equal(0, status);
	assert_int_equal(0, chmod(f->dir, 0700));
}

static struct dw_op *
random_op(int *serial)
{
	static const char *const rooms[] = { "a", "b", "c", "d-e", "F_1" };
	static const char *const users[] = { "alice", "bob", "\xd9\x85" };
	const char *room = rooms[rand() % 5], *user = users[rand() % 3];
	struct dw_op *op;
	char id[32];

	switch (rand() % 9) {
	case 8:
		op = op_new(DW_OP_PLACE, room);
		(void)dw_str_copy(dw_str(user), op->place.user, sizeof(op->place.user));
		op->place.seq = (uint64_t)(rand() % 8000);
		op->place.until = (uint64_t)(rand() % 8000);
		return op;
	case 0:
		op = op_new(DW_OP_CURSOR, room);
		(void)dw_str_copy(dw_str(room), op->cursor.room, sizeof(op->cursor.room));
		(void)dw_str_copy(dw_str(user), op->cursor.user, sizeof(op->cursor.user));
		(void)snprintf(op->cursor.device, sizeof(op->cursor.device), "d%d", rand() % 3);
		op->cursor.at = dw_position_said((uint64_t)(rand() % 50), 0, 0);
		op->cursor.seen = (uint64_t)(rand() % 2);
		return op;
	case 1:
		op = op_new(DW_OP_OWNER, room);
		(void)dw_str_copy(dw_str(user), op->owner.user, sizeof(op->owner.user));
		op->owner.state = (enum dw_owner_state)(rand() % 3);
		op->owner.dry = rand() % 4 == 0;
		return op;
	case 2:
		return op_new(DW_OP_LOAD, room);
	case 3:
		op = op_new(DW_OP_OWNERS, rand() % 4 == 0 ? "" : room);
		op->read.limit = (size_t)(1 + rand() % 20);
		return op;
	default:
		(void)snprintf(id, sizeof(id), "%d", rand() % 4 == 0 ? rand() % (*serial + 1) : *serial);
		++*serial;
		op = append_new(room, id, rand() % 3 == 0 ? "{\"a\":22}" : "{\"a\":1}");
		op->append.at = (uint64_t)*serial;
		if (rand() % 3 == 0)
			(void)dw_str_copy(dw_str(users[rand() % 3]), op->append.to, sizeof(op->append.to));
		if (rand() % 3 == 0)
			(void)dw_str_copy(dw_str(user), op->append.publisher, sizeof(op->append.publisher));
		op->append.except = (uint64_t)(rand() % 2);
		op->append.expires_at = (uint64_t)(rand() % 2);
		return op;
	}
}

static void
same_bytes(const struct dw_buf *a, const struct dw_buf *b)
{
	assert_int_equal(a->len, b->len);
	if (a->len > 0)
		assert_memory_equal(a->data, b->data, a->len);
}

static void
same_result(const struct dw_op *a, const struct dw_op *b)
{
	assert_int_equal(a->err, b->err);
	switch (a->kind) {
	case DW_OP_APPEND:
		assert_int_equal(a->append.seq, b->append.seq);
		assert_int_equal(a->append.n, b->append.n);
		assert_int_equal(a->append.own, b->append.own);
		assert_int_equal(a->append.room_n, b->append.room_n);
		assert_int_equal(a->append.duplicate, b->append.duplicate);
		assert_int_equal(a->append.had_except, b->append.had_except);
		assert_int_equal(a->append.had_expiry, b->append.had_expiry);
		same_bytes(&a->append.record, &b->append.record);
		break;
	case DW_OP_OWNER:
		assert_int_equal(a->owner.changed, b->owner.changed);
		break;
	case DW_OP_CURSOR:
		break;
	case DW_OP_PLACE:
		assert_int_equal(a->place.n, b->place.n);
		assert_int_equal(a->place.own, b->place.own);
		assert_int_equal(a->place.until_own, b->place.until_own);
		break;
	case DW_OP_LOAD:
		assert_int_equal(a->read.summary.n, b->read.summary.n);
		assert_int_equal(a->read.summary.head, b->read.summary.head);
		assert_int_equal(a->read.summary.directs, b->read.summary.directs);
		same_bytes(&a->read.directs, &b->read.directs);
		same_bytes(&a->read.users, &b->read.users);
		assert_int_equal(a->read.summary.oldest_n, b->read.summary.oldest_n);
		assert_int_equal(a->read.cursors.len, b->read.cursors.len);
		/* fall through */
	case DW_OP_OWNERS:
		same_bytes(&a->read.records, &b->read.records);
		same_bytes(&a->read.owners, &b->read.owners);
		assert_int_equal(a->read.more, b->read.more);
		break;
	}
}

static void
test_twins(void **state)
{
	struct fixture *f = *state;
	struct fixture twin = *f;
	int serial = 0;

	srand(11);
	f->ops->close(f->engine);
	f->config.queue_limit = 20;
	f->config.queue_ttl_ms = f->config.id_window_ms = UINT64_MAX / 4;
	open_engine(f);
	twin.ops = &dw_engine_memory;
	twin.config = f->config;
	open_engine(&twin);
	for (int round = 0; round < 1500; round++) {
		size_t count = (size_t)(1 + rand() % 8);
		struct dw_op *ours[8], *theirs[8];

		for (size_t i = 0; i < count; i++) {
			ours[i] = random_op(&serial);
			theirs[i] = malloc(sizeof(*theirs[i]));
			*theirs[i] = *ours[i];
			if (ours[i]->kind == DW_OP_APPEND)
				theirs[i]->append.data = strdup(ours[i]->append.data);
		}
		assert_int_equal(DW_OK, commit(f, ours, count));
		assert_int_equal(DW_OK, commit(&twin, theirs, count));
		for (size_t i = 0; i < count; i++) {
			same_result(ours[i], theirs[i]);
			op_free(ours[i]);
			op_free(theirs[i]);
		}
		if (round % 200 == 0) {
			f->ops->close(f->engine);
			open_engine(f);
		}
	}
	twin.ops->close(twin.engine);
}

/* Enough ids for their log to be trimmed for long, and a store opened again: each is known when it is among the newest,
 * and told as the twin tells it. */
static void
test_very_many_ids(void **state)
{
	enum { BATCH = 2000, BATCHES = 90, AGAIN = 20 };
	static const int back[AGAIN] = { 1, 40, 1999, 2000, 2001, 9999, 30000, 59999, 60001, 89999, 90001, 119999, 120001,
		121999, 122001, 131072, 140000, 150000, 160000, 179999 };
	struct fixture *f = *state, twin = { .ops = &dw_engine_memory };
	struct dw_op **ops[2] = { calloc(BATCH, sizeof(struct dw_op *)), calloc(BATCH, sizeof(struct dw_op *)) };
	uint64_t *stored = calloc((size_t)BATCH * BATCHES, sizeof(uint64_t)), last = 0;
	int *numbers = calloc(BATCH, sizeof(int));
	size_t duplicates = 0, forgotten = 0;

	f->ops->close(f->engine);
	f->config.id_window_count = 60000;
	f->config.queue_limit = 2; /* the twin walks its lists */
	open_engine(f);
	twin.config = f->config;
	open_engine(&twin);
	for (int batch = 0; batch < BATCHES; batch++) {
		for (int i = 0; i < BATCH; i++) {
			int number = batch * BATCH + i;
			char room[16], id[16];

			if (i % (BATCH / AGAIN) == BATCH / AGAIN - 1 && number >= back[i / (BATCH / AGAIN)])
				number -= back[i / (BATCH / AGAIN)];
			numbers[i] = number;
			(void)snprintf(room, sizeof(room), "room-%d", number % 40);
			(void)snprintf(id, sizeof(id), "%d", number);
			for (int e = 0; e < 2; e++) {
				ops[e][i] = append_new(room, id, "{\"a\":1}");
				ops[e][i]->append.except = (uint64_t)(i % 3);
				ops[e][i]->append.expires_at = (uint64_t)(number % 5);
			}
		}
		assert_int_equal(DW_OK, commit(f, ops[0], BATCH));
		assert_int_equal(DW_OK, commit(&twin, ops[1], BATCH));
		for (int i = 0; i < BATCH; i++) {
			uint64_t *seq = &stored[numbers[i]];
			const bool known = *seq != 0 && last + 1 - *seq <= f->config.id_window_count;

			duplicates += known;
			forgotten += *seq != 0 && !known;
			if (!known)
				*seq = ++last;
			assert_int_equal(known, ops[0][i]->append.duplicate);
			assert_int_equal(*seq, ops[0][i]->append.seq);
			assert_int_equal(known, ops[1][i]->append.duplicate);
			assert_int_equal(*seq, ops[1][i]->append.seq);
			assert_int_equal(ops[1][i]->append.n, ops[0][i]->append.n);
			assert_int_equal(ops[1][i]->append.had_except, ops[0][i]->append.had_except);
			assert_int_equal(ops[1][i]->append.had_expiry, ops[0][i]->append.had_expiry);
			op_free(ops[0][i]);
			op_free(ops[1][i]);
		}
		if (batch % 29 == 28) {
			f->ops->close(f->engine);
			open_engine(f);
		}
	}
	assert_true(duplicates > BATCHES * AGAIN / 4 && forgotten > BATCHES * AGAIN / 8);
	twin.ops->close(twin.engine);
	free(stored);
	free(numbers);
	free(ops[0]);
	free(ops[1]);
}

/* One that was not remembered any more and was stored anew, among very many others. */
static void
test_the_newest_of_an_id_is_found(void **state)
{
	enum { IDS = 40, BATCH = 2000, OTHERS = 70 * BATCH };
	struct fixture *f = *state;
	struct dw_op **ops = calloc(BATCH, sizeof(struct dw_op *));
	char id[16];

	f->ops->close(f->engine);
	f->config.queue_limit = 2;
	open_engine(f);
	for (int i = 0; i < 2 * IDS; i++) {
		(void)snprintf(id, sizeof(id), "%d", i % IDS);
		ops[i] = append_aged(id, "{\"a\":1}", i < IDS ? f->config.id_window_ms : 0);
	}
	assert_int_equal(DW_OK, commit(f, ops, 2 * IDS));
	for (int i = 0; i < 2 * IDS; i++) {
		assert_int_equal(i + 1, ops[i]->append.seq);
		op_free(ops[i]);
	}
	for (int at = 0; at < OTHERS; at += BATCH) {
		for (int i = 0; i < BATCH; i++) {
			(void)snprintf(id, sizeof(id), "other-%d", at + i);
			ops[i] = append_new("a", id, "{\"a\":1}");
		}
		assert_int_equal(DW_OK, commit(f, ops, BATCH));
		for (int i = 0; i < BATCH; i++)
			op_free(ops[i]);
	}
	for (int i = 0; i < IDS; i++) {
		struct dw_op *op;

		(void)snprintf(id, sizeof(id), "%d", i);
		op = append_new("a", id, "{\"a\":1}");
		assert_int_equal(DW_OK, run(f, op));
		assert_true(op->append.duplicate);
		assert_int_equal(IDS + i + 1, op->append.seq);
		op_free(op);
	}
	free(ops);
}

#define BOTH(test)                                               \
	{ #test " on lmdb", test, set_up_lmdb, tear_down, NULL },    \
	{                                                            \
#test " in memory", test, set_up_memory, tear_down, NULL \
	}
#define LMDB(test)                                           \
	{                                                        \
#test " on lmdb", test, set_up_lmdb, tear_down, NULL \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_numbers),
		BOTH(test_ids),
		BOTH(test_ids_are_remembered_so_many),
		BOTH(test_ids_are_remembered_so_long),
		BOTH(test_load),
		BOTH(test_load_of_nothing),
		BOTH(test_age),
		BOTH(test_a_room_outlives_its_messages),
		BOTH(test_direct_messages),
		BOTH(test_direct_messages_have_limits_of_their_own),
		BOTH(test_direct_messages_age),
		BOTH(test_places),
		BOTH(test_places_of_a_user),
		BOTH(test_own_numbers_are_for_ever),
		BOTH(test_a_duplicate_says_its_own_number),
		BOTH(test_a_duplicate_says_what_the_first_one_had),
		BOTH(test_a_forgotten_id_says_nothing),
		BOTH(test_retained_is_what_is_newest),
		BOTH(test_publishers),
		BOTH(test_owners),
		BOTH(test_owners_in_pages),
		BOTH(test_scans),
		BOTH(test_full),
		LMDB(test_everything_stays),
		LMDB(test_a_copy_has_an_epoch_of_its_own),
		LMDB(test_grows),
		LMDB(test_the_dead_are_deleted),
		LMDB(test_refuses_what_is_not_its_own),
		LMDB(test_refuses_another_format),
		LMDB(test_refuses_another_programs_store),
		LMDB(test_refuses_a_directory_of_others),
		LMDB(test_a_full_store_mends_itself),
		LMDB(test_twins),
		LMDB(test_very_many_ids),
		LMDB(test_the_newest_of_an_id_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
