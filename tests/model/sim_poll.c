/* Polls of simulated edges, without libmicrohttpd: see sim.h.
 *
 * One that waits has a name; its answer is printed whenever it comes: `wait NAME STATUS JSON`, all others' `poll STATUS
 * JSON` at once. An edge that is killed takes its polls along.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "../../cmd/diagws-edge/edge.h"
#include "../../cmd/diagws-edge/http/calls.h"
#include "http/parts.h"
#include "http/request.h"
#include "../../cmd/diagws-edge/hub/uplink.h"
#include "sim.h"

struct poll {
	struct poll *prev, *next;
	char name[SIM_NAME]; /* "": it does not wait */
	struct dw_http_request request;
	struct dw_http http;
};

static struct poll *polls;
static uint64_t last_of_poll;
static struct {
	char after[24], limit[24], epoch[40], wait[16];
} arguments;

const char *
dw_http_argument(const struct dw_http_request *request, const char *name)
{
	const char *value = strcmp(name, "after") == 0   ? arguments.after
						: strcmp(name, "limit") == 0 ? arguments.limit
						: strcmp(name, "epoch") == 0 ? arguments.epoch
						: strcmp(name, "wait") == 0  ? arguments.wait
													 : "";

	(void)request;
	return value[0] != '\0' ? value : NULL;
}

static const struct poll *
poll_of(const struct dw_http_request *request)
{
	return (const struct poll *)(const void *)((const char *)request - offsetof(struct poll, request));
}

static void
print_status(const struct dw_http_request *request, unsigned status)
{
	const struct poll *poll = poll_of(request);

	if (poll->name[0] != '\0')
		printf("wait %s %d ", poll->name, (int)status);
	else
		printf("poll %d ", (int)status);
}

void
dw_http_answer(struct dw_http_request *request, unsigned status)
{
	static const char mark[] = "\"last\":";
	const char *text = request->answer.data != NULL ? request->answer.data : "", *last = strstr(text, mark);

	if (last != NULL && poll_of(request)->name[0] == '\0')
		last_of_poll = strtoull(last + sizeof(mark) - 1, NULL, 10);
	print_status(request, status);
	print_text(text, request->answer.len);
	putchar('\n');
	request->state = DW_HTTP_IN_ANSWERED;
}

void
dw_http_error(
	struct dw_http_request *request, unsigned status, const char *code, const char *message, const char *field)
{
	(void)message;
	(void)field;
	print_status(request, status);
	printf("\"%s\"\n", code);
	request->state = DW_HTTP_IN_ANSWERED;
}

static void
end(struct poll *poll)
{
	struct dw_http_request *request = &poll->request;

	DL_DELETE(polls, poll);
	if (request->waits_for != NULL)
		request->call_off(request);
	if (request->forget != NULL)
		request->forget(request);
	dw_claims_clear(&request->claims);
	dw_buf_clear(&request->answer);
	free(poll);
}

void
edge_poll(int number, const char *name, const char *room, const char *user, const struct sim_from *from, uint64_t limit,
	bool claimed)
{
	struct poll *poll = calloc(1, sizeof(*poll));
	struct dw_http_request *request = &poll->request;

	if (poll == NULL)
		abort();
	DL_APPEND(polls, poll);
	memset(&arguments, 0, sizeof(arguments));
	if (from->has_after)
		(void)snprintf(arguments.after, sizeof(arguments.after), "%llu", (unsigned long long)from->after);
	(void)snprintf(arguments.epoch, sizeof(arguments.epoch), "%s", from->epoch);
	if (limit > 0)
		(void)snprintf(arguments.limit, sizeof(arguments.limit), "%llu", (unsigned long long)limit);
	(void)snprintf(poll->name, sizeof(poll->name), "%s", name);
	if (name[0] != '\0')
		(void)snprintf(arguments.wait, sizeof(arguments.wait), "%ds", SIM_WAIT_S);
	request->user = edge_get(number);
	request->http = &poll->http;
	poll->http.config.wheel = &edge_get(number)->wheel;
	request->state = DW_HTTP_IN_TAKEN;
	(void)dw_str_copy(dw_str(room), request->part, sizeof(request->part));
	(void)dw_str_copy(dw_str(user), request->claims.user, sizeof(request->claims.user));
	request->claims.expires = UINT32_MAX;
	if (claimed)
		dw_buf_add(&request->claims.diagnoses, room, strlen(room) + 1);
	messages_take(request);
	if (name[0] != '\0')
		return;
	while (request->state != DW_HTTP_IN_ANSWERED && (hub_turn() || sim_pump(number)))
		;
	if (request->state != DW_HTTP_IN_ANSWERED)
		printf("poll 0 \"no answer\"\n");
	end(poll);
}

bool
poll_waits(const char *name)
{
	const struct poll *poll;

	DL_FOREACH(polls, poll)
	{
		if (strcmp(poll->name, name) == 0)
			return true;
	}
	return false;
}

void
polls_settle(void)
{
	struct poll *poll, *next;

	DL_FOREACH_SAFE(polls, poll, next)
	{
		if (poll->request.state == DW_HTTP_IN_ANSWERED)
			end(poll);
	}
}

void
polls_end(const struct edge *edge)
{
	struct poll *poll, *next;

	DL_FOREACH_SAFE(polls, poll, next)
	{
		if (poll->request.user == edge)
			end(poll);
	}
}

uint64_t
poll_last(void)
{
	return last_of_poll;
}

void
poll_forget(void)
{
	last_of_poll = 0;
}
