/* libwebsockets on libuv: server_adopt (an upgrade whose head was checked and written anew) or server_adopt_tls → the
 * events of whoever knows what a client is. Failure modes: TLS files that do not load (told at the start, by name; a
 * later reload keeps the old ones).
 */
#include "server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "cli/logging.h"
#include "http/address.h"
#include "http/socket.h"
#include "door/upgrade.h"
#include "edge.h"

enum {
	RX_BUFFER = 128, /* each connection has one */
	TX_PACKET = 64 * 1024,
	HEADER_DATA = 32 * 1024, /* more than any head, or a long one loses its close reason */
	HEADERS_S = 10,
	OWN_DESCRIPTORS = 32, /* of the edge itself, beside its listeners */
};

struct server {
	struct edge *edge;
	struct lws_context *lws;
	struct lws_vhost *plain, *tls;          /* tls: NULL where no listener has it */
	const struct dw_http_address *adopting; /* of the client that is being adopted, */
	const struct dw_http_head *head;        /* and what it has sent; else NULL */
};

static const struct server_events *events; /* also for what libwebsockets ends when the server is gone */

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct edge *edge = lws_context_user(lws_get_context(wsi));
	struct conn **conn = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return events->confirm(edge, wsi);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return events->filter(edge, wsi, conn);
	case LWS_CALLBACK_ESTABLISHED:
		/* never -1: what was adopted is not consumed yet, and the Close would at times be lost */
		events->start(*conn);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return events->receive(wsi, *conn, in, n);
	/* Of PINGs nobody is told, though libwebsockets (4.1) answers the first alone of those that it reads together, and
	 * after what it has read behind it. */
	case LWS_CALLBACK_RECEIVE_PONG:
		return events->pong(*conn, in, n);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return events->peer_closes(*conn, in, n);
	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
		if (conn != NULL && *conn != NULL)
			events->dropped(wsi, *conn);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		events->writable(*conn);
		return 0;
	case LWS_CALLBACK_TIMER:
		return conn != NULL && *conn != NULL ? events->end(wsi, *conn) : 0;
	case LWS_CALLBACK_HTTP: /* on a TLS listener alone: elsewhere libwebsockets sees upgrades, no other request */
		return events->refuse_http(wsi);
	case LWS_CALLBACK_WSI_CREATE:
		edge->counts.websockets++;
		return 0;
	case LWS_CALLBACK_CLOSED:
		if (conn != NULL && *conn != NULL && !edge->ending)
			events->closed(*conn, lws_get_socket_fd(wsi));
		/* fall through */
	case LWS_CALLBACK_WSI_DESTROY:
		if (reason == LWS_CALLBACK_WSI_DESTROY)
			edge->counts.websockets--;
		if (conn != NULL) /* there was memory for it */
			events->destroy(conn);
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
		.per_session_data_size = sizeof(struct conn *),
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

void
server_flush(int fd)
{
	if (fd >= 0)
		dw_http_socket_cork(fd, false);
}

bool
server_stalled(struct lws *wsi)
{
	return lws_partial_buffered(wsi) != 0;
}

uint64_t
server_taken(struct lws *wsi)
{
	return dw_http_socket_taken(lws_get_socket_fd(wsi));
}

bool
server_owes(struct lws *wsi)
{
	return server_stalled(wsi) || dw_http_socket_owes(lws_get_socket_fd(wsi));
}

bool
server_ended(struct lws *wsi)
{
	const struct edge *edge = lws_context_user(lws_get_context(wsi));

	return edge->ending || dw_http_socket_ended(lws_get_socket_fd(wsi));
}

void
server_finish(struct lws *wsi)
{
	const int fd = lws_get_socket_fd(wsi);

	if (lws_partial_buffered(wsi))
		dw_http_socket_widen(fd);
	while (lws_partial_buffered(wsi) && lws_write(wsi, NULL, 0, LWS_WRITE_RAW) > 0)
		;
	(void)shutdown(fd, SHUT_WR);
}

void
server_cut(struct lws *wsi)
{
	dw_http_socket_cut(lws_get_socket_fd(wsi));
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
emit_log(int level, const char *line)
{
	size_t n = strcspn(line, "\n");

	(void)level;
	dw_log_debug("libwebsockets", "text=%.*s", (int)n, line); /* strangers make it say things */
}

/* libwebsockets finds a connection at once only if its table has room for all the descriptors that the process may
 * have; otherwise it searches. So the process may have as many as are needed and no more; where the system allows
 * fewer, there are fewer connections. */
static void
limit_descriptors(struct edge *edge)
{
	const rlim_t own = (rlim_t)OWN_DESCRIPTORS + edge->config.listen.count;
	const rlim_t want = (rlim_t)edge->config.max_connections + own;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur == want)
		return;
	edge->config.max_connections = limit.rlim_cur > own ? (int64_t)(limit.rlim_cur - own) : 1;
	dw_log_warn("fewer descriptors are allowed than --max-connections needs", "limit=%llu connections=%lld",
		(unsigned long long)limit.rlim_cur, (long long)edge->config.max_connections);
}

static int
open_lws(struct server *server, struct dw_fault *fault)
{
	/* Keep-alive is ours (client/timers.c): one timer wheel for all. */
	static const lws_retry_bo_t no_pings = { .secs_since_valid_ping = 0, .secs_since_valid_hangup = 0 };
	const struct edge_config *config = &server->edge->config;
	const bool tls = config->tls_cert != NULL;
	void *loops[1] = { server->edge->loop };
	struct lws_context_creation_info info = { .vhost_name = "plain" };

	limit_descriptors(server->edge);
	lws_set_log_level(LLL_ERR, emit_log);
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.options =
		LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DISABLE_IPV6 | (tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0);
	info.foreign_loops = loops;
	info.user = server->edge;
	info.pt_serv_buf_size = HEADER_DATA;
	info.max_http_header_data2 = HEADER_DATA;
	info.max_http_header_pool = 2 * LIMIT_HANDSHAKES;
	info.timeout_secs = HEADERS_S;
	info.retry_and_idle_policy = &no_pings;
	info.alpn = "http/1.1";
	server->lws = lws_create_context(&info);
	if (server->lws == NULL)
		return dw_fault_set(
			fault, DW_E_CONFIG, NULL, "the package libwebsockets-evlib-uv", "libwebsockets did not start");
	server->plain = lws_get_vhost_by_name(server->lws, info.vhost_name);
	if (!tls)
		return DW_OK;
	info.vhost_name = "tls";
	info.ssl_cert_filepath = config->tls_cert;
	info.ssl_private_key_filepath = config->tls_key;
	server->tls = lws_create_vhost(server->lws, &info);
	return server->tls != NULL ? DW_OK
							   : dw_fault_set(fault, DW_E_CONFIG, "--tls-cert", "a PEM certificate chain and its key",
									 "the TLS certificate or key cannot be used");
}

int
server_new(struct server **out, struct edge *edge, const struct server_events *told, struct dw_fault *fault)
{
	struct server *server = calloc(1, sizeof(*server));
	int err;

	if (server == NULL)
		return DW_E_NOMEM;
	server->edge = edge;
	events = told;
	err = open_lws(server, fault);
	if (err != DW_OK)
		server_destroy(&server);
	else
		*out = server;
	return err;
}

bool
server_adopt(struct server *server, int fd, const struct dw_http_address *address, const struct dw_http_head *head)
{
	struct dw_buf canonical = { 0 };
	struct lws *wsi = NULL;

	/* The 101 leaves together with `connect`, which the hub's answer brings in less than a millisecond: a segment less
	 * is a tenth of what a connect costs. */
	if (address->family != DW_HTTP_ADDRESS_NONE)
		dw_http_socket_cork(fd, true);
	upgrade_write(head, &canonical);
	server->adopting = address;
	server->head = head;
	lws_set_log_level(0, emit_log); /* it tells of each one as of an error */
	if (dw_buf_ok(&canonical))
		wsi = lws_adopt_socket_vhost_readbuf(server->plain, fd, canonical.data, canonical.len);
	else
		(void)close(fd);
	lws_set_log_level(LLL_ERR, emit_log);
	server->adopting = NULL;
	server->head = NULL;
	dw_buf_clear(&canonical);
	return wsi != NULL;
}

const struct dw_http_head *
server_head(struct lws *wsi)
{
	const struct edge *edge = lws_context_user(lws_get_context(wsi));

	return edge->server->head;
}

void
server_adopt_tls(struct server *server, int fd)
{
	if (lws_adopt_socket_vhost(server->tls, fd) == NULL)
		dw_log_debug("a connection could not be taken", NULL);
}

void
server_address(struct lws *wsi, struct dw_http_address *out)
{
	const struct edge *edge = lws_context_user(lws_get_context(wsi));

	if (edge->server->adopting != NULL)
		*out = *edge->server->adopting;
	else
		dw_http_address_of_socket(lws_get_socket_fd(wsi), out);
}

/* The loop must not wait for somebody to type. */
static int
no_passphrase(char *out, int size, int encrypts, void *user)
{
	(void)out;
	(void)size;
	(void)encrypts;
	(void)user;
	return -1;
}

/* Why the certificate and its key are not a pair that can be used; NULL: they are. Of a bad pair libwebsockets says
 * nothing, and keeps a half of the old one, with which no handshake succeeds. */
static const char *
bad_pair(const struct edge_config *config)
{
	SSL_CTX *trial = SSL_CTX_new(TLS_server_method());
	const char *why = NULL;

	ERR_clear_error();
	if (trial != NULL)
		SSL_CTX_set_default_passwd_cb(trial, no_passphrase);
	if (trial == NULL || SSL_CTX_use_certificate_chain_file(trial, config->tls_cert) != 1 ||
		SSL_CTX_use_PrivateKey_file(trial, config->tls_key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(trial) != 1) {
		why = ERR_reason_error_string(ERR_peek_last_error());
		why = why != NULL ? why : "they cannot be read";
	}
	ERR_clear_error();
	SSL_CTX_free(trial);
	return why;
}

void
server_reload_tls(struct server *server)
{
	const struct edge_config *config = &server->edge->config;
	const char *why = server->tls != NULL ? bad_pair(config) : NULL;

	if (server->tls == NULL)
		return;
	if (why == NULL && lws_tls_cert_updated(server->lws, config->tls_cert, config->tls_key, NULL, 0, NULL, 0) != 0)
		why = "libwebsockets does not take them";
	if (why == NULL)
		dw_log_info("TLS certificate read again", NULL);
	else
		dw_log_error("TLS certificate not read again; the old one stays", "reason=%s", why);
}

void
server_destroy(struct server **server_p)
{
	struct server *server = *server_p;

	if (server == NULL)
		return;
	if (server->lws != NULL)
		lws_context_destroy(server->lws); /* its connections end later, in the loop */
	*server_p = NULL;
	free(server);
}
