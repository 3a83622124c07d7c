/* A whole server, for a program that serves nothing but HTTP: the loop, signals, listening addresses, limits, checks of
 * tokens, lib/http, draining.
 */
#ifndef DIAGWS_HTTP_SERVE_H
#define DIAGWS_HTTP_SERVE_H

#include <stdint.h>

#include "base/err.h"
#include "cli/opt.h"
#include "http/limits.h"

struct dw_auth;
struct dw_http;
struct dw_http_route;

struct dw_http_serve_config {
	const struct dw_opt_list *listen;   /* ADDR:PORT, [ADDR]:PORT, unix:PATH */
	const struct dw_opt_list *origins;  /* as dw_http_origins_prepare left it */
	const struct dw_http_route *routes; /* route.h, */
	const struct dw_http_route *files;  /* files.h; or NULL */
	struct dw_auth *auth;               /* SIGHUP reads its keys again */
	struct dw_http_bounds bounds;
	uint64_t max_connections, max_checks, drain_ms;
	void *user; /* each request has it */
	/* It listens now; dw_http_loop is the loop. DW_OK, or why it is to end at once. */
	int (*started)(void *user, struct dw_http *http, struct dw_fault *fault);
	/* Some 20 times a second, with the time of dw_mono_ms; or NULL. */
	void (*tick)(void *user, uint64_t now_ms);
};

/* Serves until SIGTERM or SIGINT, then lets requests end, for drain_ms at most (a second signal: at once). All handles
 * of the loop are closed when it returns, the program's own, too (without a callback). DW_OK; DW_E_CONFIG, DW_E_IN_USE,
 * DW_E_CREATE, DW_E_PERMISSION, DW_E_NOMEM; what `started` said. */
int dw_http_serve(const struct dw_http_serve_config *config, struct dw_fault *fault);

#endif
