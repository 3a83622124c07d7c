/* POST /ws/broadcast…: body → checked message → PUBLISH to the hub → the answer after its commit; with
 * wait=delivered:N the answer after N devices have confirmed it, or when the deadline is over.
 *
 * Who may is decided by the hub in the same transaction (owner), or here (scope `publish`). Contract's order:
 * 400 (no JSON) before 403 before 422: when something is wrong (also in `wait` and `deadline`) and the sender has no
 * scope, the hub is first asked whether the sender may publish there at all.
 *
 * Failure modes: what the hub refuses; no answer in time (503, with the id to try again with); stored, but on too
 * few devices (504), or not known on how many (503): both tell seq and id.
 */
#include "publish.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/opt.h"
#include "edge.h"
#include "http/api.h"
#include "http/route.h"
#include "http/wait.h"
#include "hub/uplink.h"

enum { DEADLINE_MS = 5000, DEADLINE_MAX_MS = 60 * 1000, DEVICES_MAX = 1000000 };

/* What stays of a publish while the hub is asked. */
struct publish {
	struct dw_request message;
	uint64_t wait, wait_ms; /* for so many devices */
	struct dw_fault fault;
	int err; /* of the check: told when the sender may publish there */
	bool stored;
	struct dw_stored receipt; /* without its text */
};

static void
forget(struct request *request)
{
	struct publish *publish = request->context;

	dw_request_clear(&publish->message);
	free(publish);
}

/* Adds the members that tell where the message is to an object that is about to be closed. */
static void
add_place(struct dw_buf *out, const struct publish *publish)
{
	if (publish->stored) {
		dw_buf_addf(out, ",\"seq\":%llu,\"n\":", (unsigned long long)publish->receipt.seq);
		if (publish->receipt.n > 0)
			dw_buf_addu(out, publish->receipt.n);
		else
			dw_buf_adds(out, "null"); /* to one user */
	}
	dw_buf_adds(out, ",\"id\":");
	dw_buf_add_json_string(out, dw_str(publish->message.id));
}

/* An error that may be tried again tells the id to try with; delivered: NULL, or on how many devices it is. */
static void
tell_error(struct request *request, int err, const char *message, const char *field, const uint64_t *delivered)
{
	const struct publish *publish = request->context;
	struct dw_buf *out = &request->answer;

	api_fail(request, err, message, field);
	if (publish->message.id[0] == '\0' || !dw_buf_ok(out) ||
		(request->status != DW_HTTP_UNAVAILABLE && request->status != DW_HTTP_UNDELIVERED))
		return;
	out->len--;
	add_place(out, publish);
	if (delivered != NULL)
		dw_buf_addf(out, ",\"delivered\":%llu", (unsigned long long)*delivered);
	dw_buf_addc(out, '}');
}

/* The scalar members of the request once more. */
static void
add_scalars(struct dw_buf *out, const struct request *request, const struct dw_request *message)
{
	if (message->scalars.len > 0) {
		dw_buf_addc(out, ',');
		dw_buf_add(out, message->scalars.data, message->scalars.len);
	}
	if (request->route->type != NULL)
		return;
	dw_buf_addf(out, ",\"type\":\"%s\"", message->type);
	if (message->to[0] != '\0') {
		dw_buf_adds(out, ",\"user\":");
		dw_id_to_json(out, dw_str(message->to));
	}
	if (message->except != 0)
		dw_buf_addf(out, ",\"exclude_session\":\"%016llx\"", (unsigned long long)message->except);
	if (message->ttl_ms > 0)
		dw_buf_addf(out, ",\"ttl_s\":%llu", (unsigned long long)(message->ttl_ms / 1000));
}

static void
tell_stored(struct request *request, const uint64_t *delivered)
{
	const struct publish *publish = request->context;
	const struct dw_stored *stored = &publish->receipt;
	struct dw_buf *out = &request->answer;

	dw_buf_adds(out, "{\"success\":true,\"status\":\"broadcasted\",\"diagnosis_id\":");
	dw_id_to_json(out, dw_str(publish->message.room));
	add_place(out, publish);
	dw_buf_addf(out, ",\"duplicate\":%s,\"clients_notified\":%llu,\"devices_queued\":%llu",
		stored->duplicate ? "true" : "false", (unsigned long long)stored->notified, (unsigned long long)stored->queued);
	if (delivered != NULL)
		dw_buf_addf(out, ",\"delivered\":%llu", (unsigned long long)*delivered);
	dw_buf_addf(out, ",\"message\":\"%s\"",
		stored->duplicate ? "stored before under this id; nothing was sent again" : "stored and sent");
	add_scalars(out, request, &publish->message);
	dw_buf_addc(out, '}');
	http_answer(request, DW_HTTP_OK);
}

static void
tell_undelivered(struct request *request, const struct dw_delivered *delivered)
{
	const struct publish *publish = request->context;
	struct dw_fault fault;

	(void)dw_fault_set(&fault, DW_E_UNDELIVERED, NULL, NULL,
		"stored, but %llu of %llu devices have confirmed it in time", (unsigned long long)delivered->count,
		(unsigned long long)publish->wait);
	tell_error(request, DW_E_UNDELIVERED, fault.message, NULL, &delivered->count);
}

static void
tell_refusal(struct request *request, const struct dw_stored *refusal)
{
	char text[256] = "";

	(void)dw_str_copy(refusal->text, text, sizeof(text));
	tell_error(request, -(int)refusal->code, text, refusal->code == (uint64_t)-DW_E_ID_REUSED ? "id" : NULL, NULL);
}

static void
on_answer(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;
	struct publish *publish = request->context;

	if (err == DW_OK && answer->kind == DW_STORED) {
		publish->stored = true;
		publish->receipt = answer->stored;
		publish->receipt.text = (struct dw_str) { NULL, 0 };
		if (publish->wait > 0)
			return;
	}
	request->corr = 0;
	wait_end(request, true);
	if (err == DW_OK)
		tell_stored(request, answer->kind == DW_DELIVERED ? &answer->delivered.count : NULL);
	else if (err == DW_E_UNDELIVERED && answer != NULL)
		tell_undelivered(request, &answer->delivered);
	else if (publish->stored)
		tell_error(request, err, "stored, but not known on how many devices", NULL, NULL);
	else if (answer == NULL)
		tell_error(request, err, NULL, NULL, NULL);
	else if (err == DW_E_DENIED)
		api_deny(request);
	else
		tell_refusal(request, &answer->stored);
}

static void
ask_publish(struct request *request)
{
	struct publish *publish = request->context;
	const struct dw_request *message = &publish->message;
	bool scoped = (request->claims.scope & DW_SCOPE_PUBLISH) != 0;
	struct dw_wire ask = { .kind = DW_PUBLISH,
		.publish = { .room = dw_str(message->room),
			.type = dw_str(message->type),
			.id = dw_str(message->id),
			.data = { message->data.data, message->data.len },
			.user = dw_str(scoped ? "" : request->claims.user),
			.claimed = dw_claims_name(&request->claims, dw_str(message->room)),
			.to = dw_str(message->to),
			.except = message->except,
			.ttl_ms = message->ttl_ms,
			.wait = publish->wait,
			.wait_ms = publish->wait_ms } };
	int err = publish->wait > 0 ? wait_begin(request, publish->wait_ms) : DW_OK;

	if (err == DW_OK)
		err = uplink_ask(request->edge->uplink, &ask, on_answer, request, &request->corr);
	if (err != DW_OK)
		tell_error(request, err, NULL, NULL, NULL);
}

static void
on_checked(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;
	struct publish *publish = request->context;

	(void)answer;
	request->corr = 0;
	if (err == DW_OK)
		tell_error(request, publish->err, publish->fault.message, publish->fault.field, NULL);
	else if (err == DW_E_DENIED)
		api_deny(request);
	else
		tell_error(request, err, NULL, NULL, NULL);
}

/* Something is wrong; but one who may not publish there is told only that. */
static void
ask_may(struct request *request)
{
	struct publish *publish = request->context;
	struct dw_wire ask = { .kind = DW_OWN,
		.own = { .verb = DW_STR("check"),
			.room = dw_str(publish->message.room),
			.user = dw_str(request->claims.user),
			.claimed = dw_claims_name(&request->claims, dw_str(publish->message.room)) } };
	int err = uplink_ask(request->edge->uplink, &ask, on_checked, request, &request->corr);

	if (err != DW_OK)
		tell_error(request, err, NULL, NULL, NULL);
}

/* `stored`, or `delivered:N` and a deadline. */
static int
read_wait(const struct request *request, struct publish *publish)
{
	static const char delivered[] = "delivered:";
	struct dw_fault *fault = &publish->fault;
	char wait[32] = "", deadline[32] = "";
	int64_t devices, ms = DEADLINE_MS;

	(void)http_argument(request, "wait", wait, sizeof(wait));
	(void)http_argument(request, "deadline", deadline, sizeof(deadline));
	if (wait[0] == '\0' || strcmp(wait, "stored") == 0) {
		if (deadline[0] != '\0')
			return dw_fault_set(fault, DW_E_FIELD, "deadline", NULL, "deadline is for wait=delivered:N");
		return DW_OK;
	}
	if (strncmp(wait, delivered, strlen(delivered)) != 0 || !dw_parse_number(wait + strlen(delivered), &devices) ||
		devices < 1 || devices > DEVICES_MAX)
		return dw_fault_set(fault, DW_E_FIELD, "wait", NULL,
			"wait is neither 'stored' nor delivered:N with N from 1 to %d", DEVICES_MAX);
	if (deadline[0] != '\0' && (!dw_parse_duration(deadline, &ms) || ms < 1 || ms > DEADLINE_MAX_MS))
		return dw_fault_set(fault, DW_E_FIELD, "deadline", NULL, "deadline is not a duration from 1ms to 60s");
	publish->wait = (uint64_t)devices;
	publish->wait_ms = (uint64_t)ms;
	return DW_OK;
}

void
publish_take(struct request *request)
{
	struct publish *publish = calloc(1, sizeof(*publish));
	const struct dw_buf *body = &request->body;
	const char *text = body->data != NULL ? body->data : "", *type = request->route->type;

	if (publish == NULL || !dw_buf_ok(body)) {
		free(publish);
		api_fail(request, DW_E_NOMEM, NULL, NULL);
		return;
	}
	request->context = publish;
	request->forget = forget;
	dw_request_init(&publish->message);
	publish->err = type != NULL ? dw_request_flat(&publish->message, type, text, body->len, &publish->fault)
								: dw_request_general(&publish->message, NULL, NULL, text, body->len, &publish->fault);
	dw_buf_clear(&request->body);
	if (publish->err == DW_OK)
		publish->err = read_wait(request, publish);
	if (publish->err == DW_OK && publish->message.id[0] == '\0')
		dw_random_id(publish->message.id);
	if (publish->err == DW_OK)
		ask_publish(request);
	else if (publish->err == DW_E_JSON || publish->message.room[0] == '\0' ||
			 (request->claims.scope & DW_SCOPE_PUBLISH) != 0)
		tell_error(request, publish->err, publish->fault.message, publish->fault.field, NULL);
	else
		ask_may(request);
}
