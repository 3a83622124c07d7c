/* The file under LMDB's map: allocated ahead of its use, so that a disk without room shows before anything is written.
 *
 * The map ends where the file does, but for a reserve at its end, which lets a store that is full still note positions
 * and clear away what is old. The file grows in steps, up to the limit and its reserve.
 *
 * Failure modes: errno's numbers. Where the system cannot allocate ahead the file is only made longer, and a full disk
 * shows when something is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/kv/parts.h"

static const uint64_t STEP_LEAST = 64 << 10, STEP_FIRST = 1 << 20, STEP_MOST = 256 << 20;
static const uint64_t RESERVE_LEAST = 256 << 10, RESERVE_MOST = 16 << 20;
enum { LOCK_SIZE = 4096 };

int
dw_kv_read(int fd, void *out, size_t size, off_t at)
{
	for (char *to = out; size > 0;) {
		ssize_t n = pread(fd, to, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENODATA;
		to += n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

struct dw_kv_mark
dw_kv_mark_of(int fd)
{
	struct statx about = { 0 };

	(void)statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &about);
	return (struct dw_kv_mark) { about.stx_ino, about.stx_btime.tv_sec, about.stx_btime.tv_nsec };
}

static uint64_t
between(uint64_t least, uint64_t value, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

bool
dw_kv_disk_is_full(const struct kv_file *file)
{
	struct statvfs about;

	return fstatvfs(file->dir, &about) == 0 && about.f_bavail < 16;
}

bool
dw_kv_sync_failed(const struct kv_file *file)
{
	return file->fd >= 0 && fdatasync(file->fd) != 0;
}

uint64_t
dw_kv_map_end(const struct kv_file *file, bool lend)
{
	const uint64_t reserve = between(RESERVE_LEAST, file->allocated / 16, RESERVE_MOST);

	if (lend)
		return file->allocated;
	return file->allocated > reserve + STEP_LEAST ? file->allocated - reserve : STEP_LEAST;
}

static int
allocate(struct kv_file *file, int fd, uint64_t size)
{
	struct stat about;

	file->short_of_disk = false;
	if (fallocate(fd, 0, 0, (off_t)size) == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return fstat(fd, &about) != 0 || (about.st_size < (off_t)size && ftruncate(fd, (off_t)size) != 0) ? errno : 0;
	file->short_of_disk = errno == ENOSPC || errno == EDQUOT;
	return errno;
}

int
dw_kv_file_grow(struct kv_file *file)
{
	/* There the limit is reached, and the reserve beyond it complete. */
	const uint64_t most = file->limit + between(RESERVE_LEAST, file->limit / 15, RESERVE_MOST);
	const uint64_t before = file->allocated;
	uint64_t step = between(STEP_FIRST, before / 8, STEP_MOST);
	int number = ENOSPC;

	if (before >= most)
		return KV_AT_LIMIT;
	/* What is left of a disk is better taken in small steps than not. */
	for (; number == ENOSPC && step >= STEP_LEAST; step /= 2) {
		file->allocated = before + step < most ? before + step : most;
		number = allocate(file, file->fd, file->allocated);
	}
	/* What the journal holds needs it again after a power cut. */
	if (number == 0 && fdatasync(file->fd) != 0)
		number = errno;
	if (number != 0)
		file->allocated = before;
	return number;
}

int
dw_kv_file_open(struct kv_file *file, uint64_t used)
{
	const uint64_t first = (STEP_FIRST < file->limit ? STEP_FIRST : file->limit) + RESERVE_LEAST;
	struct stat about;
	int number;

	file->fd = openat(file->dir, "data.mdb", O_RDWR | O_CLOEXEC);
	if (file->fd < 0 || fstat(file->fd, &about) != 0)
		return errno;
	/* LMDB does not write pages at the end that one commit took and gave back. */
	if ((uint64_t)about.st_size < used && ftruncate(file->fd, (off_t)used) != 0)
		return errno;
	file->allocated = (uint64_t)about.st_size > used ? (uint64_t)about.st_size : used;
	number = allocate(file, file->fd, file->allocated > first ? file->allocated : first);
	if (number == 0 && file->allocated < first)
		file->allocated = first;
	return file->short_of_disk ? 0 : number;
}

int
dw_kv_lock_open(struct kv_file *file)
{
	const int fd = openat(file->dir, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	int number;

	if (fd < 0)
		return errno;
	number = allocate(file, fd, LOCK_SIZE);
	(void)close(fd);
	return number;
}
