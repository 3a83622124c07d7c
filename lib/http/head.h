/* The head of an HTTP request, read strictly: what is not exactly as RFC 9112 has it is refused, so that no proxy in
 * front and nobody behind can read it otherwise. Pure: bytes in, slices of them out.
 */
#ifndef DIAGWS_HTTP_HEAD_H
#define DIAGWS_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	DW_HTTP_URL_MAX = 8 * 1024,
	DW_HTTP_HEADERS_MAX = 16 * 1024,
	DW_HTTP_FIELDS_MAX = 100,
	DW_HTTP_ARGUMENTS_MAX = 32
};
/* No token (4 KiB), and no media type, origin or method that we know, is longer. */
enum { DW_HTTP_AUTHORIZATION_MAX = 4096 + 16, DW_HTTP_VALUE_MAX = 512 };

/* X(name, status, code, what is wrong and what is allowed) */
#define DW_HTTP_FAULTS(X)                                                                                              \
	X(DW_HEAD_LINE, 400, "bad_request", "each line of a request ends with CR LF, and has no other control characters") \
	X(DW_HEAD_START, 400, "bad_request", "the first line must be METHOD, a space, the target, a space, HTTP/1.1")      \
	X(DW_HEAD_TARGET, 400, "bad_request", "the target must be a path, or http:// or https:// with a host and a path")  \
	X(DW_HEAD_ESCAPE, 400, "bad_request", "in the URL % takes two hexadecimal digits, and %00 is nothing")             \
	X(DW_HEAD_ARGUMENTS, 400, "bad_request", "the URL may have 32 arguments")                                          \
	X(DW_HEAD_PATH, 400, "bad_request",                                                                                \
		"the path may have no %2f, no %5c and no dot segment: it is taken as it is sent")                              \
	X(DW_HEAD_FIELD, 400, "bad_request",                                                                               \
		"each header must be a name, ':' right behind it, and a value on the same line")                               \
	X(DW_HEAD_TWICE, 400, "bad_request", "a header came twice that may come once")                                     \
	X(DW_HEAD_HOST, 400, "bad_request", "there must be one Host, with a host's name or address and maybe a port")      \
	X(DW_HEAD_LENGTH, 400, "bad_length", "there may be one Content-Length, a decimal number")                          \
	X(DW_HEAD_FRAMING, 400, "bad_length", "Transfer-Encoding goes with HTTP/1.1 alone, and without a Content-Length")  \
	X(DW_HEAD_CHUNK, 400, "bad_request", "the chunked body is malformed")                                              \
	X(DW_HEAD_CODING, 501, "unsupported", "the one Transfer-Encoding that is understood is 'chunked'")                 \
	X(DW_HEAD_EXPECT, 417, "unsupported", "the one Expect that is understood is '100-continue'")                       \
	X(DW_HEAD_VERSION, 505, "unsupported", "the HTTP version must be 1.1 or 1.0")                                      \
	X(DW_HEAD_URL_SIZE, 414, "uri_too_long", "the URL may have 8192 bytes")                                            \
	X(DW_HEAD_SIZE, 431, "headers_too_large", "the headers may have 16384 bytes")                                      \
	X(DW_HEAD_COUNT, 431, "headers_too_large", "there may be 100 headers")                                             \
	X(DW_HEAD_BODY, 413, "too_large", "a body may have 262144 bytes")                                                  \
	X(DW_HEAD_UPGRADE, 400, "bad_upgrade",                                                                             \
		"an upgrade needs HTTP/1.1, 'Connection: Upgrade', a Sec-WebSocket-Key of 16 bytes in base64, and no body")    \
	X(DW_HEAD_UPGRADE_VERSION, 426, "upgrade_required", "the Sec-WebSocket-Version must be 13")                        \
	X(DW_HEAD_SUBPROTOCOL, 400, "bad_upgrade",                                                                         \
		"the subprotocol, where there is one, must be 'diagws', maybe a token behind")                                 \
	X(DW_HEAD_EAGER, 400, "bad_upgrade",                                                                               \
		"nothing may follow an upgrade on a connection that is reused, before its answer")                             \
	X(DW_HEAD_NOWHERE, 404, "not_found", "WebSockets are at /ws/{diagnosis_id}")                                       \
	X(DW_HEAD_ORIGIN, 403, "origin", "this Origin is not on the list of --origin")

enum dw_http_fault {
	DW_HEAD_OK,
#define X(name, status, code, message) name,
	DW_HTTP_FAULTS(X)
#undef X
};

struct dw_http_refusal {
	int status;
	const char *code, *message;
};

/* Slices of what was parsed. What is not there has n 0. */
struct dw_http_head {
	struct dw_str method;
	struct dw_str target; /* beginning with '/', or "*" */
	struct dw_str path;   /* as sent: nothing is decoded */
	struct dw_str host, authorization, origin, content_type, asked_method, if_none_match, key, subprotocols;
	uint64_t length; /* of the body, where it is not chunked */
	unsigned websocket_version;
	bool old; /* HTTP/1.0 */
	bool has_host, has_authorization, has_origin, has_subprotocols, has_length;
	bool chunked, continues /* Expect: 100-continue */, encoded /* Content-Encoding */;
	bool closes, keeps, upgrades; /* Connection */
	bool websocket;               /* Upgrade */
};

const struct dw_http_refusal *dw_http_refusal(enum dw_http_fault fault);

/* Whether the head is whole: *end is its length then, and else 0. *scanned keeps how far was looked (begin with 0).
 * A fault: it cannot become right any more, by its sizes or its line ends. */
enum dw_http_fault dw_http_head_end(const char *bytes, size_t n, size_t *scanned, size_t *end);
/* Parses a whole head of n bytes. On a fault method and path are as far as they were read. */
enum dw_http_fault dw_http_head_parse(const char *bytes, size_t n, struct dw_http_head *out);
/* Whether a line is a name, ':' and a value. */
bool dw_http_head_is_field(struct dw_str line);
/* Appends "name: value" and the line's end. */
void dw_http_head_write(struct dw_buf *out, const char *name, struct dw_str value);
/* One element of a comma-separated list at a time, without the white space around it; false: there are no more. */
bool dw_http_head_next(struct dw_str *list, struct dw_str *element);

/* What is behind "Bearer "; p NULL: it is of another kind. */
struct dw_str dw_http_bearer(struct dw_str authorization);
/* The byte that the escape at i stands for: `sign` ('%'), and two hexadecimal digits; -1: there is none. */
int dw_http_escape(struct dw_str text, size_t i, char sign);

/* Whether a request asks for another protocol, and *fault: DW_HEAD_OK, or why it cannot be; origins: of --origin. Pure.
 */
struct dw_opt_list;
typedef bool dw_http_asks_upgrade(
	const struct dw_http_head *head, const struct dw_opt_list *origins, enum dw_http_fault *fault);

/* The value of the first argument of this name in the query, decoded into out; NULL: there is none. One that does not
 * fit in is cut. */
const char *dw_http_target_argument(const struct dw_http_head *head, const char *name, char *out, size_t size);

#endif
