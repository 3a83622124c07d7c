/* What a head says beside its framing: its token, and the arguments of its URL. See head.h.
 * Its own file because nothing of it decides where a request ends. Pure.
 */
#include "head.h"

#include <string.h>
#include <strings.h>

/* Decodes a value; what does not fit is cut. */
static void
decode(struct dw_str value, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < value.n && n + 1 < size; i++) {
		const int escaped = dw_http_escape(value, i, '%');

		out[n] = value.p[i];
		if (value.p[i] == '+')
			out[n] = ' ';
		if (escaped >= 0) {
			out[n] = (char)(unsigned char)escaped;
			i += 2;
		}
		n++;
	}
	out[n] = '\0';
}

struct dw_str
dw_http_bearer(struct dw_str authorization)
{
	static const char bearer[] = "Bearer ";
	const size_t n = sizeof(bearer) - 1;

	if (authorization.n < n || strncasecmp(authorization.p, bearer, n) != 0)
		return (struct dw_str) { NULL, 0 };
	return (struct dw_str) { authorization.p + n, authorization.n - n };
}

const char *
dw_http_target_argument(const struct dw_http_head *head, const char *name, char *out, size_t size)
{
	const char *p = head->target.p + head->path.n, *end = head->target.p + head->target.n;
	const size_t length = strlen(name);

	while (p < end) { /* at the '?', or an '&' */
		const char *next = memchr(p + 1, '&', (size_t)(end - p - 1));
		const struct dw_str part = { p + 1, (size_t)((next != NULL ? next : end) - p - 1) };

		if (part.n > length && memcmp(part.p, name, length) == 0 && part.p[length] == '=') {
			decode((struct dw_str) { part.p + length + 1, part.n - length - 1 }, out, size);
			return out;
		}
		p = next != NULL ? next : end;
	}
	return NULL;
}
