/* Every recv of this process: there alone can be looked at what a client sends before libmicrohttpd and libwebsockets
 * do. A descriptor may have somebody who reads for it; for all others, and on all threads but the loop's (libzmq
 * receives, too), recv is the system's.
 */
#ifndef DIAGWS_HTTP_RECEIVE_H
#define DIAGWS_HTTP_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As recv, which it must not call: recvfrom is the system's. */
typedef ssize_t dw_http_receive_by(void *user, int fd, void *buffer, size_t n, int flags);

/* The loop runs on this thread. */
void dw_http_receive_here(void);
/* false: no memory, and recv stays the system's. `by` NULL: nobody reads any more, which cannot fail. */
bool dw_http_receive_set(int fd, dw_http_receive_by *by, void *user);
/* The user that `by` reads for there; NULL: none. */
void *dw_http_receive_user(int fd, dw_http_receive_by *by);
/* One more than the highest descriptor that may have somebody. */
int dw_http_receive_end(void);
void dw_http_receive_clear(void);

#endif
