/* HTTP calls as data: the HTTP side is given a table of them, and knows none by name. The edge's are in routes.c, and
 * each group of them has a file of its own.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "door/head.h"

struct request;

enum route_flag {
	ROUTE_POST = 1,   /* it takes a POST with a body; else GET and HEAD */
	ROUTE_TOKEN = 2,  /* there must be one */
	ROUTE_PREFIX = 4, /* the path has one part more */
	ROUTE_FREE = 8,   /* it may be asked for as often as one likes: whether the edge is alive */
};

struct route {
	const char *path; /* NULL: the table ends */
	unsigned flags;
	/* The request is whole: answers it, or asks the hub and answers then. */
	void (*take)(struct request *request);
	const char *type; /* of a flat publish; NULL: the general one */
};

/* NULL, with a route or, for OPTIONS, what is allowed; or why there is none. *route and *allow are left alone
 * otherwise.
 */
const struct head_refusal *route_find(
	const struct route *routes, const char *method, const char *path, const struct route **route, const char **allow);

extern const struct route edge_routes[];

void publish_take(struct request *request);  /* publish.c: the four that publish */
void messages_take(struct request *request); /* messages.c: /ws/messages/{diagnosis_id} */
void status_take(struct request *request);   /* status.c: /ws/status */
/* At the end, when nothing is asked any more. */
void status_clear(void);

#endif
