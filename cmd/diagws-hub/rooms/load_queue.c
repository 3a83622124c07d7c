/* Rooms that are to be loaded, and the frames that wait until theirs is.
 *
 * Its own file because it is about turns: only so many loads are under way, for one peer and in all, and peers take
 * turns: neither does a commit take long, nor one wait behind all that another has asked for. A room is queued on the
 * account of who asked for it first; load.c takes it from there.
 *
 * Failure modes: memory, told to whoever asked. Invariant: what a frame takes is on the account of its peer until it is
 * freed, also when that peer is gone.
 */
#include "rooms/load.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "hub.h"
#include "peers/peers.h"
#include "rooms/rooms.h"
#include "store/stage.h"

enum { LOADS_PEER = 32 }; /* rooms that are being loaded for one peer */

bool
room_waits(const struct dw_room *room)
{
	const struct resident *resident = room->user;

	return resident != NULL && resident->loading;
}

void
account_list(struct hub *hub, struct account *account)
{
	const bool may = account->rooms != NULL && account->loads < LOADS_PEER;

	if (may == account->listed)
		return;
	account->listed = may;
	if (may)
		DL_APPEND(hub->loaders, account);
	else
		DL_DELETE(hub->loaders, account);
}

static void
queue_load(struct hub *hub, struct resident *resident, struct account *account)
{
	resident->account = account;
	DL_APPEND2(account->rooms, resident, load_prev, load_next);
	account_list(hub, account);
}

void
load_unqueue(struct hub *hub, struct resident *resident)
{
	struct account *account = resident->account;

	if (account == NULL)
		return;
	resident->account = NULL;
	DL_DELETE2(account->rooms, resident, load_prev, load_next);
	account_list(hub, account);
	stage_uncount(hub, account, 0);
}

/* NULL: no memory. */
static struct resident *
make_resident(struct hub *hub, struct dw_room *room, struct account *account)
{
	struct resident *resident = calloc(1, sizeof(*resident));

	if (resident == NULL)
		return NULL;
	resident->room = room;
	resident->loading = true;
	room->user = resident;
	queue_load(hub, resident, account);
	return resident;
}

int
room_wait(struct hub *hub, struct dw_room *room, struct peer *peer, struct dw_str frame)
{
	struct account *account = stage_account(hub, peer);
	struct resident *resident = room->user;
	struct waiting *waiting;

	if (resident == NULL && account != NULL)
		resident = make_resident(hub, room, account);
	if (resident == NULL || account == NULL)
		return DW_E_NOMEM;
	assert(resident->loading);
	/* Who waits for nothing else does not wait behind all that somebody else has asked for. */
	if (resident->account != NULL && account->rooms == NULL) {
		load_unqueue(hub, resident);
		queue_load(hub, resident, account);
	}
	if (peer == NULL)
		return DW_OK;
	waiting = calloc(1, sizeof(*waiting) + frame.n);
	if (waiting == NULL)
		return DW_E_NOMEM;
	waiting->account = account;
	waiting->peer = peer->number;
	waiting->incarnation = peer->incarnation;
	waiting->came_at = dw_mono_ms();
	waiting->n = frame.n;
	memcpy(waiting->frame, frame.p, frame.n);
	DL_APPEND(resident->waiting, waiting);
	stage_count(hub, account, sizeof(*waiting) + frame.n);
	peer->pending++;
	return DW_OK;
}

void
waiting_free(struct hub *hub, struct resident *resident)
{
	struct waiting *waiting = resident->waiting;

	DL_DELETE(resident->waiting, waiting);
	stage_uncount(hub, waiting->account, sizeof(*waiting) + waiting->n);
	free(waiting);
}
