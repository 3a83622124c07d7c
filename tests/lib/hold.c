/* Holds back the checks of signatures while a file is there, when preloaded into an edge: the file is named by HOLD,
 * and each check that comes meanwhile adds a byte to it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int EVP_DigestVerify(void *context, const unsigned char *signature, size_t size, const unsigned char *text, size_t n);

int
EVP_DigestVerify(void *context, const unsigned char *signature, size_t size, const unsigned char *text, size_t n)
{
	const struct timespec pause = { 0, 1000000 };
	int (*real)(void *, const unsigned char *, size_t, const unsigned char *, size_t) = NULL;
	const char *path = getenv("HOLD");
	int fd = path != NULL ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)!write(fd, ".", 1);
		(void)close(fd);
		while (access(path, F_OK) == 0)
			(void)nanosleep(&pause, NULL);
	}
	*(void **)&real = dlsym(RTLD_NEXT, "EVP_DigestVerify");
	return real(context, signature, size, text, n);
}
