/* The queue of messages that waited and can be carried out now.
 *
 * Its own file because it knows neither what they waited for nor who carries them out: so those whom a message waits
 * for need not know what becomes of it. Order is that of the queue, and within one that has several their own.
 *
 * Happy path: a batch has been applied, or a timer has fired, and something is added; right after that the turn serves
 * the queue until it is empty (turn.c). Failure modes: whoever waited may have gone: what is in the queue sees to that
 * when it is its turn. Invariant: between two steps of a turn the queue is empty.
 */
#include "request.h"

#include <utlist.h>

#include "hub.h"

void
later_add(struct hub *hub, struct later *later)
{
	if (later->prev == NULL)
		DL_APPEND(hub->later, later);
}

void
later_remove(struct hub *hub, struct later *later)
{
	if (later->prev != NULL)
		DL_DELETE(hub->later, later);
	later->prev = NULL;
}

void
later_serve(struct hub *hub, request_fn *dispatch)
{
	while (hub->later != NULL)
		hub->later->serve(hub, hub->later, dispatch);
}
