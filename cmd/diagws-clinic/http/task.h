/* A request in hand: read, asked whose it is, carried out, answered.
 *
 *	take → what it says becomes an order (task_read) → whose diagnosis is it? (the thread's, diagnoses_of) → does its
 *	user own it? (the hub) → the call (the thread's) → the answer
 *
 * Steps that are not needed are left out: a path that names the diagnosis, a token whose scope is enough. The order of
 * refusals is the edge's: 400 no JSON; 403, of what there is not and of what is another's alike; 422; and 404 is told
 * only to who may see everything.
 */
#ifndef TASK_H
#define TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "clinic.h"
#include "http/route.h"
#include "http/worker.h"
#include "message/msg.h"
#include "token/auth.h"

/* What a call is about, and who owns that. */
enum subject {
	SUBJECT_ALL, /* everything: its owner is nobody */
	SUBJECT_NAME,
	/* {…} of the path: */
	SUBJECT_DIAGNOSIS,
	SUBJECT_RECOMMENDATION,
	SUBJECT_FEEDBACK,
	SUBJECT_PATIENT, /* who owns one of his diagnoses */
	/* The query's diagnosis_id; without one: all. */
	SUBJECT_ASKED,
	/* The body's diagnosis_id, or each in its list: */
	SUBJECT_BODY,
	SUBJECT_BODY_FEEDBACK,
	SUBJECT_BODY_RECOMMENDATIONS,
	SUBJECT_BODY_DIAGNOSES,
};

/* The arguments of a URL that a call looks at. */
enum argument { ARGUMENT_LIMIT = 1, ARGUMENT_SAMPLES = 2, ARGUMENT_OPTIMIZATION = 4, ARGUMENT_TARGET = 8 };

/* A call as it is offered: what a route's `arg` is. */
struct offer {
	clinic_call *call;
	enum subject subject;
	unsigned scope; /* enum dw_scope: who has it needs not own anything; 0: it does not matter */
	unsigned arguments;
	int64_t limit_max;
	bool body; /* it has one, beside what the path names */
	bool open; /* for any good token */
};

struct task {
	struct job job; /* the first member */
	struct task *prev, *next;
	struct service *service;
	struct dw_http_request *request; /* NULL: its client has left */
	const struct offer *offer;
	char user[DW_USER_MAX + 1];
	char asked[DW_ROOM_MAX + 1]; /* the query's diagnosis_id */
	char *part;                  /* of the path */
	struct dw_buf body;
	struct dw_buf diagnoses; /* whose owner may, each with a NUL behind it */
	bool counts;             /* among those of its user */
	/* What is wrong with it, told if its user may know. */
	int err;
	struct dw_fault fault;
	/* What the hub has said. */
	size_t unanswered;
	unsigned owned, denied;
	int unknown_why; /* an error instead of an answer */
	bool nothing;    /* what it is about there is not: denied, but like the others */
};

/* Takes any request whose route has an offer. */
void task_take(struct dw_http_request *request);
/* The thread has done something. */
void task_go_on(struct service *service);
/* The loop has ended: frees the rest. */
void task_clear(struct service *service);

/* asked.c: reads a request into task->job.order, task->diagnoses, task->err and fault. DW_E_JSON, DW_E_NOMEM: nothing
 * else matters. */
int task_read(struct task *task);

#endif
