/* How an error of ours is said in HTTP, and numbers among a URL's arguments: see request.h. Its own file because it
 * needs nothing of libmicrohttpd but the names of statuses.
 *
 * A 403 comes no sooner than DW_HTTP_DENY_MS, so that unknown and forbidden take the same time.
 */
#include <sysexits.h>

#include "base/clock.h"
#include "http/limits.h"
#include "http/parts.h"
#include "http/request.h"

static unsigned
status_of(int err)
{
	static const struct {
		int err;
		unsigned status;
	} statuses[] = {
		{ DW_E_JSON, MHD_HTTP_BAD_REQUEST },
		{ DW_E_TOKEN_MISSING, MHD_HTTP_UNAUTHORIZED },
		{ DW_E_TOKEN, MHD_HTTP_UNAUTHORIZED },
		{ DW_E_TOKEN_EXPIRED, MHD_HTTP_UNAUTHORIZED },
		{ DW_E_DENIED, MHD_HTTP_FORBIDDEN },
		{ DW_E_UNKNOWN, MHD_HTTP_NOT_FOUND },
		{ DW_E_TOO_BIG, MHD_HTTP_CONTENT_TOO_LARGE },
		{ DW_E_FIELD, MHD_HTTP_UNPROCESSABLE_CONTENT },
		{ DW_E_ID_REUSED, MHD_HTTP_UNPROCESSABLE_CONTENT },
		{ DW_E_RATE, MHD_HTTP_TOO_MANY_REQUESTS },
		{ DW_E_UNDELIVERED, MHD_HTTP_GATEWAY_TIMEOUT },
	};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].err == err)
			return statuses[i].status;
	/* What a command may try again, a client of HTTP may, too. */
	return dw_err_exit(err) == EX_TEMPFAIL ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

void
dw_http_fail(struct dw_http_request *request, int err, const char *message, const char *field)
{
	const uint64_t deny_at = request->begun_at + DW_HTTP_DENY_MS;
	struct dw_buf *out = &request->answer;

	request->denied = err == DW_E_DENIED;
	if (request->denied && dw_mono_ms() < deny_at) {
		dw_wheel_set(request->http->config.wheel, &request->timer, deny_at);
		return;
	}
	if (request->denied || message == NULL || message[0] == '\0')
		message = dw_err_text(err);
	dw_http_error(request, status_of(err), dw_err_code(err), message, request->denied ? NULL : field);
	if (request->add_more == NULL || request->status < MHD_HTTP_SERVICE_UNAVAILABLE || !dw_buf_ok(out))
		return;
	out->len--;
	request->add_more(request, out);
	dw_buf_addc(out, '}');
}

bool
dw_http_number(const struct dw_http_request *request, const char *name, bool (*parse)(const char *text, int64_t *value),
	int64_t min, int64_t max, int64_t *out)
{
	const char *text = dw_http_argument(request, name);
	int64_t value;

	if (text == NULL)
		return true;
	if (!parse(text, &value) || value < min || value > max)
		return false;
	*out = value;
	return true;
}
