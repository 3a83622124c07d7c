/* diagws-hub: keeps the messages of each diagnosis and passes them on to edges. Signals are blocked first, so that
 * every thread leaves them to the loop. What cannot be opened or bound is said on stderr with its reason, and the exit
 * status is the error's (sysexits).
 */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/wheel.h"
#include "cli/logging.h"
#include "cli/notify.h"
#include "handle/handlers.h"
#include "hub.h"
#include "json/json.h"
#include "turn.h"
#include "options.h"
#include "rooms/rooms.h"
#include "rooms/load.h"
#include "store/stage.h"
#include "store/store.h"
#include "wire/router.h"

static void
block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static int
open_engine(struct hub *hub, const struct options *options, struct dw_fault *fault)
{
	const struct dw_engine_config config = { .dir = options->state_dir,
		.queue_limit = (size_t)options->queue_limit,
		.queue_ttl_ms = (uint64_t)options->queue_ttl_ms,
		.id_window_ms = (uint64_t)options->id_window_ms,
		.id_window_count = 1000 * 1000,
		.store_limit = (uint64_t)options->store_limit,
		.ownership = options->ownership };
	int err = dw_engine_lmdb.open(&hub->engine, &config, fault);

	if (err != DW_OK)
		return err;
	hub->engine->ops->info(hub->engine, &hub->info);
	if (hub->info.restored)
		dw_log_warn(
			"the store was restored", "epoch=%s head=%llu", hub->info.epoch, (unsigned long long)hub->info.head);
	hub->rooms_shared = (struct dw_rooms) { .queue_limit = config.queue_limit,
		.queue_ttl_ms = config.queue_ttl_ms,
		.cursor_ttl_ms = (uint64_t)options->cursor_ttl_ms,
		.ownership = config.ownership };
	return rooms_start(hub);
}

/* How many connections there may be: descriptors are left for the store, the listeners and what comes up. */
static size_t
raise_descriptors(void)
{
	enum { OWN = 64 };
	struct rlimit limit = { 0 };

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return OWN;
	if (limit.rlim_cur < limit.rlim_max &&
		setrlimit(RLIMIT_NOFILE, &(struct rlimit) { limit.rlim_max, limit.rlim_max }) == 0)
		limit.rlim_cur = limit.rlim_max;
	return limit.rlim_cur > (rlim_t)2 * OWN ? (size_t)limit.rlim_cur - OWN : OWN;
}

static int
start(struct hub *hub, const struct options *options, struct dw_fault *fault)
{
	int err;

	hub->options = options;
	hub->id = dw_random();
	hub->started = dw_mono_ms();
	dw_wheel_init(&hub->wheel, hub->started);
	hub->batch_number = 1; /* an account that was in none yet has 0 */
	hub->batch = calloc(1, sizeof(*hub->batch));
	hub->spare = calloc(1, sizeof(*hub->spare));
	if (hub->batch == NULL || hub->spare == NULL)
		return DW_E_NOMEM;
	err = open_engine(hub, options, fault);
	if (err == DW_OK)
		err = store_start(&hub->store, hub->engine);
	if (err == DW_OK)
		err = dw_router_bind(&hub->router, options->binds, options->bind_count, raise_descriptors(), fault);
	return err;
}

static void
free_batch(struct hub *hub, struct batch *batch)
{
	if (batch == NULL)
		return;
	for (size_t i = 0; i < batch->count; i++)
		stage_free(hub, (struct staged *)(void *)batch->ops[i]);
	free(batch->ops);
	free(batch);
}

static void
stop(struct hub *hub)
{
	/* After a fatal error one may still be at the disk. */
	free_batch(hub, store_stop(&hub->store));
	peers_free(hub);
	rooms_free(hub);
	free_batch(hub, hub->batch);
	free_batch(hub, hub->spare);
	dw_buf_clear(&hub->outbox.scratch);
	if (hub->engine != NULL)
		hub->engine->ops->close(hub->engine);
	dw_router_destroy(&hub->router);
}

int
main(int argc, char **argv)
{
	static struct options options;
	static struct hub hub;
	struct dw_fault fault = { 0 };
	int status, err = options_read(&options, argc, argv);

	if (err == DW_OPT_DONE)
		return 0;
	if (err != DW_OK)
		return dw_err_exit(err);
	if (options.check)
		return 0;
	dw_json_watch_memory();
	/* What was said to peers that did not read goes back to the system when they do, or go. */
	(void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	block_signals();
	err = start(&hub, &options, &fault);
	if (err == DW_OK) {
		dw_log_info("hub ready", "bind=%s state_dir=%s rooms=%u head=%llu epoch=%s", options.binds[0].uri,
			options.state_dir, HASH_COUNT(hub.rooms), (unsigned long long)hub.info.head, hub.info.epoch);
		dw_notify("READY=1");
		status = loop_run(&hub);
	} else {
		dw_fault_print(stderr, "diagws-hub", err, &fault, NULL);
		status = dw_err_exit(err);
	}
	stop(&hub);
	return status;
}
