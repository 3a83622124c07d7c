/* Asking the hub for a request: see ask.h. What was asked may outlive its request. Failure modes: too many wait, of one
 * user or in all; no memory.
 */
#include "ask.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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

static void
free_ask(struct ask *ask)
{
	if (ask->waits)
		DL_DELETE(ask->edge->waiting, ask);
	if (ask->request != NULL)
		ask->request->waits_for = NULL;
	free(ask);
}

static void
on_answer(void *user, int err, const struct dw_wire *answer)
{
	struct ask *ask = user;
	struct dw_http_request *request = ask->request;
	ask_done *done = ask->done;

	if (request != NULL && err == DW_E_TIMEOUT && !uplink_ready(ask->edge->uplink))
		err = DW_E_HUB_AWAY;
	if (err != DW_OK || answer->kind != DW_STORED || !ask->waits) /* else DELIVERED follows */
		free_ask(ask);
	if (request != NULL)
		done(request, err, answer);
}

/* Whether one more may wait at the hub. */
static int
check_waiting(const struct dw_http_request *request)
{
	const struct edge *edge = request->user;
	const struct ask *ask;
	size_t all = 0, same = 0;

	DL_FOREACH(edge->waiting, ask)
	{
		all++;
		same += strcmp(ask->user, request->claims.user) == 0;
	}
	if (edge->draining)
		return DW_E_CLOSING;
	if (same >= LIMIT_USER_CONNECTIONS)
		return DW_E_RATE;
	return all >= WAITING_MAX ? DW_E_BUSY : DW_OK;
}

/* The request ends, or is answered otherwise. */
static void
call_off(struct dw_http_request *request)
{
	struct ask *ask = request->waits_for;

	request->waits_for = NULL;
	ask->request = NULL;
	if (ask->waits)
		return;
	uplink_cancel(ask->edge->uplink, ask->corr);
	free_ask(ask);
}

void
ask_hub(struct dw_http_request *request, const struct dw_wire *wire, uint64_t wait_ms, ask_done *done)
{
	struct edge *edge = request->user;
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
	request->waits_for = ask;
	request->call_off = call_off;
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
ask_drain(struct edge *edge)
{
	struct ask *ask, *next;

	DL_FOREACH_SAFE(edge->waiting, ask, next)
	{
		struct dw_http_request *request = ask->request;

		if (request == NULL)
			continue;
		call_off(request);
		ask->done(request, DW_E_CLOSING, NULL);
	}
}
