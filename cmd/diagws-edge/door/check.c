/* Checks of tokens under way, on libuv's threads.
 *
 * Its own file because it alone is about threads. Happy path: check_begin → dw_auth_verify on another thread → after,
 * on the loop. Failure modes: too many under way, or no memory (said at once); who asked goes away (the work is taken
 * back if it has not begun, and its outcome is dropped). Invariants: a thread touches the check's own dw_check and
 * nothing else; *slot points here as long as somebody waits.
 */
#include "check.h"

#include <stdlib.h>
#include <utlist.h>
#include <uv.h>

#include "diagws/clock.h"
#include "diagws/logging.h"
#include "edge.h"

struct check {
	uv_work_t work;
	struct check *prev, *next; /* in edge->checks */
	struct edge *edge;
	struct dw_check *token;
	struct check **slot; /* NULL: nobody waits */
	check_done *done;
	void *user;
};

static void
verify(uv_work_t *work)
{
	struct check *check = work->data;

	dw_auth_verify(check->token);
}

static int
note(int err)
{
	if (err != DW_OK)
		dw_log_debug("token refused", "reason=%s", dw_err_code(err));
	return err;
}

static void
after(uv_work_t *work, int status)
{
	struct check *check = work->data;
	struct edge *edge = check->edge;
	struct dw_claims claims;
	int err;

	(void)status; /* taken back before it began: then nobody waits */
	dw_claims_init(&claims);
	err = dw_auth_end(edge->auth, &check->token, dw_now_ms() / 1000, &claims, NULL);
	DL_DELETE(edge->checks, check);
	edge->counts.checks--;
	if (check->slot != NULL) {
		*check->slot = NULL;
		check->done(check->user, note(err), &claims);
	}
	dw_claims_clear(&claims);
	free(check);
}

int
check_begin(
	struct edge *edge, struct dw_str token, struct dw_claims *claims, struct check **slot, check_done *done, void *user)
{
	struct dw_claims unused = { 0 };
	struct dw_check *later = NULL;
	struct check *check = NULL;
	int err = dw_auth_begin(edge->auth, token, dw_now_ms() / 1000, claims, &later, NULL);

	if (later == NULL)
		return note(err);
	if (edge->counts.checks < (uint64_t)edge->config.max_checks)
		check = calloc(1, sizeof(*check));
	if (check != NULL) {
		check->work.data = check;
		check->edge = edge;
		check->token = later;
		check->slot = slot;
		check->done = done;
		check->user = user;
	}
	if (check == NULL || uv_queue_work(edge->loop, &check->work, verify, after) != 0) {
		free(check);
		(void)dw_auth_end(edge->auth, &later, 0, &unused, NULL);
		return note(DW_E_BUSY);
	}
	DL_APPEND(edge->checks, check);
	edge->counts.checks++;
	*slot = check;
	return DW_E_AGAIN;
}

void
check_forget(struct check **slot)
{
	struct check *check = *slot;

	if (check == NULL)
		return;
	*slot = NULL;
	check->slot = NULL;
	(void)uv_cancel((uv_req_t *)&check->work); /* too late when it has begun; `after` comes either way */
}

void
checks_end(struct edge *edge)
{
	struct check *check;

	DL_FOREACH(edge->checks, check)
	{
		if (check->slot != NULL)
			check_forget(check->slot);
	}
}
