/* What one `serve` process is, passed to every part as a request's `user`: owned by serve.c.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/route.h"

struct owners;
struct task;
struct worker;

struct service {
	struct owners *owners;
	struct worker *worker;
	struct task *tasks; /* requests in hand (utlist), */
	size_t count;       /* and how many */
	int64_t now;        /* seconds since 1970, for tests and replays; 0: the clock */
	const char *db;     /* the file's path */
	struct dw_str page; /* what /config.json says */
};

/* The HTTP API, as data: routes.c. */
extern const struct dw_http_route service_routes[];

#endif
