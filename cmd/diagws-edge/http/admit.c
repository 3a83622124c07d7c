/* What may be said of a request before its body: see admit.h. Its own file because it is the contract's order of
 * checks, in one place: 404/405, the Origin, 413/415, 401.
 */
#include "admit.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "cli/opt.h"
#include "door/check.h"
#include "door/origin.h"
#include "edge.h"
#include "http/api.h"
#include "http/client.h"
#include "http/route.h"

/* What the check of its token says. false: it has been answered. */
static bool
judge(struct request *request, int err)
{
	const bool good = err == DW_OK && request->has_token;

	if (err == DW_OK || err == DW_E_TOKEN_MISSING) {
		const int spent =
			limits_request(&request->edge->limits, &request->client->address, good ? &request->claims : NULL);

		err = spent != DW_OK ? spent : err;
	}
	if (err == DW_E_TOKEN_MISSING || err == DW_E_TOKEN || err == DW_E_TOKEN_EXPIRED)
		http_error(request, DW_HTTP_UNAUTHORIZED, dw_err_code(err), dw_err_text(err), NULL);
	else if (err != DW_OK)
		api_fail(request, err, err == DW_E_BUSY ? "too many tokens are being checked" : NULL, NULL);
	return err == DW_OK;
}

static void
checked(void *user, int err, struct dw_claims *claims)
{
	struct request *request = user;

	if (request->state != REQUEST_CHECKING)
		return;
	request->claims = *claims;
	dw_claims_init(claims);
	request->begun_at = dw_mono_ms();
	if (!judge(request, err))
		return;
	request->state = REQUEST_CHECKED;
	http_resume(request);
}

/* The token's text, or none. */
static struct dw_str
find_token(const struct request *request)
{
	static const char bearer[] = "Bearer ";
	const char *text = http_header(request, "Authorization");

	if (text != NULL && strncasecmp(text, bearer, sizeof(bearer) - 1) == 0)
		return dw_str(text + sizeof(bearer) - 1);
	return dw_str(http_argument_text(request, "token"));
}

/* false: it has been answered, or will be when the check has ended. */
static bool
check_token(struct request *request)
{
	const struct dw_str token = find_token(request);
	int err;

	request->has_token = token.n > 0 || http_header(request, "Authorization") != NULL;
	if (!request->has_token && !request->route->token)
		return request->route->free || judge(request, DW_OK);
	err = check_begin(
		request->edge, &request->client->address, token, &request->claims, &request->check, checked, request);
	if (err != DW_E_AGAIN)
		return judge(request, err);
	request->state = REQUEST_CHECKING;
	return false;
}

/* Before the token is looked at: it counts as a stranger's request. */
static void
refuse_stranger(struct request *request, int status, const char *code, const char *message)
{
	if (limits_request(&request->edge->limits, &request->client->address, NULL) == DW_OK) {
		http_error(request, (enum answer_status)status, code, message, NULL);
		return;
	}
	request->close = true;
	api_fail(request, DW_E_RATE, NULL, NULL);
}

static bool
refuse(struct request *request, enum head_fault fault)
{
	const struct head_refusal *refusal = head_refusal(fault);

	if (fault == HEAD_OK)
		return false;
	request->close = fault != HEAD_BODY;
	refuse_stranger(request, refusal->status, refusal->code, refusal->message);
	return true;
}

static bool
check_body(struct request *request)
{
	const char *type = http_header(request, "Content-Type");
	size_t n;

	if (request->route == NULL || !request->route->post) {
		if (request->body_due) {
			request->close = true;
			refuse_stranger(request, DW_HTTP_BAD_REQUEST, "bad_request", "this call takes no body");
		}
		return !request->body_due;
	}
	if (http_header(request, "Encoded") != NULL) {
		refuse_stranger(request, DW_HTTP_MEDIA_TYPE, "media_type", "a body is taken as it is: no Content-Encoding");
		return false;
	}
	if (type == NULL)
		return true;
	n = strcspn(type, "; \t");
	if ((n == 16 && strncasecmp(type, "application/json", n) == 0) ||
		(n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0))
		return true;
	refuse_stranger(request, DW_HTTP_MEDIA_TYPE, "media_type", "the Content-Type must be application/json");
	return false;
}

/* Whether a page of the Origin may use this edge. A refusal it may read, as far as the protocol lets it. */
static bool
check_origin(struct request *request)
{
	const char *origin = http_header(request, "Origin");

	request->origin = origin;
	if (origin == NULL ||
		origin_allowed(&request->edge->config.origins, dw_str(origin), dw_str(http_header(request, "Host"))))
		return true;
	request->origin = "*";
	refuse_stranger(request, DW_HTTP_FORBIDDEN, head_refusal(HEAD_ORIGIN)->code, head_refusal(HEAD_ORIGIN)->message);
	return false;
}

static bool
check_route(struct request *request, const char *method, const char *path)
{
	enum answer_status status =
		route_find(request->client->http->routes, method, path, &request->route, &request->allow);

	if (status == DW_HTTP_UPGRADE)
		refuse_stranger(request, status, "upgrade_required",
			"here are WebSockets: a proxy in front must pass Upgrade and Connection on");
	else if (status == DW_HTTP_NOT_FOUND)
		refuse_stranger(request, status, "not_found", "no such path");
	else if (status == DW_HTTP_METHOD)
		refuse_stranger(request, status, "method_not_allowed", "this path does not take that method");
	return status == DW_HTTP_OK;
}

bool
admit_head(struct request *request, const char *method, const char *path)
{
	const char *refused = http_header(request, "Refused"), *length = http_header(request, "Content-Length");
	int64_t number = HEAD_OK;
	enum head_fault fault;

	request->body_due =
		http_header(request, "Transfer-Encoding") != NULL || (length != NULL && strcmp(length, "0") != 0);
	(void)dw_parse_number(refused != NULL ? refused : "0", &number);
	fault = (enum head_fault)number;
	if (fault != HEAD_BODY && refuse(request, fault))
		return false;
	if (!check_route(request, method, path) || !check_origin(request) || refuse(request, fault) || !check_body(request))
		return false;
	if (request->route != NULL)
		return check_token(request);
	http_answer(request, DW_HTTP_NO_CONTENT);
	return false;
}
