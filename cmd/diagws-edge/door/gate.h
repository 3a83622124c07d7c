/* Where a connection waits until it is known what it wants: a WebSocket (libwebsockets gets it, with a head that was
 * read and written anew) or HTTP (libmicrohttpd gets it). It costs little to wait here, as silent
 * connections do.
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

int gate_new(struct gate **out, struct edge *edge);
/* Ends all that wait. The loop must run until its handles are closed. */
void gate_destroy(struct gate **gate_p);

/* A new connection; the descriptor is the gate's from now on. */
void gate_take(struct gate *gate, int fd, const struct dw_http_address *address);
/* Closes the one that has waited longest, if for at least ms. false: none. */
bool gate_evict(struct gate *gate, uint64_t ms);

#endif
