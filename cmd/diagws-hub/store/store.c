/* The store thread: takes a batch, commits it, gives it back, so that a slow disk stalls nobody but those who wait for
 * it. One batch is at the disk while the next is staged: that is the group commit.
 *
 * Failure modes: when the storage is full, what needs no room is tried again without what does, so that
 * joins and cursors go on; whoever was left out finds the error in its operation. Any other failure is
 * the batch's and each operation's.
 */
#include "store/store.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

enum { REST_AFTER_MS = 1000 };

/* One side is at a batch at a time: whoever writes to a descriptor hands it to the other. */
struct store {
	struct dw_engine *engine;
	pthread_t thread;
	int work, fd;        /* eventfds: a batch was given, or the thread is to end; a batch is done */
	bool busy;           /* main's view: given and not yet taken */
	struct batch *given; /* NULL: it is to end */
	struct batch *done;
};

/* How much an operation may ask of a full disk: 0 reads, 1 writes in place of something, 2 adds. */
static const int weights[] = {
	[DW_OP_LOAD] = 0, [DW_OP_PLACE] = 0, [DW_OP_OWNERS] = 0, [DW_OP_CURSOR] = 1, [DW_OP_APPEND] = 2, [DW_OP_OWNER] = 2
};

/* Moves what weighs at most `most` to the front, in order; the rest gets err. */
static size_t
keep_light(struct dw_op **ops, struct dw_op **rest, size_t count, int most, int err)
{
	size_t kept = 0, left = 0;

	for (size_t i = 0; i < count; i++) {
		dw_op_reset(ops[i]);
		if (weights[ops[i]->kind] <= most) {
			ops[kept++] = ops[i];
		} else {
			ops[i]->err = err;
			rest[left++] = ops[i];
		}
	}
	for (size_t i = 0; i < left; i++)
		ops[kept + i] = rest[i];
	return kept;
}

static void
carry_out(struct dw_engine *engine, struct batch *batch)
{
	uint64_t from = dw_mono_us();
	int err = engine->ops->commit(engine, batch->ops, batch->count, &batch->fault);
	size_t count = batch->count;

	batch->err = err;
	if (err == DW_E_STORAGE_FULL) {
		struct dw_op **rest = calloc(count, sizeof(struct dw_op *));

		for (int most = 1; rest != NULL && err == DW_E_STORAGE_FULL && most >= 0; most--) {
			count = keep_light(batch->ops, rest, count, most, err);
			err = count > 0 ? engine->ops->commit(engine, batch->ops, count, &batch->fault) : DW_OK;
		}
		free(rest);
	}
	for (size_t i = 0; err != DW_OK && i < count; i++)
		batch->ops[i]->err = err;
	if (err != DW_OK)
		batch->err = err;
	engine->ops->info(engine, &batch->info);
	batch->took_us = dw_mono_us() - from;
}

static void *
run(void *user)
{
	struct store *store = user;
	struct pollfd work = { store->work, POLLIN, 0 };

	for (;;) {
		struct batch *batch;
		eventfd_t posts;

		if (poll(&work, 1, REST_AFTER_MS) == 0)
			store->engine->ops->rest(store->engine);
		while (eventfd_read(store->work, &posts) != 0)
			continue;
		batch = store->given;
		if (batch == NULL)
			break;
		store->given = NULL;
		carry_out(store->engine, batch);
		store->done = batch;
		(void)eventfd_write(store->fd, 1);
	}
	store->engine->ops->rest(store->engine);
	return NULL;
}

static void
free_store(struct store *store)
{
	if (store->work >= 0)
		(void)close(store->work);
	if (store->fd >= 0)
		(void)close(store->fd);
	free(store);
}

int
store_start(struct store **out, struct dw_engine *engine)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return DW_E_NOMEM;
	store->engine = engine;
	store->work = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	store->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store->work < 0 || store->fd < 0 || pthread_create(&store->thread, NULL, run, store) != 0) {
		free_store(store);
		return DW_E_NOMEM;
	}
	*out = store;
	return DW_OK;
}

int
store_fd(const struct store *store)
{
	return store->fd;
}

bool
store_idle(const struct store *store)
{
	return !store->busy;
}

void
store_give(struct store *store, struct batch *batch)
{
	store->busy = true;
	store->given = batch;
	(void)eventfd_write(store->work, 1);
}

struct batch *
store_take(struct store *store)
{
	struct batch *batch;
	eventfd_t posts;

	if (eventfd_read(store->fd, &posts) != 0)
		return NULL;
	batch = store->done;
	store->done = NULL;
	store->busy = false;
	return batch;
}

struct batch *
store_stop(struct store **store_p)
{
	struct store *store = *store_p;
	struct batch *last;

	if (store == NULL)
		return NULL;
	(void)eventfd_write(store->work, 1);
	(void)pthread_join(store->thread, NULL);
	last = store->done;
	free_store(store);
	*store_p = NULL;
	return last;
}
