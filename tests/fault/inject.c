/* Faults in the allocator and the store of a running process: a library that is preloaded into it.
 *
 * A file that the test maps too, named by DIAGWS_INJECT, says which calls fail, from which on, how, and whether
 * once or for ever; without one nothing fails. The test writes `calls` last, when the process is ready, and
 * reads how many such calls it saw and failed. Calls on files count only when they are on the file with this
 * inode, the store.
 *
 * Failure modes: a control file that cannot be mapped ends the process at its start, loudly.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ALLOCATE = 1, WRITE = 2, SYNC = 4 };

/* As test_inject.py packs it. */
struct control {
	uint64_t inode;
	uint32_t at;    /* the first that fails, from 1 */
	uint32_t error; /* 0: a write takes only a half */
	uint32_t ever;
	_Atomic uint32_t calls;
	_Atomic uint32_t seen, failed;
};

/* glibc's own, for the allocator is needed before dlsym works. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static struct control *control;

__attribute__((constructor)) static void
map_control(void)
{
	const char *path = getenv("DIAGWS_INJECT");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (path != NULL && at == MAP_FAILED) {
		fprintf(stderr, "inject: cannot map '%s'\n", path);
		_exit(70);
	}
	if (fd >= 0)
		(void)close(fd);
	if (at != MAP_FAILED)
		control = at;
}

static int
strikes(uint32_t call)
{
	uint32_t n;

	if (control == NULL || (atomic_load(&control->calls) & call) == 0)
		return 0;
	n = atomic_fetch_add(&control->seen, 1) + 1;
	if (n < control->at || (n > control->at && !control->ever))
		return 0;
	atomic_fetch_add(&control->failed, 1);
	errno = (int)control->error;
	return 1;
}

static int
strikes_file(uint32_t call, int fd)
{
	struct stat about;

	return control != NULL && (atomic_load(&control->calls) & call) != 0 && fstat(fd, &about) == 0 &&
		   about.st_ino == control->inode && strikes(call);
}

void *
malloc(size_t n)
{
	return strikes(ALLOCATE) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t count, size_t n)
{
	return strikes(ALLOCATE) ? NULL : __libc_calloc(count, n);
}

void *
realloc(void *old, size_t n)
{
	return strikes(ALLOCATE) ? NULL : __libc_realloc(old, n);
}

int
posix_memalign(void **out, size_t alignment, size_t n)
{
	void *at;

	if (strikes(ALLOCATE))
		return ENOMEM;
	at = __libc_memalign(alignment, n);
	if (at == NULL)
		return ENOMEM;
	*out = at;
	return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t
write(int fd, const void *from, size_t n)
{
	if (!strikes_file(WRITE, fd))
		return REAL(write)(fd, from, n);
	return errno != 0 ? -1 : REAL(write)(fd, from, n / 2);
}

ssize_t
pwrite(int fd, const void *from, size_t n, off_t at)
{
	if (!strikes_file(WRITE, fd))
		return REAL(pwrite)(fd, from, n, at);
	return errno != 0 ? -1 : REAL(pwrite)(fd, from, n / 2, at);
}

ssize_t
writev(int fd, const struct iovec *from, int count)
{
	if (!strikes_file(WRITE, fd))
		return REAL(writev)(fd, from, count);
	return errno != 0 ? -1 : REAL(write)(fd, from[0].iov_base, from[0].iov_len / 2);
}

int
fdatasync(int fd)
{
	return strikes_file(SYNC, fd) ? -1 : REAL(fdatasync)(fd);
}

int
fsync(int fd)
{
	return strikes_file(SYNC, fd) ? -1 : REAL(fsync)(fd);
}
