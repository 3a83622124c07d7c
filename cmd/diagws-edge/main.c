/* diagws-edge: terminates clients' WebSockets and the HTTP API, checks tokens, and relays to the hub.
 *
 * Life: options → keys → sockets → uplink → loop. SIGHUP reads the keys again. SIGTERM or SIGINT
 * drains: no new connections, every client is told when to come back (`shutdown`) and closed with 1012,
 * requests are finished, all within --drain-timeout. Ends by itself only when the hub will never have
 * it (another protocol version).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "base/paths.h"
#include "cli/daemon.h"
#include "cli/logging.h"
#include "cli/notify.h"
#include "client/confirm.h"
#include "client/conn.h"
#include "door/check.h"
#include "door/gate.h"
#include "door/linger.h"
#include "door/listen.h"
#include "door/origin.h"
#include "door/server.h"
#include "edge.h"
#include "events.h"
#include "http/api.h"
#include "http/daemon.h"
#include "http/status.h"
#include "hub/uplink.h"
#include "json/json.h"
#include "turn.h"

enum { TICK_MS = 50 }; /* timers fire so late at the most */

static struct edge edge = {
	.config = {
		.listen = { .item = { "127.0.0.1:8000" }, .count = 1 },
		.leeway_ms = 0,
		.drain_ms = 30 * 1000,
		.slow_ms = 30 * 1000,
		.max_connections = 20000,
		.max_checks = 16384,
		.max_user_connections = LIMIT_USER_CONNECTIONS,
		.max_user_handshakes = 100,
		.max_user_requests = 1000,
		.max_address_connections = 4000,
		.max_address_handshakes = 1000,
		.max_address_requests = 1000,
		.max_bad_tokens = 100,
	},
};

static const struct dw_opt options[] = {
	{ .kind = DW_OPT_LIST,
		.name = "listen",
		.arg = "ADDR:PORT|wss://ADDR:PORT|unix:PATH",
		.help = "serve clients here (wss: WebSockets alone, with TLS); may be repeated",
		.env = "DIAGWS_LISTEN",
		.initial = "127.0.0.1:8000",
		.target = &edge.config.listen },
	{ .kind = DW_OPT_TEXT,
		.name = "hub",
		.letter = 'e',
		.arg = "URI",
		.help = "the hub's socket",
		.env = "DIAGWS_HUB",
		.target = &edge.config.hub },
	{ .kind = DW_OPT_TEXT,
		.name = "keys",
		.arg = "DIR",
		.help = "keys that tokens are checked against",
		.env = "DIAGWS_KEYS",
		.target = &edge.config.keys },
	{ .kind = DW_OPT_TEXT,
		.name = "issuer",
		.arg = "TEXT",
		.help = "demand this iss in tokens",
		.env = "DIAGWS_ISSUER",
		.target = &edge.config.issuer },
	{ .kind = DW_OPT_TEXT,
		.name = "audience",
		.arg = "TEXT",
		.help = "demand this aud in tokens",
		.env = "DIAGWS_AUDIENCE",
		.target = &edge.config.audience },
	{ .kind = DW_OPT_DURATION,
		.name = "leeway",
		.arg = "DUR",
		.help = "clock difference allowed in tokens",
		.env = "DIAGWS_LEEWAY",
		.initial = "0s",
		.target = &edge.config.leeway_ms,
		.min = 0,
		.max = 30000 },
	{ .kind = DW_OPT_LIST,
		.name = "origin",
		.arg = "ORIGIN",
		.help = "let browsers of this origin in ('*': all); may be repeated",
		.env = "DIAGWS_ORIGIN",
		.target = &edge.config.origins },
	{ .kind = DW_OPT_TEXT,
		.name = "tls-cert",
		.arg = "FILE",
		.help = "PEM certificate chain of the wss:// addresses",
		.env = "DIAGWS_TLS_CERT",
		.target = &edge.config.tls_cert },
	{ .kind = DW_OPT_TEXT,
		.name = "tls-key",
		.arg = "FILE",
		.help = "its private key",
		.env = "DIAGWS_TLS_KEY",
		.target = &edge.config.tls_key },
	{ .kind = DW_OPT_FLAG,
		.name = "proxy-protocol",
		.help = "each connection begins with a PROXY header, version 2",
		.env = "DIAGWS_PROXY_PROTOCOL",
		.target = &edge.config.proxied },
	{ .kind = DW_OPT_DURATION,
		.name = "drain-timeout",
		.arg = "DUR",
		.help = "time to end in after SIGTERM",
		.env = "DIAGWS_DRAIN_TIMEOUT",
		.initial = "30s",
		.target = &edge.config.drain_ms,
		.min = 0,
		.max = 3600000 },
	{ .kind = DW_OPT_DURATION,
		.name = "slow-timeout",
		.arg = "DUR",
		.help = "close a client that takes nothing for so long",
		.env = "DIAGWS_SLOW_TIMEOUT",
		.initial = "30s",
		.target = &edge.config.slow_ms,
		.min = 1000,
		.max = 3600000 },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-connections",
		.arg = "N",
		.help = "connections of clients at most",
		.env = "DIAGWS_MAX_CONNECTIONS",
		.initial = "20000",
		.target = &edge.config.max_connections,
		.min = 1,
		.max = 1000000 },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-checks",
		.arg = "N",
		.help = "tokens that may wait for the check of their signature",
		.env = "DIAGWS_MAX_CHECKS",
		.initial = "16384",
		.target = &edge.config.max_checks,
		.min = 1,
		.max = 1000000 },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-user-connections",
		.arg = "N",
		.help = "clients of one user at most (0: any number)",
		.env = "DIAGWS_MAX_USER_CONNECTIONS",
		.initial = "64",
		.target = &edge.config.max_user_connections,
		.min = 0,
		.max = BUDGET_MOST },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-user-handshakes",
		.arg = "N",
		.help = "new clients of one user a second",
		.env = "DIAGWS_MAX_USER_HANDSHAKES",
		.initial = "100",
		.target = &edge.config.max_user_handshakes,
		.min = 0,
		.max = BUDGET_MOST },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-user-requests",
		.arg = "N",
		.help = "HTTP requests and WebSocket messages of one user a second; services may make more",
		.env = "DIAGWS_MAX_USER_REQUESTS",
		.initial = "1000",
		.target = &edge.config.max_user_requests,
		.min = 0,
		.max = BUDGET_MOST },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-address-connections",
		.arg = "N",
		.help = "clients of one address whose user is not known",
		.env = "DIAGWS_MAX_ADDRESS_CONNECTIONS",
		.initial = "4000",
		.target = &edge.config.max_address_connections,
		.min = 0,
		.max = BUDGET_MOST },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-address-handshakes",
		.arg = "N",
		.help = "new ones of them a second",
		.env = "DIAGWS_MAX_ADDRESS_HANDSHAKES",
		.initial = "1000",
		.target = &edge.config.max_address_handshakes,
		.min = 0,
		.max = BUDGET_MOST },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-address-requests",
		.arg = "N",
		.help = "HTTP requests without a token of one address a second",
		.env = "DIAGWS_MAX_ADDRESS_REQUESTS",
		.initial = "1000",
		.target = &edge.config.max_address_requests,
		.min = 0,
		.max = BUDGET_MOST },
	{ .kind = DW_OPT_NUMBER,
		.name = "max-bad-tokens",
		.arg = "N",
		.help = "tokens that are no good of one address a second",
		.env = "DIAGWS_MAX_BAD_TOKENS",
		.initial = "100",
		.target = &edge.config.max_bad_tokens,
		.min = 0,
		.max = BUDGET_MOST },
	{ .kind = DW_OPT_FLAG,
		.letter = 't',
		.name = "test",
		.help = "check the configuration and exit",
		.target = &edge.config.check_only },
	{ 0 },
};

static const struct dw_opt *const groups[] = { options, dw_opt_daemon, dw_opt_common, NULL };

static const struct dw_command command = {
	.name = "diagws-edge",
	.summary = "serve WebSocket clients and the HTTP API, and relay to the hub",
	.usage = "[--listen ADDR:PORT]... [--hub URI] --keys DIR",
	.examples = "diagws-edge --keys /etc/diagws/keys --listen 0.0.0.0:8000",
	.groups = groups,
};

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
say_goodbye(void)
{
	uint64_t most = 1000 + edge.counts.connections;
	struct conn_request *request;
	struct conn *conn;
	size_t place = 0;
	char data[64];

	(void)snprintf(data, sizeof(data), "{\"retry_after_ms\":[%d,%llu]}", 100, (unsigned long long)most);
	while ((conn = sessions_each(&edge.sessions, &place)) != NULL) {
		if (conn->connected)
			conn_tell(conn, "shutdown", NULL, data);
		conn_close(conn, 1012, "service restart");
	}
	DL_FOREACH(edge.requests, request)
	{
		if (request->conn->state == CONN_AWAITING)
			conn_close(request->conn, 1012, "service restart");
	}
}

static void
on_drain(uv_timer_t *timer)
{
	if (edge.counts.connections + edge.counts.requests + edge.counts.lingering > 0 && dw_mono_ms() < drain_until)
		return;
	uv_stop(timer->loop);
}

static void
drain(void)
{
	if (edge.draining) {
		uv_stop(&loop);
		return;
	}
	dw_log_info("shutting down", "connections=%llu", (unsigned long long)edge.counts.connections);
	dw_notify("STOPPING=1");
	edge.draining = true;
	drain_until = dw_mono_ms() + (uint64_t)edge.config.drain_ms;
	listen_close(&edge.listeners);
	gate_close(edge.gate);
	say_goodbye();
	api_drain(&edge);
	http_close_idle(edge.http);
	(void)uv_timer_start(&drain_timer, on_drain, 10, 20);
}

static void
on_signal(uv_signal_t *handle, int number)
{
	struct dw_fault fault = { 0 };

	(void)handle;
	if (number != SIGHUP) {
		drain();
		return;
	}
	server_reload_tls(edge.server);
	if (dw_auth_reload(edge.auth, &fault) == DW_OK)
		dw_log_info("keys read again", NULL);
	else
		dw_log_error("keys not read again; the old ones stay", "reason=%s", fault.message);
}

static int
check_listeners(struct dw_fault *fault)
{
	const bool certificate = edge.config.tls_cert != NULL;
	bool tls = false;
	int err = DW_OK;

	for (size_t i = 0; err == DW_OK && i < edge.config.listen.count; i++) {
		bool one = false;

		err = listen_check(edge.config.listen.item[i], &one, fault);
		tls |= one;
	}
	if (err != DW_OK)
		return err;
	if (certificate != (edge.config.tls_key != NULL))
		return dw_fault_set(fault, DW_E_CONFIG, "--tls-cert", "both --tls-cert and --tls-key, or neither",
			"'--tls-%s' is missing", certificate ? "key" : "cert");
	if (tls != certificate)
		return dw_fault_set(fault, DW_E_CONFIG, tls ? "--tls-cert" : "--listen",
			"--listen wss://ADDR:PORT together with --tls-cert and --tls-key",
			tls ? "'--tls-cert' is missing" : "a TLS certificate is given, but no '--listen wss://…' that uses it");
	return DW_OK;
}

static int
prepare(struct dw_fault *fault)
{
	static char endpoint[DW_PATH_SIZE], origins[DW_OPT_LIST_MAX][ORIGIN_SIZE];
	const struct dw_auth_config auth = { .keys = edge.config.keys,
		.issuer = edge.config.issuer,
		.audience = edge.config.audience,
		.leeway_s = (uint64_t)edge.config.leeway_ms / 1000 };
	int err;

	if (edge.config.hub == NULL) {
		dw_default_endpoint(false, endpoint);
		edge.config.hub = endpoint;
	}
	if (edge.config.keys == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, "--keys", "a directory with key files", "option '--keys' is missing");
	err = check_listeners(fault);
	if (err != DW_OK)
		return err;
	if (origins_prepare(&edge.config.origins, origins, fault) != DW_OK)
		return DW_E_CONFIG;
	return dw_auth_new(&edge.auth, &auth, fault);
}

static int
start(struct dw_fault *fault)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	const struct uplink_config link = {
		.uri = edge.config.hub, .name = edge.config.listen.item[0], .loop = &loop, .wheel = &edge.wheel
	};
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
	if (limits_init(&edge.limits, &edge.config) != DW_OK)
		return DW_E_NOMEM;
	(void)uv_timer_init(&loop, &ticks);
	(void)uv_timer_init(&loop, &drain_timer);
	(void)uv_timer_start(&ticks, on_tick, TICK_MS, TICK_MS);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		(void)uv_signal_init(&loop, &signals[i]);
		(void)uv_signal_start(&signals[i], on_signal, numbers[i]);
	}
	err = uplink_new(&edge.uplink, &link, &edge_events, &edge, fault);
	if (err == DW_OK)
		err = server_new(&edge.server, &edge, fault);
	if (err == DW_OK)
		err = gate_new(&edge.gate, &edge);
	if (err == DW_OK)
		err = http_new(&edge.http, &edge, fault);
	if (err == DW_OK)
		err = listen_open(&edge.listeners, &edge, fault);
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
	edge.ending = true;
	checks_end(&edge);
	listen_close(&edge.listeners);
	http_destroy(&edge.http);
	server_destroy(&edge.server);
	gate_destroy(&edge.gate);
	uplink_destroy(&edge.uplink);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	linger_end_all(&edge);
	uv_walk(&loop, close_handle, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	rooms_clear(&edge);
	sessions_clear(&edge.sessions);
	api_clear(&edge);
	status_clear(&edge);
	limits_clear(&edge.limits);
	dw_auth_destroy(&edge.auth);
}

int
main(int argc, char **argv)
{
	struct dw_fault fault = { 0 };
	int first, err;

	err = dw_opt_parse(&command, argc, argv, &first);
	if (err != DW_OK)
		return err == DW_OPT_DONE ? 0 : dw_err_exit(err);
	if (first < argc)
		return dw_err_exit(dw_opt_misuse(&command, "unexpected operand '%s'", argv[first]));
	dw_daemon_log(command.name);
	dw_json_watch_memory();
	err = prepare(&fault);
	if (err == DW_OK && edge.config.check_only) {
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
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	return dw_err_exit(err);
}
