/* A server of HTTP and nothing else: see serve.h. One loop, one thread, beside those that check signatures.
 *
 * Happy path: limits → loop → lib/http → listening → `started` → the loop → SIGTERM: no more connections and requests,
 * those that are there end → all handles closed. Failure modes: told at the start; as many connections as may be: the
 * one that has been idle for longest ends.
 */
#include "serve.h"

#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "cli/logging.h"
#include "cli/notify.h"
#include "http/check.h"
#include "http/http.h"
#include "http/listen.h"
#include "http/receive.h"
#include "token/auth.h"

enum { TICK_MS = 50, LOOK_MS = 20, SIGNALS = 3 };

static struct {
	const struct dw_http_serve_config *config;
	uv_loop_t loop;
	uv_signal_t signals[SIGNALS];
	uv_timer_t ticks, drain;
	struct dw_wheel wheel;
	struct dw_http_limits limits;
	struct dw_http_checks checks;
	struct dw_http *http;
	struct dw_http_listener *listeners;
	uint64_t drain_until;
} server;

static void
on_tick(uv_timer_t *timer)
{
	const uint64_t now = dw_mono_ms();

	(void)timer;
	(void)dw_notify_alive(now);
	(void)dw_wheel_run(&server.wheel, now, SIZE_MAX);
	if (server.config->tick != NULL)
		server.config->tick(server.config->user, now);
}

static void
on_drain(uv_timer_t *timer)
{
	if (dw_http_busy(server.http) == 0 || dw_mono_ms() >= server.drain_until)
		uv_stop(timer->loop);
}

static void
drain(void)
{
	if (dw_http_draining(server.http)) {
		uv_stop(&server.loop);
		return;
	}
	dw_log_info("shutting down", "connections=%llu", (unsigned long long)dw_http_connections(server.http));
	dw_notify("STOPPING=1");
	server.drain_until = dw_mono_ms() + server.config->drain_ms;
	dw_http_listen_close(&server.listeners);
	dw_http_drain(server.http);
	(void)uv_timer_start(&server.drain, on_drain, LOOK_MS, LOOK_MS);
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
	err = dw_auth_reload(server.config->auth, &fault);
	if (err == DW_OK)
		dw_log_info("keys read again", NULL);
	else
		dw_log_error("keys not read again; the old ones stay", "reason=%s",
			err == DW_E_NOMEM ? dw_err_text(err) : fault.message);
}

static bool
make_room(void *user, bool must)
{
	(void)user;
	return (!must && dw_http_connections(server.http) < server.config->max_connections) ||
		   dw_http_evict_leaving(server.http) || dw_http_evict(server.http, 0);
}

static void
take(void *user, int fd, const struct dw_http_address *address, bool tls)
{
	(void)user;
	(void)tls;
	if (!dw_http_take(server.http, fd, address, (struct dw_str) { NULL, 0 }))
		(void)close(fd);
}

static int
start(struct dw_fault *fault)
{
	static const int numbers[SIGNALS] = { SIGTERM, SIGINT, SIGHUP };
	static const struct dw_http_listen listening = {
		.loop = &server.loop, .wheel = &server.wheel, .make_room = make_room, .take = take
	};
	const struct dw_http_serve_config *config = server.config;
	const struct dw_http_config http = { .loop = &server.loop,
		.wheel = &server.wheel,
		.routes = config->routes,
		.files = config->files,
		.origins = config->origins,
		.limits = &server.limits,
		.checks = &server.checks,
		.max_connections = config->max_connections,
		.user = config->user };
	int err;

	(void)signal(SIGPIPE, SIG_IGN);
	server.checks = (struct dw_http_checks) {
		.loop = &server.loop, .auth = config->auth, .limits = &server.limits, .max = config->max_checks
	};
	dw_wheel_init(&server.wheel, dw_mono_ms());
	(void)uv_timer_init(&server.loop, &server.ticks);
	(void)uv_timer_init(&server.loop, &server.drain);
	(void)uv_timer_start(&server.ticks, on_tick, TICK_MS, TICK_MS);
	for (size_t i = 0; i < SIGNALS; i++) {
		(void)uv_signal_init(&server.loop, &server.signals[i]);
		(void)uv_signal_start(&server.signals[i], on_signal, numbers[i]);
	}
	err = dw_http_limits_init(&server.limits, &config->bounds);
	if (err == DW_OK)
		err = dw_http_new(&server.http, &http, fault);
	if (err == DW_OK)
		err = dw_http_listen_open(&server.listeners, config->listen, &listening, fault);
	return err == DW_OK && config->started != NULL ? config->started(config->user, server.http, fault) : err;
}

static void
close_handle(uv_handle_t *handle, void *user)
{
	(void)user;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

int
dw_http_serve(const struct dw_http_serve_config *config, struct dw_fault *fault)
{
	int err;

	server.config = config;
	if (uv_loop_init(&server.loop) != 0)
		return DW_E_NOMEM;
	err = start(fault);
	if (err == DW_OK) {
		dw_notify("READY=1");
		(void)uv_run(&server.loop, UV_RUN_DEFAULT);
	}
	server.checks.ending = true;
	(void)uv_timer_stop(&server.ticks);
	(void)uv_timer_stop(&server.drain);
	for (size_t i = 0; i < SIGNALS; i++)
		(void)uv_signal_stop(&server.signals[i]);
	dw_http_listen_close(&server.listeners);
	dw_http_destroy(&server.http);
	(void)uv_run(&server.loop, UV_RUN_NOWAIT);
	uv_walk(&server.loop, close_handle, NULL);
	(void)uv_run(&server.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&server.loop);
	dw_http_receive_clear();
	dw_http_limits_clear(&server.limits);
	return err;
}
