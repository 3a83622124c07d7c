/* links: lib/store/engine.c lib/store/lmdb/lmdb.c lib/store/lmdb/log.c lib/store/lmdb/ops.c */
/* links: lib/store/lmdb/rooms.c lib/store/lmdb/ids.c lib/store/lmdb/check.c */
/* links: lib/store/lmdb/sweep.c lib/store/lmdb/note.c */
/* links: lib/store/kv/kv.c lib/store/kv/lmdb.c lib/store/kv/file.c lib/store/kv/journal.c lib/store/kv/look.c */
/* links: lib/store/kv/tree.c lib/base/hash.c */
/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c lib/base/clock.c lib/base/paths.c */
/* libs: msgpack lmdb libcrypto */
/* The store's directory: a copy that was written over its files has another epoch, however the engine ended, and
 * whatever the copy holds; a store that only crashed keeps its own. And nobody else may use it, whatever is removed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/engine.h"
#include "store_kit.h"

#define NOTE ".standing"

/* Of the system: no new name in a directory, and how late it is. */
static struct {
	int rename; /* errno's number, or 0 */
	time_t later;
} faults;

int
renameat(int old_dir, const char *old, int new_dir, const char *new)
{
	if (faults.rename == 0)
		return (int)syscall(SYS_renameat2, old_dir, old, new_dir, new, 0);
	errno = faults.rename;
	return -1;
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
	char dir[KIT_DIR];
	char epoch[DW_EPOCH_SIZE];
	uint64_t head;
};

/* What the store says then is in the fixture. */
static int
try_open(struct fixture *f)
{
	struct dw_engine_info info;
	int err;

	f->fault = (struct dw_fault) { 0 };
	f->engine = NULL;
	err = dw_engine_lmdb.open(&f->engine, &f->config, &f->fault);
	if (err != DW_OK)
		return err;
	f->engine->ops->info(f->engine, &info);
	memcpy(f->epoch, info.epoch, sizeof(f->epoch));
	f->head = info.head;
	return DW_OK;
}

static void
open_engine(struct fixture *f)
{
	if (try_open(f) != DW_OK)
		fail_msg("%s", f->fault.message);
}

static void
close_engine(struct fixture *f)
{
	f->engine->ops->close(f->engine);
	f->engine = NULL;
}

/* One message; true: it was stored. Called by children too. */
static bool
store(struct fixture *f, uint64_t number)
{
	struct dw_op op = { .kind = DW_OP_APPEND, .room = "a" }, *ops = &op;
	bool ok;

	op.append.data = strdup("{}");
	op.append.size = 2;
	op.append.at = dw_now_ms();
	(void)dw_str_copy(DW_STR("note_update"), op.append.type, sizeof(op.append.type));
	(void)snprintf(op.append.id, sizeof(op.append.id), "%llu:%d", (unsigned long long)number, (int)getpid());
	ok = f->engine->ops->commit(f->engine, &ops, 1, &f->fault) == DW_OK && op.append.seq == number;
	dw_op_clear(&op);
	return ok;
}

enum ending { CLOSED, KILLED };

/* A process that opens the store, stores messages up to this one, and ends. */
static void
store_up_to(struct fixture *f, uint64_t last, enum ending ending)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (try_open(f) != DW_OK)
			_exit(1);
		while (f->head < last) {
			if (!store(f, ++f->head))
				_exit(2);
		}
		if (ending == CLOSED)
			close_engine(f);
		_exit(0);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_int_equal(0, status);
}

/* In the store's directory. */
static void
shell(const struct fixture *f, const char *command)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "cd %s && %s", f->dir, command);
	assert_int_equal(0, system(text));
}

static bool
exists(const struct fixture *f, const char *name)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return access(path, F_OK) == 0;
}

/* The store opens at this seq, with the epoch that it had or with another one, which it keeps from then on. */
static void
expect(struct fixture *f, uint64_t head, bool same_epoch)
{
	char before[DW_EPOCH_SIZE], now[DW_EPOCH_SIZE];

	memcpy(before, f->epoch, sizeof(before));
	open_engine(f);
	assert_int_equal(head, f->head);
	if (same_epoch)
		assert_string_equal(before, f->epoch);
	else
		assert_string_not_equal(before, f->epoch);
	memcpy(now, f->epoch, sizeof(now));
	close_engine(f);
	open_engine(f);
	assert_string_equal(now, f->epoch);
	close_engine(f);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->config = kit_open_dir(f->dir);
	store_up_to(f, 10, CLOSED);
	open_engine(f);
	close_engine(f);
	shell(f, "mkdir copy all && cp *.mdb journal copy && cp -a *.mdb journal " NOTE " all");
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	memset(&faults, 0, sizeof(faults));
	if (f->engine != NULL)
		close_engine(f);
	kit_close_dir(f->dir);
	free(f);
	return 0;
}

/* However many messages came after the copy: none has two meanings. */
static void
test_a_copy_over_the_files_has_an_epoch_of_its_own(void **state)
{
	static const struct {
		uint64_t last;
		enum ending ending;
	} cases[] = { { 20, CLOSED }, { 20, KILLED }, { 11, CLOSED }, { 11, KILLED } };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		store_up_to(f, cases[i].last, cases[i].ending);
		shell(f, "cp copy/* .");
		expect(f, 10, false);
		shell(f, "cp *.mdb journal copy");
	}
}

/* Its note too, over the note itself: it names a file that is no more. */
static void
test_a_copy_of_all_over_the_files_has_an_epoch_of_its_own(void **state)
{
	struct fixture *f = *state;

	for (enum ending ending = CLOSED; ending <= KILLED; ending++) {
		store_up_to(f, 20, ending);
		shell(f, "cp -a all/. .");
		expect(f, 10, false);
		shell(f, "cp -a *.mdb journal " NOTE " all");
	}
}

/* Copied while it was in use, and killed at once after one message more. */
static void
test_a_copy_of_a_store_in_use_has_an_epoch_of_its_own(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (try_open(f) != DW_OK || !store(f, 11))
			_exit(1);
		f->engine->ops->rest(f->engine);
		shell(f, "cp *.mdb journal copy");
		_exit(store(f, 12) ? 0 : 2);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_int_equal(0, status);
	shell(f, "cp copy/* .");
	expect(f, 11, false);
}

static void
test_a_store_without_its_note_has_a_new_epoch(void **state)
{
	struct fixture *f = *state;

	shell(f, "rm " NOTE);
	expect(f, 10, false);
	shell(f, ": >" NOTE);
	expect(f, 10, false);
	shell(f, "dd if=/dev/urandom of=" NOTE " bs=512 count=1 status=none");
	expect(f, 10, false);
	shell(f, "rm " NOTE " && mkdir " NOTE " && mkdir " NOTE "/full");
	assert_int_equal(DW_E_STORAGE, try_open(f));
	assert_non_null(strstr(f->fault.message, f->dir));
	shell(f, "rm -r " NOTE);
	expect(f, 10, false);
}

static void
test_a_crash_keeps_the_epoch(void **state)
{
	struct fixture *f = *state;

	for (uint64_t last = 10; last < 30; last++) {
		store_up_to(f, last, KILLED);
		expect(f, last, true);
	}
}

/* What a power cut may take: all that was noted since the note was synchronised, in whole or in part, or the last note
 * itself, where its name had not come to the disk. */
static void
test_a_power_cut_keeps_the_epoch(void **state)
{
	struct fixture *f = *state;
	struct stat about;
	char path[96];

	shell(f, "ln " NOTE " before");
	store_up_to(f, 15, KILLED);
	shell(f, "mv -T before " NOTE);
	expect(f, 15, true);
	store_up_to(f, 20, KILLED);
	(void)snprintf(path, sizeof(path), "%s/" NOTE, f->dir);
	assert_int_equal(0, stat(path, &about));
	/* The end is what is written in place. */
	for (off_t cut = 1; cut <= 16; cut++) {
		FILE *file = fopen(path, "r+");

		assert_non_null(file);
		assert_int_equal(0, fseek(file, (long)(about.st_size - cut), SEEK_SET));
		for (off_t i = 0; i < cut; i++)
			assert_int_equal('T', fputc('T', file));
		assert_int_equal(0, fclose(file));
		store_up_to(f, 20, KILLED);
		expect(f, 20, true);
	}
}

/* A copy of what is there is no other store. */
static void
test_a_copy_that_is_not_behind_is_the_store(void **state)
{
	struct fixture *f = *state;

	shell(f, "cp copy/* .");
	expect(f, 10, true);
}

/* A note that cannot be replaced for want of room stops nothing; a copy is told all the same; and when there is room it
 * is replaced. */
static void
test_a_full_disk_stops_nothing(void **state)
{
	struct fixture *f = *state;

	faults.rename = ENOSPC;
	store_up_to(f, 15, KILLED);
	expect(f, 15, true);
	open_engine(f);
	assert_true(store(f, 16));
	f->engine->ops->rest(f->engine);
	faults.later += 60;
	assert_true(store(f, 17));
	close_engine(f);
	expect(f, 17, true);
	shell(f, "cp copy/* .");
	faults.rename = 0;
	expect(f, 10, false);
	store_up_to(f, 12, KILLED);
	expect(f, 12, true);
}

/* So of a store that never had one: it keeps its epoch until it has. */
static void
test_a_first_note_that_fails_is_no_restore(void **state)
{
	struct fixture *f = *state;

	shell(f, "rm -r *.mdb journal " NOTE);
	faults.rename = ENOSPC;
	open_engine(f);
	close_engine(f);
	assert_false(exists(f, NOTE));
	store_up_to(f, 3, KILLED);
	expect(f, 3, true);
	faults.rename = 0;
	expect(f, 3, true);
	assert_true(exists(f, NOTE));
	shell(f, "rm " NOTE);
	expect(f, 3, false);
}

/* In use for long and never at rest, it is noted anew nevertheless. */
static void
test_the_note_is_renewed_by_time(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/" NOTE, f->dir);
	open_engine(f);
	assert_true(store(f, 11));
	assert_int_equal(0, stat(path, &before));
	assert_true(store(f, 12));
	assert_int_equal(0, stat(path, &after));
	assert_int_equal(before.st_ino, after.st_ino);
	faults.later += 20;
	assert_true(store(f, 13));
	assert_int_equal(0, stat(path, &after));
	assert_int_not_equal(before.st_ino, after.st_ino);
}

static void
test_a_store_that_was_moved_away_is_begun_anew(void **state)
{
	struct fixture *f = *state;

	shell(f, "mv data.mdb journal copy");
	expect(f, 0, false);
	shell(f, "rm data.mdb journal");
	/* Killed before there was anything in it. */
	open_engine(f);
	close_engine(f);
	shell(f, "rm " NOTE " journal && : >data.mdb");
	expect(f, 0, false);
	/* But what was in it does not go by itself. */
	shell(f, ": >data.mdb");
	assert_int_equal(DW_E_CORRUPT, try_open(f));
	assert_non_null(strstr(f->fault.message, "it was emptied"));
}

static void
test_nobody_else_may_use_it_whatever_is_removed(void **state)
{
	static const char *const removed[] = { "rm -f lock", "rm -f lock.mdb", "rm -f " NOTE, "rm -f journal",
		"rm -f data.mdb" };
	struct fixture *f = *state;

	open_engine(f);
	for (size_t i = 0; i < sizeof(removed) / sizeof(removed[0]); i++) {
		struct fixture other = *f;

		shell(f, removed[i]);
		assert_int_equal(DW_E_IN_USE, try_open(&other));
		assert_non_null(strstr(other.fault.message, "another hub uses '/tmp/diagws-store-"));
		assert_null(other.engine);
	}
}

/* Nor from another directory. */
static void
test_nobody_else_may_use_its_file(void **state)
{
	struct fixture *f = *state, other = *f;
	char dir[96];

	open_engine(f);
	shell(f, "mkdir other && ln data.mdb journal other");
	(void)snprintf(dir, sizeof(dir), "%s/other", f->dir);
	other.config.dir = dir;
	assert_int_equal(DW_E_IN_USE, try_open(&other));
	/* What an earlier release locked is nothing. */
	close_engine(f);
	shell(f, "rm -r other && : >lock");
	expect(f, 10, true);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_copy_over_the_files_has_an_epoch_of_its_own),
		TEST(test_a_copy_of_all_over_the_files_has_an_epoch_of_its_own),
		TEST(test_a_copy_of_a_store_in_use_has_an_epoch_of_its_own),
		TEST(test_a_store_without_its_note_has_a_new_epoch),
		TEST(test_a_crash_keeps_the_epoch),
		TEST(test_a_power_cut_keeps_the_epoch),
		TEST(test_a_copy_that_is_not_behind_is_the_store),
		TEST(test_a_full_disk_stops_nothing),
		TEST(test_a_first_note_that_fails_is_no_restore),
		TEST(test_the_note_is_renewed_by_time),
		TEST(test_a_store_that_was_moved_away_is_begun_anew),
		TEST(test_nobody_else_may_use_it_whatever_is_removed),
		TEST(test_nobody_else_may_use_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
