/* HTTP requests as libmicrohttpd reports them, and answering them. What the answers say is api.c's.
 *
 * Life: http_handle (the head is there: everything that can be refused without the body is, or will be when the token
 * has been checked; until then no more is read) → its body → api_take → http_answer, now or later → http_completed. The
 * body has a bound and a deadline of its own, and so has taking the answer. A body that is refused is read and thrown
 * away as far as politeness goes, for many clients read nothing before they have written all.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <microhttpd.h>

#include "base/buf.h"
#include "base/wheel.h"
#include "door/head.h"
#include "message/msg.h"
#include "token/auth.h"

struct edge;
struct http_client;
struct route;
struct user;
struct waiter;

enum answer_status {
	DW_HTTP_OK = 200,
	DW_HTTP_NO_CONTENT = 204,
	DW_HTTP_BAD_REQUEST = 400,
	DW_HTTP_UNAUTHORIZED = 401,
	DW_HTTP_FORBIDDEN = 403,
	DW_HTTP_NOT_FOUND = 404,
	DW_HTTP_METHOD = 405,
	DW_HTTP_TIMEOUT = 408,
	DW_HTTP_TOO_LARGE = 413,
	DW_HTTP_MEDIA_TYPE = 415,
	DW_HTTP_UNPROCESSABLE = 422,
	DW_HTTP_UPGRADE = 426,
	DW_HTTP_TOO_MANY = 429,
	DW_HTTP_INTERNAL = 500,
	DW_HTTP_UNAVAILABLE = 503,
	DW_HTTP_UNDELIVERED = 504,
};

enum request_state {
	REQUEST_BODY,     /* it is being read */
	REQUEST_CHECKING, /* its token is, and nothing is read */
	REQUEST_CHECKED,
	REQUEST_TAKEN,
	REQUEST_REFUSED,  /* its answer is there, and waits for the end of the body */
	REQUEST_ANSWERED, /* its answer may be written, */
	REQUEST_WRITING,  /* is being written */
	REQUEST_DEAD      /* it will get none: its client is gone, or too slow */
};

struct request {
	struct edge *edge;
	struct http_client *client;
	struct MHD_Connection *connection;
	const struct route *route; /* NULL: OPTIONS asks what there is */
	struct dw_wheel_timer timer;
	uint64_t begun_at;
	enum request_state state;
	bool suspended;
	bool head_done; /* its head has been looked at */
	bool close;     /* the connection ends after the answer */
	bool has_token;
	bool denied;         /* 403 is due */
	bool heads;          /* its answer has no body */
	bool body_due;       /* a body is still to come */
	struct check *check; /* of its token, while that is under way */
	struct dw_claims claims;
	char last[DW_ROOM_MAX + 1]; /* the path's last part; "" when it is longer */
	struct waiter *waiter;      /* api.c: while it waits at the hub */
	struct dw_buf body;
	enum answer_status status;
	struct dw_buf answer;
	size_t size;        /* of the answer that is being written */
	size_t counted;     /* bytes of body and answer, */
	struct user *user;  /* and with whom they count; NULL: too few to count */
	const char *allow;  /* for 405, and for OPTIONS */
	const char *origin; /* of a browser's page that may read the answer; NULL: none */
	uint64_t taken;     /* what the client's kernel had taken when that was last looked at */
	uint64_t corr;      /* of what the hub was asked; 0: nothing */
	void *context;      /* of who takes it; freed by */
	void (*forget)(struct request *request);
};

/* libmicrohttpd's callbacks. */
enum MHD_Result http_handle(void *user, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *bytes, size_t *n, void **context);
void http_completed(
	void *user, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code);
/* It ends without an answer, and its connection with it. */
void http_kill(struct request *request);

/* A header of the canonical head (reader.h), or NULL. */
const char *http_header(const struct request *request, const char *name);
/* http_handle is called again, in this turn, where it was suspended. */
void http_resume(struct request *request);
/* The first argument of the URL of this name; one that does not fit is cut to what no grammar allows, so that it is
 * refused and never mistaken. false: it is not there. */
bool http_argument(const struct request *request, const char *name, char *out, size_t size);
const char *http_argument_text(const struct request *request, const char *name); /* or NULL */
/* Its refusal waits for the end of its body no longer. */
void http_hurry(struct request *request);
/* Answers with what is in request->answer (JSON). */
void http_answer(struct request *request, enum answer_status status);
/* {"success":false,"error":{"code","message","field"},"detail"}; field may be NULL. */
void http_error(
	struct request *request, enum answer_status status, const char *code, const char *message, const char *field);

#endif
