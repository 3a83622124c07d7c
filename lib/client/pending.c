/* The unanswered requests of a client. Its own file because the connection (client.c) is trouble enough: here is
 * which answer belongs to whom, and when one is overdue.
 *
 * The happy path: added at the end of the list, sent by the client, answered, out. A PUBLISH that waits for devices
 * has two answers: STORED leaves it in the list with a deadline of its own, DELIVERED ends it.
 *
 * Failure modes: an answer of a kind that does not fit (DW_E_PROTOCOL to its asker); no answer in time. An answer
 * that comes late, or twice after a repeat, is nobody's.
 *
 * Invariants: a request is out of the list before its last `done` is called; corr is a generation times
 * DW_PENDING_MAX, plus the place, so that it is never used twice.
 */
#include "client/pending.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"

enum {
	KEEP_BYTES = 1024, /* a larger frame's memory is given back when it was answered */
	GRACE_MS = 1000,   /* so long after its deadline comes the hub's word on who has it */
};

int
dw_pendings_init(struct dw_pendings *all, size_t window, uint64_t timeout_ms)
{
	assert(window >= 1 && window <= DW_PENDING_MAX);
	*all = (struct dw_pendings) { .window = window, .timeout_ms = timeout_ms, .look_at = UINT64_MAX };
	all->slots = calloc(window, sizeof(*all->slots));
	if (all->slots == NULL)
		return DW_E_NOMEM;
	for (size_t i = window; i-- > 0;) {
		all->slots[i].next = all->free;
		all->free = &all->slots[i];
	}
	return DW_OK;
}

void
dw_pendings_clear(struct dw_pendings *all)
{
	assert(all->first == NULL);
	for (size_t i = 0; all->slots != NULL && i < all->window; i++)
		dw_buf_clear(&all->slots[i].frame);
	free(all->slots);
	all->slots = NULL;
}

static void
set_corr(struct dw_wire *message, uint64_t corr)
{
	assert(message->kind == DW_PUBLISH || message->kind == DW_STAT || message->kind == DW_OWN);
	if (message->kind == DW_PUBLISH)
		message->publish.corr = corr;
	else if (message->kind == DW_STAT)
		message->stat.corr = corr;
	else
		message->own.corr = corr;
}

static void
set_due(struct dw_pendings *all, struct dw_pending *request, uint64_t due)
{
	request->due = due;
	if (due < all->look_at)
		all->look_at = due;
}

bool
dw_pendings_full(const struct dw_pendings *all)
{
	return all->free == NULL || all->bytes >= DW_PENDING_BYTES;
}

struct dw_pending *
dw_pendings_add(struct dw_pendings *all, const struct dw_wire *request, dw_client_done *done, void *user)
{
	struct dw_pending *slot = all->free;
	struct dw_wire message = *request;

	assert(slot != NULL);
	slot->corr = ++all->made * DW_PENDING_MAX + (uint64_t)(slot - all->slots);
	set_corr(&message, slot->corr);
	dw_buf_reset(&slot->frame);
	dw_wire_pack(&slot->frame, &message);
	if (!dw_buf_ok(&slot->frame))
		return NULL;
	all->free = slot->next;
	slot->since = dw_mono_ms();
	set_due(all, slot, slot->since + all->timeout_ms);
	slot->wait_ms = message.kind == DW_PUBLISH && message.publish.wait > 0 ? message.publish.wait_ms : 0;
	slot->stored = false;
	slot->asked = message.kind;
	slot->done = done;
	slot->user = user;
	slot->in_use = true;
	slot->prev = all->last;
	slot->next = NULL;
	*(all->last != NULL ? &all->last->next : &all->first) = slot;
	all->last = slot;
	if (all->unsent == NULL)
		all->unsent = slot;
	all->count++;
	all->bytes += slot->frame.len;
	return slot;
}

/* Takes a request out and tells its asker. */
static void
end_request(struct dw_pendings *all, struct dw_pending *request, int err, const struct dw_wire *answer)
{
	if (all->unsent == request)
		all->unsent = request->next;
	*(request->prev != NULL ? &request->prev->next : &all->first) = request->next;
	*(request->next != NULL ? &request->next->prev : &all->last) = request->prev;
	request->in_use = false;
	request->next = all->free;
	all->free = request;
	all->count--;
	all->ended++;
	if (!request->stored)
		all->bytes -= request->frame.len;
	if (request->frame.cap > KEEP_BYTES)
		dw_buf_clear(&request->frame);
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
		return answer == DW_STORED || (answer == DW_DELIVERED && request->stored);
	case DW_STAT:
		return answer == DW_TABLE;
	default:
		return answer == DW_OWNED || answer == DW_TABLE;
	}
}

/* The first of two answers; a hub that was away gives it again. */
static void
begin_wait(struct dw_pendings *all, struct dw_pending *request, const struct dw_wire *answer)
{
	const uint64_t grace = all->timeout_ms < GRACE_MS ? all->timeout_ms : GRACE_MS;

	if (request->stored)
		return;
	request->stored = true;
	all->bytes -= request->frame.len;
	request->since = dw_mono_ms();
	set_due(all, request, request->since + request->wait_ms + grace);
	request->done(request->user, DW_OK, answer);
}

void
dw_pendings_answer(struct dw_pendings *all, uint64_t corr, uint64_t code, const struct dw_wire *answer)
{
	struct dw_pending *request = &all->slots[corr % DW_PENDING_MAX % all->window];

	if (!request->in_use || request->corr != corr)
		return;
	if (!fits(request, answer->kind))
		end_request(all, request, DW_E_PROTOCOL, NULL);
	else if (answer->kind == DW_STORED && code == 0 && request->wait_ms > 0)
		begin_wait(all, request, answer);
	else
		end_request(all, request, code == 0 ? DW_OK : code <= 9999 ? -(int)code : DW_E_PROTOCOL, answer);
}

void
dw_pendings_expire(struct dw_pendings *all, uint64_t now, uint64_t heard_at)
{
	struct dw_pending *request = all->first;

	if (now < all->look_at)
		return;
	all->look_at = UINT64_MAX;
	while (request != NULL) {
		struct dw_pending *const next = request->next;

		if (now >= request->due)
			end_request(all, request, heard_at <= request->since ? DW_E_HUB_AWAY : DW_E_TIMEOUT, NULL);
		else
			set_due(all, request, request->due);
		request = next;
	}
}

void
dw_pendings_unsend(struct dw_pendings *all)
{
	const uint64_t now = dw_mono_ms();

	all->unsent = all->first;
	for (struct dw_pending *request = all->first; request != NULL; request = request->next) {
		const uint64_t end = request->since + request->wait_ms;

		if (request->stored)
			(void)dw_wire_wait(&request->frame, end > now ? end - now : 1);
	}
}
