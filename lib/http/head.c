/* Reading a request's head, and the URL in it: see head.h. Everything that comes to a program's door is read here.
 *
 * Happy path: dw_http_head_end, as more comes, until it is whole → dw_http_head_parse. Failure modes: whatever is not
 * right, by name. Invariants: linear in what is read; nothing outside of the given bytes is looked at, nothing is kept.
 */
#include "head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { START_LINE = DW_HTTP_URL_MAX + 48 }; /* a method and a version of some bytes beside the URL */

static const struct dw_http_refusal refusals[] = { [DW_HEAD_OK] = { 200, "ok", "ok" },
#define X(name, status, code, message) [name] = { status, code, message },
	DW_HTTP_FAULTS(X)
#undef X
};

const struct dw_http_refusal *
dw_http_refusal(enum dw_http_fault fault)
{
	return &refusals[fault];
}

static bool
is_token(char c)
{
	return isalnum((unsigned char)c) != 0 || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool
all_tokens(struct dw_str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_token(text.p[i]))
			return false;
	return text.n > 0;
}

static bool
equals(struct dw_str text, const char *name)
{
	return text.n == strlen(name) && strncasecmp(text.p, name, text.n) == 0;
}

static struct dw_str
trim(struct dw_str text)
{
	while (text.n > 0 && is_space(text.p[0])) {
		text.p++;
		text.n--;
	}
	while (text.n > 0 && is_space(text.p[text.n - 1]))
		text.n--;
	return text;
}

void
dw_http_head_write(struct dw_buf *out, const char *name, struct dw_str value)
{
	dw_buf_adds(out, name);
	dw_buf_adds(out, ": ");
	dw_buf_add(out, value.p, value.n);
	dw_buf_adds(out, "\r\n");
}

bool
dw_http_head_next(struct dw_str *list, struct dw_str *element)
{
	while (list->n > 0) {
		const char *comma = memchr(list->p, ',', list->n);
		const size_t n = comma != NULL ? (size_t)(comma - list->p) : list->n, used = comma != NULL ? n + 1 : n;

		*element = trim((struct dw_str) { list->p, n });
		list->p += used;
		list->n -= used;
		if (element->n > 0)
			return true;
	}
	return false;
}

enum dw_http_fault
dw_http_head_end(const char *bytes, size_t n, size_t *scanned, size_t *end)
{
	const char *first = memchr(bytes, '\n', n);
	const size_t line = first != NULL ? (size_t)(first - bytes) + 1 : n;

	*end = 0;
	if (n > 0 && !is_token(bytes[0]))
		return DW_HEAD_START;
	if (line > START_LINE)
		return DW_HEAD_URL_SIZE;
	for (size_t i = *scanned; i < n; i++) {
		if (i >= line + DW_HTTP_HEADERS_MAX)
			return DW_HEAD_SIZE;
		if (bytes[i] != '\n')
			continue;
		if (bytes[i - 1] != '\r')
			return DW_HEAD_LINE;
		if (i >= 3 && bytes[i - 2] == '\n') {
			*end = i + 1;
			break;
		}
	}
	*scanned = n;
	return DW_HEAD_OK;
}

/* host, host:port, [address]:port. */
static bool
host_ok(struct dw_str host)
{
	static const char digits[] = "0123456789", address[] = "0123456789abcdefABCDEF:.";
	static const char name[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!$%&'*+-._~";
	char text[262]; /* a name of 255 and a port */
	const char *at = text;

	if (!dw_str_copy(host, text, sizeof(text)))
		return false;
	if (text[0] == '[') {
		at += 1 + strspn(text + 1, address);
		if (at - text < 3 || *at++ != ']')
			return false;
	} else {
		at += strspn(text, name);
	}
	return at > text && (*at == '\0' || (*at == ':' && at[1 + strspn(at + 1, digits)] == '\0'));
}

static int
hex_digit(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

int
dw_http_escape(struct dw_str text, size_t i, char sign)
{
	const char *at = text.p + i;

	if (at[0] != sign || text.n - i < 3 || isxdigit((unsigned char)at[1]) == 0 || isxdigit((unsigned char)at[2]) == 0)
		return -1;
	return hex_digit(at[1]) << 4 | hex_digit(at[2]);
}

/* The target's path and query: bytes that a URL has, escapes that are whole. */
static enum dw_http_fault
check_bytes(struct dw_str target, size_t path)
{
	size_t arguments = 0;

	for (size_t i = 0; i < target.n; i++) {
		const unsigned char c = (unsigned char)target.p[i];
		int escaped;

		if (c <= ' ' || c >= 0x7f || c == '#')
			return DW_HEAD_TARGET;
		arguments += i >= path && (c == '?' || c == '&');
		if (arguments > DW_HTTP_ARGUMENTS_MAX)
			return DW_HEAD_ARGUMENTS;
		if (c != '%')
			continue;
		escaped = dw_http_escape(target, i, '%');
		if (escaped <= 0)
			return DW_HEAD_ESCAPE;
		if (i < path && (escaped == '/' || escaped == '\\'))
			return DW_HEAD_PATH;
	}
	return DW_HEAD_OK;
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
		} else if (dw_http_escape(path, i, '%') == '.') {
			dots++;
			i += 2;
		} else {
			others++;
		}
	}
	return false;
}

/* An absolute target is cut to its path, and names the host. */
static enum dw_http_fault
take_target(struct dw_http_head *head, struct dw_str target)
{
	static const char *const schemes[] = { "http://", "https://" };
	const char *slash, *query;
	enum dw_http_fault fault;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		const size_t n = strlen(schemes[i]);

		if (target.n <= n || strncasecmp(target.p, schemes[i], n) != 0)
			continue;
		slash = memchr(target.p + n, '/', target.n - n);
		if (slash == NULL)
			return DW_HEAD_TARGET;
		head->host = (struct dw_str) { target.p + n, (size_t)(slash - target.p) - n };
		target = (struct dw_str) { slash, target.n - n - head->host.n };
		if (!host_ok(head->host))
			return DW_HEAD_HOST;
		break;
	}
	if (dw_str_is(target, "*") && dw_str_is(head->method, "OPTIONS")) {
		head->target = head->path = target;
		return DW_HEAD_OK;
	}
	if (target.n == 0 || target.p[0] != '/')
		return DW_HEAD_TARGET;
	query = memchr(target.p, '?', target.n);
	head->target = target;
	head->path = (struct dw_str) { target.p, query != NULL ? (size_t)(query - target.p) : target.n };
	fault = check_bytes(target, head->path.n);
	return fault == DW_HEAD_OK && has_dots(head->path) ? DW_HEAD_PATH : fault;
}

/* METHOD target HTTP/1.x, without its line end. */
static enum dw_http_fault
take_start(struct dw_http_head *head, struct dw_str line)
{
	const char *space = memchr(line.p, ' ', line.n), *last = memrchr(line.p, ' ', line.n);
	struct dw_str target, version;

	if (space == NULL || last == space)
		return DW_HEAD_START;
	head->method = (struct dw_str) { line.p, (size_t)(space - line.p) };
	target = (struct dw_str) { space + 1, (size_t)(last - space) - 1 };
	version = (struct dw_str) { last + 1, line.n - (size_t)(last - line.p) - 1 };
	if (!all_tokens(head->method) || head->method.n > 32)
		return DW_HEAD_START;
	if (version.n != 8 || strncmp(version.p, "HTTP/", 5) != 0 || version.p[6] != '.')
		return DW_HEAD_START;
	head->old = dw_str_is(version, "HTTP/1.0");
	if (!head->old && !dw_str_is(version, "HTTP/1.1"))
		return DW_HEAD_VERSION;
	return target.n > DW_HTTP_URL_MAX ? DW_HEAD_URL_SIZE : take_target(head, target);
}

static enum dw_http_fault
take_length(struct dw_http_head *head, struct dw_str value)
{
	if (head->has_length || value.n == 0 || value.n > 19)
		return DW_HEAD_LENGTH;
	head->has_length = true;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return DW_HEAD_LENGTH;
		head->length = head->length * 10 + (uint64_t)(value.p[i] - '0');
	}
	return DW_HEAD_OK;
}

static enum dw_http_fault
take_coding(struct dw_http_head *head, struct dw_str value)
{
	if (head->chunked)
		return DW_HEAD_TWICE;
	head->chunked = true;
	return equals(value, "chunked") ? DW_HEAD_OK : DW_HEAD_CODING;
}

static enum dw_http_fault
take_connection(struct dw_http_head *head, struct dw_str value)
{
	struct dw_str option;

	while (dw_http_head_next(&value, &option)) {
		head->closes |= equals(option, "close");
		head->keeps |= equals(option, "keep-alive");
		head->upgrades |= equals(option, "upgrade");
	}
	return DW_HEAD_OK;
}

static enum dw_http_fault
take_upgrade(struct dw_http_head *head, struct dw_str value)
{
	struct dw_str protocol;

	while (dw_http_head_next(&value, &protocol))
		head->websocket |= equals(protocol, "websocket");
	return DW_HEAD_OK;
}

static enum dw_http_fault
take_expect(struct dw_http_head *head, struct dw_str value)
{
	if (head->continues)
		return DW_HEAD_TWICE;
	head->continues = equals(value, "100-continue");
	return head->continues ? DW_HEAD_OK : DW_HEAD_EXPECT;
}

static enum dw_http_fault
take_encoding(struct dw_http_head *head, struct dw_str value)
{
	head->encoded |= value.n > 0 && !equals(value, "identity");
	return DW_HEAD_OK;
}

static enum dw_http_fault
take_host(struct dw_http_head *head, struct dw_str value)
{
	if (head->has_host || !host_ok(value))
		return DW_HEAD_HOST;
	head->has_host = true;
	if (head->host.n == 0) /* an absolute target has said it */
		head->host = value;
	return DW_HEAD_OK;
}

static enum dw_http_fault
take_websocket_version(struct dw_http_head *head, struct dw_str value)
{
	if (head->websocket_version != 0)
		return DW_HEAD_TWICE;
	head->websocket_version = dw_str_is(value, "13") ? 13 : 1;
	return DW_HEAD_OK;
}

/* A list; of more than one line the first is kept, for whoever has it may be sent everything again. */
static enum dw_http_fault
take_if_none_match(struct dw_http_head *head, struct dw_str value)
{
	if (head->if_none_match.p == NULL)
		head->if_none_match = value;
	return DW_HEAD_OK;
}

static const struct {
	const char *name;
	enum dw_http_fault (*take)(struct dw_http_head *head, struct dw_str value);
	size_t kept; /* where it is kept, where take is NULL; such a one may come once */
} fields[] = {
	{ "host", take_host, 0 },
	{ "authorization", NULL, offsetof(struct dw_http_head, authorization) },
	{ "origin", NULL, offsetof(struct dw_http_head, origin) },
	{ "content-type", NULL, offsetof(struct dw_http_head, content_type) },
	{ "access-control-request-method", NULL, offsetof(struct dw_http_head, asked_method) },
	{ "sec-websocket-key", NULL, offsetof(struct dw_http_head, key) },
	{ "sec-websocket-protocol", NULL, offsetof(struct dw_http_head, subprotocols) },
	{ "sec-websocket-version", take_websocket_version, 0 },
	{ "expect", take_expect, 0 },
	{ "content-length", take_length, 0 },
	{ "transfer-encoding", take_coding, 0 },
	{ "content-encoding", take_encoding, 0 },
	{ "connection", take_connection, 0 },
	{ "upgrade", take_upgrade, 0 },
	{ "if-none-match", take_if_none_match, 0 },
};

bool
dw_http_head_is_field(struct dw_str line)
{
	const char *colon = memchr(line.p, ':', line.n);

	return colon != NULL && all_tokens((struct dw_str) { line.p, (size_t)(colon - line.p) });
}

/* name ':' value */
static enum dw_http_fault
take_field(struct dw_http_head *head, struct dw_str line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct dw_str name, value, *kept;

	if (!dw_http_head_is_field(line))
		return DW_HEAD_FIELD;
	name = (struct dw_str) { line.p, (size_t)(colon - line.p) };
	value = trim((struct dw_str) { colon + 1, line.n - name.n - 1 });
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!equals(name, fields[i].name))
			continue;
		if (fields[i].take != NULL)
			return fields[i].take(head, value);
		kept = (struct dw_str *)(void *)((char *)head + fields[i].kept);
		if (kept->p != NULL)
			return DW_HEAD_TWICE;
		*kept = value;
		break;
	}
	return DW_HEAD_OK;
}

/* The line at *at, without its CR LF; *at is behind it then. A bare CR or another control character is a fault. */
static enum dw_http_fault
next_line(const char *bytes, size_t n, size_t *at, struct dw_str *line)
{
	size_t i = *at;

	for (; i < n && bytes[i] != '\r'; i++)
		if (((unsigned char)bytes[i] < ' ' && bytes[i] != '\t') || bytes[i] == 0x7f)
			return DW_HEAD_LINE;
	if (n - i < 2 || bytes[i + 1] != '\n')
		return DW_HEAD_LINE;
	*line = (struct dw_str) { bytes + *at, i - *at };
	*at = i + 2;
	return DW_HEAD_OK;
}

/* What is wrong with the head as a whole. */
static enum dw_http_fault
judge(struct dw_http_head *head)
{
	head->has_authorization = head->authorization.p != NULL;
	head->has_origin = head->origin.p != NULL;
	head->has_subprotocols = head->subprotocols.p != NULL;
	if (head->host.n == 0 && !head->old)
		return DW_HEAD_HOST;
	if (head->chunked && (head->old || head->has_length))
		return DW_HEAD_FRAMING;
	return DW_HEAD_OK;
}

enum dw_http_fault
dw_http_head_parse(const char *bytes, size_t n, struct dw_http_head *head)
{
	enum dw_http_fault fault;
	struct dw_str line;
	size_t at = 0;

	*head = (struct dw_http_head) { 0 };
	fault = next_line(bytes, n, &at, &line);
	if (fault == DW_HEAD_OK)
		fault = take_start(head, line);
	for (size_t count = 0; fault == DW_HEAD_OK; count++) {
		fault = next_line(bytes, n, &at, &line);
		if (fault != DW_HEAD_OK)
			break;
		if (line.n == 0)
			return at == n ? judge(head) : DW_HEAD_LINE;
		fault = count < DW_HTTP_FIELDS_MAX ? take_field(head, line) : DW_HEAD_COUNT;
	}
	return fault;
}
