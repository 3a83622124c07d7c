/* Listening sockets: see listen.h.
 *
 * Failure modes: an address that is taken, malformed or not allowed (told at the start, by name); no descriptor left
 * (accepting pauses); as many connections as there may be (make_room ends another one, or, where everybody is in
 * use, the newcomer is turned away).
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "cli/logging.h"
#include "cli/opt.h"
#include "http/address.h"
#include "http/socket.h"

enum {
	BACKLOG = 4096,
	ACCEPT_AT_ONCE = 4, /* a turn: those who are here already are served between */
	PAUSE_MS = 100,
	EVICTED = 16, /* where descriptors run out all the same */
};

static const char tls_prefix[] = "wss://", unix_prefix[] = "unix:";

struct dw_http_listener {
	struct dw_http_listener *next;
	uv_poll_t poll;
	struct dw_wheel_timer pause; /* until it accepts again */
	const struct dw_http_listen *how;
	int fd;
	int lock;
	bool tls;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of a unix socket; else "" */
};

static void
take(struct dw_http_listener *listener, int fd, const struct dw_http_address *address)
{
	const struct dw_http_listen *how = listener->how;

	if (!how->make_room(how->user, false)) {
		(void)close(fd);
		return;
	}
	if (listener->path[0] != '\0')
		dw_http_socket_prepare(fd, false);
	how->take(how->user, fd, address, listener->tls);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void
end_pause(struct dw_wheel_timer *timer)
{
	struct dw_http_listener *listener =
		(struct dw_http_listener *)((char *)timer - offsetof(struct dw_http_listener, pause));

	(void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct dw_http_listener *listener = poll->data;
	const struct dw_http_listen *how = listener->how;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		struct dw_http_address address;
		const int fd = dw_http_address_accept(listener->fd, &address);

		if (fd >= 0) {
			take(listener, fd, &address);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			dw_log_warn("no descriptor left for a connection", "pause_ms=%d", PAUSE_MS);
			for (int n = 0; n < EVICTED && how->make_room(how->user, true); n++)
				;
			(void)uv_poll_stop(poll);
			dw_wheel_set(how->wheel, &listener->pause, dw_mono_ms() + PAUSE_MS);
		}
		return;
	}
}

static int
fail_listen(const char *text, struct dw_fault *fault)
{
	int err = errno == EADDRINUSE ? DW_E_IN_USE : errno == EACCES || errno == EPERM ? DW_E_PERMISSION : DW_E_CREATE;

	return dw_fault_set(fault, err, "--listen", NULL, "cannot listen on '%s': %s", text, strerror(errno));
}

/* What an address says. */
struct place {
	const char *path;        /* of a unix socket; NULL: TCP, */
	char host[256], port[8]; /* where the host "" is any */
	bool tls;
};

static int
read_place(const char *text, bool tls, struct place *place, struct dw_fault *fault)
{
	const char *from, *port;
	struct dw_str host;
	int64_t number;

	if (strncmp(text, unix_prefix, strlen(unix_prefix)) == 0) {
		place->path = text + strlen(unix_prefix);
		if (place->path[0] != '\0' && strlen(place->path) < sizeof(((struct dw_http_listener *)NULL)->path))
			return DW_OK;
		return dw_fault_set(fault, DW_E_CONFIG, "--listen", "a path of 1 to 107 bytes", "'%s' is no socket path", text);
	}
	place->tls = tls && strncmp(text, tls_prefix, strlen(tls_prefix)) == 0;
	from = place->tls ? text + strlen(tls_prefix) : text;
	port = strrchr(from, ':');
	if (port == NULL || !dw_parse_number(port + 1, &number) || number < 1 || number > 65535 ||
		!dw_str_copy(dw_str(port + 1), place->port, sizeof(place->port)))
		return dw_fault_set(fault, DW_E_CONFIG, "--listen",
			tls ? "ADDR:PORT, [ADDR]:PORT, wss://ADDR:PORT or unix:PATH" : "ADDR:PORT, [ADDR]:PORT or unix:PATH",
			"'%s' is no address with a port from 1 to 65535", text);
	host = (struct dw_str) { from, (size_t)(port - from) };
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct dw_str) { host.p + 1, host.n - 2 };
	if (!dw_str_copy(host, place->host, sizeof(place->host)))
		return dw_fault_set(fault, DW_E_CONFIG, "--listen", "an address of this machine", "'%s' is too long", text);
	return DW_OK;
}

/* A socket file that a dead process left is taken over; a living one holds PATH.lock. */
static int
listen_unix(struct dw_http_listener *listener, const char *text, const struct place *place, struct dw_fault *fault)
{
	const char *path = place->path;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char lock[sizeof(listener->path) + 8];
	mode_t mask;
	int failed;

	(void)dw_str_copy(dw_str(path), address.sun_path, sizeof(address.sun_path));
	(void)snprintf(lock, sizeof(lock), "%s.lock", path);
	listener->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
	if (listener->lock < 0)
		return fail_listen(text, fault);
	if (flock(listener->lock, LOCK_EX | LOCK_NB) != 0) {
		errno = EADDRINUSE;
		return fail_listen(text, fault);
	}
	(void)unlink(path);
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mask = umask(0117);
	failed = listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) != 0;
	(void)umask(mask);
	if (failed || listen(listener->fd, BACKLOG) != 0)
		return fail_listen(text, fault);
	(void)dw_str_copy(dw_str(path), listener->path, sizeof(listener->path));
	return DW_OK;
}

static void
try_address(struct dw_http_listener *listener, const struct addrinfo *info)
{
	const int one = 1;

	listener->fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
	if (listener->fd < 0)
		return;
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	dw_http_socket_prepare(listener->fd, true); /* Linux passes it on to what is accepted; not so for unix sockets */
	if (info->ai_family == AF_INET6)
		(void)setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(listener->fd, info->ai_addr, info->ai_addrlen) == 0 && listen(listener->fd, BACKLOG) == 0)
		return;
	(void)close(listener->fd);
	listener->fd = -1;
}

int
dw_http_listen_check(const char *text, bool *tls, struct dw_fault *fault)
{
	struct place place = { 0 };
	int err = read_place(text, tls != NULL, &place, fault);

	if (tls != NULL)
		*tls |= place.tls;
	return err;
}

static int
listen_tcp(struct dw_http_listener *listener, const char *text, const struct place *place, struct dw_fault *fault)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;

	if (getaddrinfo(place->host[0] != '\0' ? place->host : NULL, place->port, &hints, &found) != 0)
		return dw_fault_set(fault, DW_E_CONFIG, "--listen", "an address of this machine",
			"'%s' is no address that is known here", text);
	for (const struct addrinfo *info = found; info != NULL && listener->fd < 0; info = info->ai_next)
		try_address(listener, info);
	freeaddrinfo(found);
	return listener->fd >= 0 ? DW_OK : fail_listen(text, fault);
}

static void
close_files(const struct dw_http_listener *listener)
{
	if (listener->fd >= 0)
		(void)close(listener->fd);
	if (listener->path[0] != '\0')
		(void)unlink(listener->path);
	if (listener->lock >= 0)
		(void)close(listener->lock);
}

static int
add_listener(
	struct dw_http_listener **listeners, const char *text, const struct dw_http_listen *how, struct dw_fault *fault)
{
	struct dw_http_listener *listener = calloc(1, sizeof(*listener));
	struct place place = { 0 };
	int err;

	if (listener == NULL)
		return DW_E_NOMEM;
	listener->fd = listener->lock = -1;
	listener->how = how;
	err = read_place(text, how->tls, &place, fault);
	listener->tls = place.tls;
	if (err == DW_OK)
		err = (place.path != NULL ? listen_unix : listen_tcp)(listener, text, &place, fault);
	if (err != DW_OK) {
		close_files(listener);
		free(listener);
		return err;
	}
	(void)uv_poll_init(how->loop, &listener->poll, listener->fd);
	listener->poll.data = listener;
	listener->pause.fire = end_pause;
	(void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	LL_PREPEND(*listeners, listener);
	return DW_OK;
}

static void
free_listener(uv_handle_t *handle)
{
	free(handle->data);
}

void
dw_http_listen_close(struct dw_http_listener **listeners)
{
	while (*listeners != NULL) {
		struct dw_http_listener *listener = *listeners;

		*listeners = listener->next;
		(void)uv_poll_stop(&listener->poll);
		close_files(listener);
		dw_wheel_cancel(&listener->pause);
		uv_close((uv_handle_t *)&listener->poll, free_listener);
	}
}

int
dw_http_listen_open(struct dw_http_listener **out, const struct dw_opt_list *addresses,
	const struct dw_http_listen *how, struct dw_fault *fault)
{
	struct dw_http_listener *listeners = NULL;
	int err = DW_OK;

	for (size_t i = 0; err == DW_OK && i < addresses->count; i++)
		err = add_listener(&listeners, addresses->item[i], how, fault);
	if (err != DW_OK)
		dw_http_listen_close(&listeners);
	else
		*out = listeners;
	return err;
}
