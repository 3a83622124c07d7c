/* Requests of the edge and their answers, paired by `corr`. Its own file because the uplink's job is the
 * connection, and this outlives every connection.
 *
 * Happy path: packed once, kept until answered, sent again after each WELCOME. A PUBLISH that waits for devices is
 * answered twice: STORED leaves it here, DELIVERED ends it. What waits at the hub and is sent again waits there only
 * for the rest of its time.
 *
 * Failure modes: no answer in time (DW_E_TIMEOUT to the asker), too much unanswered (DW_E_BUSY at once). An asker who
 * is gone: what only reads is dropped at once, a message is sent on until it is stored.
 *
 * Invariants: an ask is out of the table before its last `done`; our `corr` have the highest bit set, so that they
 * are never taken for the small numbers that other users of the uplink may choose.
 */
#include "asks.h"

#include <stdlib.h>

#include <uthash.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "wire/bus.h"

enum { ASKS_MAX = 4096, BYTES_MAX = 64 * 1024 * 1024 };

static const uint64_t OURS = UINT64_C(1) << 63;

struct ask {
	UT_hash_handle hh;
	uint64_t corr;
	struct asks *asks;
	struct dw_wheel_timer timer;
	uplink_done *done; /* NULL: the asker is gone */
	void *user;
	uint64_t timeout_ms, wait_ms; /* for an answer that is due at once, and what comes on top when the hub waits */
	uint64_t wait_until;          /* 0: the hub does not wait, or not yet */
	enum dw_wire_kind kind;
	bool stored;         /* a PUBLISH that waits for devices now */
	struct dw_buf frame; /* to send it again */
};

static void
finish(struct ask *ask, int err, const struct dw_wire *answer)
{
	struct asks *asks = ask->asks;

	dw_wheel_cancel(&ask->timer);
	HASH_DEL(asks->by_corr, ask);
	asks->bytes -= ask->frame.len;
	if (ask->done != NULL)
		ask->done(ask->user, err, answer);
	dw_buf_clear(&ask->frame);
	free(ask);
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct ask *ask = (struct ask *)((char *)timer - offsetof(struct ask, timer));

	finish(ask, DW_E_TIMEOUT, NULL);
}

/* The hub begins to wait, or is about to: how long, and when an answer is overdue. */
static void
begin_wait(struct ask *ask)
{
	const uint64_t now = dw_mono_ms();

	ask->wait_until = ask->wait_ms > 0 ? now + ask->wait_ms : 0;
	dw_wheel_set(ask->asks->wheel, &ask->timer, now + ask->wait_ms + ask->timeout_ms);
}

int
asks_add(struct asks *asks, struct dw_wire *request, uint64_t timeout_ms, uplink_done *done, void *user, uint64_t *corr,
	struct dw_str *frame)
{
	struct ask *ask;

	if (HASH_COUNT(asks->by_corr) >= ASKS_MAX || asks->bytes >= BYTES_MAX)
		return DW_E_BUSY;
	ask = calloc(1, sizeof(*ask));
	if (ask == NULL)
		return DW_E_NOMEM;
	*ask =
		(struct ask) { .asks = asks, .corr = OURS | ++asks->made, .done = done, .user = user, .kind = request->kind };
	ask->timeout_ms = timeout_ms;
	ask->timer.fire = fire;
	request->publish.corr = ask->corr; /* the first field of every request */
	dw_wire_pack(&ask->frame, request);
	if (!dw_buf_ok(&ask->frame)) {
		dw_buf_clear(&ask->frame);
		free(ask);
		return DW_E_NOMEM;
	}
	HASH_ADD(hh, asks->by_corr, corr, sizeof(ask->corr), ask);
	asks->bytes += ask->frame.len;
	if (request->kind == DW_READ)
		ask->wait_ms = request->read.wait_ms;
	begin_wait(ask);
	if (request->kind == DW_PUBLISH && request->publish.wait > 0)
		ask->wait_ms = request->publish.wait_ms; /* begins with the commit */
	*corr = ask->corr;
	*frame = (struct dw_str) { ask->frame.data, ask->frame.len };
	return DW_OK;
}

static struct ask *
find(struct asks *asks, uint64_t corr)
{
	struct ask *ask;

	HASH_FIND(hh, asks->by_corr, &corr, sizeof(corr), ask);
	return ask;
}

void
asks_cancel(struct asks *asks, uint64_t corr)
{
	struct ask *ask = find(asks, corr);

	if (ask == NULL)
		return;
	ask->done = NULL;
	if (ask->kind != DW_PUBLISH || ask->stored)
		finish(ask, DW_E_CLOSING, NULL);
}

void
asks_give_up(struct asks *asks, uint64_t corr, int err)
{
	struct ask *ask = find(asks, corr);

	if (ask != NULL)
		finish(ask, err, NULL);
}

/* The first of two answers. It may come again after the hub was away. */
static void
take_stored(struct ask *ask, const struct dw_wire *answer)
{
	if (ask->stored)
		return;
	ask->stored = true;
	begin_wait(ask);
	ask->done(ask->user, DW_OK, answer);
}

bool
asks_answer(struct asks *asks, const struct dw_wire *answer)
{
	struct ask *ask = find(asks, answer->stored.corr); /* the first field of every answer */

	if (ask == NULL)
		return false;
	if (answer->kind == DW_STORED && answer->stored.code == 0 && ask->wait_ms > 0 && ask->done != NULL)
		take_stored(ask, answer);
	else
		finish(ask, DW_OK, answer);
	return true;
}

bool
asks_again(struct asks *asks, struct dw_bus *bus)
{
	const uint64_t now = dw_mono_ms();
	struct ask *ask, *next;

	HASH_ITER(hh, asks->by_corr, ask, next)
	{
		if (ask->wait_until > 0) {
			asks->bytes -= ask->frame.len;
			(void)dw_wire_wait(&ask->frame, ask->wait_until > now ? ask->wait_until - now : 1);
			asks->bytes += ask->frame.len;
		}
		if (dw_bus_send(bus, ask->frame.data, ask->frame.len) != DW_OK)
			return false;
	}
	return true;
}

void
asks_end(struct asks *asks, int err)
{
	struct ask *ask, *next;

	HASH_ITER(hh, asks->by_corr, ask, next)
	{
		finish(ask, err, NULL);
	}
}
