/* Edges without libwebsockets, and the clients on them: see sim.h.
 *
 * What a client is sent is printed when it reads it: `c NAME JSON` for a text frame, `p NAME` for a PING, `x NAME CODE
 * REASON` for the end. One that is frozen reads nothing: the first write to it is taken by its kernel, then no more is.
 * It answers PINGs when it is told to. PINGs follow each write at once: there is no waiting for 250 ms here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "../../cmd/diagws-edge/client/conn.h"
#include "../../cmd/diagws-edge/client/subscription.h"
#include "http/check.h"
#include "../../cmd/diagws-edge/door/server.h"
#include "../../cmd/diagws-edge/edge.h"
#include "../../cmd/diagws-edge/hub/uplink.h"
#include "../../cmd/diagws-edge/room/frame.h"
#include "../../cmd/diagws-edge/turn.h"
#include "../lib/frames.h"
#include "base/clock.h"
#include "sim.h"

enum { PING_MAX = 125 };

struct ping {
	struct ping *prev, *next;
	uint64_t seq; /* of the newest update before it */
	size_t n;
	char payload[PING_MAX];
};

struct client {
	struct client *prev, *next;
	char name[SIM_NAME];
	struct conn *conn;
	int edge;
	bool frozen, stalled, closing;
	uint64_t taken, seq;
	struct dw_buf kernel; /* what a frozen one was sent */
	struct ping *pings;
};

static struct edge *edges[SIM_EDGES];
static struct client *clients;

/* ---- a client reads */

void
print_text(const char *p, size_t n)
{
	static const char pad[] = "\"pad\":\"";
	const char *from = memmem(p, n, pad, sizeof(pad) - 1);
	size_t head = from != NULL ? (size_t)(from - p) + sizeof(pad) - 1 : n, skip = head;

	while (skip < n && p[skip] == 'x')
		skip++;
	(void)fwrite(p, 1, head, stdout);
	(void)fwrite(p + skip, 1, n - skip, stdout);
}

static void
note_seq(struct client *client, const char *p, size_t n)
{
	static const char mark[] = "\"seq\":";
	const char *at = memmem(p, n < 200 ? n : 200, mark, sizeof(mark) - 1);

	if (at != NULL)
		client->seq = strtoull(at + sizeof(mark) - 1, NULL, 10);
}

static void
read_frame(struct client *client, unsigned op, const char *payload, size_t n)
{
	if (op == OP_TEXT) {
		note_seq(client, payload, n);
		printf("c %s ", client->name);
		print_text(payload, n);
		putchar('\n');
	} else if (op == OP_PING && n <= PING_MAX) {
		struct ping *ping = calloc(1, sizeof(*ping));

		if (ping == NULL)
			abort();
		ping->seq = client->seq;
		ping->n = n;
		memcpy(ping->payload, payload, n);
		DL_APPEND(client->pings, ping);
		printf("p %s\n", client->name);
	}
}

static void
read_bytes(struct client *client, struct dw_str bytes)
{
	struct dw_str payload;
	unsigned op;

	while (next_frame(&bytes, &op, &payload))
		read_frame(client, op, payload.p, payload.n);
}

/* ---- server.h */

static struct client *
client_of(struct lws *wsi)
{
	return (struct client *)(void *)wsi;
}

int
server_socket(struct lws *wsi)
{
	(void)wsi;
	return -1;
}

enum server_outcome
server_write(struct lws *wsi, int fd, struct dw_str bytes)
{
	struct client *client = client_of(wsi);

	(void)fd;
	if (!client->frozen) {
		read_bytes(client, bytes);
		return SERVER_DONE;
	}
	dw_buf_add(&client->kernel, bytes.p, bytes.n);
	client->stalled = true;
	return SERVER_STALLED;
}

void
server_flush(int fd)
{
	(void)fd;
}

bool
server_stalled(struct lws *wsi)
{
	return client_of(wsi)->stalled;
}

uint64_t
server_taken(struct lws *wsi)
{
	return client_of(wsi)->taken;
}

bool
server_owes(struct lws *wsi)
{
	return client_of(wsi)->stalled;
}

void
server_hold(struct lws *wsi, bool hold)
{
	(void)wsi;
	(void)hold;
}

void
server_close(struct lws *wsi)
{
	client_of(wsi)->closing = true;
}

void
server_cut(struct lws *wsi)
{
	client_of(wsi)->closing = true;
}

int
dw_http_check_begin(struct dw_http_checks *checks, const struct dw_http_address *address, struct dw_str token,
	struct dw_claims *claims, struct dw_http_check **slot, dw_http_check_done *done, void *user)
{
	(void)checks;
	(void)address;
	(void)token;
	(void)claims;
	(void)slot;
	(void)done;
	(void)user;
	return DW_E_TOKEN;
}

void
dw_http_check_forget(struct dw_http_check **slot)
{
	*slot = NULL;
}

/* ---- an edge */

void
edge_start(int number)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	struct dw_fault fault;
	char name[16];

	if (edge == NULL || !frame_open())
		abort();
	(void)snprintf(name, sizeof(name), "edge %d", number);
	edge->loop = (struct uv_loop_s *)edge;
	edge->config.slow_ms = INT64_MAX / 4;
	edge->started = edge->adapted_at = sim_mono;
	dw_wheel_init(&edge->wheel, sim_mono);
	edges[number] = edge;
	sim_attach(number);
	if (uplink_new(&edge->uplink, &(struct uplink_config) { .uri = "", .name = name, .loop = edge->loop }, &edge_events,
			edge, &fault) != DW_OK)
		abort();
}

struct edge *
edge_get(int number)
{
	return edges[number];
}

static void
forget_pings(struct client *client, const struct ping *end)
{
	while (client->pings != end) {
		struct ping *first = client->pings;

		DL_DELETE(client->pings, first);
		free(first);
	}
}

static void
free_client(struct client *client)
{
	DL_DELETE(clients, client);
	conn_destroy(&client->conn);
	forget_pings(client, NULL);
	dw_buf_clear(&client->kernel);
	free(client);
}

/* As by SIGKILL: its line has been cut. */
void
edge_kill(int number)
{
	struct edge *edge = edges[number];
	struct client *client, *next;

	if (edge == NULL)
		return;
	DL_FOREACH_SAFE(clients, client, next)
	{
		if (client->edge == number)
			free_client(client);
	}
	polls_end(edge);
	uplink_destroy(&edge->uplink);
	rooms_clear(edge);
	free(edge->sessions.chains);
	free(edge->rooms.by_id.chains);
	free(edge->limits.users.chains);
	free(edge);
	edges[number] = NULL;
	sim_detach(number);
	line_forget(number);
}

void
edge_timers(int number)
{
	turn_timers(edges[number], sim_mono);
}

static void
hurry(struct conn *conn)
{
	struct subscription *sub = sub_first(conn);
	bool due = conn->state == CONN_REFUSED;

	conn->first.since -= due ? DW_HTTP_DENY_MS : 0;
	for (; !due && sub != NULL; sub = sub_after(sub)) {
		if (sub->state != SUB_DENIED)
			continue;
		sub->since -= DW_HTTP_DENY_MS;
		due = true;
	}
	if (!due)
		return;
	dw_wheel_cancel(&conn->timer);
	conn->timer.fire(&conn->timer);
}

void
edge_settle(int number)
{
	struct client *client, *next;

	DL_FOREACH_SAFE(clients, client, next)
	{
		if (client->edge != number)
			continue;
		hurry(client->conn);
		if (!client->closing)
			continue;
		printf("x %s %u %s\n", client->name, client->conn->close_code,
			client->conn->close_reason != NULL ? client->conn->close_reason : "");
		free_client(client);
	}
}

/* ---- clients */

struct client *
client_find(const char *name)
{
	struct client *client;

	DL_FOREACH(clients, client)
	{
		if (strcmp(client->name, name) == 0)
			return client;
	}
	return NULL;
}

int
client_edge(const struct client *client)
{
	return client->edge;
}

uint64_t
client_session(const struct client *client)
{
	return client->conn->session;
}

bool
client_frozen(const struct client *client)
{
	return client->frozen;
}

void
client_open(const char *name, int edge, const char *room, const char *user, const char *device,
	const struct sim_from *from, bool derived, bool sure, bool claimed, uint64_t expires)
{
	struct client *client = calloc(1, sizeof(*client));
	struct conn_request *request = calloc(1, sizeof(*request));

	if (client == NULL || request == NULL)
		abort();
	(void)dw_str_copy(dw_str(name), client->name, sizeof(client->name));
	client->edge = edge;
	(void)dw_str_copy(dw_str(room), request->room, sizeof(request->room));
	(void)dw_str_copy(dw_str(user), request->claims.user, sizeof(request->claims.user));
	(void)dw_str_copy(dw_str(device), derived ? request->claims.device : request->device, sizeof(request->device));
	request->claims.expires = expires;
	if (claimed)
		dw_buf_add(&request->claims.diagnoses, room, strlen(room) + 1);
	request->sure = sure;
	request->from.has_after = from->has_after;
	request->from.after_new = from->after_new;
	request->from.after = from->after;
	(void)dw_str_copy(dw_str(from->epoch), request->from.epoch, sizeof(request->from.epoch));
	DL_APPEND(clients, client);
	client->conn = conn_new(edges[edge], (struct lws *)(void *)client, request, timers_fire);
	if (client->conn == NULL)
		abort();
	conn_start(client->conn);
}

void
client_close(struct client *client)
{
	free_client(client);
}

void
client_say(struct client *client, const char *json)
{
	struct incoming rx = { .total = strlen(json) };

	dw_buf_adds(&rx.text, json);
	client->conn->budget_at = 0;
	conn_text(client->conn, &rx);
	dw_buf_clear(&rx.text);
}

bool
client_many(const struct client *client)
{
	return client->conn->many;
}

bool
client_pong(struct client *client, uint64_t seq)
{
	struct ping *ping = client->pings, answered;

	if (client->conn->many)
		seq = 0;
	while (ping != NULL && (seq == 0 ? ping->next != NULL : ping->seq < seq))
		ping = ping->next;
	if (ping == NULL)
		return false;
	answered = *ping;
	forget_pings(client, ping->next);
	confirm_pong(client->conn, answered.payload, answered.n);
	return true;
}

void
client_freeze(struct client *client)
{
	client->frozen = true;
}

void
client_thaw(struct client *client)
{
	struct dw_buf kernel = client->kernel;

	client->frozen = client->stalled = false;
	client->taken += kernel.len;
	client->kernel = (struct dw_buf) { 0 };
	if (kernel.len > 0)
		read_bytes(client, (struct dw_str) { kernel.data, kernel.len });
	dw_buf_clear(&kernel);
	sub_push_all(client->conn);
}

void
clients_heard(void)
{
	struct client *client;

	DL_FOREACH(clients, client)
	{
		client->conn->heard_at = sim_mono;
	}
}
