/* recv: see receive.h. Failure modes: without memory for the table a descriptor is read as it is.
 */
#include "receive.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct reading {
	dw_http_receive_by *by; /* NULL: nobody */
	void *user;
};

static struct reading *readings; /* by descriptor: recv is told nothing else */
static size_t size;
static _Thread_local bool is_loop;

static struct reading *
find(int fd)
{
	return is_loop && fd >= 0 && (size_t)fd < size && readings[fd].by != NULL ? &readings[fd] : NULL;
}

ssize_t dw_http_receive_any(int fd, void *buffer, size_t n, int flags) __asm__("recv");

ssize_t
dw_http_receive_any(int fd, void *buffer, size_t n, int flags)
{
	const struct reading *reading = find(fd);

	return reading != NULL ? reading->by(reading->user, fd, buffer, n, flags)
						   : recvfrom(fd, buffer, n, flags, NULL, NULL);
}

void
dw_http_receive_here(void)
{
	is_loop = true;
}

bool
dw_http_receive_set(int fd, dw_http_receive_by *by, void *user)
{
	size_t need = size > 0 ? size : 256;
	struct reading *grown;

	while (need <= (size_t)fd)
		need *= 2;
	if (need > size) {
		grown = realloc(readings, need * sizeof(*grown));
		if (grown == NULL)
			return false;
		memset(grown + size, 0, (need - size) * sizeof(*grown));
		readings = grown;
		size = need;
	}
	readings[fd] = (struct reading) { by, user };
	return true;
}

void *
dw_http_receive_user(int fd, dw_http_receive_by *by)
{
	const struct reading *reading = find(fd);

	return reading != NULL && reading->by == by ? reading->user : NULL;
}

int
dw_http_receive_end(void)
{
	return (int)size;
}

void
dw_http_receive_clear(void)
{
	free(readings);
	readings = NULL;
	size = 0;
}
