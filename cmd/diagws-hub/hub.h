/* The hub's parts and how they meet. One process, two threads: everything here belongs to the main thread but the
 * engine, which belongs to the store thread once it runs (store/store.c).
 *
 * A turn (loop.c, turn.c): frames → hear.c → dispatch.c → a handler (handle/on_*.c), which stages operations in the
 * batch (store/stage.c) or adds answers to the outbox (peers/outbox.c); the store thread commits a batch;
 * handle/apply.c carries its results into the rooms and answers; what waited for them is dispatched again
 * (rooms/later.c); the outbox is flushed and readers are served. Handlers never send.
 *
 * Calls run one way: from this folder to handle/, from there to rooms/, tables/, store/ and peers/; tables/ looks at
 * rooms/ and peers/; rooms/ stages in store/ and answers through peers/; these two call nobody.
 */
#ifndef DIAGWS_HUB_HUB_H
#define DIAGWS_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wheel.h"
#include "peers/outbox.h"
#include "room/room.h"
#include "store/engine.h"
#include "store/stage.h"

enum { HUB_COMMITS = 1024 }; /* commit times that the percentiles look back on */

struct counters {
	uint64_t received, stored, rejected, duplicates, commits;
	uint64_t commit_us[HUB_COMMITS]; /* a ring */
	uint64_t commit_us_max;
	uint64_t sorted, sorted_at; /* when these two were computed: of so many commits */
	double p50_ms, p99_ms;
};

struct hub {
	const struct options *options;
	struct dw_router *router;
	struct dw_engine *engine; /* the store thread's once store runs */
	struct store *store;
	struct dw_engine_info info; /* as of the last commit; head is ours */
	uint64_t id;
	uint64_t started; /* dw_mono_ms */
	struct dw_rooms rooms_shared;
	struct dw_room *rooms;
	struct resident *idle, *dirty;
	size_t dirty_rooms;  /* in `dirty`, */
	size_t cursor_rooms; /* and those that are still to write their cursors */
	size_t memory;
	size_t resident_count;
	struct peer *peers, *peers_by_id;
	size_t edges, clients; /* among them */
	struct peer *serving;  /* those with something to get, and credit */
	struct peer *talkers;  /* those with a frame that is not handled yet, */
	struct peer *muted;    /* and those of them who may not go on until the next hear */
	struct peer *looks;    /* all, in the order in which they are looked at */
	struct peer *lost;
	struct batch *batch;     /* being staged; never NULL */
	struct batch *spare;     /* the next; NULL while the store has one */
	size_t staged_bytes;     /* of all accounts */
	struct account nobodys;  /* cursors, and rooms that are looked at for their age */
	struct account *loaders; /* those whose next room may be loaded, by turns */
	size_t loads;            /* rooms being loaded */
	uint64_t batch_number;   /* of the one being staged, */
	size_t batch_bytes;      /* which holds so many, as accounts count them, */
	size_t batch_accounts;   /* of so many peers; */
	size_t last_accounts;    /* and the one before */
	uint64_t given_at;       /* dw_mono_us: when the one before was handed over */
	uint64_t staged_at;      /* dw_mono_us: when the batch got its first operation */
	uint64_t cursors_at;     /* when the last batch of cursors alone was handed over; dw_mono_us */
	size_t expected;         /* messages that the next batch is likely to hold, by the last ones */
	struct outbox outbox;
	struct counters counters;
	struct later *later; /* what waited and can be carried out now */
	struct asked *asked; /* JOINs */
	struct lobby *lobbies;
	struct awaited *awaited; /* by room and number */
	size_t waiting;          /* in all */
	struct dw_wheel wheel;   /* timers of waits, and of rooms for their ages */
	struct scan *scans;      /* in line (scan.c) */
	size_t scan_count;
	bool store_full; /* so the last message was answered */
	bool closing;
	int closing_err; /* why, where it is not a signal */
	int fatal;       /* why the process must end now */
};

#endif
