/* libs: lmdb msgpack libcrypto */
/* The LMDB engine: a commit of 1,000 messages with ids to 100 rooms, each trimmed to its newest 100. */
#include <string.h>

#include "hot.h"
#include "store/engine.h"

enum { BATCH = 1000, ROOMS = 100 };

static struct dw_engine *engine;
static struct dw_op ops[BATCH], *list[BATCH];
static unsigned long long number;

static void
prepare(struct dw_op *op)
{
	op->kind = DW_OP_APPEND;
	(void)snprintf(op->room, sizeof(op->room), "room-%llu", number % ROOMS);
	(void)snprintf(op->append.id, sizeof(op->append.id), "batch-%llu", number);
	(void)snprintf(op->append.type, sizeof(op->append.type), "effectiveness_update");
	op->append.data = strdup(HOT_DATA);
	MUST(op->append.data != NULL);
	op->append.size = sizeof(HOT_DATA) - 1;
	op->append.at = 1700000000000 + number;
	memcpy(op->append.hash, &number, sizeof(number));
	number++;
}

/* With making and freeing the operations, which the hub does too. */
static void
commit(void)
{
	struct dw_fault fault = { 0 };

	memset(ops, 0, sizeof(ops));
	for (int i = 0; i < BATCH; i++) {
		prepare(&ops[i]);
		list[i] = &ops[i];
	}
	MUST(engine->ops->commit(engine, list, BATCH, &fault) == DW_OK);
	for (int i = 0; i < BATCH; i++) {
		MUST(ops[i].err == DW_OK);
		dw_op_clear(&ops[i]);
	}
}

int
main(void)
{
	char dir[] = "/tmp/diagws-hot-XXXXXX", command[64];
	struct dw_engine_config config = { .queue_limit = 100,
		.queue_ttl_ms = 7 * 86400000ULL,
		.id_window_ms = 86400000,
		.id_window_count = 1000000,
		.store_limit = 1ULL << 30,
		.ownership = DW_OWNERSHIP_REGISTRY };
	struct dw_fault fault = { 0 };

	MUST(mkdtemp(dir) != NULL);
	config.dir = dir;
	MUST(dw_engine_lmdb.open(&engine, &config, &fault) == DW_OK);
	hot("store-commit-1000", 15, 5, commit);
	engine->ops->close(engine);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	MUST(system(command) == 0);
	return 0;
}
