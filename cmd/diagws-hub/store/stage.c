/* The batch: what waits for the next commit, and for whom; and the frames that wait beside an operation in it, for the
 * answer to a question about them (rooms/question.c).
 *
 * A LEAVE finds its session's JOIN that waits, however many wait. A JOIN whose room has others that are still outside
 * waits behind them: which of two connections of a device came last decides which stays.
 *
 * Its own file because the bounds on staged bytes, on each peer's share of them and of a batch, and on its unanswered
 * requests are kept here. What an operation takes, and what the engine will bring for it, is on the account of the peer
 * that asked until the operation is freed, also when that peer is gone. Failure modes: memory, told to the handler,
 * which answers. The peer is gone or has introduced itself anew, or the session left: nobody waits.
 */
#include "store/stage.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub.h"
#include "peers/peers.h"
#include "store/store.h"

/* ---- frames that wait until the engine has answered a question about them */

/* JOINs whose user's right is being looked up. */
struct lobby {
	UT_hash_handle hh;
	size_t count;
	char room[DW_ROOM_MAX + 1];
};

static struct lobby *
find_lobby(const struct hub *hub, struct dw_str room)
{
	struct lobby *lobby;

	HASH_FIND(hh, hub->lobbies, room.p, room.n, lobby);
	return lobby;
}

static bool
enter_lobby(struct hub *hub, struct asked *asked, struct dw_str room)
{
	struct lobby *lobby = find_lobby(hub, room);

	if (lobby == NULL) {
		lobby = calloc(1, sizeof(*lobby));
		if (lobby == NULL || !dw_str_copy(room, lobby->room, sizeof(lobby->room))) {
			free(lobby);
			return false;
		}
		HASH_ADD_KEYPTR(hh, hub->lobbies, lobby->room, room.n, lobby);
	}
	lobby->count++;
	asked->lobby = lobby;
	return true;
}

/* A LEAVE finds it no more, and no JOIN waits for it. */
static void
unlist(struct hub *hub, struct asked *asked)
{
	struct lobby *lobby = asked->lobby;

	if (asked->listed)
		HASH_DEL(hub->asked, asked);
	asked->listed = false;
	asked->lobby = NULL;
	if (lobby == NULL || --lobby->count > 0)
		return;
	HASH_DEL(hub->lobbies, lobby);
	free(lobby);
}

static struct asked_key
key_of(const struct peer *peer, uint64_t session, struct dw_str room, bool right)
{
	struct asked_key key = { .peer = peer->number, .session = session, .right = right };

	if (room.n <= DW_ROOM_MAX)
		memcpy(key.room, room.p, room.n);
	return key;
}

struct asked *
asked_new(struct hub *hub, const struct peer *peer, const struct dw_wire *message, struct dw_room *room)
{
	struct dw_buf *frame = &hub->outbox.scratch;
	struct asked *asked;

	dw_buf_reset(frame);
	dw_wire_pack(frame, message);
	asked = dw_buf_ok(frame) ? calloc(1, sizeof(*asked) + frame->len) : NULL;
	if (asked == NULL)
		return NULL;
	asked->room = room;
	asked->incarnation = peer->incarnation;
	asked->came_at = dw_mono_ms();
	asked->n = frame->len;
	memcpy(asked->frame, frame->data, frame->len);
	if (message->kind != DW_JOIN)
		return asked;
	if (room == NULL && !enter_lobby(hub, asked, message->join.room)) {
		free(asked);
		return NULL;
	}
	asked->key = key_of(peer, message->join.session, message->join.room, room == NULL);
	HASH_ADD(hh, hub->asked, key, sizeof(asked->key), asked);
	asked->listed = true;
	return asked;
}

void
asked_free(struct hub *hub, struct asked *asked)
{
	unlist(hub, asked);
	free(asked);
}

bool
asked_take(struct hub *hub, struct asked *asked, const struct peer *peer, struct dw_wire *message, struct dw_str *frame)
{
	struct dw_buf *packed = &hub->outbox.scratch;

	unlist(hub, asked);
	*frame = (struct dw_str) { asked->frame, asked->n };
	if (peer == NULL || !peer->known || peer->incarnation != asked->incarnation ||
		dw_wire_unpack(message, asked->frame, asked->n, NULL) != DW_OK)
		return false;
	if (message->kind != DW_JOIN)
		return true;
	message->join.age += dw_mono_ms() - asked->came_at;
	dw_buf_reset(packed);
	dw_wire_pack(packed, message);
	if (dw_buf_ok(packed))
		*frame = (struct dw_str) { packed->data, packed->len };
	return true;
}

static void
forget_key(struct hub *hub, const struct asked_key *key)
{
	struct asked *asked;

	for (;;) {
		HASH_FIND(hh, hub->asked, key, sizeof(*key), asked);
		if (asked == NULL)
			return;
		asked->incarnation = UINT64_MAX;
		unlist(hub, asked);
	}
}

void
asked_forget(struct hub *hub, const struct peer *peer, uint64_t session, struct dw_str room, bool again)
{
	struct asked_key key = key_of(peer, session, room, false);

	if (hub->asked == NULL)
		return;
	forget_key(hub, &key);
	/* While the LEAVE itself waited a newer JOIN of the session may have come: it is left alone while it asks for its
	 * right. (One that asks for a lookup has been let in, and was before the LEAVE.) */
	key.right = true;
	if (!again)
		forget_key(hub, &key);
}

bool
asked_joins(const struct hub *hub, struct dw_str room)
{
	return hub->lobbies != NULL && find_lobby(hub, room) != NULL;
}

/* ---- operations */

struct staged *
stage_new(enum dw_op_kind kind, struct dw_str room)
{
	struct staged *staged = calloc(1, sizeof(*staged));

	if (staged == NULL)
		return NULL;
	staged->op.kind = kind;
	(void)dw_str_copy(room, staged->op.room, sizeof(staged->op.room));
	return staged;
}

static bool
grow(struct batch *batch)
{
	size_t cap = batch->cap > 0 ? batch->cap * 2 : 64;
	struct dw_op **ops = realloc(batch->ops, cap * sizeof(struct dw_op *));

	if (ops == NULL)
		return false;
	batch->ops = ops;
	batch->cap = cap;
	return true;
}

struct account *
stage_account(struct hub *hub, struct peer *peer)
{
	if (peer == NULL)
		return &hub->nobodys;
	if (peer->account == NULL)
		peer->account = calloc(1, sizeof(*peer->account));
	return peer->account;
}

void
stage_count(struct hub *hub, struct account *account, size_t bytes)
{
	account->bytes += bytes;
	hub->staged_bytes += bytes;
}

void
stage_uncount(struct hub *hub, struct account *account, size_t bytes)
{
	account->bytes -= bytes;
	hub->staged_bytes -= bytes;
	if (account->gone && account->bytes == 0 && account->rooms == NULL)
		free(account);
}

void
stage_forget(struct hub *hub, struct peer *peer)
{
	if (peer->account == NULL)
		return;
	peer->account->gone = true;
	stage_uncount(hub, peer->account, 0);
	peer->account = NULL;
}

int
stage_add_for(struct hub *hub, struct account *account, struct staged *staged)
{
	struct batch *batch = hub->batch;
	size_t own = staged->bytes;

	if (account == NULL || (batch->count == batch->cap && !grow(batch))) {
		stage_free(hub, staged);
		return DW_E_NOMEM;
	}
	own += staged->op.kind == DW_OP_APPEND ? staged->op.append.size : 0;
	own += staged->asked != NULL ? sizeof(*staged->asked) + staged->asked->n : 0;
	staged->account = account;
	staged->bytes = sizeof(*staged) + own;
	stage_count(hub, account, staged->bytes);
	if (account->batch != hub->batch_number) {
		account->batch_bytes = 0;
		hub->batch_accounts += own > 0;
	}
	own += staged->asked != NULL ? HUB_ASKED : 0;
	account->batch = hub->batch_number;
	account->batch_bytes += own;
	hub->batch_bytes += own;
	if (batch->count == 0)
		hub->staged_at = dw_mono_us();
	batch->ops[batch->count++] = &staged->op;
	batch->appends += staged->op.kind == DW_OP_APPEND;
	batch->patient += staged->op.kind == DW_OP_CURSOR;
	return DW_OK;
}

int
stage_add(struct hub *hub, struct peer *peer, struct staged *staged)
{
	int err;

	if (peer != NULL)
		staged->peer = peer->number;
	err = stage_add_for(hub, stage_account(hub, peer), staged);
	if (err == DW_OK && peer != NULL)
		peer->pending++;
	return err;
}

void
stage_free(struct hub *hub, struct staged *staged)
{
	if (staged->asked != NULL)
		asked_free(hub, staged->asked);
	if (staged->account != NULL)
		stage_uncount(hub, staged->account, staged->bytes);
	dw_op_clear(&staged->op);
	free(staged);
}

static size_t
left_of(const struct hub *hub)
{
	return hub->staged_bytes < HUB_STAGED_MAX ? HUB_STAGED_MAX - hub->staged_bytes : 0;
}

bool
stage_full(const struct hub *hub, const struct peer *peer, size_t bytes)
{
	const size_t own = peer->account != NULL ? peer->account->bytes : 0;

	return own + HUB_SPARE * bytes >= left_of(hub) || peer->pending >= HUB_PENDING_MAX;
}

bool
stage_flooded(const struct hub *hub, const struct peer *peer)
{
	return peer->account != NULL && peer->account->bytes > HUB_BATCH_ALONE && peer->account->bytes >= 2 * left_of(hub);
}

bool
stage_crowded(const struct hub *hub, const struct peer *peer)
{
	const struct account *account = peer->account;
	const bool shared = hub->batch_accounts > 1 || hub->last_accounts > 1;
	const size_t light = peer->kind == DW_PEER_EDGE ? HUB_BATCH_SHARED : HUB_BATCH_LIGHT; /* an edge speaks for many */

	if (account == NULL || account->batch_bytes < light ||
		hub->batch_bytes < (shared ? HUB_BATCH_SHARED : HUB_BATCH_ALONE))
		return false;
	return store_idle(hub->store) || dw_mono_us() < hub->given_at + HUB_STUCK_US;
}

uint64_t
stage_due(const struct hub *hub)
{
	const struct batch *batch = hub->batch;
	uint64_t now, due;

	if (batch->count == 0 || !store_idle(hub->store))
		return UINT64_MAX;
	if (hub->closing)
		return 0;
	if (batch->patient == batch->count)
		due = hub->cursors_at + HUB_CURSORS_US;
	else if (batch->appends > 0 && batch->appends < hub->expected)
		due = hub->staged_at + HUB_LINGER_US;
	else
		return 0;
	now = dw_mono_us();
	return now < due ? due - now : 0;
}

void
stage_commit(struct hub *hub)
{
	const size_t appends = hub->batch->appends;

	if (stage_due(hub) > 0)
		return;
	if (appends > 0)
		hub->expected = appends >= hub->expected ? appends : (appends + hub->expected) / 2;
	if (hub->batch->patient == hub->batch->count)
		hub->cursors_at = dw_mono_us();
	hub->given_at = dw_mono_us();
	store_give(hub->store, hub->batch);
	hub->batch = hub->spare;
	hub->batch_number++;
	hub->last_accounts = hub->batch_accounts;
	hub->batch_accounts = hub->batch_bytes = 0;
	hub->spare = NULL;
}
