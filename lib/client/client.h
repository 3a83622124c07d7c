/* A connection to the hub for programs without a loop, libdiagws and commands: introduces itself, pairs answers with
 * requests, and after a lost connection sends what is unanswered again. Edges have their own
 * (cmd/diagws-edge/hub/uplink.c).
 */
#ifndef DIAGWS_CLIENT_H
#define DIAGWS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/wire.h"

struct dw_client;

/* An answer: `message` is DW_STORED, DW_DELIVERED, DW_TABLE, DW_OWNED, or NULL when none came (err says why). Borrowed.
 * It may call dw_client_ask, which then gives DW_E_BUSY instead of waiting for room (as dw_client_flush does); not
 * destroy the client. */
typedef void dw_client_done(void *user, int err, const struct dw_wire *message);

struct dw_client_config {
	const char *endpoint; /* NULL: the default */
	const char *name;
	int64_t timeout_ms;
	size_t window; /* unanswered requests, 1..4096; fewer where those that are not stored yet have 1 MiB */
	/* What is asked waits for the next dw_client_poll and goes out together: for those who ask for much before they
	 * poll. Else it goes out at once. */
	bool gathers;
	/* NULL, or another client of the same thread, whose background thread this shall use too. */
	const struct dw_client *beside;
};

int dw_client_new(struct dw_client **out, const struct dw_client_config *config, struct dw_fault *fault);
/* Ends what is unanswered with DW_E_CLOSING, without waiting. */
void dw_client_destroy(struct dw_client **client_p);
/* The window has room for another request. */
bool dw_client_has_room(const struct dw_client *client);
/* Sends a PUBLISH, STAT or OWN; corr is filled in here. Waits for room in the window. `done` is called
 * exactly once if and only if DW_OK is returned. DW_E_HUB_AWAY, DW_E_TIMEOUT, DW_E_VERSION, DW_E_NOMEM.
 * A PUBLISH with `wait` (then wait_ms is not 0) that is stored has `done` called twice: with DW_STORED, then with
 * DW_DELIVERED (DW_OK, or DW_E_UNDELIVERED and how many did) or an error: wait_ms and a second after it was stored at
 * the latest. The config's timeout_ms is for DW_STORED. */
int dw_client_ask(struct dw_client *client, const struct dw_wire *request, dw_client_done *done, void *user);
/* Takes answers, times out what is overdue; returns how many are unanswered or an error that ended them all. */
int dw_client_poll(struct dw_client *client, int64_t wait_ms);
int dw_client_flush(struct dw_client *client);
int dw_client_fd(const struct dw_client *client);
/* Fills fault for an error that came without an answer: what the hub said when it ended everything, or which hub does
 * not answer. */
void dw_client_explain(const struct dw_client *client, int err, struct dw_fault *fault);

#endif
