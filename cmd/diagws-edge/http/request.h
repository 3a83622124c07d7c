/* An HTTP request: what it says, what the hub is asked for it, and answering it (api.c; request.c where libmicrohttpd
 * is needed). What the answers say is for who takes it (route.h).
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/wheel.h"
#include "message/msg.h"
#include "token/auth.h"

struct ask;
struct edge;
struct dw_wire;
struct guest;
struct http_client;

enum request_state {
	REQUEST_BODY,     /* it is being read */
	REQUEST_CHECKING, /* its token is, and nothing is read */
	REQUEST_TAKEN,
	REQUEST_REFUSED,  /* its answer is there, and waits for the end of the body */
	REQUEST_ANSWERED, /* its answer may be written, */
	REQUEST_WRITING,  /* is being written */
	REQUEST_DEAD      /* it will get none: its client is gone, or too slow */
};

struct request {
	struct request *prev, *next; /* of those that wait for the same (status.c) */
	struct edge *edge;
	struct http_client *client;
	struct MHD_Connection *connection;
	const struct route *route; /* NULL: OPTIONS asks what there is */
	struct dw_wheel_timer timer;
	uint64_t begun_at;
	enum request_state state;
	bool suspended;
	bool head_done;      /* its head has been looked at */
	bool close;          /* the connection ends after the answer */
	bool heads;          /* its answer has no body */
	bool body_due;       /* a body is still to come */
	struct check *check; /* of its token, while that is under way */
	struct dw_claims claims;
	char last[DW_ROOM_MAX + 1]; /* the path's last part; "" when it is longer */
	struct dw_buf body;
	unsigned status;
	struct dw_buf answer;
	size_t counted;        /* bytes of body and answer, */
	struct guest *user;    /* and with whom they count; NULL: too few to count */
	const char *allow;     /* for 405, and for OPTIONS */
	const char *origin;    /* of a browser's page that may read the answer; NULL: none */
	uint64_t taken;        /* what the client's kernel had taken when that was last looked at */
	bool denied;           /* a 403 is due, which has to wait */
	struct ask *ask;       /* what the hub was asked for it; NULL: nothing */
	int err;               /* what is wrong with it, told if its user may know; */
	struct dw_fault fault; /* the same in words */
	void *context;         /* of who takes it; freed by */
	void (*forget)(struct request *request);
	/* What an error has beside, after which it may be tried again (503, 504); or NULL. */
	void (*add_more)(const struct request *request, struct dw_buf *out);
};

/* A header of the canonical head (reader.h), or NULL. */
const char *http_header(const struct request *request, const char *name);
/* Nothing more is read of it; and http_handle is called again, in this turn, where it was suspended. */
void http_suspend(struct request *request);
void http_resume(struct request *request);
/* The first argument of the URL of this name, or NULL. */
const char *http_argument(const struct request *request, const char *name);
/* An argument of the URL, as `parse` reads it (dw_parse_number, dw_parse_duration). false: it is there, and is none
 * within these bounds. *out stays as it is where the argument is not there. */
bool api_argument(const struct request *request, const char *name, bool (*parse)(const char *text, int64_t *value),
	int64_t min, int64_t max, int64_t *out);
/* Answers with what is in request->answer (JSON). */
void http_answer(struct request *request, unsigned status);
/* Answers an error; message and field may be NULL. A 403 says nothing more, and comes when DENY_MS are over. */
void api_fail(struct request *request, int err, const char *message, const char *field);
/* {"success":false,"error":{"code","message","field"},"detail"}; field may be NULL. */
void http_error(struct request *request, unsigned status, const char *code, const char *message, const char *field);

/* It ends without an answer, and its connection with it. */
void http_kill(struct request *request);

/* As uplink_done. */
typedef void ask_done(struct request *request, int err, const struct dw_wire *answer);

/* Asks the hub, which is to wait so long at the most (0: not at all), and calls `done`; or answers the request, where
 * that cannot be: the edge is about to end, no memory, or too many wait at the hub for more than its answer (for
 * devices, for the next message), of this user or in all. One whose client left counts until the hub has answered:
 * leaving and coming again gains nothing. */
void ask_hub(struct request *request, const struct dw_wire *wire, uint64_t wait_ms, ask_done *done);
/* Something is wrong (err, request->fault) with what was asked of a diagnosis: answers that, but one who may not
 * publish there is told only so. */
void ask_refusal(struct request *request, struct dw_str room, int err);
/* The request ends: `done` will not be called. */
void ask_forget(struct request *request);
/* The edge is going to end: those who wait are answered now (503). */
void ask_drain(struct edge *edge);

#endif
