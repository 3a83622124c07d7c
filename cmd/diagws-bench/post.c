/* A lane by HTTP/1.1 POST over a connection that is kept; one request at a time. Its own file because the other way
 * (hub.c) shares nothing with it.
 *
 * Happy path: request out, status line and headers in, the body (Content-Length or chunks) thrown away. Any 2xx is an
 * acknowledgment. Failure modes: no connection, another status, an answer that is no HTTP or over its bound: the
 * message counts as rejected. One that the server closed while it was idle is opened anew.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "publisher.h"

enum { ANSWER_MAX = 256 * 1024, READ_BYTES = 16 * 1024 };

void
post_close(struct lane *lane)
{
	if (lane->fd >= 0)
		(void)close(lane->fd);
	lane->fd = -1;
	lane->connected = false;
	dw_buf_clear(&lane->out);
	dw_buf_clear(&lane->in);
}

static void
fail(struct lane *lane, int err, const char *what, const char *why)
{
	const bool busy = lane->unanswered > 0;
	const uint64_t due = lane->due;

	post_close(lane);
	if (busy)
		lane_answered(lane, due, err, "%s '%s': %s", what, lane->publisher->plan->publish.host, why);
}

static void
write_out(struct lane *lane)
{
	while (lane->sent < lane->out.len) {
		const ssize_t n =
			send(lane->fd, lane->out.data + lane->sent, lane->out.len - lane->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			loop_change(lane->publisher->loop, lane->fd, EPOLLIN | EPOLLOUT, &lane->source);
			return;
		}
		if (n < 0) {
			fail(lane, DW_E_HUB_AWAY, "cannot send to", strerror(errno));
			return;
		}
		lane->sent += (size_t)n;
	}
	if (!lane->connected)
		loop_change(lane->publisher->loop, lane->fd, EPOLLIN, &lane->source);
	lane->connected = true;
}

/* The value of a header, up to the line's end; NULL: it is not there. */
static const char *
header(const char *head, const char *end, const char *name)
{
	const size_t n = strlen(name);

	for (const char *line = head; line != NULL && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
		line += *line == '\n';
		if ((size_t)(end - line) > n && strncasecmp(line, name, n) == 0)
			return line + n + strspn(line + n, " \t");
	}
	return NULL;
}

/* The bytes of a chunked body; 0: it is not complete, -1: it is none. */
static long
chunks_size(const char *p, size_t n)
{
	size_t at = 0;

	for (;;) {
		const char *stop = memchr(p + at, '\n', n - at);
		char *end;
		unsigned long size;

		if (stop == NULL)
			return 0;
		size = strtoul(p + at, &end, 16);
		if (end == p + at || size > ANSWER_MAX)
			return -1;
		at = (size_t)(stop - p) + 1 + size + 2;
		if (at > n)
			return 0;
		if (size == 0)
			return (long)at;
	}
}

/* The bytes of the answer with its body; 0: it is not complete, -1: it is none. */
static long
answer_size(const struct dw_buf *in, int *status, bool *closes)
{
	const char *end = memmem(in->data, in->len, "\r\n\r\n", 4), *value;
	const size_t head = end != NULL ? (size_t)(end - in->data) + 4 : 0;
	unsigned long size = 0;

	if (in->len >= 9 && strncmp(in->data, "HTTP/1.", 7) != 0)
		return -1;
	if (end == NULL)
		return 0;
	*status = (int)strtol(in->data + 8, NULL, 10);
	value = header(in->data, end, "Connection:");
	*closes = in->data[7] == '0' || (value != NULL && strncasecmp(value, "close", 5) == 0);
	value = header(in->data, end, "Transfer-Encoding:");
	if (value != NULL && strncasecmp(value, "chunked", 7) == 0) {
		const long body = chunks_size(in->data + head, in->len - head);

		return body > 0 ? (long)head + body : body;
	}
	value = header(in->data, end, "Content-Length:");
	if (value != NULL)
		size = strtoul(value, NULL, 10);
	if (size > ANSWER_MAX)
		return -1;
	return in->len - head >= size ? (long)(head + size) : 0;
}

static void
take_answer(struct lane *lane)
{
	bool closes = false;
	int status = 0;
	const long size = answer_size(&lane->in, &status, &closes);

	if (size < 0 || lane->in.len > ANSWER_MAX || (size > 0 && lane->unanswered == 0)) {
		fail(lane, DW_E_PROTOCOL, "the answer of", "is no HTTP, or too long");
		return;
	}
	if (size == 0)
		return;
	if (closes)
		post_close(lane);
	else
		dw_buf_reset(&lane->in);
	if (status >= 200 && status <= 299)
		lane_answered(lane, lane->due, DW_OK, "stored");
	else
		lane_answered(lane, lane->due,
			status == 401 || status == 403 ? DW_E_DENIED
			: status >= 500                ? DW_E_BUSY
										   : DW_E_FIELD,
			"'%s' answers %d", lane->publisher->plan->publish.host, status);
}

static void
on_events(struct source *source, uint32_t events)
{
	struct lane *lane = (struct lane *)source;
	char *to;
	ssize_t n;

	if (lane->fd < 0)
		return;
	if ((events & EPOLLOUT) != 0) {
		lane->connected = false;
		write_out(lane);
	}
	if (lane->fd < 0 || (events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	to = dw_buf_room(&lane->in, READ_BYTES);
	n = to != NULL ? recv(lane->fd, to, READ_BYTES, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(lane, DW_E_HUB_AWAY, "no answer of", n < 0 ? strerror(errno) : "it closed the connection");
		return;
	}
	dw_buf_grow(&lane->in, (size_t)n);
	take_answer(lane);
}

static bool
open_connection(struct lane *lane)
{
	const struct target *target = &lane->publisher->plan->publish;
	const int one = 1;

	lane->source.ready = on_events;
	lane->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (lane->fd < 0)
		return false;
	(void)setsockopt(lane->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(lane->fd, (const struct sockaddr *)&target->address, target->size) != 0 && errno != EINPROGRESS)
		return false;
	return loop_add(lane->publisher->loop, lane->fd, EPOLLIN | EPOLLOUT, &lane->source);
}

void
post_send(struct lane *lane, const struct job *job)
{
	lane->due = job->due;
	lane->sent = 0;
	if (lane->fd < 0 && !open_connection(lane)) {
		fail(lane, DW_E_HUB_AWAY, "cannot connect to", strerror(errno));
		return;
	}
	dw_buf_reset(&lane->out);
	plan_post(lane->publisher->plan, &lane->out, job->room, job->due, job->number);
	if (!dw_buf_ok(&lane->out))
		fail(lane, DW_E_NOMEM, "cannot send to", "no memory");
	else
		write_out(lane);
}
