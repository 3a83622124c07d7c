/* The HTTP calls: one table says path, method, needs; one function takes each.
 *
 * Publishing: body → checked message → PUBLISH to the hub → the answer after its commit. Who may is
 * decided by the hub in the same transaction (owner), or here (scope `publish`). Contract's order:
 * 400 (no JSON) before 403 before 422: when a field is wrong and the sender has no scope, the hub is first asked
 * whether the sender may publish there at all. A 403 comes no sooner than DENY_MS, so that unknown and forbidden take
 * the same time.
 */
#include "api.h"

#include <stdlib.h>
#include <string.h>

#include "diagws/clock.h"
#include "edge.h"
#include "status.h"
#include "uplink.h"

enum { ANSWER_MS = 5000 };

struct route {
	const char *path;
	const char *method;
	bool body, token;
	bool prefix; /* the path goes on */
	void (*take)(struct request *request);
	const char *type; /* of a flat publish; NULL: the general one */
};

static void take_publish(struct request *request);
static void take_health(struct request *request);
static void take_ready(struct request *request);

static const struct route routes[] = {
	{ "/ws/status", "GET", false, false, false, status_take, NULL },
	{ "/ws/broadcast-recommendation-update", "POST", true, true, false, take_publish, "recommendation_update" },
	{ "/ws/broadcast-effectiveness-update", "POST", true, true, false, take_publish, "effectiveness_update" },
	{ "/ws/broadcast-feedback-update", "POST", true, true, false, take_publish, "feedback_update" },
	{ "/ws/broadcast", "POST", true, true, false, take_publish, NULL },
	{ "/ws/messages/", "GET", false, true, true, NULL, NULL },
	{ "/metrics", "GET", false, false, false, NULL, NULL },
	{ "/healthz", "GET", false, false, false, take_health, NULL },
	{ "/health", "GET", false, false, false, take_health, NULL },
	{ "/health/live", "GET", false, false, false, take_health, NULL },
	{ "/readyz", "GET", false, false, false, take_ready, NULL },
	{ "/health/ready", "GET", false, false, false, take_ready, NULL },
};

enum answer_status
api_route(const char *method, const char *path, const struct route **route, const char **allow)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (routes[i].prefix ? strncmp(path, routes[i].path, strlen(routes[i].path)) != 0
							 : strcmp(path, routes[i].path) != 0)
			continue;
		if (routes[i].take == NULL || strcmp(method, "OPTIONS") == 0)
			return DW_HTTP_NOT_IMPLEMENTED;
		if (strcmp(method, routes[i].method) != 0) {
			*allow = routes[i].method;
			return DW_HTTP_METHOD;
		}
		*route = &routes[i];
		return DW_HTTP_OK;
	}
	return DW_HTTP_NOT_FOUND;
}

bool
api_has_body(const struct route *route)
{
	return route->body;
}

bool
api_needs_token(const struct route *route)
{
	return route->token;
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
	const char *reason = request->edge->draining                ? "shutting down"
						 : !uplink_ready(request->edge->uplink) ? "the hub does not answer"
																: NULL;

	if (reason == NULL) {
		take_health(request);
		return;
	}
	dw_buf_addf(&request->answer, "{\"status\":\"unavailable\",\"reasons\":[\"%s\"]}", reason);
	http_answer(request, DW_HTTP_UNAVAILABLE);
}

/* What stays of a publish while the hub is asked. */
struct publish {
	struct dw_request message;
	struct dw_fault fault;
	int err; /* of the check: told when the sender may publish there */
};

void
api_forget(struct request *request)
{
	struct publish *publish = request->context;

	if (publish == NULL)
		return;
	dw_request_clear(&publish->message);
	free(publish);
	request->context = NULL;
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
	case DW_E_UNSUPPORTED:
		return DW_HTTP_NOT_IMPLEMENTED;
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

/* An error that may be tried again tells the id to try with. */
static void
tell_error(struct request *request, int err, const char *message, const char *field)
{
	const struct publish *publish = request->context;
	enum answer_status status = status_of(err);

	if (err == DW_E_TIMEOUT && !uplink_ready(request->edge->uplink))
		err = DW_E_HUB_AWAY;
	http_error(
		request, status, dw_err_code(err), message != NULL && message[0] != '\0' ? message : dw_err_text(err), field);
	if (status == DW_HTTP_UNAVAILABLE && publish->message.id[0] != '\0' && dw_buf_ok(&request->answer)) {
		request->answer.len--;
		dw_buf_adds(&request->answer, ",\"id\":");
		dw_buf_add_json_string(&request->answer, dw_str(publish->message.id));
		dw_buf_addc(&request->answer, '}');
	}
}

static void
deny(struct request *request)
{
	uint64_t due = request->begun_at + DENY_MS;

	if (dw_mono_ms() >= due)
		http_error(request, DW_HTTP_FORBIDDEN, dw_err_code(DW_E_DENIED), dw_err_text(DW_E_DENIED), NULL);
	else
		wheel_set(&request->edge->wheel, &request->timer, due);
}

void
api_timer(struct request *request)
{
	deny(request);
}

static void
tell_stored(struct request *request, const struct dw_stored *stored)
{
	struct publish *publish = request->context;
	struct dw_buf *out = &request->answer;

	dw_buf_adds(out, "{\"success\":true,\"status\":\"broadcasted\",\"diagnosis_id\":");
	dw_id_to_json(out, dw_str(publish->message.room));
	dw_buf_addf(
		out, ",\"seq\":%llu,\"n\":%llu,\"id\":", (unsigned long long)stored->seq, (unsigned long long)stored->n);
	dw_buf_add_json_string(out, dw_str(publish->message.id));
	dw_buf_addf(out, ",\"duplicate\":%s,\"clients_notified\":%llu,\"devices_queued\":%llu,\"message\":\"%s\"",
		stored->duplicate ? "true" : "false", (unsigned long long)stored->notified, (unsigned long long)stored->queued,
		stored->duplicate ? "stored before under this id; nothing was sent again" : "stored and sent");
	if (publish->message.scalars.len > 0) {
		dw_buf_addc(out, ',');
		dw_buf_add(out, publish->message.scalars.data, publish->message.scalars.len);
	}
	dw_buf_addc(out, '}');
	http_answer(request, DW_HTTP_OK);
}

static void
on_stored(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;
	char text[256] = "";

	request->corr = 0;
	if (err != DW_OK) {
		tell_error(request, err, NULL, NULL);
	} else if (answer->stored.code == 0) {
		tell_stored(request, &answer->stored);
	} else if (answer->stored.code == (uint64_t)-DW_E_DENIED) {
		deny(request);
	} else {
		(void)dw_str_copy(answer->stored.text, text, sizeof(text));
		tell_error(
			request, -(int)answer->stored.code, text, answer->stored.code == (uint64_t)-DW_E_ID_REUSED ? "id" : NULL);
	}
}

static void
ask_publish(struct request *request)
{
	struct publish *publish = request->context;
	bool scoped = (request->claims.scope & DW_SCOPE_PUBLISH) != 0;
	struct dw_wire ask = { .kind = DW_PUBLISH,
		.publish = { .room = dw_str(publish->message.room),
			.type = dw_str(publish->message.type),
			.id = dw_str(publish->message.id),
			.data = { publish->message.data.data, publish->message.data.len },
			.user = dw_str(scoped ? "" : request->claims.user),
			.claimed = dw_claims_name(&request->claims, dw_str(publish->message.room)) } };
	int err = uplink_ask(request->edge->uplink, &ask, ANSWER_MS, on_stored, request, &request->corr);

	if (err != DW_OK)
		tell_error(request, err, NULL, NULL);
}

static void
on_checked(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;
	struct publish *publish = request->context;

	request->corr = 0;
	if (err != DW_OK)
		tell_error(request, err, NULL, NULL);
	else if (answer->owned.code == 0)
		tell_error(request, publish->err, publish->fault.message, publish->fault.field);
	else if (answer->owned.code == (uint64_t)-DW_E_DENIED)
		deny(request);
	else
		tell_error(request, -(int)answer->owned.code, NULL, NULL);
}

/* The message is wrong; but one who may not publish there is told only that. */
static void
ask_may(struct request *request)
{
	struct publish *publish = request->context;
	struct dw_wire ask = { .kind = DW_OWN,
		.own = { .verb = DW_STR("check"),
			.room = dw_str(publish->message.room),
			.user = dw_str(request->claims.user),
			.claimed = dw_claims_name(&request->claims, dw_str(publish->message.room)) } };
	int err = uplink_ask(request->edge->uplink, &ask, ANSWER_MS, on_checked, request, &request->corr);

	if (err != DW_OK)
		tell_error(request, err, NULL, NULL);
}

static void
take_publish(struct request *request)
{
	struct publish *publish = calloc(1, sizeof(*publish));
	const struct dw_buf *body = &request->body;
	const char *text = body->data != NULL ? body->data : "";

	if (publish == NULL || !dw_buf_ok(body)) {
		free(publish);
		http_error(request, DW_HTTP_UNAVAILABLE, dw_err_code(DW_E_NOMEM), dw_err_text(DW_E_NOMEM), NULL);
		return;
	}
	request->context = publish;
	dw_request_init(&publish->message);
	publish->err = request->route->type != NULL
					   ? dw_request_flat(&publish->message, request->route->type, text, body->len, &publish->fault)
					   : dw_request_general(&publish->message, NULL, NULL, text, body->len, &publish->fault);
	dw_buf_clear(&request->body);
	if (publish->err == DW_OK && publish->message.id[0] == '\0')
		dw_random_id(publish->message.id);
	if (publish->err == DW_OK)
		ask_publish(request);
	else if (publish->err == DW_E_JSON || publish->message.room[0] == '\0' ||
			 (request->claims.scope & DW_SCOPE_PUBLISH) != 0)
		tell_error(request, publish->err, publish->fault.message, publish->fault.field);
	else
		ask_may(request);
}
