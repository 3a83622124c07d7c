/* The loop waits by epoll_pwait2(2), for epoll_wait(2) counts in milliseconds and a schedule of thousands of messages a
 * second does not. Failure modes: no descriptors, no memory, no connection.
 */
#include "loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "plan.h"

enum { EVENTS = 512, SECOND = 1000000000 };

uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

int
loop_init(struct loop *loop, int64_t timeout_ms)
{
	const int interrupt = dw_interrupt_fd();

	/* Else the kernel may be late by 50 us, which would count as the server's. */
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	loop->patience = (uint64_t)timeout_ms * 1000000;
	loop->poller = epoll_create1(EPOLL_CLOEXEC);
	if (loop->poller < 0 || (interrupt >= 0 && !loop_add(loop, interrupt, NULL)))
		return DW_E_NOMEM;
	return DW_OK;
}

void
loop_clear(struct loop *loop)
{
	(void)close(loop->poller);
}

bool
loop_add(struct loop *loop, int fd, struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	return epoll_ctl(loop->poller, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Gives events to their owners, those that come until `next` (ns). */
static int
wait_for_events(struct loop *loop, uint64_t next)
{
	static struct epoll_event events[EVENTS];
	const uint64_t now = now_ns(), left = next > now && !loop->spin ? next - now : 0;
	const struct timespec timeout = { (time_t)(left / SECOND), (long)(left % SECOND) };
	const int n = epoll_pwait2(loop->poller, events, EVENTS, &timeout, NULL);

	if (n < 0 && errno != EINTR)
		return DW_E_INTERNAL;
	if (n == 0)
		(void)sched_yield();
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;

		if (source != NULL)
			source->ready(source, events[i].events);
		else if (dw_interrupted())
			return DW_E_CLOSING;
	}
	return DW_OK;
}

int
loop_run(struct loop *loop, loop_turn *turn, struct run *run)
{
	loop->progress_at = now_ns();
	while (loop->failed == DW_OK) {
		const uint64_t now = now_ns();
		uint64_t next;

		loop->wake_at = LOOP_IDLE;
		next = turn(run, now);
		if (loop->failed != DW_OK)
			break;
		if (next == LOOP_DONE)
			return DW_OK;
		/* A schedule that pauses by itself is no lack of progress. */
		if (next == LOOP_IDLE) {
			next = loop->progress_at + loop->patience + 1;
			if (now >= next)
				return DW_E_TIMEOUT;
		}
		loop->failed = wait_for_events(loop, next < loop->wake_at ? next : loop->wake_at);
	}
	return loop->failed;
}

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
	struct epoll_event event = { .events = blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = &stream->source };

	if (n < 0 && errno != EAGAIN)
		return false;
	if (!blocked) {
		dw_buf_clear(out);
	} else if (n > 0) {
		memmove(out->data, out->data + n, out->len - (size_t)n);
		out->len -= (size_t)n;
	}
	if (blocked != stream->blocked)
		(void)epoll_ctl(stream->loop->poller, EPOLL_CTL_MOD, stream->fd, &event);
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
