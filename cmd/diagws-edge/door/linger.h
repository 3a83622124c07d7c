/* Sockets of clients that libwebsockets or libmicrohttpd has done with, until the clients end them.
 *
 * A socket that is closed with something unread resets its connection, and the client may never see the Close, or the
 * answer, that was sent. So its descriptor is kept and what comes is dropped, for CUT_STALLED_MS at most.
 */
#ifndef LINGER_H
#define LINGER_H

#include <stdbool.h>

struct edge;

enum { CUT_STALLED_MS = 3000 }; /* who takes nothing of what was sent is cut after so long */

/* fd is about to be closed; said: both sides have said Close, nothing more is to come. They
 * count as connections: a drain waits for them. */
void linger_start(struct edge *edge, int fd, bool said);
/* Ends the one that has waited longest; false: none does. */
bool linger_evict(struct edge *edge);
/* Ends all. */
void linger_end_all(struct edge *edge);

#endif
