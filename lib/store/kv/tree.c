/* Trees of LMDB's file format, read without trust.
 *
 * A tree's branch pages have keys and page numbers, its leaves keys and values, a large value has pages of its own.
 *
 *   page    {own number 8, pad 2, flags 2, lower 2, upper 2 | pages 4} offsets of nodes 2 …   nodes
 *   node    {low 2, high 2, flags 2, key size 2} key, value       leaf: value size = high·2^16 + low
 *
 * What must hold: each page carries its own number and belongs to one place only; nodes lie within their page; keys
 * grow, also across pages, and agree with the branches above; a tree has the depth and the entries that its root says.
 *
 * Failure modes: the first thing that does not hold ends it, with tree and page in the fault.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/kv/parts.h"

enum { NODE_HEAD = 8, FLAG_BRANCH = 1, FLAG_LEAF = 2, FLAG_OVERFLOW = 4, NODE_BIG = 1 };

int
dw_kv_damaged(const struct kv_pages *pages, const char *where, uint64_t page, const char *what)
{
	return dw_fault_set(pages->fault, DW_E_CORRUPT, "--state-dir", KV_WHOLE,
		"'%s/data.mdb' is damaged: %s, page %llu: %s", pages->dir, where, (unsigned long long)page, what);
}

int
dw_kv_read_at(const struct kv_pages *pages, uint64_t offset, void *out, size_t size)
{
	const int number = dw_kv_read(pages->fd, out, size, (off_t)offset);

	if (number == 0)
		return DW_OK;
	return dw_fault_set(pages->fault, DW_E_STORAGE, "--state-dir", NULL, "cannot read '%s/data.mdb' at %llu: %s",
		pages->dir, (unsigned long long)offset, number == ENODATA ? "it ends there" : strerror(number));
}

int
dw_kv_claim(struct kv_pages *pages, const struct kv_walk *walk, uint64_t page, uint64_t count)
{
	if (page < 2 || page >= pages->count || count > pages->count - page)
		return dw_kv_damaged(pages, walk->name, page, "there is no such page");
	for (uint64_t i = page; walk->marks && i < page + count; i++) {
		if ((pages->used[i / 8] >> (i % 8) & 1) != 0)
			return dw_kv_damaged(pages, walk->name, i, "it is used twice");
		pages->used[i / 8] |= (uint8_t)(1U << (i % 8));
	}
	return DW_OK;
}

static struct dw_str
key_of(const uint8_t *node)
{
	return dw_bytes(node + NODE_HEAD, kv_get16(node + 6));
}

static size_t
value_size(const uint8_t *node)
{
	return kv_get16(node) + ((size_t)kv_get16(node + 2) << 16);
}

static const uint8_t *
node_at(const struct kv_level *level)
{
	return level->page + kv_get16(level->page + KV_PAGE_HEAD + 2 * level->at);
}

/* Takes the next key; false: it is not above the one before it, or below a branch's. */
static bool
take_key(struct kv_walk *walk, struct dw_str key, bool branch)
{
	const size_t n = walk->last_size;
	uint64_t x, y;
	int order = memcmp(key.p, walk->last, key.n < n ? key.n : n);

	if (walk->native && key.n == sizeof(x) && n == sizeof(y)) {
		memcpy(&x, key.p, sizeof(x));
		memcpy(&y, walk->last, sizeof(y));
		order = (x > y) - (x < y);
	} else if (order == 0) {
		order = (key.n > n) - (key.n < n);
	}
	if (order < 0 || (order == 0 && !walk->branch) || (walk->native && key.n != sizeof(x)))
		return false;
	walk->branch = branch;
	walk->last_size = key.n;
	memcpy(walk->last, key.p, key.n);
	return true;
}

/* Whether a page's nodes lie within it. */
static bool
nodes_fit(const struct kv_pages *pages, const uint8_t *page, bool leaf, size_t *count)
{
	const size_t lower = kv_get16(page + 12), upper = kv_get16(page + 14);

	if (lower < KV_PAGE_HEAD || lower > upper || upper > pages->page_size || (lower - KV_PAGE_HEAD) % 2 != 0)
		return false;
	*count = (lower - KV_PAGE_HEAD) / 2;
	for (size_t i = 0; i < *count; i++) {
		const size_t offset = kv_get16(page + KV_PAGE_HEAD + 2 * i);
		const uint8_t *node = page + offset;
		size_t size;

		if (offset < upper || offset + NODE_HEAD > pages->page_size)
			return false;
		size = NODE_HEAD + key_of(node).n;
		if (leaf)
			size += (kv_get16(node + 4) & NODE_BIG) != 0 ? sizeof(uint64_t) : value_size(node);
		if (offset + size > pages->page_size || key_of(node).n > KV_KEY_LONGEST)
			return false;
	}
	return true;
}

/* Reads a page of the tree as the next level down. */
static int
descend(struct kv_pages *pages, struct kv_walk *walk, uint64_t number)
{
	struct kv_level *level = &walk->levels[walk->depth];
	const bool leaf = walk->depth + 1 == walk->tree.depth;
	uint64_t own;
	int err;

	if (walk->depth >= walk->tree.depth || walk->depth >= KV_DEPTH_MAX)
		return dw_kv_damaged(pages, walk->name, number, "the tree is too deep");
	err = dw_kv_claim(pages, walk, number, 1);
	if (level->page == NULL)
		level->page = malloc(pages->page_size);
	if (err == DW_OK && level->page == NULL)
		err = DW_E_NOMEM;
	if (err == DW_OK)
		err = dw_kv_read_at(pages, number * pages->page_size, level->page, pages->page_size);
	if (err != DW_OK)
		return err;
	memcpy(&own, level->page, sizeof(own));
	if (own != number)
		return dw_kv_damaged(pages, walk->name, number, "it carries another page's number");
	if (kv_get16(level->page + 10) != (leaf ? FLAG_LEAF : FLAG_BRANCH))
		return dw_kv_damaged(pages, walk->name, number, "it is of another kind");
	/* LMDB insists on two children but in the tree of free pages. */
	if (!nodes_fit(pages, level->page, leaf, &level->count) || level->count < (leaf || walk->native ? 1 : 2))
		return dw_kv_damaged(pages, walk->name, number, "its contents do not fit");
	level->number = number;
	level->at = 0;
	walk->depth++;
	return DW_OK;
}

static uint64_t
child_of(const uint8_t *node)
{
	return kv_get16(node) | (uint64_t)kv_get16(node + 2) << 16 | (uint64_t)kv_get16(node + 4) << 32;
}

/* To the next leaf's node. DW_E_AGAIN: there is none. */
static int
advance(struct kv_pages *pages, struct kv_walk *walk)
{
	const struct kv_level *level;
	int err = DW_OK;

	while (walk->depth > 0 && ++walk->levels[walk->depth - 1].at == walk->levels[walk->depth - 1].count)
		walk->depth--;
	if (walk->depth == 0 && (walk->entries > 0 || walk->tree.root == KV_NO_PAGE))
		return DW_E_AGAIN;
	level = &walk->levels[walk->depth > 0 ? walk->depth - 1 : 0];
	/* What precedes a branch's key must be below it, what follows must not. */
	if (walk->depth > 0 && walk->depth < walk->tree.depth && !take_key(walk, key_of(node_at(level)), true))
		return dw_kv_damaged(pages, walk->name, level->number, "a key is out of order");
	if (walk->depth == 0)
		err = descend(pages, walk, walk->tree.root);
	while (err == DW_OK && walk->depth < walk->tree.depth)
		err = descend(pages, walk, child_of(node_at(&walk->levels[walk->depth - 1])));
	return err;
}

/* A value on pages of its own. */
static int
read_large(struct kv_pages *pages, struct kv_walk *walk, const uint8_t *node, struct dw_str *value)
{
	const size_t size = value_size(node);
	const uint64_t count = (KV_PAGE_HEAD - 1 + size) / pages->page_size + 1;
	uint8_t head[KV_PAGE_HEAD];
	uint64_t number, own;
	uint32_t length;
	char *to;
	int err;

	memcpy(&number, node + NODE_HEAD + key_of(node).n, sizeof(number));
	err = dw_kv_claim(pages, walk, number, count);
	if (err == DW_OK)
		err = dw_kv_read_at(pages, number * pages->page_size, head, sizeof(head));
	if (err != DW_OK)
		return err;
	memcpy(&own, head, sizeof(own));
	memcpy(&length, head + 12, sizeof(length));
	/* Before memory is taken for it: the size may be what is wrong. */
	if (own != number || kv_get16(head + 10) != FLAG_OVERFLOW || length != count)
		return dw_kv_damaged(pages, walk->name, number, "it is not what its entry says");
	dw_buf_reset(&walk->large);
	to = dw_buf_room(&walk->large, KV_PAGE_HEAD + size);
	if (to == NULL)
		return DW_E_NOMEM;
	*value = dw_bytes(to + KV_PAGE_HEAD, size);
	return dw_kv_read_at(pages, number * pages->page_size, to, KV_PAGE_HEAD + size);
}

int
dw_kv_walk_next(struct kv_pages *pages, struct kv_walk *walk, int kind, struct dw_str *key, struct dw_str *value)
{
	const struct kv_level *leaf;
	const uint8_t *node;
	int err = advance(pages, walk);

	if (err == DW_E_AGAIN && walk->entries != walk->tree.entries)
		return dw_kv_damaged(pages, walk->name, walk->tree.root, "entries are missing");
	if (err != DW_OK)
		return err;
	leaf = &walk->levels[walk->depth - 1];
	node = node_at(leaf);
	if (!take_key(walk, key_of(node), false))
		return dw_kv_damaged(pages, walk->name, leaf->number, "a key is out of order");
	if (walk->entries++ == walk->tree.entries)
		return dw_kv_damaged(pages, walk->name, leaf->number, "there are too many entries");
	if ((kv_get16(node + 4) & ~NODE_BIG) != kind)
		return dw_kv_damaged(pages, walk->name, leaf->number, "an entry is of another kind");
	*key = dw_bytes(walk->last, walk->last_size);
	*value = dw_bytes(key_of(node).p + key->n, value_size(node));
	return (kv_get16(node + 4) & NODE_BIG) != 0 ? read_large(pages, walk, node, value) : DW_OK;
}

void
dw_kv_walk_clear(struct kv_walk *walk)
{
	for (size_t i = 0; i < KV_DEPTH_MAX; i++)
		free(walk->levels[i].page);
	dw_buf_clear(&walk->large);
}
