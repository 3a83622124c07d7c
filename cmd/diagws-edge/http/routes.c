/* The edge's HTTP calls: path, method, needs, and who takes it, in a file of its own (publish.c, messages.c, status.c).
 */
#include "routes.h"

#include "edge.h"
#include "http/messages.h"
#include "http/publish.h"
#include "http/status.h"
#include "hub/uplink.h"

static void
take_health(struct request *request)
{
	dw_buf_adds(&request->answer, "{\"status\":\"ok\"}");
	http_answer(request, DW_HTTP_OK);
}

static void
take_ready(struct request *request)
{
	const char *reason = request->edge->draining ? "shutting down" : uplink_unready(request->edge->uplink);

	if (reason == NULL) {
		take_health(request);
		return;
	}
	dw_buf_addf(&request->answer, "{\"status\":\"unavailable\",\"reasons\":[\"%s\"]}", reason);
	http_answer(request, DW_HTTP_UNAVAILABLE);
}

const struct route edge_routes[] = {
	{ .path = "/ws/status", .take = status_take },
	{ .path = "/ws/broadcast-recommendation-update",
		.post = true,
		.token = true,
		.take = publish_take,
		.type = "recommendation_update" },
	{ .path = "/ws/broadcast-effectiveness-update",
		.post = true,
		.token = true,
		.take = publish_take,
		.type = "effectiveness_update" },
	{ .path = "/ws/broadcast-feedback-update",
		.post = true,
		.token = true,
		.take = publish_take,
		.type = "feedback_update" },
	{ .path = "/ws/broadcast", .post = true, .token = true, .take = publish_take },
	{ .path = "/ws/messages/", .token = true, .prefix = true, .take = messages_take },
	{ .path = "/healthz", .free = true, .take = take_health },
	{ .path = "/health", .free = true, .take = take_health },
	{ .path = "/health/live", .free = true, .take = take_health },
	{ .path = "/readyz", .free = true, .take = take_ready },
	{ .path = "/health/ready", .free = true, .take = take_ready },
	{ 0 },
};
