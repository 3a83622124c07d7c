/* What is said of a request and to it: see request.h. How libmicrohttpd brings it is life.c's.
 */
#include "request.h"

#include <string.h>

#include "http/answer.h"
#include "http/parts.h"

const char *
dw_http_header(const struct dw_http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct lookup {
	const char *name, *value;
};

static enum MHD_Result
look_up(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct lookup *lookup = user;

	(void)kind;
	if (value == NULL || strcmp(name, lookup->name) != 0)
		return MHD_YES;
	lookup->value = value;
	return MHD_NO;
}

const char *
dw_http_argument(const struct dw_http_request *request, const char *name)
{
	struct lookup lookup = { name, NULL };

	(void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, look_up, &lookup);
	return lookup.value;
}

void
dw_http_suspend(struct dw_http_request *request)
{
	request->suspended = true;
	MHD_suspend_connection(request->connection);
}

void
dw_http_resume(struct dw_http_request *request)
{
	if (!request->suspended)
		return;
	request->suspended = false;
	MHD_resume_connection(request->connection);
	dw_http_kick(request->http);
}

void
dw_http_answer(struct dw_http_request *request, unsigned status)
{
	if (request->state >= DW_HTTP_IN_REFUSED)
		return;
	request->state = request->body_due ? DW_HTTP_IN_REFUSED : DW_HTTP_IN_ANSWERED;
	request->status = status;
	if (request->body_due)
		dw_http_client_refused(request->client, true);
	else
		dw_wheel_cancel(&request->timer);
	dw_http_resume(request);
}

void
dw_http_error(
	struct dw_http_request *request, unsigned status, const char *code, const char *message, const char *field)
{
	dw_buf_reset(&request->answer);
	request->fields = NULL;
	request->lasting = (struct dw_str) { NULL, 0 };
	dw_http_write_error(&request->answer, code, message, field);
	dw_http_answer(request, status);
}

void
dw_http_kill(struct dw_http_request *request)
{
	request->state = DW_HTTP_IN_DEAD;
	dw_http_client_cut(request->client);
	dw_http_resume(request);
}
