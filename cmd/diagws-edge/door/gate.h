/* Where a connection waits until it is known what it wants: a WebSocket (libwebsockets gets it, with a head that was
 * read and written anew) or HTTP (libmicrohttpd gets it). It costs little to wait here: silent connections do.
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

struct address;
struct edge;
struct gate;

/* A connection that is for HTTP, with what of it was taken from the socket. false: no memory; it is closed. */
typedef bool gate_http(struct edge *edge, int fd, const struct address *address, struct dw_str taken);

int gate_new(struct gate **out, struct edge *edge, gate_http *http);
/* Ends all that wait. The loop must run until its handles are closed. */
void gate_destroy(struct gate **gate_p);

/* A new connection; the descriptor is the gate's from now on. */
void gate_take(struct gate *gate, int fd, const struct address *address);
size_t gate_count(const struct gate *gate);
/* Closes the one that has waited longest, where that is so long. false: none. */
bool gate_evict(struct gate *gate, uint64_t ms);
/* Closes all that wait: no more requests are taken. */
void gate_close(struct gate *gate);

#endif
