/* What requests ask the hub: see ask.h. Its own file because what was asked may outlive its request. Failure modes: too
 * many wait, of one user or in all; no memory.
 */
#include "ask.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "edge.h"
#include "http/request.h"
#include "hub/uplink.h"
#include "wire/wire.h"

enum { WAITING_MAX = 2048 }; /* half of what may be unanswered */

struct ask {
	struct ask *prev, *next; /* in edge->waiting, where it waits at the hub */
	bool waits;
	struct edge *edge;
	struct request *request; /* NULL: its client left */
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
		ask->request->ask = NULL;
	free(ask);
}

static void
on_answer(void *user, int err, const struct dw_wire *answer)
{
	struct ask *ask = user;
	struct request *request = ask->request;
	ask_done *done = ask->done;

	if (err != DW_OK || answer->kind != DW_STORED || !ask->waits) /* else DELIVERED follows */
		free_ask(ask);
	if (request != NULL)
		done(request, err, answer);
}

/* Whether one more may wait at the hub. */
static int
check_waiting(const struct request *request)
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
ask_hub(struct request *request, const struct dw_wire *wire, uint64_t wait_ms, ask_done *done)
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
		api_fail(request, err, NULL, NULL);
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
on_checked(struct request *request, int err, const struct dw_wire *answer)
{
	(void)answer;
	if (err == DW_OK)
		api_fail(request, request->err, request->fault.message, request->fault.field);
	else
		api_fail(request, err, NULL, NULL);
}

void
ask_refusal(struct request *request, struct dw_str room, int err)
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
ask_forget(struct request *request)
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
		struct request *request = ask->request;

		if (request == NULL)
			continue;
		ask_forget(request);
		ask->done(request, DW_E_CLOSING, NULL);
	}
}
