/* The life of an HTTP request, see http.h: a deadline and a bound for the body, one answer. reader.c has parsed its
 * head, admit.c lets it in, its route knows what the call means.
 *
 * libmicrohttpd calls dw_http_handle with the head, again with each piece of the body, and once more when it is whole;
 * after a request was suspended it calls again for where it stood. In mid-body it takes no answer: what has to be said
 * there is written to the socket by us, and the connection ends.
 */
#include "parts.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "http/answer.h"
#include "http/check.h"
#include "http/limits.h"
#include "http/socket.h"
#include "http/request.h"
#include "http/route.h"

enum {
	LIMIT_USER_BYTES = 8 * 1024 * 1024, /* of bodies and answers under way: of one user, but for services, */
	LIMIT_BYTES = 128 * 1024 * 1024,    /* and in all */
	BODY_MS = 30 * 1000,
	TAKE_MS = 30 * 1000, /* an answer of which nothing was taken for so long ends the connection */
	BYTES_COUNT = 4096,  /* from so many on */
	LOOK_MS = 1000,      /* so often it is looked whether a client that waits is still there */
};

static bool
is_gone(const struct dw_http_request *request)
{
	struct pollfd link = { .fd = request->client->fd };

	/* After a FIN it may still listen. Only sending something would tell (RST), and before the answer there is nothing
	 * that every client takes: an interim response ends the request for some. So one that left keeps its place until
	 * its wait ends. */
	return poll(&link, 1, 0) > 0 && (link.revents & (POLLERR | POLLHUP)) != 0;
}

static void
set_timer(struct dw_http_request *request, uint64_t ms)
{
	dw_wheel_set(request->http->config.wheel, &request->timer, dw_mono_ms() + ms);
}

/* In mid-body, where libmicrohttpd takes no answer. */
void
dw_http_hurry(struct dw_http_request *request)
{
	struct dw_buf out = { 0 };

	if (request->state != DW_HTTP_IN_REFUSED)
		return;
	dw_http_write_answer(
		&out, (int)request->status, dw_bytes(request->answer.data, request->answer.len), "", !request->heads);
	if (dw_buf_ok(&out) && dw_buf_ok(&request->answer))
		(void)send(request->client->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	dw_buf_clear(&out);
	request->state = DW_HTTP_IN_DEAD;
	dw_http_client_leave(request->client, request->connection);
}

static bool
takes_nothing(struct dw_http_request *request)
{
	const uint64_t taken = dw_http_socket_taken(request->client->fd);
	const bool same = taken == request->taken;

	request->taken = taken;
	return same;
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct dw_http_request *request =
		(struct dw_http_request *)((char *)timer - offsetof(struct dw_http_request, timer));

	if (request->state == DW_HTTP_IN_BODY)
		dw_http_error(request, MHD_HTTP_REQUEST_TIMEOUT, "timeout", "the body did not come within 30 s", NULL);
	if (request->state == DW_HTTP_IN_REFUSED)
		dw_http_hurry(request);
	else if (request->state == DW_HTTP_IN_WRITING ? takes_nothing(request) : is_gone(request))
		dw_http_kill(request);
	else if (request->denied && request->state == DW_HTTP_IN_TAKEN)
		dw_http_fail(request, DW_E_DENIED, NULL, NULL);
	else if (request->state < DW_HTTP_IN_DEAD)
		set_timer(request, request->state == DW_HTTP_IN_WRITING ? TAKE_MS : LOOK_MS);
}

static bool
is_newest(const struct dw_http_request *request)
{
	return request->client->reader.requests == request->client->reader.answered + 1;
}

/* Nothing will be read behind it any more. */
static bool
ends_here(const struct dw_http_request *request)
{
	return request->close || request->http->draining ||
		   (request->client->reader.state == DW_HTTP_READ_NOTHING && is_newest(request));
}

static bool
add_headers(struct MHD_Response *response, const struct dw_http_request *request)
{
	const bool preflight = dw_http_header(request, "Access-Control-Request-Method") != NULL;
	const bool upgrade = request->status == MHD_HTTP_UPGRADE_REQUIRED, json = request->fields == NULL;
	const bool later = request->status == MHD_HTTP_SERVICE_UNAVAILABLE || request->status == MHD_HTTP_TOO_MANY_REQUESTS;
	const struct dw_http_field headers[] = {
		{ "Content-Type", json && request->status != MHD_HTTP_NO_CONTENT ? "application/json" : NULL },
		{ "Cache-Control", json ? "no-store" : NULL },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Allow", request->allow },
		{ "WWW-Authenticate", request->status == MHD_HTTP_UNAUTHORIZED ? "Bearer" : NULL },
		{ "Retry-After", later ? "1" : NULL },
		{ "Upgrade", upgrade ? "websocket" : NULL },
		{ "Sec-WebSocket-Version", upgrade ? "13" : NULL },
		{ "Vary", request->origin != NULL ? "Origin" : NULL },
		{ "Access-Control-Allow-Origin", request->origin },
		{ "Access-Control-Allow-Methods", preflight ? request->allow : NULL },
		{ "Access-Control-Allow-Headers", preflight ? "Authorization, Content-Type" : NULL },
		{ "Access-Control-Max-Age", preflight ? "600" : NULL },
		{ "Connection", ends_here(request) ? "close" : NULL },
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (headers[i].value != NULL && MHD_add_response_header(response, headers[i].name, headers[i].value) != MHD_YES)
			return false;
	for (const struct dw_http_field *field = request->fields; field != NULL && field->name != NULL; field++)
		if (MHD_add_response_header(response, field->name, field->value) != MHD_YES)
			return false;
	return true;
}

/* Bytes of a body or answer count until the request ends. false: too many are under way, and that is the answer;
 * message: where they are this user's. */
static bool
count_bytes(struct dw_http_request *request, size_t size, const char *message)
{
	const bool service = (request->claims.scope & DW_SCOPE_PUBLISH) != 0;
	struct dw_http *http = request->http;
	struct dw_http_guest *guest = request->guest;
	int err = DW_OK;

	if (guest == NULL) {
		size += request->counted;
		request->counted = size < BYTES_COUNT ? size : 0;
		if (size < BYTES_COUNT)
			return true;
		request->guest = guest = dw_http_guest_get(&http->config.limits->users, dw_str(request->claims.user));
	}
	if (guest == NULL)
		err = DW_E_NOMEM;
	else if (!service && guest->bytes + size > LIMIT_USER_BYTES)
		err = DW_E_RATE;
	else if (http->bytes + size > LIMIT_BYTES)
		err = DW_E_BUSY;
	if (err != DW_OK) {
		request->state = DW_HTTP_IN_TAKEN; /* though it was answered */
		dw_http_fail(request, err, err == DW_E_RATE ? message : "too much is under way", NULL);
		return false;
	}
	request->counted += size;
	guest->bytes += size;
	http->bytes += size;
	return true;
}

static struct MHD_Response *
make_response(struct dw_http_request *request)
{
	const struct dw_str lasting = request->lasting;
	struct MHD_Response *response;

	if (lasting.n > 0) /* libmicrohttpd does not change what it is given to keep; its type only says so */
		return MHD_create_response_from_buffer(lasting.n, (void *)(uintptr_t)lasting.p, MHD_RESPMEM_PERSISTENT);
	response = MHD_create_response_from_buffer(request->answer.len, request->answer.data,
		request->answer.data != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (response != NULL)
		request->answer = (struct dw_buf) { 0 };
	return response;
}

/* The answer becomes libmicrohttpd's. */
static enum MHD_Result
write_answer(struct dw_http_request *request)
{
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;

	/* A large answer that does not fit in is not given; what a small one says is worth more than its bytes. */
	if (dw_buf_ok(&request->answer) && request->answer.len >= BYTES_COUNT)
		(void)count_bytes(request, request->answer.len, "too many answers of this user are not read");
	if (!dw_buf_ok(&request->answer))
		return MHD_NO;
	response = make_response(request);
	if (response == NULL)
		return MHD_NO;
	request->state = DW_HTTP_IN_WRITING;
	dw_http_client_refused(request->client, false);
	request->taken = dw_http_socket_taken(request->client->fd);
	set_timer(request, TAKE_MS);
	request->client->reader.last |= ends_here(request); /* what may be behind it is nobody's */
	if (add_headers(response, request))
		result = MHD_queue_response(request->connection, request->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Never more than DW_HTTP_BODY_MAX: the reader sees to it. */
static void
take_body(struct dw_http_request *request, const char *bytes, size_t n)
{
	if (request->state != DW_HTTP_IN_BODY)
		return;
	dw_buf_add(&request->body, bytes, n);
	if (!count_bytes(request, n, "too many bodies of this user are under way"))
		dw_buf_clear(&request->body);
}

/* It is whole. */
static void
take(struct dw_http_request *request)
{
	request->body_due = false;
	dw_wheel_cancel(&request->timer);
	if (request->state == DW_HTTP_IN_REFUSED) {
		request->state = DW_HTTP_IN_ANSWERED;
		return;
	}
	if (is_newest(request) && request->client->reader.fault != DW_HEAD_OK) {
		const struct dw_http_refusal *refusal = dw_http_refusal(request->client->reader.fault);

		dw_http_error(request, (unsigned)refusal->status, refusal->code, refusal->message, NULL);
		return;
	}
	request->state = DW_HTTP_IN_TAKEN;
	request->route->take(request);
	if (request->state != DW_HTTP_IN_TAKEN)
		return;
	dw_http_suspend(request);
	if (request->timer.link == NULL)
		set_timer(request, LOOK_MS);
}

/* The head has been looked at. A client that waits to be asked for a body which is refused gets its answer now, and so
 * does one whose connection ends with it. */
static enum MHD_Result
after_head(struct dw_http_request *request)
{
	request->head_done = true;
	if (request->body_due)
		set_timer(request, BODY_MS);
	if (request->state != DW_HTTP_IN_REFUSED || (dw_http_header(request, "Expect") == NULL && !request->close))
		return MHD_YES;
	request->close = true;
	request->client->reader.state =
		DW_HTTP_READ_NOTHING; /* the body, where it comes all the same, is read and thrown away */
	return write_answer(request);
}

static enum MHD_Result
begin(struct dw_http *http, struct MHD_Connection *connection, const char *method, const char *path, void **context)
{
	struct dw_http_request *request = calloc(1, sizeof(*request));

	*context = request;
	if (request == NULL)
		return MHD_NO;
	request->http = http;
	request->user = http->config.user;
	request->connection = connection;
	request->client = dw_http_client_of(connection);
	request->timer.fire = fire;
	request->begun_at = dw_mono_ms();
	http->requests++;
	if (request->client == NULL)
		return MHD_NO;
	request->client->request = request;
	request->close = http->draining;
	request->heads = strcmp(method, "HEAD") == 0;
	dw_http_admit(request, method, path);
	if (request->state != DW_HTTP_IN_CHECKING)
		return after_head(request);
	set_timer(request, LOOK_MS);
	dw_http_suspend(request);
	return MHD_YES;
}

enum MHD_Result
dw_http_handle(void *user, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
	const char *bytes, size_t *n, void **context)
{
	struct dw_http_request *request = *context;

	(void)version;
	if (request == NULL)
		return begin(user, connection, method, path, context);
	if (request->state == DW_HTTP_IN_DEAD)
		return MHD_NO;
	if (!request->head_done)
		return after_head(request);
	if (*n > 0) {
		take_body(request, bytes, *n);
		*n = 0;
		return MHD_YES;
	}
	if (request->state == DW_HTTP_IN_BODY || request->state == DW_HTTP_IN_REFUSED)
		take(request);
	return request->state == DW_HTTP_IN_ANSWERED ? write_answer(request) : MHD_YES;
}

void
dw_http_completed(void *user, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	struct dw_http_request *request = *context;

	(void)user;
	if (request == NULL)
		return;
	*context = NULL;
	dw_wheel_cancel(&request->timer);
	dw_http_check_forget(&request->check);
	if (request->waits_for != NULL)
		request->call_off(request);
	if (request->forget != NULL)
		request->forget(request);
	dw_claims_clear(&request->claims);
	dw_buf_clear(&request->body);
	dw_buf_clear(&request->answer);
	if (request->guest != NULL) {
		request->guest->bytes -= request->counted;
		request->http->bytes -= request->counted;
		dw_http_guest_release(&request->http->config.limits->users, request->guest);
	}
	request->http->requests--;
	if (request->client != NULL) {
		request->client->request = NULL;
		dw_http_client_answered(
			request->client, connection, code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !ends_here(request));
	}
	free(request);
}
