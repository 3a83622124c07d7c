/* Loads of rooms, and what becomes of the frames that waited for them; and what is known of rooms at the start: how
 * much each retains, and where its devices stand, which the main thread reads before the store thread runs.
 *
 * Its own file because a load has two ends that are far apart: it is staged when it is its turn (load_queue.c), and
 * carried into its room when its batch has been committed. The frames that wait are carried out after the whole batch,
 * in order, before anything that comes later.
 *
 * Failure modes: the load fails: whoever waits is told. Where all who asked are gone the room is not loaded. Invariant:
 * a room counts as loading until its first frame is carried out, so that none overtakes those that wait.
 */
#include "rooms/load.h"

#include <assert.h>
#include <utlist.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "request.h"
#include "rooms/sessions.h"
#include "rooms/rooms.h"
#include "store/stage.h"

enum { LOADS = 64 }; /* rooms that are being loaded at a time */
enum { LOAD_BASE = 4 * 1024, LOAD_MESSAGE = 512, LOAD_MOST = 4 * 1024 * 1024 };

/* The first frame that waits; NULL: it is not to be dispatched. */
static struct peer *
take_request(struct hub *hub, const struct dw_op *load, struct resident *resident, struct request *request)
{
	struct waiting *waiting = resident->waiting;
	struct peer *peer = waiting != NULL ? peer_find(hub, waiting->peer) : NULL;

	/* A frame in the queue must not give up the room for the next: this holds it. */
	resident->holds += resident->loading;
	resident->loading = false;
	if (peer == NULL || peer->account != waiting->account)
		return NULL; /* it went, even if it is back */
	peer_answered(peer);
	/* Since then it has introduced itself anew, and asked again. */
	if (!peer->known || peer->incarnation != waiting->incarnation)
		return NULL;
	request->again = true;
	request->frame = (struct dw_str) { waiting->frame, waiting->n };
	if (dw_wire_unpack(&request->message, waiting->frame, waiting->n, NULL) != DW_OK) {
		hub->fatal = DW_E_NOMEM; /* as in hub_receive */
		return NULL;
	}
	if (request->message.kind == DW_JOIN)
		request->message.join.age += dw_mono_ms() - waiting->came_at;
	if (load->err == DW_OK)
		return peer;
	answer_failure(hub, peer->number, &request->message, load->err, NULL);
	return NULL;
}

static void
serve_waiting(struct hub *hub, struct later *later, request_fn *dispatch)
{
	struct staged *load = staged_of(later);
	struct dw_room *room = room_find(hub, dw_str(load->op.room));
	struct resident *resident = room->user;
	struct request request = { .poll = POLL_FIRST };
	struct peer *peer = take_request(hub, &load->op, resident, &request);

	if (peer != NULL)
		dispatch(hub, peer, &request);
	if (resident->waiting != NULL)
		waiting_free(hub, resident);
	if (resident->waiting != NULL)
		return;
	resident->holds--;
	room_done(hub, room);
	later_remove(hub, later);
	stage_free(hub, load);
}

/* False: no memory; it is tried again in the next turn. */
static bool
stage_load(struct hub *hub, struct resident *resident)
{
	struct account *account = resident->account;
	struct staged *load = stage_new(DW_OP_LOAD, dw_str(resident->room->name));

	if (load == NULL)
		return false;
	/* What it will bring: how many messages there are is known, and not how long they are. */
	load->bytes = dw_less(LOAD_BASE + dw_room_retained(resident->room) * LOAD_MESSAGE, LOAD_MOST);
	load->later.serve = serve_waiting;
	if (stage_add_for(hub, account, load) != DW_OK)
		return false;
	account->loads++;
	hub->loads++;
	load_unqueue(hub, resident);
	return true;
}

/* Not when all who asked are gone. */
static bool
is_awaited(const struct resident *resident)
{
	const struct waiting *waiting = resident->waiting;

	while (waiting != NULL && waiting->account->gone)
		waiting = waiting->next;
	return waiting != NULL || !resident->account->gone;
}

/* All who asked are gone. */
static void
drop_load(struct hub *hub, struct resident *resident)
{
	load_unqueue(hub, resident);
	resident->loading = false;
	while (resident->waiting != NULL)
		waiting_free(hub, resident);
	room_done(hub, resident->room);
}

void
rooms_load(struct hub *hub)
{
	while (hub->loaders != NULL && hub->loads < LOADS && !hub->closing) {
		struct account *account = hub->loaders;
		struct resident *resident = account->rooms;

		if (!is_awaited(resident)) {
			drop_load(hub, resident);
			continue;
		}
		/* Its turn is over, unless it is alone. */
		DL_DELETE(hub->loaders, account);
		DL_APPEND(hub->loaders, account);
		if (!stage_load(hub, resident))
			return;
	}
}

void
room_loaded(struct hub *hub, struct staged *staged)
{
	struct dw_room *room = room_find(hub, dw_str(staged->op.room));
	struct resident *resident = room->user;

	assert(resident != NULL && resident->loading && resident->account == NULL);
	hub->loads--;
	staged->account->loads--;
	account_list(hub, staged->account);
	if (staged->op.err == DW_OK)
		staged->op.err = dw_room_load(room, &staged->op, dw_now_ms());
	if (staged->op.err != DW_OK)
		dw_log_error("cannot load a room", "diagnosis_id=%s error=%s", room->name, dw_err_code(staged->op.err));
	else
		hub->resident_count++;
}

static int
add_summary(void *user, const struct dw_room_summary *summary)
{
	struct dw_room *room = room_get(user, dw_str(summary->room));

	if (room == NULL)
		return DW_E_NOMEM;
	dw_room_summarize(room, summary, dw_now_ms());
	room_watch_ages(user, room);
	return DW_OK;
}

static int
add_cursor(void *user, const struct dw_cursor *cursor)
{
	struct hub *hub = user;
	struct dw_room *room = room_get(hub, dw_str(cursor->room));

	if (room == NULL)
		return DW_E_NOMEM;
	/* A device that was away for too long is removed from the store. */
	if (!dw_room_count_cursor(room, cursor, dw_now_ms())) {
		struct dw_cursor gone = *cursor;

		gone.seen = 0;
		(void)cursor_stage(hub, NULL, &gone);
		room_done(hub, room);
		return DW_OK;
	}
	room_watch_ages(hub, room);
	return DW_OK;
}

int
rooms_start(struct hub *hub)
{
	return hub->engine->ops->scan(hub->engine, add_summary, add_cursor, hub);
}
