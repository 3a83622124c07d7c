/* diagws-clinic serve: the HTTP API and the dashboard, on the layer that edges have, too (lib/http).
 *
 * One thread is the loop: requests, tokens, and the hub's word on who owns what. Another one has the file and pushes
 * what its calls leave in the outbox (http/worker.h). SIGHUP reads the keys again; SIGTERM and SIGINT end it, after the
 * requests in hand. Failure modes: options that do not go together, no keys, an address in use, a file that is not
 * there or not ours.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/logging.h"
#include "http/files.h"
#include "http/http.h"
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

enum { DRAIN_MS = 30 * 1000, CHECKS_MAX = 1024, EDGE_MAX = 256 };

/* All that is made before the loop, and freed after it. */
struct serving {
	struct service service;
	struct db *db;
	struct pump *pump;
	struct dw_auth *auth;
	struct dw_http_files *files;
	struct dw_buf csp, page;
	char www[PATH_MAX];
	uv_poll_t poll;
};
