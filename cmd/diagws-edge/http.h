/* HTTP requests as libwebsockets reports them, and answering them. What the answers say is api.c's.
 *
 * Life: http_begin (headers are there: everything that can be refused without the body is) → http_body…
 * → http_complete → api_take → http_answer, now or later → http_end. The body has a bound and a
 * deadline of its own. After an early refusal the rest of the body is read and thrown away for a moment, so that
 * the answer is not lost in a reset.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "diagws/auth.h"
#include "diagws/buf.h"
#include "wheel.h"

struct edge;
struct lws;
struct route;

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
};

enum request_state { REQUEST_BODY, REQUEST_TAKEN, REQUEST_ANSWERED, REQUEST_DRAINING };

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
	struct dw_claims claims;
	size_t expected; /* Content-Length */
	struct dw_buf body;
	enum answer_status status;
	struct dw_buf answer;
	const char *allow; /* for 405 */
	uint64_t corr;     /* of what the hub was asked; 0: nothing */
	void *context;     /* api.c's; freed by api_forget */
};

int http_begin(struct edge *edge, struct lws *wsi, struct request **request);
int http_body(struct request *request, const void *bytes, size_t n);
int http_complete(struct request *request);
int http_writable(struct request **request);
void http_end(struct request **request);

/* Answers with what is in request->answer (JSON). */
void http_answer(struct request *request, enum answer_status status);
/* {"success":false,"error":{"code","message","field"},"detail"}; field may be NULL. */
void http_error(
	struct request *request, enum answer_status status, const char *code, const char *message, const char *field);
/* The same for an upgrade that is refused; returns what the callback returns. */
int http_refuse(struct lws *wsi, enum answer_status status, const char *code, const char *message);

#endif
