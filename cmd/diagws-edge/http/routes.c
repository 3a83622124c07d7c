/* The edge's HTTP calls: path, method, needs, and who takes it (route.h).
 */
#include "route.h"

#include "edge.h"
#include "http/request.h"
#include "hub/uplink.h"

static void
take_health(struct request *request)
{
	dw_buf_adds(&request->answer, "{\"status\":\"ok\"}");
	http_answer(request, MHD_HTTP_OK);
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
	http_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE);
}

const struct route edge_routes[] = {
	{ "/ws/status", 0, status_take, NULL },
	{ "/ws/broadcast-recommendation-update", ROUTE_POST | ROUTE_TOKEN, publish_take, "recommendation_update" },
	{ "/ws/broadcast-effectiveness-update", ROUTE_POST | ROUTE_TOKEN, publish_take, "effectiveness_update" },
	{ "/ws/broadcast-feedback-update", ROUTE_POST | ROUTE_TOKEN, publish_take, "feedback_update" },
	{ "/ws/broadcast", ROUTE_POST | ROUTE_TOKEN, publish_take, NULL },
	{ "/ws/messages/", ROUTE_TOKEN | ROUTE_PREFIX, messages_take, NULL },
	{ "/healthz", ROUTE_FREE, take_health, NULL },
	{ "/health", ROUTE_FREE, take_health, NULL },
	{ "/health/live", ROUTE_FREE, take_health, NULL },
	{ "/readyz", ROUTE_FREE, take_ready, NULL },
	{ "/health/ready", ROUTE_FREE, take_ready, NULL },
	{ 0 },
};
