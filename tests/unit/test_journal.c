/* links: lib/engine.c lib/engine_lmdb.c lib/engine_lmdb_log.c lib/engine_lmdb_ops.c */
/* links: lib/engine_lmdb_rooms.c lib/engine_lmdb_ids.c lib/engine_lmdb_check.c */
/* links: lib/kv.c lib/kv_lmdb.c lib/kv_file.c lib/kv_journal.c lib/kv_look.c lib/kv_tree.c */
/* links: lib/wire.c lib/buf.c lib/err.c lib/clock.c lib/paths.c */
/* libs: lmdb libcrypto */
/* The journal of the LMDB engine's store: what a process that was killed had committed, and what became of it since.
 */
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

#include "diagws/clock.h"
#include "diagws/engine.h"

enum { BLOCK = 4096, JOURNAL = 16 << 20 };

struct fixture {
	struct dw_engine_config config;
	struct dw_engine *engine;
	struct dw_fault fault;
	char dir[64], path[96];
};

static int
open_engine(struct fixture *f)
{
	f->fault = (struct dw_fault) { 0 };
	f->engine = NULL;
	return dw_engine_lmdb.open(&f->engine, &f->config, &f->fault);
}

static void
close_engine(struct fixture *f)
{
	f->engine->ops->close(f->engine);
	f->engine = NULL;
}

static void
store(struct fixture *f, int number, size_t size)
{
	struct dw_op op = { .kind = DW_OP_APPEND }, *ops = &op;
	struct dw_fault fault = { 0 };

	(void)snprintf(op.room, sizeof(op.room), "room-%d", number % 7);
	op.append.data = malloc(size);
	memset(op.append.data, 'a' + number % 26, size);
	op.append.size = size;
	op.append.at = dw_now_ms();
	(void)dw_str_copy(DW_STR("note_update"), op.append.type, sizeof(op.append.type));
	(void)snprintf(op.append.id, sizeof(op.append.id), "id:%d", number);
	if (f->engine->ops->commit(f->engine, &ops, 1, &fault) != DW_OK || op.append.seq != (uint64_t)number) {
		fprintf(stderr, "message %d became %llu: %s\n", number, (unsigned long long)op.append.seq, fault.message);
		abort();
	}
	dw_op_clear(&op);
}

/* A process that stores messages first to last, one batch each, and is killed. */
static void
store_and_die(struct fixture *f, int first, int last, size_t size)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (open_engine(f) != DW_OK)
			_exit(1);
		for (int number = first; number <= last; number++)
			store(f, number, size);
		_exit(0);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_int_equal(0, status);
}

/* The store says so many messages, each as it was stored, and goes on from there. */
static void
expect(struct fixture *f, int last, size_t size)
{
	struct dw_engine_info info;
	int found = 0;

	if (open_engine(f) != DW_OK)
		fail_msg("%s", f->fault.message);
	f->engine->ops->info(f->engine, &info);
	assert_int_equal(last, info.head);
	for (int room = 0; room < 7; room++) {
		struct dw_op op = { .kind = DW_OP_LOAD }, *ops = &op;

		(void)snprintf(op.room, sizeof(op.room), "room-%d", room);
		assert_int_equal(DW_OK, f->engine->ops->commit(f->engine, &ops, 1, &f->fault));
		for (int number = 1; number <= last; number++) {
			char text[32];

			(void)snprintf(text, sizeof(text), "id:%d", number);
			found +=
				number % 7 == room && memmem(op.read.records.data, op.read.records.len, text, strlen(text)) != NULL;
		}
		assert_true(op.read.records.len >= op.read.summary.n * size);
		dw_op_clear(&op);
	}
	assert_int_equal(last, found);
	close_engine(f);
}

static const char *
path_of(struct fixture *f, const char *name)
{
	(void)snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, name);
	return f->path;
}

static void
read_at(struct fixture *f, const char *name, size_t at, void *to, size_t n)
{
	FILE *file = fopen(path_of(f, name), "r");

	assert_non_null(file);
	assert_int_equal(0, fseek(file, (long)at, SEEK_SET));
	assert_int_equal(n, fread(to, 1, n, file));
	assert_int_equal(0, fclose(file));
}

static void
write_at(struct fixture *f, const char *name, size_t at, const void *from, size_t n)
{
	FILE *file = fopen(path_of(f, name), "r+");

	assert_non_null(file);
	assert_int_equal(0, fseek(file, (long)at, SEEK_SET));
	assert_int_equal(n, fwrite(from, 1, n, file));
	assert_int_equal(0, fclose(file));
}

/* The whole file, and putting it back: what is opened is written to. */
static char *
keep(struct fixture *f, const char *name, size_t *size)
{
	struct stat about;
	char *bytes;

	assert_int_equal(0, stat(path_of(f, name), &about));
	*size = (size_t)about.st_size;
	bytes = malloc(*size);
	read_at(f, name, 0, bytes, *size);
	return bytes;
}

static void
put_back(struct fixture *f, const char *name, const char *bytes, size_t size)
{
	write_at(f, name, 0, bytes, size);
	assert_int_equal(0, truncate(path_of(f, name), (off_t)size));
}

static void
expect_refused(struct fixture *f)
{
	/* Nor does it leave a trace by which the next opening would take it. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(DW_E_CORRUPT, open_engine(f));
		assert_non_null(strstr(f->fault.message, "/journal' is damaged, missing, or of another store"));
		assert_non_null(strstr(f->fault.expected, "all files of one copy"));
	}
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/diagws-journal-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->config = (struct dw_engine_config) { .dir = f->dir,
		.queue_limit = 1000,
		.queue_ttl_ms = 7 * 86400000ULL,
		.id_window_ms = 86400000,
		.id_window_count = 1000000,
		.store_limit = 1ULL << 30,
		.ownership = DW_OWNERSHIP_CLAIMS };
	/* Each is a batch of the journal's, a block. */
	store_and_die(f, 1, 20, 60);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(0, system(command));
	free(f);
	return 0;
}

static void
test_a_killed_process_has_lost_nothing(void **state)
{
	struct fixture *f = *state;

	expect(f, 20, 60);
	/* Killed again and again; a closed one in between. */
	store_and_die(f, 21, 40, 60);
	store_and_die(f, 41, 41, 60);
	store_and_die(f, 42, 60, 60);
	expect(f, 60, 60);
	expect(f, 60, 60);
}

static void
test_the_file_is_written_when_the_journal_is_full(void **state)
{
	struct fixture *f = *state;

	/* Far more than both hold: they come by their ends several times. */
	store_and_die(f, 21, 1500, 30000);
	expect(f, 1500, 60);
	store_and_die(f, 1501, 1510, 60);
	expect(f, 1510, 60);
}

/* What was not written whole was not acknowledged; all before it was. */
static void
test_a_torn_end_is_no_damage(void **state)
{
	struct fixture *f = *state;
	size_t file_size, size;
	char *file = keep(f, "data.mdb", &file_size), *journal = keep(f, "journal", &size);
	static const char zeros[BLOCK];

	for (int batches = 20; batches > 0; batches--) {
		put_back(f, "data.mdb", file, file_size);
		put_back(f, "journal", journal, size);
		/* Of those behind nothing had reached the disk; of this only a part, or a part is another. */
		for (int i = batches; i < 20; i++)
			write_at(f, "journal", (size_t)i * BLOCK, zeros, BLOCK);
		if (batches % 2 == 0)
			write_at(f, "journal", (size_t)(batches - 1) * BLOCK + 100, zeros, BLOCK - 100);
		else
			write_at(f, "journal", (size_t)(batches - 1) * BLOCK + 60, "torn", 4);
		expect(f, batches - 1, 60);
	}
	free(file);
	free(journal);
}

static void
test_a_hole_is_damage(void **state)
{
	struct fixture *f = *state;
	size_t size;
	char *journal = keep(f, "journal", &size);
	static const char zeros[BLOCK];

	for (int batch = 0; batch < 19; batch++) {
		write_at(f, "journal", (size_t)batch * BLOCK, zeros, BLOCK);
		expect_refused(f);
		write_at(f, "journal", (size_t)batch * BLOCK, journal + (size_t)batch * BLOCK, BLOCK);
		for (size_t at = 0; at < 200; at += 7) {
			const size_t where = (size_t)batch * BLOCK + at;
			const char flipped = (char)(journal[where] ^ 1 << at % 8);

			write_at(f, "journal", where, &flipped, 1);
			expect_refused(f);
			write_at(f, "journal", where, journal + where, 1);
		}
	}
	expect(f, 20, 60);
	free(journal);
}

static void
test_the_journal_must_be_there(void **state)
{
	struct fixture *f = *state;
	size_t size;
	char *journal = keep(f, "journal", &size);

	assert_int_equal(JOURNAL, size);
	assert_int_equal(0, truncate(path_of(f, "journal"), BLOCK));
	expect_refused(f);
	assert_int_equal(0, unlink(path_of(f, "journal")));
	expect_refused(f);
	assert_int_equal(0, fclose(fopen(path_of(f, "journal"), "w")));
	put_back(f, "journal", journal, size);
	expect(f, 20, 60);
	/* Of a store that was closed it is not needed. */
	assert_int_equal(0, unlink(path_of(f, "journal")));
	expect(f, 20, 60);
	free(journal);
}

static void
test_an_older_file_is_not_taken_for_the_newest(void **state)
{
	struct fixture *f = *state;
	size_t file_size, size, old_size;
	char *file = keep(f, "data.mdb", &file_size), *journal, *old_journal = keep(f, "journal", &old_size);

	expect(f, 20, 60);
	store_and_die(f, 21, 30, 60);
	journal = keep(f, "journal", &size);
	put_back(f, "data.mdb", file, file_size);
	expect_refused(f);
	/* With the journal of its time it is what it was. */
	put_back(f, "journal", old_journal, old_size);
	expect(f, 20, 60);
	free(file);
	free(journal);
	free(old_journal);
}

/* As mdb_copy makes one while the store is in use: it has what LMDB had committed. */
static void
test_a_copy_of_the_file_alone_is_a_store(void **state)
{
	struct fixture *f = *state;
	char command[256], copy[72];

	expect(f, 20, 60);
	store_and_die(f, 21, 30, 60);
	(void)snprintf(command, sizeof(command), "mkdir %s/copy && cp %s/data.mdb %s/copy", f->dir, f->dir, f->dir);
	assert_int_equal(0, system(command));
	(void)snprintf(copy, sizeof(copy), "%s/copy", f->dir);
	(void)dw_str_copy(dw_str(copy), f->dir, sizeof(f->dir));
	/* The first batch after an opening is LMDB's. */
	expect(f, 21, 60);
	*strrchr(f->dir, '/') = '\0';
	expect(f, 30, 60);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_killed_process_has_lost_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_file_is_written_when_the_journal_is_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_torn_end_is_no_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_hole_is_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_journal_must_be_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_older_file_is_not_taken_for_the_newest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_copy_of_the_file_alone_is_a_store, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
