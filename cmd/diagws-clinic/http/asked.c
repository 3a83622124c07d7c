/* What a request asks for becomes an order. Its own file because it is all that HTTP adds to the calls' own checks: the
 * path, the arguments of the URL, and whose diagnoses a body names.
 *
 * Failure modes: what is wrong is kept until it is known whether its user may know (task.h). What a body says wrongly
 * the call itself will say; here only as much of it is read as tells whom to ask.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/opt.h"
#include "http/request.h"
#include "http/service.h"
#include "http/task.h"
#include "json/json.h"

enum { SAMPLES_MAX = 1000000 };

/* The first thing that is wrong is told. */
#define REFUSE(task, field, ...) \
	((task)->err =               \
			(task)->err != DW_OK ? (task)->err : dw_fault_set(&(task)->fault, DW_E_FIELD, field, NULL, __VA_ARGS__))

/* ---- arguments of the URL ---- */

static void
read_number(struct task *task, const char *name, int64_t max, int64_t *out)
{
	if (!dw_http_number(task->request, name, dw_parse_number, 1, max, out))
		REFUSE(task, name, "%s is not within 1..%lld", name, (long long)max);
}

static void
read_optimization(struct task *task)
{
	static const char *const all[] = { "conservative", "balanced", "aggressive" };
	const char *text = dw_http_argument(task->request, "optimization");

	if (text == NULL)
		return;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(text, all[i]) == 0)
			task->job.order.optimization = dw_str(all[i]);
	if (task->job.order.optimization.n == 0)
		REFUSE(task, "optimization", "optimization is not conservative, balanced or aggressive");
}

static void
read_target(struct task *task)
{
	const char *text = dw_http_argument(task->request, "target");
	double target;
	char *end;

	if (text == NULL)
		return;
	target = strtod(text, &end);
	if (*end != '\0' || text[strspn(text, "0123456789.")] != '\0' || !(target > 0 && target <= 1))
		REFUSE(task, "target", "target is not a number above 0 and at most 1");
	else
		task->job.order.target = target;
}

static void
read_arguments(struct task *task)
{
	const struct offer *offer = task->offer;

	if ((offer->arguments & ARGUMENT_LIMIT) != 0)
		read_number(task, "limit", offer->limit_max, &task->job.order.limit);
	if ((offer->arguments & ARGUMENT_SAMPLES) != 0)
		read_number(task, "min_samples", SAMPLES_MAX, &task->job.order.min_samples);
	if ((offer->arguments & ARGUMENT_OPTIMIZATION) != 0)
		read_optimization(task);
	if ((offer->arguments & ARGUMENT_TARGET) != 0)
		read_target(task);
}

/* ---- diagnoses ---- */

/* Each once. */
static void
add_diagnosis(struct task *task, struct dw_str diagnosis)
{
	struct dw_buf *all = &task->diagnoses;

	for (size_t at = 0; at < all->len; at += strlen(all->data + at) + 1)
		if (dw_str_is(diagnosis, all->data + at))
			return;
	dw_buf_add(all, diagnosis.p, diagnosis.n);
	dw_buf_addc(all, '\0');
}

static void
add_member(struct task *task, const struct dw_json_member *member)
{
	char id[DW_ROOM_MAX + 1];

	if (member != NULL && dw_id_from_json(member, id, sizeof(id), NULL) == DW_OK && dw_room_ok(dw_str(id)))
		add_diagnosis(task, dw_str(id));
}

/* An entry of {"feedback":[{"diagnosis_id":…},…]}. DW_E_NOMEM. */
static int
add_entry(struct task *task, const struct dw_json_member *entry)
{
	struct dw_json *json = NULL;
	const int err = entry->type == DW_JSON_OBJECT ? dw_json_parse(&json, entry->raw.p, entry->raw.n, NULL) : DW_OK;

	if (json != NULL)
		add_member(task, dw_json_get(json, "diagnosis_id"));
	dw_json_destroy(&json);
	return err;
}

/* The body's list: no more entries than there may be, so that no more are asked for. DW_E_NOMEM. */
static int
read_list(struct task *task, const struct dw_json *body, const char *name, size_t max)
{
	const struct dw_json_member *list = dw_json_get(body, name);
	struct dw_json *entries = NULL;
	int err;

	if (list == NULL || list->type != DW_JSON_ARRAY)
		return DW_OK;
	err = dw_json_parse(&entries, list->raw.p, list->raw.n, NULL);
	if (err == DW_OK && entries->count > max)
		REFUSE(task, name, "field '%s': %zu entries are more than %zu", name, entries->count, max);
	for (size_t i = 0; err == DW_OK && i < entries->count && i < max; i++) {
		if (task->offer->subject == SUBJECT_BODY_FEEDBACK)
			err = add_entry(task, &entries->members[i]);
		else if (task->offer->subject == SUBJECT_BODY_DIAGNOSES)
			add_member(task, &entries->members[i]);
	}
	dw_json_destroy(&entries);
	return err;
}

/* DW_E_JSON, DW_E_NOMEM. */
static int
read_body(struct task *task)
{
	const struct dw_str text = { task->body.data != NULL ? task->body.data : "", task->body.len };
	struct dw_json *json = NULL;
	int err = dw_json_parse(&json, text.p, text.n, &task->fault);

	task->job.order.body = text;
	if (err == DW_E_JSON || err == DW_E_NOMEM)
		return err;
	if (err != DW_OK) {
		task->err = err;
		return DW_OK;
	}
	if (task->offer->subject == SUBJECT_BODY)
		add_member(task, dw_json_get(json, "diagnosis_id"));
	else if (task->offer->subject == SUBJECT_BODY_FEEDBACK)
		err = read_list(task, json, "feedback", BATCH_FEEDBACK_MAX);
	else if (task->offer->subject == SUBJECT_BODY_RECOMMENDATIONS)
		err = read_list(task, json, "recommendation_ids", BATCH_CALCULATE_MAX);
	else if (task->offer->subject == SUBJECT_BODY_DIAGNOSES)
		err = read_list(task, json, "diagnosis_ids", BATCH_PREDICT_MAX);
	dw_json_destroy(&json);
	return err;
}

/* ---- the path ---- */

/* What is no id is none that there is. */
static void
read_diagnosis(struct task *task, const char *text)
{
	if (dw_room_ok(dw_str(text))) {
		task->job.order.diagnosis = dw_str(text);
		add_diagnosis(task, task->job.order.diagnosis);
	} else {
		task->nothing = true;
	}
}

static void
read_id(struct task *task, int64_t *out)
{
	int64_t id;

	if (dw_parse_number(task->part, &id) && id > 0)
		*out = id;
	else
		task->nothing = true;
}

static void
read_path(struct task *task)
{
	struct order *order = &task->job.order;
	const char *asked = dw_http_argument(task->request, "diagnosis_id");

	switch (task->offer->subject) {
	case SUBJECT_NAME:
		order->name = dw_str(task->part);
		break;
	case SUBJECT_DIAGNOSIS:
		read_diagnosis(task, task->part);
		break;
	case SUBJECT_RECOMMENDATION:
		read_id(task, &order->recommendation);
		break;
	case SUBJECT_FEEDBACK:
		read_id(task, &order->feedback);
		break;
	case SUBJECT_PATIENT:
		read_id(task, &order->patient);
		break;
	case SUBJECT_ASKED:
		if (asked != NULL)
			read_diagnosis(task, dw_str_copy(dw_str(asked), task->asked, sizeof(task->asked)) ? task->asked : "");
		break;
	default:
		break;
	}
}

int
task_read(struct task *task)
{
	const int err = task->offer->body ? read_body(task) : DW_OK;

	if (err != DW_OK)
		return err;
	read_path(task);
	read_arguments(task);
	return dw_buf_ok(&task->diagnoses) ? DW_OK : DW_E_NOMEM;
}
