/* The HTTP calls: one table says path, method, needs; one function takes each, in a file of its own (publish.c,
 * messages.c, status.c). Here is what they share: failing, and waiting at the hub.
 *
 * A 403 comes no sooner than DENY_MS, so that unknown and forbidden take the same time. Requests that wait at the hub
 * for more than its answer (for devices, for the next message) are counted: so many of one user, so many in all, for
 * each holds a connection and a place among the hub's requests of this edge. One whose client left still counts until
 * the hub is done with it: leaving and coming again gains nothing.
 */
#include "api.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "edge.h"
#include "http/messages.h"
#include "http/publish.h"
#include "http/status.h"
#include "hub/uplink.h"

enum { WAITING_MAX = 2048 }; /* half of what may be unanswered */

/* A request that waits at the hub, or did when its client left. */
struct waiter {
	struct waiter *prev, *next;
	struct request *request; /* NULL: its client left */
	uint64_t until;          /* the hub is done with it by then */
	char user[DW_USER_MAX + 1];
};

struct route {
	const char *path;
	bool post;   /* it takes a POST with a body; else GET and HEAD */
	bool token;  /* there must be one */
	bool prefix; /* the path has one part more */
	void (*take)(struct request *request);
	const char *type; /* of a flat publish; NULL: the general one */
};

static void take_health(struct request *request);
static void take_ready(struct request *request);

static const struct route routes[] = {
	{ "/ws/status", false, false, false, status_take, NULL },
	{ "/ws/broadcast-recommendation-update", true, true, false, publish_take, "recommendation_update" },
	{ "/ws/broadcast-effectiveness-update", true, true, false, publish_take, "effectiveness_update" },
	{ "/ws/broadcast-feedback-update", true, true, false, publish_take, "feedback_update" },
	{ "/ws/broadcast", true, true, false, publish_take, NULL },
	{ "/ws/messages/", false, true, true, messages_take, NULL },
	{ "/healthz", false, false, false, take_health, NULL },
	{ "/health", false, false, false, take_health, NULL },
	{ "/health/live", false, false, false, take_health, NULL },
	{ "/readyz", false, false, false, take_ready, NULL },
	{ "/health/ready", false, false, false, take_ready, NULL },
};

static bool
matches(const struct route *route, const char *path)
{
	const size_t n = strlen(route->path);

	if (!route->prefix)
		return strcmp(path, route->path) == 0;
	return strncmp(path, route->path, n) == 0 && path[n] != '\0' && strchr(path + n, '/') == NULL;
}

static bool
is_one(const char *method, const char *one, const char *other)
{
	return strcmp(method, one) == 0 || strcmp(method, other) == 0;
}

enum answer_status
api_route(const char *method, const char *path, const struct route **route, const char **allow)
{
	static const char websockets[] = "/ws/";
	const size_t n = sizeof(websockets) - 1;
	const bool asks = strcmp(method, "OPTIONS") == 0;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!matches(&routes[i], path))
			continue;
		if (routes[i].post ? strcmp(method, "POST") == 0 : is_one(method, "GET", "HEAD")) {
			*route = &routes[i];
			return DW_HTTP_OK;
		}
		*allow = routes[i].post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
		return asks ? DW_HTTP_OK : DW_HTTP_METHOD;
	}
	*allow = "GET, HEAD, POST, OPTIONS";
	if (asks && strcmp(path, "*") == 0)
		return DW_HTTP_OK;
	*allow = NULL;
	if (strncmp(path, websockets, n) == 0 && path[n] != '\0' && strchr(path + n, '/') == NULL &&
		is_one(method, "GET", "HEAD"))
		return DW_HTTP_UPGRADE;
	return DW_HTTP_NOT_FOUND;
}

bool
api_has_body(const struct route *route)
{
	return route->post;
}

const char *
api_type(const struct route *route)
{
	return route->type;
}

bool
api_needs_token(const struct route *route)
{
	return route->token;
}

bool
api_is_bounded(const struct route *route)
{
	return route->take != take_health && route->take != take_ready;
}

void
api_take(struct request *request)
{
	request->route->take(request);
}

static void
take_health(struct request *request)
{
	dw_buf_adds(&request->answer, "{\"status\":\"ok\"}");
	http_answer(request, DW_HTTP_OK);
}

static void
take_ready(struct request *request)
{
	const char *reason = request->edge->draining ? "shutting down" : uplink_unready(request->edge->uplink);

	if (reason == NULL) {
		take_health(request);
		return;
	}
	dw_buf_addf(&request->answer, "{\"status\":\"unavailable\",\"reasons\":[\"%s\"]}", reason);
	http_answer(request, DW_HTTP_UNAVAILABLE);
}

static enum answer_status
status_of(int err)
{
	switch (err) {
	case DW_E_JSON:
		return DW_HTTP_BAD_REQUEST;
	case DW_E_TOO_BIG:
		return DW_HTTP_TOO_LARGE;
	case DW_E_FIELD:
	case DW_E_ID_REUSED:
		return DW_HTTP_UNPROCESSABLE;
	case DW_E_DENIED:
		return DW_HTTP_FORBIDDEN;
	case DW_E_UNDELIVERED:
		return DW_HTTP_UNDELIVERED;
	case DW_E_RATE:
		return DW_HTTP_TOO_MANY;
	case DW_E_NOMEM:
	case DW_E_HUB_AWAY:
	case DW_E_TIMEOUT:
	case DW_E_STORAGE:
	case DW_E_STORAGE_FULL:
	case DW_E_BUSY:
	case DW_E_CLOSING:
		return DW_HTTP_UNAVAILABLE;
	default:
		return DW_HTTP_INTERNAL;
	}
}

void
api_fail(struct request *request, int err, const char *message, const char *field)
{
	if (err == DW_E_TIMEOUT && !uplink_ready(request->edge->uplink))
		err = DW_E_HUB_AWAY;
	http_error(request, status_of(err), dw_err_code(err),
		message != NULL && message[0] != '\0' ? message : dw_err_text(err), field);
}

void
api_deny(struct request *request)
{
	uint64_t due = request->begun_at + DENY_MS;

	if (dw_mono_ms() >= due)
		api_fail(request, DW_E_DENIED, NULL, NULL);
	else
		dw_wheel_set(&request->edge->wheel, &request->timer, due);
	request->denied = true;
}

void
api_timer(struct request *request)
{
	api_deny(request);
}

static void
free_waiter(struct edge *edge, struct waiter *waiter)
{
	DL_DELETE(edge->waiters, waiter);
	free(waiter);
}

int
api_wait_begin(struct request *request, uint64_t wait_ms)
{
	struct edge *edge = request->edge;
	const uint64_t now = dw_mono_ms();
	struct waiter *waiter, *next;
	size_t all = 0, same = 0;

	DL_FOREACH_SAFE(edge->waiters, waiter, next)
	{
		all++;
		if (waiter->request == NULL && now >= waiter->until)
			free_waiter(edge, waiter);
		else if (strcmp(waiter->user, request->claims.user) == 0)
			same++;
	}
	if (edge->draining)
		return DW_E_CLOSING;
	if (same >= LIMIT_USER_CONNECTIONS)
		return DW_E_RATE;
	if (all >= WAITING_MAX)
		return DW_E_BUSY;
	waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL)
		return DW_E_NOMEM;
	waiter->request = request;
	waiter->until = now + wait_ms + ANSWER_MS;
	(void)dw_str_copy(dw_str(request->claims.user), waiter->user, sizeof(waiter->user));
	DL_APPEND(edge->waiters, waiter);
	request->waiter = waiter;
	return DW_OK;
}

void
api_wait_end(struct request *request, bool answered)
{
	struct waiter *waiter = request->waiter;

	request->waiter = NULL;
	if (waiter == NULL)
		return;
	waiter->request = NULL;
	if (answered)
		free_waiter(request->edge, waiter);
}

void
api_drain(struct edge *edge)
{
	struct waiter *waiter, *next;

	DL_FOREACH_SAFE(edge->waiters, waiter, next)
	{
		if (waiter->request != NULL)
			uplink_give_up(edge->uplink, waiter->request->corr);
	}
}

void
api_clear(struct edge *edge)
{
	struct waiter *waiter, *next;

	DL_FOREACH_SAFE(edge->waiters, waiter, next)
	{
		free_waiter(edge, waiter);
	}
}
