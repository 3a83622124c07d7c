/* libs: libcrypto */
/* The physical floor: what a push costs when nothing is kept, checked or confirmed.
 *
 *     floor_epoll PORT [PING_MS]
 *
 * A WebSocket server that is one epoll loop. GET /ws/{room} with an upgrade makes a client of that room; POST
 * /pub/{room}[?burst=N] (keep-alive, the body is the message) is answered when the message was written to all. A
 * frame is built once and each client costs one plain send(). Messages of a room that come in one turn of the loop go
 * out in one send, and with ?burst=N the loop waits until N are there: that is the floor for N published at once. With
 * PING_MS a PING follows the messages in the same send, at most one in so long: the floor of asking for confirmations.
 * What was published to a room before anybody was in it is given to whoever comes, in one send.
 *
 * What keeps it honest: clients lie in one array per room, there are no timers, no copies and no lists to walk beside
 * it. What keeps it small: a client that does not take all at once is closed (seen as lost messages by whoever
 * measures), what a client says is read and dropped, but for a close frame.
 */
#include <errno.h>
#include <netinet/in.h>
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

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <uthash.h>

enum {
	NAME = 128,
	REQUEST_MAX = 128 * 1024,
	FRAMES_MAX = 1 << 20,
	KEPT_MAX = 64 * 1024,
	WAITING_MAX = 4096,
	EVENTS = 512,
	BACKLOG = 4096
};

struct conn {
	struct room *room; /* NULL: HTTP */
	uint32_t place;    /* in room->clients */
	uint32_t got;
	char *in; /* an unfinished request */
};

struct room {
	UT_hash_handle hh;
	char name[NAME];
	int *clients;
	uint32_t count, cap;
	uint32_t have, want; /* messages in `out`; how many to wait for */
	size_t out_size;
	char *out;  /* frames that are ready */
	char *kept; /* those that nobody was there for, as far as there is a place */
	size_t kept_size;
	long pinged;  /* ms */
	int *waiting; /* who posted them */
	struct room *next_dirty;
	bool dirty;
};

static struct conn **conns; /* by descriptor */
static struct room *rooms, *dirty;
static int loop;
static long ping_ms;

static void
drop(int fd)
{
	struct conn *conn = conns[fd];

	if (conn->room != NULL) {
		struct room *room = conn->room;
		int last = room->clients[--room->count];

		room->clients[conn->place] = last;
		conns[last]->place = conn->place;
	}
	free(conn->in);
	free(conn);
	conns[fd] = NULL;
	(void)close(fd);
}

static bool
put(int fd, const char *bytes, size_t n)
{
	return send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static struct room *
room_of(const char *name, size_t n)
{
	struct room *room;

	if (n >= NAME)
		return NULL;
	HASH_FIND(hh, rooms, name, n, room);
	if (room != NULL)
		return room;
	room = calloc(1, sizeof(*room));
	if (room == NULL)
		abort();
	memcpy(room->name, name, n);
	HASH_ADD_KEYPTR(hh, rooms, room->name, n, room);
	return room;
}

static void
enter(int fd, struct room *room)
{
	struct conn *conn = conns[fd];

	if (room->count == room->cap) {
		room->cap = room->cap == 0 ? 16 : room->cap * 2;
		room->clients = realloc(room->clients, room->cap * sizeof(*room->clients));
		if (room->clients == NULL)
			abort();
	}
	conn->room = room;
	conn->place = room->count;
	room->clients[room->count++] = fd;
}

static void
upgrade(int fd, const char *head, struct room *room)
{
	static const char name[] = "sec-websocket-key:", guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	const char *key = strcasestr(head, name);
	char text[256], accept[64];
	unsigned char digest[SHA_DIGEST_LENGTH];
	int n;

	if (key == NULL || room == NULL) {
		drop(fd);
		return;
	}
	key += sizeof(name) - 1;
	key += strspn(key, " ");
	n = snprintf(text, sizeof(text), "%.*s%s", (int)(strcspn(key, " \r\n") & 0x3f), key, guid);
	(void)SHA1((unsigned char *)text, (size_t)n, digest);
	(void)EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
	n = snprintf(text, sizeof(text),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
		"%s\r\n\r\n",
		accept);
	enter(fd, room);
	if (!put(fd, text, (size_t)n) || (room->kept_size > 0 && !put(fd, room->kept, room->kept_size)))
		drop(fd);
}

static void
publish(int fd, struct room *room, uint32_t burst, const char *body, size_t n)
{
	uint8_t header[4] = { 0x81, (uint8_t)n };
	size_t size = 2;

	if (room == NULL || n > UINT16_MAX || room->have == WAITING_MAX || room->out_size + n + 4 > FRAMES_MAX) {
		drop(fd);
		return;
	}
	if (room->out == NULL) {
		room->out = malloc(FRAMES_MAX);
		room->waiting = malloc(WAITING_MAX * sizeof(*room->waiting));
		if (room->out == NULL || room->waiting == NULL)
			abort();
	}
	if (n >= 126) {
		header[1] = 126;
		header[2] = (uint8_t)(n >> 8);
		header[3] = (uint8_t)n;
		size = 4;
	}
	memcpy(room->out + room->out_size, header, size);
	memcpy(room->out + room->out_size + size, body, n);
	room->out_size += size + n;
	room->waiting[room->have++] = fd;
	room->want = burst;
	if (!room->dirty) {
		room->dirty = true;
		room->next_dirty = dirty;
		dirty = room;
	}
}

/* A PING of 17 bytes behind the messages, when it is time for one. */
static void
ask(struct room *room)
{
	struct timespec now;
	long ms;

	if (ping_ms == 0)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (ms < room->pinged + ping_ms || room->out_size + 19 > FRAMES_MAX)
		return;
	room->pinged = ms;
	memset(room->out + room->out_size, 'p', 19);
	room->out[room->out_size] = (char)0x89;
	room->out[room->out_size + 1] = 17;
	room->out_size += 19;
}

static void
keep(struct room *room)
{
	if (room->kept == NULL && (room->kept = malloc(KEPT_MAX)) == NULL)
		abort();
	if (room->kept_size + room->out_size > KEPT_MAX)
		return;
	memcpy(room->kept + room->kept_size, room->out, room->out_size);
	room->kept_size += room->out_size;
}

/* One send for each client, then the answers. */
static void
flush(void)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	struct room *room = dirty;

	dirty = NULL;
	while (room != NULL) {
		struct room *next = room->next_dirty;

		room->dirty = false;
		if (room->have < room->want) {
			room->dirty = true;
			room->next_dirty = dirty;
			dirty = room;
			room = next;
			continue;
		}
		if (room->count == 0)
			keep(room);
		ask(room);
		for (uint32_t i = room->count; i-- > 0;) {
			if (!put(room->clients[i], room->out, room->out_size))
				drop(room->clients[i]);
		}
		for (uint32_t i = 0; i < room->have; i++) {
			if (conns[room->waiting[i]] != NULL)
				(void)put(room->waiting[i], answer, sizeof(answer) - 1);
		}
		room->have = 0;
		room->out_size = 0;
		room = next;
	}
}

/* Takes one request off in[0..got); 0: it is not all there. */
static size_t
request(int fd, char *in, size_t got)
{
	char *end = memmem(in, got, "\r\n\r\n", 4), *path, *length, *query;
	size_t body = 0, head, name;

	if (end == NULL)
		return 0;
	*end = '\0';
	head = (size_t)(end - in) + 4;
	length = strcasestr(in, "\ncontent-length:");
	if (length != NULL)
		body = strtoul(length + 16, NULL, 10);
	if (body > REQUEST_MAX || got < head + body) {
		*end = '\r';
		return 0;
	}
	path = strchr(in, '/'); /* /ws/NAME or /pub/NAME */
	path = path != NULL ? strchr(path + 1, '/') : NULL;
	if (path == NULL) {
		drop(fd);
		return 0;
	}
	name = strcspn(++path, " ?\r");
	query = path[name] == '?' ? strstr(path + name, "burst=") : NULL;
	if (strncmp(in, "POST", 4) == 0)
		publish(fd, room_of(path, name), query != NULL ? (uint32_t)strtoul(query + 6, NULL, 10) : 1, end + 4, body);
	else
		upgrade(fd, in, room_of(path, name));
	return head + body;
}

static void
readable(int fd)
{
	static char buffer[REQUEST_MAX * 2 + 1];
	struct conn *conn = conns[fd];
	size_t have = conn->got, used = 0, one;
	ssize_t n;

	if (have > 0)
		memcpy(buffer, conn->in, have);
	n = recv(fd, buffer + have, sizeof(buffer) - 1 - have, 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			drop(fd);
		return;
	}
	if (conn->room != NULL) {
		if ((buffer[0] & 0x0f) == 8)
			drop(fd);
		return;
	}
	have += (size_t)n;
	buffer[have] = '\0';
	while (used < have && (one = request(fd, buffer + used, have - used)) > 0) {
		used += one;
		if (conns[fd] == NULL || conns[fd]->room != NULL)
			break;
	}
	if (conns[fd] == NULL)
		return;
	free(conn->in);
	conn->in = NULL;
	conn->got = 0;
	if (conn->room == NULL && used < have) {
		conn->in = malloc(have - used);
		if (conn->in == NULL)
			abort();
		memcpy(conn->in, buffer + used, have - used);
		conn->got = (uint32_t)(have - used);
	}
}

static void
watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0)
		abort();
}

static void
take(int listener)
{
	const int on = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		conns[fd] = calloc(1, sizeof(struct conn));
		if (conns[fd] == NULL)
			abort();
		watch(fd);
	}
}

static int
listen_on(uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0) {
		perror("floor_epoll");
		exit(1);
	}
	return fd;
}

int
main(int argc, char **argv)
{
	struct rlimit files = { 0 };
	int listener;

	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "usage: floor_epoll PORT [PING_MS]\n");
		return 64;
	}
	ping_ms = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	conns = calloc(files.rlim_cur, sizeof(*conns));
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (conns == NULL || loop < 0)
		return 71;
	listener = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
	watch(listener);
	for (;;) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(loop, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				take(listener);
			else if (conns[fd] != NULL)
				readable(fd);
		}
		flush();
	}
}
