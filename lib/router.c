/* Connections: accepted, read from by turns, written to, let go (router.h).
 *
 * Happy path: a connection is accepted and greeted; what it sends is read 64 KiB at a time into its buffer and lent out
 * frame by frame; what it is sent goes straight to the system, and what that does not take now lies in its buffer until
 * there is room. Each descriptor is watched once and for all, edge-triggered: `readable` remembers what is left to
 * read.
 *
 * Failure modes: a peer that closes ends when all it said has been taken; one that breaks the protocol or is over a
 * bound ends at once. Either is told by dw_router_gone, and only then is its number forgotten. Without a descriptor for
 * the next connection that one is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#include "diagws/clock.h"
#include "router_parts.h"

enum {
	CHUNK = 64 * 1024,        /* read at once, */
	LARGE_CHUNK = 256 * 1024, /* or of a frame that is known to be large; */
	READS = 64,               /* so often to find the next frame */
	ACCEPTS = 64,             /* in a turn */
	LOOKS = 1024,             /* in a tick */
	PATIENT_MS = 1000,        /* so long a stranger is safe from those who come after it */
};

static struct line *
find(const struct dw_router *router, uint32_t number)
{
	struct line *line;

	HASH_FIND(hh, router->lines, &number, sizeof(number), line);
	return line;
}

static void
ring(struct dw_router *router, struct line *line)
{
	if (line->ringed || line->lent || line->fd < 0)
		return;
	line->ringed = true;
	DL_APPEND2(router->ring, line, ring_prev, ring_next);
}

static void
unring(struct dw_router *router, struct line *line)
{
	if (line->ringed)
		DL_DELETE2(router->ring, line, ring_prev, ring_next);
	line->ringed = false;
}

static void
set_stranger(struct dw_router *router, struct line *line, bool stranger)
{
	if (line->stranger == stranger)
		return;
	line->stranger = stranger;
	if (stranger)
		DL_APPEND2(router->strangers, line, stranger_prev, stranger_next);
	else
		DL_DELETE2(router->strangers, line, stranger_prev, stranger_next);
}

/* Its number stays until dw_router_gone has told it. */
static void
end(struct dw_router *router, struct line *line, const char *why)
{
	if (line->fd < 0)
		return;
	(void)close(line->fd);
	line->fd = -1;
	line->why = why;
	line->listener->count--;
	router->count--;
	unring(router, line);
	set_stranger(router, line, false);
	line->is_gone = true;
	DL_APPEND2(router->gone, line, gone_prev, gone_next);
}

/* How much of its buffer counts: what everybody may have does not. */
static size_t
counted(const struct line *line)
{
	return line->in.cap > 2 * (size_t)CHUNK ? line->in.cap : 0;
}

static void
forget(struct dw_router *router, struct line *line)
{
	if (line->is_drained)
		DL_DELETE2(router->drained, line, drained_prev, drained_next);
	if (line->is_gone)
		DL_DELETE2(router->gone, line, gone_prev, gone_next);
	DL_DELETE2(router->looks, line, look_prev, look_next);
	HASH_DEL(router->lines, line);
	router->read -= counted(line);
	dw_buf_clear(&line->in);
	dw_buf_clear(&line->out);
	free(line);
}

/* ---- sending */

static size_t
unsent(const struct line *line)
{
	return line->out.len - line->sent_up_to;
}

/* Sends what lies there, as far as it goes. */
static void
flush(struct dw_router *router, struct line *line)
{
	while (unsent(line) > 0 && !line->broken) {
		const ssize_t n = send(line->fd, line->out.data + line->sent_up_to, unsent(line), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0)
			line->broken = true;
		else
			line->sent_up_to += (size_t)n;
		line->stuck_at = dw_mono_ms();
	}
	dw_buf_clear(&line->out);
	line->sent_up_to = 0;
	if (!line->is_drained) {
		line->is_drained = true;
		DL_APPEND2(router->drained, line, drained_prev, drained_next);
	}
}

/* Adds what the system did not take. False: no memory. */
static bool
keep(struct line *line, const struct iovec *parts, size_t count, size_t sent)
{
	if (line->sent_up_to > line->out.len / 2) {
		line->out.len -= line->sent_up_to;
		memmove(line->out.data, line->out.data + line->sent_up_to, line->out.len);
		line->sent_up_to = 0;
	}
	if (unsent(line) == 0)
		line->stuck_at = dw_mono_ms();
	for (size_t i = 0; i < count; i++) {
		const size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;

		sent -= skip;
		dw_buf_add(&line->out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
	}
	return dw_buf_ok(&line->out);
}

static int
transmit(struct line *line, const struct iovec *parts, size_t count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count };
	size_t all = 0;
	ssize_t n = 0;

	for (size_t i = 0; i < count; i++)
		all += parts[i].iov_len;
	if (line->broken)
		return DW_OK;
	if (unsent(line) + all > DW_ROUTER_UNSENT_MAX)
		return DW_E_AGAIN;
	if (unsent(line) == 0) {
		n = sendmsg(line->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
			line->broken = true;
			return DW_OK;
		}
	}
	if (n == (ssize_t)all)
		return DW_OK;
	return keep(line, parts, count, n > 0 ? (size_t)n : 0) ? DW_OK : DW_E_NOMEM;
}

int
dw_router_send(struct dw_router *router, uint32_t peer, const void *frame, size_t n)
{
	struct line *line = find(router, peer);
	uint8_t head[DW_ZMTP_HEAD_MAX];
	const struct iovec parts[] = { { head, dw_zmtp_head(n, head) }, { (void *)(uintptr_t)frame, n } };
	int err;

	if (line == NULL || line->fd < 0)
		return DW_E_UNKNOWN;
	err = transmit(line, parts, 2);
	if (err == DW_E_NOMEM)
		end(router, line, "no memory for what is said to it"); /* a part of it would be worse than nothing */
	return err;
}

size_t
dw_router_unsent(const struct dw_router *router, uint32_t peer)
{
	const struct line *line = find(router, peer);

	return line != NULL ? unsent(line) : 0;
}

bool
dw_router_drained(struct dw_router *router, uint32_t *peer)
{
	struct line *line = router->drained;

	if (line == NULL)
		return false;
	DL_DELETE2(router->drained, line, drained_prev, drained_next);
	line->is_drained = false;
	*peer = line->number;
	return true;
}

/* ---- reading */

/* Makes place for the next bytes. Zero: not now, for all together have read too much. */
static size_t
make_room(struct dw_router *router, struct line *line)
{
	const size_t before = counted(line);
	size_t room = line->need > CHUNK ? LARGE_CHUNK : CHUNK;

	if (line->at > 0) {
		line->in.len -= line->at;
		memmove(line->in.data, line->in.data + line->at, line->in.len);
		line->at = 0;
	}
	if (line->in.len >= CHUNK && line->in.len + router->read > DW_ROUTER_READ_MAX)
		return 0;
	if (dw_buf_room(&line->in, room) == NULL)
		room = 0;
	router->read += counted(line) - before;
	return room;
}

/* Reads once. */
static void
read_some(struct dw_router *router, struct line *line)
{
	const size_t room = make_room(router, line);
	ssize_t n;

	if (room == 0) {
		line->readable = false; /* until the next tick */
		return;
	}
	n = recv(line->fd, line->in.data + line->in.len, room, MSG_DONTWAIT);
	if (n > 0)
		dw_buf_grow(&line->in, (size_t)n);
	else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		line->readable = false;
	else if (n == 0 || errno != EINTR)
		end(router, line, NULL);
}

/* What is kept of one that has nothing more to say. */
static void
trim(struct dw_router *router, struct line *line)
{
	if (line->in.len > line->at)
		return;
	router->read -= counted(line);
	dw_buf_clear(&line->in);
	line->at = line->need = 0;
}

/* The next frame of what was read. */
static int
take(struct dw_router *router, struct line *line, struct dw_str *frame)
{
	struct dw_str rest = { line->in.data + line->at, line->in.len - line->at };
	const size_t before = rest.n;
	int err;

	if (rest.n == 0 || rest.n < line->need)
		return DW_E_AGAIN;
	dw_buf_reset(&router->answer);
	err = dw_zmtp_next(&line->zmtp, &rest, frame, &line->need, &router->answer);
	line->at += before - rest.n;
	if (err != DW_E_AGAIN)
		line->need = 0;
	if (router->answer.len > 0) {
		const struct iovec part = { router->answer.data, router->answer.len };

		if (transmit(line, &part, 1) != DW_OK)
			end(router, line, "no memory, or too much unread, for its greeting");
	}
	if (err == DW_E_PROTOCOL)
		end(router, line, "no DEALER of ZeroMQ");
	/* Since when it owes the rest of something. */
	if (err != DW_E_AGAIN || (rest.n == 0 && line->zmtp.passed == 0))
		line->frame_at = 0;
	else if (line->frame_at == 0 || rest.n < before)
		line->frame_at = dw_mono_ms();
	return line->fd >= 0 ? err : DW_E_AGAIN;
}

int
dw_router_recv(struct dw_router *router, uint32_t *peer, struct dw_str *frame)
{
	for (int reads = 0; reads < READS && router->ring != NULL;) {
		struct line *line = router->ring;
		int err = take(router, line, frame);

		if (line->fd < 0)
			continue;
		if (err != DW_E_AGAIN) {
			unring(router, line);
			line->lent = true;
			*peer = line->number;
			return err;
		}
		if (line->readable) {
			read_some(router, line);
			reads++;
		}
		if (line->fd < 0)
			continue;
		unring(router, line); /* to the end */
		if (line->readable || line->in.len - line->at >= (line->need > 0 ? line->need : 1))
			ring(router, line);
		else
			trim(router, line);
	}
	return DW_E_AGAIN;
}

void
dw_router_done(struct dw_router *router, uint32_t peer)
{
	struct line *line = find(router, peer);

	if (line == NULL || !line->lent)
		return;
	line->lent = false;
	if (line->in.len == line->at && !line->readable)
		trim(router, line);
	else
		ring(router, line);
}

bool
dw_router_readable(const struct dw_router *router)
{
	return router->ring != NULL;
}

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
	while (line->number == 0 || find(router, line->number) != NULL);
	HASH_ADD(hh, router->lines, number, sizeof(line->number), line);
	DL_APPEND2(router->looks, line, look_prev, look_next);
	set_stranger(router, line, true);
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
	end(router, oldest, "it is a stranger, and others come");
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
		line = has_place(router, listener) ? add_line(router, listener, fd) : NULL;
		if (line == NULL) {
			(void)close(fd);
			continue;
		}
		dw_buf_reset(&router->answer);
		dw_zmtp_greet(&router->answer);
		if (!dw_buf_ok(&router->answer) ||
			transmit(line, &(struct iovec) { router->answer.data, router->answer.len }, 1) != DW_OK)
			end(router, line, "no memory for a greeting");
	}
}

void
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
		if ((events[i].events & EPOLLOUT) != 0 && unsent(line) > 0)
			flush(router, line);
		if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
			line->readable = true;
			ring(router, line);
		}
	}
}

/* ---- who is over their time, and who goes */

static void
look_at(struct dw_router *router, struct line *line, uint64_t now)
{
	if (!dw_zmtp_open(&line->zmtp) && now >= line->came_at + DW_ROUTER_GREET_MS)
		end(router, line, "it said nothing");
	else if (line->frame_at != 0 && !line->lent && now >= line->frame_at + DW_ROUTER_FRAME_MS)
		end(router, line, "it did not end what it began to say");
	else if (unsent(line) > 0 && now >= line->stuck_at + DW_ROUTER_STUCK_MS)
		end(router, line, "it takes nothing of what is said to it");
	else if (line->in.len > line->at && !line->readable && !line->lent) {
		line->readable = true; /* it may have found no room to be read into */
		ring(router, line);
	}
}

void
dw_router_tick(struct dw_router *router)
{
	const uint64_t now = dw_mono_ms();
	struct line *line, *first = router->looks;

	for (int i = 0; i < LOOKS && (line = router->looks) != NULL; i++) {
		DL_DELETE2(router->looks, line, look_prev, look_next);
		DL_APPEND2(router->looks, line, look_prev, look_next);
		if (line->fd >= 0)
			look_at(router, line, now);
		if (router->looks == first)
			break;
	}
}

bool
dw_router_gone(struct dw_router *router, uint32_t *peer, const char **why)
{
	struct line *line = router->gone;

	if (line == NULL)
		return false;
	*peer = line->number;
	*why = line->why;
	forget(router, line);
	return true;
}

void
dw_router_close(struct dw_router *router, uint32_t peer)
{
	struct line *line = find(router, peer);

	if (line == NULL)
		return;
	end(router, line, NULL);
	forget(router, line);
}

void
dw_router_known(struct dw_router *router, uint32_t peer, bool known)
{
	struct line *line = find(router, peer);

	if (line != NULL && line->fd >= 0)
		set_stranger(router, line, !known);
}

unsigned
dw_router_roles(const struct dw_router *router, uint32_t peer)
{
	const struct line *line = find(router, peer);

	return line != NULL ? line->listener->roles : 0;
}

uid_t
dw_router_uid(const struct dw_router *router, uint32_t peer)
{
	const struct line *line = find(router, peer);

	return line != NULL ? line->uid : (uid_t)-1;
}

/* ---- life */

int
dw_router_fd(const struct dw_router *router)
{
	return router->epoll;
}

static int
watch(struct dw_router *router)
{
	for (size_t i = 0; i < router->listener_count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &router->listeners[i] };

		if (epoll_ctl(router->epoll, EPOLL_CTL_ADD, router->listeners[i].fd, &event) != 0)
			return DW_E_INTERNAL;
	}
	return DW_OK;
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
	if (err == DW_OK)
		err = watch(router);
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
	struct line *line, *next;

	if (router == NULL)
		return;
	HASH_ITER(hh, router->lines, line, next)
	{
		end(router, line, NULL);
		forget(router, line);
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
