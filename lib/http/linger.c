/* Connections that linger: see linger.h. An epoll set of their own makes one cost a system call to wait and one to
 * leave.
 *
 * Failure modes: no memory or descriptor for one: it is closed as it is. Invariant: all wait equally long, so the list
 * is in the order of their ends.
 */
#include "linger.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/wheel.h"
#include "http/socket.h"

enum { EVENTS = 4 }; /* a turn, as in listen.c */

struct leaving {
	struct leaving *prev, *next;
	uint64_t until;
	int fd;
};

struct dw_http_lingering {
	struct dw_wheel *wheel;
	uv_poll_t poll;
	int epoll;
	struct leaving *all; /* utlist */
	uint64_t count;
	struct dw_wheel_timer timer;
};

static void
set_timer(struct dw_http_lingering *linger)
{
	if (linger->all == NULL)
		dw_wheel_cancel(&linger->timer);
	else if (linger->timer.link == NULL || linger->timer.due != linger->all->until)
		dw_wheel_set(linger->wheel, &linger->timer, linger->all->until);
}

static void
end(struct dw_http_lingering *linger, struct leaving *leaving)
{
	(void)epoll_ctl(linger->epoll, EPOLL_CTL_DEL, leaving->fd, NULL); /* what it is a copy of may be open yet */
	(void)close(leaving->fd);
	DL_DELETE(linger->all, leaving);
	linger->count--;
	set_timer(linger);
	free(leaving);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct dw_http_lingering *linger = poll->data;
	struct epoll_event ready[EVENTS];
	const int count = epoll_wait(linger->epoll, ready, EVENTS, 0);

	(void)status;
	(void)events;
	for (int i = 0; i < count; i++) {
		struct leaving *leaving = ready[i].data.ptr;

		if (!dw_http_socket_discard(leaving->fd))
			end(linger, leaving);
	}
}

void
dw_http_linger_take(struct dw_http_lingering *linger, int fd, bool said)
{
	struct leaving *leaving;
	struct epoll_event event = { .events = EPOLLIN };

	if (!dw_http_socket_discard(fd) || said)
		return;
	leaving = calloc(1, sizeof(*leaving));
	if (leaving == NULL)
		return;
	leaving->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (leaving->fd < 0) {
		free(leaving);
		return;
	}
	leaving->until = dw_mono_ms() + DW_HTTP_LINGER_MS;
	DL_APPEND(linger->all, leaving);
	linger->count++;
	(void)shutdown(leaving->fd, SHUT_WR);
	event.data.ptr = leaving;
	if (epoll_ctl(linger->epoll, EPOLL_CTL_ADD, leaving->fd, &event) != 0)
		end(linger, leaving);
	else
		set_timer(linger);
}

bool
dw_http_linger_evict(struct dw_http_lingering *linger)
{
	if (linger->all == NULL)
		return false;
	end(linger, linger->all);
	return true;
}

uint64_t
dw_http_linger_count(const struct dw_http_lingering *linger)
{
	return linger->count;
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct dw_http_lingering *linger =
		(struct dw_http_lingering *)((char *)timer - offsetof(struct dw_http_lingering, timer));
	const uint64_t now = dw_mono_ms();

	while (linger->all != NULL && linger->all->until <= now) {
		dw_http_socket_cut(linger->all->fd);
		(void)dw_http_linger_evict(linger);
	}
	set_timer(linger);
}

int
dw_http_linger_new(struct dw_http_lingering **out, struct uv_loop_s *loop, struct dw_wheel *wheel)
{
	struct dw_http_lingering *linger = calloc(1, sizeof(*linger));

	if (linger == NULL)
		return DW_E_NOMEM;
	linger->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (linger->epoll < 0 || uv_poll_init(loop, &linger->poll, linger->epoll) != 0) {
		if (linger->epoll >= 0)
			(void)close(linger->epoll);
		free(linger);
		return DW_E_NOMEM;
	}
	linger->wheel = wheel;
	linger->timer.fire = fire;
	linger->poll.data = linger;
	(void)uv_poll_start(&linger->poll, UV_READABLE, on_readable);
	*out = linger;
	return DW_OK;
}

static void
free_linger(uv_handle_t *handle)
{
	free(handle->data);
}

void
dw_http_linger_destroy(struct dw_http_lingering **linger_p)
{
	struct dw_http_lingering *linger = *linger_p;

	if (linger == NULL)
		return;
	*linger_p = NULL;
	while (dw_http_linger_evict(linger))
		;
	(void)uv_poll_stop(&linger->poll);
	(void)close(linger->epoll);
	uv_close((uv_handle_t *)&linger->poll, free_linger);
}
