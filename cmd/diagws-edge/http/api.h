/* The HTTP calls: which there are, what they take, what they answer.
 */
#ifndef API_H
#define API_H

#include <stdbool.h>

#include "http/http.h"

enum { ANSWER_MS = 5000 }; /* for the hub's answer to what it does not wait with */

/* DW_HTTP_OK and a route, or, for OPTIONS, what is allowed; DW_HTTP_NOT_FOUND; DW_HTTP_METHOD with what is allowed;
 * DW_HTTP_UPGRADE: there are WebSockets. *route and *allow are left alone otherwise. */
enum answer_status api_route(const char *method, const char *path, const struct route **route, const char **allow);
bool api_has_body(const struct route *route);
bool api_needs_token(const struct route *route);
bool api_is_bounded(const struct route *route);  /* how often it may be asked for: all but whether the edge is alive */
const char *api_type(const struct route *route); /* of a flat publish; NULL: the general one */
/* The request is whole: answers it, or asks the hub and answers then. */
void api_take(struct request *request);
/* The request's timer: a refusal that had to wait. */
void api_timer(struct request *request);

/* For those who take requests. message and field may be NULL. */
void api_fail(struct request *request, int err, const char *message, const char *field);
/* 403, when DENY_MS are over. */
void api_deny(struct request *request);
/* The request is going to wait at the hub. DW_E_RATE: too many of this user do; DW_E_BUSY: too many in all;
 * DW_E_CLOSING, DW_E_NOMEM. */
int api_wait_begin(struct request *request, uint64_t wait_ms);
/* The hub has answered, or the client left. */
void api_wait_end(struct request *request, bool answered);
/* The edge is going to end: those who wait are answered now (503). */
void api_drain(struct edge *edge);
/* It ends. */
void api_clear(struct edge *edge);

#endif
