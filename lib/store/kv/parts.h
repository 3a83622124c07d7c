/* What the parts of the store (kv.c) share: LMDB (lmdb.c), the file under it (file.c), the journal beside it
 * (journal.c), and the look-through (look.c, tree.c). */
#ifndef DIAGWS_KV_PARTS_H
#define DIAGWS_KV_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/buf.h"
#include "store/kv/kv.h"

enum { KV_TABLES_MAX = 16, KV_SUM_SIZE = 8 };

/* In the first table each commit leaves its number, so that all parts can be told to be of one commit; and what marks
 * the batches of the journal that follow it. */
#define KV_STAMP "txn"
#define KV_TAG "journal"

/* What a store is expected to be. */
#define KV_WHOLE "a store that is whole: restore a copy, or move this one away and begin anew"

static inline uint64_t
kv_mix_word(uint64_t sum, uint64_t word)
{
	/* Each step can be undone, so two texts that differ in one word never have the same sum. */
	sum = (sum ^ word) * 0x9e3779b97f4a7c15U;
	return sum ^ sum >> 32;
}

static inline uint64_t
kv_mix(uint64_t sum, struct dw_str s)
{
	uint64_t word;

	for (; s.n >= sizeof(word); s = (struct dw_str) { s.p + sizeof(word), s.n - sizeof(word) }) {
		memcpy(&word, s.p, sizeof(word));
		sum = kv_mix_word(sum, word);
	}
	word = 0;
	if (s.n > 0)
		memcpy(&word, s.p, s.n);
	return s.n > 0 ? kv_mix_word(sum, word) : sum;
}

/* For a table of slots, by the lowest bits, in which the sums of short names differ little. */
static inline uint64_t
kv_hash(struct dw_str a, struct dw_str b)
{
	return kv_mix_word(kv_mix(kv_mix(a.n + 1, a), b), b.n);
}

/* Stands behind each value. It tells damage, not malice. */
static inline uint64_t
kv_sum(struct dw_str key, struct dw_str value)
{
	return kv_mix(kv_mix(((uint64_t)key.n << 32) + value.n + 1, key), value);
}

/* Takes the sum off a stored value; false: it is not that of key and value. */
static inline bool
kv_take(struct dw_str key, struct dw_str stored, struct dw_str *value)
{
	uint64_t sum;

	if (stored.n < KV_SUM_SIZE)
		return false;
	*value = (struct dw_str) { stored.p, stored.n - KV_SUM_SIZE };
	memcpy(&sum, stored.p + value->n, sizeof(sum));
	return sum == kv_sum(key, *value);
}

/* ---- the store */

struct kv_file {
	int dir, fd;
	uint64_t limit;
	uint64_t allocated; /* its size */
	bool short_of_disk; /* it could not be made longer */
};

struct kv_journal {
	int dir, fd;          /* fd -1: there is none */
	bool allocated;       /* it has its blocks: batches may be written */
	uint64_t tag, commit; /* of the commit that its batches follow */
	uint64_t end, count;  /* of those batches */
	struct dw_buf batch;  /* the one under way, or read */
};

struct dw_kv {
	const char *dir;
	const char *const *names; /* of the tables */
	size_t count;
	/* LMDB (lmdb.c): */
	struct MDB_env *env;
	struct MDB_txn *txn; /* NULL: none is open */
	unsigned tables[KV_TABLES_MAX];
	struct MDB_cursor *cursors[KV_TABLES_MAX]; /* of the open transaction: where it wrote last */
	uint64_t touched[KV_TABLES_MAX];           /* bytes of pages, by the open transaction, at most */
	uint64_t large;                            /* of which it wrote so many in values that have pages of their own */
	struct kv_file file;
	size_t page;
	bool lent;        /* the map takes in the reserve */
	size_t committed; /* the last commit's number */
	int last;         /* LMDB's code of the last failure since a transaction began */
	char damage[128]; /* which entry, when that is damage */
	/* And the journal before it (kv.c): */
	struct kv_journal journal;
	bool kept;             /* LMDB's transaction stays open between ours: it holds what the journal does */
	bool whole;            /* the open transaction is for LMDB's commit */
	bool dirty;            /* it has changed something */
	bool begun;            /* the one that the opening left has ended */
	uint64_t committed_at; /* ms, monotonic: LMDB's last commit */
};

/* ---- file.c */

/* All of it, at that place: 0 or errno's number, ENODATA where the file ends before. */
int dw_kv_read(int fd, void *out, size_t size, off_t at);

enum { KV_AT_LIMIT = -1 };

/* Opens the file, of which so many bytes are in use, and gives it its blocks, unless the disk is full. */
int dw_kv_file_open(struct kv_file *file, uint64_t used);
/* LMDB's lock file, likewise: it is mapped, and a block that is missing then would end the process. */
int dw_kv_lock_open(struct kv_file *file);
/* Makes it longer: 0, errno's number, or KV_AT_LIMIT. */
int dw_kv_file_grow(struct kv_file *file);
/* Where the map is to end, with the reserve or before it, for LMDB not before the end of what is used. */
uint64_t dw_kv_map_end(const struct kv_file *file, bool lend);
bool dw_kv_disk_is_full(const struct kv_file *file);
/* What the system failed to synchronise it may forget, and says so once to each who has the file open. */
bool dw_kv_sync_failed(const struct kv_file *file);

/* ---- lmdb.c: LMDB, and what of kv.h needs nothing else */

/* Opens it, and makes the tables that are missing, in a transaction that is left open. */
int dw_kv_lmdb_open(struct dw_kv *kv, struct dw_fault *fault);
void dw_kv_lmdb_close(struct dw_kv *kv);

int dw_kv_lmdb_begin(struct dw_kv *kv, bool read);
int dw_kv_lmdb_commit(struct dw_kv *kv);
void dw_kv_lmdb_abort(struct dw_kv *kv);
/* Of the open transaction: how many bytes of pages it has changed, at most. */
uint64_t dw_kv_lmdb_touched(const struct dw_kv *kv);

/* `append`: it belongs behind the last key. */
int dw_kv_lmdb_put(
	struct dw_kv *kv, size_t table, struct dw_str key, const struct dw_str *parts, size_t count, bool append);
int dw_kv_lmdb_delete(struct dw_kv *kv, size_t table, struct dw_str key);

/* Bytes that the map has left before the reserve. */
uint64_t dw_kv_lmdb_room(const struct dw_kv *kv);
/* Takes the reserve into the map, or out of it. Makes the file and the map longer: 0, KV_AT_LIMIT or errno's number. No
 * transaction may be open. */
int dw_kv_lmdb_lend(struct dw_kv *kv, bool lend);
int dw_kv_lmdb_grow(struct dw_kv *kv);

/* What errno's number means here; it is remembered for the text. */
int dw_kv_lmdb_fail(struct dw_kv *kv, int number);

/* ---- journal.c */

enum kv_change { KV_PUT, KV_APPEND, KV_DELETE };
typedef int dw_kv_change_fn(void *user, enum kv_change kind, size_t table, struct dw_str key, struct dw_str value);

enum { KV_NO_BATCH = -1, KV_NO_JOURNAL = -2 };

/* Makes it where there is none, unless it `must` be there (KV_NO_JOURNAL, as for one that was cut); it follows a commit
 * already, `dir` is set, `fd` is -1. Where the disk has no room for it, it stays -1, or is only read. Returns 0 or
 * errno's number. */
int dw_kv_journal_open(struct kv_journal *journal, bool must);
void dw_kv_journal_close(struct kv_journal *journal);
/* What comes now follows this commit. */
void dw_kv_journal_follow(struct kv_journal *journal, uint64_t tag, uint64_t commit);
/* Carries out what is there, in order: DW_OK, what `change` returned, DW_E_CORRUPT, DW_E_STORAGE, DW_E_NOMEM. */
int dw_kv_journal_replay(struct kv_journal *journal, dw_kv_change_fn *change, void *user);
/* Whether anything is beyond the end that must have been before it: DW_E_CORRUPT; likewise. */
int dw_kv_journal_look(struct kv_journal *journal);
/* A batch: its changes, whether it can be written, and writing it. Durable when 0; else errno's number, and `unsure`
 * says whether the disk may hold it nevertheless. */
void dw_kv_journal_begin(struct kv_journal *journal);
void dw_kv_journal_note(struct kv_journal *journal, enum kv_change kind, size_t table, struct dw_str key,
	const struct dw_str *parts, size_t count);
bool dw_kv_journal_fits(const struct kv_journal *journal);
int dw_kv_journal_write(struct kv_journal *journal, bool *unsure);

/* ---- tree.c: a tree of LMDB's file, walked along its leaves with nothing trusted */

enum { KV_PAGE_HEAD = 16, KV_DEPTH_MAX = 32, KV_KEY_LONGEST = 511, KV_NODE_TREE = 2 };

#define KV_NO_PAGE UINT64_MAX

/* The file that is read. */
struct kv_pages {
	const char *dir;
	int fd;
	struct dw_fault *fault; /* what is said of damage; or NULL */
	size_t page_size;
	uint64_t count;
	uint8_t *used; /* a bit for each page */
};

/* A tree's root as it is stored: MDB_db. */
struct kv_tree {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branches, leaves, large, entries, root;
};

struct kv_level {
	uint8_t *page;
	uint64_t number;
	size_t at, count; /* the node, of how many */
};

/* All zeros but for what its maker sets. */
struct kv_walk {
	const char *name; /* for people */
	struct kv_tree tree;
	bool marks;  /* its pages are noted as used */
	bool native; /* the tree of free pages: keys are numbers, not bytes */
	struct kv_level levels[KV_DEPTH_MAX];
	size_t depth; /* levels that are open; 0: not begun, or at its end */
	uint64_t entries;
	/* The last key, that of an entry or of a branch: the next one is above it, or, behind a branch's, not below. */
	uint8_t last[KV_KEY_LONGEST];
	size_t last_size;
	bool branch;
	struct dw_buf large;
};

void dw_kv_walk_clear(struct kv_walk *walk);
/* The next entry as it is stored, good until the next call; `kind` is KV_NODE_TREE in the list of tables, else 0.
 * DW_E_AGAIN: that was the last, and their number is right. Else as in kv.h. */
int dw_kv_walk_next(struct kv_pages *pages, struct kv_walk *walk, int kind, struct dw_str *key, struct dw_str *value);

static inline uint16_t
kv_get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

int dw_kv_read_at(const struct kv_pages *pages, uint64_t offset, void *out, size_t size);
/* Whether there are such pages; they are noted as used where the walk marks, and none may be used already. */
int dw_kv_claim(struct kv_pages *pages, const struct kv_walk *walk, uint64_t page, uint64_t count);
int dw_kv_damaged(const struct kv_pages *pages, const char *where, uint64_t page, const char *what);

#endif
