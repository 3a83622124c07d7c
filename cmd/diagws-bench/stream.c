/* Its own file because it is the part that knows sockets. What an owner wants to send stands in `out`, which is empty
 * most of the time and then has no memory. Failure modes: no descriptor, no connection; the owner closes it.
 */
#include "stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

bool
stream_open(struct stream *stream, struct loop *loop, const struct target *target, const struct sockaddr_in *from)
{
	const int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	stream->loop = loop;
	stream->fd = fd;
	if (fd < 0)
		return false;
	if (from != NULL) {
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		(void)bind(fd, (const struct sockaddr *)from, sizeof(*from));
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&target->address, target->size) != 0 && errno != EINPROGRESS)
		return false;
	return loop_add(loop, fd, &stream->source);
}

void
stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		(void)close(stream->fd);
	stream->fd = -1;
	stream->blocked = false;
	dw_buf_clear(&stream->out);
}

bool
stream_flush(struct stream *stream)
{
	struct dw_buf *out = &stream->out;
	const ssize_t n = send(stream->fd, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	const bool blocked = n < (ssize_t)out->len;

	if (n < 0 && errno != EAGAIN)
		return false;
	if (!blocked) {
		dw_buf_clear(out);
	} else if (n > 0) {
		memmove(out->data, out->data + n, out->len - (size_t)n);
		out->len -= (size_t)n;
	}
	if (blocked != stream->blocked)
		loop_change(stream->loop, stream->fd, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, &stream->source);
	stream->blocked = blocked;
	return true;
}

const char *
head_value(const char *head, const char *end, const char *name)
{
	const size_t n = strlen(name);

	for (const char *line = head; line != NULL && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
		line += *line == '\n';
		if ((size_t)(end - line) > n && strncasecmp(line, name, n) == 0)
			return line + n + strspn(line + n, " \t");
	}
	return NULL;
}
