/* What may be said of a request before its body: see http.h. Its own file because it is the contract's order of
 * checks, in one place: 404/405, the Origin, 413/415, 401.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "http/check.h"
#include "http/origin.h"
#include "http/limits.h"
#include "http/parts.h"
#include "http/request.h"
#include "http/route.h"

/* What the check of its token says. */
static void
judge(struct dw_http_request *request, int err)
{
	const struct dw_claims *claims = request->claims.user[0] != '\0' ? &request->claims : NULL;

	if (err == DW_OK || err == DW_E_TOKEN_MISSING) {
		const int spent = dw_http_limits_request(request->http->config.limits, &request->client->address, claims);

		err = spent != DW_OK ? spent : err;
	}
	if (err != DW_OK)
		dw_http_fail(request, err, err == DW_E_BUSY ? "too many tokens are being checked" : NULL, NULL);
}

static void
checked(void *user, int err, struct dw_claims *claims)
{
	struct dw_http_request *request = user;

	if (request->state != DW_HTTP_IN_CHECKING)
		return;
	request->claims = *claims;
	*claims = (struct dw_claims) { 0 };
	request->begun_at = dw_mono_ms();
	judge(request, err);
	if (request->state != DW_HTTP_IN_CHECKING)
		return;
	dw_wheel_cancel(&request->timer);
	request->state = DW_HTTP_IN_BODY;
	dw_http_resume(request);
}

/* The token's text, or none. */
static struct dw_str
find_token(const struct dw_http_request *request)
{
	const struct dw_str token = dw_http_bearer(dw_str(dw_http_header(request, "Authorization")));

	return token.p != NULL ? token : dw_str(dw_http_argument(request, "token"));
}

static void
check_token(struct dw_http_request *request)
{
	const struct dw_str token = find_token(request);
	int err = DW_OK;

	if (token.n > 0 || dw_http_header(request, "Authorization") != NULL || (request->route->flags & DW_HTTP_TOKEN) != 0)
		err = dw_http_check_begin(request->http->config.checks, &request->client->address, token, &request->claims,
			&request->check, checked, request);
	else if ((request->route->flags & DW_HTTP_FREE) != 0)
		return;
	if (err != DW_E_AGAIN)
		judge(request, err);
	else
		request->state = DW_HTTP_IN_CHECKING;
}

/* Before the token is looked at: it counts as a stranger's request. */
static void
refuse_stranger(struct dw_http_request *request, const struct dw_http_refusal *refusal)
{
	if (dw_http_limits_request(request->http->config.limits, &request->client->address, NULL) == DW_OK) {
		dw_http_error(request, (unsigned)refusal->status, refusal->code, refusal->message, NULL);
		return;
	}
	request->close = true;
	dw_http_fail(request, DW_E_RATE, NULL, NULL);
}

/* The checks of a head: NULL, or what speaks against it. */

static const struct dw_http_refusal *
check_body(struct dw_http_request *request)
{
	static const struct dw_http_refusal none = { MHD_HTTP_BAD_REQUEST, "bad_request", "this call takes no body" };
	static const struct dw_http_refusal plain = { MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "media_type",
		"a body is taken as it is: no Content-Encoding" };
	static const struct dw_http_refusal json = { MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "media_type",
		"the Content-Type must be application/json" };
	const char *type = dw_http_header(request, "Content-Type");
	size_t n;

	if (request->route == NULL || (request->route->flags & (DW_HTTP_POST | DW_HTTP_PUT)) == 0) {
		request->close |= request->body_due;
		return request->body_due ? &none : NULL;
	}
	if (dw_http_header(request, "Encoded") != NULL)
		return &plain;
	if (type == NULL)
		return NULL;
	n = strcspn(type, "; \t");
	if ((n == 16 && strncasecmp(type, "application/json", n) == 0) ||
		(n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0))
		return NULL;
	return &json;
}

/* Whether a page of the Origin may ask here. A refusal it may read, as far as the protocol lets it. */
static const struct dw_http_refusal *
check_origin(struct dw_http_request *request)
{
	const char *origin = dw_http_header(request, "Origin");

	request->origin = origin;
	if (origin == NULL ||
		dw_http_origin_allowed(request->http->config.origins, dw_str(origin), dw_str(dw_http_header(request, "Host"))))
		return NULL;
	request->origin = "*";
	return dw_http_refusal(DW_HEAD_ORIGIN);
}

static const struct dw_http_refusal *
find_route(struct dw_http_request *request, const char *method, const char *path)
{
	static const struct dw_http_refusal no_name = { MHD_HTTP_BAD_REQUEST, "bad_request",
		"a name in the path must be 1 to 64 characters in UTF-8, percent-encoded, none of them a control character" };
	const struct dw_http_config *config = &request->http->config;
	struct dw_http_found found, file;
	const struct dw_http_refusal *refusal = dw_http_route_find(config->routes, method, path, &found);

	if (refusal != NULL && found.allow == NULL && config->files != NULL) {
		const struct dw_http_refusal *other = dw_http_route_find(config->files, method, path, &file);

		if (other == NULL || file.allow != NULL) {
			refusal = other;
			found = file;
		}
	}
	request->route = found.route;
	request->allow = found.allow;
	if (dw_http_route_part(&found, request->part, sizeof(request->part)))
		return refusal;
	request->route = NULL;
	return &no_name;
}

static const struct dw_http_refusal *
check_head(struct dw_http_request *request, const char *method, const char *path, enum dw_http_fault fault)
{
	const struct dw_http_refusal *refusal;

	if (fault != DW_HEAD_OK && fault != DW_HEAD_BODY) {
		request->close = true;
		return dw_http_refusal(fault);
	}
	refusal = find_route(request, method, path);
	if (refusal == NULL)
		refusal = check_origin(request);
	if (refusal == NULL)
		refusal = fault == DW_HEAD_BODY ? dw_http_refusal(fault) : check_body(request);
	return refusal;
}

void
dw_http_admit(struct dw_http_request *request, const char *method, const char *path)
{
	const char *fault = dw_http_header(request, "Refused"), *length = dw_http_header(request, "Content-Length");
	const struct dw_http_refusal *refusal;

	request->body_due =
		dw_http_header(request, "Transfer-Encoding") != NULL || (length != NULL && strcmp(length, "0") != 0);
	refusal =
		check_head(request, method, path, fault != NULL ? (enum dw_http_fault)strtoul(fault, NULL, 10) : DW_HEAD_OK);
	if (refusal != NULL)
		refuse_stranger(request, refusal);
	else if (request->route != NULL)
		check_token(request);
	else
		dw_http_answer(request, MHD_HTTP_NO_CONTENT);
}
