/* A tree of LMDB's file, walked along its leaves with nothing trusted: see tree.c. */
#ifndef DIAGWS_KV_TREE_H
#define DIAGWS_KV_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { KV_DEPTH_MAX = 32, KV_KEY_LONGEST = 511, KV_NODE_TREE = 2 };

#define KV_NO_PAGE UINT64_MAX

/* The file that is read. */
struct kv_pages {
	const char *dir;
	int fd;
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

struct kv_walk {
	const char *name; /* for people */
	struct kv_tree tree;
	bool marks;  /* its pages are noted as used */
	bool native; /* the tree of free pages: keys are numbers, not bytes */
	struct kv_level levels[KV_DEPTH_MAX];
	size_t depth; /* levels that are open; 0: not begun */
	uint64_t entries;
	/* The last key, and what the next one must not be below. */
	uint8_t last[KV_KEY_LONGEST], bound[KV_KEY_LONGEST];
	size_t last_size, bound_size;
	bool bounded;
	uint8_t *large;
	size_t large_size;
};

/* All zeros but for these: name and tree are borrowed and copied. */
void dw_kv_walk_init(struct kv_walk *walk, const char *name, const struct kv_tree *tree, bool marks);
void dw_kv_walk_clear(struct kv_walk *walk);
/* The next entry as it is stored, good until the next call; `kind` is KV_NODE_TREE in the list of tables, else 0.
 * DW_E_AGAIN: that was the last, and their number is right. Else as in look.h. */
int dw_kv_walk_next(struct kv_pages *pages, struct kv_walk *walk, int kind, struct dw_str *key, struct dw_str *value,
	struct dw_fault *fault);
/* The page that the walk is at. */
uint64_t dw_kv_walk_page(const struct kv_walk *walk);

int dw_kv_read_at(const struct kv_pages *pages, uint64_t offset, void *out, size_t size, struct dw_fault *fault);
/* Notes the page as used; false: there is no such page, or it is used already. */
bool dw_kv_claim(struct kv_pages *pages, uint64_t page);
int dw_kv_damaged(
	const struct kv_pages *pages, struct dw_fault *fault, const char *where, uint64_t page, const char *what);

#endif
