/* Connections: accepted, greeted, looked after, let go (router.h). What one says and is told is router_line.c's.
 *
 * Each descriptor is watched once and for all, edge-triggered: `readable` remembers what is left to read.
 *
 * Failure modes: a peer that closes ends when all it said has been taken; one that breaks the protocol or is over a
 * bound ends at once. Either is told by dw_router_gone, and only then is its number forgotten. Without a descriptor for
 * the next connection that one is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "wire/router_parts.h"

enum {
	ACCEPTS = 64,      /* in a turn */
	LOOKS = 1024,      /* in a tick */
	PATIENT_MS = 1000, /* so long a stranger is safe from those who come after it */
};

/* ---- accepting */

static struct line *
add_line(struct dw_router *router, struct listener *listener, int fd)
{
	struct line *line = calloc(1, sizeof(*line));
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = line };
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(who);
	const int one = 1;

	if (line == NULL || epoll_ctl(router->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		router->starved = true;
		free(line);
		return NULL;
	}
	if (listener->tcp)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	else
		(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
	line->source = LINE;
	line->fd = fd;
	line->listener = listener;
	line->uid = who.uid;
	line->came_at = dw_mono_ms();
	do
		line->number = ++router->last;
	while (line->number == 0 || router_find(router, line->number) != NULL);
	HASH_ADD(hh, router->lines, number, sizeof(line->number), line);
	DL_APPEND2(router->looks, line, look_prev, look_next);
	router_set_stranger(router, line, true);
	listener->count++;
	router->count++;
	return line;
}

/* As many as are free, so that whatever comes in at one address, others find places. Where there is none, the oldest
 * stranger makes room. */
static bool
has_place(struct dw_router *router, const struct listener *listener)
{
	struct line *oldest = router->strangers;

	if (listener->count < router->connections - router->count)
		return true;
	if (oldest == NULL || dw_mono_ms() < oldest->came_at + PATIENT_MS)
		return false;
	router_end(router, oldest, "it is a stranger, and others come");
	return oldest->listener == listener || listener->count < router->connections - router->count;
}

/* Takes a connection only to close it. */
static void
turn_away(struct dw_router *router, const struct listener *listener)
{
	int fd;

	(void)close(router->spare);
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		(void)close(fd);
	router->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
accept_some(struct dw_router *router, struct listener *listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		const int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct line *line;

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				turn_away(router, listener);
			return;
		}
		/* Whoever has no place is closed. */
		line = has_place(router, listener) ? add_line(router, listener, fd) : NULL;
		if (line == NULL) {
			(void)close(fd);
			continue;
		}
		dw_buf_reset(&router->answer);
		dw_zmtp_greet(&router->answer);
		if (!dw_buf_ok(&router->answer) ||
			router_transmit(router, line, &(struct iovec) { router->answer.data, router->answer.len }, 1) != DW_OK)
			router_end(router, line, "no memory for a greeting");
	}
}

int
dw_router_turn(struct dw_router *router)
{
	struct epoll_event events[256];
	const int count = epoll_wait(router->epoll, events, sizeof(events) / sizeof(events[0]), 0);

	for (int i = 0; i < count; i++) {
		struct line *line = events[i].data.ptr;

		if (line->source == LISTENER) {
			accept_some(router, events[i].data.ptr);
			continue;
		}
		if (line->fd < 0)
			continue;
		if ((events[i].events & EPOLLOUT) != 0 && router_line_unsent(line) > 0)
			router_flush(router, line);
		if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
			line->readable = true;
			router_ring(router, line);
		}
	}
	return router->starved ? DW_E_NOMEM : DW_OK;
}

/* ---- who is over their time, and who goes */

static void
look_at(struct dw_router *router, struct line *line, uint64_t now)
{
	if (!dw_zmtp_open(&line->zmtp) && now >= line->came_at + DW_ROUTER_GREET_MS)
		router_end(router, line, "it said nothing");
	else if (line->frame_at != 0 && !line->lent && now >= line->frame_at + DW_ROUTER_FRAME_MS)
		router_end(router, line, "it did not end what it began to say");
	else if (router_line_unsent(line) > 0 && now >= line->stuck_at + DW_ROUTER_STUCK_MS)
		router_end(router, line, "it takes nothing of what is said to it");
	else if (line->postponed) {
		line->postponed = false;
		line->readable = true;
		router_ring(router, line);
	}
}

void
dw_router_tick(struct dw_router *router)
{
	const uint64_t now = dw_mono_ms();

	for (size_t left = router->count < LOOKS ? router->count : LOOKS; left > 0; left--) {
		struct line *line = router->looks;

		while (line != NULL && line->fd < 0) /* those that have ended come first */
			line = line->look_next;
		if (line == NULL)
			break;
		DL_DELETE2(router->looks, line, look_prev, look_next);
		DL_APPEND2(router->looks, line, look_prev, look_next);
		look_at(router, line, now);
	}
}

bool
dw_router_gone(struct dw_router *router, uint32_t *peer, const char **why)
{
	bool asked_for = true;

	while (asked_for && router->looks != NULL && router->looks->fd < 0) {
		struct line *line = router->looks;

		asked_for = line->asked_for;
		*peer = line->number;
		*why = line->why;
		router_forget(router, line);
	}
	return !asked_for;
}

void
dw_router_close(struct dw_router *router, uint32_t peer)
{
	struct line *line = router_find(router, peer);

	if (line == NULL)
		return;
	line->asked_for = true;
	router_end(router, line, NULL);
}

void
dw_router_known(struct dw_router *router, uint32_t peer, bool known)
{
	struct line *line = router_find(router, peer);

	if (line != NULL && line->fd >= 0)
		router_set_stranger(router, line, !known);
}

unsigned
dw_router_roles(const struct dw_router *router, uint32_t peer)
{
	const struct line *line = router_find(router, peer);

	return line != NULL ? line->listener->roles : 0;
}

uid_t
dw_router_uid(const struct dw_router *router, uint32_t peer)
{
	const struct line *line = router_find(router, peer);

	return line != NULL ? line->uid : (uid_t)-1;
}

/* ---- life */

int
dw_router_fd(const struct dw_router *router)
{
	return router->epoll;
}

int
dw_router_bind(
	struct dw_router **out, const struct dw_bind *binds, size_t count, size_t connections, struct dw_fault *fault)
{
	struct dw_router *router;
	int err = DW_OK;

	if (count == 0 || count > DW_ROUTER_BINDS_MAX)
		return dw_fault_set(fault, DW_E_CONFIG, "bind", NULL, "%zu addresses to listen on; 1 to %d are allowed", count,
			DW_ROUTER_BINDS_MAX);
	router = calloc(1, sizeof(*router));
	if (router == NULL)
		return DW_E_NOMEM;
	router->connections = connections;
	router->epoll = epoll_create1(EPOLL_CLOEXEC);
	router->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	router->listeners = calloc(count, sizeof(*router->listeners));
	if (router->listeners == NULL || router->epoll < 0 || router->spare < 0)
		err = DW_E_NOMEM;
	for (size_t i = 0; i < count && err == DW_OK; i++)
		err = router_listen(router, &binds[i], fault);
	if (err != DW_OK)
		dw_router_destroy(&router);
	else
		*out = router;
	return err;
}

void
dw_router_destroy(struct dw_router **router_p)
{
	struct dw_router *router = *router_p;

	if (router == NULL)
		return;
	while (router->looks != NULL) {
		router_end(router, router->looks, NULL);
		router_forget(router, router->looks);
	}
	for (size_t i = 0; i < router->listener_count; i++)
		router_unlisten(&router->listeners[i]);
	if (router->epoll >= 0)
		(void)close(router->epoll);
	if (router->spare >= 0)
		(void)close(router->spare);
	dw_buf_clear(&router->answer);
	free(router->listeners);
	free(router);
	*router_p = NULL;
}
