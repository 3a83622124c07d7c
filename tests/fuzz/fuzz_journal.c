/* wraps: pread */
/* libs: lmdb libcrypto */
/* The journal: whatever its file holds is refused or carried out, the same each time, and what is carried out is what
 * the writer would have written. The first byte: whether the batches' heads and sums are made right before it is read.
 */
#include <unistd.h>

/* For the sums, which stay private to it. */
#include "../../lib/store/kv/journal.c"
#include "fuzz.h"

enum { FD = 1000, TAG = 7, COMMIT = 9, INPUT_MOST = 256 * 1024, FILE_SIZE = 16 << 20 };

/* What is behind the input, which has file_size bytes, is zeros. */
static uint8_t file[FILE_SIZE];
static size_t file_size;

ssize_t __real_pread(int fd, void *to, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at);

ssize_t
__wrap_pread(int fd, void *to, size_t n, off_t at)
{
	if (fd != FD)
		return __real_pread(fd, to, n, at);
	REQUIRE(at >= 0 && SIZE == FILE_SIZE && at + (off_t)n <= SIZE);
	memcpy(to, file + at, n);
	return (ssize_t)n;
}

/* Heads of batches that follow one another, as far as there is input. */
static void
seal(void)
{
	uint64_t ordinal = 0;

	for (size_t at = 0; at + sizeof(struct batch_head) <= file_size;) {
		struct batch_head head;

		memcpy(&head, file + at, sizeof(head));
		head.size %= file_size - at - sizeof(head) + 1;
		head = (struct batch_head) { MAGIC, TAG, COMMIT, ordinal++, head.size, 0 };
		head.sum = sum_of(&head, dw_bytes(file + at + sizeof(head), head.size));
		memcpy(file + at, &head, sizeof(head));
		at += in_blocks(sizeof(head) + head.size);
	}
}

/* What was carried out, written as the writer does. */
static int
note(void *user, enum kv_change kind, size_t table, struct dw_str key, struct dw_str value)
{
	struct kv_journal *written = user;

	if (kind > KV_DELETE || table >= KV_TABLES_MAX)
		return DW_E_CORRUPT;
	dw_kv_journal_note(written, kind, table, key, &value, 1);
	return DW_OK;
}

/* The changes of the batches that the journal says it has. */
static void
check_written(const struct kv_journal *journal, const struct dw_buf *written)
{
	const struct dw_str all = fuzz_bytes(written);
	size_t from = sizeof(struct batch_head);
	struct batch_head head;
	uint64_t at = 0;

	for (uint64_t i = 0; i < journal->count; i++) {
		memcpy(&head, file + at, sizeof(head));
		REQUIRE(from + head.size <= all.n && at + sizeof(head) + head.size <= FILE_SIZE);
		REQUIRE(memcmp(all.p + from, file + at + sizeof(head), head.size) == 0);
		from += head.size;
		at += in_blocks(sizeof(head) + head.size);
	}
	REQUIRE(from == all.n && at == journal->end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const bool sealed = (fuzz_byte(&data, &size) & 1) != 0;
	struct kv_journal journal = { .fd = FD, .tag = TAG, .commit = COMMIT };
	struct kv_journal written = { .fd = -1, .allocated = true }, again = written;
	int err;

	file_size = size < INPUT_MOST ? size : INPUT_MOST;
	if (file_size > 0)
		memcpy(file, data, file_size);
	if (sealed)
		seal();
	dw_kv_journal_begin(&written);
	dw_kv_journal_begin(&again);
	err = dw_kv_journal_replay(&journal, note, &written);
	REQUIRE(err == DW_OK || err == DW_E_CORRUPT);
	if (err == DW_OK) {
		check_written(&journal, &written.batch);
		err = dw_kv_journal_look(&journal);
		REQUIRE(err == DW_OK || err == DW_E_CORRUPT);
		REQUIRE(dw_kv_journal_replay(&journal, note, &again) == DW_OK);
		REQUIRE(fuzz_same(fuzz_bytes(&written.batch), fuzz_bytes(&again.batch)));
	}
	memset(file, 0, file_size);
	dw_buf_clear(&journal.batch);
	dw_buf_clear(&written.batch);
	dw_buf_clear(&again.batch);
	return 0;
}
