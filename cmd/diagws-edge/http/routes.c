/* The edge's HTTP calls: path, method, needs, and who takes it (route.h).
 */
#include "route.h"

#include "edge.h"
#include "http/request.h"
#include "hub/uplink.h"

static void
take_health(struct dw_http_request *request)
{
	dw_buf_adds(&request->answer, "{\"status\":\"ok\"}");
	dw_http_answer(request, MHD_HTTP_OK);
}

static void
take_ready(struct dw_http_request *request)
{
	const char *reason = request->edge->draining ? "shutting down" : uplink_unready(request->edge->uplink);

	if (reason == NULL) {
		take_health(request);
		return;
	}
	dw_buf_addf(&request->answer, "{\"status\":\"unavailable\",\"reasons\":[\"%s\"]}", reason);
	dw_http_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE);
}

const struct dw_http_route edge_routes[] = {
	{ "/ws/status", 0, status_take, NULL },
	{ "/ws/broadcast-recommendation-update", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, "recommendation_update" },
	{ "/ws/broadcast-effectiveness-update", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, "effectiveness_update" },
	{ "/ws/broadcast-feedback-update", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, "feedback_update" },
	{ "/ws/broadcast", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, NULL },
	{ "/ws/messages/", DW_HTTP_TOKEN | DW_HTTP_PREFIX, messages_take, NULL },
	{ "/healthz", DW_HTTP_FREE, take_health, NULL },
	{ "/health", DW_HTTP_FREE, take_health, NULL },
	{ "/health/live", DW_HTTP_FREE, take_health, NULL },
	{ "/readyz", DW_HTTP_FREE, take_ready, NULL },
	{ "/health/ready", DW_HTTP_FREE, take_ready, NULL },
	{ 0 },
};
