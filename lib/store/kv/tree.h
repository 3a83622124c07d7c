/* A tree of LMDB's file, walked along its leaves with nothing trusted: see tree.c. */
#ifndef DIAGWS_KV_TREE_H
#define DIAGWS_KV_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

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
 * DW_E_AGAIN: that was the last, and their number is right. Else as in look.h. */
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
