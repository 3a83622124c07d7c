/* One client's connection: TCP, the upgrade (RFC 6455 section 4.1), frames in, PONGs out.
 *
 * Its own file because it is the part that knows sockets. What has come is read into one buffer for all and taken from
 * there; only the begin of a frame that is not complete is kept, and only a message in several frames is put together.
 * So an idle client costs its struct. Failure modes: refused, an answer other than 101 with the right accept, a frame
 * that breaks the rules, the end: all are client_down, with the reason. PONGs that a server does not read are dropped
 * beyond OUT_MAX.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "crowd.h"
#include "frame.h"
#include "message/msg.h"

enum { ANSWER_MAX = 16 * 1024, OUT_MAX = 4096, KEY_BYTES = 16, PONGS_MAX = 64 * FRAME_MASKED_MAX };

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

void
client_cut(struct client *client)
{
	/* No TIME_WAIT: the next run needs the ports. */
	const struct linger linger = { .l_onoff = 1 };

	if (client->fd >= 0) {
		(void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		(void)close(client->fd);
	}
	client->fd = -1;
	crowd_forget(client->crowd, client);
	free(client->rest);
	client->rest = NULL;
	client->have = 0;
	dw_buf_clear(&client->parts);
	dw_buf_clear(&client->out);
}

/* It goes DOWN, against our will. */
__attribute__((format(printf, 3, 4))) static void
client_down(struct client *client, int err, const char *format, ...)
{
	struct crowd *crowd = client->crowd;
	char what[200];
	va_list args;

	if (client->state != CLIENT_READY)
		crowd->failed++;
	crowd->errors++;
	client_cut(client);
	if (crowd->err != DW_OK)
		return;
	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	crowd->err = dw_fault_set(&crowd->fault, err, NULL, NULL, "client %u: %s", client->index, what);
}

static uint64_t
next_random(struct crowd *crowd)
{
	crowd->random ^= crowd->random << 13;
	crowd->random ^= crowd->random >> 7;
	crowd->random ^= crowd->random << 17;
	return crowd->random;
}

static void
to_base64(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		const size_t left = n - i < 3 ? n - i : 3;
		uint8_t three[3] = { 0 };

		memcpy(three, bytes + i, left);
		out[0] = digits[three[0] >> 2];
		out[1] = digits[(three[0] & 3) << 4 | three[1] >> 4];
		out[2] = digits[(three[1] & 15) << 2 | three[2] >> 6];
		out[3] = digits[three[2] & 63];
		memset(out + 1 + left, '=', 3 - left);
		out += 4;
	}
	*out = '\0';
}

/* Fills key and what is to be answered to it. */
static void
make_key(struct client *client, char key[32])
{
	char text[80];
	uint8_t digest[20], random[KEY_BYTES];

	for (size_t i = 0; i < KEY_BYTES; i += sizeof(uint64_t)) {
		const uint64_t bits = next_random(client->crowd);

		memcpy(random + i, &bits, sizeof(bits));
	}
	to_base64(random, KEY_BYTES, key);
	(void)snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	dw_sha1(text, strlen(text), digest);
	to_base64(digest, sizeof(digest), client->accept);
}

static bool
make_request(struct client *client, uint64_t after)
{
	const struct plan *plan = client->crowd->plan;
	struct dw_buf *out = &client->out;
	char key[32];

	make_key(client, key);
	dw_buf_reset(out);
	dw_buf_adds(out, "GET ");
	plan_path(plan, out, client->index, after);
	dw_buf_addf(out,
		" HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n",
		plan->ws.host, key);
	return dw_buf_ok(out);
}

static void on_events(struct source *source, uint32_t events);

/* Binds to an address of ours when there are more clients than one has ports for. */
static void
choose_source(const struct client *client, int fd)
{
	const struct plan *plan = client->crowd->plan;
	struct sockaddr_in own = { .sin_family = AF_INET };
	const int one = 1;

	if (plan->sources == 0)
		return;
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + client->index / plan->of_source);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	(void)bind(fd, (struct sockaddr *)&own, sizeof(own));
}

/* Sends what waits. True: nothing does any more. */
static bool
flush_out(struct client *client)
{
	ssize_t n = send(client->fd, client->out.data, client->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return false;
	errno = EAGAIN;
	if ((size_t)n < client->out.len) {
		memmove(client->out.data, client->out.data + n, client->out.len - (size_t)n);
		client->out.len -= (size_t)n;
		return false;
	}
	dw_buf_clear(&client->out);
	return true;
}

void
client_open(struct client *client, uint64_t due, uint64_t after)
{
	struct crowd *crowd = client->crowd;
	const struct target *target = &crowd->plan->ws;
	const int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	uint32_t events = EPOLLIN;

	client->fd = fd;
	client->due = due;
	client->source.ready = on_events;
	client->state = CLIENT_CONNECTING;
	crowd->unfinished++;
	if (fd < 0 || !make_request(client, after)) {
		client_down(client, DW_E_NOMEM, "cannot open a socket: %s", strerror(errno));
		return;
	}
	choose_source(client, fd);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&target->address, target->size) != 0 && errno != EINPROGRESS) {
		client_down(client, DW_E_HUB_AWAY, "cannot connect to '%s': %s", target->host, strerror(errno));
		return;
	}
	/* On loopback it is connected already. */
	if (flush_out(client))
		client->state = CLIENT_UPGRADING;
	else if (errno == EAGAIN)
		events |= EPOLLOUT;
	else
		return client_down(client, DW_E_HUB_AWAY, "cannot connect to '%s': %s", target->host, strerror(errno));
	if (!loop_add(crowd->loop, fd, events, &client->source))
		client_down(client, DW_E_NOMEM, "cannot watch a socket: %s", strerror(errno));
}

static bool
is_line(const char *line, size_t n, const char *name, const char *value)
{
	const size_t name_n = strlen(name);
	size_t end = n;

	if (n < name_n || strncasecmp(line, name, name_n) != 0)
		return false;
	line += name_n;
	end -= name_n;
	while (end > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		end--;
	}
	while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t'))
		end--;
	return end == strlen(value) && memcmp(line, value, end) == 0;
}

/* The answer to the upgrade: its bytes; 0: it is not complete, or the client is down. */
static size_t
take_upgrade(struct client *client, const uint8_t *bytes, size_t n, uint64_t now)
{
	const char *p = (const char *)bytes, *end = memmem(p, n, "\r\n\r\n", 4);
	struct crowd *crowd = client->crowd;
	char quoted[DW_QUOTE_SIZE];
	bool accepted = false;
	size_t first;

	if (end == NULL) {
		if (n > ANSWER_MAX)
			client_down(client, DW_E_PROTOCOL, "the answer to the upgrade is too long");
		return 0;
	}
	first = (size_t)((const char *)memchr(p, '\r', n) - p);
	if (strncmp(p, "HTTP/1.1 101", 12) != 0) {
		const bool denied = strncmp(p, "HTTP/1.1 401", 12) == 0 || strncmp(p, "HTTP/1.1 403", 12) == 0;

		client_down(client, denied ? DW_E_DENIED : DW_E_PROTOCOL, "the server answers '%s' to the upgrade",
			dw_quote((struct dw_str) { p, first }, quoted));
		return 0;
	}
	for (const char *line = p + first + 2; line < end;
		 line = (const char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1) {
		const char *stop = memchr(line, '\r', (size_t)(end + 1 - line));

		accepted = accepted || is_line(line, (size_t)(stop - line), "Sec-WebSocket-Accept:", client->accept);
	}
	if (!accepted) {
		client_down(client, DW_E_PROTOCOL, "the server's Sec-WebSocket-Accept is wrong");
		return 0;
	}
	client->state = CLIENT_WAITING;
	if (crowd->ready_n == 0)
		crowd_ready(crowd, client, now);
	return (size_t)(end - p) + 4;
}

/* A message in several frames is the only one that is copied. */
static void
take_part(struct client *client, const struct frame *frame, uint64_t now)
{
	struct crowd *crowd = client->crowd;

	if (client->parts.len + frame->size > FRAME_MAX) {
		client_down(client, DW_E_TOO_BIG, "a message is over %d bytes", FRAME_MAX);
		return;
	}
	dw_buf_add(&client->parts, frame->payload, frame->size);
	if (client->parts.failed) {
		client_down(client, DW_E_NOMEM, "no memory");
	} else if (frame->last) {
		crowd_message(crowd, client, client->parts.data != NULL ? client->parts.data : "", client->parts.len, now);
		dw_buf_clear(&client->parts);
	}
}

static void
take_close(struct client *client, const struct frame *frame)
{
	const unsigned code = frame->size >= 2 ? (unsigned)frame->payload[0] << 8 | frame->payload[1] : 1005;
	const int n = frame->size > 2 ? (int)frame->size - 2 : 0;
	char quoted[DW_QUOTE_SIZE];

	client_down(client, code == 1008 ? DW_E_DENIED : DW_E_HUB_AWAY, "the server closed it: %u '%s'", code,
		dw_quote((struct dw_str) { (const char *)frame->payload + 2, (size_t)n }, quoted));
}

static void
take_frame(struct client *client, const struct frame *frame, uint64_t now)
{
	struct crowd *crowd = client->crowd;

	switch (frame->opcode) {
	case FRAME_TEXT:
	case FRAME_BINARY:
		if (frame->last)
			crowd_message(crowd, client, (const char *)frame->payload, frame->size, now);
		else
			take_part(client, frame, now);
		break;
	case FRAME_MORE:
		take_part(client, frame, now);
		break;
	case FRAME_PING:
		if (!crowd->no_confirm && crowd->pongs_n + FRAME_MASKED_MAX <= PONGS_MAX)
			crowd->pongs_n += frame_control(
				crowd->pongs + crowd->pongs_n, FRAME_PONG, frame->payload, frame->size, (uint32_t)next_random(crowd));
		break;
	case FRAME_PONG:
		break;
	case FRAME_CLOSE:
		take_close(client, frame);
		break;
	}
}

static void
send_pongs(struct client *client)
{
	struct crowd *crowd = client->crowd;
	ssize_t n = 0;

	if (client->out.len == 0)
		n = send(client->fd, crowd->pongs, crowd->pongs_n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		n = 0;
	if ((size_t)n == crowd->pongs_n || (n == 0 && client->out.len > OUT_MAX))
		return;
	dw_buf_add(&client->out, crowd->pongs + n, crowd->pongs_n - (size_t)n);
	loop_change(crowd->loop, client->fd, EPOLLIN | EPOLLOUT, &client->source);
}

/* Takes what is complete, and returns how many bytes that was. */
static size_t
take(struct client *client, const uint8_t *p, size_t n, uint64_t now)
{
	size_t done = 0;
	struct frame frame;

	client->crowd->pongs_n = 0;
	if (client->state == CLIENT_UPGRADING)
		done = take_upgrade(client, p, n, now);
	while (client->state >= CLIENT_WAITING) {
		const long taken = frame_next(p + done, n - done, &frame);

		if (taken < 0)
			client_down(client, DW_E_PROTOCOL, "the server sent a frame that breaks the rules, or over 1 MiB");
		if (taken <= 0)
			break;
		take_frame(client, &frame, now);
		done += (size_t)taken;
	}
	if (client->crowd->pongs_n > 0 && client->state != CLIENT_DOWN)
		send_pongs(client);
	return done;
}

static void
keep_rest(struct client *client, const uint8_t *p, size_t n)
{
	uint8_t *rest = n > 0 ? realloc(client->rest, n) : NULL;

	if (rest == NULL)
		free(client->rest);
	client->rest = rest;
	client->have = 0;
	if (n == 0)
		return;
	if (rest == NULL) {
		client_down(client, DW_E_NOMEM, "no memory");
		return;
	}
	memcpy(rest, p, n);
	client->have = (uint32_t)n;
}

static void
on_readable(struct client *client)
{
	struct crowd *crowd = client->crowd;
	uint8_t *const buffer = crowd->buffer;
	const size_t size = FRAME_MAX + FRAME_HEADER_MAX;
	size_t have = client->have, done;
	ssize_t n;

	n = recv(client->fd, buffer + have, size - have, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_down(client, DW_E_HUB_AWAY, "the connection to '%s' ended: %s", crowd->plan->ws.host,
			n < 0 ? strerror(errno) : "closed by the server");
		return;
	}
	if (have > 0)
		memcpy(buffer, client->rest, have);
	have += (size_t)n;
	done = take(client, buffer, have, now_ns());
	if (client->state != CLIENT_DOWN && (have > done || client->have > 0))
		keep_rest(client, buffer + done, have - done);
}

static void
on_events(struct source *source, uint32_t events)
{
	struct client *client = (struct client *)source;

	if (client->fd < 0)
		return;
	if ((events & EPOLLOUT) != 0 && client->out.len > 0 && flush_out(client)) {
		if (client->state == CLIENT_CONNECTING)
			client->state = CLIENT_UPGRADING;
		loop_change(client->crowd->loop, client->fd, EPOLLIN, &client->source);
	}
	/* Errors are told by reading. */
	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		on_readable(client);
}
