/* Frames that wait until the engine has answered a question about them: whether their user may be in the room
 * (question.c), what the numbers were at a seq (question.c).
 *
 * Its own file because both wait in the same way, beside the operation in the batch that asks. A JOIN that waits is
 * found by a LEAVE of its session, at a cost that does not grow with how many wait; and a room whose JOINs are still
 * outside is known, so that a JOIN that comes meanwhile waits behind them: which of two connections of a device came
 * last decides which stays.
 *
 * Failure modes: the peer is gone or has introduced itself anew, or the session left: nobody waits.
 */
#include "store/asked.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub.h"
#include "peers/peers.h"

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
	asked->key.peer = peer->number;
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
	/* Behind a LEAVE that waited itself there may be a JOIN that came later. For a lookup only asks who has been let
	 * in, in order. */
	key.right = true;
	if (!again)
		forget_key(hub, &key);
}

bool
asked_joins(const struct hub *hub, struct dw_str room)
{
	return hub->lobbies != NULL && find_lobby(hub, room) != NULL;
}
