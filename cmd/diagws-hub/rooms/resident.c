/* Rooms in memory: asked for, loaded through the batch, kept while somebody is there, and given up least
 * recently used first when memory is over its bound.
 *
 * Happy path: a frame needs a room that is not resident: the frame waits, a load is staged; when its
 * batch is committed the room is filled and the frames that wait are carried out, in order. Only so many loads are
 * under way, for one peer and in all, and peers take turns: neither does a commit take long, nor one wait behind all
 * that another has asked for.
 *
 * Failure modes: the load fails: whoever waits is told. Invariants: a room that has a session, something
 * to write, something on its way to or from the store, or a frame that waits, is not given up.
 */
#include "hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "cli/logging.h"

enum { LOAD_BASE = 4 * 1024, LOAD_MESSAGE = 512, LOAD_MOST = 4 * 1024 * 1024 };

bool
room_waits(const struct dw_room *room)
{
	const struct seat *seat = room->user;

	return seat != NULL && seat->loading;
}

/* Whether the account may have its next room loaded, when its turn comes. */
static void
list_loader(struct hub *hub, struct account *account)
{
	const bool may = account->rooms != NULL && account->loads < HUB_LOADS_PEER;

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
	list_loader(hub, account);
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
	list_loader(hub, account);
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

/* What a load will bring, as far as it can be told: how many messages there are is known, and not how long they are. */
static size_t
guess_load(const struct dw_room *room)
{
	const uint64_t bytes = LOAD_BASE + dw_room_retained(room) * LOAD_MESSAGE;

	return bytes < LOAD_MOST ? (size_t)bytes : LOAD_MOST;
}

/* False: no memory; it is tried again in the next turn. */
static bool
stage_load(struct hub *hub, struct seat *seat)
{
	struct account *account = seat->account;
	struct staged *load = stage_new(DW_OP_LOAD, dw_str(seat->room->name));

	if (load == NULL)
		return false;
	load->bytes = guess_load(seat->room);
	if (stage_add_for(hub, account, load) != DW_OK)
		return false;
	account->loads++;
	hub->loads++;
	seat_unqueue(hub, seat);
	return true;
}

/* Not when all who asked are gone. */
static bool
is_awaited(const struct seat *seat)
{
	const struct waiting *waiting = seat->waiting;

	while (waiting != NULL && waiting->account->gone)
		waiting = waiting->next;
	return waiting != NULL || !seat->account->gone;
}

void
rooms_load(struct hub *hub)
{
	while (hub->loaders != NULL && hub->loads < HUB_LOADS && !hub->closing) {
		struct account *account = hub->loaders;
		struct seat *seat = account->rooms;

		if (!is_awaited(seat)) {
			seat_unqueue(hub, seat);
			room_serve_waiting(hub, seat->room);
			continue;
		}
		/* Its turn is over, unless it is alone. */
		DL_DELETE(hub->loaders, account);
		DL_APPEND(hub->loaders, account);
		if (!stage_load(hub, seat))
			return;
	}
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
room_loaded(struct hub *hub, struct staged *staged)
{
	struct dw_room *room = room_find(hub, dw_str(staged->op.room));
	struct seat *seat = room->user;

	assert(seat != NULL && seat->loading && !seat->queued);
	hub->loads--;
	staged->account->loads--;
	list_loader(hub, staged->account);
	seat->load_err = staged->op.err;
	if (seat->load_err == DW_OK)
		seat->load_err = dw_room_load(room, &staged->op, dw_now_ms());
	if (seat->load_err != DW_OK)
		dw_log_error("cannot load a room", "diagnosis_id=%s error=%s", room->name, dw_err_code(seat->load_err));
	else
		hub->resident++;
}

static void
serve_one(struct hub *hub, const struct waiting *waiting, int load_err)
{
	const struct dw_str frame = { waiting->frame, waiting->n };
	struct peer *peer = peer_find(hub, waiting->peer);
	struct dw_wire message;

	if (peer == NULL || peer->account != waiting->account)
		return; /* it went, even if it is back */
	peer_answered(peer);
	/* Since then it has introduced itself anew, and asked again. */
	if (!peer->known || peer->incarnation != waiting->incarnation)
		return;
	if (dw_wire_unpack(&message, frame.p, frame.n, NULL) != DW_OK) {
		hub->fatal = DW_E_NOMEM; /* as in hub_receive */
		return;
	}
	if (message.kind == DW_JOIN)
		message.join.age += dw_mono_ms() - waiting->came_at;
	if (load_err != DW_OK)
		answer_failure(hub, peer->number, &message, load_err, NULL);
	else
		hub_dispatch(hub, peer, &message, frame);
}

void
room_serve_waiting(struct hub *hub, struct dw_room *room)
{
	struct seat *seat = room->user;
	struct waiting *queue = seat->waiting, *waiting, *next;
	int load_err = seat->load_err;

	seat->waiting = NULL;
	seat->loading = false;
	/* A frame in the queue must not give up the room for the next: this holds it. */
	seat->holds++;
	hub->replaying = true;
	DL_FOREACH_SAFE(queue, waiting, next)
	{
		serve_one(hub, waiting, load_err);
		stage_uncount(hub, waiting->account, sizeof(*waiting) + waiting->n);
		free(waiting);
	}
	hub->replaying = false;
	seat->holds--;
	room_settle(hub, room);
}

static void
unlist_dirty(struct hub *hub, struct seat *seat)
{
	DL_DELETE2(hub->dirty, seat, dirty_prev, dirty_next);
	hub->dirty_rooms--;
}

static void
leave_seat(struct hub *hub, struct dw_room *room)
{
	struct seat *seat = room->user;

	if (seat->idle)
		DL_DELETE(hub->idle, seat);
	if (seat->dirty)
		unlist_dirty(hub, seat);
	hub->memory -= seat->memory;
	if (dw_room_resident(room)) {
		dw_room_unload(room);
		hub->resident--;
	}
	free(seat);
	room->user = NULL;
}

/* Gives up being resident, and the room itself when nothing is to be remembered of it. */
static void
give_up(struct hub *hub, struct dw_room *room)
{
	if (room->user != NULL)
		leave_seat(hub, room);
	if (room->pins > 0 || !dw_room_forgettable(room, dw_now_ms()))
		return;
	assert(hub->rooms != NULL);
	HASH_DEL(hub->rooms, room);
	dw_wheel_cancel(&room->ages);
	dw_room_destroy(&room);
}

static void
list_dirty(struct hub *hub, struct dw_room *room, struct seat *seat)
{
	bool dirty = room->dirty != NULL || room->gone != NULL || room->unsettled;

	if (dirty == seat->dirty)
		return;
	seat->dirty = dirty;
	if (!dirty) {
		unlist_dirty(hub, seat);
		return;
	}
	DL_APPEND2(hub->dirty, seat, dirty_prev, dirty_next);
	hub->dirty_rooms++;
}

void
room_settle(struct hub *hub, struct dw_room *room)
{
	struct seat *seat = room->user;
	bool held;

	room_watch_ages(hub, room);
	if (seat == NULL) {
		give_up(hub, room);
		return;
	}
	hub->memory -= seat->memory;
	seat->memory = dw_room_memory(room);
	hub->memory += seat->memory;
	list_dirty(hub, room, seat);
	held = seat->loading || seat->writing > 0 || seat->holds > 0 || seat->polls != NULL || seat->awaited != NULL ||
		   seat->dirty || room->session_count > 0 || room->readers != NULL;
	if (seat->idle)
		DL_DELETE(hub->idle, seat);
	seat->idle = !held;
	if (held)
		return;
	DL_APPEND(hub->idle, seat);
	if (!dw_room_resident(room) || dw_room_forgettable(room, dw_now_ms()))
		give_up(hub, room);
}

void
rooms_evict(struct hub *hub)
{
	while (hub->idle != NULL && hub->memory > (size_t)hub->options->memory_limit)
		give_up(hub, hub->idle->room);
}
