/* Where a connection waits until it is known what it wants: a WebSocket (libwebsockets gets it, with a head that was
 * read and written anew) or HTTP (libmicrohttpd gets it). It costs little to wait here, as silent
 * connections do.
 *
 * Once they have done with it, it waits here again until its client ends it: a socket that is closed with something
 * unread resets its connection, and the client may never see the Close, or the answer, that was sent. So what comes is
 * dropped, for CUT_STALLED_MS at most.
 *
 * With --proxy-protocol each connection first says for whom it is (address.h); one that does not is closed.
 */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dw_http_address;
struct edge;
struct gate;

/* A connection that is for HTTP, with what of it was taken from the socket. false: no memory; it is closed. */
typedef bool gate_http(struct edge *edge, int fd, const struct dw_http_address *address, struct dw_str taken);

int gate_new(struct gate **out, struct edge *edge, gate_http *http);
/* Ends all that wait. The loop must run until its handles are closed. */
void gate_destroy(struct gate **gate_p);

/* A new connection; the descriptor is the gate's from now on. */
void gate_take(struct gate *gate, int fd, const struct dw_http_address *address);
/* Closes the one that has waited longest, if for at least ms. false: none. */
bool gate_evict(struct gate *gate, uint64_t ms);
/* The caller closes fd next; the gate lingers on a copy, unless both sides have said Close (said). Those that linger
 * count as connections: a drain waits for them. */
void gate_linger(struct gate *gate, int fd, bool said);
/* Closes the one that has lingered longest; false: none does. */
bool gate_evict_leaving(struct gate *gate);

#endif
