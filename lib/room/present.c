/* Who is connected, in whichever rooms: users by name, each with how many sessions. Its own file because it is the one
 * thing that is about no single room.
 *
 * Failure modes: memory. A user who goes while somebody looks at them stays until that one looks on.
 */
#include <stdlib.h>
#include <string.h>

#include "room/parts.h"

static struct dw_present *
find(const struct dw_rooms *all, struct dw_str user)
{
	struct dw_present *present;

	HASH_FIND(hh, all->present, user.p, user.n, present);
	return present;
}

static void
drop_if_gone(struct dw_rooms *all, struct dw_present *present)
{
	if (present->sessions > 0 || present->pins > 0)
		return;
	HASH_DEL(all->present, present);
	free(present);
}

struct dw_present *
dw_rooms_come(struct dw_rooms *all, struct dw_str user)
{
	struct dw_present *present = find(all, user);

	if (present == NULL) {
		present = calloc(1, sizeof(*present) + user.n + 1);
		if (present == NULL)
			return NULL;
		memcpy(present->user, user.p, user.n);
		HASH_ADD_KEYPTR(hh, all->present, present->user, user.n, present);
	}
	present->sessions++;
	return present;
}

void
dw_rooms_go(struct dw_rooms *all, struct dw_str user)
{
	struct dw_present *present = find(all, user);

	present->sessions--;
	drop_if_gone(all, present);
}

struct dw_present *
dw_rooms_next_present(struct dw_rooms *all, struct dw_present *present, bool last)
{
	struct dw_present *next = present != NULL ? present->hh.next : all->present;

	if (last)
		next = NULL;
	if (next != NULL)
		next->pins++;
	if (present != NULL) {
		present->pins--;
		drop_if_gone(all, present);
	}
	return next;
}
