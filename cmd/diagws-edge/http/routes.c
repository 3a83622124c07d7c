/* The edge's HTTP calls: path, method, needs, and who takes it (lib/http/route.h).
 */
#include "calls.h"

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
	const struct edge *edge = request->user;
	const char *reason = edge->draining ? "shutting down" : uplink_unready(edge->uplink);

	if (reason == NULL) {
		take_health(request);
		return;
	}
	dw_buf_addf(&request->answer, "{\"status\":\"unavailable\",\"reasons\":[\"%s\"]}", reason);
	dw_http_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE);
}

static const struct dw_http_refusal upgrade = { MHD_HTTP_UPGRADE_REQUIRED, "upgrade_required",
	"here are WebSockets: a proxy in front must pass Upgrade and Connection on" };

const struct dw_http_route edge_routes[] = {
	{ "/ws/status", 0, status_take, NULL, NULL },
	{ "/ws/broadcast-recommendation-update", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, "recommendation_update",
		NULL },
	{ "/ws/broadcast-effectiveness-update", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, "effectiveness_update", NULL },
	{ "/ws/broadcast-feedback-update", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, "feedback_update", NULL },
	{ "/ws/broadcast", DW_HTTP_POST | DW_HTTP_TOKEN, publish_take, NULL, NULL },
	{ "/ws/messages/{diagnosis_id}", DW_HTTP_TOKEN, messages_take, NULL, NULL },
	{ "/healthz", DW_HTTP_FREE, take_health, NULL, NULL },
	{ "/health", DW_HTTP_FREE, take_health, NULL, NULL },
	{ "/health/live", DW_HTTP_FREE, take_health, NULL, NULL },
	{ "/readyz", DW_HTTP_FREE, take_ready, NULL, NULL },
	{ "/health/ready", DW_HTTP_FREE, take_ready, NULL, NULL },
	{ "/ws/{diagnosis_id}", 0, NULL, NULL, &upgrade },
	{ 0 },
};
