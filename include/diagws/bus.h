/* The ZeroMQ sockets: a ROUTER for the hub, a DEALER for everyone else. Frames in, frames out.
 *
 * Nothing here waits: a loop polls dw_bus_fd and asks dw_bus_readable, for the descriptor is
 * edge-triggered: after every send and receive, ask again until nothing is ready.
 *
 * A DEALER queues nothing while no hub is connected: dw_bus_send then says DW_E_AGAIN. A ROUTER
 * never drops silently: a peer that is gone gives DW_E_UNKNOWN, a full one DW_E_AGAIN.
 */
#ifndef DIAGWS_BUS_H
#define DIAGWS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diagws/buf.h"
#include "diagws/err.h"

enum { DW_BUS_BINDS_MAX = 16 };

struct dw_bus;

/* A ROUTER on these URIs: `ipc:///path` (the directory is made 0750 when missing, the path is
 * locked by flock(2) on PATH.lock, the socket is 0660) or `tcp://127.0.0.1:port`, `tcp://[::1]:port`
 * (loopback only: anything else needs keys, and is refused).
 * DW_E_CONFIG (URI, path too long), DW_E_IN_USE (another hub holds it), DW_E_CREATE, DW_E_PERMISSION. */
int dw_bus_bind(struct dw_bus **out, const char *const *uris, size_t count, struct dw_fault *fault);
/* A DEALER that connects, and reconnects by itself. DW_E_CONFIG, DW_E_PERMISSION (an ipc socket that is
 * there and may not be written), DW_E_NOMEM. Nobody there is no error. beside: NULL, or another DEALER of the same
 * thread whose background thread this shall use too; either may be destroyed first. */
int dw_bus_connect(struct dw_bus **out, const char *uri, const struct dw_bus *beside, struct dw_fault *fault);
/* Drops the connection and makes a new one, for a peer that is silent: a dead line looks like an open one. What was on
 * its way is lost. */
void dw_bus_reconnect(struct dw_bus *bus);
void dw_bus_destroy(struct dw_bus **bus_p);
/* The path of an ipc address where the file that was bound is no more, or is another: nobody can connect there any
 * more, and only binding it anew helps. NULL: each is in its place, or that cannot be told. */
const char *dw_bus_lost(const struct dw_bus *bus);

int dw_bus_fd(const struct dw_bus *bus);
bool dw_bus_readable(struct dw_bus *bus);
/* The next frame; *frame is valid until the next call. *peer is 0 on a DEALER. DW_E_AGAIN: none there. */
int dw_bus_recv(struct dw_bus *bus, uint32_t *peer, struct dw_str *frame);
/* DW_E_AGAIN, DW_E_UNKNOWN, DW_E_NOMEM: nothing was sent. */
int dw_bus_send(struct dw_bus *bus, uint32_t peer, const void *frame, size_t n);
/* Waits until a frame may be there or the time is over; false: time over. For programs without a loop. */
bool dw_bus_wait(struct dw_bus *bus, int64_t timeout_ms);

#endif
