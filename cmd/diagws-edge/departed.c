/* Sessions that have ended: see departed.h. */
#include "departed.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "diagws/clock.h"
#include "uplink.h"

static struct dw_str
copy(char **names, struct dw_str name)
{
	char *at = *names;

	memcpy(at, name.p, name.n);
	*names += name.n;
	return (struct dw_str) { at, name.n };
}

static void
drop(struct departed *departed, struct departure *departure)
{
	DL_DELETE(departed->list, departure);
	departed->count--;
	free(departure);
}

void
departed_add(struct departed *departed, const struct dw_join *join, const struct dw_leave *leave)
{
	struct departure *departure = malloc(sizeof(*departure) + join->room.n + join->user.n + join->device.n);
	char *names;

	if (departure == NULL)
		return;
	*departure = (struct departure) { .told_at = dw_mono_ms(), .join = *join, .leave = *leave };
	departure->opened_at = departure->told_at - join->age;
	names = departure->names;
	departure->join.room = departure->leave.room = copy(&names, join->room);
	departure->join.user = copy(&names, join->user);
	departure->join.device = copy(&names, join->device);
	if (departed->count == DEPARTED_MAX)
		drop(departed, departed->list);
	DL_APPEND(departed->list, departure);
	departed->count++;
}

void
departed_tell(struct departed *departed, struct uplink *uplink)
{
	const uint64_t now = dw_mono_ms();
	struct departure *departure;

	DL_FOREACH(departed->list, departure)
	{
		struct dw_join join = departure->join;

		join.age = now - departure->opened_at;
		departure->told_at = now;
		if (!uplink_join(uplink, &join) ||
			!uplink_send(uplink, &(struct dw_wire) { .kind = DW_LEAVE, .leave = departure->leave }))
			return;
	}
}

void
departed_known(struct departed *departed, uint64_t pinged_at)
{
	while (departed->list != NULL && departed->list->told_at + DEPARTED_MS <= pinged_at)
		drop(departed, departed->list);
}

void
departed_clear(struct departed *departed)
{
	while (departed->list != NULL)
		drop(departed, departed->list);
}
