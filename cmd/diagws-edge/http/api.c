/* What those who take requests share: see api.h. Its own file because how an error is said in HTTP is one contract for
 * all calls. A 403 comes no sooner than DENY_MS, so that unknown and forbidden take the same time.
 */
#include "api.h"

#include "base/clock.h"
#include "edge.h"
#include "hub/uplink.h"

static enum answer_status
status_of(int err)
{
	switch (err) {
	case DW_E_JSON:
		return DW_HTTP_BAD_REQUEST;
	case DW_E_TOO_BIG:
		return DW_HTTP_TOO_LARGE;
	case DW_E_FIELD:
	case DW_E_ID_REUSED:
		return DW_HTTP_UNPROCESSABLE;
	case DW_E_DENIED:
		return DW_HTTP_FORBIDDEN;
	case DW_E_UNDELIVERED:
		return DW_HTTP_UNDELIVERED;
	case DW_E_RATE:
		return DW_HTTP_TOO_MANY;
	case DW_E_NOMEM:
	case DW_E_HUB_AWAY:
	case DW_E_TIMEOUT:
	case DW_E_STORAGE:
	case DW_E_STORAGE_FULL:
	case DW_E_BUSY:
	case DW_E_CLOSING:
		return DW_HTTP_UNAVAILABLE;
	default:
		return DW_HTTP_INTERNAL;
	}
}

void
api_fail(struct request *request, int err, const char *message, const char *field)
{
	if (err == DW_E_TIMEOUT && !uplink_ready(request->edge->uplink))
		err = DW_E_HUB_AWAY;
	http_error(request, status_of(err), dw_err_code(err),
		message != NULL && message[0] != '\0' ? message : dw_err_text(err), field);
}

void
api_deny(struct request *request)
{
	uint64_t due = request->begun_at + DENY_MS;

	if (dw_mono_ms() >= due)
		api_fail(request, DW_E_DENIED, NULL, NULL);
	else
		dw_wheel_set(&request->edge->wheel, &request->timer, due);
	request->due = api_deny;
}
