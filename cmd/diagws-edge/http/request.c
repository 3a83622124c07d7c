/* What is said of a request and to it: see request.h. How libmicrohttpd brings it is http.c's.
 */
#include "request.h"

#include <string.h>

#include "door/answer.h"
#include "edge.h"
#include "http/http.h"

const char *
http_header(const struct request *request, const char *name)
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
http_argument(const struct request *request, const char *name)
{
	struct lookup lookup = { name, NULL };

	(void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, look_up, &lookup);
	return lookup.value;
}

void
http_suspend(struct request *request)
{
	request->suspended = true;
	MHD_suspend_connection(request->connection);
}

void
http_resume(struct request *request)
{
	if (!request->suspended)
		return;
	request->suspended = false;
	MHD_resume_connection(request->connection);
	http_kick(request->edge->http);
}

void
http_answer(struct request *request, unsigned status)
{
	if (request->state >= REQUEST_REFUSED)
		return;
	request->state = request->body_due ? REQUEST_REFUSED : REQUEST_ANSWERED;
	request->status = status;
	if (request->body_due)
		http_client_refused(request->client, true);
	else
		dw_wheel_cancel(&request->timer);
	http_resume(request);
}

void
http_error(struct request *request, unsigned status, const char *code, const char *message, const char *field)
{
	dw_buf_reset(&request->answer);
	answer_error(&request->answer, code, message, field);
	http_answer(request, status);
}

void
http_kill(struct request *request)
{
	request->state = REQUEST_DEAD;
	http_client_cut(request->client);
	http_resume(request);
}
