/* Rooms that are to be loaded, and the frames that wait until theirs is.
 *
 * Its own file because it is about turns: only so many loads are under way, for one peer and in all, and peers take
 * turns: neither does a commit take long, nor one wait behind all that another has asked for.
 *
 * Happy path: a frame needs a room that is not resident: the frame waits, its room is queued, on the account of who
 * asked for it first; load.c takes it from there.
 */
#include "rooms/load_queue.h"

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
	const struct seat *seat = room->user;

	return seat != NULL && seat->loading;
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
queue_seat(struct hub *hub, struct seat *seat, struct account *account)
{
	seat->account = account;
	seat->queued = true;
	DL_APPEND2(account->rooms, seat, load_prev, load_next);
	account_list(hub, account);
}

void
seat_unqueue(struct hub *hub, struct seat *seat)
{
	struct account *account = seat->account;

	if (!seat->queued)
		return;
	seat->queued = false;
	seat->account = NULL;
	DL_DELETE2(account->rooms, seat, load_prev, load_next);
	account_list(hub, account);
	stage_uncount(hub, account, 0);
}

static int
take_seat(struct hub *hub, struct dw_room *room, struct account *account)
{
	struct seat *seat = account != NULL ? calloc(1, sizeof(*seat)) : NULL;

	if (seat == NULL)
		return DW_E_NOMEM;
	seat->room = room;
	seat->loading = true;
	room->user = seat;
	queue_seat(hub, seat, account);
	return DW_OK;
}

int
room_wait(struct hub *hub, struct dw_room *room, struct peer *peer, struct dw_str frame)
{
	struct account *account = stage_account(hub, peer);
	struct waiting *waiting;
	struct seat *seat;

	if (room->user == NULL) {
		int err = take_seat(hub, room, account);

		if (err != DW_OK)
			return err;
	}
	seat = room->user;
	assert(seat->loading);
	/* Who waits for nothing else does not wait behind all that somebody else has asked for. */
	if (seat->queued && account != NULL && account->rooms == NULL) {
		seat_unqueue(hub, seat);
		queue_seat(hub, seat, account);
	}
	if (peer == NULL)
		return DW_OK;
	waiting = account != NULL ? calloc(1, sizeof(*waiting) + frame.n) : NULL;
	if (waiting == NULL)
		return DW_E_NOMEM;
	waiting->account = account;
	waiting->peer = peer->number;
	waiting->incarnation = peer->incarnation;
	waiting->came_at = dw_mono_ms();
	waiting->n = frame.n;
	memcpy(waiting->frame, frame.p, frame.n);
	DL_APPEND(seat->waiting, waiting);
	stage_count(hub, account, sizeof(*waiting) + frame.n);
	peer->pending++;
	return DW_OK;
}

void
waiting_free(struct hub *hub, struct waiting *waiting)
{
	stage_uncount(hub, waiting->account, sizeof(*waiting) + waiting->n);
	free(waiting);
}
