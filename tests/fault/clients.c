/* Many WebSocket clients in one small process, which writes down what each of them got, and when.
 *
 *   clients RECORD <commands
 *
 * Commands, one a line: `open PORT PATH` (a client that reads and answers PINGs, as every WebSocket stack does),
 * `stuck PORT PATH` (one that never reads a byte), `read` (those that were stuck read from now on). The clients are
 * numbered from 0 in the order of their lines. It ends at the end of its input.
 *
 * RECORD gets a struct entry for each message, and for each client that was closed; the times are of CLOCK_MONOTONIC,
 * read once behind each read(). Messages are not parsed but searched: our own tests send them, their `data` begins
 * with "t", and their ids end in a number. What no client of ours should see (an answer other than 101, a masked or a
 * broken frame) ends the program with a word on stderr.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 20000, EVENTS = 256, LINE_MAX_BYTES = 8192, FIRST_BUFFER = 8192, ETHERNET_MSS = 1448 };
enum { TEXT = 0x81, CLOSE = 0x88, PING = 0x89, PONG = 0x8a, MASKED = 0x80 };

struct entry {
	uint64_t at_ns;   /* when it was received */
	uint64_t sent_ns; /* `t` of its data */
	uint64_t seq, n;  /* of a gap: from, to; of a close: its code; of `connect`: head */
	uint32_t client;
	uint32_t kind;   /* 'u'pdate, 'c'onnect, 'g'ap, 'o'ther, 'x': closed by a frame, 'e': ended without */
	uint32_t number; /* at the end of its id */
	uint32_t size;   /* of the message, in bytes */
};

struct client {
	int fd;
	uint32_t index;
	bool stuck, upgraded;
	uint8_t *data;
	size_t have, room;
};

static struct client clients[CLIENTS_MAX];
static uint32_t count;
static int poller;
static FILE *record;

static void
fail(const char *what)
{
	fprintf(stderr, "clients: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void
note(const struct entry *entry)
{
	if (fwrite(entry, sizeof(*entry), 1, record) != 1)
		fail("the record");
}

static void
watch(const struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = client->index };

	if (epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event) != 0)
		fail("epoll");
}

static void
open_client(unsigned port, const char *path, bool stuck)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct client *client = &clients[count];
	char request[LINE_MAX_BYTES + 256];
	const int one = 1, mss = ETHERNET_MSS;
	int n;

	if (count == CLIENTS_MAX)
		fail("too many clients");
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*client = (struct client) { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .index = count, .stuck = stuck };
	count++;
	/* Segments as on a network: those of the loopback, 64 KiB, let each socket buffer megabytes. */
	(void)setsockopt(client->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	(void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("connect");
	n = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
		path);
	if (send(client->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
		fail("send");
	if (!stuck)
		watch(client);
}

static void
close_client(struct client *client)
{
	(void)close(client->fd);
	client->fd = -1;
	free(client->data);
	client->data = NULL;
	client->have = client->room = 0;
}

/* The number behind a key's first place in the text; 0 without. */
static uint64_t
number_of(const uint8_t *text, size_t n, const char *key)
{
	const uint8_t *at = memmem(text, n, key, strlen(key));
	uint64_t value = 0;

	if (at == NULL)
		return 0;
	for (at += strlen(key); at < text + n && *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

/* The digits at the end of the id. */
static uint32_t
number_of_id(const uint8_t *text, size_t n)
{
	const uint8_t *at = memmem(text, n, "\"id\":\"", 6);
	uint32_t value = 0;

	if (at == NULL)
		return 0;
	for (at += 6; at < text + n && *at != '"'; at++)
		value = *at >= '0' && *at <= '9' ? value * 10 + (uint32_t)(*at - '0') : 0;
	return value;
}

static bool
starts(const uint8_t *text, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static void
note_text(const struct client *client, const uint8_t *text, size_t n, uint64_t at)
{
	struct entry entry = { .at_ns = at, .client = client->index, .kind = 'o', .size = (uint32_t)n };

	if (starts(text, n, "{\"type\":\"connect\"")) {
		entry.kind = 'c';
		entry.seq = number_of(text, n, "\"head\":");
	} else if (starts(text, n, "{\"type\":\"gap\"")) {
		entry.kind = 'g';
		entry.seq = number_of(text, n, "\"from\":");
		entry.n = number_of(text, n, "\"to\":");
	} else if (memmem(text, n < 80 ? n : 80, "_update\"", 8) != NULL) {
		entry.kind = 'u';
		entry.seq = number_of(text, n, "\"seq\":");
		entry.n = number_of(text, n, "\"n\":");
		entry.sent_ns = number_of(text, n, "\"t\":");
		entry.number = number_of_id(text, n);
	}
	note(&entry);
}

static void
note_end(const struct client *client, uint32_t kind, uint64_t code, uint64_t at)
{
	note(&(struct entry) { .at_ns = at, .client = client->index, .kind = kind, .seq = code });
}

static void
answer_ping(const struct client *client, const uint8_t *payload, size_t n)
{
	uint8_t pong[6 + 125] = { PONG, (uint8_t)(MASKED | n) };

	memcpy(pong + 6, payload, n);
	/* One that the kernel does not take is one that a client did not send. */
	(void)send(client->fd, pong, 6 + n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Consumes one frame, and returns its size; 0: it is not complete. */
static size_t
take_frame(struct client *client, const uint8_t *p, size_t n, uint64_t at)
{
	size_t header = 2, size;

	if (n < 2)
		return 0;
	size = p[1];
	if (size == 126)
		header = 4;
	else if (size == 127)
		header = 10;
	if (n < header)
		return 0;
	if (header > 2)
		size = 0;
	for (size_t i = 2; i < header; i++)
		size = size << 8 | p[i];
	if (n < header + size)
		return 0;
	if (p[0] == TEXT)
		note_text(client, p + header, size, at);
	else if (p[0] == PING && header == 2)
		answer_ping(client, p + header, size);
	else if (p[0] == CLOSE)
		note_end(client, 'x', size >= 2 ? (uint64_t)p[header] << 8 | p[header + 1] : 1005, at);
	else
		fail("a frame that no client should get");
	return header + size;
}

/* The answer to the upgrade, likewise. */
static size_t
take_upgrade(struct client *client, const uint8_t *p, size_t n)
{
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

	if (end == NULL)
		return 0;
	if (!starts(p, n, "HTTP/1.1 101 "))
		fail("a client was not let in");
	client->upgraded = true;
	return (size_t)(end - p) + 4;
}

static void
take(struct client *client, uint64_t at)
{
	size_t done = 0, taken;

	do {
		const uint8_t *p = client->data + done;
		size_t n = client->have - done;

		taken = client->upgraded ? take_frame(client, p, n, at) : take_upgrade(client, p, n);
		done += taken;
	} while (taken > 0);
	client->have -= done;
	memmove(client->data, client->data + done, client->have);
}

static void
on_readable(struct client *client)
{
	ssize_t n;

	if (client->fd < 0)
		return;
	if (client->room - client->have < FIRST_BUFFER / 2) {
		client->room = client->room == 0 ? FIRST_BUFFER : 2 * client->room;
		client->data = realloc(client->data, client->room);
		if (client->data == NULL)
			fail("memory");
	}
	n = recv(client->fd, client->data + client->have, client->room - client->have, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		note_end(client, 'e', 0, now_ns());
		close_client(client);
		return;
	}
	client->have += (size_t)n;
	take(client, now_ns());
}

static void
obey(const char *line)
{
	char verb[8], path[LINE_MAX_BYTES];
	unsigned port;

	if (sscanf(line, "%7s %u %8191s", verb, &port, path) == 3) {
		open_client(port, path, strcmp(verb, "stuck") == 0);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (clients[i].stuck)
			watch(&clients[i]);
		clients[i].stuck = false;
	}
}

/* Reads commands as they come; false at their end. */
static bool
on_command(void)
{
	static char text[LINE_MAX_BYTES];
	static size_t have;
	ssize_t n = read(STDIN_FILENO, text + have, sizeof(text) - 1 - have);
	char *start = text, *end;

	if (n <= 0)
		return false;
	have += (size_t)n;
	text[have] = '\0';
	while ((end = strchr(start, '\n')) != NULL) {
		*end = '\0';
		obey(start);
		start = end + 1;
	}
	have = (size_t)(text + have - start);
	memmove(text, start, have);
	return true;
}

static void
run(void)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 < CLIENTS_MAX)
				on_readable(&clients[events[i].data.u32]);
			else if (!on_command())
				return;
		}
		if (fflush(record) != 0)
			fail("the record");
	}
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	struct epoll_event commands = { .events = EPOLLIN, .data.u32 = CLIENTS_MAX };

	record = argc == 2 ? fopen(argv[1], "wb") : NULL;
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (record == NULL || poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &commands) != 0)
		fail("clients RECORD <commands");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	(void)setvbuf(record, NULL, _IOFBF, 1 << 20);
	run();
	return fclose(record) == 0 ? 0 : 1;
}
