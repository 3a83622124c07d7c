/* A connection to a hub: a DEALER of ZeroMQ. Frames in, frames out. The hub's end is router.h.
 *
 * A loop polls dw_bus_fd, which is edge-triggered: after every send and receive ask dw_bus_readable again. While no hub
 * is connected nothing is queued, and dw_bus_send says DW_E_AGAIN.
 */
#ifndef DIAGWS_BUS_H
#define DIAGWS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dw_bus;

/* A DEALER that connects, and reconnects by itself. DW_E_CONFIG, DW_E_PERMISSION (an ipc socket that is
 * there and may not be written), DW_E_NOMEM. Nobody there is no error. beside: NULL, or another DEALER of the same
 * thread whose background thread this shall use too; either may be destroyed first. */
int dw_bus_connect(struct dw_bus **out, const char *uri, const struct dw_bus *beside, struct dw_fault *fault);
/* Connects anew to a hub that is silent, for a dead line looks like an open one. What was on its way is lost. */
void dw_bus_reconnect(struct dw_bus *bus);
void dw_bus_destroy(struct dw_bus **bus_p);
int dw_bus_fd(const struct dw_bus *bus);
bool dw_bus_readable(struct dw_bus *bus);
/* The next frame; *frame is valid until the next call. DW_E_AGAIN: none there. */
int dw_bus_recv(struct dw_bus *bus, struct dw_str *frame);
/* DW_E_AGAIN: nothing was sent. */
int dw_bus_send(struct dw_bus *bus, const void *frame, size_t n);
/* Waits until a frame may be there or the time is over; false: time over. For programs without a loop. */
bool dw_bus_wait(struct dw_bus *bus, int64_t timeout_ms);

#endif
