/* What a process says of itself: HELLO, PING, CREDIT, BYE.
 *
 * HELLO introduces it, and is answered with WELCOME (which store, where its head is, how much may be under way), or
 * REFUSED when it speaks another version; then it is told both. So is an edge at a socket that is not for edges.
 */
#include "handle/handlers.h"

#include <stdio.h>

#include "cli/logging.h"
#include "hub.h"
#include "options.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "wire/router.h"

/* As far as can be told: nobody takes over what came in by another door, or belongs to another user. */
static bool
is_same_process(const struct hub *hub, const struct peer *a, const struct peer *b)
{
	return a->roles == b->roles && dw_router_uid(hub->router, a->number) == dw_router_uid(hub->router, b->number);
}

/* Forgets what an older introduction of it left. False: it is older than what we have. */
static bool
introduce(struct hub *hub, struct peer *peer, const struct dw_hello *hello)
{
	struct peer *older = peer_of_id(hub, hello->peer);

	if (older != NULL && older != peer && !is_same_process(hub, older, peer))
		return false;
	if (older != NULL) {
		if (hello->incarnation < older->incarnation)
			return false;
		if (older == peer && hello->incarnation == older->incarnation)
			return true;
		if (older != peer)
			peer_close(hub, older);
	}
	if (peer->known) {
		peer_unknown(hub, peer);
		peer_empty(hub, peer);
	}
	peer_introduce(hub, peer, hello);
	return true;
}

void
on_hello(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_hello *hello = &request->message.hello;
	struct dw_wire answer;
	char text[160];

	if (hello->version != dw_protocol_version()) {
		(void)snprintf(text, sizeof(text), "this hub speaks protocol version %llu, you speak %llu",
			(unsigned long long)dw_protocol_version(), (unsigned long long)hello->version);
		dw_log_warn("peer of another version", "version=%llu", (unsigned long long)hello->version);
		say_refused(hub, peer->number, DW_E_VERSION, text);
		return;
	}
	if (hello->kind == DW_PEER_EDGE && (peer->roles & ROLE_EDGE) == 0) {
		say_refused(hub, peer->number, DW_E_PERMISSION, "this socket of the hub is not for edges");
		return;
	}
	if (!introduce(hub, peer, hello))
		return;
	if (hello->kind == DW_PEER_EDGE)
		dw_log_info("edge connected", "name=%s incarnation=%llu", peer->name, (unsigned long long)peer->incarnation);
	answer = (struct dw_wire) { .kind = DW_WELCOME,
		.welcome = { .version = dw_protocol_version(),
			.epoch = dw_str(hub->info.epoch),
			.hub = hub->id,
			.head = hub->info.head,
			.window = HUB_WINDOW,
			.incarnation = hello->incarnation } };
	outbox_add(hub, peer->number, &answer);
}

/* Answered with its own token. That a frame came is all that liveness needs; and whether messages are taken is all that
 * an edge is asked for by probes of its readiness. */
void
on_ping(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_wire answer = { .kind = DW_PONG, .pong = { request->message.ping.token, !hub->store_full } };

	outbox_add(hub, peer->number, &answer);
}

/* How many MESSAGES the edge has taken in since its HELLO. More may then be sent. */
void
on_credit(struct hub *hub, struct peer *peer, struct request *request)
{
	uint64_t received = request->message.credit.received;

	/* One that says more than was sent is of an older introduction, or wrong. */
	if (received > peer->sent)
		return;
	while (peer->credited < received) {
		peer->uncredited -= peer->sizes[peer->credited % HUB_WINDOW];
		peer->credited++;
	}
	peer_serve(hub, peer);
}

/* The peer goes in order. What sessions it still has leave. */
void
on_bye(struct hub *hub, struct peer *peer, struct request *request)
{
	(void)request;
	/* What the outbox holds for it is dropped there: the number is then nobody's. */
	peer_forget(hub, peer);
}
