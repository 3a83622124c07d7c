/* What router*.c share: a connection, and an address that is listened on. */
#ifndef DIAGWS_ROUTER_PARTS_H
#define DIAGWS_ROUTER_PARTS_H

#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <uthash.h>

#include "wire/endpoint.h"
#include "wire/router.h"
#include "wire/zmtp.h"

/* What an event is of: the first member of either. */
enum source { LISTENER, LINE };

struct listener {
	enum source source;
	int fd;
	bool tcp;
	unsigned roles;
	size_t count; /* connections that came in here */
	/* Of an ipc path: the file that was bound, and the lock beside it. */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	dev_t device;
	ino_t inode;
	int lock;
};

/* A connection. It is in the ring while it may have something to say and nothing of it is being handled. */
struct line {
	enum source source;
	UT_hash_handle hh; /* by number */
	uint32_t number;
	int fd; /* -1: ended */
	struct listener *listener;
	uid_t uid;
	struct dw_zmtp zmtp;
	struct dw_buf in;  /* read; from `at` on not taken yet */
	size_t at, need;   /* need: bytes behind `at` before there is more to take */
	struct dw_buf out; /* not sent yet, from sent_up_to on */
	size_t sent_up_to;
	uint64_t came_at, frame_at, stuck_at; /* dw_mono_ms; frame_at: when one began that is not whole, or 0 */
	struct line *ring_prev, *ring_next;
	struct line *stranger_prev, *stranger_next; /* those who have not introduced themselves, oldest first */
	struct line *drained_prev, *drained_next;
	struct line *unsent_prev, *unsent_next;                   /* those with something in `out`, by stuck_at */
	struct line *look_prev, *look_next;                       /* all, in the order in which they are looked at;
															 those that have ended come first */
	const char *why;                                          /* it was let go */
	bool readable, postponed, ringed, lent, stranger, broken; /* postponed: there was no room to read into;
														 broken: nothing more can be sent */
	bool is_drained, asked_for;                               /* asked_for: that it goes */
};

struct dw_router {
	int epoll;
	int spare; /* a descriptor that is given up to close a connection where there is none else */
	struct listener *listeners;
	size_t listener_count, connections;
	struct line *lines;
	struct line *ring, *strangers, *drained, *unsents, *looks;
	uint32_t last; /* number given */
	size_t read;   /* bytes of all in.cap beyond READ_FREE each */
	size_t unsent; /* bytes of all `out` */
	size_t count;  /* lines that have not ended */
	struct dw_buf answer;
	bool starved; /* there was no memory */
};

/* Bytes that were sent and lie here. */
static inline size_t
router_line_unsent(const struct line *line)
{
	return line->out.len - line->sent_up_to;
}

/* router_line.c */
struct line *router_find(const struct dw_router *router, uint32_t number);
/* Into the ring, if it may be there. */
void router_ring(struct dw_router *router, struct line *line);
void router_set_stranger(struct dw_router *router, struct line *line, bool stranger);
/* Its number stays until dw_router_gone has told it. */
void router_end(struct dw_router *router, struct line *line, const char *why);
/* It has ended, and that has been told. */
void router_forget(struct dw_router *router, struct line *line);
/* Sends on what lies there. */
void router_flush(struct dw_router *router, struct line *line);
/* DW_E_AGAIN: it takes nothing more. DW_E_NOMEM: a part of it may have been sent. Others may be ended by this. */
int router_transmit(struct dw_router *router, struct line *line, const struct iovec *parts, size_t count);

/* router_listen.c */
int router_listen(struct dw_router *router, const struct dw_bind *bind, struct dw_fault *fault);
void router_unlisten(struct listener *listener);

#endif
