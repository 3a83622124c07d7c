/* libwebsockets on libuv, with listening sockets of our own: that gives SO_REUSEPORT, a unix socket,
 * and a decent answer to a full descriptor table (accepting pauses; libwebsockets would spin).
 *
 * Happy path: accept → adopt → ws.c or http.c by what the request is. Failure modes: an address that
 * is taken or not allowed, TLS files that do not load: told at the start, by name.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "confirm.h"
#include "conn.h"
#include "diagws/logging.h"
#include "edge.h"
#include "http/http.h"
#include "socket.h"
#include "ws.h"

enum {
	BACKLOG = 4096,
	ACCEPT_AT_ONCE = 64, /* a turn: those who are here already are served between */
	PAUSE_MS = 100,
	RX_BUFFER = 128, /* each connection has one */
	TX_PACKET = 64 * 1024,
	HEADER_DATA = 32 * 1024
};

struct listener {
	uv_poll_t poll;
	uv_timer_t pause;
	struct server *server;
	int fd;
	int lock;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of a unix socket; else "" */
};

struct server {
	struct edge *edge;
	struct lws_context *lws;
	struct lws_vhost *vhost;
	uv_loop_t *loop;
	struct listener *listeners[DW_OPT_LIST_MAX];
	size_t count;
};

struct link {
	struct conn *conn;
	struct request *request;
};

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct edge *edge = lws_context_user(lws_get_context(wsi));
	struct link *link = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return ws_confirm(edge, wsi);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return ws_filter(edge, wsi, &link->conn);
	case LWS_CALLBACK_ESTABLISHED:
		return ws_established(wsi, link->conn);
	case LWS_CALLBACK_RECEIVE:
		return ws_receive(wsi, link->conn, in, n);
	case LWS_CALLBACK_RECEIVE_PONG:
		confirm_pong(link->conn, in, n);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		conn_writable(link->conn);
		return 0;
	case LWS_CALLBACK_TIMER:
		return link != NULL && link->conn != NULL ? ws_end(wsi, link->conn) : 0;
	case LWS_CALLBACK_HTTP:
		return http_begin(edge, wsi, &link->request);
	case LWS_CALLBACK_HTTP_BODY:
		return http_body(link->request, in, n);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return http_complete(link->request);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return http_writable(&link->request);
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		if (link != NULL) { /* there was memory for it */
			http_end(&link->request);
			conn_destroy(&link->conn);
		}
		return 0;
	case LWS_CALLBACK_RAW_ADOPT: /* a CONNECT, which libwebsockets would make a raw connection */
		return -1;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "diagws",
		.callback = callback,
		.per_session_data_size = sizeof(struct link),
		.rx_buffer_size = RX_BUFFER,
		.tx_packet_size = TX_PACKET },
	{ .name = NULL },
};

int
server_socket(struct lws *wsi)
{
	return lws_is_ssl(wsi) != 0 ? -1 : lws_get_socket_fd(wsi);
}

/* While libwebsockets keeps nothing of its own for it, the kernel is given the bytes without a detour: that is a tenth
 * of what a small write costs. What the kernel does not take libwebsockets keeps. */
static bool
write_directly(struct lws *wsi, int fd, struct dw_str *bytes)
{
	ssize_t n;

	if (fd < 0 || lws_partial_buffered(wsi))
		return true;
	n = send(fd, bytes->p, bytes->n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
	bytes->p += n;
	bytes->n -= (size_t)n;
	return true;
}

enum server_outcome
server_write(struct lws *wsi, int fd, struct dw_str bytes)
{
	if (!write_directly(wsi, fd, &bytes))
		return SERVER_DEAD;
	if (bytes.n == 0)
		return SERVER_DONE;
	/* libwebsockets does not change what it is given to write raw; its type only says so. */
	if (lws_write(wsi, (unsigned char *)(uintptr_t)bytes.p, bytes.n, LWS_WRITE_RAW) < 0)
		return SERVER_DEAD;
	if (!lws_partial_buffered(wsi))
		return SERVER_DONE;
	lws_callback_on_writable(wsi);
	return SERVER_STALLED;
}

bool
server_stalled(struct lws *wsi)
{
	return lws_partial_buffered(wsi) != 0;
}

uint64_t
server_taken(struct lws *wsi)
{
	return socket_taken(lws_get_socket_fd(wsi));
}

void
server_cut(struct lws *wsi, bool drop)
{
	socket_cut(lws_get_socket_fd(wsi), drop);
}

void
server_hold(struct lws *wsi, bool hold)
{
	(void)lws_rx_flow_control(wsi, hold ? 0 : 1);
	/* What TLS has decrypted already makes no descriptor readable. */
	if (!hold && lws_is_ssl(wsi) != 0)
		lws_callback_on_writable(wsi);
}

void
server_close(struct lws *wsi)
{
	/* Its timers are looked at when one of its own descriptors has something: give it that. */
	lws_set_timer_usecs(wsi, 1);
	lws_cancel_service(lws_get_context(wsi));
}

static void
adopt(struct listener *listener, int fd)
{
	struct edge *edge = listener->server->edge;

	if (edge->counts.connections >= (uint64_t)edge->config.max_connections) {
		(void)close(fd);
		return;
	}
	if (listener->path[0] != '\0')
		socket_prepare(fd, false);
	if (lws_adopt_socket_vhost(listener->server->vhost, fd) == NULL)
		dw_log_debug("a connection could not be taken", NULL);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void
on_pause_over(uv_timer_t *timer)
{
	struct listener *listener = timer->data;

	(void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			adopt(listener, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			dw_log_warn("no descriptor left for a connection", "pause_ms=%d", PAUSE_MS);
			(void)uv_poll_stop(poll);
			(void)uv_timer_start(&listener->pause, on_pause_over, PAUSE_MS, 0);
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

/* A socket file that a dead process left is taken over; a living one holds PATH.lock. */
static int
listen_unix(struct listener *listener, const char *text, struct dw_fault *fault)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = text + strlen("unix:");
	char lock[sizeof(listener->path) + 8];
	mode_t mask;
	int failed;

	if (!dw_str_copy(dw_str(path), address.sun_path, sizeof(address.sun_path)) || path[0] == '\0')
		return dw_fault_set(fault, DW_E_CONFIG, "--listen", "a path of 1 to 107 bytes", "'%s' is no socket path", text);
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

static int
try_address(struct listener *listener, const struct addrinfo *info)
{
	const int one = 1;

	listener->fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
	if (listener->fd < 0)
		return -1;
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	socket_prepare(listener->fd, true); /* Linux passes it on to what is accepted; not so for unix sockets */
	if (info->ai_family == AF_INET6)
		(void)setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(listener->fd, info->ai_addr, info->ai_addrlen) == 0 && listen(listener->fd, BACKLOG) == 0)
		return 0;
	(void)close(listener->fd);
	listener->fd = -1;
	return -1;
}

static int
listen_tcp(struct listener *listener, const char *text, struct dw_fault *fault)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	char host[256];
	const char *port = strrchr(text, ':');
	struct dw_str name;
	int64_t number;

	if (port == NULL || !dw_parse_number(port + 1, &number) || number < 1 || number > 65535)
		return dw_fault_set(fault, DW_E_CONFIG, "--listen", "ADDR:PORT, [ADDR]:PORT or unix:PATH",
			"'%s' is no address with a port from 1 to 65535", text);
	name = (struct dw_str) { text, (size_t)(port - text) };
	if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		name = (struct dw_str) { name.p + 1, name.n - 2 };
	if (!dw_str_copy(name, host, sizeof(host)) ||
		getaddrinfo(host[0] != '\0' ? host : NULL, port + 1, &hints, &found) != 0)
		return dw_fault_set(fault, DW_E_CONFIG, "--listen", "an address of this machine",
			"'%s' is no address that is known here", text);
	for (const struct addrinfo *info = found; info != NULL && listener->fd < 0; info = info->ai_next)
		(void)try_address(listener, info);
	freeaddrinfo(found);
	return listener->fd >= 0 ? DW_OK : fail_listen(text, fault);
}

static int
add_listener(struct server *server, const char *text, struct dw_fault *fault)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int err;

	if (listener == NULL)
		return DW_E_NOMEM;
	listener->fd = listener->lock = -1;
	listener->server = server;
	err = strncmp(text, "unix:", 5) == 0 ? listen_unix(listener, text, fault) : listen_tcp(listener, text, fault);
	if (err != DW_OK) {
		if (listener->fd >= 0)
			(void)close(listener->fd);
		if (listener->lock >= 0)
			(void)close(listener->lock);
		free(listener);
		return err;
	}
	(void)uv_poll_init(server->loop, &listener->poll, listener->fd);
	(void)uv_timer_init(server->loop, &listener->pause);
	listener->poll.data = listener->pause.data = listener;
	(void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	server->listeners[server->count++] = listener;
	return DW_OK;
}

static void
emit_log(int level, const char *line)
{
	size_t n = strcspn(line, "\n");

	(void)level;
	dw_log_warn("libwebsockets", "text=%.*s", (int)n, line);
}

static int
raise_descriptors(const struct edge *edge)
{
	struct rlimit limit;
	rlim_t want = (rlim_t)edge->config.max_connections + 64;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	if (limit.rlim_cur < want) {
		limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur < want ? (int)limit.rlim_cur : (int)want;
}

static int
open_lws(struct server *server, struct dw_fault *fault)
{
	/* Keep-alive is ours (conn.c): one timer wheel for all. */
	static const lws_retry_bo_t no_pings = { .secs_since_valid_ping = 0, .secs_since_valid_hangup = 0 };
	const struct edge_config *config = &server->edge->config;
	void *loops[1] = { server->loop };
	struct lws_context_creation_info info = { 0 };

	lws_set_log_level(LLL_ERR, emit_log);
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6;
	info.foreign_loops = loops;
	info.user = server->edge;
	info.max_http_header_data2 = HEADER_DATA;
	info.max_http_header_pool = 1024;
	info.fd_limit_per_thread = (unsigned)raise_descriptors(server->edge);
	info.timeout_secs = HEADERS_S;
	info.keepalive_timeout = 30;
	info.retry_and_idle_policy = &no_pings;
	info.alpn = "http/1.1";
	info.vhost_name = "diagws";
	info.server_string = "diagws";
	if (config->tls_cert != NULL) {
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info.ssl_cert_filepath = config->tls_cert;
		info.ssl_private_key_filepath = config->tls_key;
	}
	server->lws = lws_create_context(&info);
	if (server->lws == NULL)
		return dw_fault_set(
			fault, DW_E_CONFIG, NULL, "the package libwebsockets-evlib-uv", "libwebsockets did not start");
	server->vhost = lws_create_vhost(server->lws, &info);
	if (server->vhost == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, "--tls-cert", "a PEM certificate chain and its key",
			"the TLS certificate or key cannot be used");
	return DW_OK;
}

int
server_new(struct server **out, struct edge *edge, struct uv_loop_s *loop, struct dw_fault *fault)
{
	struct server *server = calloc(1, sizeof(*server));
	int err;

	if (server == NULL)
		return DW_E_NOMEM;
	server->edge = edge;
	server->loop = loop;
	err = open_lws(server, fault);
	for (size_t i = 0; err == DW_OK && i < edge->config.listen.count; i++)
		err = add_listener(server, edge->config.listen.item[i], fault);
	if (err != DW_OK)
		server_destroy(&server);
	else
		*out = server;
	return err;
}

static void
free_listener(uv_handle_t *handle)
{
	free(handle->data);
}

static void
close_pause(uv_handle_t *handle)
{
	struct listener *listener = handle->data;

	uv_close((uv_handle_t *)&listener->pause, free_listener);
}

void
server_stop_listening(struct server *server)
{
	while (server->count > 0) {
		struct listener *listener = server->listeners[--server->count];

		(void)uv_poll_stop(&listener->poll);
		(void)close(listener->fd);
		if (listener->path[0] != '\0')
			(void)unlink(listener->path);
		if (listener->lock >= 0)
			(void)close(listener->lock);
		uv_close((uv_handle_t *)&listener->poll, close_pause);
	}
}

void
server_destroy(struct server **server_p)
{
	struct server *server = *server_p;

	if (server == NULL)
		return;
	*server_p = NULL;
	server_stop_listening(server);
	if (server->lws != NULL)
		lws_context_destroy(server->lws);
	free(server);
}
