/* The LMDB engine's directory: that nobody else uses it, and the note in it of where its store stands: a copy that was
 * written over the store's files is behind it, and must not give the numbers that come next a second meaning.
 *
 * A file of its own because nothing is read or written without its two locks, held for life (flock): the directory's,
 * which stays whatever is removed from it, and the store's file's, the same from whatever directory it is opened.
 *
 * The note is neither in the journal nor in LMDB. Its name begins with a dot, so a pattern does not take it along; and
 * it names itself, so one that was copied too is none.
 *
 *   .standing  {magic 8, itself {inode 8, birth s 8, ns 8}, epoch 40, head 8, sum 8}, {later head 8, its sum 8}
 *
 * The first part is replaced as a whole (a new file, fsync, rename, fsync of the directory) when the store is opened,
 * at rest and closed, and after NOTE_EVERY_MS of use. The second part is written in place after each commit and not
 * synchronised: it costs next to nothing, and outlives the process.
 *
 * Happy path: the directory is made, and locked; then the file, which is made, empty, where there is none. The note is
 * read before the store is, written when that is open, and follows its head. Meta says that the epoch has been noted:
 * from then on a note that is missing was taken away. Where the file was taken away the note goes first: so an empty
 * file with a note is a store that was emptied.
 *
 * Failure modes: DW_E_IN_USE; a file system that cannot lock directories leaves it at the file. A note that is missing,
 * damaged, unreadable, copied, or ahead of the store: the store was restored, and gets a new epoch
 * (dw_lmdb_was_restored). One that cannot be replaced (no room) stays, and is tried again later. What is noted was
 * committed before: after a crash or a power cut it is never ahead of the store it belongs to. The second part may be
 * lost or torn then; it has a sum of its own.
 *
 * What it cannot tell: after a power cut, a copy as new as the last replaced note, though messages were acknowledged
 * since (NOTE_EVERY_MS at most, or until it rested); a copy of a store in use that took the note with it, restored
 * before that was replaced, or where the file system knows no birth time and gives the same inode; a whole file system
 * that was put back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "store/kv/parts.h"
#include "store/lmdb/parts.h"

#define NAME ".standing"
#define NEW_NAME ".standing.new"

static const uint64_t MAGIC = 0x31302d65746f6e64; /* "dnote-01" */
static const uint64_t NOTE_EVERY_MS = 5000;

struct later {
	uint64_t head, sum; /* the note's sum goes into this one: what another note has left there is not its own */
};

struct note {
	uint64_t magic;
	struct dw_kv_mark self;
	char epoch[40];
	uint64_t head, sum;
	struct later later;
};

static uint64_t
sum_of(const struct note *note)
{
	return kv_mix(1, (struct dw_str) { (const char *)note, offsetof(struct note, sum) });
}

/* ---- reading */

static bool
is_whole(int fd, struct note *note)
{
	struct dw_kv_mark self;

	if (pread(fd, note, sizeof(*note), 0) != (ssize_t)sizeof(*note) || note->magic != MAGIC ||
		note->sum != sum_of(note))
		return false;
	note->epoch[sizeof(note->epoch) - 1] = '\0';
	self = dw_kv_mark_of(fd);
	return memcmp(&self, &note->self, sizeof(self)) == 0;
}

void
dw_lmdb_note_read(struct lmdb_engine *e)
{
	struct lmdb_note *known = &e->note;
	struct note note;
	int fd = openat(e->dir, NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	known->there = fd >= 0 || errno != ENOENT;
	if (fd < 0 || !is_whole(fd, &note) || !dw_str_copy(dw_str(note.epoch), known->epoch, sizeof(known->epoch))) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	known->fd = fd;
	known->sum = note.sum;
	known->head = known->later = note.head;
	if (note.later.sum == kv_mix_word(note.sum, note.later.head) && note.later.head > note.head)
		known->later = note.later.head;
}

bool
dw_lmdb_was_restored(const struct lmdb_engine *e)
{
	const struct lmdb_note *known = &e->note;

	if (!known->there)
		return e->noted;
	return known->fd < 0 || strcmp(known->epoch, e->epoch) != 0 || known->later > e->seq;
}

/* ---- writing */

/* Makes the new file, whole and safe on disk; 0 or errno's number. */
static int
make(struct lmdb_engine *e, struct note *note, int *fd)
{
	int number;

	if (unlinkat(e->dir, NEW_NAME, 0) != 0 && errno != ENOENT)
		return errno;
	*fd = openat(e->dir, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (*fd < 0)
		return errno;
	*note = (struct note) { .magic = MAGIC, .self = dw_kv_mark_of(*fd), .head = e->seq };
	memcpy(note->epoch, e->epoch, sizeof(e->epoch));
	note->sum = sum_of(note);
	note->later = (struct later) { note->head, kv_mix_word(note->sum, note->head) };
	errno = ENOSPC; /* of a write that took only a part */
	if (pwrite(*fd, note, sizeof(*note), 0) == (ssize_t)sizeof(*note) && fsync(*fd) == 0 &&
		renameat(e->dir, NEW_NAME, e->dir, NAME) == 0)
		return 0;
	number = errno;
	(void)close(*fd);
	(void)unlinkat(e->dir, NEW_NAME, 0);
	return number;
}

int
dw_lmdb_note_write(struct lmdb_engine *e)
{
	struct lmdb_note *known = &e->note;
	struct note note = { 0 };
	int fd = -1, number;

	/* Also when it fails: it is not tried with each commit. */
	known->written_at = dw_mono_ms();
	number = make(e, &note, &fd);
	if (number != 0)
		return number;
	dw_lmdb_note_close(e);
	known->fd = fd;
	known->sum = note.sum;
	known->there = true;
	known->later = note.head;
	memcpy(known->epoch, e->epoch, sizeof(known->epoch));
	number = fsync(e->dir) == 0 ? 0 : errno;
	known->head = number == 0 ? note.head : UINT64_MAX;
	return number;
}

void
dw_lmdb_note_head(struct lmdb_engine *e)
{
	struct lmdb_note *known = &e->note;
	const struct later later = { e->seq, kv_mix_word(known->sum, e->seq) };

	if (known->later == e->seq && known->fd >= 0)
		return;
	if (known->fd >= 0 &&
		pwrite(known->fd, &later, sizeof(later), offsetof(struct note, later)) == (ssize_t)sizeof(later))
		known->later = e->seq;
	if (dw_mono_ms() - known->written_at >= NOTE_EVERY_MS)
		(void)dw_lmdb_note_write(e);
}

int
dw_lmdb_note_renew(struct lmdb_engine *e)
{
	return e->note.fd < 0 || e->note.head != e->seq ? dw_lmdb_note_write(e) : 0;
}

void
dw_lmdb_note_drop(struct lmdb_engine *e)
{
	dw_lmdb_note_close(e);
	e->note = (struct lmdb_note) { .fd = -1 };
	if (unlinkat(e->dir, NAME, 0) == 0)
		(void)fsync(e->dir);
}

void
dw_lmdb_note_close(struct lmdb_engine *e)
{
	if (e->note.fd >= 0)
		(void)close(e->note.fd);
	e->note.fd = -1;
}

/* ---- the directory */

static int
in_use(const struct lmdb_engine *e, struct dw_fault *fault)
{
	return dw_fault_set(fault, DW_E_IN_USE, "--state-dir", "a directory of its own for each hub",
		"another hub uses '%s'", e->config.dir);
}

static int
refuse(const struct lmdb_engine *e, const char *what, struct dw_fault *fault)
{
	const bool forbidden = errno == EACCES || errno == EPERM || errno == EROFS;

	return dw_fault_set(fault, forbidden ? DW_E_PERMISSION : DW_E_CREATE, "--state-dir",
		"a directory that this user may write to", "cannot %s '%s': %s", what, e->config.dir, strerror(errno));
}

static int
lock_file(struct lmdb_engine *e, struct dw_fault *fault)
{
	e->file = openat(e->dir, "data.mdb", O_RDWR | O_CLOEXEC);
	if (e->file < 0 && errno == ENOENT) {
		dw_lmdb_note_drop(e);
		e->file = openat(e->dir, "data.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	}
	/* A directory in its place is told by who looks into it. */
	if (e->file < 0)
		return errno == EISDIR ? DW_OK : refuse(e, "write in", fault);
	if (flock(e->file, LOCK_EX | LOCK_NB) == 0)
		return DW_OK;
	return errno == EWOULDBLOCK ? in_use(e, fault) : refuse(e, "lock the store in", fault);
}

int
dw_lmdb_lock(struct lmdb_engine *e, struct dw_fault *fault)
{
	int err = dw_make_dirs(e->config.dir, 0750, fault);

	if (err != DW_OK)
		return err;
	e->dir = open(e->config.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->dir < 0)
		return refuse(e, "write in", fault);
	if (flock(e->dir, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return in_use(e, fault);
	return lock_file(e, fault);
}

void
dw_lmdb_unlock(struct lmdb_engine *e)
{
	if (e->file >= 0)
		(void)close(e->file);
	if (e->dir >= 0)
		(void)close(e->dir);
}
