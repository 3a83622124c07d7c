/* The seam to what keeps things: LMDB (default), a memory twin for tests, later a cluster.
 *
 * Work comes as a batch: an ordered list of operations that becomes one transaction, all or nothing. Operations see
 * what earlier ones of the batch did. The engine gives the numbers: `seq` grows by one for each stored message over the
 * whole engine, `n` for each in its room that is for everyone; a batch that fails leaves both as they were.
 *
 * A room has one chain of the messages to everyone, numbered by n, and one for each user of the direct messages to that
 * user, numbered by `own`. Of each chain the newest queue_limit are retained, of all direct ones of a room together the
 * newest DW_HISTORY_TIMES * queue_limit, and none that is older than queue_ttl. The last number of a chain is kept for
 * ever, and of the newest DW_HISTORY_TIMES * queue_limit of it (retained or not) which seq they had (DW_OP_PLACE). A
 * message that expires by its own `expires_at` stays where it is.
 *
 * Reads (DW_OP_LOAD, DW_OP_PLACE, DW_OP_OWNERS) are part of the batch too: what they return is only true once that has
 * been committed.
 *
 * One thread at a time uses an engine. Every implementation passes tests/unit/store/test_engine.c.
 */
#ifndef DIAGWS_ENGINE_H
#define DIAGWS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "message/msg.h"

enum { DW_EPOCH_SIZE = 33, DW_HASH_SIZE = 16, DW_HISTORY_TIMES = 10, DW_OWNERS_TIMES = 10 };

enum dw_owner_state { DW_OWNER_NONE, DW_OWNER_GRANTED, DW_OWNER_DENIED };

/* What a room is without its messages. */
struct dw_room_summary {
	char room[DW_ROOM_MAX + 1];
	uint64_t n;        /* of the newest message ever to everyone */
	uint64_t head;     /* seq of the newest message ever, direct ones included; 0: none */
	uint64_t head_at;  /* when that was stored, ms */
	uint64_t oldest_n; /* of the oldest retained message to everyone; n + 1 when none is retained */
	uint64_t directs;  /* direct messages retained, at most */
};

/* Messages behind one number and up to another. */
struct dw_span {
	uint64_t from, to;
};

struct dw_cursor {
	char room[DW_ROOM_MAX + 1];
	char user[DW_USER_MAX + 1];
	char device[DW_DEVICE_MAX + 1];
	/* From here on it is as the store keeps it. */
	struct dw_position at;       /* confirmed up to here */
	struct dw_position resume;   /* where it goes on when it returns; not further */
	struct dw_span had, had_own; /* what it was delivered: by n, and of the direct ones by own */
	uint64_t seen;               /* ms: when the device was last connected; 0: remove the cursor */
	uint64_t expires;            /* ms: 0, or when a derived device's token ends */
	uint64_t derived;            /* 1: it is */
};

enum dw_op_kind {
	DW_OP_APPEND, /* store a message */
	DW_OP_CURSOR, /* write a cursor, or remove it */
	DW_OP_OWNER,  /* set a registry entry; DW_OWNER_NONE removes it */
	DW_OP_LOAD,   /* a room's summary, messages, users, cursors and owners */
	DW_OP_PLACE,  /* a room's n, and a user's own, at a seq */
	DW_OP_OWNERS  /* list the registry */
};

struct dw_op {
	enum dw_op_kind kind;
	void *user;                 /* the caller's: untouched */
	int err;                    /* out: 0, or why this APPEND alone was not carried out: DW_E_ID_REUSED, DW_E_DENIED */
	char room[DW_ROOM_MAX + 1]; /* OWNERS: "" for all rooms */
	union {
		struct {
			char type[DW_TYPE_MAX + 1];
			char id[DW_ID_MAX + 1];          /* never empty: the hub makes one where the sender gave none */
			char publisher[DW_USER_MAX + 1]; /* not empty: refused (DW_E_DENIED) unless this user may publish */
			bool claimed;                    /* that user's token names the room */
			char to[DW_USER_MAX + 1];        /* not empty: direct */
			uint64_t except;                 /* as in struct dw_record */
			uint64_t expires_at;
			char *data; /* malloc'ed by the caller, freed by dw_op_clear */
			size_t size;
			uint8_t hash[DW_HASH_SIZE]; /* of type, receiver and data: same id, other hash is DW_E_ID_REUSED */
			uint64_t at;                /* ms */
			uint64_t seq, n, own; /* out, of the first one when duplicate; n of a direct one is 0, own of any other */
			uint64_t room_n;      /* out, not when duplicate: the room's n now, which is the record's */
			bool duplicate;       /* out */
			bool had_except, had_expiry; /* out, when duplicate: whether the first one had an except, an expires_at */
			struct dw_buf record;        /* out: the packed record (wire.h), empty when duplicate */
		} append;
		struct dw_cursor cursor; /* its own room field is used */
		struct {
			char user[DW_USER_MAX + 1];
			enum dw_owner_state state;
			bool dry;     /* only find out `changed` */
			bool changed; /* out */
		} owner;
		struct {
			char user[DW_USER_MAX + 1]; /* "": nobody */
			uint64_t seq, until;        /* until 0: not asked */
			/* Out: n of the newest message to everyone up to `seq`; own and until_own of the newest direct one to that
			 * user up to `seq`, and up to `until`; 0: there is none, or it is forgotten. */
			uint64_t n, own, until_own;
		} place;
		struct {
			/* OWNERS: rows at most; looks at no more than DW_OWNERS_TIMES as many entries. The entry of a room and user
			 * is found at once. */
			size_t limit;
			char user[DW_USER_MAX + 1];                                    /* OWNERS: "" for all */
			char after_room[DW_ROOM_MAX + 1], after_user[DW_USER_MAX + 1]; /* OWNERS: only after this one; or "" */
			struct dw_room_summary summary;                                /* out: LOAD */
			struct dw_buf records; /* out: LOAD: packed records to everyone, oldest first */
			/* Out, LOAD: of the newest DW_HISTORY_TIMES * queue_limit direct ones, oldest first, those that are known:
			 * what is not retained is a tombstone. */
			struct dw_buf directs;
			struct dw_buf users;   /* out: LOAD: an array of struct dw_user_row, all who ever had a direct message */
			struct dw_buf cursors; /* out: LOAD: an array of struct dw_cursor */
			/* out: LOAD, OWNERS: an array of struct dw_owner_row, by room and user */
			struct dw_buf owners;
			/* out: OWNERS: it ended at its limit. The last row is then the last that was looked at; of state
			 * DW_OWNER_NONE it only says where to go on. */
			bool more;
		} read;
	};
};

struct dw_user_row {
	char user[DW_USER_MAX + 1];
	uint64_t own; /* of the newest direct message to that user */
};

struct dw_owner_row {
	char room[DW_ROOM_MAX + 1];
	char user[DW_USER_MAX + 1];
	enum dw_owner_state state;
};

/* Frees what hangs on op (not op itself). */
void dw_op_clear(struct dw_op *op);
/* Takes back what an attempt wrote into op, so that it can be carried out again. */
void dw_op_reset(struct dw_op *op);

enum dw_ownership { DW_OWNERSHIP_REGISTRY, DW_OWNERSHIP_CLAIMS, DW_OWNERSHIP_EITHER };
/* Whether a user may watch and publish: the one place where that is decided. A denial beats a claim. */
bool dw_may(enum dw_ownership ownership, enum dw_owner_state state, bool claimed);

struct dw_engine_config {
	const char *dir;          /* LMDB: the state directory, made 0750 when missing */
	size_t queue_limit;       /* messages retained per room */
	uint64_t queue_ttl_ms;    /* and for how long */
	uint64_t id_window_ms;    /* how long an id is remembered (by its message's `at`), */
	uint64_t id_window_count; /* while it is one of the last so many (1,000,000) */
	uint64_t store_limit;     /* bytes on disk; past it DW_E_STORAGE_FULL */
	enum dw_ownership ownership;
};

struct dw_engine_info {
	char epoch[DW_EPOCH_SIZE]; /* names the store: another one after a restore */
	uint64_t head;             /* last seq given */
	uint64_t bytes;            /* used on disk or in memory */
	bool restored;             /* this opening found a restored copy, and began its epoch */
};

struct dw_engine; /* starts with `const struct dw_engine_ops *ops` */

typedef int dw_each_room(void *user, const struct dw_room_summary *summary);
typedef int dw_each_cursor(void *user, const struct dw_cursor *cursor);

struct dw_engine_ops {
	/* DW_E_CREATE or DW_E_PERMISSION (directory), DW_E_IN_USE (another process has it open), DW_E_CORRUPT (not ours,
	 * damaged, or of another format: which, and what to do), DW_E_NOMEM. The whole store is looked through. */
	int (*open)(struct dw_engine **out, const struct dw_engine_config *config, struct dw_fault *fault);
	/* No commit comes for a while: what the journal has goes to the database. The thread that committed last says so
	 * before another one closes the engine. */
	void (*rest)(struct dw_engine *engine);
	void (*close)(struct dw_engine *engine);
	void (*info)(struct dw_engine *engine, struct dw_engine_info *info);
	/* Every room that retains anything, then every cursor, each in any order; NULL: none of them. An error from a
	 * callback ends the scan and is returned. A summary may count messages that have expired since: LOAD does not. */
	int (*scan)(struct dw_engine *engine, dw_each_room *room, dw_each_cursor *cursor, void *user);
	/* Carries out and commits; durable when it returns DW_OK. DW_E_STORAGE_FULL: nothing was done, more room
	 * mends it; DW_E_STORAGE: the disk cannot be trusted, the process must end. */
	int (*commit)(struct dw_engine *engine, struct dw_op **ops, size_t count, struct dw_fault *fault);
};

struct dw_engine {
	const struct dw_engine_ops *ops;
};

extern const struct dw_engine_ops dw_engine_lmdb;

#endif
