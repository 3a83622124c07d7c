/* HTTP requests as libwebsockets reports them, and answering them. What the answers say is api.c's.
 *
 * Life: http_begin (headers are there: everything that can be refused without the body is, or will be when the token
 * has been checked; until then no more of the body is read) → http_body…
 * → http_complete → api_take → http_answer, now or later → http_end. The body has a bound and a
 * deadline of its own, and so has taking the answer, which is written in pieces as the socket takes them. After an
 * early refusal the rest of the body is read and thrown away for a moment, so that
 * the answer is not lost in a reset.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "diagws/auth.h"
#include "diagws/buf.h"
#include "diagws/msg.h"
#include "wheel.h"

struct edge;
struct lws;
struct route;
struct waiter;

enum answer_status {
	DW_HTTP_OK = 200,
	DW_HTTP_BAD_REQUEST = 400,
	DW_HTTP_UNAUTHORIZED = 401,
	DW_HTTP_FORBIDDEN = 403,
	DW_HTTP_NOT_FOUND = 404,
	DW_HTTP_METHOD = 405,
	DW_HTTP_TIMEOUT = 408,
	DW_HTTP_LENGTH_REQUIRED = 411,
	DW_HTTP_TOO_LARGE = 413,
	DW_HTTP_URI_TOO_LONG = 414,
	DW_HTTP_MEDIA_TYPE = 415,
	DW_HTTP_UNPROCESSABLE = 422,
	DW_HTTP_TOO_MANY = 429,
	DW_HTTP_HEADERS_TOO_LARGE = 431,
	DW_HTTP_INTERNAL = 500,
	DW_HTTP_NOT_IMPLEMENTED = 501,
	DW_HTTP_UNAVAILABLE = 503,
	DW_HTTP_UNDELIVERED = 504,
};

enum request_state { REQUEST_BODY, REQUEST_TAKEN, REQUEST_ANSWERED, REQUEST_WRITING, REQUEST_DRAINING };

struct request {
	struct edge *edge;
	struct lws *wsi;
	const struct route *route;
	struct wheel_timer timer;
	uint64_t begun_at;
	enum request_state state;
	bool close;     /* the connection ends after the answer */
	bool body_left; /* the client may still be sending */
	bool has_token;
	bool held;           /* nothing more is read */
	bool denied;         /* 403 is due */
	bool whole;          /* nothing more is to come */
	struct check *check; /* of its token, while that is under way */
	struct dw_claims claims;
	char last[DW_ROOM_MAX + 1];  /* the path's last part; "" when it is longer */
	char wait[32], deadline[32]; /* the arguments, kept until the body is there */
	struct waiter *waiter;       /* api.c: while it waits at the hub */
	size_t expected;             /* Content-Length */
	struct dw_buf body;
	enum answer_status status;
	struct dw_buf answer;
	size_t written;
	const char *allow; /* for 405 */
	uint64_t corr;     /* of what the hub was asked; 0: nothing */
	void *context;     /* of who takes it; freed by */
	void (*forget)(struct request *request);
};

int http_begin(struct edge *edge, struct lws *wsi, struct request **request);
int http_body(struct request *request, const void *bytes, size_t n);
int http_complete(struct request *request);
int http_writable(struct request **request);
void http_end(struct request **request);

/* An argument of the URL, as params_get; only while the request is being taken and has no body. */
bool http_argument(const struct request *request, const char *name, char *out, size_t size);
/* Answers with what is in request->answer (JSON). */
void http_answer(struct request *request, enum answer_status status);
/* {"success":false,"error":{"code","message","field"},"detail"}; field may be NULL. */
void http_error(
	struct request *request, enum answer_status status, const char *code, const char *message, const char *field);
/* The same for an upgrade that is refused; returns what the callback returns. */
int http_refuse(struct lws *wsi, enum answer_status status, const char *code, const char *message);

#endif
