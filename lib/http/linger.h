/* Connections that are done with wait here until their clients end them: a socket that is closed with something unread
 * resets its connection, and the client may never see the answer, or the Close, that was sent. So what comes is
 * dropped, for DW_HTTP_LINGER_MS at most.
 */
#ifndef DIAGWS_HTTP_LINGER_H
#define DIAGWS_HTTP_LINGER_H

#include <stdbool.h>
#include <stdint.h>

struct dw_http_lingering;
struct dw_wheel;
struct uv_loop_s;

enum { DW_HTTP_LINGER_MS = 3000 };

/* DW_E_NOMEM. */
int dw_http_linger_new(struct dw_http_lingering **out, struct uv_loop_s *loop, struct dw_wheel *wheel);
/* Ends all that wait. The loop must run until its handles are closed. */
void dw_http_linger_destroy(struct dw_http_lingering **linger_p);

/* See dw_http_linger. */
void dw_http_linger_take(struct dw_http_lingering *linger, int fd, bool said);
/* Closes the one that has waited longest; false: none does. */
bool dw_http_linger_evict(struct dw_http_lingering *linger);
uint64_t dw_http_linger_count(const struct dw_http_lingering *linger);

#endif
