/* A request: what it says, and how it is answered. Whoever takes it (route.h) answers it exactly once, at once or at
 * any later time on the loop's thread: with dw_http_answer, dw_http_error or dw_http_fail. Until then it stays; where
 * it ends earlier (its client has left), `call_off` and `forget` are called, and nothing may touch it any more. So what
 * works for it elsewhere (a thread, another process) holds a struct of its own that these two cut off from it.
 *
 *	static void
 *	take(struct dw_http_request *request)
 *	{
 *		struct clinic *clinic = request->user;
 *		int64_t limit = 10;
 *
 *		if (!dw_http_number(request, "limit", dw_parse_number, 1, 50, &limit)) {
 *			dw_http_fail(request, DW_E_FIELD, "limit is not within 1..50", "limit");
 *			return;
 *		}
 *		dw_buf_addf(&request->answer, …);
 *		dw_http_answer(request, MHD_HTTP_OK);
 *	}
 */
#ifndef DIAGWS_HTTP_REQUEST_H
#define DIAGWS_HTTP_REQUEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/wheel.h"
#include "http/http.h"
#include "token/auth.h"

struct dw_http_check;
struct dw_http_client;
struct dw_http_guest;
struct dw_http_route;

enum {
	DW_HTTP_NAME_MAX = 64,       /* code points of a name in a path */
	DW_HTTP_PART_SIZE = 256 + 1, /* as many in UTF-8 */
};

enum dw_http_request_state {
	DW_HTTP_IN_BODY,     /* it is being read */
	DW_HTTP_IN_CHECKING, /* its token is, and nothing is read */
	DW_HTTP_IN_TAKEN,
	DW_HTTP_IN_REFUSED,  /* its answer is there, and waits for the end of the body */
	DW_HTTP_IN_ANSWERED, /* its answer may be written, */
	DW_HTTP_IN_WRITING,  /* is being written */
	DW_HTTP_IN_DEAD      /* it will get none: its client is gone, or too slow */
};

/* A header of an answer; a table of them ends with name NULL. */
struct dw_http_field {
	const char *name, *value;
};

struct dw_http_request {
	/* For who takes it. */
	void *user;                        /* the program's (dw_http_config) */
	struct dw_http *http;              /* dw_http_loop, dw_http_draining */
	const struct dw_http_route *route; /* NULL: OPTIONS asks what there is */
	struct dw_claims claims;           /* of its token; user "": there is none */
	char part[DW_HTTP_PART_SIZE];      /* what stands in the path for the route's {…}; "" where that is too long */
	struct dw_buf body;                /* as it came, with a NUL behind it; data NULL: empty */
	struct dw_buf answer;              /* JSON, to be filled before dw_http_answer */
	void *context;                     /* the taker's, freed by */
	void (*forget)(struct dw_http_request *request);
	void *waits_for; /* what was asked elsewhere for it, not NULL as long as it is; then, when the request ends: */
	void (*call_off)(struct dw_http_request *request);
	/* What an error has beside, after which it may be tried again (503, 504); or NULL. */
	void (*add_more)(const struct dw_http_request *request, struct dw_buf *out);
	int err;                             /* what is wrong with it, told if its user may know; */
	struct dw_fault fault;               /* the same in words */
	struct dw_http_request *prev, *next; /* of those that wait for the same (the taker's) */
	const struct dw_http_field *fields;  /* instead of those of JSON that is not to be stored; NULL: these */
	struct dw_str lasting;               /* an answer that lives longer, instead of `answer` */

	/* For lib/http alone. */
	struct dw_http_client *client;
	struct MHD_Connection *connection;
	struct dw_wheel_timer timer;
	uint64_t begun_at;
	enum dw_http_request_state state;
	bool suspended;
	bool head_done;              /* its head has been looked at */
	bool close;                  /* the connection ends after the answer */
	bool heads;                  /* its answer has no body */
	bool body_due;               /* a body is still to come */
	bool denied;                 /* a 403 is due, which has to wait */
	struct dw_http_check *check; /* of its token, while that is under way */
	unsigned status;
	size_t counted;              /* bytes of body and answer, */
	struct dw_http_guest *guest; /* and with whom they count; NULL: too few to count */
	const char *allow;           /* for 405, and for OPTIONS */
	const char *origin;          /* of a browser's page that may read the answer; NULL: none */
	uint64_t taken;              /* what the client's kernel had taken when that was last looked at */
};

/* A header of the canonical head (reader.h), or NULL. */
const char *dw_http_header(const struct dw_http_request *request, const char *name);
/* The first argument of the URL of this name, decoded, or NULL. */
const char *dw_http_argument(const struct dw_http_request *request, const char *name);
/* An argument of the URL, as `parse` reads it (dw_parse_number, dw_parse_duration). false: it is there, and is none
 * within these bounds. *out stays as it is where the argument is not there. */
bool dw_http_number(const struct dw_http_request *request, const char *name,
	bool (*parse)(const char *text, int64_t *value), int64_t min, int64_t max, int64_t *out);

/* Answers with what is in request->answer (JSON), or in request->lasting. */
void dw_http_answer(struct dw_http_request *request, unsigned status);
/* Answers an error of ours; message and field may be NULL, and what they say then is dw_err_text's. The status follows
 * from the error: 400 DW_E_JSON; 401 DW_E_TOKEN…; 403 DW_E_DENIED, which says nothing more, and comes when
 * DW_HTTP_DENY_MS are over; 404 DW_E_UNKNOWN; 413 DW_E_TOO_BIG; 422 DW_E_FIELD, DW_E_ID_REUSED; 429 DW_E_RATE; 504
 * DW_E_UNDELIVERED; 503 what may be tried again; else 500. */
void dw_http_fail(struct dw_http_request *request, int err, const char *message, const char *field);
/* {"success":false,"error":{"code","message","field"},"detail"}, with any status; field may be NULL. */
void dw_http_error(
	struct dw_http_request *request, unsigned status, const char *code, const char *message, const char *field);
/* It ends without an answer, and its connection with it. */
void dw_http_kill(struct dw_http_request *request);

#endif
