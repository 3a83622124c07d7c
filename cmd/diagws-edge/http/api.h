/* Failing, for those who take requests.
 */
#ifndef API_H
#define API_H

#include "http/request.h"

/* message and field may be NULL. */
void api_fail(struct request *request, int err, const char *message, const char *field);
/* 403, when DENY_MS are over. */
void api_deny(struct request *request);

#endif
