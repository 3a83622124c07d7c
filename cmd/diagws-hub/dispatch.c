/* From a frame to its handler, by a table: what each message needs before it is handled, and who may say it. A message
 * about a room waits behind others that wait until that room is loaded, so that none overtakes.
 *
 * Failure modes: a malformed message, or one that is not for a hub, is answered with REFUSED and the peer goes on;
 * what came in one frame before a malformed one has been handled, what came behind it is not looked at. A stranger is
 * asked who it is, at most once a second.
 */
#include "turn.h"

#include "base/clock.h"
#include "cli/logging.h"
#include "handle/handlers.h"
#include "hub.h"
#include "options.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/load.h"
#include "rooms/rooms.h"
#include "store/stage.h"

static const uint64_t ASK_EVERY_MS = 1000;

struct handler {
	request_fn *handle;
	size_t room_at; /* where its room's name is; 0: it is about no room, needs none loaded, or sees to that itself */
	unsigned roles; /* who may say it: any of these */
	unsigned cost;  /* what it may take, in messages of the simplest kind */
};

enum { SIMPLE = 1, LOOK = 4, PAGE = 16, LIST = 64, BYTES_PER_SIMPLE = 256 };

static const struct handler handlers[] = {
	[DW_HELLO] = { on_hello, 0, ROLE_ALL, LOOK },
	[DW_PING] = { on_ping, 0, ROLE_ALL, SIMPLE },
	[DW_BYE] = { on_bye, 0, ROLE_ALL, SIMPLE },
	[DW_PUBLISH] = { on_publish, 0, ROLE_EDGE | ROLE_SENDER, SIMPLE },
	[DW_JOIN] = { on_join, 0, ROLE_EDGE, LOOK },
	[DW_LEAVE] = { on_leave, offsetof(struct dw_wire, leave.room), ROLE_EDGE, SIMPLE },
	[DW_CONFIRM] = { on_confirm, offsetof(struct dw_wire, confirm.room), ROLE_EDGE, SIMPLE },
	[DW_CREDIT] = { on_credit, 0, ROLE_EDGE, SIMPLE },
	[DW_READ] = { on_read, offsetof(struct dw_wire, read.room), ROLE_EDGE, PAGE },
	[DW_STAT] = { on_stat, offsetof(struct dw_wire, stat.room), ROLE_EDGE | ROLE_STAT | ROLE_ADMIN, LIST },
	[DW_OWN] = { on_own, 0, ROLE_EDGE | ROLE_ADMIN, PAGE },
};

static void
ask_who(struct hub *hub, struct peer *peer)
{
	const uint64_t now = dw_mono_ms();

	if (peer->asked != 0 && now < peer->asked + ASK_EVERY_MS)
		return;
	peer->asked = now;
	outbox_add(hub, peer->number, &(struct dw_wire) { .kind = DW_WHO });
}

static const struct handler *
find_handler(enum dw_wire_kind kind)
{
	return kind < sizeof(handlers) / sizeof(handlers[0]) && handlers[kind].handle != NULL ? &handlers[kind] : NULL;
}

/* Whether it now waits for its room. */
static bool
must_wait(struct hub *hub, const struct handler *handler, struct peer *peer, const struct request *request)
{
	const struct dw_wire *message = &request->message;
	struct dw_str frame = request->frame;
	const struct dw_str *name;
	struct dw_room *room;
	int err;

	/* Who reads without a session must first show the right to. */
	if (handler->room_at == 0 || (message->kind == DW_READ && message->read.session == 0))
		return false;
	name = (const struct dw_str *)(const void *)((const char *)message + handler->room_at);
	room = name->n > 0 ? room_find(hub, *name) : NULL;
	if (room == NULL || !room_waits(room))
		return false;
	/* A session that leaves must not be forgotten, however busy the hub is: but what else is in that frame. */
	if (message->kind == DW_LEAVE) {
		asked_forget(hub, peer, message->leave.session, message->leave.room, request->again);
		dw_buf_reset(&hub->outbox.scratch);
		dw_wire_pack(&hub->outbox.scratch, message);
		frame = (struct dw_str) { hub->outbox.scratch.data, hub->outbox.scratch.len };
	}
	if (message->kind == DW_LEAVE && stage_flooded(hub, peer)) {
		/* What cannot be kept must not be lost either: it comes back with all that it has. */
		peer_lose(hub, peer);
		return true;
	}
	err = stage_full(hub, peer, HUB_SMALL) && message->kind != DW_LEAVE ? DW_E_BUSY : room_wait(hub, room, peer, frame);
	if (err != DW_OK)
		answer_failure(hub, peer->number, message, err, NULL);
	return true;
}

/* By the socket that it came in by, never by what it says of itself; only an edge has sessions, whatever the socket. Of
 * the registry an edge may look one right up; so only an edge may send on behalf of a user, whose right that shows. */
static bool
may_say(const struct peer *peer, const struct handler *handler, const struct dw_wire *message)
{
	if (message->kind == DW_OWN && (peer->roles & ROLE_ADMIN) == 0)
		return (peer->roles & ROLE_EDGE) != 0 && dw_str_is(message->own.verb, "check");
	if (message->kind == DW_PUBLISH && message->publish.user.n > 0 && (peer->roles & ROLE_EDGE) == 0)
		return false;
	return (handler->roles & peer->roles) != 0 && (handler->roles != ROLE_EDGE || peer->kind == DW_PEER_EDGE);
}

void
hub_dispatch(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_wire *message = &request->message;
	const struct handler *handler = find_handler(message->kind);

	if (handler == NULL) {
		say_refused(hub, peer->number, DW_E_PROTOCOL, "this message is not for a hub");
	} else if (!peer->known && message->kind != DW_HELLO) {
		ask_who(hub, peer);
	} else if (!may_say(peer, handler, message)) {
		dw_log_warn("refused what this socket is not for", "peer=%s kind=%d", peer->name, message->kind);
		answer_failure(hub, peer->number, message, DW_E_PERMISSION, "this socket of the hub is not for that");
	} else if (!must_wait(hub, handler, peer, request)) {
		handler->handle(hub, peer, request);
	}
}

size_t
hub_receive(struct hub *hub, struct peer *peer)
{
	struct dw_str frame = peer->rest;
	struct dw_fault fault = { 0 };
	const struct handler *handler;
	struct request request;
	int err = dw_wire_next(&peer->rest, &request.message, &fault);

	if (err != DW_OK) {
		dw_log_warn("malformed frame", "peer=%s bytes=%zu reason=%s", peer->name, frame.n, fault.message);
		say_refused(hub, peer->number, DW_E_PROTOCOL, fault.message);
		return LOOK;
	}
	frame.n -= peer->rest.n;
	request.frame = frame;
	request.again = false;
	request.found = NULL;
	request.poll = POLL_FIRST;
	handler = find_handler(request.message.kind);
	hub_dispatch(hub, peer, &request);
	/* It comes to that again. */
	if (request.message.kind == DW_STAT && peer->held)
		peer->rest = (struct dw_str) { frame.p, frame.n + peer->rest.n };
	return (handler != NULL ? handler->cost : LOOK) + frame.n / BYTES_PER_SIMPLE;
}
