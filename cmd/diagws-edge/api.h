/* The HTTP calls: which there are, what they take, what they answer.
 */
#ifndef API_H
#define API_H

#include <stdbool.h>

#include "http.h"

/* DW_HTTP_OK and a route; DW_HTTP_NOT_FOUND; DW_HTTP_METHOD with what is allowed; DW_HTTP_NOT_IMPLEMENTED. */
enum answer_status api_route(const char *method, const char *path, const struct route **route, const char **allow);
bool api_has_body(const struct route *route);
bool api_needs_token(const struct route *route);
/* The request is whole: answers it, or asks the hub and answers then. */
void api_take(struct request *request);
/* The request's timer: a refusal that had to wait. */
void api_timer(struct request *request);
/* The request ends: frees what api.c keeps with it. */
void api_forget(struct request *request);

#endif
