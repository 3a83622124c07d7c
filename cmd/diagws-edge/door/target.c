/* A target's bytes: see target.h. Its own file because a URL is one grammar, and a head's fields are another. Pure, and
 * linear in what is read.
 */
#include "target.h"

#include <string.h>
#include <strings.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The target's path and query: bytes that a URL has, escapes that are whole. */
static enum head_fault
check_bytes(struct dw_str target, size_t path)
{
	size_t arguments = 0;

	for (size_t i = 0; i < target.n; i++) {
		const unsigned char c = (unsigned char)target.p[i];
		int high, low;

		if (c <= ' ' || c >= 0x7f || c == '#')
			return HEAD_TARGET;
		arguments += i >= path && (c == '?' || c == '&');
		if (arguments > LIMIT_ARGUMENTS)
			return HEAD_ARGUMENTS;
		if (c != '%')
			continue;
		high = i + 2 < target.n ? hex_digit(target.p[i + 1]) : -1;
		low = i + 2 < target.n ? hex_digit(target.p[i + 2]) : -1;
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return HEAD_ESCAPE;
		if (i < path && (high << 4 | low) != 0 && strchr("/\\", high << 4 | low) != NULL)
			return HEAD_PATH;
	}
	return HEAD_OK;
}

/* A segment of '.' or '..', also as %2e. */
static bool
has_dots(struct dw_str path)
{
	size_t dots = 0, others = 1; /* others: of the segment; before the first '/' there is none */

	for (size_t i = 0; i <= path.n; i++) {
		if (i == path.n || path.p[i] == '/') {
			if (others == 0 && (dots == 1 || dots == 2))
				return true;
			dots = others = 0;
		} else if (path.p[i] == '.') {
			dots++;
		} else if (path.n - i >= 3 && strncasecmp(path.p + i, "%2e", 3) == 0) {
			dots++;
			i += 2;
		} else {
			others++;
		}
	}
	return false;
}

/* Decodes a value; what does not fit is cut. */
static void
decode(struct dw_str value, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < value.n && n + 1 < size; i++) {
		const int high = i + 2 < value.n ? hex_digit(value.p[i + 1]) : -1;
		const int low = i + 2 < value.n ? hex_digit(value.p[i + 2]) : -1;

		out[n] = value.p[i];
		if (value.p[i] == '+')
			out[n] = ' ';
		if (value.p[i] == '%' && high >= 0 && low >= 0) {
			out[n] = (char)(unsigned char)((unsigned)high << 4 | (unsigned)low);
			i += 2;
		}
		n++;
	}
	out[n] = '\0';
}

const char *
target_argument(const struct head *head, const char *name, char *out, size_t size)
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

enum head_fault
target_check(struct dw_str target, struct dw_str path)
{
	const enum head_fault fault = check_bytes(target, path.n);

	return fault == HEAD_OK && has_dots(path) ? HEAD_PATH : fault;
}
