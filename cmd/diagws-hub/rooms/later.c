/* The queue of messages that waited and can be carried out now.
 *
 * Its own file because it knows neither what they waited for nor who carries them out. Happy path: a batch has been
 * applied, or a timer has fired, and something is added; right after that the turn serves the queue until it is empty
 * (turn.c). Whoever waited may have gone: what is in the queue sees to that when it is its turn.
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
