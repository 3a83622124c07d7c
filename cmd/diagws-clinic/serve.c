/* diagws-clinic serve: the HTTP API and the dashboard, on the layer that edges have, too (lib/http).
 *
 * One thread is the loop: requests, tokens, and the hub's word on who owns what. Another one has the file, and pushes
 * what its calls leave in the outbox (http/worker.h). SIGHUP reads the keys again; SIGTERM and SIGINT end it, after the
 * requests in hand. Failure modes: options that do not go together, no keys, an address in use, a file that is not
 * there or not ours.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "cli/logging.h"
#include "http/files.h"
#include "http/http.h"
#include "http/listen.h"
#include "http/origin.h"
#include "http/owners.h"
#include "http/serve.h"
#include "http/service.h"
#include "http/task.h"
#include "http/worker.h"
#include "json/json.h"
#include "push/pump.h"
#include "sql/db.h"
#include "token/auth.h"
#include "verbs.h"

enum { DRAIN_MS = 30 * 1000, CHECKS_MAX = 1024, LEEWAY_MS_MAX = 30000, EDGE_MAX = 256 };

static struct {
	struct service service;
	struct db *db;
	struct pump *pump;
	struct dw_auth *auth;
	struct dw_http_files *files;
	struct dw_buf csp, page;
	uv_poll_t done; /* the thread has done something */
} serving;

/* ---- what browsers are told ---- */

/* An edge's address, as it may stand in a header and in JSON: ws:// or wss://, a host and maybe a port. */
static int
check_edge(const char *url, struct dw_fault *fault)
{
	const char *host = strncmp(url, "ws://", 5) == 0 ? url + 5 : strncmp(url, "wss://", 6) == 0 ? url + 6 : "";
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";

	if (host[0] != '\0' && host[strspn(host, allowed)] == '\0' && strlen(url) <= EDGE_MAX)
		return DW_OK;
	return dw_fault_set(
		fault, DW_E_CONFIG, "--edge", "ws://HOST:PORT or wss://HOST:PORT", "'%s' is not the address of an edge", url);
}

static int
write_page(struct dw_fault *fault)
{
	const struct dw_opt_list *edges = &clinic_options.edges;
	int err = DW_OK;

	dw_buf_adds(&serving.csp, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
							  "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
							  "frame-ancestors 'none'; connect-src 'self'");
	dw_buf_adds(&serving.page, "{\"edges\":[");
	for (size_t i = 0; i < edges->count && err == DW_OK; i++) {
		err = check_edge(edges->item[i], fault);
		dw_buf_addf(&serving.csp, " %s", edges->item[i]);
		dw_buf_addf(&serving.page, "%s\"%s\"", i > 0 ? "," : "", edges->item[i]);
	}
	dw_buf_addf(&serving.page, "],\"api\":true,\"version\":\"%s\"}", DW_VERSION);
	if (err == DW_OK && !(dw_buf_ok(&serving.csp) && dw_buf_ok(&serving.page)))
		err = DW_E_NOMEM;
	serving.service.page = (struct dw_str) { serving.page.data, serving.page.len };
	return err;
}

/* The folder that was named, or else the one that was installed with this program, if it is there. */
static int
read_files(struct dw_fault *fault)
{
	static const char beside[] = "/../share/diagws/www";
	char path[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(beside));
	const char *folder = clinic_options.www;

	if (folder == NULL && n > 0) {
		path[n] = '\0';
		memcpy(strrchr(path, '/'), beside, sizeof(beside));
		folder = access(path, R_OK | X_OK) == 0 ? path : NULL;
	}
	return folder != NULL ? dw_http_files_new(&serving.files, folder, "--www", serving.csp.data, fault) : DW_OK;
}

/* ---- the loop ---- */

static void
on_done(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
	task_go_on(&serving.service);
}

static int
started(void *user, struct dw_http *http, struct dw_fault *fault)
{
	struct service *service = user;
	int err = owners_watch(service->owners, dw_http_loop(http));

	(void)fault;
	if (err == DW_OK && uv_poll_init(dw_http_loop(http), &serving.done, worker_fd(service->worker)) != 0)
		err = DW_E_NOMEM;
	if (err == DW_OK && uv_poll_start(&serving.done, UV_READABLE, on_done) != 0)
		err = DW_E_NOMEM;
	if (err == DW_OK)
		dw_log_info("clinic ready", "listen=%s", clinic_options.listen.item[0]);
	return err;
}

static void
tick(void *user, uint64_t now_ms)
{
	static int told;
	struct service *service = user;
	const int pushing = worker_pushing(service->worker);

	owners_tick(service->owners, now_ms);
	if (pushing != DW_OK && told == DW_OK)
		dw_log_warn("pushes wait", "reason=%s", dw_err_text(pushing));
	else if (pushing == DW_OK && told != DW_OK)
		dw_log_info("nothing waits to be pushed any more", NULL);
	told = pushing;
}

static int
serve(struct dw_fault *fault)
{
	const struct dw_http_serve_config config = { .listen = &clinic_options.listen,
		.origins = &clinic_options.origins,
		.routes = service_routes,
		.files = serving.files != NULL ? dw_http_files_routes(serving.files) : NULL,
		.auth = serving.auth,
		.bounds = { .user_handshakes = 100,
			.user_requests = 1000,
			.address_handshakes = 1000,
			.address_requests = 1000,
			.bad_tokens = 100,
			.address_connections = 4000 },
		.max_connections = (uint64_t)clinic_options.max_connections,
		.max_checks = CHECKS_MAX,
		.drain_ms = DRAIN_MS,
		.user = &serving.service,
		.started = started,
		.tick = tick };

	return dw_http_serve(&config, fault);
}

/* ---- beginning and end ---- */

static int
check_options(struct dw_fault *fault)
{
	static char origins[DW_OPT_LIST_MAX][DW_HTTP_ORIGIN_SIZE];
	struct dw_opt_list *listen = &clinic_options.listen;
	int err = DW_OK;

	if (listen->count == 0)
		listen->item[listen->count++] = "127.0.0.1:8080";
	if (clinic_options.keys == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, "--keys", "a directory with key files", "option '--keys' is missing");
	for (size_t i = 0; i < listen->count && err == DW_OK; i++)
		err = dw_http_listen_check(listen->item[i], NULL, fault);
	if (err == DW_OK)
		err = dw_http_origins_prepare(&clinic_options.origins, origins, fault);
	return err;
}

static int
prepare(struct dw_fault *fault)
{
	const struct dw_auth_config auth = { .keys = clinic_options.keys,
		.issuer = clinic_options.issuer,
		.audience = clinic_options.audience,
		.leeway_s = (uint64_t)clinic_options.leeway_ms / 1000 };
	struct service *service = &serving.service;
	int err = check_options(fault);

	if (err == DW_OK)
		err = write_page(fault);
	if (err == DW_OK)
		err = read_files(fault);
	if (err == DW_OK)
		err = dw_auth_new(&serving.auth, &auth, fault);
	if (err == DW_OK)
		err = owners_new(&service->owners, dw_common.endpoint, dw_common.timeout_ms, fault);
	service->db = clinic_options.db;
	if (err == DW_OK)
		err = db_open(&serving.db, clinic_options.db, fault);
	if (err == DW_OK)
		err = pump_new(&serving.pump, serving.db, dw_common.endpoint, dw_common.timeout_ms);
	if (err == DW_OK)
		err = worker_new(&service->worker, serving.db, serving.pump);
	return err;
}

static void
clear(void)
{
	struct service *service = &serving.service;

	if (service->worker != NULL) {
		worker_end(service->worker);
		task_go_on(service);
	}
	owners_destroy(&service->owners);
	task_clear(service);
	worker_destroy(&service->worker);
	pump_destroy(&serving.pump);
	db_close(&serving.db);
	dw_http_files_destroy(&serving.files);
	dw_auth_destroy(&serving.auth);
	dw_buf_clear(&serving.csp);
	dw_buf_clear(&serving.page);
}

int
verb_serve(int count, char **operands)
{
	struct dw_fault fault = { 0 };
	struct order order;
	int err;

	if (count > 0)
		return dw_err_exit(dw_opt_misuse(&clinic_command, "'%s' is one operand too many", operands[0]));
	if (!verb_order(&order))
		return dw_err_exit(DW_E_USAGE);
	serving.service.now = clinic_options.now != NULL ? order.now : 0;
	dw_log_begin(clinic_command.name);
	dw_json_watch_memory();
	err = prepare(&fault);
	if (err == DW_OK)
		err = serve(&fault);
	clear();
	if (err != DW_OK)
		dw_fault_print(stderr, clinic_command.name, err, &fault, NULL);
	return dw_err_exit(err);
}
