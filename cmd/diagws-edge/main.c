/* diagws-edge: terminates clients' WebSockets and the HTTP API, checks tokens, and relays to the hub.
 *
 * SIGHUP reads the keys again. SIGTERM or SIGINT drains: no new connections, every client is told when to come back
 * (`shutdown`) and closed with 1012, requests are finished, all within --drain-timeout. Ends by itself only when the
 * hub will never have it (another protocol version).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "cli/notify.h"
#include "client/conn.h"
#include "client/subscription.h"
#include "door/gate.h"
#include "door/server.h"
#include "door/upgrade.h"
#include "edge.h"
#include "http/ask.h"
#include "http/calls.h"
#include "http/files.h"
#include "http/http.h"
#include "http/listen.h"
#include "http/receive.h"
#include "hub/uplink.h"
#include "json/json.h"
#include "options.h"
#include "room/frame.h"
#include "turn.h"

enum {
	TICK_MS = 50, /* timers fire so late at the most */
	SILENT_MS = 1000,
};

/* A page of this edge's own may talk to it, WebSockets included, and to nobody else. */
static const char page_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; "
	"worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static struct edge edge;
static uv_loop_t loop;
static uv_signal_t signals[3];
static uv_timer_t ticks;
static uv_timer_t drain_timer;
static uint64_t drain_until;

static void
on_tick(uv_timer_t *timer)
{
	const uint64_t now = dw_mono_ms();

	(void)timer;
	(void)dw_notify_alive(now);
	confirm_adapt(&edge, now);
	turn_timers(&edge, now);
}

/* Reconnects are spread over more time the more there are to reconnect: 1 s per 1,000 clients. */
static void
say_goodbye(struct conn *conn)
{
	char data[64];

	(void)snprintf(data, sizeof(data), "{\"retry_after_ms\":[%d,%llu]}", 100,
		1000ULL + (unsigned long long)edge.counts.connections);
	if (conn->connected)
		conn_tell(conn, "shutdown", NULL, data);
	conn_close(conn, 1012, "service restart");
}

static void
on_drain(uv_timer_t *timer)
{
	if (edge.counts.connections + dw_http_busy(edge.http) > 0 && dw_mono_ms() < drain_until)
		return;
	uv_stop(timer->loop);
}

static void
drain(void)
{
	struct conn_request *request;

	if (edge.draining) {
		uv_stop(&loop);
		return;
	}
	dw_log_info("shutting down", "connections=%llu", (unsigned long long)edge.counts.connections);
	dw_notify("STOPPING=1");
	edge.draining = true;
	drain_until = dw_mono_ms() + (uint64_t)edge.config.drain_ms;
	dw_http_listen_close(&edge.listeners);
	while (gate_evict(edge.gate, 0))
		;
	conn_each(&edge, say_goodbye);
	DL_FOREACH(edge.requests, request)
	{
		if (request->conn->state == CONN_AWAITING)
			conn_close(request->conn, 1012, "service restart");
	}
	dw_http_drain(edge.http);
	ask_drain(&edge);
	(void)uv_timer_start(&drain_timer, on_drain, 10, 20);
}

static void
on_signal(uv_signal_t *handle, int number)
{
	struct dw_fault fault = { 0 };
	int err;

	(void)handle;
	if (number != SIGHUP) {
		drain();
		return;
	}
	server_reload_tls(edge.server);
	err = dw_auth_reload(edge.auth, &fault);
	if (err == DW_OK)
		dw_log_info("keys read again", NULL);
	else
		dw_log_error("keys not read again; the old ones stay", "reason=%s",
			err == DW_E_NOMEM ? dw_err_text(err) : fault.message);
}

static int
prepare(struct dw_fault *fault)
{
	struct dw_auth_config auth;
	int err = options_check(&edge.config, fault);

	if (err != DW_OK)
		return err;
	auth = (struct dw_auth_config) { .keys = edge.config.keys,
		.issuer = edge.config.issuer,
		.audience = edge.config.audience,
		.leeway_s = (uint64_t)edge.config.leeway_ms / 1000 };
	err = dw_auth_new(&edge.auth, &auth, fault);
	if (err == DW_OK && edge.config.www != NULL)
		err = dw_http_files_new(&edge.files, edge.config.www, "--www", page_policy, fault);
	if (err != DW_OK)
		dw_auth_destroy(&edge.auth);
	return err;
}

/* What libwebsockets reports of clients. */
static const struct server_events clients = {
	.confirm = ws_confirm,
	.refuse_http = ws_refuse_http,
	.filter = ws_filter,
	.start = conn_start,
	.receive = ws_receive,
	.pong = ws_pong,
	.peer_closes = ws_peer_closes,
	.dropped = ws_dropped,
	.writable = sub_push_all,
	.end = ws_end,
	.closed = ws_closed,
	.destroy = conn_destroy,
};

/* A WebSocket on a connection that was used before, as proxies send them. */
static void
take_upgrade(void *user, int fd, const struct dw_http_address *address, const struct dw_http_head *head)
{
	(void)user;
	(void)server_adopt(edge.server, fd, address, head);
}

static const struct dw_http_upgrade upgrades = { .asked = upgrade_asked, .take = take_upgrade };

/* See listen.h. Whoever goes is one whom nobody works for: at the gate, between two requests, in the midst of a
 * head, or refused; who has been so for a while before who has only just come. */
static bool
make_room(void *user, bool must)
{
	const uint64_t all = edge.counts.visitors + edge.counts.websockets + dw_http_connections(edge.http);

	(void)user;
	return (!must && all < (uint64_t)edge.config.max_connections) || dw_http_evict_leaving(edge.http) ||
		   conn_evict(&edge) || gate_evict(edge.gate, SILENT_MS) || dw_http_evict(edge.http, SILENT_MS) ||
		   dw_http_evict(edge.http, 0) || gate_evict(edge.gate, 0);
}

static void
take_connection(void *user, int fd, const struct dw_http_address *address, bool tls)
{
	const uint64_t quarter = ((uint64_t)edge.config.max_connections + 3) / 4;
	const uint64_t handshakes = quarter < LIMIT_HANDSHAKES ? quarter : LIMIT_HANDSHAKES;

	(void)user;
	if (tls && edge.counts.websockets - edge.counts.connections >= handshakes)
		(void)close(fd);
	else if (tls)
		server_adopt_tls(edge.server, fd);
	else
		gate_take(edge.gate, fd, address);
}

static int
start_http(struct dw_fault *fault)
{
	static const struct dw_http_listen listening = {
		.loop = &loop, .wheel = &edge.wheel, .tls = true, .make_room = make_room, .take = take_connection
	};
	const struct dw_http_config config = { .loop = &loop,
		.wheel = &edge.wheel,
		.routes = edge_routes,
		.files = dw_http_files_routes(edge.files),
		.origins = &edge.config.origins,
		.limits = &edge.limits,
		.checks = &edge.checks,
		.upgrade = &upgrades,
		.max_connections = (uint64_t)edge.config.max_connections,
		.user = &edge };
	int err = dw_http_new(&edge.http, &config, fault);

	return err == DW_OK ? dw_http_listen_open(&edge.listeners, &edge.config.listen, &listening, fault) : err;
}

static int
start(struct dw_fault *fault)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	const struct uplink_config link = { .uri = edge.config.hub, .name = edge.config.listen.item[0], .loop = &loop };
	int err;

	(void)signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&loop) != 0)
		return DW_E_NOMEM;
	edge.loop = &loop;
	edge.started = edge.adapted_at = dw_mono_ms();
	edge.confirm_ms = CONFIRM_MS;
	edge.secret[0] = dw_random();
	edge.secret[1] = dw_random();
	dw_wheel_init(&edge.wheel, edge.started);
	edge.checks = (struct dw_http_checks) {
		.loop = &loop, .auth = edge.auth, .limits = &edge.limits, .max = (uint64_t)edge.config.max_checks
	};
	if (dw_http_limits_init(&edge.limits, &edge.config.bounds) != DW_OK)
		return DW_E_NOMEM;
	if (!frame_open())
		return dw_fault_set(
			fault, DW_E_CONFIG, NULL, "OpenSSL with its default provider", "OpenSSL does not give SipHash");
	(void)uv_timer_init(&loop, &ticks);
	(void)uv_timer_init(&loop, &drain_timer);
	(void)uv_timer_start(&ticks, on_tick, TICK_MS, TICK_MS);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		(void)uv_signal_init(&loop, &signals[i]);
		(void)uv_signal_start(&signals[i], on_signal, numbers[i]);
	}
	err = uplink_new(&edge.uplink, &link, &edge_events, &edge, fault);
	if (err == DW_OK)
		err = server_new(&edge.server, &edge, &clients, fault);
	if (err == DW_OK)
		err = gate_new(&edge.gate, &edge);
	if (err == DW_OK)
		err = start_http(fault);
	return err;
}

static void
close_handle(uv_handle_t *handle, void *user)
{
	(void)user;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void
stop(void)
{
	edge.ending = edge.checks.ending = true;
	(void)uv_timer_stop(&drain_timer);
	dw_http_listen_close(&edge.listeners);
	dw_http_destroy(&edge.http);
	server_destroy(&edge.server);
	gate_destroy(&edge.gate);
	uplink_destroy(&edge.uplink);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	uv_walk(&loop, close_handle, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	dw_http_receive_clear();
	rooms_clear(&edge);
	free(edge.sessions.chains);
	status_clear();
	dw_http_limits_clear(&edge.limits);
	dw_http_files_destroy(&edge.files);
	dw_auth_destroy(&edge.auth);
}

int
main(int argc, char **argv)
{
	struct dw_fault fault = { 0 };
	int first, err;

	err = dw_opt_parse(&edge_command, argc, argv, &first);
	if (err != DW_OK)
		return err == DW_OPT_DONE ? 0 : dw_err_exit(err);
	if (first < argc)
		return dw_err_exit(dw_opt_misuse(&edge_command, "unexpected operand '%s'", argv[first]));
	dw_log_begin(edge_command.name);
	dw_json_watch_memory();
	err = prepare(&fault);
	if (err == DW_OK && edge.config.check_only) {
		dw_http_files_destroy(&edge.files);
		dw_auth_destroy(&edge.auth);
		return 0;
	}
	if (err == DW_OK)
		err = start(&fault);
	if (err == DW_OK) {
		dw_log_info("edge ready", "listen=%s hub=%s", edge.config.listen.item[0], edge.config.hub);
		dw_notify("READY=1");
		(void)uv_run(&loop, UV_RUN_DEFAULT);
		err = uplink_fatal(edge.uplink);
		if (err == DW_E_VERSION)
			(void)dw_fault_set(&fault, err, NULL, "an edge and a hub of the same release",
				"the hub at '%s' speaks another protocol version", edge.config.hub);
		else if (err != DW_OK)
			(void)dw_fault_set(&fault, err, "--hub", "a socket of the hub with the role 'edge'",
				"the hub's socket '%s' is not for edges", edge.config.hub);
	}
	if (edge.uplink != NULL)
		stop();
	if (err != DW_OK)
		dw_fault_print(stderr, edge_command.name, err, &fault, NULL);
	return dw_err_exit(err);
}
