/* The clinic's HTTP API: path, method, rights, what the call is about, its arguments, the call (task.h). And what a
 * service manager, a proxy and the page ask for.
 */
#include <unistd.h>

#include "http/owners.h"
#include "http/request.h"
#include "http/service.h"
#include "http/task.h"
#include "token/auth.h"

static void
take_config(struct dw_http_request *request)
{
	const struct service *service = request->user;

	request->lasting = service->page;
	dw_http_answer(request, MHD_HTTP_OK);
}

static void
take_health(struct dw_http_request *request)
{
	dw_buf_adds(&request->answer, "{\"status\":\"ok\"}");
	dw_http_answer(request, MHD_HTTP_OK);
}

static void
take_ready(struct dw_http_request *request)
{
	const struct service *service = request->user;
	const int trouble = worker_trouble(service->worker);
	const char *reason = NULL;

	if (access(service->db, R_OK | W_OK) != 0 || (trouble != DW_OK && trouble != DW_E_BUSY))
		reason = "the clinic's file cannot be used";
	else if (trouble == DW_E_BUSY)
		reason = "another program is writing to the clinic's file";
	else if (!owners_ready(service->owners))
		reason = "the hub does not answer";
	if (reason == NULL) {
		take_health(request);
		return;
	}
	dw_buf_addf(&request->answer, "{\"status\":\"unavailable\",\"reasons\":[\"%s\"]}", reason);
	dw_http_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE);
}

/* ---- the table ---- */

enum {
	GET = DW_HTTP_TOKEN,
	POST = DW_HTTP_TOKEN | DW_HTTP_POST,
	PUT = DW_HTTP_TOKEN | DW_HTTP_PUT,
	NAMED = DW_HTTP_TOKEN | DW_HTTP_NAMED,
};

#define OFFER(FUNCTION, SUBJECT, ...) \
	task_take, &(const struct offer) { .call = FUNCTION, .subject = SUBJECT_##SUBJECT, __VA_ARGS__ }, NULL
/* Who else may than the owner: nobody; who may see everything; who may have anything computed; everybody. */
#define OWN .scope = 0
#define STAT .scope = DW_SCOPE_STAT
#define WORK .scope = DW_SCOPE_PUBLISH
#define OPEN .open = true
#define BODY .body = true
#define UP_TO(MAX) .arguments = ARGUMENT_LIMIT, .limit_max = (MAX)
#define LIST .arguments = ARGUMENT_LIMIT | ARGUMENT_SAMPLES, .limit_max = LIST_MAX
#define HOW .arguments = ARGUMENT_OPTIMIZATION
#define HOW_FAR .arguments = ARGUMENT_OPTIMIZATION | ARGUMENT_TARGET

/* clang-format off: one call, one line */
const struct dw_http_route service_routes[] = {
	{ "/api/feedback/submit", POST, OFFER(feedback_submit, BODY, OWN, BODY) },
	{ "/api/feedback/batch/submit", POST, OFFER(feedback_submit_batch, BODY_FEEDBACK, OWN, BODY) },
	{ "/api/feedback/update/{id}", PUT, OFFER(feedback_update, FEEDBACK, OWN, BODY) },
	{ "/api/feedback/history", GET, OFFER(feedback_history, ASKED, STAT, UP_TO(HISTORY_MAX)) },
	{ "/api/feedback/recommendation/{id}/summary", GET, OFFER(feedback_summary, RECOMMENDATION, STAT) },
	{ "/api/feedback/recommendation/{id}/trend", GET, OFFER(feedback_trend, RECOMMENDATION, STAT) },
	{ "/api/feedback/diagnosis/{id}/overview", GET, OFFER(feedback_overview, DIAGNOSIS, STAT) },
	{ "/api/feedback/stats/most-effective", GET, OFFER(feedback_most_effective, ALL, STAT, LIST) },
	{ "/api/feedback/stats/side-effects", GET, OFFER(feedback_side_effects, ALL, STAT, UP_TO(LIST_MAX)) },

	{ "/api/analytics/status", GET, OFFER(analytics_status, ALL, STAT) },
	{ "/api/analytics/recommendation/{id}/effectiveness", GET, OFFER(analytics_recommendation, RECOMMENDATION, STAT) },
	{ "/api/analytics/diagnosis/{id}/effectiveness", GET, OFFER(analytics_diagnosis, DIAGNOSIS, STAT) },
	{ "/api/analytics/condition/{name}", NAMED, OFFER(analytics_condition, NAME, STAT) },
	{ "/api/analytics/herb/{name}", NAMED, OFFER(analytics_herb, NAME, STAT) },
	{ "/api/analytics/trending", GET, OFFER(analytics_trending, ALL, STAT, LIST) },
	{ "/api/analytics/worst-performing", GET, OFFER(analytics_worst, ALL, STAT, LIST) },
	{ "/api/analytics/calculate/{id}", POST, OFFER(analytics_calculate, RECOMMENDATION, WORK) },
	{ "/api/analytics/batch/calculate", POST, OFFER(analytics_calculate_batch, BODY_RECOMMENDATIONS, WORK, BODY) },

	{ "/api/predictions/diagnosis/{id}/predict", GET, OFFER(predict_diagnosis, DIAGNOSIS, STAT, HOW) },
	{ "/api/predictions/diagnosis/{id}/optimize", GET, OFFER(predict_optimize, DIAGNOSIS, STAT, HOW_FAR) },
	{ "/api/predictions/diagnosis/{id}/evolution", GET, OFFER(predict_evolution, DIAGNOSIS, STAT) },
	{ "/api/predictions/diagnosis/{id}/accuracy", GET, OFFER(predict_accuracy, DIAGNOSIS, STAT) },
	{ "/api/predictions/patient/{id}/profile", GET, OFFER(predict_profile, PATIENT, STAT) },
	{ "/api/predictions/recommendation/{id}/prediction-stats", GET, OFFER(predict_stats, RECOMMENDATION, STAT) },
	{ "/api/predictions/batch/predict", POST, OFFER(predict_batch, BODY_DIAGNOSES, STAT, BODY, HOW) },
	{ "/api/predictions/model/version", GET, OFFER(predict_version, ALL, OPEN) },

	{ "/config.json", 0, take_config, NULL, NULL },
	{ "/healthz", DW_HTTP_FREE, take_health, NULL, NULL },
	{ "/readyz", DW_HTTP_FREE, take_ready, NULL, NULL },
	{ 0 },
};
/* clang-format on */
