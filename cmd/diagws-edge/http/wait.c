/* Requests that wait at the hub: see wait.h. Failure modes: too many of one user, or in all; no memory.
 */
#include "wait.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "edge.h"
#include "http/request.h"
#include "hub/uplink.h"

enum { WAITING_MAX = 2048 }; /* half of what may be unanswered */

/* A request that waits at the hub, or did when its client left. */
struct waiter {
	struct waiter *prev, *next;
	struct request *request; /* NULL: its client left */
	uint64_t until;          /* the hub is done with it by then */
	char user[DW_USER_MAX + 1];
};

static void
free_waiter(struct edge *edge, struct waiter *waiter)
{
	DL_DELETE(edge->waiters, waiter);
	free(waiter);
}

int
wait_begin(struct request *request, uint64_t wait_ms)
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
	waiter->until = now + wait_ms + UPLINK_ANSWER_MS;
	(void)dw_str_copy(dw_str(request->claims.user), waiter->user, sizeof(waiter->user));
	DL_APPEND(edge->waiters, waiter);
	request->waiter = waiter;
	return DW_OK;
}

void
wait_end(struct request *request, bool answered)
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
wait_drain(struct edge *edge)
{
	struct waiter *waiter, *next;

	DL_FOREACH_SAFE(edge->waiters, waiter, next)
	{
		if (waiter->request != NULL)
			uplink_give_up(edge->uplink, waiter->request->corr);
	}
}

void
wait_clear(struct edge *edge)
{
	struct waiter *waiter, *next;

	DL_FOREACH_SAFE(edge->waiters, waiter, next)
	{
		free_waiter(edge, waiter);
	}
}
