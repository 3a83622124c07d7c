/* The LMDB engine's directory: that nobody else uses it.
 *
 * A file of its own because it comes before all else: nothing is read or written by one who does not hold the locks.
 * There are two, each held for life, each gone with the process however it ends (flock): the directory's, which stays
 * whatever is removed from it, and the store's file's, which is the same from whatever directory it is opened.
 *
 * Happy path: the directory is made, and locked; then the file, which is made, empty, where there is none. Where the
 * file was taken away the note beside it (note.c) goes first: so an empty file with a note is never a
 * beginning, but a store that was emptied.
 *
 * Failure modes: DW_E_IN_USE. A file system that cannot lock directories leaves it at the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/paths.h"
#include "store/lmdb/parts.h"

#define FILE_NAME "data.mdb"

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
	e->file = openat(e->dir, FILE_NAME, O_RDWR | O_CLOEXEC);
	if (e->file < 0 && errno == ENOENT) {
		dw_lmdb_note_drop(e);
		e->file = openat(e->dir, FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
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
