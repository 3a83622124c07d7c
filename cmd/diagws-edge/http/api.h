/* What those who take requests share.
 */
#ifndef API_H
#define API_H

#include "http/request.h"

/* Answers an error; message and field may be NULL. A 403 says nothing more, and comes when DENY_MS are over. */
void api_fail(struct request *request, int err, const char *message, const char *field);
/* An argument of the URL, as `parse` reads it (dw_parse_number, dw_parse_duration). false: it is there, and is none
 * within these bounds. *out stays as it is where the argument is not there. */
bool api_argument(const struct request *request, const char *name, bool (*parse)(const char *text, int64_t *value),
	int64_t min, int64_t max, int64_t *out);

#endif
