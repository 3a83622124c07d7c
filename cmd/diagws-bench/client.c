/* The clients' connections: starting them, the upgrade (RFC 6455 section 4.1), frames in, PONGs out.
 *
 * What has come is read into one buffer for all; only the begin of a frame that is not complete is kept, and only a
 * message in several frames is put together. So an idle client costs its struct. Failure modes: what ends a connection
 * is told to client_down; a limit of open files that cannot be raised. PONGs that a server does not read are dropped
 * beyond OUT_MAX.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "crowd.h"
#include "frame.h"
#include "message/msg.h"

enum { ANSWER_MAX = 16 * 1024, OUT_MAX = 8 * 1024, ACCEPT_BYTES = 28 };
enum { FILES_BESIDE = 256, STARTS_IN_A_TURN = 64 };

static void
cut(struct client *client)
{
	/* No TIME_WAIT: the next run needs the ports. */
	const struct linger linger = { .l_onoff = 1 };

	if (client->stream.fd >= 0)
		(void)setsockopt(client->stream.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	stream_close(&client->stream);
	crowd_forget(client->crowd, client);
	dw_buf_clear(&client->rest);
	dw_buf_clear(&client->parts);
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
	cut(client);
	if (crowd->err != DW_OK)
		return;
	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	crowd->err = dw_fault_set(&crowd->fault, err, NULL, NULL, "client %u: %s", client->index, what);
}

/* The upgrade; what is to be answered to its key is kept. */
static void
add_request(struct client *client)
{
	const struct plan *plan = client->crowd->plan;
	const uint64_t random[2] = { dw_random(), dw_random() };
	struct dw_buf *out = &client->stream.out;
	unsigned char key[32], digest[20];
	char text[80];

	(void)EVP_EncodeBlock(key, (const unsigned char *)random, sizeof(random));
	(void)snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (const char *)key);
	(void)EVP_Digest(text, strlen(text), digest, NULL, EVP_sha1(), NULL);
	(void)EVP_EncodeBlock((unsigned char *)client->accept, digest, sizeof(digest));
	dw_buf_adds(out, "GET ");
	plan_path(plan, out, client->index, client->joined ? client->seq : UINT64_MAX);
	dw_buf_addf(out,
		" HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n",
		plan->ws.host, (const char *)key);
}

static void
end_connection(struct client *client, const char *why)
{
	client_down(client, DW_E_HUB_AWAY, "the connection to '%s' ended: %s", client->crowd->plan->ws.host, why);
}

static void
flush(struct client *client)
{
	if (!stream_flush(&client->stream))
		end_connection(client, strerror(errno));
}

static void on_events(struct source *source, uint32_t events);

static void
open_client(struct client *client, uint64_t due)
{
	struct crowd *crowd = client->crowd;
	const struct plan *plan = crowd->plan;
	struct sockaddr_in from = { .sin_family = AF_INET };

	client->stream.source.ready = on_events;
	client->due = due;
	client->state = CLIENT_UPGRADING;
	crowd->unfinished++;
	if (plan->of_source > 0)
		from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + client->index / plan->of_source);
	add_request(client);
	if (!dw_buf_ok(&client->stream.out))
		client_down(client, DW_E_NOMEM, "no memory");
	else if (!stream_open(&client->stream, crowd->loop, &plan->ws, plan->of_source > 0 ? &from : NULL) ||
			 !stream_flush(&client->stream))
		client_down(client, DW_E_HUB_AWAY, "cannot connect to '%s': %s", plan->ws.host, strerror(errno));
}

/* The answer to the upgrade: its bytes; 0: it is not complete, or the client is down. */
static size_t
take_upgrade(struct client *client, const uint8_t *bytes, size_t n, uint64_t now)
{
	const char *p = (const char *)bytes, *end = memmem(p, n, "\r\n\r\n", 4);
	struct crowd *crowd = client->crowd;
	char quoted[DW_QUOTE_SIZE];
	const char *accept;

	if (end == NULL) {
		if (n > ANSWER_MAX)
			client_down(client, DW_E_PROTOCOL, "the answer to the upgrade is too long");
		return 0;
	}
	if (strncmp(p, "HTTP/1.1 101", 12) != 0) {
		const bool denied = strncmp(p, "HTTP/1.1 401", 12) == 0 || strncmp(p, "HTTP/1.1 403", 12) == 0;

		client_down(client, denied ? DW_E_DENIED : DW_E_PROTOCOL, "the server answers '%s' to the upgrade",
			dw_quote(dw_bytes(p, strcspn(p, "\r")), quoted));
		return 0;
	}
	accept = head_value(p, end, "Sec-WebSocket-Accept:");
	if (accept == NULL || strcspn(accept, " \t\r") != ACCEPT_BYTES ||
		memcmp(accept, client->accept, ACCEPT_BYTES) != 0) {
		client_down(client, DW_E_PROTOCOL, "the server's Sec-WebSocket-Accept is wrong");
		return 0;
	}
	client->state = CLIENT_WAITING;
	if (bench_options.ready[0] == '\0')
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
	const size_t n = frame->size > 2 ? frame->size - 2 : 0;
	char quoted[DW_QUOTE_SIZE];

	client_down(client, code == 1008 ? DW_E_DENIED : DW_E_HUB_AWAY, "the server closed it: %u '%s'", code,
		dw_quote(dw_bytes(frame->payload + 2, n), quoted));
}

static void
add_pong(struct client *client, const struct frame *frame)
{
	struct dw_buf *out = &client->stream.out;
	char *to = out->len < OUT_MAX ? dw_buf_room(out, FRAME_MASKED_MAX) : NULL;

	if (to != NULL)
		dw_buf_grow(out, frame_pong((uint8_t *)to, frame->payload, frame->size, (uint32_t)mrand48()));
}

static void
take_frame(struct client *client, const struct frame *frame, uint64_t now)
{
	switch (frame->opcode) {
	case FRAME_TEXT:
	case FRAME_BINARY:
	case FRAME_MORE:
		if (frame->last && frame->opcode != FRAME_MORE)
			crowd_message(client->crowd, client, (const char *)frame->payload, frame->size, now);
		else
			take_part(client, frame, now);
		break;
	case FRAME_PING:
		if (!bench_options.no_confirm)
			add_pong(client, frame);
		break;
	case FRAME_PONG:
		break;
	case FRAME_CLOSE:
		take_close(client, frame);
		break;
	}
}

/* Takes what is complete, and returns how many bytes that was. */
static size_t
take(struct client *client, const uint8_t *p, size_t n, uint64_t now)
{
	size_t done = 0;
	struct frame frame;

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
	return done;
}

static void
on_readable(struct client *client)
{
	static uint8_t buffer[FRAME_MAX + FRAME_HEADER_MAX];
	size_t have = client->rest.len, done;
	const ssize_t n = recv(client->stream.fd, buffer + have, sizeof(buffer) - have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_connection(client, n < 0 ? strerror(errno) : "closed by the server");
		return;
	}
	if (have > 0)
		memcpy(buffer, client->rest.data, have);
	have += (size_t)n;
	done = take(client, buffer, have, now_ns());
	if (client->state == CLIENT_DOWN)
		return;
	dw_buf_clear(&client->rest);
	if (have > done)
		dw_buf_add(&client->rest, buffer + done, have - done);
	if (!dw_buf_ok(&client->rest))
		client_down(client, DW_E_NOMEM, "no memory");
	else if (client->stream.out.len > 0 && !client->stream.blocked)
		flush(client);
}

static void
on_events(struct source *source, uint32_t events)
{
	struct client *client = (struct client *)source;

	if (client->stream.fd >= 0 && (events & EPOLLOUT) != 0)
		flush(client);
	if (client->stream.fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0)
		on_readable(client);
}

static int
raise_limit(uint32_t clients, struct dw_fault *fault)
{
	const rlim_t wanted = (rlim_t)clients + FILES_BESIDE;
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return DW_OK;
	more = (struct rlimit) { wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted };
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return DW_OK;
	return dw_fault_set(fault, DW_E_CONFIG, NULL, "a hard limit (ulimit -Hn) of as many",
		"%u connections need %llu open files, and only %llu are allowed", clients, (unsigned long long)wanted,
		(unsigned long long)limit.rlim_max);
}

int
crowd_init(struct crowd *crowd, const struct plan *plan, struct loop *loop, struct dw_fault *fault)
{
	*crowd = (struct crowd) {
		.plan = plan,
		.loop = loop,
		.count = plan->clients,
		.concurrency = (uint64_t)bench_options.concurrency,
		.begun_at = now_ns(),
		.count_from = UINT64_MAX,
		.sent = { "\"sent", 5, 0 },
		.number = { "\"number", 7, 0 },
		.seq = { "\"seq", 4, 0 },
	};
	crowd->clients = calloc((size_t)plan->clients + 1, sizeof(*crowd->clients));
	crowd->rooms = calloc(plan->rooms, sizeof(*crowd->rooms));
	if (crowd->clients == NULL || crowd->rooms == NULL)
		return DW_E_NOMEM;
	for (uint32_t i = 0; i < plan->clients; i++) {
		crowd->clients[i].stream.fd = -1;
		crowd->clients[i].index = i;
		crowd->clients[i].room = plan_room_of(plan, i);
		crowd->clients[i].crowd = crowd;
	}
	for (uint32_t i = 0; i < plan->rooms; i++)
		crowd->rooms[i].floor = UINT64_MAX;
	return raise_limit(plan->clients + (uint32_t)bench_options.senders, fault);
}

void
crowd_cut(struct crowd *crowd)
{
	for (uint32_t i = 0; crowd->clients != NULL && i < crowd->count; i++)
		cut(&crowd->clients[i]);
}

void
crowd_clear(struct crowd *crowd)
{
	if (crowd->rooms != NULL)
		crowd_cut(crowd);
	free(crowd->clients);
	free(crowd->rooms);
}

uint64_t
crowd_connect(struct crowd *crowd, uint64_t now)
{
	for (uint32_t i = 0; crowd->started < crowd->count; i++) {
		const uint64_t due =
			crowd->rate > 0 ? crowd->start_at + crowd->started * UINT64_C(1000000000) / crowd->rate : now;

		if (crowd->unfinished >= crowd->concurrency)
			return LOOP_IDLE;
		if (due > now)
			return due;
		/* What has come meanwhile is not to wait for all of them. */
		if (i == STARTS_IN_A_TURN)
			return now;
		crowd->started++;
		open_client(&crowd->clients[crowd->started - 1], due);
	}
	return LOOP_IDLE;
}
