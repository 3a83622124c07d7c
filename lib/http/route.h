/* Calls as data: a program gives a table of them, and lib/http knows none by name. Pure.
 *
 *	const struct dw_http_route routes[] = {
 *		{ "/api/feedback/submit", DW_HTTP_POST | DW_HTTP_TOKEN, take_submit },
 *		{ "/api/feedback/{id}", DW_HTTP_TOKEN, take_get },
 *		{ "/api/feedback/{id}", DW_HTTP_PUT | DW_HTTP_TOKEN, take_update },
 *		{ "/api/recommendation/{id}/summary", DW_HTTP_TOKEN, take_summary },
 *		{ "/api/condition/{name}", DW_HTTP_TOKEN | DW_HTTP_NAMED, take_condition },
 *		{ 0 },
 *	};
 */
#ifndef DIAGWS_HTTP_ROUTE_H
#define DIAGWS_HTTP_ROUTE_H

#include <stdbool.h>

#include "base/buf.h"
#include "http/head.h"

struct dw_http_request;

enum dw_http_flag {
	DW_HTTP_POST = 1,   /* it takes a POST with a body, */
	DW_HTTP_PUT = 2,    /* or a PUT with one; neither: GET and HEAD */
	DW_HTTP_TOKEN = 4,  /* there must be one; else there may be one, which is checked */
	DW_HTTP_FREE = 8,   /* it may be asked for as often as one likes: whether the program is alive */
	DW_HTTP_NAMED = 16, /* {…} is a name: 1 to 64 code points, percent-decoded, without control characters and '/' */
};

/* One path may have several, each for another method. */
struct dw_http_route {
	const char *path; /* one part of it may be {…}, for any that is not empty, as it is sent; NULL: the table ends */
	unsigned flags;
	/* The request is whole: answers it, now or later (request.h). */
	void (*take)(struct dw_http_request *request);
	const void *arg;                       /* for `take`; or NULL */
	const struct dw_http_refusal *refusal; /* no call: a GET or HEAD that finds nothing before is refused so */
};

struct dw_http_found {
	const struct dw_http_route *route; /* NULL: OPTIONS asks, or there is none */
	const char *allow;                 /* what the path takes, for OPTIONS and 405; else NULL */
	struct dw_str part;                /* of the path, for {…} */
};

/* NULL: *out has a route or, for OPTIONS, what is allowed; or why there is none. A path is the canonical head's. */
const struct dw_http_refusal *dw_http_route_find(
	const struct dw_http_route *routes, const char *method, const char *path, struct dw_http_found *out);
/* Copies the part, of a NAMED route decoded; "" where it is longer than size allows. false: it is no name. */
bool dw_http_route_part(const struct dw_http_found *found, char *out, size_t size);

#endif
