/* What one connection does (router.h): frames out, as far as the system takes them, and bytes in, frame by frame.
 *
 * Happy path: a frame is sent at once, its head and its bytes by one call, and what is read, 64 KiB at a time, lies in
 * the line's buffer until its frames have been lent out. Failure modes: a peer that takes no more: what is left waits
 * here. A peer that is gone for writing may have said something before: it ends when that was read.
 *
 * Invariants: what ends leaves the ring, the strangers and what is unsent at once, and stays in the table and at the
 * head of those that are looked at until dw_router_gone has told it; the sums are those of the lists.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "wire/router_parts.h"

enum {
	CHUNK = 64 * 1024,        /* read at once */
	LARGE_CHUNK = 256 * 1024, /* read at once of a frame that is known to be large */
	READS = 64,               /* so often to find the next frame */
};

/* ---- its lists, and its end */

struct line *
router_find(const struct dw_router *router, uint32_t number)
{
	struct line *line;

	HASH_FIND(hh, router->lines, &number, sizeof(number), line);
	return line;
}

void
router_ring(struct dw_router *router, struct line *line)
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

void
router_set_stranger(struct dw_router *router, struct line *line, bool stranger)
{
	if (line->stranger == stranger)
		return;
	line->stranger = stranger;
	if (stranger)
		DL_APPEND2(router->strangers, line, stranger_prev, stranger_next);
	else
		DL_DELETE2(router->strangers, line, stranger_prev, stranger_next);
}

/* There were so many bytes unsent before: counts and lists what there is now. */
static void
note_unsent(struct dw_router *router, struct line *line, size_t before)
{
	const size_t now = router_line_unsent(line);

	router->unsent += now - before;
	if (before > 0 && now < before)
		DL_DELETE2(router->unsents, line, unsent_prev, unsent_next);
	if (now > 0 && (before == 0 || now < before))
		DL_APPEND2(router->unsents, line, unsent_prev, unsent_next);
}

void
router_end(struct dw_router *router, struct line *line, const char *why)
{
	const size_t unsent = router_line_unsent(line);

	if (line->fd < 0)
		return;
	(void)close(line->fd);
	line->fd = -1;
	dw_buf_clear(&line->out);
	line->sent_up_to = 0;
	note_unsent(router, line, unsent);
	line->why = why;
	line->listener->count--;
	router->count--;
	unring(router, line);
	router_set_stranger(router, line, false);
	assert(router->looks != line || line->look_prev == line || line->look_next != NULL);
	DL_DELETE2(router->looks, line, look_prev, look_next);
	DL_PREPEND2(router->looks, line, look_prev, look_next);
}

/* How much of what was read counts towards DW_ROUTER_READ_MAX: what everybody may have does not. */
static size_t
counted(const struct line *line)
{
	return line->in.cap > 2 * (size_t)CHUNK ? line->in.cap : 0;
}

void
router_forget(struct dw_router *router, struct line *line)
{
	if (line->is_drained)
		DL_DELETE2(router->drained, line, drained_prev, drained_next);
	DL_DELETE2(router->looks, line, look_prev, look_next);
	assert(router->lines != NULL);
	HASH_DEL(router->lines, line);
	router->read -= counted(line);
	dw_buf_clear(&line->in);
	free(line);
}

/* ---- sending */

/* False: there is nothing left of it, or nobody to take it. */
static bool
send_some(struct line *line)
{
	while (router_line_unsent(line) > 0 && !line->broken) {
		const ssize_t n =
			send(line->fd, line->out.data + line->sent_up_to, router_line_unsent(line), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			line->broken = true;
		else
			line->sent_up_to += (size_t)n;
		line->stuck_at = dw_mono_ms();
	}
	return false;
}

/* Sends what lies there, as far as it goes. */
void
router_flush(struct dw_router *router, struct line *line)
{
	const size_t before = router_line_unsent(line);

	if (send_some(line)) {
		note_unsent(router, line, before);
		return;
	}
	dw_buf_clear(&line->out);
	line->sent_up_to = 0;
	note_unsent(router, line, before);
	if (!line->is_drained) {
		line->is_drained = true;
		DL_APPEND2(router->drained, line, drained_prev, drained_next);
	}
}

/* Whoever has taken nothing for the longest makes room. */
static void
make_way(struct dw_router *router, size_t more)
{
	while (router->unsents != NULL && router->unsent + more > DW_ROUTER_UNSENT_ALL)
		router_end(router, router->unsents, "it takes nothing of what is said to it, and much is said to others");
}

/* Adds what the system did not take. False: no memory. */
static bool
keep(struct dw_router *router, struct line *line, const struct iovec *parts, size_t count, size_t sent)
{
	const size_t before = router_line_unsent(line);

	if (line->sent_up_to > line->out.len / 2) {
		line->out.len -= line->sent_up_to;
		memmove(line->out.data, line->out.data + line->sent_up_to, line->out.len);
		line->sent_up_to = 0;
	}
	if (before == 0)
		line->stuck_at = dw_mono_ms();
	for (size_t i = 0; i < count; i++) {
		const size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;

		sent -= skip;
		dw_buf_add(&line->out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
	}
	note_unsent(router, line, before);
	return dw_buf_ok(&line->out);
}

int
router_transmit(struct dw_router *router, struct line *line, const struct iovec *parts, size_t count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count };
	size_t all = 0;
	ssize_t n = 0;

	for (size_t i = 0; i < count; i++)
		all += parts[i].iov_len;
	if (line->broken)
		return DW_OK;
	if (router_line_unsent(line) + all > DW_ROUTER_UNSENT_MAX)
		return DW_E_AGAIN;
	if (router_line_unsent(line) == 0) {
		n = sendmsg(line->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
			line->broken = true;
			return DW_OK;
		}
	}
	if (n == (ssize_t)all)
		return DW_OK;
	make_way(router, all);
	if (line->fd < 0)
		return DW_E_UNKNOWN;
	return keep(router, line, parts, count, n > 0 ? (size_t)n : 0) ? DW_OK : DW_E_NOMEM;
}

int
dw_router_send(struct dw_router *router, uint32_t peer, const void *frame, size_t n)
{
	struct line *line = router_find(router, peer);
	uint8_t head[DW_ZMTP_HEAD_MAX];
	const struct iovec parts[] = { { head, dw_zmtp_head(n, head) }, { (void *)(uintptr_t)frame, n } };
	int err;

	if (line == NULL || line->fd < 0)
		return DW_E_UNKNOWN;
	err = router_transmit(router, line, parts, 2);
	if (err == DW_E_NOMEM)
		router_end(router, line, "no memory for what is said to it"); /* a part of it would be worse than nothing */
	return err;
}

size_t
dw_router_unsent(const struct dw_router *router, uint32_t peer)
{
	const struct line *line = router_find(router, peer);

	return line != NULL ? router_line_unsent(line) : 0;
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
	if (dw_buf_room(&line->in, room) == NULL) {
		router->starved = true;
		room = 0;
	}
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
		line->readable = false;
		line->postponed = true; /* until the next tick */
		return;
	}
	n = recv(line->fd, line->in.data + line->in.len, room, MSG_DONTWAIT);
	if (n > 0)
		dw_buf_grow(&line->in, (size_t)n);
	else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		line->readable = false;
	else if (n == 0 || errno != EINTR)
		router_end(router, line, NULL);
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
	if (!dw_buf_ok(&router->answer) ||
		(router->answer.len > 0 && router_transmit(router, line,
									   &(const struct iovec) { router->answer.data, router->answer.len }, 1) != DW_OK))
		router_end(router, line, "no memory, or too much unread, for its greeting");
	if (err == DW_E_PROTOCOL)
		router_end(router, line, "no DEALER of ZeroMQ");
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
			router_ring(router, line);
		else
			trim(router, line);
	}
	return DW_E_AGAIN;
}

void
dw_router_done(struct dw_router *router, uint32_t peer)
{
	struct line *line = router_find(router, peer);

	if (line == NULL || !line->lent)
		return;
	line->lent = false;
	if (line->in.len == line->at && !line->readable)
		trim(router, line);
	else
		router_ring(router, line);
}

bool
dw_router_readable(const struct dw_router *router)
{
	return router->ring != NULL;
}
