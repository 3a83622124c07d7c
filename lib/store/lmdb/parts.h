/* What the files of the LMDB engine share: its tables, the values in them, and the batch under way.
 * lmdb.c says what each table holds. */
#ifndef DIAGWS_ENGINE_LMDB_PARTS_H
#define DIAGWS_ENGINE_LMDB_PARTS_H

#include <endian.h>
#include <string.h>

#include "base/hash.h"
#include "store/engine.h"
#include "store/kv/kv.h"

/* As dw_lmdb_tables (check.c). */
enum lmdb_table { META, MESSAGES, PLACES, ROOMS, USERS, IDLOG, CURSORS, OWNERS };

enum { LMDB_TABLES = OWNERS + 1, LMDB_FORMAT = 6 };
extern const char *const dw_lmdb_tables[LMDB_TABLES];

enum { LMDB_KEY_MAX = DW_ROOM_MAX + DW_USER_MAX + DW_DEVICE_MAX + 3 };

/* Before each message, and all that stays as its place: the room's and the user's names follow. */
struct message_head {
	uint64_t prev;  /* the seq before it in its chain */
	uint64_t count; /* its number in that chain: n, or own */
	uint64_t total; /* of a direct one: its number among all direct ones of the room */
	uint64_t n, at;
	uint32_t room_size, user_size; /* user_size 0: to everyone */
};

struct room_value {
	uint64_t head, head_at;              /* the newest message */
	uint64_t last, n, last_at;           /* the newest one to everyone */
	uint64_t direct, directs, direct_at; /* the newest direct one, and how many there ever were */
};

/* The newest direct message to a user in a room. */
struct user_value {
	uint64_t last, own;
};

/* A message or its place, taken apart; everything points into the store. */
struct lmdb_message {
	struct message_head head;
	struct dw_str room, user, record;
	bool place; /* only its place is left */
};

/* A row of the log of ids; so many lie in one entry that two entries fill a page. */
enum { ID_DIGEST = 16, ID_ROWS_MAX = 40 };
struct id_row {
	uint8_t digest[ID_DIGEST], hash[DW_HASH_SIZE];
	uint64_t at, n; /* at: ms, and two bits that only ids.c knows */
};

struct lmdb_ids; /* private to ids.c */

/* The note beside the store, private to note.c. */
struct lmdb_note {
	bool there; /* there is one, */
	int fd;     /* and it is the store's own; else -1 */
	char epoch[DW_EPOCH_SIZE];
	uint64_t head, later; /* noted and synchronised; noted */
	uint64_t sum;
	uint64_t written_at; /* ms, monotonic: the last try */
};

struct lmdb_engine {
	struct dw_engine base;
	struct dw_engine_config config;
	int dir, file; /* both locked */
	struct lmdb_note note;
	bool open;    /* the opening is done */
	bool noted;   /* meta says that this epoch has been noted */
	bool renewed; /* this opening began the epoch of a store that was restored */
	struct dw_kv *kv;
	char epoch[DW_EPOCH_SIZE];
	uint64_t seq;
	struct lmdb_ids *ids;
	struct dw_hash rooms; /* private to rooms.c, like those of them that the batch has changed: */
	struct kept *changed;
	/* Of the batch under way: */
	uint64_t next_seq, now;
	size_t deleted;   /* messages by the sweep, and entries of the log of ids */
	const char *room; /* that it is at; NULL: at the upkeep */
	bool failed;      /* the disk cannot be trusted any more */
};

/* ---- keys: they sort as what they are made of */

static inline struct dw_str
dw_lmdb_seq_key(uint64_t *out, uint64_t seq)
{
	*out = htobe64(seq);
	return dw_bytes(out, sizeof(*out));
}

static inline uint64_t
dw_lmdb_key_seq(struct dw_str key)
{
	uint64_t seq = 0;

	memcpy(&seq, key.p, key.n < sizeof(seq) ? key.n : sizeof(seq));
	return be64toh(seq);
}

/* room NUL user NUL device, the last two as far as given (else "", NULL): all entries of a room lie together. */
static inline struct dw_str
dw_lmdb_join_key(char out[LMDB_KEY_MAX], struct dw_str room, struct dw_str user, const char *device)
{
	char *end = mempcpy(out, room.p, room.n);

	*end++ = '\0';
	if (user.n > 0)
		end = mempcpy(end, user.p, user.n);
	if (device != NULL) {
		*end++ = '\0';
		end = mempcpy(end, device, strlen(device));
	}
	return dw_bytes(out, (size_t)(end - out));
}

/* Adds a row to what an operation returns. */
static inline int
dw_lmdb_add_row(struct dw_buf *rows, const void *row, size_t size)
{
	dw_buf_add(rows, row, size);
	return dw_buf_ok(rows) ? DW_OK : DW_E_NOMEM;
}

/* ---- log.c: messages and their places */

/* Stores the message under the batch's next seq and fills the operation's results. */
int dw_lmdb_append(struct lmdb_engine *e, struct dw_op *op);
/* The summary, the records and the users of a LOAD. */
int dw_lmdb_load(struct lmdb_engine *e, struct dw_op *op);
int dw_lmdb_place(struct lmdb_engine *e, struct dw_op *op);
/* The last numbers that a message is judged by. */
struct lmdb_ends {
	uint64_t count;   /* of its chain */
	uint64_t directs; /* of the room's direct messages */
};
int dw_lmdb_get_ends(
	struct lmdb_engine *e, const struct room_value *room, const struct lmdb_message *message, struct lmdb_ends *ends);
/* Too many newer ones are in its chain for even its place to be kept. */
bool dw_lmdb_is_forgotten(const struct lmdb_engine *e, struct lmdb_ends ends, const struct lmdb_message *message);
/* It is retained no more. */
bool dw_lmdb_is_dead(const struct lmdb_engine *e, struct lmdb_ends ends, const struct lmdb_message *message);
/* Takes a message or a place apart. DW_E_CORRUPT: it is none. */
int dw_lmdb_take_message(struct dw_str value, bool place, struct lmdb_message *message);
/* The summary as far as the room's value tells; false: the room retains nothing. */
bool dw_lmdb_summary(
	const struct lmdb_engine *e, struct dw_room_summary *summary, struct dw_str room, const struct room_value *value);

/* ---- sweep.c */

/* Where it pays, or must be, looks at `budget` old messages, and at some places, and clears away the dead. */
int dw_lmdb_sweep(struct lmdb_engine *e, size_t budget, bool must);

/* ---- rooms.c: what the batch under way has made of the rooms */

/* Before a batch's commit. */
int dw_lmdb_rooms_write(struct lmdb_engine *e);
/* The batch was aborted, or the engine is closed. */
void dw_lmdb_rooms_forget(struct lmdb_engine *e);
/* All zeros: there is no such room. It stays until either of these, and is written only when it is got to `change`. */
int dw_lmdb_get_room(struct lmdb_engine *e, struct dw_str name, bool change, struct room_value **value);

/* ---- ids.c: the ids that senders gave */

/* In a transaction, of a store that was looked through. */
int dw_lmdb_ids_open(struct lmdb_engine *e);
void dw_lmdb_ids_close(struct lmdb_engine *e);
/* DW_OK: it was there before, and the APPEND says so; DW_E_AGAIN: it is new, or not remembered any more. */
int dw_lmdb_id_find(struct lmdb_engine *e, struct dw_op *op, const uint8_t digest[ID_DIGEST]);
/* For each message, in the order of seq. */
int dw_lmdb_id_add(struct lmdb_engine *e, const struct dw_op *op, const uint8_t digest[ID_DIGEST]);
/* Before the commit of a batch that appends: deletes at most so many entries of what is not remembered. */
int dw_lmdb_ids_end(struct lmdb_engine *e, size_t budget);
/* After any commit, or any abort. */
void dw_lmdb_ids_settle(struct lmdb_engine *e, bool committed);

/* ---- ops.c: the rest */

/* Carries out one operation in the open transaction; its own outcome is in op. */
int dw_lmdb_op(struct lmdb_engine *e, struct dw_op *op);
/* Take an entry apart. False: it is none. */
bool dw_lmdb_take_cursor(struct dw_str key, struct dw_str value, struct dw_cursor *cursor);
bool dw_lmdb_take_owner(struct dw_str key, struct dw_str value, struct dw_owner_row *row);

/* ---- note.c: the directory, and the note in it */

/* Makes it, and the store's file in it, and locks both for life. DW_E_CREATE, DW_E_PERMISSION, DW_E_IN_USE. */
int dw_lmdb_lock(struct lmdb_engine *e, struct dw_fault *fault);
void dw_lmdb_unlock(struct lmdb_engine *e);
/* Once, when the directory is locked. */
void dw_lmdb_note_read(struct lmdb_engine *e);
/* Whether the store with this epoch and seq is a restored copy. */
bool dw_lmdb_was_restored(const struct lmdb_engine *e);
/* Replaces it by where the store stands, in any case or where that tells more; 0 or errno's number. */
int dw_lmdb_note_write(struct lmdb_engine *e);
int dw_lmdb_note_renew(struct lmdb_engine *e);
/* The same at little cost, after a commit. */
void dw_lmdb_note_head(struct lmdb_engine *e);
/* Removes it: it says nothing of what comes. */
void dw_lmdb_note_drop(struct lmdb_engine *e);
void dw_lmdb_note_close(struct lmdb_engine *e);

/* ---- check.c */

/* Looks the whole store through. DW_E_AGAIN: there is none yet, or was only begun; else as dw_engine_ops.open. */
int dw_lmdb_check(struct lmdb_engine *e, struct dw_fault *fault);

#endif
