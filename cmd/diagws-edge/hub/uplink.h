/* The edge's connection to its hub. Whatever breaks (hub killed or frozen, frames lost, a full pipe) has one answer:
 * HELLO with a fresh incarnation, then every session joins again from where it stands, and requests that were not
 * answered are sent again (a PUBLISH has an id, so it is stored once).
 */
#ifndef UPLINK_H
#define UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

struct edge;
struct uplink;
struct uv_loop_s;

enum { UPLINK_ANSWER_MS = 5000 }; /* the hub has for an answer, besides what it is to wait */

typedef void uplink_done(void *user, int err, const struct dw_wire *answer);

struct uplink_config {
	const char *uri, *name; /* of the hub's socket; of this edge */
	struct uv_loop_s *loop;
};

/* What the link tells of; it looks into `edge` nowhere. */
struct uplink_events {
	/* It starts over: what the hub counted of us is over. */
	void (*lost)(struct edge *edge);
	/* The hub is there, and knows nothing of us but that; other: its store is another than before. */
	void (*welcomed)(struct edge *edge, bool other);
	/* MESSAGES, JOINED, CLOSE, or RECORDS that no request waits for. False: the link has to start over. */
	bool (*said)(struct edge *edge, const struct dw_wire *message);
	/* Ten times a second, while the hub is there. */
	void (*tick)(struct edge *edge);
	/* What has come was taken. True: the next turn is due at once. */
	bool (*turn)(struct edge *edge);
};

/* Connects. DW_E_CONFIG, DW_E_PERMISSION, DW_E_NOMEM. */
int uplink_new(struct uplink **out, const struct uplink_config *config, const struct uplink_events *events,
	struct edge *edge, struct dw_fault *fault);
/* Says BYE. The loop must run once more for its handles to close. */
void uplink_destroy(struct uplink **uplink_p);

bool uplink_ready(const struct uplink *uplink); /* the hub has welcomed us and was heard lately */
/* Why no message would be taken now, by what the hub said last; NULL: it would. */
const char *uplink_unready(const struct uplink *uplink);
const char *uplink_epoch(const struct uplink *uplink);
int uplink_fatal(const struct uplink *uplink); /* not 0: the hub will never have us (another version) */

/* False when the hub is not there; what matters is asked again later. */
bool uplink_send(struct uplink *uplink, const struct dw_wire *message);
/* A session has ended: the hub is told until it surely knows (departed.h). */
void uplink_depart(struct uplink *uplink, const struct dw_leave *leave);
/* There is something to do in the edge's next turn, which is soon. */
void uplink_turn(struct uplink *uplink);
/* Starts over: what the hub has sent cannot be right. */
void uplink_greet(struct uplink *uplink);
/* What was asked then has no answer: starts over if the hub must have had it. */
void uplink_doubt(struct uplink *uplink, uint64_t asked_at);

/* A request (PUBLISH, READ, STAT, OWN): `done` is called once, with the answer and the error that it names, or with an
 * error alone (DW_E_TIMEOUT; DW_E_BUSY is returned at once when too much is unanswered). A PUBLISH with `wait` that is
 * stored has `done` called twice: with STORED, then with DELIVERED or an error. */
int uplink_ask(struct uplink *uplink, const struct dw_wire *request, uplink_done *done, void *user, uint64_t *corr);
/* The asker is gone: `done` will not be called. */
void uplink_cancel(struct uplink *uplink, uint64_t corr);

#endif
