/* A hub without its main loop and its store thread: see sim.h.
 *
 * Happy path: hub_start, then hub_turn until nothing is left to do, which is what loop.c does in a turn; a batch is
 * committed as soon as it is given. Failure modes: a hub that cannot start or ends by itself says so on standard
 * output, which fails the history. A crash leaves the engine's files as they are: its descriptors and maps are taken
 * away, and it is not asked.
 */
#include "../../cmd/diagws-hub/turn.h"
#include "../../cmd/diagws-hub/hub.h"
#include "../../cmd/diagws-hub/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/engine_mem.h"
#include "base/clock.h"
#include "handle/handlers.h"
#include "peers/peers.h"
#include "rooms/sessions.h"
#include "rooms/rooms.h"
#include "rooms/load.h"
#include "sim.h"
#include "store/store.h"
#include "tables/scan.h"
#include "wire/router.h"

static struct hub hub;
static struct options options;
static struct dw_engine *memory; /* outlives hubs */
static struct sim_config config_of;
static bool running;
static unsigned turns; /* since the step began */

enum { TURNS_MAX = 5000 };

static void
die(const char *how, const char *why)
{
	printf("dead the hub %s: %s\n", how, why);
	running = false;
}

/* ---- the store thread */

struct store {
	struct dw_engine *engine;
	struct batch *done;
};

static struct store store_of;

int
store_start(struct store **out, struct dw_engine *engine)
{
	store_of = (struct store) { .engine = engine };
	*out = &store_of;
	return DW_OK;
}

int
store_fd(const struct store *store)
{
	(void)store;
	return -1;
}

bool
store_idle(const struct store *store)
{
	return store->done == NULL;
}

void
store_give(struct store *store, struct batch *batch)
{
	batch->err = store->engine->ops->commit(store->engine, batch->ops, batch->count, &batch->fault);
	for (size_t i = 0; batch->err != DW_OK && i < batch->count; i++)
		batch->ops[i]->err = batch->err;
	store->engine->ops->info(store->engine, &batch->info);
	store->done = batch;
}

struct batch *
store_take(struct store *store)
{
	struct batch *batch = store->done;

	store->done = NULL;
	return batch;
}

struct batch *
store_stop(struct store **store_p)
{
	struct batch *last = *store_p != NULL ? store_take(*store_p) : NULL;

	*store_p = NULL;
	return last;
}

/* ---- main.c */

static int
open_engine(const struct sim_config *config, struct dw_fault *fault)
{
	const struct dw_engine_config engine = { .dir = config->dir,
		.queue_limit = config->limit,
		.queue_ttl_ms = config->ttl_ms,
		.id_window_ms = config->id_window_ms,
		.id_window_count = config->ids,
		.store_limit = 64 << 20,
		.ownership = config_of.either ? DW_OWNERSHIP_EITHER : DW_OWNERSHIP_REGISTRY };
	int err = DW_OK;

	if (config->lmdb)
		err = dw_engine_lmdb.open(&hub.engine, &engine, fault);
	else if (memory == NULL)
		err = dw_engine_memory.open(&memory, &engine, fault);
	if (err != DW_OK)
		return err;
	if (!config->lmdb)
		hub.engine = memory;
	hub.engine->ops->info(hub.engine, &hub.info);
	hub.rooms_shared = (struct dw_rooms) { .queue_limit = config->limit,
		.queue_ttl_ms = config->ttl_ms,
		.cursor_ttl_ms = config->cursor_ttl_ms,
		.ownership = engine.ownership };
	return rooms_start(&hub);
}

bool
hub_start(const struct sim_config *config)
{
	struct dw_fault fault = { 0 };
	int err;

	config_of = *config;
	hub = (struct hub) { 0 };
	options = (struct options) { .queue_limit = (int64_t)config->limit,
		.queue_ttl_ms = (int64_t)config->ttl_ms,
		.cursor_ttl_ms = (int64_t)config->cursor_ttl_ms,
		.memory_limit = config->evict ? 0 : 256 << 20,
		.max_sessions = INT32_MAX };
	hub.options = &options;
	hub.id = dw_random();
	hub.started = dw_mono_ms();
	dw_wheel_init(&hub.wheel, hub.started);
	hub.batch = calloc(1, sizeof(*hub.batch));
	hub.spare = calloc(1, sizeof(*hub.spare));
	if (hub.batch == NULL || hub.spare == NULL)
		abort();
	err = open_engine(config, &fault);
	if (err == DW_OK)
		err = store_start(&hub.store, hub.engine);
	if (err == DW_OK)
		err = dw_router_bind(&hub.router, NULL, 0, 0, &fault);
	running = err == DW_OK;
	turns = 0;
	if (!running)
		die("cannot start", fault.message[0] != '\0' ? fault.message : dw_err_code(err));
	return running;
}

static void
free_batch(struct batch *batch)
{
	if (batch == NULL)
		return;
	for (size_t i = 0; i < batch->count; i++)
		stage_free(&hub, (struct staged *)(void *)batch->ops[i]);
	free(batch->ops);
	free(batch);
}

/* All but the engine. */
static void
drop(void)
{
	free_batch(store_stop(&hub.store));
	peers_free(&hub);
	rooms_free(&hub);
	free_batch(hub.batch);
	free_batch(hub.spare);
	hub.batch = hub.spare = NULL;
	dw_buf_clear(&hub.outbox.scratch);
	dw_router_destroy(&hub.router);
	free(hub.rooms_shared.by_id.chains);
	free(hub.rooms_shared.by_user.chains);
	running = false;
}

bool
hub_up(void)
{
	turns = 0;
	return running;
}

static bool
is_idle(void)
{
	return !lines_busy() && hub.scans == NULL && hub.batch->count == 0 && store_idle(hub.store) &&
		   hub.serving == NULL && hub.outbox.to == NULL && hub.lost == NULL && hub.loaders == NULL;
}

bool
hub_turn(void)
{
	struct batch *batch;
	bool more;

	if (!running)
		return false;
	(void)dw_wheel_run(&hub.wheel, dw_mono_ms(), SIZE_MAX);
	later_serve(&hub, hub_dispatch);
	if (is_idle())
		return false;
	do
		(void)hear(&hub, &more);
	while (more);
	batch = store_take(hub.store);
	if (batch != NULL)
		turn_apply(&hub, batch);
	rooms_write_cursors(&hub, HUB_CURSORS);
	hub.expected = hub.cursors_at = 0;
	if (hub.fatal == DW_OK)
		turn_commit(&hub);
	(void)scans_turn(&hub);
	rooms_evict(&hub);
	turn_send(&hub);
	peers_forget_gone(&hub);
	if (hub.fatal != DW_OK)
		die("ended", dw_err_code(hub.fatal));
	else if (++turns > TURNS_MAX)
		die("has no end", "it is busy with itself for ever");
	return running;
}

void
hub_tick(void)
{
	peers_tick(&hub);
}

void
hub_write(void)
{
	rooms_begin_cursors(&hub);
	rooms_write_cursors(&hub, SIZE_MAX);
	while (hub_turn())
		;
}

void
hub_sweep(void)
{
	struct dw_room *room, *next;

	HASH_ITER(hh, hub.rooms, room, next)
	{
		room_look_at_ages(&hub, room);
	}
}

void
hub_rest(void)
{
	hub.engine->ops->rest(hub.engine);
}

void
hub_stop(void)
{
	hub.closing = true;
	hub_write();
	hub_rest();
	drop();
	if (config_of.lmdb)
		hub.engine->ops->close(hub.engine);
	hub.engine = NULL;
}

/* ---- the end of a process */

static bool
lies_in_store(const char *path)
{
	const size_t n = strlen(config_of.dir);

	return strncmp(path, config_of.dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static void
close_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		const int fd = atoi(entry->d_name);
		char link[64], path[512];
		ssize_t n;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = entry->d_name[0] != '.' ? readlink(link, path, sizeof(path) - 1) : -1;
		if (n <= 0)
			continue;
		path[n] = '\0';
		if (lies_in_store(path))
			(void)close(fd);
	}
	if (dir != NULL)
		(void)closedir(dir);
}

static void
unmap_files(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	struct {
		void *from;
		size_t n;
	} found[16];
	size_t count = 0;
	char line[1024], path[512];

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long from, to;

		path[0] = '\0';
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %511s", &from, &to, path) >= 2 && lies_in_store(path) &&
			count < sizeof(found) / sizeof(found[0])) {
			found[count].from = (char *)NULL + from;
			found[count++].n = to - from;
		}
	}
	if (maps != NULL)
		(void)fclose(maps);
	while (count-- > 0)
		(void)munmap(found[count].from, found[count].n);
}

void
hub_crash(void)
{
	drop();
	if (config_of.lmdb) {
		close_files();
		unmap_files();
	}
	hub.engine = NULL;
}

void
hub_end(void)
{
	if (running)
		hub_stop();
	else if (hub.batch != NULL)
		hub_crash();
	if (memory != NULL)
		memory->ops->close(memory);
	memory = NULL;
}

bool
hub_knows(uint32_t number)
{
	const struct peer *peer = running ? peer_find(&hub, number) : NULL;

	return peer != NULL && peer->known;
}

void
hub_lose(uint32_t number)
{
	struct peer *peer = running ? peer_find(&hub, number) : NULL;

	if (peer != NULL)
		peer_lose(&hub, peer);
}

const char *
hub_epoch(void)
{
	return hub.info.epoch;
}

uint64_t
hub_head(void)
{
	return hub.info.head;
}
