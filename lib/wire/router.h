/* The hub's end of its connections: what ZeroMQ calls a ROUTER, on Unix sockets and loopback TCP. Its peers are DEALERs
 * (zmtp.h), each a number that is never used again. Frames in, frames out.
 *
 * A loop polls dw_router_fd, then calls dw_router_turn and takes frames. Peers take turns, and one whose frame was
 * taken is not read from until dw_router_done.
 *
 * Bounds, each before memory is taken: connections (an address has as many as are still free); a frame,
 * DW_WIRE_FRAME_MAX; what was read and is not handled yet, of a peer a frame and 64 KiB, of all together
 * DW_ROUTER_READ_MAX beyond 64 KiB each; what was sent and is not taken, DW_ROUTER_UNSENT_MAX, and of all together
 * DW_ROUTER_UNSENT_ALL, where those make room who have taken nothing for the longest. Whoever makes room, or is over
 * one of the times below, is let go.
 */
#ifndef DIAGWS_ROUTER_H
#define DIAGWS_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	DW_ROUTER_BINDS_MAX = 16,
	DW_ROUTER_READ_MAX = 64 * 1024 * 1024,
	DW_ROUTER_UNSENT_MAX = 32 * 1024 * 1024,
	DW_ROUTER_UNSENT_ALL = 4 * DW_ROUTER_UNSENT_MAX,
	DW_ROUTER_GREET_MS = 5 * 1000,  /* to speak ZeroMQ */
	DW_ROUTER_FRAME_MS = 10 * 1000, /* for a frame that has begun */
	DW_ROUTER_STUCK_MS = 30 * 1000, /* to take anything of what was sent */
};

/* Where to listen, and as what. */
struct dw_bind {
	const char *uri;   /* endpoint.h */
	const char *group; /* the socket file's; NULL: the process's */
	unsigned mode;     /* the socket file's: 0660 */
	unsigned roles;    /* the caller's: of whoever comes in here */
};

struct dw_router;

/* connections: at most so many. Directories of ipc paths are made 0750 when missing; a path is locked by flock(2) on
 * PATH.lock. DW_E_CONFIG (URI, path too long, no such group), DW_E_IN_USE (another hub holds it), DW_E_CREATE,
 * DW_E_PERMISSION, DW_E_NOMEM. */
int dw_router_bind(
	struct dw_router **out, const struct dw_bind *binds, size_t count, size_t connections, struct dw_fault *fault);
/* Connections end, and what was sent to them and not taken is lost. */
void dw_router_destroy(struct dw_router **router_p);
/* The path of an ipc address whose file is gone, or is another: nobody can connect there until it is bound anew. NULL:
 * each is in its place, or that cannot be told. */
const char *dw_router_lost(const struct dw_router *router);

int dw_router_fd(const struct dw_router *router);
/* Accepts, sends on, and learns who has something to say. DW_E_NOMEM: somebody could not be heard for want of memory.
 */
int dw_router_turn(struct dw_router *router);
/* Call each second: looks for those who are over their time. */
void dw_router_tick(struct dw_router *router);
/* Somebody may have something to say. */
bool dw_router_readable(const struct dw_router *router);
/* The next frame of whoever's turn it is; it stays where it is until dw_router_done. DW_E_AGAIN: none is there.
 * DW_E_TOO_BIG: the peer sent one of frame->n bytes, which is passed over; dw_router_done is due all the same. */
int dw_router_recv(struct dw_router *router, uint32_t *peer, struct dw_str *frame);
void dw_router_done(struct dw_router *router, uint32_t peer);
/* DW_E_UNKNOWN: no such peer; DW_E_AGAIN: it takes nothing more; DW_E_NOMEM: nothing was sent. To one that closes
 * nothing is sent, and that is no failure: it may have said something before. */
int dw_router_send(struct dw_router *router, uint32_t peer, const void *frame, size_t n);
/* Bytes that were sent and lie here. */
size_t dw_router_unsent(const struct dw_router *router, uint32_t peer);
/* The next peer to whom all has been sent after some of it had to wait. False: none. */
bool dw_router_drained(struct dw_router *router, uint32_t *peer);
/* Takes the next connection that has ended, and forgets its number. *why: what it was let go for, in words; NULL: the
 * peer closed it, and all that it had said was taken. False: none has ended. */
bool dw_router_gone(struct dw_router *router, uint32_t *peer, const char **why);
/* Lets it go: dw_router_gone does not tell of it. What was sent to it may be lost. */
void dw_router_close(struct dw_router *router, uint32_t peer);
/* The caller knows it, or does not. Where places are short, those whom nobody knows make room for others. */
void dw_router_known(struct dw_router *router, uint32_t peer, bool known);
/* The roles of the address that it came in by; and who it is, where the system knows (-1: it does not). */
unsigned dw_router_roles(const struct dw_router *router, uint32_t peer);
uid_t dw_router_uid(const struct dw_router *router, uint32_t peer);

#endif
