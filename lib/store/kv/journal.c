/* The journal beside LMDB's file: what was committed since LMDB's last commit.
 *
 * A file of its own because nothing here is LMDB's. A commit of LMDB writes every page that it touched, and syncs
 * twice; a batch in the journal is one write and one sync, and the pages wait in memory until many batches have touched
 * them.
 *
 *   journal  batches, each at a whole block: {magic, tag, commit, ordinal, size, sum; 8 bytes each}, changes, zeros
 *   change   {kind 1, table 1, key's size 2, value's size 4}, key, value
 *
 * `commit` is the number of LMDB's commit that the batches follow, `tag` a random number that it left in its tree: so
 * batches that it has taken in, or of another store, are told apart, and the next ones are written over them.
 *
 * Happy path: begin, note each change, write; after LMDB's commit follow() begins anew. Opening replays what is there.
 *
 * Failure modes: a batch that was torn was never acknowledged, and ends the journal. But none is begun before the one
 * before it was synced: one that can be read beyond the end, or that follows a later commit than LMDB's last, is
 * damage, DW_E_CORRUPT. A whole block for each batch: what was acknowledged is never written over by the next. The file
 * is allocated at the start; where it cannot be, it is only read, and every batch is a commit of LMDB. A store that
 * was closed needs its journal no more, and says so by a tag of 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/kv/parts.h"

enum { BLOCK = 4096, BATCH_MOST = 4 << 20 };
static const off_t SIZE = 16 << 20;
static const uint64_t MAGIC = 0x31302d6c6e726a64; /* "djrnl-01" */

struct batch_head {
	uint64_t magic, tag, commit, ordinal, size, sum;
};

struct change_head {
	uint8_t kind, table;
	uint16_t key;
	uint32_t value;
};

static uint64_t
sum_of(const struct batch_head *head, struct dw_str changes)
{
	const struct batch_head bare = { head->magic, head->tag, head->commit, head->ordinal, head->size, 0 };

	return kv_mix(kv_mix(1, (struct dw_str) { (const char *)&bare, sizeof(bare) }), changes);
}

static size_t
in_blocks(size_t size)
{
	return (size + BLOCK - 1) / BLOCK * BLOCK;
}

/* ---- writing */

void
dw_kv_journal_begin(struct kv_journal *journal)
{
	const struct batch_head head = { 0 };

	dw_buf_reset(&journal->batch);
	dw_buf_add(&journal->batch, &head, sizeof(head));
}

void
dw_kv_journal_note(struct kv_journal *journal, enum kv_change kind, size_t table, struct dw_str key,
	const struct dw_str *parts, size_t count)
{
	struct change_head head = { (uint8_t)kind, (uint8_t)table, (uint16_t)key.n, 0 };
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += parts[i].n;
	if (!journal->allocated || journal->batch.len + sizeof(head) + key.n + size > BATCH_MOST) {
		journal->batch.failed = true; /* takes no more: it is not for the journal */
		return;
	}
	head.value = (uint32_t)size;
	dw_buf_add(&journal->batch, &head, sizeof(head));
	dw_buf_add(&journal->batch, key.p, key.n);
	for (size_t i = 0; i < count; i++)
		dw_buf_add(&journal->batch, parts[i].p, parts[i].n);
}

bool
dw_kv_journal_fits(const struct kv_journal *journal)
{
	return journal->allocated && journal->tag != 0 && dw_buf_ok(&journal->batch) &&
		   journal->end + in_blocks(journal->batch.len) <= (uint64_t)SIZE;
}

static int
write_all(int fd, const char *from, size_t size, off_t at)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, from, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		from += n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int
dw_kv_journal_write(struct kv_journal *journal, bool *unsure)
{
	struct dw_buf *batch = &journal->batch;
	const size_t size = batch->len, whole = in_blocks(size);
	struct batch_head head = { MAGIC, journal->tag, journal->commit, journal->count, size - sizeof(head), 0 };
	char *rest = dw_buf_room(batch, whole - size);
	int number;

	*unsure = false;
	if (rest == NULL)
		return ENOMEM;
	memset(rest, 0, whole - size);
	head.sum = sum_of(&head, (struct dw_str) { batch->data + sizeof(head), head.size });
	memcpy(batch->data, &head, sizeof(head));
	number = write_all(journal->fd, batch->data, whole, (off_t)journal->end);
	if (number != 0)
		return number;
	if (fdatasync(journal->fd) != 0) {
		*unsure = true;
		return errno;
	}
	journal->end += whole;
	journal->count++;
	return 0;
}

void
dw_kv_journal_follow(struct kv_journal *journal, uint64_t tag, uint64_t commit)
{
	journal->tag = tag;
	journal->commit = commit;
	journal->end = journal->count = 0;
}

/* ---- reading */

/* 0: a batch seems to begin there; KV_NO_BATCH; or errno's number. */
static int
read_head(const struct kv_journal *journal, uint64_t at, struct batch_head *head)
{
	int number =
		journal->fd >= 0 && at < (uint64_t)SIZE ? dw_kv_read(journal->fd, head, sizeof(*head), (off_t)at) : KV_NO_BATCH;

	if (number != 0)
		return number;
	return head->magic == MAGIC && head->size <= BATCH_MOST && at + sizeof(*head) + head->size <= (uint64_t)SIZE
			   ? 0
			   : KV_NO_BATCH;
}

/* Its changes, into memory; KV_NO_BATCH: it is torn. */
static int
read_changes(struct kv_journal *journal, uint64_t at, const struct batch_head *head)
{
	char *changes;
	int number;

	dw_buf_reset(&journal->batch);
	changes = dw_buf_room(&journal->batch, head->size);
	if (changes == NULL)
		return ENOMEM;
	number = dw_kv_read(journal->fd, changes, head->size, (off_t)(at + sizeof(*head)));
	if (number != 0)
		return number;
	dw_buf_grow(&journal->batch, head->size);
	return head->sum == sum_of(head, (struct dw_str) { journal->batch.data, journal->batch.len }) ? 0 : KV_NO_BATCH;
}

static bool
is_ours(const struct kv_journal *journal, const struct batch_head *head)
{
	return head->tag == journal->tag && head->commit == journal->commit;
}

/* ---- opening */

/* Its blocks are written once: the first write to one that was only allocated changes the file system, too, which may
 * call a batch safe that is not when the power goes in that moment. */
static int
fill(const struct kv_journal *journal)
{
	static const char zeros[16 * BLOCK];
	struct stat about;
	int number = 0;

	if (fstat(journal->fd, &about) != 0)
		return errno;
	for (off_t at = about.st_size; number == 0 && at < SIZE; at += (off_t)sizeof(zeros)) {
		const size_t left = (size_t)(SIZE - at);

		number = write_all(journal->fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros), at);
	}
	return number;
}

/* Its blocks, and its name: what is acknowledged soon must be found. */
static int
make_safe(const struct kv_journal *journal)
{
	int number;

	if (fallocate(journal->fd, FALLOC_FL_KEEP_SIZE, 0, SIZE) != 0)
		return errno;
	number = fill(journal);
	if (number != 0)
		return number;
	return fsync(journal->fd) == 0 && fsync(journal->dir) == 0 ? 0 : errno;
}

static bool
holds_any(const struct kv_journal *journal)
{
	struct batch_head head;

	return read_head(journal, 0, &head) == 0 && is_ours(journal, &head);
}

static bool
is_no_room(int number)
{
	return number == ENOSPC || number == EDQUOT || number == EFBIG || number == EOPNOTSUPP || number == ENOSYS;
}

int
dw_kv_journal_open(struct kv_journal *journal, bool must)
{
	struct stat about;
	int number;

	journal->fd = openat(journal->dir, "journal", O_RDWR | O_CLOEXEC | (must ? 0 : O_CREAT), 0640);
	if (journal->fd < 0)
		return must && errno == ENOENT ? KV_NO_JOURNAL : errno;
	if (fstat(journal->fd, &about) != 0)
		return errno;
	if (about.st_size < SIZE && (must || holds_any(journal)))
		return KV_NO_JOURNAL;
	number = make_safe(journal);
	journal->allocated = number == 0;
	if (number == 0 || about.st_size >= SIZE)
		return is_no_room(number) ? 0 : number;
	dw_kv_journal_close(journal);
	if (unlinkat(journal->dir, "journal", 0) != 0)
		return errno;
	return is_no_room(number) ? 0 : number;
}

void
dw_kv_journal_close(struct kv_journal *journal)
{
	if (journal->fd >= 0)
		(void)close(journal->fd);
	journal->fd = -1;
	journal->allocated = false;
	dw_buf_clear(&journal->batch);
}

/* ---- replaying */

static int
err_of(int number)
{
	return number == 0 || number == KV_NO_BATCH ? DW_OK : number == ENOMEM ? DW_E_NOMEM : DW_E_STORAGE;
}

static int
apply(struct dw_str changes, dw_kv_change_fn *change, void *user)
{
	while (changes.n > 0) {
		struct change_head head;
		struct dw_str key, value;
		int err;

		if (changes.n < sizeof(head))
			return DW_E_CORRUPT;
		memcpy(&head, changes.p, sizeof(head));
		changes = (struct dw_str) { changes.p + sizeof(head), changes.n - sizeof(head) };
		if ((uint64_t)head.key + head.value > changes.n)
			return DW_E_CORRUPT;
		key = (struct dw_str) { changes.p, head.key };
		value = (struct dw_str) { changes.p + head.key, head.value };
		changes = (struct dw_str) { value.p + value.n, changes.n - key.n - value.n };
		err = change(user, (enum kv_change)head.kind, head.table, key, value);
		if (err != DW_OK)
			return err;
	}
	return DW_OK;
}

int
dw_kv_journal_replay(struct kv_journal *journal, dw_kv_change_fn *change, void *user)
{
	uint64_t end = 0, count = 0;
	struct batch_head head;
	int err = DW_OK, number = 0;

	/* Nor what this process could not write whole, and refused. */
	while (journal->count == 0 || count < journal->count) {
		number = read_head(journal, end, &head);
		if (number != 0 || !is_ours(journal, &head) || head.ordinal != count)
			break;
		number = read_changes(journal, end, &head);
		if (number != 0)
			break;
		err = apply((struct dw_str) { journal->batch.data, journal->batch.len }, change, user);
		if (err != DW_OK)
			return err;
		end += in_blocks(sizeof(head) + head.size);
		count++;
	}
	err = err_of(number);
	/* What this process has written itself must all be there. */
	if (err == DW_OK && count < journal->count)
		err = DW_E_CORRUPT;
	if (err != DW_OK)
		return err;
	journal->end = end;
	journal->count = count;
	return DW_OK;
}

int
dw_kv_journal_look(struct kv_journal *journal)
{
	struct batch_head head;
	int number = 0;

	for (uint64_t at = journal->end; at < (uint64_t)SIZE && err_of(number) == DW_OK; at += BLOCK) {
		number = read_head(journal, at, &head);
		if (number == 0 && (is_ours(journal, &head) ? head.ordinal >= journal->count : head.commit > journal->commit))
			number = read_changes(journal, at, &head);
		else if (number == 0)
			number = KV_NO_BATCH;
		if (number == 0)
			return DW_E_CORRUPT;
	}
	return err_of(number);
}
