/* Requests of a client of the hub that are not answered yet: kept, paired with their answers, timed out. What
 * client.c sends and receives; this knows nothing of the connection.
 */
#ifndef DIAGWS_PENDING_H
#define DIAGWS_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/client.h"

struct dw_pending {
	struct dw_pending *prev, *next; /* in the order asked; free ones by next alone */
	uint64_t corr;
	uint64_t since;   /* when it was asked, or stored */
	uint64_t due;     /* when an answer is overdue */
	uint64_t wait_ms; /* for devices; 0: it does not */
	struct dw_buf frame;
	dw_client_done *done;
	void *user;
	enum dw_wire_kind asked; /* the request's kind */
	bool in_use;
	bool stored; /* and waits for devices now */
};

struct dw_pendings {
	struct dw_pending *slots;
	struct dw_pending *free; /* NULL: there are `window` of them */
	struct dw_pending *first, *last;
	struct dw_pending *unsent; /* what is before it was sent on this acquaintance, the rest was not */
	size_t window, count;
	size_t bytes; /* of those that are not stored yet */
	uint64_t timeout_ms;
	uint64_t look_at; /* nothing is overdue before */
	uint64_t made;    /* requests, ever; of corr */
	uint64_t ended;   /* requests, ever */
};

/* Beyond so many bytes only what is alone is asked: the hub has a share for each sender, and this is far within. */
enum { DW_PENDING_MAX = 4096, DW_PENDING_BYTES = 1024 * 1024 };

/* window: 1..DW_PENDING_MAX. DW_E_NOMEM; to be cleared also then. */
int dw_pendings_init(struct dw_pendings *all, size_t window, uint64_t timeout_ms);
void dw_pendings_clear(struct dw_pendings *all); /* none may be left */

bool dw_pendings_full(const struct dw_pendings *all);
/* Packs and keeps a PUBLISH, STAT or OWN; there must be a free place. NULL: no memory. */
struct dw_pending *dw_pendings_add(
	struct dw_pendings *all, const struct dw_wire *request, dw_client_done *done, void *user);
/* Gives an answer of the hub to its asker. */
void dw_pendings_answer(struct dw_pendings *all, uint64_t corr, uint64_t code, const struct dw_wire *answer);
/* Ends what is overdue; heard_at: when the hub was heard, 0 if it never was. */
void dw_pendings_expire(struct dw_pendings *all, uint64_t now, uint64_t heard_at);
void dw_pendings_end_all(struct dw_pendings *all, int err);
/* Everything is to be sent again; what waits for devices waits there for the rest of its time. */
void dw_pendings_unsend(struct dw_pendings *all);

#endif
