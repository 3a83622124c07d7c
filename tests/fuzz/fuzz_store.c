/* wraps: pread */
/* libs: lmdb libcrypto */
/* A store with edits in its files: refused as damaged, or sound: it says what it said before, takes a message, and says
 * all that once more when it is opened again. The newest batches of the journal may be missing, for what is damaged at
 * its end looks like what was torn by a power cut, before anybody was told of it; one in the middle may not. The input
 * is edits, {file 1, place 3, count 1, bytes}: of data.mdb, or with the highest bit of the journal. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "fuzz.h"
#include "store/engine.h"

enum { ROOMS = 4, JOURNAL_PART = 256 * 1024, USED_MOST = 2 << 20 };

struct part {
	int fd;
	struct dw_buf bytes; /* as it was at first */
};

static char folder[] = "/dev/shm/diagws-fuzz-XXXXXX";
static struct dw_engine_config config = { .dir = folder,
	.queue_limit = 3,
	.queue_ttl_ms = 7 * 86400000ULL,
	.id_window_ms = 86400000,
	.id_window_count = 250,
	.store_limit = 64ULL << 20,
	.ownership = DW_OWNERSHIP_REGISTRY };
static struct part data_part, journal_part, note_part;
/* What it said as a batch came to the next one. */
static struct dw_buf truths[4];

ssize_t __real_pread(int fd, void *to, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at);

/* So far in only the journal is that long, and there are zeros: to ask the system for each block is what would take the
 * time. */
ssize_t
__wrap_pread(int fd, void *to, size_t n, off_t at)
{
	if (at < USED_MOST)
		return __real_pread(fd, to, n, at);
	memset(to, 0, n);
	return (ssize_t)n;
}

static void
commit(struct dw_engine *engine, struct dw_op *op)
{
	struct dw_fault fault = { 0 };

	REQUIRE(engine->ops->commit(engine, &op, 1, &fault) == DW_OK);
}

static void
store_message(struct dw_engine *engine, int number, size_t size)
{
	struct dw_op op = { .kind = DW_OP_APPEND };

	(void)snprintf(op.room, sizeof(op.room), "room-%d", number % ROOMS);
	op.append.data = calloc(1, size);
	REQUIRE(op.append.data != NULL);
	memset(op.append.data, 'a', size);
	op.append.size = size;
	op.append.at = dw_now_ms();
	(void)dw_str_copy(DW_STR("note_update"), op.append.type, sizeof(op.append.type));
	(void)snprintf(op.append.id, sizeof(op.append.id), "id:%d", number);
	if (number % 3 == 0)
		(void)snprintf(op.append.to, sizeof(op.append.to), "user-%d", number % 2);
	commit(engine, &op);
	dw_op_clear(&op);
}

static void
store_cursor(struct dw_engine *engine, int number)
{
	struct dw_op op = { .kind = DW_OP_CURSOR };

	(void)snprintf(op.room, sizeof(op.room), "room-%d", number % ROOMS);
	(void)dw_str_copy(dw_str(op.room), op.cursor.room, sizeof(op.cursor.room));
	(void)dw_str_copy(DW_STR("alice"), op.cursor.user, sizeof(op.cursor.user));
	(void)dw_str_copy(DW_STR("phone"), op.cursor.device, sizeof(op.cursor.device));
	op.cursor.seen = (uint64_t)number + 1;
	op.cursor.at = dw_position_said(op.cursor.seen, 0, 0);
	commit(engine, &op);
	dw_op_clear(&op);
}

static void
store_owner(struct dw_engine *engine, int number)
{
	struct dw_op op = { .kind = DW_OP_OWNER };

	(void)snprintf(op.room, sizeof(op.room), "room-%d", number % ROOMS);
	(void)snprintf(op.owner.user, sizeof(op.owner.user), "user-%d", number);
	op.owner.state = DW_OWNER_GRANTED;
	commit(engine, &op);
	dw_op_clear(&op);
}

/* All that it says of its rooms. */
static void
tell(struct dw_engine *engine, struct dw_buf *out)
{
	struct dw_engine_info info;

	engine->ops->info(engine, &info);
	dw_buf_reset(out);
	dw_buf_add(out, &info.head, sizeof(info.head));
	for (int i = 0; i < ROOMS; i++) {
		struct dw_op load = { .kind = DW_OP_LOAD };

		(void)snprintf(load.room, sizeof(load.room), "room-%d", i);
		commit(engine, &load);
		dw_buf_add(out, &load.read.summary, sizeof(load.read.summary));
		dw_buf_add(out, load.read.records.data, load.read.records.len);
		dw_buf_add(out, load.read.directs.data, load.read.directs.len);
		dw_buf_add(out, load.read.users.data, load.read.users.len);
		dw_buf_add(out, load.read.cursors.data, load.read.cursors.len);
		dw_buf_add(out, load.read.owners.data, load.read.owners.len);
		dw_op_clear(&load);
	}
	REQUIRE(dw_buf_ok(out));
}

static void
open_part(struct part *part, const char *name, size_t most)
{
	char path[64];
	struct stat about;
	size_t size;
	char *to;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	part->fd = open(path, O_RDWR | O_CLOEXEC);
	REQUIRE(part->fd >= 0 && fstat(part->fd, &about) == 0 && (most < SIZE_MAX || about.st_size <= USED_MOST));
	size = (size_t)about.st_size < most ? (size_t)about.st_size : most;
	to = dw_buf_room(&part->bytes, size);
	REQUIRE(to != NULL && pread(part->fd, to, size, 0) == (ssize_t)size);
	dw_buf_grow(&part->bytes, size);
}

static void
put_back(const struct part *part)
{
	REQUIRE(pwrite(part->fd, part->bytes.data, part->bytes.len, 0) == (ssize_t)part->bytes.len);
}

static void
remove_folder(void)
{
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	(void)system(command);
}

/* A store as a process leaves it that was killed: some of it in the journal. */
static void
make_store(void)
{
	struct dw_engine *engine = NULL;

	REQUIRE(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
	REQUIRE(dw_engine_lmdb.open(&engine, &config, NULL) == DW_OK);
	for (int i = 0; i < 24; i++)
		store_message(engine, i, i == 5 ? 9000 : 60);
	store_cursor(engine, 1);
	store_owner(engine, 1);
	engine->ops->close(engine);
	REQUIRE(dw_engine_lmdb.open(&engine, &config, NULL) == DW_OK);
	tell(engine, &truths[0]);
	store_message(engine, 24, 60);
	tell(engine, &truths[1]);
	store_cursor(engine, 2);
	tell(engine, &truths[2]);
	store_owner(engine, 2);
	tell(engine, &truths[3]);
	open_part(&data_part, "data.mdb", SIZE_MAX);
	open_part(&journal_part, "journal", JOURNAL_PART);
	open_part(&note_part, ".standing", SIZE_MAX);
	engine->ops->close(engine);
}

static void
edit(struct part *part, size_t at, const uint8_t *bytes, size_t n)
{
	at %= part->bytes.len;
	if (n > part->bytes.len - at)
		n = part->bytes.len - at;
	REQUIRE(pwrite(part->fd, bytes, n, (off_t)at) == (ssize_t)n);
}

static void
edit_all(const uint8_t *data, size_t size)
{
	while (size > 5) {
		const size_t at = (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
		const size_t n = data[4] < size - 5 ? data[4] : size - 5;

		edit((data[0] & 0x80) != 0 ? &journal_part : &data_part, at, data + 5, n);
		data += 5 + n;
		size -= 5 + n;
	}
}

static bool
is_true(const struct dw_buf *told)
{
	bool same = false;

	for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++)
		same |= fuzz_same(fuzz_bytes(told), fuzz_bytes(&truths[i]));
	return same;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dw_engine *engine = NULL;
	struct dw_fault fault = { 0 };
	struct dw_buf told = { 0 }, again = { 0 };
	int err;

	if (truths[0].len == 0)
		make_store();
	put_back(&data_part);
	put_back(&journal_part);
	put_back(&note_part);
	edit_all(data, size);
	err = dw_engine_lmdb.open(&engine, &config, &fault);
	if (err != DW_OK) {
		REQUIRE(err == DW_E_CORRUPT && strstr(fault.message, " is damaged") != NULL && fault.expected[0] != '\0');
		return 0;
	}
	tell(engine, &told);
	REQUIRE(is_true(&told));
	store_message(engine, 25, 5000);
	tell(engine, &told);
	engine->ops->close(engine);
	REQUIRE(dw_engine_lmdb.open(&engine, &config, &fault) == DW_OK);
	tell(engine, &again);
	REQUIRE(fuzz_same(fuzz_bytes(&told), fuzz_bytes(&again)));
	engine->ops->close(engine);
	dw_buf_clear(&told);
	dw_buf_clear(&again);
	return 0;
}
