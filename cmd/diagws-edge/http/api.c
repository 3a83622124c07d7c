/* What those who take requests share: how an error is said in HTTP, and asking the hub; see request.h.
 *
 * A 403 comes no sooner than DW_HTTP_DENY_MS, so that unknown and forbidden take the same time. What was asked may outlive its
 * request. Failure modes: too many wait, of one user or in all; no memory.
 */
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <utlist.h>

#include "base/clock.h"
#include "edge.h"
#include "hub/uplink.h"
#include "wire/wire.h"

enum { WAITING_MAX = 2048 }; /* half of what may be unanswered */

struct ask {
	struct ask *prev, *next; /* in edge->waiting, where it waits at the hub */
	bool waits;
	struct edge *edge;
	struct dw_http_request *request; /* NULL: its client left */
	ask_done *done;
	uint64_t corr;
	char user[DW_USER_MAX + 1];
};

static unsigned
status_of(int err)
{
	static const struct {
		int err;
		unsigned status;
	} statuses[] = {
		{ DW_E_JSON, MHD_HTTP_BAD_REQUEST },
		{ DW_E_TOKEN_MISSING, MHD_HTTP_UNAUTHORIZED },
		{ DW_E_TOKEN, MHD_HTTP_UNAUTHORIZED },
		{ DW_E_TOKEN_EXPIRED, MHD_HTTP_UNAUTHORIZED },
		{ DW_E_DENIED, MHD_HTTP_FORBIDDEN },
		{ DW_E_TOO_BIG, MHD_HTTP_CONTENT_TOO_LARGE },
		{ DW_E_FIELD, MHD_HTTP_UNPROCESSABLE_CONTENT },
		{ DW_E_ID_REUSED, MHD_HTTP_UNPROCESSABLE_CONTENT },
		{ DW_E_RATE, MHD_HTTP_TOO_MANY_REQUESTS },
		{ DW_E_UNDELIVERED, MHD_HTTP_GATEWAY_TIMEOUT },
	};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].err == err)
			return statuses[i].status;
	/* What a command may try again, a client of HTTP may, too. */
	return dw_err_exit(err) == EX_TEMPFAIL ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

void
dw_http_fail(struct dw_http_request *request, int err, const char *message, const char *field)
{
	const uint64_t deny_at = request->begun_at + DW_HTTP_DENY_MS;
	struct dw_buf *out = &request->answer;

	request->denied = err == DW_E_DENIED;
	if (request->denied && dw_mono_ms() < deny_at) {
		dw_wheel_set(&request->edge->wheel, &request->timer, deny_at);
		return;
	}
	if (err == DW_E_TIMEOUT && !uplink_ready(request->edge->uplink))
		err = DW_E_HUB_AWAY;
	if (request->denied || message == NULL || message[0] == '\0')
		message = dw_err_text(err);
	dw_http_error(request, status_of(err), dw_err_code(err), message, request->denied ? NULL : field);
	if (request->add_more == NULL || request->status < MHD_HTTP_SERVICE_UNAVAILABLE || !dw_buf_ok(out))
		return;
	out->len--;
	request->add_more(request, out);
	dw_buf_addc(out, '}');
}

bool
dw_http_number(const struct dw_http_request *request, const char *name, bool (*parse)(const char *text, int64_t *value),
	int64_t min, int64_t max, int64_t *out)
{
	const char *text = dw_http_argument(request, name);
	int64_t value;

	if (text == NULL)
		return true;
	if (!parse(text, &value) || value < min || value > max)
		return false;
	*out = value;
	return true;
}

static void
free_ask(struct ask *ask)
{
	if (ask->waits)
		DL_DELETE(ask->edge->waiting, ask);
	if (ask->request != NULL)
		ask->request->ask = NULL;
	free(ask);
}

static void
on_answer(void *user, int err, const struct dw_wire *answer)
{
	struct ask *ask = user;
	struct dw_http_request *request = ask->request;
	ask_done *done = ask->done;

	if (err != DW_OK || answer->kind != DW_STORED || !ask->waits) /* else DELIVERED follows */
		free_ask(ask);
	if (request != NULL)
		done(request, err, answer);
}

/* Whether one more may wait at the hub. */
static int
check_waiting(const struct dw_http_request *request)
{
	const struct ask *ask;
	size_t all = 0, same = 0;

	DL_FOREACH(request->edge->waiting, ask)
	{
		all++;
		same += strcmp(ask->user, request->claims.user) == 0;
	}
	if (request->edge->draining)
		return DW_E_CLOSING;
	if (same >= LIMIT_USER_CONNECTIONS)
		return DW_E_RATE;
	return all >= WAITING_MAX ? DW_E_BUSY : DW_OK;
}

void
ask_hub(struct dw_http_request *request, const struct dw_wire *wire, uint64_t wait_ms, ask_done *done)
{
	struct edge *edge = request->edge;
	struct ask *ask = NULL;
	int err = wait_ms > 0 ? check_waiting(request) : DW_OK;

	if (err == DW_OK) {
		ask = calloc(1, sizeof(*ask));
		err = ask != NULL ? uplink_ask(edge->uplink, wire, on_answer, ask, &ask->corr) : DW_E_NOMEM;
	}
	if (err != DW_OK) {
		free(ask);
		dw_http_fail(request, err, NULL, NULL);
		return;
	}
	ask->edge = edge;
	ask->request = request;
	ask->done = done;
	ask->waits = wait_ms > 0;
	(void)dw_str_copy(dw_str(request->claims.user), ask->user, sizeof(ask->user));
	if (ask->waits)
		DL_APPEND(edge->waiting, ask);
	request->ask = ask;
}

static void
on_checked(struct dw_http_request *request, int err, const struct dw_wire *answer)
{
	(void)answer;
	if (err == DW_OK)
		dw_http_fail(request, request->err, request->fault.message, request->fault.field);
	else
		dw_http_fail(request, err, NULL, NULL);
}

void
ask_refusal(struct dw_http_request *request, struct dw_str room, int err)
{
	const struct dw_wire check = { .kind = DW_OWN,
		.own = { .verb = DW_STR("check"),
			.room = room,
			.user = dw_str(request->claims.user),
			.claimed = dw_claims_name(&request->claims, room) } };

	request->err = err;
	ask_hub(request, &check, 0, on_checked);
}

void
ask_forget(struct dw_http_request *request)
{
	struct ask *ask = request->ask;

	if (ask == NULL)
		return;
	request->ask = NULL;
	ask->request = NULL;
	if (ask->waits)
		return;
	uplink_cancel(ask->edge->uplink, ask->corr);
	free_ask(ask);
}

void
ask_drain(struct edge *edge)
{
	struct ask *ask, *next;

	DL_FOREACH_SAFE(edge->waiting, ask, next)
	{
		struct dw_http_request *request = ask->request;

		if (request == NULL)
			continue;
		ask_forget(request);
		ask->done(request, DW_E_CLOSING, NULL);
	}
}
