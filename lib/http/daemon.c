/* libmicrohttpd on libuv: see http.h. It waits in an epoll set of its own, whose descriptor our loop watches; what no
 * socket tells it (a new connection, an answer to one that was suspended) is said by dw_http_kick, and done in the
 * next turn, for which the loop then does not wait. Its time-outs are off: they count inactivity alone.
 */
#include "parts.h"

#include <sys/socket.h>
#include <utlist.h>

#include "base/clock.h"
#include "http/linger.h"
#include "http/receive.h"
#include "http/request.h"

enum { MEMORY = 24 * 1024 }; /* of libmicrohttpd for a connection: a canonical head and that of the answer */

bool
dw_http_evict(struct dw_http *http, uint64_t ms)
{
	struct dw_http_client *client = http->clients;

	if (client == NULL || client->since + ms > dw_mono_ms())
		return false;
	dw_http_client_cut(client);
	return true;
}

void
dw_http_drain(struct dw_http *http)
{
	struct dw_http_client *client, *next;

	http->draining = true;
	DL_FOREACH_SAFE(http->clients, client, next)
	{
		if (client->refused && client->request != NULL) {
			dw_http_hurry(client->request);
			continue;
		}
		dw_http_client_cut(client);
	}
}

static void
on_connection(void *user, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct dw_http_client *client = dw_http_client_of(connection);

	(void)user;
	(void)context;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED && client != NULL)
		dw_http_client_end(client);
}

bool
dw_http_take(struct dw_http *http, int fd, const struct dw_http_address *address, struct dw_str taken)
{
	struct dw_http_client *client = dw_http_client_new(http, fd, address, taken);
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (client == NULL)
		return false;
	/* On failure it closes the socket, and on_connection may not have been told. */
	if (MHD_add_connection(http->daemon, fd, &none, sizeof(none)) != MHD_YES && dw_http_client_at(fd) == client)
		dw_http_client_end(client);
	dw_http_kick(http);
	return true;
}

static void
run(uv_idle_t *idle)
{
	struct dw_http *http = idle->data;
	MHD_UNSIGNED_LONG_LONG wait = 1;

	(void)uv_idle_stop(idle);
	(void)MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &wait) == MHD_YES && wait == 0)
		dw_http_kick(http);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct dw_http *http = poll->data;

	(void)status;
	(void)events;
	run(&http->idle);
}

int
dw_http_new(struct dw_http **out, const struct dw_http_config *config, struct dw_fault *fault)
{
	static struct dw_http only;
	struct dw_http *http = &only;
	const union MHD_DaemonInfo *info;
	int err;

	*http = (struct dw_http) { .config = *config };
	err = dw_http_linger_new(&http->linger, config->loop, config->wheel);
	if (err != DW_OK)
		return err;
	dw_http_receive_here();
	/* Turbo: a new connection is read at once, and closing it is left to us (linger.h). */
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME,
		0, NULL, NULL, dw_http_handle, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, dw_http_completed, http, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)config->max_connections + 64U, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
	info = http->daemon != NULL ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (info == NULL) {
		dw_http_linger_destroy(&http->linger);
		return dw_fault_set(fault, DW_E_CONFIG, NULL, "the package libmicrohttpd12", "libmicrohttpd did not start");
	}
	(void)uv_poll_init(config->loop, &http->poll, info->epoll_fd);
	(void)uv_idle_init(config->loop, &http->idle);
	http->run = run;
	http->poll.data = http->idle.data = http;
	(void)uv_poll_start(&http->poll, UV_READABLE, on_readable);
	*out = http;
	return DW_OK;
}

void
dw_http_linger(struct dw_http *http, int fd, bool said)
{
	dw_http_linger_take(http->linger, fd, said);
}

uint64_t
dw_http_connections(const struct dw_http *http)
{
	return http->count + dw_http_linger_count(http->linger);
}

uint64_t
dw_http_busy(const struct dw_http *http)
{
	return http->requests + dw_http_linger_count(http->linger);
}

bool
dw_http_evict_leaving(struct dw_http *http)
{
	return dw_http_linger_evict(http->linger);
}

bool
dw_http_draining(const struct dw_http *http)
{
	return http->draining;
}

struct uv_loop_s *
dw_http_loop(const struct dw_http *http)
{
	return http->config.loop;
}

/* A daemon that is stopped with a suspended request ends the process: all of them were given up, and are resumed. */
void
dw_http_destroy(struct dw_http **http_p)
{
	struct dw_http *http = *http_p;

	if (http == NULL)
		return;
	*http_p = NULL;
	for (int fd = 0; fd < dw_http_receive_end(); fd++) {
		const struct dw_http_client *client = dw_http_client_at(fd);

		if (client != NULL && client->request != NULL)
			dw_http_kill(client->request);
	}
	(void)MHD_run(http->daemon);
	(void)uv_poll_stop(&http->poll);
	MHD_stop_daemon(http->daemon);
	dw_http_linger_destroy(&http->linger);
	uv_close((uv_handle_t *)&http->poll, NULL);
	uv_close((uv_handle_t *)&http->idle, NULL);
}
