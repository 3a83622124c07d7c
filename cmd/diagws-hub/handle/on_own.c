/* OWN: the registry of who may watch what. Changes and looks both go through the batch: a change is answered when it is
 * durable, and the sessions that it shuts out are closed with it (apply.c). A list comes a page at a time, and all that
 * a page may take is staged with its question: so whoever asks for many takes no more than a share.
 */
#include "handle/handlers.h"

#include <string.h>

#include "hub.h"
#include "message/msg.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "store/stage.h"

enum { LIST_MAX = 1000, LIST_BYTES = 256 * 1024 };

_Static_assert(LIST_MAX *(DW_ROOM_MAX + DW_USER_MAX + 16) <= LIST_BYTES, "what a page may take");

static int
find_state(struct dw_str verb, enum dw_owner_state *state)
{
	if (dw_str_is(verb, "grant"))
		*state = DW_OWNER_GRANTED;
	else if (dw_str_is(verb, "revoke"))
		*state = DW_OWNER_NONE;
	else if (dw_str_is(verb, "deny"))
		*state = DW_OWNER_DENIED;
	else
		return DW_E_UNSUPPORTED;
	return DW_OK;
}

/* Behind an entry of what is listed. */
static bool
may_go_on(const struct dw_own *own)
{
	const bool same = own->room.n == own->after_room.n && memcmp(own->room.p, own->after_room.p, own->room.n) == 0;

	return dw_room_ok(own->after_room) && dw_user_ok(own->after_user) && (own->room.n == 0 || same);
}

static int
stage_look(struct hub *hub, struct peer *peer, const struct dw_own *own, enum reply reply)
{
	const bool whole = reply == REPLY_OWNERS; /* a list may leave either out */
	const bool goes_on = own->after_room.n > 0 || own->after_user.n > 0;
	struct staged *staged;

	if ((!(whole && own->room.n == 0) && !dw_room_ok(own->room)) ||
		(!(whole && own->user.n == 0) && !dw_user_ok(own->user)) || (goes_on && !may_go_on(own)))
		return DW_E_FIELD;
	staged = stage_new(DW_OP_OWNERS, own->room);
	if (staged == NULL)
		return DW_E_NOMEM;
	(void)dw_str_copy(own->user, staged->op.read.user, sizeof(staged->op.read.user));
	(void)dw_str_copy(own->after_room, staged->op.read.after_room, sizeof(staged->op.read.after_room));
	(void)dw_str_copy(own->after_user, staged->op.read.after_user, sizeof(staged->op.read.after_user));
	staged->op.read.limit = whole ? LIST_MAX : 1;
	/* Rows from the engine, and the answer that is made of them. */
	staged->bytes = staged->op.read.limit * sizeof(struct dw_owner_row) + (whole ? LIST_BYTES : 0);
	staged->claimed = own->claimed;
	staged->reply = reply;
	staged->corr = own->corr;
	return stage_add(hub, peer, staged);
}

static int
stage_change(struct hub *hub, struct peer *peer, const struct dw_own *own)
{
	struct staged *staged;
	enum dw_owner_state state;
	int err = find_state(own->verb, &state);

	if (err != DW_OK)
		return err;
	if (!dw_room_ok(own->room) || !dw_user_ok(own->user))
		return DW_E_FIELD;
	staged = stage_new(DW_OP_OWNER, own->room);
	if (staged == NULL)
		return DW_E_NOMEM;
	(void)dw_str_copy(own->user, staged->op.owner.user, sizeof(staged->op.owner.user));
	staged->op.owner.state = state;
	staged->op.owner.dry = own->dry;
	staged->reply = REPLY_OWNED;
	staged->corr = own->corr;
	return stage_add(hub, peer, staged);
}

void
on_own(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_own *own = &request->message.own;
	int err;

	if (hub->closing)
		return; /* the next hub is asked again */
	if (stage_full(
			hub, peer, dw_str_is(own->verb, "list") ? LIST_MAX * sizeof(struct dw_owner_row) + LIST_BYTES : HUB_SMALL))
		err = DW_E_BUSY;
	else if (dw_str_is(own->verb, "list"))
		err = stage_look(hub, peer, own, REPLY_OWNERS);
	else if (dw_str_is(own->verb, "check"))
		err = stage_look(hub, peer, own, REPLY_CHECKED);
	else
		err = stage_change(hub, peer, own);
	if (err != DW_OK)
		answer_failure(hub, peer->number, &request->message, err, NULL);
}
