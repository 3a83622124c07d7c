/* Whether a request is let in, by its head alone.
 */
#ifndef ADMIT_H
#define ADMIT_H

#include "http/request.h"

/* false: it has been answered, or its token is being checked (REQUEST_CHECKING), which then answers it or makes it
 * REQUEST_CHECKED and resumes it. */
bool admit_head(struct request *request, const char *method, const char *path);

#endif
