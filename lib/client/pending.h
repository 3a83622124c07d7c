/* Requests that the hub has not answered yet: kept, sent, paired with their answers, timed out. For whoever asks a hub:
 * a client (client.c) and an edge (cmd/diagws-edge/hub/uplink.c). When the hub can be asked is their affair.
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
	uint64_t wait_ms; /* how long it waits at the hub, for devices or a message; 0: not */
	struct dw_buf frame;
	size_t counted;       /* bytes of its frame that `bytes` counts */
	dw_client_done *done; /* NULL: the asker is gone */
	void *user;
	enum dw_wire_kind asked; /* the request's kind */
	bool in_use;
	bool waits; /* at the hub, now */
};

struct dw_bus;

enum { DW_PENDING_MAX = 4096 };

struct dw_pendings {
	/* Set by who asks, before dw_pendings_init: */
	size_t window;       /* requests, 1..DW_PENDING_MAX */
	size_t bytes_max;    /* beyond so many nothing more is asked */
	bool counts_waiting; /* `bytes` are also of those that wait at the hub */
	uint64_t timeout_ms; /* for an answer that is due at once, */
	uint64_t grace_ms;   /* and after what the hub was to wait */
	uint64_t made;       /* the last number that a corr was made of */
	/* Looked at: */
	struct dw_pending *first;
	struct dw_pending *unsent; /* from here on nothing was sent since the hub last welcomed us; NULL: all was */
	size_t count, bytes;
	uint64_t look_at; /* nothing is overdue before */
	uint64_t ended;   /* requests, ever */
	/* Private: */
	struct dw_pending *slots, *free;
	size_t used;            /* of the slots, ever */
	struct dw_buf together; /* several requests, to be sent at once */
};

/* DW_E_NOMEM; dw_pendings_clear also then. */
int dw_pendings_init(struct dw_pendings *all);
void dw_pendings_clear(struct dw_pendings *all); /* none may be left */

bool dw_pendings_full(const struct dw_pendings *all);
/* Packs and keeps a PUBLISH, READ, STAT or OWN; they must not be full (dw_pendings_full). NULL: no memory. */
struct dw_pending *dw_pendings_add(
	struct dw_pendings *all, const struct dw_wire *request, dw_client_done *done, void *user);
/* Sends what is unsent, as much at once as fits. False: the bus did not take it all. */
bool dw_pendings_send(struct dw_pendings *all, struct dw_bus *bus);
/* Gives an answer of the hub to its asker, with the error that it names. False: nobody asked. */
bool dw_pendings_answer(struct dw_pendings *all, const struct dw_wire *answer);
/* The asker is gone: what only reads is dropped at once, a message is sent on until it is stored. */
void dw_pendings_cancel(struct dw_pendings *all, uint64_t corr);
/* Ends what is overdue; heard_at: when the hub was heard, 0 if it never was. */
void dw_pendings_expire(struct dw_pendings *all, uint64_t now, uint64_t heard_at);
void dw_pendings_end_all(struct dw_pendings *all, int err);
/* Everything is to be sent again; what waits at the hub waits there for the rest of its time. */
void dw_pendings_unsend(struct dw_pendings *all);

#endif
