/* Sessions that have ended: see departed.h. */
#include "departed.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"

static struct dw_str
copy(char **names, struct dw_str name)
{
	char *at = *names;

	memcpy(at, name.p, name.n);
	*names += name.n;
	return (struct dw_str) { at, name.n };
}

static void
drop_first(struct departed *departed)
{
	struct departure *first = departed->list;

	if (departed->next == first)
		departed->next = first->next;
	DL_DELETE(departed->list, first);
	departed->count--;
	free(first);
}

void
departed_add(struct departed *departed, const struct dw_leave *leave)
{
	struct departure *departure = malloc(sizeof(*departure) + leave->room.n + leave->user.n + leave->device.n);
	char *names;

	if (departure == NULL)
		return;
	*departure = (struct departure) { .told_at = dw_mono_ms(), .leave = *leave };
	names = departure->names;
	departure->leave.room = copy(&names, leave->room);
	departure->leave.user = copy(&names, leave->user);
	departure->leave.device = copy(&names, leave->device);
	if (departed->count == DEPARTED_MAX)
		drop_first(departed);
	DL_APPEND(departed->list, departure);
	departed->count++;
}

void
departed_again(struct departed *departed)
{
	departed->next = departed->list;
}

const struct dw_leave *
departed_next(struct departed *departed)
{
	struct departure *next = departed->next;

	if (next == NULL)
		return NULL;
	next->told_at = dw_mono_ms();
	departed->next = next->next;
	return &next->leave;
}

void
departed_known(struct departed *departed, uint64_t pinged_at)
{
	while (departed->list != NULL && departed->list != departed->next &&
		   departed->list->told_at + DEPARTED_MS <= pinged_at)
		drop_first(departed);
}

void
departed_clear(struct departed *departed)
{
	while (departed->list != NULL)
		drop_first(departed);
}
