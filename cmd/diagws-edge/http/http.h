/* HTTP requests as libmicrohttpd reports them.
 *
 * Life: http_handle (the head is there: everything that can be refused without the body is, or will be when the token
 * has been checked; until then no more is read) → its body → its route takes it → http_answer, now or later →
 * http_completed. The body has a bound and a deadline of its own, and so has taking the answer. A body that is refused
 * is read and thrown away as far as politeness goes, for many clients read nothing before they have written all.
 */
#ifndef HTTP_H
#define HTTP_H

#include <microhttpd.h>
#include <stddef.h>

struct request;

/* libmicrohttpd's callbacks. */
enum MHD_Result http_handle(void *user, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *bytes, size_t *n, void **context);
void http_completed(
	void *user, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code);
/* Its refusal waits for the end of its body no longer. */
void http_hurry(struct request *request);
/* Lets a request go on by its head (REQUEST_BODY), or answers it; while its token is being checked (REQUEST_CHECKING)
 * neither is known. See admit.c. */
void admit_head(struct request *request, const char *method, const char *path);

#endif
