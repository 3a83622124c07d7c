/* The unanswered requests of who asks a hub: which answer belongs to whom, and when one is overdue. They outlive every
 * connection.
 *
 * The happy path: added at the end of the list, sent, answered, out. A PUBLISH that waits for devices has two answers:
 * STORED leaves it in the list with a deadline of its own, DELIVERED ends it. Failure modes: an answer of a kind that
 * does not fit (DW_E_PROTOCOL to its asker); no answer in time. One that comes late, or twice after a repeat, is
 * nobody's.
 *
 * Invariants: a request is out of the list before its last `done` is called; corr is a generation times
 * DW_PENDING_MAX, plus the place, so that it is never used twice.
 */
#include "client/pending.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "wire/bus.h"

enum { KEEP_BYTES = 1024 }; /* a larger frame's memory is given back when it was answered */

int
dw_pendings_init(struct dw_pendings *all)
{
	assert(all->window >= 1 && all->window <= DW_PENDING_MAX);
	all->look_at = UINT64_MAX;
	all->slots = calloc(all->window, sizeof(*all->slots));
	return all->slots != NULL ? DW_OK : DW_E_NOMEM;
}

void
dw_pendings_clear(struct dw_pendings *all)
{
	assert(all->first == NULL);
	for (size_t i = 0; i < all->used; i++)
		dw_buf_clear(&all->slots[i].frame);
	dw_buf_clear(&all->together);
	free(all->slots);
	all->slots = NULL;
}

static void
set_due(struct dw_pendings *all, struct dw_pending *request, uint64_t due)
{
	request->due = due;
	if (due < all->look_at)
		all->look_at = due;
}

/* From now on the hub has so long for its answer. */
static void
await_answer(struct dw_pendings *all, struct dw_pending *request)
{
	request->since = dw_mono_ms();
	set_due(all, request, request->since + (request->waits ? request->wait_ms + all->grace_ms : all->timeout_ms));
}

bool
dw_pendings_full(const struct dw_pendings *all)
{
	return all->count == all->window || all->bytes >= all->bytes_max;
}

static uint64_t
wait_of(const struct dw_wire *request)
{
	if (request->kind == DW_PUBLISH)
		return request->publish.wait > 0 ? request->publish.wait_ms : 0;
	return request->kind == DW_READ ? request->read.wait_ms : 0;
}

struct dw_pending *
dw_pendings_add(struct dw_pendings *all, const struct dw_wire *request, dw_client_done *done, void *user)
{
	struct dw_pending *slot = all->free;
	struct dw_wire message = *request;

	assert(all->count < all->window);
	if (slot == NULL)
		slot = all->free = &all->slots[all->used++];
	slot->corr = ++all->made * DW_PENDING_MAX + (uint64_t)(slot - all->slots);
	message.publish.corr = slot->corr; /* the first field of every request */
	dw_buf_reset(&slot->frame);
	dw_wire_pack(&slot->frame, &message);
	if (!dw_buf_ok(&slot->frame))
		return NULL;
	all->free = slot->next;
	slot->wait_ms = wait_of(request);
	slot->waits = message.kind == DW_READ && slot->wait_ms > 0; /* a PUBLISH not before it is stored */
	await_answer(all, slot);
	slot->asked = message.kind;
	slot->done = done;
	slot->user = user;
	slot->in_use = true;
	DL_APPEND(all->first, slot);
	if (all->unsent == NULL)
		all->unsent = slot;
	all->count++;
	slot->counted = slot->frame.len;
	all->bytes += slot->counted;
	return slot;
}

bool
dw_pendings_send(struct dw_pendings *all, struct dw_bus *bus)
{
	while (all->unsent != NULL) {
		const struct dw_buf *frame = &all->unsent->frame;
		struct dw_pending *next = all->unsent->next;

		if (next != NULL && frame->len + next->frame.len <= DW_WIRE_TOGETHER) {
			dw_buf_reset(&all->together);
			dw_buf_add(&all->together, frame->data, frame->len);
			for (; next != NULL && all->together.len + next->frame.len <= DW_WIRE_TOGETHER; next = next->next)
				dw_buf_add(&all->together, next->frame.data, next->frame.len);
			frame = &all->together;
		}
		if (!dw_buf_ok(frame) || dw_bus_send(bus, frame->data, frame->len) != DW_OK)
			return false;
		all->unsent = next;
	}
	return true;
}

/* Takes a request out and tells its asker. */
static void
end_request(struct dw_pendings *all, struct dw_pending *request, int err, const struct dw_wire *answer)
{
	if (all->unsent == request)
		all->unsent = request->next;
	DL_DELETE(all->first, request);
	request->in_use = false;
	request->next = all->free;
	all->free = request;
	all->count--;
	all->ended++;
	all->bytes -= request->counted;
	if (request->frame.cap > KEEP_BYTES)
		dw_buf_clear(&request->frame);
	if (request->done != NULL)
		request->done(request->user, err, answer);
}

void
dw_pendings_end_all(struct dw_pendings *all, int err)
{
	while (all->first != NULL)
		end_request(all, all->first, err, NULL);
}

static bool
fits(const struct dw_pending *request, enum dw_wire_kind answer)
{
	switch (request->asked) {
	case DW_PUBLISH:
		return answer == DW_STORED || (answer == DW_DELIVERED && request->waits);
	case DW_READ:
		return answer == DW_RECORDS;
	case DW_STAT:
		return answer == DW_TABLE;
	case DW_OWN:
		return answer == DW_OWNED || answer == DW_TABLE;
	default:
		return false;
	}
}

/* The first of two answers; a hub that was away gives it again. */
static void
begin_wait(struct dw_pendings *all, struct dw_pending *request, const struct dw_wire *answer)
{
	if (request->waits)
		return;
	request->waits = true;
	if (!all->counts_waiting) {
		all->bytes -= request->counted;
		request->counted = 0;
	}
	await_answer(all, request);
	request->done(request->user, DW_OK, answer);
}

static struct dw_pending *
find(const struct dw_pendings *all, uint64_t corr)
{
	struct dw_pending *request = &all->slots[corr % DW_PENDING_MAX % all->window];

	return request->in_use && request->corr == corr ? request : NULL;
}

bool
dw_pendings_answer(struct dw_pendings *all, const struct dw_wire *answer)
{
	struct dw_pending *request = find(all, answer->stored.corr); /* corr and code: the first fields of every answer */
	const uint64_t code = answer->stored.code;

	if (request == NULL)
		return false;
	if (!fits(request, answer->kind))
		end_request(all, request, DW_E_PROTOCOL, NULL);
	else if (answer->kind == DW_STORED && code == 0 && request->wait_ms > 0 && request->done != NULL)
		begin_wait(all, request, answer);
	else
		end_request(all, request, code == 0 ? DW_OK : code <= 9999 ? -(int)code : DW_E_PROTOCOL, answer);
	return true;
}

void
dw_pendings_cancel(struct dw_pendings *all, uint64_t corr)
{
	struct dw_pending *request = find(all, corr);

	if (request == NULL)
		return;
	request->done = NULL;
	if (request->asked != DW_PUBLISH || request->waits)
		end_request(all, request, DW_E_CLOSING, NULL);
}

void
dw_pendings_expire(struct dw_pendings *all, uint64_t now, uint64_t heard_at)
{
	struct dw_pending *request = all->first;

	if (now < all->look_at)
		return;
	all->look_at = UINT64_MAX;
	while (request != NULL) {
		if (now >= request->due) {
			end_request(all, request, heard_at <= request->since ? DW_E_HUB_AWAY : DW_E_TIMEOUT, NULL);
			request = all->first; /* its asker may have ended others */
		} else {
			set_due(all, request, request->due);
			request = request->next;
		}
	}
}

void
dw_pendings_unsend(struct dw_pendings *all)
{
	const uint64_t now = dw_mono_ms();

	all->unsent = all->first;
	for (struct dw_pending *request = all->first; request != NULL; request = request->next) {
		const uint64_t end = request->since + request->wait_ms;

		if (request->waits)
			(void)dw_wire_wait(&request->frame, end > now ? end - now : 1);
	}
}
