/* Which call a path and a method mean, in any table. See route.h. Pure.
 */
#include "route.h"

#include <string.h>

#include "base/utf8.h"
#include "http/request.h"

enum { READS = 1, POSTS = 2, PUTS = 4, ALL = 7 };

/* What may be said of a path that takes these. */
static const char *const allowed[ALL + 1] = { NULL, "GET, HEAD, OPTIONS", "POST, OPTIONS", "GET, HEAD, POST, OPTIONS",
	"PUT, OPTIONS", "GET, HEAD, PUT, OPTIONS", "POST, PUT, OPTIONS", "GET, HEAD, POST, PUT, OPTIONS" };

static bool
matches(const char *pattern, const char *path, struct dw_str *part)
{
	for (; *pattern == *path && *path != '\0'; pattern++)
		path++;
	if (*pattern != '{')
		return *pattern == *path;
	*part = (struct dw_str) { path, strcspn(path, "/") };
	return part->n > 0 && strcmp(strchr(pattern, '}') + 1, path + part->n) == 0;
}

static unsigned
method_of(const struct dw_http_route *route)
{
	if (route->refusal != NULL)
		return 0;
	return (route->flags & DW_HTTP_POST) != 0 ? POSTS : (route->flags & DW_HTTP_PUT) != 0 ? PUTS : READS;
}

static unsigned
read_method(const char *method)
{
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return READS;
	return strcmp(method, "POST") == 0 ? POSTS : strcmp(method, "PUT") == 0 ? PUTS : 0;
}

static const struct dw_http_refusal *
find_asked(const struct dw_http_route *routes, unsigned method, const char *path, struct dw_http_found *out)
{
	static const struct dw_http_refusal no_path = { 404, "not_found", "no such path" };
	static const struct dw_http_refusal no_method = { 405, "method_not_allowed",
		"this path does not take that method" };
	const struct dw_http_refusal *refusal = &no_path;
	unsigned may = 0;

	for (; routes->path != NULL; routes++) {
		struct dw_str part = { NULL, 0 };

		if (!matches(routes->path, path, &part))
			continue;
		if (method_of(routes) == method && method != 0) {
			*out = (struct dw_http_found) { .route = routes, .part = part };
			return NULL;
		}
		may |= method_of(routes);
		if (routes->refusal != NULL && may == 0 && method == READS)
			refusal = routes->refusal;
	}
	out->allow = allowed[may];
	return may != 0 ? &no_method : refusal;
}

const struct dw_http_refusal *
dw_http_route_find(const struct dw_http_route *routes, const char *method, const char *path, struct dw_http_found *out)
{
	const bool asks = strcmp(method, "OPTIONS") == 0;
	const struct dw_http_refusal *refusal;
	unsigned may = 0;

	*out = (struct dw_http_found) { 0 };
	if (!asks || strcmp(path, "*") != 0) {
		refusal = find_asked(routes, read_method(method), path, out);
		return asks && out->allow != NULL ? NULL : refusal;
	}
	for (; routes->path != NULL; routes++)
		may |= method_of(routes);
	out->allow = allowed[may];
	return NULL;
}

/* One character of a name. false: no name has it. */
static bool
take_character(const unsigned char *p, size_t n)
{
	return n > 1 ? p[0] != 0xc2 || p[1] >= 0xa0 /* C1 */ : n == 1 && p[0] >= ' ' && p[0] != 0x7f && p[0] != '/';
}

static bool
is_name(struct dw_str text)
{
	size_t count = 0;

	for (size_t n; text.n > 0; count++) {
		n = dw_utf8_character(text.p, text.n);
		if (!take_character((const unsigned char *)text.p, n))
			return false;
		(void)dw_str_take(&text, n);
	}
	return count > 0 && count <= DW_HTTP_NAME_MAX;
}

bool
dw_http_route_part(const struct dw_http_found *found, char *out, size_t size)
{
	const struct dw_str part = found->part;
	size_t n = 0;

	out[0] = '\0';
	if (found->route == NULL || (found->route->flags & DW_HTTP_NAMED) == 0) {
		(void)dw_str_copy(part, out, size);
		return true;
	}
	for (size_t i = 0; i < part.n; i++) {
		const int escaped = dw_http_escape(part, i, '#');

		if (n + 1 >= size)
			return false;
		out[n] = part.p[i];
		if (escaped >= 0) {
			out[n] = (char)escaped;
			i += 2;
		}
		n++;
	}
	out[n] = '\0';
	return is_name(dw_bytes(out, n));
}
