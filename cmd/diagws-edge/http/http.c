/* The life of an HTTP request: bounds and refusals in the contract's order (404/405, 411/413/415, 401,
 * then the body), a deadline for the body, one answer. Its own file because it is transport: api.c
 * knows what the calls mean.
 */
#include "http.h"

#include <libwebsockets.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "diagws/clock.h"
#include "edge.h"
#include "params.h"
#include "server.h"
#include "uplink.h"

enum {
	HEAD_MAX = 1024,
	PIECE = 16 * 1024,   /* of an answer, written at once */
	TAKE_MS = 30 * 1000, /* an answer that was not taken by then ends the connection */
	DRAIN_MS = 2000,
	LOOK_MS = 1000, /* so often it is looked whether a client that waits is still there */
};

static void
error_json(struct dw_buf *out, const char *code, const char *message, const char *field)
{
	dw_buf_addf(out, "{\"success\":false,\"error\":{\"code\":\"%s\",\"message\":", code);
	dw_buf_add_json_string(out, dw_str(message));
	if (field != NULL && field[0] != '\0') {
		dw_buf_adds(out, ",\"field\":");
		dw_buf_add_json_string(out, dw_str(field));
	}
	dw_buf_adds(out, "},\"detail\":");
	dw_buf_add_json_string(out, dw_str(message));
	dw_buf_addc(out, '}');
}

static int
add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p, unsigned char *end)
{
	return lws_add_http_header_by_name(
		wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value), p, end);
}

static int
write_head(struct lws *wsi, enum answer_status status, size_t size, const char *allow, bool close_after)
{
	unsigned char head[LWS_PRE + HEAD_MAX];
	unsigned char *start = head + LWS_PRE, *p = start, *end = head + sizeof(head) - 1;

	return lws_add_http_common_headers(wsi, (unsigned)status, "application/json", size, &p, end) ||
				   add_header(wsi, "cache-control:", "no-store", &p, end) ||
				   (allow != NULL && add_header(wsi, "allow:", allow, &p, end)) ||
				   (close_after && add_header(wsi, "connection:", "close", &p, end)) ||
				   (status == DW_HTTP_UNAUTHORIZED && add_header(wsi, "www-authenticate:", "Bearer", &p, end)) ||
				   ((status == DW_HTTP_UNAVAILABLE || status == DW_HTTP_TOO_MANY) &&
					   add_header(wsi, "retry-after:", "1", &p, end)) ||
				   lws_finalize_write_http_header(wsi, start, &p, end)
			   ? -1
			   : 0;
}

/* Writes from *written on as far as the socket takes it. */
static int
write_body(struct lws *wsi, struct dw_str body, size_t *written)
{
	unsigned char piece[LWS_PRE + PIECE];

	while (*written < body.n && !lws_partial_buffered(wsi)) {
		const size_t left = body.n - *written, n = left < PIECE ? left : PIECE;

		memcpy(piece + LWS_PRE, body.p + *written, n);
		if (lws_write(wsi, piece + LWS_PRE, n, n == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
			return -1;
		*written += n;
	}
	return 0;
}

int
http_refuse(struct lws *wsi, enum answer_status status, const char *code, const char *message)
{
	struct dw_buf body = { 0 };
	size_t written = 0;

	error_json(&body, code, message, NULL);
	if (dw_buf_ok(&body) && write_head(wsi, status, body.len, NULL, true) == 0)
		(void)write_body(wsi, (struct dw_str) { body.data, body.len }, &written);
	dw_buf_clear(&body);
	return -1;
}

/* libwebsockets does not read while a request waits for its answer, and so would be told for ever that there is
 * something to read, be it only the client's end. It does not write either until that is over. */
static void
hold(struct request *request, bool on)
{
	if (request->held != on)
		server_hold(request->wsi, on);
	request->held = on;
}

void
http_answer(struct request *request, enum answer_status status)
{
	if (request->state >= REQUEST_ANSWERED)
		return;
	hold(request, false);
	request->state = REQUEST_ANSWERED;
	request->status = status;
	wheel_set(&request->edge->wheel, &request->timer, dw_mono_ms() + TAKE_MS);
	lws_callback_on_writable(request->wsi);
}

void
http_error(struct request *request, enum answer_status status, const char *code, const char *message, const char *field)
{
	dw_buf_reset(&request->answer);
	error_json(&request->answer, code, message, field);
	http_answer(request, status);
}

static bool
is_gone(const struct request *request)
{
	struct pollfd link = { .fd = lws_get_socket_fd(request->wsi) };

	/* One that only says nothing more (FIN, over TLS behind close_notify) may still listen, and looks the same as one
	 * that closed: its kernel tells the difference, by RST, only when it is sent something, and before the answer there
	 * is nothing that every client would take (an interim response ends the request for some). So one that left keeps
	 * its place until its wait ends. libwebsockets says nothing of it either: it does not read meanwhile. */
	return request->held && poll(&link, 1, 0) > 0 && (link.revents & (POLLERR | POLLHUP)) != 0;
}

static void
look_again(struct request *request)
{
	wheel_set(&request->edge->wheel, &request->timer, dw_mono_ms() + LOOK_MS);
}

static void
kill_soon(struct request *request)
{
	lws_set_timeout(request->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	lws_cancel_service(lws_get_context(request->wsi));
}

static void
fire(struct wheel_timer *timer)
{
	struct request *request = (struct request *)((char *)timer - offsetof(struct request, timer));

	if (request->state == REQUEST_BODY && !request->whole) {
		request->close = request->body_left = true;
		http_error(request, DW_HTTP_TIMEOUT, "timeout", "the body did not come within 30 s", NULL);
	} else if (request->state > REQUEST_TAKEN || is_gone(request)) {
		kill_soon(request);
	} else if (request->denied) {
		api_timer(request);
	} else {
		look_again(request);
	}
}

static const char *
method_of(struct lws *wsi)
{
	static const struct {
		enum lws_token_indexes token;
		const char *name;
	} methods[] = { { WSI_TOKEN_GET_URI, "GET" }, { WSI_TOKEN_POST_URI, "POST" }, { WSI_TOKEN_OPTIONS_URI, "OPTIONS" },
		{ WSI_TOKEN_HEAD_URI, "HEAD" }, { WSI_TOKEN_PUT_URI, "PUT" }, { WSI_TOKEN_PATCH_URI, "PATCH" },
		{ WSI_TOKEN_DELETE_URI, "DELETE" } };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (lws_hdr_total_length(wsi, methods[i].token) > 0)
			return methods[i].name;
	return "";
}

/* The body's length, from headers alone. false: refused. */
static bool
check_length(struct request *request)
{
	char text[32] = "";
	int64_t length;

	if (lws_hdr_total_length(request->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
		lws_hdr_copy(request->wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0) {
		http_error(request, DW_HTTP_LENGTH_REQUIRED, "length_required", "a body needs a Content-Length", NULL);
		return false;
	}
	if (!dw_parse_number(text, &length) || length < 0) {
		http_error(request, DW_HTTP_BAD_REQUEST, "bad_length", "the Content-Length is no number", NULL);
		return false;
	}
	if (length > LIMIT_BODY) {
		http_error(request, DW_HTTP_TOO_LARGE, "too_large", "a body may have 262144 bytes", NULL);
		return false;
	}
	request->expected = (size_t)length;
	return true;
}

static bool
check_type(struct request *request)
{
	char text[128] = "";
	size_t n;

	if (lws_hdr_total_length(request->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE) == 0)
		return true;
	(void)lws_hdr_copy(request->wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_TYPE);
	n = strcspn(text, "; \t");
	text[n] = '\0';
	if (strcasecmp(text, "application/json") == 0 || (n > 5 && strcasecmp(text + n - 5, "+json") == 0))
		return true;
	http_error(request, DW_HTTP_MEDIA_TYPE, "media_type", "the Content-Type must be application/json", NULL);
	return false;
}

/* What the check of its token says. false: it has been answered. */
static bool
judge(struct request *request, int err)
{
	if (err == DW_E_TOKEN_MISSING || err == DW_E_TOKEN || err == DW_E_TOKEN_EXPIRED)
		http_error(request, DW_HTTP_UNAUTHORIZED, dw_err_code(err), dw_err_text(err), NULL);
	else if (err != DW_OK)
		api_fail(request, err, "too many tokens are being checked", NULL);
	return err == DW_OK;
}

static void
take(struct request *request)
{
	request->state = REQUEST_TAKEN;
	lws_set_timeout(request->wsi, NO_PENDING_TIMEOUT, 0); /* that one would end a long poll */
	hold(request, true);
	look_again(request);
	api_take(request);
}

static void
checked(void *user, int err, struct dw_claims *claims)
{
	struct request *request = user;

	request->claims = *claims;
	dw_claims_init(claims);
	if (request->state != REQUEST_BODY)
		return;
	request->begun_at = dw_mono_ms();
	if (!judge(request, err)) {
		request->close = api_has_body(request->route);
		request->body_left = !request->whole;
	} else if (request->whole) {
		take(request);
		return;
	}
	if (!request->whole)
		hold(request, false);
}

static bool
check_token(struct request *request)
{
	int err;

	request->has_token = params_has_token(request->wsi);
	if (!request->has_token && !api_needs_token(request->route))
		return true;
	err = params_authorize(request->edge, request->wsi, &request->claims, &request->check, checked, request);
	return err == DW_E_AGAIN || judge(request, err);
}

/* All that can be said before the body. false: it has been answered. */
static bool
check_head(struct request *request, const char *path)
{
	const char *method = method_of(request->wsi);
	enum answer_status status;

	if (params_url_size(request->wsi) > LIMIT_URL) {
		http_error(request, DW_HTTP_URI_TOO_LONG, "uri_too_long", "the URL may have 8192 bytes", NULL);
		return false;
	}
	if (params_headers_size(request->wsi) > LIMIT_HEADERS) {
		http_error(request, DW_HTTP_HEADERS_TOO_LARGE, "headers_too_large", "the headers may have 16384 bytes", NULL);
		return false;
	}
	status = api_route(method, path, &request->route, &request->allow);
	if (status != DW_HTTP_OK) {
		http_error(request, status,
			status == DW_HTTP_NOT_FOUND ? "not_found"
			: status == DW_HTTP_METHOD  ? "method_not_allowed"
										: "unsupported",
			status == DW_HTTP_NOT_FOUND ? "no such path"
			: status == DW_HTTP_METHOD  ? "this path does not take that method"
										: "not supported by this version",
			NULL);
		return false;
	}
	if (api_has_body(request->route) && !(check_length(request) && check_type(request)))
		return false;
	return check_token(request);
}

bool
http_argument(const struct request *request, const char *name, char *out, size_t size)
{
	return params_get(request->wsi, name, out, size);
}

/* What is needed later than the headers live. */
static void
keep_arguments(struct request *request, const char *path)
{
	const char *slash = strrchr(path, '/');

	(void)params_get(request->wsi, "wait", request->wait, sizeof(request->wait));
	(void)params_get(request->wsi, "deadline", request->deadline, sizeof(request->deadline));
	if (slash != NULL)
		(void)dw_str_copy(dw_str(slash + 1), request->last, sizeof(request->last));
}

/* It is whole. */
static void
take_or_wait(struct request *request)
{
	if (request->check == NULL) {
		take(request);
		return;
	}
	hold(request, true);
	look_again(request);
}

int
http_begin(struct edge *edge, struct lws *wsi, struct request **out)
{
	struct request *request = calloc(1, sizeof(*request));
	char path[LIMIT_URL + 1];
	char *uri = NULL;
	int n = 0;

	if (request == NULL)
		return -1;
	http_end(out);
	*out = request;
	edge->counts.requests++;
	*request = (struct request) { .edge = edge, .wsi = wsi, .timer = { .fire = fire }, .begun_at = dw_mono_ms() };
	dw_claims_init(&request->claims);
	path[0] = '\0';
	if (lws_http_get_uri_and_method(wsi, &uri, &n) >= 0 && uri != NULL)
		(void)dw_str_copy((struct dw_str) { uri, (size_t)n }, path, sizeof(path));
	if (!check_head(request, path)) {
		request->body_left = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0 ||
							 lws_hdr_total_length(wsi, WSI_TOKEN_PUT_URI) > 0 ||
							 lws_hdr_total_length(wsi, WSI_TOKEN_PATCH_URI) > 0;
		request->close = request->body_left;
		return request->body_left ? http_writable(out) : 0;
	}
	keep_arguments(request, path);
	if (api_has_body(request->route)) {
		wheel_set(&edge->wheel, &request->timer, request->begun_at + BODY_MS);
		hold(request, request->check != NULL);
		return 0;
	}
	request->whole = true;
	take_or_wait(request);
	return 0;
}

int
http_body(struct request *request, const void *bytes, size_t n)
{
	if (request == NULL || request->state != REQUEST_BODY)
		return 0;
	if (request->body.len + n <= request->expected)
		dw_buf_add(&request->body, bytes, n);
	return 0;
}

int
http_complete(struct request *request)
{
	if (request == NULL)
		return -1;
	if (request->state == REQUEST_DRAINING)
		return -1;
	request->body_left = false;
	if (request->state != REQUEST_BODY)
		return 0;
	request->whole = true;
	take_or_wait(request);
	return 0;
}

/* The answer was taken. */
static int
finish(struct request **request_p)
{
	struct request *request = *request_p;
	struct lws *wsi = request->wsi;

	if (request->body_left) {
		request->state = REQUEST_DRAINING;
		wheel_set(&request->edge->wheel, &request->timer, dw_mono_ms() + DRAIN_MS);
		return 0;
	}
	if (request->close)
		return -1;
	http_end(request_p);
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

int
http_writable(struct request **request_p)
{
	struct request *request = *request_p;
	struct lws *wsi;

	if (request == NULL || (request->state != REQUEST_ANSWERED && request->state != REQUEST_WRITING))
		return 0;
	wsi = request->wsi;
	if (request->state == REQUEST_ANSWERED) {
		if (!dw_buf_ok(&request->answer) ||
			write_head(wsi, request->status, request->answer.len, request->allow, request->close) != 0)
			return -1;
		request->state = REQUEST_WRITING;
	}
	if (write_body(wsi, (struct dw_str) { request->answer.data, request->answer.len }, &request->written) != 0)
		return -1;
	if (request->written == request->answer.len && !lws_partial_buffered(wsi))
		return finish(request_p);
	lws_callback_on_writable(wsi);
	return 0;
}

void
http_end(struct request **request_p)
{
	struct request *request = *request_p;

	if (request == NULL)
		return;
	*request_p = NULL;
	wheel_cancel(&request->timer);
	check_forget(&request->check);
	if (request->corr != 0)
		uplink_cancel(request->edge->uplink, request->corr);
	api_wait_end(request, false);
	if (request->forget != NULL)
		request->forget(request);
	dw_claims_clear(&request->claims);
	dw_buf_clear(&request->body);
	dw_buf_clear(&request->answer);
	request->edge->counts.requests--;
	free(request);
}
