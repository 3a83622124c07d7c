/* The path and the arguments of a request: see head.h. Its own file because a URL is one grammar, and a head's fields
 * are another. Pure, and linear in what is read.
 */
#include <ctype.h>
#include <string.h>

#include "door/head.h"

static int
hex_digit(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The byte that the escape at i stands for; -1: there is none. */
static int
read_escape(struct dw_str text, size_t i)
{
	const char *at = text.p + i;

	if (at[0] != '%' || text.n - i < 3 || isxdigit((unsigned char)at[1]) == 0 || isxdigit((unsigned char)at[2]) == 0)
		return -1;
	return hex_digit(at[1]) << 4 | hex_digit(at[2]);
}

/* The target's path and query: bytes that a URL has, escapes that are whole. */
static enum head_fault
check_bytes(struct dw_str target, size_t path)
{
	size_t arguments = 0;

	for (size_t i = 0; i < target.n; i++) {
		const unsigned char c = (unsigned char)target.p[i];
		int escaped;

		if (c <= ' ' || c >= 0x7f || c == '#')
			return HEAD_TARGET;
		arguments += i >= path && (c == '?' || c == '&');
		if (arguments > LIMIT_ARGUMENTS)
			return HEAD_ARGUMENTS;
		if (c != '%')
			continue;
		escaped = read_escape(target, i);
		if (escaped <= 0)
			return HEAD_ESCAPE;
		if (i < path && (escaped == '/' || escaped == '\\'))
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
		} else if (read_escape(path, i) == '.') {
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
		const int escaped = read_escape(value, i);

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
