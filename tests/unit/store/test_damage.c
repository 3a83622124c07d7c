/* links: lib/store/engine.c lib/store/lmdb/lmdb.c lib/store/lmdb/log.c lib/store/lmdb/ops.c */
/* links: lib/store/lmdb/rooms.c lib/store/lmdb/ids.c lib/store/lmdb/check.c */
/* links: lib/store/lmdb/sweep.c lib/store/lmdb/note.c */
/* links: lib/store/kv/kv.c lib/store/kv/lmdb.c lib/store/kv/file.c lib/store/kv/journal.c lib/store/kv/look.c */
/* links: lib/store/kv/tree.c lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/paths.c */
/* libs: msgpack lmdb libcrypto */
/* A store whose file was damaged: whatever byte, page or length of it is wrong, it is refused with a reason, or opens
 * and says exactly what it said before. Never less, and never a crash: the tests would not survive one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/engine.h"
#include "store_kit.h"

enum { ROOMS = 12, PAGE = 4096, FLIPS_A_PAGE = 12 };

struct fixture {
	struct dw_engine_config config;
	struct dw_engine *engine;
	struct dw_buf before, file; /* the file some commits before its end, and at its end */
	struct dw_buf truth;        /* what the whole store says */
	size_t used;                /* bytes of it that hold pages */
	int serial;
	char dir[KIT_DIR];
};

static int
open_engine(struct fixture *f, struct dw_fault *fault)
{
	*fault = (struct dw_fault) { 0 };
	f->engine = NULL;
	return dw_engine_lmdb.open(&f->engine, &f->config, fault);
}

static void
close_engine(struct fixture *f)
{
	f->engine->ops->close(f->engine);
	f->engine = NULL;
}

static void
commit(struct fixture *f, struct dw_op **ops, size_t count)
{
	struct dw_fault fault = { 0 };

	assert_int_equal(DW_OK, f->engine->ops->commit(f->engine, ops, count, &fault));
	for (size_t i = 0; i < count; i++) {
		dw_op_clear(ops[i]);
		free(ops[i]);
	}
}

static struct dw_op *
op_new(enum dw_op_kind kind, int room)
{
	struct dw_op *op = calloc(1, sizeof(*op));

	op->kind = kind;
	(void)snprintf(op->room, sizeof(op->room), "room-%d", room);
	return op;
}

/* A message, direct or not, of this size; a cursor; a grant. */
static void
store_some(struct fixture *f, int room, size_t size)
{
	struct dw_op *ops[3] = { op_new(DW_OP_APPEND, room), op_new(DW_OP_CURSOR, room), op_new(DW_OP_OWNER, room) };
	struct dw_op *append = ops[0];

	append->append.data = malloc(size);
	memset(append->append.data, 'a' + f->serial % 26, size);
	append->append.size = size;
	append->append.at = dw_now_ms();
	(void)dw_str_copy(DW_STR("note_update"), append->append.type, sizeof(append->append.type));
	(void)snprintf(append->append.id, sizeof(append->append.id), "id:%d", f->serial);
	if (f->serial % 3 == 0)
		(void)snprintf(append->append.to, sizeof(append->append.to), "user-%d", f->serial % 4);
	(void)dw_str_copy(dw_str(ops[1]->room), ops[1]->cursor.room, sizeof(ops[1]->cursor.room));
	(void)dw_str_copy(DW_STR("alice"), ops[1]->cursor.user, sizeof(ops[1]->cursor.user));
	(void)snprintf(ops[1]->cursor.device, sizeof(ops[1]->cursor.device), "device-%d", f->serial % 20);
	ops[1]->cursor.seen = (uint64_t)f->serial + 1;
	ops[1]->cursor.at = dw_position_said(ops[1]->cursor.seen, 0, 0);
	(void)snprintf(ops[2]->owner.user, sizeof(ops[2]->owner.user), "user-%d", f->serial % 30);
	ops[2]->owner.state = DW_OWNER_GRANTED;
	f->serial++;
	commit(f, ops, 3);
}

/* All that the engine tells: rooms, messages, cursors, owners, ids, places. */
static void
tell(struct fixture *f, struct dw_buf *out)
{
	struct dw_engine_info info;

	dw_buf_reset(out);
	f->engine->ops->info(f->engine, &info);
	dw_buf_add(out, &info.head, sizeof(info.head));
	dw_buf_add(out, info.epoch, sizeof(info.epoch));
	for (int room = 0; room < ROOMS; room++) {
		struct dw_op *load = op_new(DW_OP_LOAD, room), *place = op_new(DW_OP_PLACE, room);
		struct dw_op *ops[2] = { load, place };
		struct dw_fault fault = { 0 };

		(void)snprintf(place->place.user, sizeof(place->place.user), "user-0");
		place->place.seq = place->place.until = info.head / 2;
		assert_int_equal(DW_OK, f->engine->ops->commit(f->engine, ops, 2, &fault));
		dw_buf_add(out, &load->read.summary, sizeof(load->read.summary));
		dw_buf_add(out, load->read.records.data, load->read.records.len);
		dw_buf_add(out, load->read.directs.data, load->read.directs.len);
		dw_buf_add(out, load->read.users.data, load->read.users.len);
		dw_buf_add(out, load->read.cursors.data, load->read.cursors.len);
		dw_buf_add(out, load->read.owners.data, load->read.owners.len);
		dw_buf_add(out, &place->place.n, sizeof(place->place.n));
		dw_buf_add(out, &place->place.own, sizeof(place->place.own));
		for (size_t i = 0; i < 2; i++) {
			dw_op_clear(ops[i]);
			free(ops[i]);
		}
	}
	assert_true(dw_buf_ok(out));
}

static void
path_of(const struct fixture *f, char path[96])
{
	(void)snprintf(path, 96, "%s/data.mdb", f->dir);
}

static void
read_file(const struct fixture *f, struct dw_buf *out)
{
	char path[96], bytes[65536];
	FILE *file;
	size_t n;

	path_of(f, path);
	file = fopen(path, "r");
	assert_non_null(file);
	dw_buf_reset(out);
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		dw_buf_add(out, bytes, n);
	assert_int_equal(0, fclose(file));
}

/* In place: another file would be another store. */
static void
write_at(const struct fixture *f, size_t at, const void *bytes, size_t n)
{
	char path[96];
	FILE *file;

	path_of(f, path);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(0, fseek(file, (long)at, SEEK_SET));
	assert_int_equal(n, fwrite(bytes, 1, n, file));
	assert_int_equal(0, fclose(file));
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct dw_engine_info info;
	struct dw_fault fault;

	f->config = kit_open_dir(f->dir);
	f->config.queue_limit = 5;
	f->config.id_window_count = 250;
	f->config.ownership = DW_OWNERSHIP_REGISTRY;
	assert_int_equal(DW_OK, open_engine(f, &fault));
	for (int i = 0; i < 400; i++)
		store_some(f, i % ROOMS, i % 50 == 0 ? 9000 : 60);
	/* A quiet room keeps an old message before all those places. */
	store_some(f, ROOMS - 1, 20000);
	close_engine(f);
	read_file(f, &f->before);
	assert_int_equal(DW_OK, open_engine(f, &fault));
	/* The last commit makes the file longer: only so a head that lost its place is told from one that failed. */
	for (int i = 0; i < 3; i++)
		store_some(f, i, 60000);
	f->engine->ops->info(f->engine, &info);
	f->used = info.bytes;
	close_engine(f);
	assert_int_equal(DW_OK, open_engine(f, &fault));
	tell(f, &f->truth);
	close_engine(f);
	read_file(f, &f->file);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	dw_buf_clear(&f->before);
	dw_buf_clear(&f->file);
	dw_buf_clear(&f->truth);
	kit_close_dir(f->dir);
	free(f);
	return 0;
}

/* Opens what is there now: refused with a reason (true), or as it was. */
static bool
refused(struct fixture *f, const char *what, size_t where)
{
	struct dw_fault fault;
	struct dw_buf told = { 0 };
	int err = open_engine(f, &fault);
	bool same;

	if (err != DW_OK) {
		if (err != DW_E_CORRUPT || strstr(fault.message, "data.mdb' is damaged") == NULL || fault.expected[0] == '\0')
			fail_msg("%s at %zu: %d %s", what, where, err, fault.message);
		return true;
	}
	tell(f, &told);
	close_engine(f);
	same = told.len == f->truth.len && memcmp(told.data, f->truth.data, told.len) == 0;
	dw_buf_clear(&told);
	if (!same)
		fail_msg("%s at %zu: the store opened and says something else", what, where);
	return false;
}

static void
test_flipped_bytes(void **state)
{
	struct fixture *f = *state;
	size_t found = 0, flips = 0;

	srand(3);
	for (size_t page = 0; page < f->used / PAGE; page++) {
		for (int i = 0; i < FLIPS_A_PAGE; i++) {
			/* Heads, of pages and of the store, deserve more than their share. */
			const size_t at = page * PAGE + (size_t)(i % 3 == 0 ? rand() % 160 : rand() % PAGE);
			const char flipped = (char)(f->file.data[at] ^ 1 << rand() % 8);

			write_at(f, at, &flipped, 1);
			found += refused(f, "a flipped byte", at);
			write_at(f, at, f->file.data + at, 1);
			flips++;
		}
	}
	/* The others were in free pages and between entries. */
	assert_true(found > flips / 8);
	assert_false(refused(f, "nothing", 0));
}

static void
test_each_bit_of_the_heads(void **state)
{
	struct fixture *f = *state;
	size_t found = 0;

	for (size_t at = 0; at < 2 * PAGE; at = at == 175 ? PAGE : at == PAGE + 175 ? 2 * PAGE : at + 1) {
		for (int bit = 0; bit < 8; bit++) {
			const char flipped = (char)(f->file.data[at] ^ 1 << bit);

			write_at(f, at, &flipped, 1);
			found += refused(f, "a flipped bit", at);
		}
		write_at(f, at, f->file.data + at, 1);
	}
	assert_true(found > 500);
}

static uint64_t
number_at(const struct fixture *f, size_t at, size_t n)
{
	uint64_t value = 0;

	memcpy(&value, f->file.data + at, n);
	return value;
}

/* What a table's root says that there is sizes nothing: neither memory nor a loop. */
static void
test_each_bit_of_the_tables_counts(void **state)
{
	static const char *const tables[] = { "meta", "messages", "places", "rooms", "users", "idlog", "cursors",
		"owners" };
	struct fixture *f = *state;

	for (size_t table = 0; table < sizeof(tables) / sizeof(tables[0]); table++) {
		const uint8_t key_size = (uint8_t)strlen(tables[table]);
		const uint8_t node[] = { 48, 0, 0, 0, 2, 0, key_size, 0 }; /* a root's size, flags, its key's size */
		size_t places = 0;

		for (size_t at = 0; at + sizeof(node) + key_size + node[0] <= f->used; at++) {
			const size_t entries = at + sizeof(node) + key_size + 32;
			const size_t upper = number_at(f, at / PAGE * PAGE + 14, 2); /* below it a page's entries do not begin */
			size_t found = 0;

			if (at % PAGE < upper || memcmp(f->file.data + at, node, sizeof(node)) != 0 ||
				memcmp(f->file.data + at + sizeof(node), tables[table], key_size) != 0)
				continue;
			for (size_t bit = 0; bit < 64; bit++) {
				const char flipped = (char)(f->file.data[entries + bit / 8] ^ 1 << bit % 8);

				write_at(f, entries + bit / 8, &flipped, 1);
				found += refused(f, tables[table], bit);
				write_at(f, entries + bit / 8, f->file.data + entries + bit / 8, 1);
			}
			/* Older ones lie about in free pages. */
			assert_true(found == 0 || found == 64);
			places += found == 64;
		}
		assert_int_equal(1, places);
	}
}

/* The list of free pages, where an entry is too short for the count that it begins with. */
static void
test_short_entries_of_free_pages(void **state)
{
	enum { COMMIT = 40 + 2 * 48 + 8, FREE_DEPTH = 40 + 6, FREE_ROOT = 40 + 40 };
	struct fixture *f = *state;
	const size_t head = number_at(f, PAGE + COMMIT, 8) > number_at(f, COMMIT, 8) ? PAGE : 0;
	const size_t page = number_at(f, head + FREE_ROOT, 8) * PAGE;
	const size_t count = (number_at(f, page + 12, 2) - 16) / 2;

	assert_int_equal(1, number_at(f, head + FREE_DEPTH, 2));
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		const size_t node = page + number_at(f, page + 16 + 2 * i, 2);

		for (char size = 0; size < 8; size++) {
			const char bytes[] = { size, 0 };

			write_at(f, node, bytes, sizeof(bytes));
			assert_true(refused(f, "a short list", node));
			write_at(f, node, f->file.data + node, sizeof(bytes));
		}
	}
}

static void
test_zeroed_pages(void **state)
{
	static const char zeros[PAGE];
	struct fixture *f = *state;
	size_t found = 0;

	for (size_t page = 0; page < f->used / PAGE; page++) {
		write_at(f, page * PAGE, zeros, PAGE);
		found += refused(f, "a zeroed page", page);
		write_at(f, page * PAGE, f->file.data + page * PAGE, PAGE);
	}
	assert_true(found > 10);
}

/* A page that the disk said to have written, and did not: what stood there before shines through. */
static void
test_stale_pages(void **state)
{
	struct fixture *f = *state;
	size_t changed = 0, found = 0;

	for (size_t page = 0; page < f->used / PAGE && (page + 1) * PAGE <= f->before.len; page++) {
		if (memcmp(f->before.data + page * PAGE, f->file.data + page * PAGE, PAGE) == 0)
			continue;
		write_at(f, page * PAGE, f->before.data + page * PAGE, PAGE);
		changed++;
		found += refused(f, "a stale page", page);
		write_at(f, page * PAGE, f->file.data + page * PAGE, PAGE);
	}
	assert_true(changed > 10 && found > changed / 3);
}

static void
test_cut_off(void **state)
{
	struct fixture *f = *state;
	char path[96];

	path_of(f, path);
	for (size_t size = 0; size < f->used; size += PAGE / 2) {
		assert_int_equal(0, truncate(path, (off_t)size));
		if (!refused(f, "a file cut off", size))
			fail_msg("a file cut off at %zu was opened", size);
		write_at(f, 0, f->file.data, f->file.len);
	}
	assert_false(refused(f, "nothing", 0));
}

static void
test_swapped_heads(void **state)
{
	struct fixture *f = *state;

	write_at(f, 0, f->file.data + PAGE, PAGE);
	write_at(f, PAGE, f->file.data, PAGE);
	assert_true(refused(f, "swapped heads", 0));
	/* Twice the same one. */
	write_at(f, PAGE, f->file.data + PAGE, PAGE);
	assert_true(refused(f, "the same head twice", 0));
	write_at(f, 0, f->file.data, PAGE);
	write_at(f, PAGE, f->file.data, PAGE);
	assert_true(refused(f, "the same head twice", 1));
	write_at(f, PAGE, f->file.data + PAGE, PAGE);
	assert_false(refused(f, "nothing", 0));
}

/* What a power cut leaves of a store that was never committed is no damage. */
static void
test_a_beginning_is_no_damage(void **state)
{
	struct fixture *f = *state;
	char path[96];
	struct dw_fault fault;

	(void)snprintf(path, sizeof(path), "%s/.standing", f->dir);
	assert_int_equal(0, unlink(path));
	(void)snprintf(path, sizeof(path), "%s/journal", f->dir);
	assert_int_equal(0, truncate(path, 0));
	path_of(f, path);
	assert_int_equal(0, truncate(path, 0));
	assert_int_equal(0, truncate(path, 100000));
	assert_int_equal(DW_OK, open_engine(f, &fault));
	store_some(f, 0, 60);
	close_engine(f);
	/* But of one that was, it is. */
	assert_int_equal(0, truncate(path, 0));
	assert_int_equal(DW_E_CORRUPT, open_engine(f, &fault));
	assert_non_null(strstr(fault.message, "it was emptied"));
}

/* Found while the store is in use: not shown, not passed over, and the end of it. */
static void
test_damage_while_in_use(void **state)
{
	struct fixture *f = *state;
	struct dw_fault fault;
	struct dw_op *load = op_new(DW_OP_LOAD, ROOMS - 1), *other = op_new(DW_OP_LOAD, 0);
	char letter = (char)('a' + 400 % 26), pattern[64];
	size_t at = 0;

	memset(pattern, letter, sizeof(pattern));
	for (size_t i = 0; i + 16000 < f->file.len; i++) {
		if (memcmp(f->file.data + i, pattern, sizeof(pattern)) == 0 && f->file.data[i + 15000] == letter) {
			at = i + 15000;
			break;
		}
	}
	assert_true(at > 0);
	assert_int_equal(DW_OK, open_engine(f, &fault));
	write_at(f, at, "!", 1);
	assert_int_equal(DW_E_CORRUPT, f->engine->ops->commit(f->engine, &load, 1, &fault));
	assert_int_equal(0, load->read.records.len);
	assert_non_null(strstr(fault.message, "entry 401 of table 'messages'"));
	assert_non_null(strstr(fault.message, "diagnosis room-11"));
	assert_int_equal(DW_E_STORAGE, f->engine->ops->commit(f->engine, &other, 1, &fault));
	close_engine(f);
	dw_op_clear(load);
	dw_op_clear(other);
	free(load);
	free(other);
	assert_true(refused(f, "a damaged message", at));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flipped_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_bit_of_the_heads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_bit_of_the_tables_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_short_entries_of_free_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_zeroed_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_swapped_heads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_beginning_is_no_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damage_while_in_use, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
