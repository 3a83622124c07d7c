/* Lingering sockets: see linger.h. A drain waits for them, they count in --max-connections, and make room first.
 */
#include "linger.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "door/socket.h"
#include "edge.h"

struct linger_socket {
	uv_poll_t poll;
	struct dw_wheel_timer timer;
	struct edge *edge;
	struct linger_socket *next, *prev;
	int fd;
};

static void
free_socket(uv_handle_t *handle)
{
	free(handle->data);
}

static void
end(struct linger_socket *linger)
{
	dw_wheel_cancel(&linger->timer);
	DL_DELETE(linger->edge->lingering, linger);
	linger->edge->counts.lingering--;
	uv_close((uv_handle_t *)&linger->poll, free_socket);
	(void)close(linger->fd);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct linger_socket *linger = poll->data;

	(void)events;
	if (status < 0 || !socket_discard(linger->fd))
		end(linger);
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct linger_socket *linger = (struct linger_socket *)((char *)timer - offsetof(struct linger_socket, timer));

	socket_cut(linger->fd);
	end(linger);
}

void
linger_start(struct edge *edge, int fd, bool said)
{
	struct linger_socket *linger;

	if (!socket_discard(fd) || said)
		return;
	linger = calloc(1, sizeof(*linger));
	if (linger == NULL)
		return;
	linger->edge = edge;
	linger->timer.fire = fire;
	linger->poll.data = linger;
	linger->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (linger->fd < 0 || uv_poll_init(edge->loop, &linger->poll, linger->fd) != 0) {
		if (linger->fd >= 0)
			(void)close(linger->fd);
		free(linger);
		return;
	}
	DL_APPEND(edge->lingering, linger);
	edge->counts.lingering++;
	(void)shutdown(linger->fd, SHUT_WR);
	(void)uv_poll_start(&linger->poll, UV_READABLE, on_readable);
	dw_wheel_set(&edge->wheel, &linger->timer, dw_mono_ms() + CUT_STALLED_MS);
}

bool
linger_evict(struct edge *edge)
{
	if (edge->lingering == NULL)
		return false;
	end(edge->lingering);
	return true;
}

void
linger_end_all(struct edge *edge)
{
	while (linger_evict(edge))
		;
}
