/* What those who take requests share: see request.h. Its own file because how an error is said in HTTP is one contract
 * for all calls. A 403 comes no sooner than DENY_MS, so that unknown and forbidden take the same time.
 */
#include "request.h"

#include "base/clock.h"
#include "edge.h"
#include "hub/uplink.h"

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
		{ DW_E_TOO_BIG, MHD_HTTP_CONTENT_TOO_LARGE },
		{ DW_E_FIELD, MHD_HTTP_UNPROCESSABLE_CONTENT },
		{ DW_E_ID_REUSED, MHD_HTTP_UNPROCESSABLE_CONTENT },
		{ DW_E_RATE, MHD_HTTP_TOO_MANY_REQUESTS },
		{ DW_E_NOMEM, MHD_HTTP_SERVICE_UNAVAILABLE },
		{ DW_E_HUB_AWAY, MHD_HTTP_SERVICE_UNAVAILABLE },
		{ DW_E_TIMEOUT, MHD_HTTP_SERVICE_UNAVAILABLE },
		{ DW_E_STORAGE, MHD_HTTP_SERVICE_UNAVAILABLE },
		{ DW_E_STORAGE_FULL, MHD_HTTP_SERVICE_UNAVAILABLE },
		{ DW_E_BUSY, MHD_HTTP_SERVICE_UNAVAILABLE },
		{ DW_E_CLOSING, MHD_HTTP_SERVICE_UNAVAILABLE },
		{ DW_E_UNDELIVERED, MHD_HTTP_GATEWAY_TIMEOUT },
	};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].err == err)
			return statuses[i].status;
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

void
api_fail(struct request *request, int err, const char *message, const char *field)
{
	const uint64_t deny_at = request->begun_at + DENY_MS;
	struct dw_buf *out = &request->answer;

	request->denied = err == DW_E_DENIED;
	if (request->denied && dw_mono_ms() < deny_at) {
		dw_wheel_set(&request->edge->wheel, &request->timer, deny_at);
		return;
	}
	if (err == DW_E_TIMEOUT && !uplink_ready(request->edge->uplink))
		err = DW_E_HUB_AWAY;
	if (request->denied || message == NULL || message[0] == '\0')
		message = dw_err_text(err);
	http_error(request, status_of(err), dw_err_code(err), message, request->denied ? NULL : field);
	if (request->add_more == NULL || request->status < MHD_HTTP_SERVICE_UNAVAILABLE || !dw_buf_ok(out))
		return;
	out->len--;
	request->add_more(request, out);
	dw_buf_addc(out, '}');
}

bool
api_argument(const struct request *request, const char *name, bool (*parse)(const char *text, int64_t *value),
	int64_t min, int64_t max, int64_t *out)
{
	const char *text = http_argument(request, name);
	int64_t value;

	if (text == NULL)
		return true;
	if (!parse(text, &value) || value < min || value > max)
		return false;
	*out = value;
	return true;
}
