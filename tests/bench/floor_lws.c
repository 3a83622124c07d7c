/* libs: libwebsockets libuv */
/* What libwebsockets itself costs, on libuv, with nothing else around it: the floor under diagws-edge.
 *
 *     floor_lws PORT [callback]
 *
 * GET /ws/{room} with an upgrade makes a client of that room; POST /pub/{room}[?burst=N] (the body is the message) is
 * answered when N messages are there and were written. Written at once, the default: ready frames go out in one
 * lws_write(LWS_WRITE_RAW) to each client for which nothing is buffered. With `callback`: the way libwebsockets is
 * taught, a writable callback for each client and message. What was published to a room before anybody was in it is
 * given to whoever comes, in one lws_write.
 *
 * A client that is too slow is closed, which whoever measures sees as lost messages.
 */
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include <uthash.h>
#include <utlist.h>

enum {
	NAME = 128,
	MESSAGE_MAX = 4096,
	RING = 64,
	FRAMES = RING * (MESSAGE_MAX + 4),
	RX_BUFFER = 128,
	TX_PACKET = 65536,
	KEPT_MAX = 64 * 1024
};

struct client {
	struct lws *wsi;
	struct room *room; /* NULL: HTTP */
	struct client *prev, *next;
	uint64_t at; /* callback: the message it gets next */
	char *body;  /* HTTP */
	size_t got;
};

struct room {
	UT_hash_handle hh;
	char name[NAME];
	struct client *clients;
	struct client *waiting[RING]; /* who posted what is in `frames` */
	uint32_t have;
	size_t size;
	unsigned char *frames; /* at once: ready frames, one behind another */
	unsigned char *kept;   /* those that nobody was there for, as far as there is a place */
	size_t kept_size;
	unsigned char (*ring)[LWS_PRE + MESSAGE_MAX];
	size_t sizes[RING];
	uint64_t end; /* callback: messages ever */
};

static struct room *rooms;
static bool by_callback;

static struct room *
room_of(struct lws *wsi, enum lws_token_indexes token)
{
	char path[NAME + 8];
	const char *name;
	struct room *room;

	if (lws_hdr_copy(wsi, path, sizeof(path), token) <= 0 || (name = strchr(path + 1, '/')) == NULL)
		return NULL;
	HASH_FIND_STR(rooms, name + 1, room);
	if (room != NULL || strlen(name + 1) >= NAME)
		return room;
	room = calloc(1, sizeof(*room));
	if (room == NULL)
		abort();
	(void)snprintf(room->name, sizeof(room->name), "%s", name + 1);
	HASH_ADD_STR(rooms, name, room);
	return room;
}

static void
keep(struct room *room)
{
	if (room->kept == NULL && (room->kept = malloc(KEPT_MAX)) == NULL)
		abort();
	if (room->kept_size + room->size > KEPT_MAX)
		return;
	memcpy(room->kept + room->kept_size, room->frames, room->size);
	room->kept_size += room->size;
}

static void
push(struct room *room)
{
	struct client *client, *next;

	if (room->clients == NULL)
		keep(room);
	DL_FOREACH_SAFE(room->clients, client, next)
	{
		if (by_callback)
			lws_callback_on_writable(client->wsi);
		else if (lws_partial_buffered(client->wsi) ||
				 lws_write(client->wsi, room->frames, room->size, LWS_WRITE_RAW) < 0)
			lws_set_timeout(client->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	}
	for (uint32_t i = 0; i < room->have; i++)
		lws_callback_on_writable(room->waiting[i]->wsi);
	room->have = 0;
	room->size = 0;
}

static int
publish(struct client *client, struct room *room, uint32_t burst)
{
	size_t n = client->got, at = room->size;

	if (room->frames == NULL) {
		room->frames = malloc(FRAMES);
		room->ring = calloc(RING, sizeof(*room->ring));
		if (room->frames == NULL || room->ring == NULL)
			abort();
	}
	if (room->have == RING)
		return -1;
	room->frames[at++] = 0x81;
	if (n < 126) {
		room->frames[at++] = (unsigned char)n;
	} else {
		room->frames[at++] = 126;
		room->frames[at++] = (unsigned char)(n >> 8);
		room->frames[at++] = (unsigned char)n;
	}
	memcpy(room->frames + at, client->body, n);
	room->size = at + n;
	memcpy(room->ring[room->end % RING] + LWS_PRE, client->body, n);
	room->sizes[room->end++ % RING] = n;
	room->waiting[room->have++] = client;
	client->got = 0;
	if (room->have >= burst)
		push(room);
	return 0;
}

static int
write_next(struct client *client)
{
	struct room *room = client->room;
	size_t i = client->at % RING;

	if (!by_callback || client->at == room->end)
		return 0;
	if (room->end - client->at > RING ||
		lws_write(client->wsi, room->ring[i] + LWS_PRE, room->sizes[i], LWS_WRITE_TEXT) < (int)room->sizes[i])
		return -1;
	if (++client->at < room->end)
		lws_callback_on_writable(client->wsi);
	return 0;
}

static int
answer(struct lws *wsi)
{
	unsigned char head[LWS_PRE + 512], *start = head + LWS_PRE, *p = start, *end = head + sizeof(head);

	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", 0, &p, end) ||
		lws_finalize_write_http_header(wsi, start, &p, end))
		return -1;
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
complete(struct lws *wsi, struct client *client)
{
	struct room *room = room_of(wsi, WSI_TOKEN_POST_URI);
	char text[32];
	const char *burst = lws_get_urlarg_by_name(wsi, "burst=", text, sizeof(text));

	return room == NULL ? -1 : publish(client, room, burst != NULL ? (uint32_t)strtoul(burst, NULL, 10) : 1);
}

static int
take_body(struct client *client, const void *bytes, size_t n)
{
	if (client->body == NULL && (client->body = malloc(MESSAGE_MAX)) == NULL)
		abort();
	if (client->got + n > MESSAGE_MAX)
		return -1;
	memcpy(client->body + client->got, bytes, n);
	client->got += n;
	return 0;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct client *client = user;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		client->wsi = wsi;
		client->room = room_of(wsi, WSI_TOKEN_GET_URI);
		if (client->room == NULL)
			return -1;
		client->at = client->room->end;
		DL_APPEND(client->room->clients, client);
		if (client->room->kept_size > 0)
			return lws_write(wsi, client->room->kept, client->room->kept_size, LWS_WRITE_RAW) < 0 ? -1 : 0;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return write_next(client);
	case LWS_CALLBACK_CLOSED:
		if (client->room != NULL)
			DL_DELETE(client->room->clients, client);
		return 0;
	case LWS_CALLBACK_HTTP:
		client->wsi = wsi;
		return 0;
	case LWS_CALLBACK_HTTP_BODY:
		return take_body(client, in, n);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return complete(wsi, client);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return answer(wsi);
	case LWS_CALLBACK_CLOSED_HTTP:
		if (client != NULL) { /* it had asked for something */
			free(client->body);
			client->body = NULL;
		}
		return 0;
	default:
		return 0;
	}
}

int
main(int argc, char **argv)
{
	static const lws_retry_bo_t no_pings = { .secs_since_valid_ping = 0, .secs_since_valid_hangup = 0 };
	static const struct lws_protocols protocols[] = {
		{ .name = "floor",
			.callback = callback,
			.per_session_data_size = sizeof(struct client),
			.rx_buffer_size = RX_BUFFER,
			.tx_packet_size = TX_PACKET },
		{ .name = NULL },
	};
	struct lws_context_creation_info info = { .protocols = protocols,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DISABLE_IPV6,
		.max_http_header_pool = 1024,
		.retry_and_idle_policy = &no_pings,
		.iface = "127.0.0.1" };
	struct rlimit files = { 0 };
	uv_loop_t loop;
	void *loops[1] = { &loop };

	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "usage: floor_lws PORT [callback]\n");
		return 64;
	}
	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	by_callback = argc == 3;
	lws_set_log_level(LLL_ERR, NULL);
	info.port = (int)strtol(argv[1], NULL, 10);
	info.foreign_loops = loops;
	info.fd_limit_per_thread = (unsigned)files.rlim_cur;
	if (uv_loop_init(&loop) != 0 || lws_create_context(&info) == NULL)
		return 71;
	return uv_run(&loop, UV_RUN_DEFAULT);
}
