/* The HTTP calls as data: the HTTP side is given a table of them, and knows none by name.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>

#include "http/request.h"

struct route {
	const char *path; /* NULL: the table ends */
	bool post;        /* it takes a POST with a body; else GET and HEAD */
	bool token;       /* there must be one */
	bool prefix;      /* the path has one part more */
	bool free;        /* it may be asked for as often as one likes: whether the edge is alive */
	/* The request is whole: answers it, or asks the hub and answers then. */
	void (*take)(struct request *request);
	const char *type; /* of a flat publish; NULL: the general one */
};

/* DW_HTTP_OK and a route, or, for OPTIONS, what is allowed; DW_HTTP_NOT_FOUND; DW_HTTP_METHOD with what is allowed;
 * DW_HTTP_UPGRADE: there are WebSockets. *route and *allow are left alone otherwise. */
enum answer_status route_find(
	const struct route *routes, const char *method, const char *path, const struct route **route, const char **allow);

#endif
