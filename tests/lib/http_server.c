/* A server of lib/http, as small as one can be, for tests of dw_http_serve: http_server LISTEN KEYS MAX-CONNECTIONS
 * WWW. It answers what it was asked; /later/{ms} is answered after so long, by a timer that its request may outlive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "cli/logging.h"
#include "http/files.h"
#include "http/request.h"
#include "http/route.h"
#include "http/serve.h"
#include "token/auth.h"

static void
take(struct dw_http_request *request)
{
	struct dw_buf *out = &request->answer;

	dw_buf_addf(out, "{\"call\":\"%s\",\"part\":", (const char *)request->route->arg);
	dw_buf_add_json_string(out, dw_str(request->part));
	dw_buf_adds(out, ",\"user\":");
	dw_buf_add_json_string(out, dw_str(request->claims.user));
	dw_buf_addf(out, ",\"body\":%zu}", request->body.len);
	dw_http_answer(request, MHD_HTTP_OK);
}

struct later {
	uv_timer_t timer;
	struct dw_http_request *request; /* NULL: it is gone */
};

static void
free_later(uv_handle_t *handle)
{
	free(handle->data);
}

static void
on_time(uv_timer_t *timer)
{
	struct later *later = timer->data;

	if (later->request != NULL) {
		later->request->waits_for = NULL;
		take(later->request);
	}
	uv_close((uv_handle_t *)timer, free_later);
}

static void
call_off(struct dw_http_request *request)
{
	struct later *later = request->waits_for;

	later->request = NULL;
	dw_log_info("called off", NULL);
}

static void
take_later(struct dw_http_request *request)
{
	struct later *later = calloc(1, sizeof(*later));

	if (later == NULL) {
		dw_http_fail(request, DW_E_NOMEM, NULL, NULL);
		return;
	}
	dw_log_info("asked", NULL);
	later->request = request;
	later->timer.data = later;
	request->waits_for = later;
	request->call_off = call_off;
	(void)uv_timer_init(dw_http_loop(request->http), &later->timer);
	(void)uv_timer_start(&later->timer, on_time, strtoul(request->part, NULL, 10), 0);
}

static const struct dw_http_route routes[] = {
	{ "/things", DW_HTTP_POST | DW_HTTP_TOKEN, take, "post", NULL },
	{ "/things", 0, take, "list", NULL },
	{ "/things/{id}", 0, take, "get", NULL },
	{ "/things/{id}", DW_HTTP_PUT | DW_HTTP_TOKEN, take, "put", NULL },
	{ "/things/{id}/summary", 0, take, "summary", NULL },
	{ "/names/{name}", DW_HTTP_NAMED, take, "name", NULL },
	{ "/later/{ms}", 0, take_later, "later", NULL },
	{ 0 },
};

static int
started(void *user, struct dw_http *http, struct dw_fault *fault)
{
	(void)user;
	(void)http;
	(void)fault;
	dw_log_info("ready", NULL);
	return DW_OK;
}

int
main(int argc, char **argv)
{
	const struct dw_opt_list nobody = { 0 };
	struct dw_opt_list listen = { .count = 1 };
	struct dw_http_serve_config config = { .listen = &listen,
		.origins = &nobody,
		.routes = routes,
		.bounds = { .address_requests = 1000 },
		.max_checks = 16,
		.drain_ms = 5000,
		.started = started };
	struct dw_http_files *files = NULL;
	struct dw_fault fault = { 0 };
	int err = argc == 5 ? DW_OK : DW_E_USAGE;

	dw_log_begin("http_server");
	if (err == DW_OK)
		err = dw_auth_new(&config.auth, &(struct dw_auth_config) { .keys = argv[2] }, &fault);
	if (err == DW_OK)
		err = dw_http_files_new(&files, argv[4], "WWW", "default-src 'none'", &fault);
	if (err == DW_OK) {
		listen.item[0] = argv[1];
		config.max_connections = strtoul(argv[3], NULL, 10);
		config.files = dw_http_files_routes(files);
		err = dw_http_serve(&config, &fault);
	}
	dw_http_files_destroy(&files);
	dw_auth_destroy(&config.auth);
	if (err != DW_OK)
		dw_fault_print(stderr, "http_server", err, &fault, NULL);
	return dw_err_exit(err);
}
