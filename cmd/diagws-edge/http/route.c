/* Which call a path and a method mean, in any table. See route.h. Pure.
 */
#include "route.h"

#include <string.h>

static bool
matches(const struct route *route, const char *path)
{
	const size_t n = strlen(route->path);

	if (!route->prefix)
		return strcmp(path, route->path) == 0;
	return strncmp(path, route->path, n) == 0 && path[n] != '\0' && strchr(path + n, '/') == NULL;
}

static bool
is_one(const char *method, const char *one, const char *other)
{
	return strcmp(method, one) == 0 || strcmp(method, other) == 0;
}

enum answer_status
route_find(
	const struct route *routes, const char *method, const char *path, const struct route **route, const char **allow)
{
	static const char websockets[] = "/ws/";
	const size_t n = sizeof(websockets) - 1;
	const bool asks = strcmp(method, "OPTIONS") == 0;

	for (size_t i = 0; routes[i].path != NULL; i++) {
		if (!matches(&routes[i], path))
			continue;
		if (routes[i].post ? strcmp(method, "POST") == 0 : is_one(method, "GET", "HEAD")) {
			*route = &routes[i];
			return DW_HTTP_OK;
		}
		*allow = routes[i].post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
		return asks ? DW_HTTP_OK : DW_HTTP_METHOD;
	}
	*allow = "GET, HEAD, POST, OPTIONS";
	if (asks && strcmp(path, "*") == 0)
		return DW_HTTP_OK;
	*allow = NULL;
	if (strncmp(path, websockets, n) == 0 && path[n] != '\0' && strchr(path + n, '/') == NULL &&
		is_one(method, "GET", "HEAD"))
		return DW_HTTP_UPGRADE;
	return DW_HTTP_NOT_FOUND;
}
