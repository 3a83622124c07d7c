/* An HTTP request: what it says, and answering it. What the answers say is for who takes it (route.h).
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/wheel.h"
#include "door/head.h"
#include "message/msg.h"
#include "token/auth.h"

struct edge;
struct guest;
struct http_client;
struct route;
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
	bool heads;          /* its answer has no body */
	bool body_due;       /* a body is still to come */
	struct check *check; /* of its token, while that is under way */
	struct dw_claims claims;
	char last[DW_ROOM_MAX + 1]; /* the path's last part; "" when it is longer */
	struct waiter *waiter;      /* wait.c: while it waits at the hub */
	struct dw_buf body;
	enum answer_status status;
	struct dw_buf answer;
	size_t size;                          /* of the answer that is being written */
	size_t counted;                       /* bytes of body and answer, */
	struct guest *user;                   /* and with whom they count; NULL: too few to count */
	const char *allow;                    /* for 405, and for OPTIONS */
	const char *origin;                   /* of a browser's page that may read the answer; NULL: none */
	uint64_t taken;                       /* what the client's kernel had taken when that was last looked at */
	void (*due)(struct request *request); /* its timer, while it is taken: a refusal that had to wait */
	uint64_t corr;                        /* of what the hub was asked; 0: nothing */
	void *context;                        /* of who takes it; freed by */
	void (*forget)(struct request *request);
};

/* A header of the canonical head (reader.h), or NULL. */
const char *http_header(const struct request *request, const char *name);
/* Nothing more is read of it; and http_handle is called again, in this turn, where it was suspended. */
void http_suspend(struct request *request);
void http_resume(struct request *request);
/* The first argument of the URL of this name; one that does not fit is cut to what no grammar allows, so that it is
 * refused and never mistaken. false: it is not there. */
bool http_argument(const struct request *request, const char *name, char *out, size_t size);
const char *http_argument_text(const struct request *request, const char *name); /* or NULL */
/* Answers with what is in request->answer (JSON). */
void http_answer(struct request *request, enum answer_status status);
/* {"success":false,"error":{"code","message","field"},"detail"}; field may be NULL. */
void http_error(
	struct request *request, enum answer_status status, const char *code, const char *message, const char *field);

/* It ends without an answer, and its connection with it. */
void http_kill(struct request *request);

#endif
