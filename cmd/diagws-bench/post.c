/* Its own file because it is all that knows HTTP's answers.
 *
 * Happy path: request out, status line and headers in, the body (Content-Length or chunks) thrown away. Any 2xx is an
 * acknowledgment. Failure modes: no connection, another status, an answer that is no HTTP or over its bound: the
 * message counts as rejected. A connection that the server closed while it was idle is opened anew.
 */
#include "post.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define LAST_CHUNK "\r\n0\r\n\r\n"

enum { ANSWER_MAX = 256 * 1024, READ_BYTES = 16 * 1024 };

void
post_close(struct post *post)
{
	stream_close(&post->stream);
	dw_buf_clear(&post->in);
}

static void
end_request(struct post *post, int err, const char *text)
{
	void *user = post->user;

	post->user = NULL;
	if (user != NULL)
		post->done(user, err, text);
}

static void
fail(struct post *post, int err, const char *what, const char *why)
{
	struct dw_fault fault;

	(void)dw_fault_set(&fault, err, NULL, NULL, "%s '%s': %s", what, post->target->host, why);
	post_close(post);
	end_request(post, err, fault.message);
}

/* What has come is a whole answer: 1; 0: not yet, -1: it is none. As one request is sent at a time, nothing follows. */
static int
read_answer(const struct dw_buf *in, int *status, bool *closes)
{
	const char *end = memmem(in->data, in->len, "\r\n\r\n", 4), *value;
	const size_t last_n = strlen(LAST_CHUNK);
	unsigned long size;

	if (in->len > ANSWER_MAX || (in->len >= 9 && strncmp(in->data, "HTTP/1.", 7) != 0))
		return -1;
	if (end == NULL)
		return 0;
	*status = (int)strtol(in->data + 8, NULL, 10);
	value = head_value(in->data, end, "Connection:");
	*closes = in->data[7] == '0' || (value != NULL && strncasecmp(value, "close", 5) == 0);
	value = head_value(in->data, end, "Transfer-Encoding:");
	if (value != NULL && strncasecmp(value, "chunked", 7) == 0)
		return memcmp(in->data + in->len - last_n, LAST_CHUNK, last_n) == 0;
	value = head_value(in->data, end, "Content-Length:");
	size = value != NULL ? strtoul(value, NULL, 10) : 0;
	if (size > ANSWER_MAX)
		return -1;
	return in->len - (size_t)(end + 4 - in->data) >= size;
}

static void
take_answer(struct post *post)
{
	bool closes = false;
	int status = 0, err = DW_E_FIELD;
	const int whole = read_answer(&post->in, &status, &closes);
	struct dw_fault fault;

	if (whole < 0 || (whole > 0 && post->user == NULL)) {
		fail(post, DW_E_PROTOCOL, "the answer of", "is no HTTP, or too long");
		return;
	}
	if (whole == 0)
		return;
	if (closes || post->stream.out.len > 0)
		post_close(post);
	else
		dw_buf_reset(&post->in);
	if (status >= 200 && status <= 299)
		err = DW_OK;
	else if (status == 401 || status == 403)
		err = DW_E_DENIED;
	else if (status >= 500)
		err = DW_E_BUSY;
	(void)dw_fault_set(&fault, err, NULL, NULL, "'%s' answers %d", post->target->host, status);
	end_request(post, err, fault.message);
}

static void
flush(struct post *post)
{
	if (!stream_flush(&post->stream))
		fail(post, DW_E_HUB_AWAY, "cannot send to", strerror(errno));
}

static void
on_events(struct source *source, uint32_t events)
{
	struct post *post = (struct post *)source;
	char *to;
	ssize_t n;

	if (post->stream.fd >= 0 && (events & EPOLLOUT) != 0)
		flush(post);
	if (post->stream.fd < 0 || (events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	to = dw_buf_room(&post->in, READ_BYTES);
	n = to != NULL ? recv(post->stream.fd, to, READ_BYTES, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(post, DW_E_HUB_AWAY, "no answer of", n < 0 ? strerror(errno) : "it closed the connection");
		return;
	}
	dw_buf_grow(&post->in, (size_t)n);
	take_answer(post);
}

void
post_send(struct post *post, struct loop *loop, void *user)
{
	post->user = user;
	post->stream.source.ready = on_events;
	if (!dw_buf_ok(&post->stream.out))
		fail(post, DW_E_NOMEM, "cannot send to", "no memory");
	else if (post->stream.fd < 0 && !stream_open(&post->stream, loop, post->target, NULL))
		fail(post, DW_E_HUB_AWAY, "cannot connect to", strerror(errno));
	else
		flush(post);
}
