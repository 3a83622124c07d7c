/* links: lib/store/engine.c lib/store/lmdb/lmdb.c lib/store/lmdb/log.c lib/store/lmdb/ops.c */
/* links: lib/store/lmdb/rooms.c lib/store/lmdb/ids.c lib/store/lmdb/check.c */
/* links: lib/store/lmdb/sweep.c lib/store/lmdb/note.c */
/* links: lib/store/kv/kv.c lib/store/kv/lmdb.c lib/store/kv/file.c lib/store/kv/journal.c lib/store/kv/look.c */
/* links: lib/store/kv/tree.c lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/paths.c */
/* libs: msgpack lmdb libcrypto */
/* The journal of the LMDB engine's store: what a process that was killed had committed, and what became of it since.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/engine.h"
#include "store_kit.h"

enum { BLOCK = 4096, JOURNAL = 16 << 20 };

/* What the system does to the two files, and how late it is. */
static struct {
	ino_t sync, allocate; /* the file whose next calls fail */
	int number;           /* errno's */
	ino_t half;           /* of its next write only a half is taken, then all writes fail */
	bool full;
	ino_t watched;
	off_t *synced; /* its size when it was synchronised last; shared with children */
	time_t later;
} faults;

static ino_t
inode_of(int fd)
{
	struct stat about;

	return fstat(fd, &about) == 0 ? about.st_ino : 0;
}

static bool
strikes(ino_t inode, int fd)
{
	if (inode == 0 || inode_of(fd) != inode)
		return false;
	errno = faults.number;
	return true;
}

int
fdatasync(int fd)
{
	struct stat about;

	if (strikes(faults.sync, fd))
		return -1;
	if (faults.watched != 0 && fstat(fd, &about) == 0 && about.st_ino == faults.watched)
		*faults.synced = about.st_size;
	return (int)syscall(SYS_fdatasync, fd);
}

int
fallocate(int fd, int mode, off_t at, off_t n)
{
	return strikes(faults.allocate, fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, n);
}

ssize_t
pwrite(int fd, const void *from, size_t n, off_t at)
{
	if (faults.full) {
		errno = faults.number;
		return -1;
	}
	if (strikes(faults.half, fd)) {
		faults.full = true;
		n /= 2;
	}
	return syscall(SYS_pwrite64, fd, from, n, at);
}

ssize_t
writev(int fd, const struct iovec *from, int count)
{
	errno = faults.number;
	return faults.full ? -1 : syscall(SYS_writev, fd, from, count);
}

int
clock_gettime(clockid_t id, struct timespec *out)
{
	int result = (int)syscall(SYS_clock_gettime, id, out);

	out->tv_sec += faults.later;
	return result;
}

struct fixture {
	struct dw_engine_config config;
	struct dw_engine *engine;
	struct dw_fault fault;
	char dir[KIT_DIR], path[96];
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

/* Messages in one batch; the last one's seq. */
static int
try_batch(struct fixture *f, int first, int last, size_t size, uint64_t *seq)
{
	const size_t count = (size_t)(last - first) + 1;
	struct dw_op *op = calloc(count, sizeof(*op)), **ops = calloc(count, sizeof(struct dw_op *));
	int err;

	for (size_t i = 0; i < count; i++) {
		const int number = first + (int)i;

		ops[i] = &op[i];
		op[i].kind = DW_OP_APPEND;
		(void)snprintf(op[i].room, sizeof(op[i].room), "room-%d", number % 7);
		op[i].append.data = malloc(size);
		memset(op[i].append.data, 'a' + number % 26, size);
		op[i].append.size = size;
		op[i].append.at = dw_now_ms();
		(void)dw_str_copy(DW_STR("note_update"), op[i].append.type, sizeof(op[i].append.type));
		(void)snprintf(op[i].append.id, sizeof(op[i].append.id), "id:%d", number);
	}
	f->fault = (struct dw_fault) { 0 };
	err = f->engine->ops->commit(f->engine, ops, count, &f->fault);
	*seq = op[count - 1].append.seq;
	for (size_t i = 0; i < count; i++)
		dw_op_clear(&op[i]);
	free(op);
	free(ops);
	return err;
}

static int
try_store(struct fixture *f, int number, size_t size, uint64_t *seq)
{
	return try_batch(f, number, number, size, seq);
}

static void
store(struct fixture *f, int number, size_t size)
{
	uint64_t seq;

	if (try_store(f, number, size, &seq) != DW_OK || seq != (uint64_t)number) {
		fprintf(stderr, "message %d became %llu: %s\n", number, (unsigned long long)seq, f->fault.message);
		abort();
	}
}

static void
look_at(struct fixture *f, const char *room)
{
	struct dw_op op = { .kind = DW_OP_PLACE }, *ops = &op;

	(void)dw_str_copy(dw_str(room), op.room, sizeof(op.room));
	op.place.seq = 1;
	assert_int_equal(DW_OK, f->engine->ops->commit(f->engine, &ops, 1, &f->fault));
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

static ino_t
inode(struct fixture *f, const char *name)
{
	struct stat about;

	assert_int_equal(0, stat(path_of(f, name), &about));
	return about.st_ino;
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

	f->config = kit_open_dir(f->dir);
	f->config.queue_limit = 1000;
	/* Each is a batch of the journal's, a block. */
	store_and_die(f, 1, 20, 60);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	memset(&faults, 0, sizeof(faults));
	kit_close_dir(f->dir);
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

/* Into a directory of its own, which is the store from now on. */
static void
copy(struct fixture *f, const char *files)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "cd %s && mkdir copy && cp %s copy", f->dir, files);
	assert_int_equal(0, system(command));
	(void)dw_str_copy(DW_STR("/copy"), f->dir + strlen(f->dir), sizeof(f->dir) - strlen(f->dir));
}

static void
leave_copy(struct fixture *f)
{
	*strrchr(f->dir, '/') = '\0';
}

/* As mdb_copy makes one while the store is in use: it has what LMDB had committed. */
static void
test_a_copy_of_the_file_alone_is_a_store(void **state)
{
	struct fixture *f = *state;

	expect(f, 20, 60);
	store_and_die(f, 21, 30, 60);
	copy(f, "data.mdb");
	/* The first batch after an opening is LMDB's. */
	expect(f, 21, 60);
	leave_copy(f);
	expect(f, 30, 60);
}

static void
test_a_copy_whose_journal_was_cut_is_damaged(void **state)
{
	struct fixture *f = *state;

	copy(f, "data.mdb journal");
	assert_int_equal(0, truncate(path_of(f, "journal"), 8 * BLOCK));
	faults.number = ENOSPC;
	faults.allocate = inode(f, "journal");
	expect_refused(f);
	faults.allocate = 0;
	expect_refused(f);
	/* One that was never made whole holds nothing. */
	assert_int_equal(0, truncate(path_of(f, "journal"), 0));
	assert_int_equal(0, truncate(path_of(f, "journal"), 8 * BLOCK));
	expect(f, 0, 60);
	leave_copy(f);
	expect(f, 20, 60);
}

/* Neither a full disk (that asks for blocks which the file has already) nor another file system keeps it from being
 * read. */
static void
test_a_journal_without_blocks_is_carried_out(void **state)
{
	static const int numbers[] = { ENOSPC, EDQUOT, EOPNOTSUPP, ENOSYS };
	struct fixture *f = *state;
	int last = 20;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		faults.number = numbers[i];
		faults.allocate = inode(f, "journal");
		expect(f, last, 60);
		store_and_die(f, last + 1, last + 5, 60);
		expect(f, last + 5, 60);
		faults.allocate = 0;
		store_and_die(f, last + 6, last + 10, 60);
		last += 10;
	}
	/* Where there is none, none is needed. */
	expect(f, last, 60);
	assert_int_equal(0, unlink(path_of(f, "journal")));
	expect(f, last, 60);
}

/* LMDB's file was made longer for what the journal holds; a power cut may leave it as it was when it was synchronised.
 */
static void
test_a_file_that_grew_is_found_so(void **state)
{
	struct fixture *f = *state;
	enum { BASE = 220, LAST = BASE + 1000 };
	uint64_t seq;
	int status;
	pid_t child;

	faults.watched = inode(f, "data.mdb");
	faults.synced = mmap(NULL, sizeof(*faults.synced), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(faults.synced != MAP_FAILED);
	child = fork();
	if (child == 0) {
		if (open_engine(f) != DW_OK)
			_exit(1);
		/* More than a journal takes, so the file is just as long as it must be, and then longer. */
		if (try_batch(f, 21, BASE, 60000, &seq) != DW_OK)
			_exit(1);
		for (int i = 0; i < 20; i++)
			look_at(f, "room-1");
		for (int number = BASE + 1; number <= LAST; number++)
			store(f, number, 2100);
		_exit(0);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_int_equal(0, status);
	assert_int_equal(0, truncate(path_of(f, "data.mdb"), *faults.synced));
	expect(f, LAST, 60);
	assert_int_equal(0, munmap(faults.synced, sizeof(*faults.synced)));
}

/* Whoever had it done: what the system failed to synchronise it may have forgotten. */
static void
test_a_rest_that_fails_to_sync_ends_it(void **state)
{
	struct fixture *f = *state;
	uint64_t seq;

	assert_int_equal(DW_OK, open_engine(f));
	store(f, 21, 60);
	store(f, 22, 60);
	faults.number = EIO;
	faults.sync = inode(f, "data.mdb");
	f->engine->ops->rest(f->engine);
	faults.sync = 0;
	assert_int_equal(DW_E_STORAGE, try_store(f, 23, 60, &seq));
	assert_non_null(strstr(f->fault.message, "Input/output error"));
	close_engine(f);
	expect(f, 22, 60);
}

static void
test_making_room_that_fails_to_sync_ends_it(void **state)
{
	struct fixture *f = *state;
	int number = 21, err;
	uint64_t seq;

	f->config.store_limit = 1 << 20;
	assert_int_equal(DW_OK, open_engine(f));
	while ((err = try_store(f, number, 20000, &seq)) == DW_OK)
		number++;
	assert_int_equal(DW_E_STORAGE_FULL, err);
	faults.number = EIO;
	faults.sync = inode(f, "data.mdb");
	assert_int_equal(DW_E_STORAGE, try_store(f, number, 20000, &seq));
	faults.sync = 0;
	assert_int_equal(DW_E_STORAGE, try_store(f, number, 20000, &seq));
	close_engine(f);
	expect(f, number - 1, 60);
}

/* A batch that was refused stays so, though all of it may have come into the journal. */
static void
test_what_was_refused_was_not_done(void **state)
{
	struct fixture *f = *state;
	uint64_t seq;

	expect(f, 20, 60);
	assert_int_equal(DW_OK, open_engine(f));
	store(f, 21, 60);
	store(f, 22, 60);
	faults.number = ENOSPC;
	faults.half = inode(f, "journal");
	assert_int_equal(DW_E_STORAGE_FULL, try_store(f, 23, 60, &seq));
	faults.half = 0;
	faults.full = false;
	store(f, 23, 70);
	store(f, 24, 60);
	close_engine(f);
	expect(f, 24, 60);
}

/* Those who only read must not keep LMDB from committing: a copy of the file lacks no more than it says. */
static void
test_readers_do_not_keep_the_file_from_being_written(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(DW_OK, open_engine(f));
	store(f, 21, 60);
	store(f, 22, 60);
	faults.later += 11;
	look_at(f, "room-1");
	copy(f, "data.mdb");
	{
		struct fixture other = *f;

		expect(&other, 22, 60);
	}
	leave_copy(f);
	close_engine(f);
	expect(f, 22, 60);
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
		cmocka_unit_test_setup_teardown(test_a_copy_whose_journal_was_cut_is_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_journal_without_blocks_is_carried_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_that_grew_is_found_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_rest_that_fails_to_sync_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_making_room_that_fails_to_sync_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_refused_was_not_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_readers_do_not_keep_the_file_from_being_written, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
