/* Which call a path and a method mean, in any table. See route.h. Pure.
 */
#include "route.h"

#include <string.h>

static bool
has_one_more(const char *path, const char *prefix)
{
	const size_t n = strlen(prefix);

	return strncmp(path, prefix, n) == 0 && path[n] != '\0' && strchr(path + n, '/') == NULL;
}

const struct dw_http_refusal *
dw_http_route_find(
	const struct dw_http_route *routes, const char *method, const char *path, const struct dw_http_route **route, const char **allow)
{
	static const struct dw_http_refusal no_path = { 404, "not_found", "no such path" };
	static const struct dw_http_refusal no_method = { 405, "method_not_allowed", "this path does not take that method" };
	static const struct dw_http_refusal upgrade = { 426, "upgrade_required",
		"here are WebSockets: a proxy in front must pass Upgrade and Connection on" };
	const bool asks = strcmp(method, "OPTIONS") == 0, posts = strcmp(method, "POST") == 0;
	const bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;

	for (; routes->path != NULL; routes++) {
		const bool post = (routes->flags & DW_HTTP_POST) != 0;

		if ((routes->flags & DW_HTTP_PREFIX) != 0 ? !has_one_more(path, routes->path) : strcmp(path, routes->path) != 0)
			continue;
		if (post ? posts : reads) {
			*route = routes;
			return NULL;
		}
		*allow = post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
		return asks ? NULL : &no_method;
	}
	if (asks && strcmp(path, "*") == 0) {
		*allow = "GET, HEAD, POST, OPTIONS";
		return NULL;
	}
	return reads && has_one_more(path, "/ws/") ? &upgrade : &no_path;
}
