/* The head of an HTTP request, read strictly: what is not exactly as RFC 9112 has it is refused, so that no proxy in
 * front and nobody behind can read it otherwise. Pure: bytes in, slices of them out.
 */
#ifndef HEAD_H
#define HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { LIMIT_URL = 8 * 1024, LIMIT_HEADERS = 16 * 1024, LIMIT_FIELDS = 100, LIMIT_ARGUMENTS = 32 };
/* No token (4 KiB), and no media type, origin or method that we know, is longer. */
enum { LIMIT_AUTHORIZATION = 4096 + 16, LIMIT_VALUE = 512 };

/* X(name, status, code, what is wrong and what is allowed) */
#define HEAD_FAULTS(X)                                                                                                 \
	X(HEAD_LINE, 400, "bad_request", "each line of a request ends with CR LF, and has no other control characters")    \
	X(HEAD_START, 400, "bad_request", "the first line must be METHOD, a space, the target, a space, HTTP/1.1")         \
	X(HEAD_TARGET, 400, "bad_request", "the target must be a path, or http:// or https:// with a host and a path")     \
	X(HEAD_ESCAPE, 400, "bad_request", "in the URL % takes two hexadecimal digits, and %00 is nothing")                \
	X(HEAD_ARGUMENTS, 400, "bad_request", "the URL may have 32 arguments")                                             \
	X(HEAD_PATH, 400, "bad_request", "the path may have no %2f, no %5c and no dot segment: it is taken as it is sent") \
	X(HEAD_FIELD, 400, "bad_request", "each header must be a name, ':' right behind it, and a value on the same line") \
	X(HEAD_TWICE, 400, "bad_request", "a header came twice that may come once")                                        \
	X(HEAD_HOST, 400, "bad_request", "there must be one Host, with a host's name or address and maybe a port")         \
	X(HEAD_LENGTH, 400, "bad_length", "there may be one Content-Length, a decimal number")                             \
	X(HEAD_FRAMING, 400, "bad_length", "Transfer-Encoding goes with HTTP/1.1 alone, and without a Content-Length")     \
	X(HEAD_CHUNK, 400, "bad_request", "the chunked body is malformed")                                                 \
	X(HEAD_CODING, 501, "unsupported", "the one Transfer-Encoding that is understood is 'chunked'")                    \
	X(HEAD_EXPECT, 417, "unsupported", "the one Expect that is understood is '100-continue'")                          \
	X(HEAD_VERSION, 505, "unsupported", "the HTTP version must be 1.1 or 1.0")                                         \
	X(HEAD_URL_SIZE, 414, "uri_too_long", "the URL may have 8192 bytes")                                               \
	X(HEAD_SIZE, 431, "headers_too_large", "the headers may have 16384 bytes")                                         \
	X(HEAD_COUNT, 431, "headers_too_large", "there may be 100 headers")                                                \
	X(HEAD_BODY, 413, "too_large", "a body may have 262144 bytes")                                                     \
	X(HEAD_UPGRADE, 400, "bad_upgrade",                                                                                \
		"an upgrade needs HTTP/1.1, 'Connection: Upgrade', a Sec-WebSocket-Key of 16 bytes in base64, and no body")    \
	X(HEAD_UPGRADE_VERSION, 426, "upgrade_required", "the Sec-WebSocket-Version must be 13")                           \
	X(HEAD_SUBPROTOCOL, 400, "bad_upgrade",                                                                            \
		"the subprotocol, where there is one, must be 'diagws', maybe a token behind")                                 \
	X(HEAD_EAGER, 400, "bad_upgrade",                                                                                  \
		"nothing may follow an upgrade on a connection that is reused, before its answer")                             \
	X(HEAD_NOWHERE, 404, "not_found", "WebSockets are at /ws/{diagnosis_id}")                                          \
	X(HEAD_ORIGIN, 403, "origin", "this Origin is not on the list of --origin")

enum head_fault {
	HEAD_OK,
#define X(name, status, code, message) name,
	HEAD_FAULTS(X)
#undef X
};

struct head_refusal {
	int status;
	const char *code, *message;
};

/* Slices of what was parsed. What is not there has n 0. */
struct head {
	struct dw_str method;
	struct dw_str target; /* beginning with '/', or "*" */
	struct dw_str path;   /* as sent: nothing is decoded */
	struct dw_str host, authorization, origin, content_type, asked_method, key, subprotocols;
	uint64_t length; /* of the body, where it is not chunked */
	unsigned websocket_version;
	bool old; /* HTTP/1.0 */
	bool has_host, has_authorization, has_origin, has_subprotocols, has_length;
	bool chunked, continues /* Expect: 100-continue */, encoded /* Content-Encoding */;
	bool closes, keeps, upgrades; /* Connection */
	bool websocket;               /* Upgrade */
};

const struct head_refusal *head_refusal(enum head_fault fault);

/* Whether the head is whole: *end is its length then, and else 0. *scanned keeps how far was looked (begin with 0).
 * A fault: it cannot become right any more, by its sizes or its line ends. */
enum head_fault head_end(const char *bytes, size_t n, size_t *scanned, size_t *end);
/* Parses a whole head of n bytes. On a fault method and path are as far as they were read. */
enum head_fault head_parse(const char *bytes, size_t n, struct head *out);
/* Whether a line is a name, ':' and a value. */
bool head_is_field(struct dw_str line);
/* Appends "name: value" and the line's end. */
void head_write(struct dw_buf *out, const char *name, struct dw_str value);
/* One element of a comma-separated list at a time, without the white space around it; false: there are no more. */
bool head_next(struct dw_str *list, struct dw_str *element);

/* The value of the first argument of this name in the query, decoded into out; NULL: there is none. One that does not
 * fit in is cut. */
const char *target_argument(const struct head *head, const char *name, char *out, size_t size);

#endif
