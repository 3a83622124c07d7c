/* What an edge's cores know of the world, as a test has it: see edge_kit.h. Clocks, libwebsockets, sockets, the check
 * of a token, the link to the hub.
 */
#include <sys/socket.h>

#include "client/subscription.h"
#include "http/check.h"
#include "http/http.h"
#include "http/receive.h"
#include "door/server.h"
#include "edge_kit.h"
#include "hub/uplink.h"

uint64_t mono;
struct edge edge;
struct hub hub;
struct token token;
bool by_tls;
bool said_close;
struct dw_http_address address;

static struct client clients[CLIENTS];
static size_t client_count;
static uint64_t numbers;

/* ---- clocks, and randomness that is none */

uint64_t __wrap_dw_now_ms(void);
uint64_t __wrap_dw_mono_ms(void);
uint64_t __wrap_dw_mono_us(void);
uint64_t __wrap_dw_random(void);

uint64_t
__wrap_dw_now_ms(void)
{
	return WALL + mono;
}

uint64_t
__wrap_dw_mono_ms(void)
{
	return mono;
}

uint64_t
__wrap_dw_mono_us(void)
{
	return mono * 1000;
}

/* Such that sessions take a large room's turns one after another. */
uint64_t
__wrap_dw_random(void)
{
	return ++numbers * ((UINT64_C(1) << 32) + 1);
}

/* ---- a client's socket: as many bytes as its kernel has room for, and what is behind them waits */

struct client *
client_get(struct lws *wsi)
{
	return (struct client *)(void *)wsi;
}

struct client *
client_at(size_t i)
{
	return &clients[i];
}

struct client *
client_new(void)
{
	struct client *client = &clients[client_count++];

	assert_true(client_count <= CLIENTS);
	client->space = NEVER_STALLS;
	return client;
}

static void
take(struct client *client)
{
	const size_t n = dw_less(client->kept.len, client->space);

	if (n == 0)
		return;
	dw_buf_add(&client->sent, client->kept.data, n);
	client->kept.len -= n;
	memmove(client->kept.data, client->kept.data + n, client->kept.len);
	client->space -= n;
}

void
drain(struct client *client, size_t n)
{
	const bool stalled = client->kept.len > 0;

	client->space += n;
	take(client);
	if (stalled && client->kept.len == 0)
		sub_push_all(client->conn);
}

int
server_socket(struct lws *wsi)
{
	return by_tls ? -1 : (int)(client_get(wsi) - clients);
}

enum server_outcome
server_write(struct lws *wsi, int fd, struct dw_str bytes)
{
	struct client *client = client_get(wsi);

	assert_int_equal(fd, server_socket(wsi));
	if (client->dead)
		return SERVER_DEAD;
	dw_buf_add(&client->kept, bytes.p, bytes.n);
	take(client);
	return client->kept.len > 0 ? SERVER_STALLED : SERVER_DONE;
}

bool
server_stalled(struct lws *wsi)
{
	return client_get(wsi)->kept.len > 0;
}

uint64_t
server_taken(struct lws *wsi)
{
	return client_get(wsi)->sent.len;
}

bool
server_owes(struct lws *wsi)
{
	return server_stalled(wsi);
}

void
server_flush(int fd)
{
	(void)fd;
}

void
server_hold(struct lws *wsi, bool hold)
{
	client_get(wsi)->held = hold;
}

void
server_close(struct lws *wsi)
{
	client_get(wsi)->closing = true;
}

void
server_cut(struct lws *wsi)
{
	client_get(wsi)->cut = true;
}

void
dw_http_linger(struct dw_http *http, int fd, bool said)
{
	(void)http;
	(void)fd;
	said_close = said;
}

void
server_finish(struct lws *wsi)
{
	client_get(wsi)->finished = true;
}

bool
server_ended(struct lws *wsi)
{
	(void)wsi;
	return false;
}

void
server_address(struct lws *wsi, struct dw_http_address *out)
{
	(void)wsi;
	*out = address;
}

const struct dw_http_head *
server_head(struct lws *wsi)
{
	(void)wsi;
	return NULL;
}

/* ---- what is read of it */

static struct reading {
	dw_http_receive_by *by;
	void *user;
} readings[CLIENTS];

bool
dw_http_receive_set(int fd, dw_http_receive_by *by, void *user)
{
	readings[fd] = (struct reading) { by, user };
	return true;
}

void *
dw_http_receive_user(int fd, dw_http_receive_by *by)
{
	return fd >= 0 && readings[fd].by == by ? readings[fd].user : NULL;
}

/* All that is asked for is there. */
ssize_t
recvfrom(int fd, void *buffer, size_t n, int flags, struct sockaddr *from, socklen_t *size)
{
	(void)fd;
	(void)flags;
	(void)from;
	(void)size;
	memset(buffer, 0, n);
	return (ssize_t)n;
}

static size_t
read_from(const struct client *client, size_t n, int flags)
{
	static char bytes[1 << 16];
	const int fd = (int)(client - clients);

	assert_true(is_weighed(client));
	return (size_t)readings[fd].by(readings[fd].user, fd, bytes, n, flags);
}

size_t
receives(struct client *client, size_t n)
{
	return read_from(client, n, 0);
}

size_t
peeks(struct client *client, size_t n)
{
	return read_from(client, n, MSG_PEEK);
}

bool
is_weighed(const struct client *client)
{
	return readings[client - clients].by != NULL;
}

/* ---- tokens */

static struct {
	struct dw_http_check **slot;
	dw_http_check_done *done;
	void *user;
} under_way;

static void
claim(struct dw_claims *claims)
{
	assert_true(dw_str_copy(dw_str(token.user), claims->user, sizeof(claims->user)));
	assert_true(dw_str_copy(dw_str(token.device), claims->device, sizeof(claims->device)));
	claims->expires = token.expires;
	claims->scope = token.scope;
	if (token.diagnoses != NULL)
		dw_buf_add(&claims->diagnoses, token.diagnoses, strlen(token.diagnoses) + 1);
}

int
dw_http_check_begin(struct dw_http_checks *of, const struct dw_http_address *of_whom, struct dw_str text,
	struct dw_claims *claims, struct dw_http_check **slot, dw_http_check_done *done, void *user)
{
	assert_ptr_equal(of, &edge.checks);
	assert_int_equal(of_whom->family, address.family);
	if (text.n == 0)
		return DW_E_TOKEN_MISSING;
	if (token.err == DW_OK)
		claim(claims);
	if (token.err != DW_E_AGAIN)
		return token.err;
	under_way.slot = slot;
	under_way.done = done;
	under_way.user = user;
	*slot = (struct dw_http_check *)(void *)&under_way;
	return DW_E_AGAIN;
}

void
check_ends(int err)
{
	struct dw_claims claims = { 0 };

	assert_true(check_is_under_way());
	if (err == DW_OK)
		claim(&claims);
	*under_way.slot = NULL;
	under_way.slot = NULL;
	under_way.done(under_way.user, err, &claims);
}

bool
check_is_under_way(void)
{
	return under_way.slot != NULL;
}

void
dw_http_check_forget(struct dw_http_check **slot)
{
	if (*slot != NULL)
		under_way.slot = NULL;
	*slot = NULL;
}

/* ---- the link to the hub */

static void
note(struct notes *notes, const struct dw_wire *message)
{
	struct dw_buf packed = { 0 };

	dw_wire_pack(&packed, message);
	assert_true(dw_buf_ok(&packed) && notes->written + packed.len <= sizeof(notes->bytes));
	memcpy(notes->bytes + notes->written, packed.data, packed.len);
	notes->written += packed.len;
	dw_buf_clear(&packed);
}

bool
uplink_send(struct uplink *uplink, const struct dw_wire *message)
{
	(void)uplink;
	if (hub.up)
		note(&hub.asked, message);
	return hub.up;
}

void
uplink_depart(struct uplink *uplink, const struct dw_leave *leave)
{
	(void)uplink;
	note(&hub.departed, &(struct dw_wire) { .kind = DW_LEAVE, .leave = *leave });
}

const char *
uplink_epoch(const struct uplink *uplink)
{
	(void)uplink;
	return hub.epoch;
}

void
uplink_turn(struct uplink *uplink)
{
	(void)uplink;
}

void
uplink_greet(struct uplink *uplink)
{
	(void)uplink;
	hub.distrusted++;
	hub_goes();
}

void
uplink_doubt(struct uplink *uplink, uint64_t asked_at)
{
	(void)uplink;
	hub.doubted = asked_at;
}

/* ---- */

void
world_begin(void)
{
	memset(clients, 0, sizeof(clients));
	lws_begin();
	memset(readings, 0, sizeof(readings));
	client_count = 0;
	numbers = 0;
	by_tls = false;
	address = (struct dw_http_address) { .family = DW_HTTP_ADDRESS_NONE };
	hub = (struct hub) { .up = true, .epoch = "aaaa" };
	mono = 1000000;
}

void
world_end(void)
{
	for (size_t i = 0; i < client_count; i++) {
		dw_buf_clear(&clients[i].sent);
		dw_buf_clear(&clients[i].kept);
		dw_buf_clear(&clients[i].ping);
		dw_buf_clear(&clients[i].text);
	}
	dw_buf_clear(&answered);
}
