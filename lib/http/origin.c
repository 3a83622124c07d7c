/* Origins: dw_http_origins_prepare at the start, then dw_http_origin_allowed for each request that has one. A value of
 * --origin that could never match what a browser sends is refused, with what is wrong with it; what a stranger sends
 * that is no origin matches nothing but '*'.
 */
#include "origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEME_MAX = 32, HOST_MAX = 255, PORT_MAX = 65535 };

static const struct {
	const char *scheme;
	unsigned port;
} webs[] = { { "http", 80 }, { "https", 443 }, { "ws", 80 }, { "wss", 443 } };

/* 0: not one of the web's. */
static unsigned
port_of(const char *scheme)
{
	for (size_t i = 0; i < sizeof(webs) / sizeof(webs[0]); i++)
		if (strcmp(webs[i].scheme, scheme) == 0)
			return webs[i].port;
	return 0;
}

/* Copies at most max bytes in lower case, each a letter, a digit or one of `others`. */
static bool
copy_lower(struct dw_str text, const char *others, char *out, size_t max)
{
	if (text.n > max)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		const unsigned char c = (unsigned char)text.p[i];

		if (isalnum(c) == 0 && (c == '\0' || strchr(others, c) == NULL))
			return false;
		out[i] = (char)tolower(c);
	}
	out[text.n] = '\0';
	return true;
}

/* Takes a host off the front of *rest: a name or an IPv4 address, or an IPv6 address in brackets. */
static bool
take_host(struct dw_str *rest, char out[HOST_MAX + 1])
{
	const bool bracket = rest->n > 0 && rest->p[0] == '[';
	const char *end = rest->n > 0 ? memchr(rest->p, bracket ? ']' : ':', rest->n) : NULL;
	struct dw_str host = { rest->p, end != NULL ? (size_t)(end - rest->p) + bracket : rest->n };
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];

	rest->p = host.n > 0 ? rest->p + host.n : rest->p;
	rest->n -= host.n;
	if (!bracket)
		return copy_lower(host, "-._~", out, HOST_MAX);
	if (end == NULL || !dw_str_copy((struct dw_str) { host.p + 1, host.n - 2 }, text, sizeof(text)) ||
		inet_pton(AF_INET6, text, &address) != 1)
		return false;
	(void)inet_ntop(AF_INET6, &address, text, sizeof(text));
	(void)snprintf(out, HOST_MAX + 1, "[%s]", text);
	return true;
}

/* What follows the host: nothing, or a port. */
static bool
read_port(struct dw_str text, unsigned *port)
{
	char digits[sizeof("65535")];

	*port = 0;
	if (text.n == 0)
		return true;
	if (text.p[0] != ':' || !dw_str_copy((struct dw_str) { text.p + 1, text.n - 1 }, digits, sizeof(digits)) ||
		strspn(digits, "0123456789") != text.n - 1)
		return false;
	*port = (unsigned)strtoul(digits, NULL, 10);
	return *port >= 1 && *port <= PORT_MAX;
}

/* NULL, or what is wrong. */
static const char *
read_origin(struct dw_str text, char out[DW_HTTP_ORIGIN_SIZE])
{
	const char *mark = text.n > 0 ? memmem(text.p, text.n, "://", 3) : NULL;
	char scheme[SCHEME_MAX + 1], host[HOST_MAX + 1] = "";
	struct dw_str rest;
	unsigned port;

	if (mark == NULL || isalpha((unsigned char)text.p[0]) == 0 ||
		!copy_lower((struct dw_str) { text.p, (size_t)(mark - text.p) }, "+-.", scheme, SCHEME_MAX))
		return "it begins with no scheme like https://";
	rest = (struct dw_str) { mark + 3, text.n - (size_t)(mark + 3 - text.p) };
	if (memchr(rest.p, '/', rest.n) != NULL)
		return "it has a path";
	if (memchr(rest.p, '?', rest.n) != NULL || memchr(rest.p, '#', rest.n) != NULL)
		return "it has a query or a fragment";
	if (memchr(rest.p, '@', rest.n) != NULL)
		return "it has a user";
	if (!take_host(&rest, host))
		return "its host is none as a browser sends it (in ASCII, IPv6 in brackets)";
	if (!read_port(rest, &port))
		return "its port is not from 1 to 65535";
	/* An app's pages may have the origin file:// */
	if (host[0] == '\0' && (port != 0 || port_of(scheme) != 0))
		return "it has no host";
	if (port == 0 || port == port_of(scheme))
		(void)snprintf(out, DW_HTTP_ORIGIN_SIZE, "%s://%s", scheme, host);
	else
		(void)snprintf(out, DW_HTTP_ORIGIN_SIZE, "%s://%s:%u", scheme, host, port);
	return NULL;
}

bool
dw_http_origin_normalize(struct dw_str text, char out[DW_HTTP_ORIGIN_SIZE])
{
	return read_origin(text, out) == NULL;
}

static bool
is_listed(const struct dw_opt_list *list, size_t count, const char *origin)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list->item[i], origin) == 0)
			return true;
	return false;
}

int
dw_http_origins_prepare(
	struct dw_opt_list *list, char texts[DW_OPT_LIST_MAX][DW_HTTP_ORIGIN_SIZE], struct dw_fault *fault)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		const char *text = list->item[i];
		const char *wrong = NULL;

		if (strcmp(text, "*") != 0) {
			wrong = read_origin(dw_str(text), texts[kept]);
			text = texts[kept];
		}
		if (wrong != NULL)
			return dw_fault_set(fault, DW_E_CONFIG, "--origin", "SCHEME://HOST or SCHEME://HOST:PORT, or '*'",
				"option '--origin': '%s' is no origin: %s", list->item[i], wrong);
		if (!is_listed(list, kept, text))
			list->item[kept++] = text;
	}
	list->count = kept;
	return DW_OK;
}

/* Whether a page of this origin would be served by the host, if the request went where the page came from. */
static bool
is_same(const char *origin, struct dw_str host)
{
	const struct dw_str scheme = { origin, (size_t)(strstr(origin, "://") - origin) };
	char name[SCHEME_MAX + 1], text[DW_HTTP_ORIGIN_SIZE], same[DW_HTTP_ORIGIN_SIZE];

	if (!dw_str_copy(scheme, name, sizeof(name)) || port_of(name) == 0 || host.n > HOST_MAX + strlen(":65535"))
		return false;
	(void)snprintf(text, sizeof(text), "%s://%.*s", name, (int)host.n, host.n > 0 ? host.p : "");
	return dw_http_origin_normalize(dw_str(text), same) && strcmp(origin, same) == 0;
}

bool
dw_http_origin_allowed(const struct dw_opt_list *list, struct dw_str origin, struct dw_str host)
{
	char text[DW_HTTP_ORIGIN_SIZE];

	if (is_listed(list, list->count, "*"))
		return true;
	return dw_http_origin_normalize(origin, text) && (is_listed(list, list->count, text) || is_same(text, host));
}
