/* Requests in flight: those of the edge that the hub has not answered, paired with their answers by `corr`. Its own
 * file because the link is a connection, and this outlives every connection.
 *
 * Happy path: packed once, kept until answered, sent again after each WELCOME. A PUBLISH that waits for devices is
 * answered twice: STORED leaves it here, DELIVERED ends it. What waits at the hub and is sent again waits there only
 * for the rest of its time.
 *
 * Failure modes: no answer in time (DW_E_TIMEOUT to the asker), too much unanswered (DW_E_BUSY at once). An asker who
 * is gone: what only reads is dropped at once, a message is sent on until it is stored.
 *
 * Invariants: a request is out of the table before its last `done`; our `corr` have the highest bit set, so that they
 * are never taken for the small numbers that other users of the uplink may choose.
 */
#include "inflight.h"

#include <stdlib.h>

#include <uthash.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "wire/bus.h"

enum { REQUESTS_MAX = 4096, BYTES_MAX = 64 * 1024 * 1024 };

static const uint64_t OURS = UINT64_C(1) << 63;

struct inflight_request {
	UT_hash_handle hh;
	uint64_t corr;
	struct inflight *inflight;
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
finish(struct inflight_request *request, int err, const struct dw_wire *answer)
{
	struct inflight *inflight = request->inflight;

	dw_wheel_cancel(&request->timer);
	HASH_DEL(inflight->by_corr, request);
	inflight->bytes -= request->frame.len;
	if (request->done != NULL)
		request->done(request->user, err, answer);
	dw_buf_clear(&request->frame);
	free(request);
}

static void
fire(struct dw_wheel_timer *timer)
{
	struct inflight_request *request =
		(struct inflight_request *)((char *)timer - offsetof(struct inflight_request, timer));

	finish(request, DW_E_TIMEOUT, NULL);
}

/* The hub begins to wait, or is about to: how long, and when an answer is overdue. */
static void
begin_wait(struct inflight_request *request)
{
	const uint64_t now = dw_mono_ms();

	request->wait_until = request->wait_ms > 0 ? now + request->wait_ms : 0;
	dw_wheel_set(request->inflight->wheel, &request->timer, now + request->wait_ms + request->timeout_ms);
}

int
inflight_add(struct inflight *inflight, struct dw_wire *message, uint64_t timeout_ms, uplink_done *done, void *user,
	uint64_t *corr, struct dw_str *frame)
{
	struct inflight_request *request;

	if (HASH_COUNT(inflight->by_corr) >= REQUESTS_MAX || inflight->bytes >= BYTES_MAX)
		return DW_E_BUSY;
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return DW_E_NOMEM;
	*request = (struct inflight_request) {
		.inflight = inflight, .corr = OURS | ++inflight->made, .done = done, .user = user, .kind = message->kind
	};
	request->timeout_ms = timeout_ms;
	request->timer.fire = fire;
	message->publish.corr = request->corr; /* the first field of every request */
	dw_wire_pack(&request->frame, message);
	if (!dw_buf_ok(&request->frame)) {
		dw_buf_clear(&request->frame);
		free(request);
		return DW_E_NOMEM;
	}
	HASH_ADD(hh, inflight->by_corr, corr, sizeof(request->corr), request);
	inflight->bytes += request->frame.len;
	if (message->kind == DW_READ)
		request->wait_ms = message->read.wait_ms;
	begin_wait(request);
	if (message->kind == DW_PUBLISH && message->publish.wait > 0)
		request->wait_ms = message->publish.wait_ms; /* begins with the commit */
	*corr = request->corr;
	*frame = (struct dw_str) { request->frame.data, request->frame.len };
	return DW_OK;
}

static struct inflight_request *
find(struct inflight *inflight, uint64_t corr)
{
	struct inflight_request *request;

	HASH_FIND(hh, inflight->by_corr, &corr, sizeof(corr), request);
	return request;
}

void
inflight_cancel(struct inflight *inflight, uint64_t corr)
{
	struct inflight_request *request = find(inflight, corr);

	if (request == NULL)
		return;
	request->done = NULL;
	if (request->kind != DW_PUBLISH || request->stored)
		finish(request, DW_E_CLOSING, NULL);
}

void
inflight_give_up(struct inflight *inflight, uint64_t corr, int err)
{
	struct inflight_request *request = find(inflight, corr);

	if (request != NULL)
		finish(request, err, NULL);
}

/* The first of two answers. It may come again after the hub was away. */
static void
take_stored(struct inflight_request *request, const struct dw_wire *answer)
{
	if (request->stored)
		return;
	request->stored = true;
	begin_wait(request);
	request->done(request->user, DW_OK, answer);
}

bool
inflight_answer(struct inflight *inflight, const struct dw_wire *answer)
{
	struct inflight_request *request = find(inflight, answer->stored.corr); /* the first field of every answer */

	if (request == NULL)
		return false;
	if (answer->kind == DW_STORED && answer->stored.code == 0 && request->wait_ms > 0 && request->done != NULL)
		take_stored(request, answer);
	else
		finish(request, DW_OK, answer);
	return true;
}

bool
inflight_again(struct inflight *inflight, struct dw_bus *bus)
{
	const uint64_t now = dw_mono_ms();
	struct inflight_request *request, *next;

	HASH_ITER(hh, inflight->by_corr, request, next)
	{
		if (request->wait_until > 0) {
			inflight->bytes -= request->frame.len;
			(void)dw_wire_wait(&request->frame, request->wait_until > now ? request->wait_until - now : 1);
			inflight->bytes += request->frame.len;
		}
		if (dw_bus_send(bus, request->frame.data, request->frame.len) != DW_OK)
			return false;
	}
	return true;
}

void
inflight_end(struct inflight *inflight, int err)
{
	struct inflight_request *request, *next;

	HASH_ITER(hh, inflight->by_corr, request, next)
	{
		finish(request, err, NULL);
	}
}
