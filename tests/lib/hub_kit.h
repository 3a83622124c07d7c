/* A hub for tests and drivers: all of cmd/diagws-hub but its main loop, its socket and its store thread. Messages are
 * given to it and what it says is caught here; a batch is committed as soon as it is handed over, by the engine's twin
 * in memory. Who includes this says `hub` in its head (Makefile: HUB_KIT).
 */
#ifndef HUB_KIT_H
#define HUB_KIT_H

#include <stdlib.h>
#include <string.h>

#include "../../cmd/diagws-hub/turn.h"
#include "../../cmd/diagws-hub/hub.h"
#include "../../cmd/diagws-hub/options.h"
#include "base/clock.h"
#include "engine_mem.h"
#include "handle/handlers.h"
#include "peers/peers.h"
#include "rooms/sessions.h"
#include "rooms/rooms.h"
#include "rooms/load.h"
#include "store/store.h"
#include "tables/scan.h"
#include "wire/router.h"

static struct hub hub;
static struct options kit_options = { .queue_limit = 100, .memory_limit = INT64_MAX, .max_sessions = INT32_MAX };

/* What was said, since it was looked at last. */
static struct {
	uint32_t peer;
	struct dw_buf frame;
	size_t count; /* frames */
} said;

/* ---- the router: everybody may do everything, belongs to one user, and takes all that is sent; but for these */

static void (*kit_catch)(uint32_t peer, const void *frame, size_t n); /* NULL, or hears all that is said */
static uint32_t kit_deaf = UINT32_MAX;                                /* from this number on they do not read, */
static uint32_t kit_lost = UINT32_MAX;                                /* nothing can be sent to them, */
static uint32_t kit_strange = UINT32_MAX;                             /* or they belong to another user */
static unsigned kit_roles = ROLE_ALL;                                 /* of those who come now */
static uint32_t kit_drained, kit_gone; /* who has taken all that was sent, and who went; 0: nobody */
static const char *kit_why;            /* it went */
static uint32_t kit_closed;            /* whose connection the hub ended last */
static size_t kit_asked;               /* how often was looked whether somebody is deaf */

int
dw_router_send(struct dw_router *router, uint32_t peer, const void *frame, size_t n)
{
	(void)router;
	if (peer >= kit_lost)
		return DW_E_AGAIN;
	said.peer = peer;
	said.count++;
	dw_buf_reset(&said.frame);
	dw_buf_add(&said.frame, frame, n);
	if (kit_catch != NULL)
		kit_catch(peer, frame, n);
	return DW_OK;
}

unsigned
dw_router_roles(const struct dw_router *router, uint32_t peer)
{
	(void)router;
	(void)peer;
	return kit_roles;
}

uid_t
dw_router_uid(const struct dw_router *router, uint32_t peer)
{
	(void)router;
	return peer >= kit_strange;
}

size_t
dw_router_unsent(const struct dw_router *router, uint32_t peer)
{
	(void)router;
	kit_asked++;
	return peer >= kit_deaf ? HUB_UNSENT_MAX : 0;
}

void
dw_router_done(struct dw_router *router, uint32_t peer)
{
	(void)router;
	(void)peer;
}

void
dw_router_known(struct dw_router *router, uint32_t peer, bool known)
{
	(void)router;
	(void)peer;
	(void)known;
}

void
dw_router_close(struct dw_router *router, uint32_t peer)
{
	(void)router;
	kit_closed = peer;
}

bool
dw_router_drained(struct dw_router *router, uint32_t *peer)
{
	(void)router;
	*peer = kit_drained;
	kit_drained = 0;
	return *peer != 0;
}

bool
dw_router_gone(struct dw_router *router, uint32_t *peer, const char **why)
{
	(void)router;
	*peer = kit_gone;
	*why = kit_why;
	kit_gone = 0;
	return *peer != 0;
}

int
dw_router_turn(struct dw_router *router)
{
	(void)router;
	return DW_OK;
}

int
dw_router_recv(struct dw_router *router, uint32_t *peer, struct dw_str *frame)
{
	(void)router;
	(void)peer;
	(void)frame;
	return DW_E_AGAIN;
}

/* ---- the store */

static struct batch *kit_done;
static int kit_fails; /* so each commit fails */

bool
store_idle(const struct store *store)
{
	(void)store;
	return kit_done == NULL;
}

void
store_give(struct store *store, struct batch *batch)
{
	(void)store;
	batch->err = kit_fails;
	if (kit_fails == DW_OK)
		batch->err = hub.engine->ops->commit(hub.engine, batch->ops, batch->count, &batch->fault);
	for (size_t i = 0; batch->err != DW_OK && i < batch->count; i++)
		batch->ops[i]->err = batch->err;
	hub.engine->ops->info(hub.engine, &batch->info);
	kit_done = batch;
}

/* A turn; true: there is more to do. */
static inline bool
kit_turn(void)
{
	bool more;

	(void)hear(&hub, &more);
	peers_forget_gone(&hub);
	hub.expected = hub.cursors_at = 0;
	turn_commit(&hub);
	if (kit_done != NULL) {
		struct batch *batch = kit_done;

		kit_done = NULL;
		turn_apply(&hub, batch);
	}
	rooms_write_cursors(&hub, HUB_CURSORS);
	more |= turn_timers(&hub);
	more |= scans_turn(&hub);
	rooms_evict(&hub);
	turn_send(&hub);
	return more;
}

/* Until all that was asked of the store is done. */
static inline void
kit_settle(void)
{
	while (kit_turn() || hub.batch->count > 0 || kit_done != NULL || hub.serving != NULL || hub.loaders != NULL)
		continue;
}

/* The peer says this; what the hub answers comes with a turn. What it is not ready to hear it hears in a later one. */
static inline void
kit_say(uint32_t peer, const struct dw_wire *message)
{
	static struct dw_buf frames[8]; /* by turns, for some may be left over */
	static unsigned turn;
	struct dw_buf *frame = &frames[turn++ % 8];
	struct peer *from = peer_get(&hub, peer);

	dw_buf_reset(frame);
	dw_wire_pack(frame, message);
	from->rest = (struct dw_str) { frame->data, frame->len };
	from->heard = dw_mono_ms();
	(void)hub_receive(&hub, from);
	if (peer_find(&hub, peer) == from) /* or it said BYE */
		peer_talk(&hub, from, from->rest.n > 0 ? TALK_ON : TALK_DONE);
}

static inline void
kit_hello(uint32_t peer, enum dw_peer_kind kind)
{
	kit_say(peer, &(struct dw_wire) { .kind = DW_HELLO,
					  .hello = { .version = dw_protocol_version(),
						  .kind = kind,
						  .peer = peer,
						  .incarnation = 1,
						  .name = DW_STR("kit") } });
}

/* A message to everyone; wait: its sender waits for so many devices. */
static inline void
kit_publish(uint32_t peer, uint64_t corr, const char *room, uint64_t wait)
{
	kit_say(peer, &(struct dw_wire) { .kind = DW_PUBLISH,
					  .publish = { .corr = corr,
						  .room = dw_str(room),
						  .type = DW_STR("a_update"),
						  .data = DW_STR("{}"),
						  .wait = wait,
						  .wait_ms = wait > 0 ? 3600 * 1000 : 0 } });
}

static inline void
kit_join(uint32_t peer, uint64_t session, const char *room, const char *user, const char *device)
{
	kit_say(peer, &(struct dw_wire) { .kind = DW_JOIN,
					  .join = { .corr = session,
						  .session = session,
						  .room = dw_str(room),
						  .user = dw_str(user),
						  .device = dw_str(device),
						  .flags = DW_JOIN_CLAIMED } });
}

static inline void
kit_stat(uint32_t peer, uint64_t corr, const char *view, const char *room, const char *sort, uint64_t limit)
{
	kit_say(peer,
		&(struct dw_wire) { .kind = DW_STAT,
			.stat = {
				.corr = corr, .view = dw_str(view), .room = dw_str(room), .limit = limit, .sort = dw_str(sort) } });
}

/* The last message of the last frame that was said. False: nothing was. */
static inline bool
kit_heard(struct dw_wire *message)
{
	struct dw_str rest = { said.frame.data, said.frame.len };

	if (said.count == 0)
		return false;
	said.count = 0;
	while (rest.n > 0)
		if (dw_wire_next(&rest, message, NULL) != DW_OK)
			return false;
	return true;
}

/* engine: its own, or NULL: the twin in memory. */
static inline bool
kit_start(struct dw_engine *engine)
{
	const struct dw_engine_config config = { .queue_limit = (size_t)kit_options.queue_limit,
		.queue_ttl_ms = 7 * 86400000ULL,
		.id_window_ms = 86400000,
		.id_window_count = 1000000,
		.store_limit = 1ULL << 32,
		.ownership = DW_OWNERSHIP_EITHER };
	struct dw_fault fault = { 0 };

	hub = (struct hub) { .options = &kit_options, .started = dw_mono_ms() };
	hub.rooms_shared = (struct dw_rooms) { .queue_limit = config.queue_limit,
		.queue_ttl_ms = config.queue_ttl_ms,
		.cursor_ttl_ms = 30 * 86400000ULL,
		.ownership = config.ownership };
	dw_wheel_init(&hub.wheel, hub.started);
	hub.batch = calloc(1, sizeof(*hub.batch));
	hub.spare = calloc(1, sizeof(*hub.spare));
	hub.engine = engine;
	if (hub.batch == NULL || hub.spare == NULL ||
		(engine == NULL && dw_engine_memory.open(&hub.engine, &config, &fault) != DW_OK))
		return false;
	hub.engine->ops->info(hub.engine, &hub.info);
	return true;
}

static inline void
kit_free_batch(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		stage_free(&hub, (struct staged *)(void *)batch->ops[i]);
	free(batch->ops);
	free(batch);
}

/* The hub ends; what is stored stays for another (kit_start). */
static inline struct dw_engine *
kit_stop(void)
{
	peers_free(&hub);
	rooms_free(&hub);
	kit_free_batch(hub.batch);
	kit_free_batch(hub.spare);
	dw_buf_clear(&hub.outbox.scratch);
	free(hub.rooms_shared.by_id.chains);
	free(hub.rooms_shared.by_user.chains);
	dw_buf_clear(&said.frame);
	return hub.engine;
}

static inline void
kit_end(void)
{
	struct dw_engine *engine = kit_stop();

	engine->ops->close(engine);
}

#endif
