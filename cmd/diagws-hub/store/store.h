/* The store thread (store.c): the engine's only user while it runs. */
#ifndef DIAGWS_HUB_STORE_H
#define DIAGWS_HUB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/engine.h"

struct batch {
	struct dw_op **ops;
	size_t count, cap;
	size_t appends; /* among them, */
	size_t patient; /* and cursors: nobody waits for these */
	size_t cursors; /* taken from their rooms for it, a few at a time */
	/* Out: what the commit said; each operation has its own err beside. */
	int err;
	struct dw_fault fault;
	uint64_t took_us;
	struct dw_engine_info info;
};

struct store;

int store_start(struct store **out, struct dw_engine *engine);
int store_fd(const struct store *store); /* readable when a batch is done */
bool store_idle(const struct store *store);
void store_give(struct store *store, struct batch *batch); /* idle only; the batch is the store's until taken */
struct batch *store_take(struct store *store);             /* NULL: none is done */
/* Finishes what it was given, and returns that if it was not taken. */
struct batch *store_stop(struct store **store_p);

#endif
