/* Clients of the HTTP side: see http.h. Its own file because it serves connections alike whatever is asked on them.
 *
 * libmicrohttpd has no hook for what it reads, so it reads through our recv (receive.h) and sees canonical
 * requests alone (reader.h). A request for an upgrade leaves by there, too. Failure modes: no memory for a connection
 * (it is closed).
 */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "http/linger.h"
#include "http/receive.h"

enum {
	HEAD_MS = 10 * 1000,
	IDLE_MS = 30 * 1000,
	LEAVE_MS = 1100,
	SCRATCH = 16 * 1024,
};

static dw_http_receive_by read_client;

void
dw_http_kick(struct dw_http *http)
{
	(void)uv_idle_start(&http->idle, http->run);
}

struct dw_http_client *
dw_http_client_at(int fd)
{
	return dw_http_receive_user(fd, read_client);
}

static void
set_idle(struct dw_http_client *client, bool idle)
{
	if (client->idle)
		DL_DELETE(client->http->clients, client);
	client->idle = idle;
	client->since = dw_mono_ms();
	if (idle)
		DL_APPEND(client->http->clients, client);
}

/* After whatever may have changed what it is waited for. */
static void
set_timer(struct dw_http_client *client)
{
	const struct dw_http_reader *reader = &client->reader;
	const bool busy = reader->requests > reader->answered;
	const bool head = !busy && reader->state == DW_HTTP_READ_HEAD && reader->in.len > reader->in_at;

	if (client->leaves)
		return;
	if (busy ? client->idle && !client->refused : !client->idle || head != client->head)
		set_idle(client, !busy);
	if (busy)
		dw_wheel_cancel(&client->timer);
	else if (!head || !client->head)
		dw_wheel_set(client->http->config.wheel, &client->timer, dw_mono_ms() + (head ? HEAD_MS : IDLE_MS));
	client->head = head;
}

void
dw_http_client_cut(struct dw_http_client *client)
{
	set_idle(client, false);
	(void)shutdown(client->fd, SHUT_RDWR);
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct dw_http_client *client = (struct dw_http_client *)((char *)timer - offsetof(struct dw_http_client, timer));

	if (!client->leaves) {
		dw_http_client_cut(client);
		return;
	}
	dw_http_kick(client->http);
	dw_wheel_set(client->http->config.wheel, timer, dw_mono_ms() + LEAVE_MS);
}

/* Its socket may be somebody else's by now, so it is not shut down: libmicrohttpd finds that its time is over. */
static void
let_go(struct dw_http_client *client, struct MHD_Connection *connection)
{
	client->ended = client->leaves = true;
	set_idle(client, false);
	(void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
	dw_wheel_set(client->http->config.wheel, &client->timer, dw_mono_ms() + LEAVE_MS);
}

/* How many bytes it has sent that were not read; -1: the system does not say. */
static int
unread(const struct dw_http_client *client)
{
	int n = 0;

	return ioctl(client->fd, FIONREAD, &n) == 0 ? n : -1;
}

/* Where it asks for an upgrade, and all that came before is answered: the program gets a descriptor of its own, and
 * libmicrohttpd hears that the client is gone. Where more has come, read_client will be called, and refuses it. */
static void
hand_over(struct dw_http_client *client)
{
	const struct dw_http_config *config = &client->http->config;
	const struct dw_buf *in = &client->reader.in;
	struct dw_http_head head;
	int fd;

	if (!client->reader.upgrade || client->ended || client->reader.requests > client->reader.answered ||
		unread(client) > 0)
		return;
	client->ended = true;
	if (client->http->draining)
		return;
	fd = fcntl(client->fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 &&
		dw_http_head_parse(in->data + client->reader.in_at, in->len - client->reader.in_at, &head) == DW_HEAD_OK)
		config->upgrade->take(config->user, fd, &client->address, &head);
	else if (fd >= 0)
		(void)close(fd);
}

/* Whether libmicrohttpd may learn that the client will send no more: it then drops every answer that is still due. */
static bool
may_end(const struct dw_http_client *client)
{
	const struct dw_http_reader *reader = &client->reader;
	const uint64_t waiting = reader->requests - reader->answered;

	return waiting == 0 ||
		   (waiting == 1 && reader->state != DW_HTTP_READ_HEAD && reader->state != DW_HTTP_READ_NOTHING);
}

/* So that libmicrohttpd reads, and learns it now. */
static void
make_readable(struct dw_http_client *client)
{
	if (client->finished && may_end(client))
		(void)shutdown(client->fd, SHUT_RD);
}

/* One read of the socket. false: there is nothing (errno), or it has ended. */
static bool
fetch(struct dw_http_client *client, size_t most)
{
	static char scratch[SCRATCH];
	const ssize_t n = recvfrom(client->fd, scratch, most < SCRATCH ? most : SCRATCH, 0, NULL, NULL);

	if (n > 0)
		dw_http_reader_put(&client->reader, scratch, (size_t)n);
	client->finished = n == 0;
	client->ended = n < 0 && errno != EAGAIN && errno != EINTR;
	return n > 0;
}

/* As recv does. What is returned is less than n only where the socket has no more: libmicrohttpd then waits for it. */
static ssize_t
read_client(void *user, int fd, void *buffer, size_t n, int flags)
{
	struct dw_http_client *client = user;
	struct dw_http_reader *reader = &client->reader;
	char *out = buffer;
	size_t given = 0;

	(void)fd;
	(void)flags;
	if (client->ended)
		return 0;
	for (;;) {
		given += dw_http_reader_get(reader, out + given, n - given);
		if (given == n || reader->state == DW_HTTP_READ_NOTHING || client->finished || !fetch(client, n - given))
			break;
	}
	if (!dw_buf_ok(&reader->in) || !dw_buf_ok(&reader->out))
		client->ended = true;
	set_timer(client);
	if (given > 0) {
		make_readable(client);
		return (ssize_t)given;
	}
	hand_over(client);
	if (client->ended || (client->finished && may_end(client)))
		return 0;
	errno = EAGAIN;
	return -1;
}

struct dw_http_client *
dw_http_client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info != NULL ? dw_http_client_at(info->connect_fd) : NULL;
}

void
dw_http_client_refused(struct dw_http_client *client, bool refused)
{
	client->refused = refused;
	set_idle(client, refused);
}

void
dw_http_client_answered(struct dw_http_client *client, struct MHD_Connection *connection, bool goes_on)
{
	client->reader.answered++;
	client->refused = false;
	if (client->leaves)
		return;
	set_timer(client);
	if (!goes_on)
		return;
	hand_over(client);
	if (client->ended && client->reader.upgrade)
		let_go(client, connection);
	else
		make_readable(client);
}

void
dw_http_client_leave(struct dw_http_client *client, struct MHD_Connection *connection)
{
	dw_http_linger_take(client->http->linger, client->fd, false);
	let_go(client, connection);
}

/* Whether it has sent, or may yet send, what nobody reads. */
static bool
has_unread(const struct dw_http_client *client)
{
	return !client->ended && !client->finished && (client->reader.state == DW_HTTP_READ_NOTHING || unread(client) != 0);
}

void
dw_http_client_end(struct dw_http_client *client)
{
	struct dw_http *http = client->http;

	(void)dw_http_receive_set(client->fd, NULL, NULL); /* from here on nothing that comes is a request */
	if (has_unread(client))
		dw_http_linger_take(http->linger, client->fd, false);
	http->count--;
	set_idle(client, false);
	dw_wheel_cancel(&client->timer);
	dw_http_reader_clear(&client->reader);
	free(client);
}

struct dw_http_client *
dw_http_client_new(struct dw_http *http, int fd, const struct dw_http_address *address, struct dw_str taken)
{
	struct dw_http_client *client = calloc(1, sizeof(*client));

	if (client == NULL || !dw_http_receive_set(fd, read_client, client)) {
		free(client);
		return NULL;
	}
	client->http = http;
	client->fd = fd;
	client->address = *address;
	client->timer.fire = fire;
	client->reader.asks = http->config.upgrade != NULL ? http->config.upgrade->asked : NULL;
	client->reader.origins = http->config.origins;
	dw_http_reader_put(&client->reader, taken.p, taken.n);
	http->count++;
	set_timer(client);
	return client;
}
