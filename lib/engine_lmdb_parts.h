/* What the files of the LMDB engine share: its tables, the values in them, and the batch under way.
 * engine_lmdb.c says what each table holds. */
#ifndef DIAGWS_ENGINE_LMDB_PARTS_H
#define DIAGWS_ENGINE_LMDB_PARTS_H

#include "diagws/engine.h"
#include "diagws/kv.h"

enum lmdb_table { META, MESSAGES, ROOMS, IDS0, IDS1, CURSORS, OWNERS };

struct message_head {
	uint64_t prev, n, at;
	uint64_t room_size;
};

struct room_value {
	uint64_t head, n, head_at;
};

/* Which generation of ids is written to, since when, and how many it holds. */
struct ids_state {
	uint64_t current, begun, count;
};

struct lmdb_engine {
	struct dw_engine base;
	struct dw_engine_config config;
	int lock;
	struct dw_kv *kv;
	char epoch[DW_EPOCH_SIZE];
	uint64_t seq;
	/* Of the batch under way: */
	uint64_t next_seq, now;
	struct ids_state ids_state;
	size_t deleted; /* messages by the sweep, and generations of ids */
};

/* The key of a message. */
void dw_lmdb_seq_key(uint64_t seq, uint8_t key[8]);
/* Carries out one operation in the open transaction; its own outcome is in op. */
int dw_lmdb_op(struct lmdb_engine *e, struct dw_op *op);
bool dw_lmdb_expired(const struct lmdb_engine *e, uint64_t at);
bool dw_lmdb_dead(const struct lmdb_engine *e, uint64_t room_n, uint64_t n, uint64_t at);
/* Take an entry apart; room and record point into it. DW_E_CORRUPT or false: it is none. */
int dw_lmdb_take_message(struct dw_str value, struct message_head *head, struct dw_str *room, struct dw_str *record);
bool dw_lmdb_take_cursor(struct dw_str key, struct dw_str value, struct dw_cursor *cursor);
void dw_lmdb_summary(struct dw_room_summary *summary, struct dw_str room, const struct room_value *value);

#endif
