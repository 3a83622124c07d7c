/* See task.h. A request may end before what is done for it elsewhere: its task stays until that is back, and then goes.
 *
 * Failure modes: too many in hand, of one user or in all; no memory; the hub or the file not there (503). What failed
 * in the file is logged, and a stranger is not told its name.
 */
#include "http/task.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cli/logging.h"
#include "http/owners.h"
#include "http/request.h"
#include "http/service.h"

enum { TASKS_MAX = 128, USER_TASKS_MAX = TASKS_MAX / 8 };

static const struct dw_fault no_words;

static void
end(struct task *task)
{
	DL_DELETE(task->service->tasks, task);
	task->service->count--;
	dw_buf_clear(&task->job.answer);
	dw_buf_clear(&task->body);
	dw_buf_clear(&task->diagnoses);
	free(task->part);
	free(task);
}

/* Its request, which it has no more to do with. */
static struct dw_http_request *
part_with(struct task *task)
{
	struct dw_http_request *request = task->request;

	task->request = NULL;
	request->context = NULL;
	request->forget = NULL;
	return request;
}

static void
forget(struct dw_http_request *request)
{
	struct task *task = request->context;

	(void)part_with(task);
	worker_cancel(&task->job);
}

/* ---- answering ---- */

static void
tell(struct dw_http_request *request, int err, const struct dw_fault *fault)
{
	switch (err) {
	case DW_E_JSON:
	case DW_E_FIELD:
	case DW_E_TOO_BIG:
		dw_http_fail(request, err, fault->message, fault->field[0] != '\0' ? fault->field : NULL);
		break;
	case DW_E_BUSY:
		dw_http_fail(request, err, "the clinic has too much in hand", NULL);
		break;
	case DW_E_STORAGE_FULL:
		dw_http_fail(request, err, "the clinic's disk is full", NULL);
		break;
	case DW_E_DENIED:
	case DW_E_RATE:
	case DW_E_HUB_AWAY:
	case DW_E_TIMEOUT:
	case DW_E_CLOSING:
	case DW_E_NOMEM:
		dw_http_fail(request, err, NULL, NULL);
		break;
	default:
		dw_http_fail(request, err, "the clinic's file cannot be used", NULL);
	}
}

/* Who may see everything is told what there is not; others are not. */
static void
tell_unknown(struct task *task, bool sees_all, const struct dw_fault *fault)
{
	struct dw_http_request *request = part_with(task);

	if (sees_all)
		dw_http_error(request, MHD_HTTP_NOT_FOUND, dw_err_code(DW_E_UNKNOWN),
			fault->message[0] != '\0' ? fault->message : "there is no such thing", NULL);
	else
		dw_http_fail(request, DW_E_DENIED, NULL, NULL);
}

static bool
sees_all(const struct task *task)
{
	return (task->request->claims.scope & task->offer->scope) != 0;
}

static void
fail(struct task *task, int err, const struct dw_fault *fault)
{
	if (err == DW_E_UNKNOWN)
		tell_unknown(task, sees_all(task), fault);
	else
		tell(part_with(task), err, fault);
	end(task);
}

static void
answer(struct task *task)
{
	struct dw_http_request *request = part_with(task);

	request->answer = task->job.answer;
	task->job.answer = (struct dw_buf) { 0 };
	end(task);
	dw_http_answer(request, MHD_HTTP_OK);
}

/* ---- the thread ---- */

static void
give(struct task *task, clinic_call *call)
{
	task->job.call = call;
	worker_add(task->service->worker, &task->job);
}

/* Its user may: what is wrong with it is told, and else it is carried out. */
static void
allow(struct task *task)
{
	if (task->nothing)
		fail(task, DW_E_UNKNOWN, &task->fault);
	else if (task->err != DW_OK)
		fail(task, task->err, &task->fault);
	else
		give(task, task->offer->call);
}

/* ---- the hub ---- */

/* All that was asked is answered. */
static void
judge(struct task *task)
{
	const bool any = task->offer->subject == SUBJECT_PATIENT;
	const bool may = any ? task->owned > 0 : task->denied == 0 && task->unknown_why == DW_OK;

	if (task->request == NULL)
		end(task);
	else if (may && !task->nothing) {
		task->job.order.own = true;
		allow(task);
	} else if (task->unknown_why != DW_OK && (any || task->denied == 0))
		fail(task, task->unknown_why, &no_words);
	else
		fail(task, DW_E_DENIED, &no_words);
}

/* An answer has come, or will not. */
static void
settle(struct task *task)
{
	if (--task->unanswered == 0)
		judge(task);
}

static void
on_owner(void *to, int err)
{
	struct task *task = to;

	if (err == DW_OK)
		task->owned++;
	else if (err == DW_E_DENIED)
		task->denied++;
	else if (err == DW_E_TIMEOUT || err == DW_E_VERSION || err == DW_E_PROTOCOL)
		task->unknown_why = DW_E_HUB_AWAY;
	else
		task->unknown_why = err;
	settle(task);
}

/* Of what there is not an owner is asked for, too, so that it takes as long, and fails as often. */
static void
ask_owners(struct task *task)
{
	static const char nobody[] = "-";
	const struct dw_claims *claims = &task->request->claims;
	struct owners *owners = task->service->owners;

	if (task->nothing) {
		dw_buf_reset(&task->diagnoses);
		dw_buf_add(&task->diagnoses, nobody, sizeof(nobody));
	}
	if (!dw_buf_ok(&task->diagnoses)) {
		fail(task, DW_E_NOMEM, &no_words);
		return;
	}
	task->unanswered = 1; /* until all are asked */
	for (size_t at = 0; at < task->diagnoses.len;) {
		const struct dw_str diagnosis = dw_str(task->diagnoses.data + at);
		const bool claimed = dw_claims_name(claims, diagnosis);
		int err;

		at += diagnosis.n + 1;
		task->unanswered++;
		err = owners_ask(owners, diagnosis, dw_str(task->user), claimed, on_owner, task);
		if (err != DW_OK)
			on_owner(task, err);
	}
	settle(task);
	owners_turn(owners);
}

/* ---- the turns ---- */

/* Which diagnoses it is about is known. */
static void
found(struct task *task, int err)
{
	if (err != DW_OK && err != DW_E_UNKNOWN) {
		fail(task, err, &task->job.fault);
		return;
	}
	task->nothing = err == DW_E_UNKNOWN;
	dw_buf_clear(&task->diagnoses);
	task->diagnoses = task->job.answer;
	task->job.answer = (struct dw_buf) { 0 };
	ask_owners(task);
}

static void
done(struct task *task)
{
	const struct job *job = &task->job;

	if (task->request == NULL) {
		end(task);
		return;
	}
	if (job->err != DW_OK && job->err != DW_E_UNKNOWN && job->err != DW_E_FIELD && job->err != DW_E_JSON)
		dw_log_warn("a request was not carried out", "reason=%s",
			job->fault.message[0] != '\0' ? job->fault.message : dw_err_text(job->err));
	if (job->call == diagnoses_of)
		found(task, job->err);
	else if (job->err != DW_OK)
		fail(task, job->err, &job->fault);
	else
		answer(task);
}

void
task_go_on(struct service *service)
{
	struct job *job;

	while ((job = worker_take(service->worker)) != NULL)
		done((struct task *)job);
}

void
task_clear(struct service *service)
{
	while (service->tasks != NULL)
		end(service->tasks);
}

/* ---- a request comes ---- */

/* Whether one more may be in hand; and when it will be its turn. */
static int
check_room(const struct service *service, struct task *more)
{
	const struct task *task;
	size_t same = 0;

	DL_FOREACH(service->tasks, task)
	{
		if (strcmp(task->user, more->user) != 0)
			continue;
		same += task->counts;
		if (more->job.turn <= task->job.turn)
			more->job.turn = task->job.turn + 1;
	}
	if (more->counts && same >= USER_TASKS_MAX)
		return DW_E_RATE;
	return service->count >= TASKS_MAX ? DW_E_BUSY : DW_OK;
}

static bool
must_be_found(const struct task *task)
{
	switch (task->offer->subject) {
	case SUBJECT_RECOMMENDATION:
	case SUBJECT_FEEDBACK:
	case SUBJECT_PATIENT:
		return !task->nothing;
	case SUBJECT_BODY_RECOMMENDATIONS:
		return task->err == DW_OK;
	default:
		return false;
	}
}

static void
begin(struct task *task)
{
	const int err = task_read(task);
	const enum subject subject = task->offer->subject;

	if (err != DW_OK)
		fail(task, err, &task->fault);
	else if (task->offer->open || sees_all(task))
		allow(task);
	else if (subject == SUBJECT_ALL || subject == SUBJECT_NAME || (subject == SUBJECT_ASKED && task->asked[0] == '\0'))
		fail(task, DW_E_DENIED, &no_words);
	else if (must_be_found(task))
		give(task, diagnoses_of);
	else
		ask_owners(task);
}

void
task_take(struct dw_http_request *request)
{
	struct service *service = request->user;
	struct task *task = calloc(1, sizeof(*task));
	int err = DW_E_NOMEM;

	if (task == NULL || !dw_buf_ok(&request->body) || (task->part = strdup(request->part)) == NULL)
		goto out;
	task->service = service;
	task->request = request;
	task->offer = request->route->arg;
	task->counts = (request->claims.scope & DW_SCOPE_PUBLISH) == 0;
	task->job.order.now = service->now;
	(void)dw_str_copy(dw_str(request->claims.user), task->user, sizeof(task->user));
	err = check_room(service, task);
	if (err != DW_OK)
		goto out;
	task->body = request->body;
	request->body = (struct dw_buf) { 0 };
	request->context = task;
	request->forget = forget;
	DL_APPEND(service->tasks, task);
	service->count++;
	begin(task);
	return;
out:
	if (task != NULL)
		free(task->part);
	free(task);
	tell(request, err, &no_words);
}
