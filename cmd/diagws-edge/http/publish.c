/* POST /ws/broadcast…: body → checked message → PUBLISH to the hub → the answer after its commit; with
 * wait=delivered:N the answer after N devices have confirmed it, or when the deadline is over.
 *
 * Who may is decided by the hub in the same transaction (owner), or here (scope `publish`). The order is 400 (no JSON),
 * 403, 422: so what is wrong, also in `wait` and `deadline`, is told to who has no scope after asking the hub.
 *
 * Failure modes: what the hub refuses; no answer in time (503, with the id to try again with); stored, but on too
 * few devices (504), or not known on how many (503): both tell seq and id.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/opt.h"
#include "http/ask.h"
#include "http/calls.h"
#include "http/route.h"
#include "wire/wire.h"

enum { DEADLINE_MS = 5000, DEADLINE_MAX_MS = 60 * 1000, DEVICES_MAX = 1000000 };

/* What stays of a publish while the hub is asked. */
struct publish {
	struct dw_request message;
	uint64_t wait, wait_ms;   /* for so many devices, and so long; 0: only until it is stored */
	bool stored, counted;     /* what these two say has come: */
	struct dw_stored receipt; /* without its text */
	uint64_t delivered;
};

static void
forget(struct dw_http_request *request)
{
	struct publish *publish = request->context;

	dw_request_clear(&publish->message);
	free(publish);
}

/* Where the message is, and on how many devices. */
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

static void
add_delivered(struct dw_buf *out, const struct publish *publish)
{
	if (publish->counted)
		dw_buf_addf(out, ",\"delivered\":%llu", (unsigned long long)publish->delivered);
}

/* An error after which it may be sent again tells the id to do so with. */
static void
add_more(const struct dw_http_request *request, struct dw_buf *out)
{
	const struct publish *publish = request->context;

	if (publish->message.id[0] == '\0')
		return;
	add_place(out, publish);
	add_delivered(out, publish);
}

/* The scalar members of the request once more. */
static void
add_scalars(struct dw_buf *out, const struct dw_http_request *request, const struct dw_request *message)
{
	if (message->scalars.len > 0) {
		dw_buf_addc(out, ',');
		dw_buf_add(out, message->scalars.data, message->scalars.len);
	}
	if (request->route->arg != NULL)
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
tell_stored(struct dw_http_request *request)
{
	const struct publish *publish = request->context;
	const struct dw_stored *stored = &publish->receipt;
	struct dw_buf *out = &request->answer;

	dw_buf_adds(out, "{\"success\":true,\"status\":\"broadcasted\",\"diagnosis_id\":");
	dw_id_to_json(out, dw_str(publish->message.room));
	add_place(out, publish);
	dw_buf_addf(out, ",\"duplicate\":%s,\"clients_notified\":%llu,\"devices_queued\":%llu",
		stored->duplicate ? "true" : "false", (unsigned long long)stored->notified, (unsigned long long)stored->queued);
	add_delivered(out, publish);
	dw_buf_addf(out, ",\"message\":\"%s\"",
		stored->duplicate ? "stored before under this id; nothing was sent again" : "stored and sent");
	add_scalars(out, request, &publish->message);
	dw_buf_addc(out, '}');
	dw_http_answer(request, MHD_HTTP_OK);
}

static void
tell_failure(struct dw_http_request *request, int err, const struct dw_wire *answer)
{
	const struct publish *publish = request->context;
	char text[256] = "";

	if (publish->counted)
		(void)snprintf(text, sizeof(text), "stored, but %llu of %llu devices have confirmed it in time",
			(unsigned long long)publish->delivered, (unsigned long long)publish->wait);
	else if (!publish->stored && answer != NULL)
		(void)dw_str_copy(answer->stored.text, text, sizeof(text));
	dw_http_fail(request, err,
		publish->stored && !publish->counted ? "stored, but not known on how many devices" : text,
		err == DW_E_ID_REUSED ? "id" : NULL);
}

static void
on_answer(struct dw_http_request *request, int err, const struct dw_wire *answer)
{
	struct publish *publish = request->context;

	if (err == DW_OK && answer->kind == DW_STORED) {
		publish->stored = true;
		publish->receipt = answer->stored;
		publish->receipt.text = (struct dw_str) { NULL, 0 };
		if (publish->wait > 0)
			return;
	} else if (answer != NULL && answer->kind == DW_DELIVERED && (err == DW_OK || err == DW_E_UNDELIVERED)) {
		publish->counted = true;
		publish->delivered = answer->delivered.count;
	}
	if (err == DW_OK)
		tell_stored(request);
	else
		tell_failure(request, err, answer);
}

static void
ask_publish(struct dw_http_request *request)
{
	const struct publish *publish = request->context;
	const struct dw_request *message = &publish->message;
	const bool scoped = (request->claims.scope & DW_SCOPE_PUBLISH) != 0;
	const struct dw_wire wire = { .kind = DW_PUBLISH,
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

	ask_hub(request, &wire, publish->wait_ms, on_answer);
}

/* `stored`, or `delivered:N` and a deadline. */
static int
read_wait(struct dw_http_request *request, struct publish *publish)
{
	static const char delivered[] = "delivered:";
	struct dw_fault *fault = &request->fault;
	const char *wait = dw_http_argument(request, "wait"), *deadline = dw_http_argument(request, "deadline");
	const bool has_deadline = deadline != NULL && deadline[0] != '\0';
	int64_t devices, ms = DEADLINE_MS;

	if (wait == NULL || wait[0] == '\0' || strcmp(wait, "stored") == 0)
		return !has_deadline ? DW_OK
							 : dw_fault_set(fault, DW_E_FIELD, "deadline", NULL, "deadline is for wait=delivered:N");
	if (strncmp(wait, delivered, strlen(delivered)) != 0 || !dw_parse_number(wait + strlen(delivered), &devices) ||
		devices < 1 || devices > DEVICES_MAX)
		return dw_fault_set(fault, DW_E_FIELD, "wait", NULL,
			"wait is neither 'stored' nor delivered:N with N from 1 to %d", DEVICES_MAX);
	if (has_deadline && !dw_http_number(request, "deadline", dw_parse_duration, 1, DEADLINE_MAX_MS, &ms))
		return dw_fault_set(fault, DW_E_FIELD, "deadline", NULL, "deadline is not a duration from 1ms to 60s");
	publish->wait = (uint64_t)devices;
	publish->wait_ms = (uint64_t)ms;
	return DW_OK;
}

void
publish_take(struct dw_http_request *request)
{
	struct publish *publish = calloc(1, sizeof(*publish));
	const struct dw_buf *body = &request->body;
	const char *text = body->data != NULL ? body->data : "", *type = request->route->arg;
	int err;

	if (publish == NULL || !dw_buf_ok(body)) {
		free(publish);
		dw_http_fail(request, DW_E_NOMEM, NULL, NULL);
		return;
	}
	request->context = publish;
	request->forget = forget;
	request->add_more = add_more;
	err = type != NULL ? dw_request_flat(&publish->message, type, text, body->len, &request->fault)
					   : dw_request_general(&publish->message, NULL, NULL, text, body->len, &request->fault);
	dw_buf_clear(&request->body);
	if (err == DW_OK)
		err = read_wait(request, publish);
	if (err == DW_OK && publish->message.id[0] == '\0')
		dw_random_id(publish->message.id);
	if (err == DW_OK)
		ask_publish(request);
	else if (err == DW_E_JSON || publish->message.room[0] == '\0' || (request->claims.scope & DW_SCOPE_PUBLISH) != 0)
		dw_http_fail(request, err, request->fault.message, request->fault.field);
	else
		ask_refusal(request, dw_str(publish->message.room), err);
}
