/* The look-through of a store: LMDB's file format, read without trust.
 *
 * A file of its own so that it depends on nothing that could share LMDB's assumptions. The file is two heads (pages
 * 0 and 1, the newer counts), then pages of trees: a branch page has keys and page numbers, a leaf keys and
 * values, a large value pages of its own. The main tree's values are the roots of the tables; one more tree
 * lists the free pages.
 *
 *   page    {own number 8, pad 2, flags 2, lower 2, upper 2 | pages 4} offsets of nodes 2 …   nodes
 *   node    {low 2, high 2, flags 2, key size 2} key, value       leaf: value size = high·2^16 + low
 *   tree    {pad 4, flags 2, depth 2, branches 8, leaves 8, large 8, entries 8, root 8}
 *   head    page {magic 4, version 4, address 8, map size 8, tree of free pages, main tree, last page 8, commit 8}
 *
 * What must hold: each page carries its own number and belongs to one place only; nodes lie within their page; keys
 * grow, also across pages, and agree with the branches above; a tree has the depth and the entries that its root says;
 * each value has its checksum; both heads are of neighbouring commits, and each tree carries its commit's number.
 *
 * Failure modes: the first thing that does not hold ends it, with table and page in the fault.
 */
#include "diagws/kv_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diagws/paths.h"
#include "kv_parts.h"

enum {
	PAGE_HEAD = 16,
	NODE_HEAD = 8,
	PAGE_MIN = 512,
	PAGE_MAX = 65536,
	DEPTH_MAX = 32,
	KEY_LONGEST = 511,
	FLAG_BRANCH = 1,
	FLAG_LEAF = 2,
	FLAG_OVERFLOW = 4,
	FLAG_META = 8,
	NODE_BIG = 1,
	NODE_TREE = 2,
	FREE_FLAGS = 8 /* keys are integers */
};

static const uint32_t MAGIC = 0xBEEFC0DE;
static const uint64_t NO_PAGE = UINT64_MAX;

/* MDB_db */
struct tree {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branches, leaves, large, entries, root;
};

/* MDB_meta, without its first two words */
struct head {
	uint64_t address, map_size;
	struct tree free, main;
	uint64_t last_page, commit;
};

struct level {
	uint8_t *page;
	uint64_t number;
	size_t at, count; /* the node, of how many */
};

/* A walk along a tree's leaves. */
struct walk {
	const char *name;
	struct tree tree;
	bool marks;  /* its pages are noted as used */
	bool native; /* keys are numbers, not bytes */
	struct level levels[DEPTH_MAX];
	size_t depth; /* levels that are open; 0: not begun */
	uint64_t entries;
	uint8_t last[KEY_LONGEST], bound[KEY_LONGEST]; /* the last key; what the next one must not be below */
	size_t last_size, bound_size;
	bool bounded;
	uint8_t *large;
	size_t large_size;
};

struct dw_kv_look {
	const char *dir;
	const char *const *tables;
	size_t count;
	int fd;
	uint64_t file_size, pages;
	size_t page_size;
	struct head heads[2];
	size_t newer;
	uint8_t *used; /* a bit per page */
	struct walk free;
	struct walk walks[KV_TABLES_MAX];
};

static int
damaged(const struct dw_kv_look *look, struct dw_fault *fault, const char *where, uint64_t page, const char *what)
{
	return dw_fault_set(fault, DW_E_CORRUPT, "--state-dir",
		"a store that is whole: restore a copy, or move this one away and begin anew",
		"'%s/data.mdb' is damaged: %s, page %llu: %s", look->dir, where, (unsigned long long)page, what);
}

static uint16_t
get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static int
read_at(const struct dw_kv_look *look, uint64_t offset, void *out, size_t size, struct dw_fault *fault)
{
	uint8_t *to = out;

	while (size > 0) {
		ssize_t n = pread(look->fd, to, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return dw_fault_set(fault, DW_E_STORAGE, "--state-dir", NULL, "cannot read '%s/data.mdb' at %llu: %s",
				look->dir, (unsigned long long)offset, n < 0 ? strerror(errno) : "it ends there");
		to += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return DW_OK;
}

/* Notes pages as belonging to this walk; none may belong to two. */
static int
claim(struct dw_kv_look *look, const struct walk *walk, uint64_t page, uint64_t count, struct dw_fault *fault)
{
	if (page < 2 || page >= look->pages || count > look->pages - page)
		return damaged(look, fault, walk->name, page, "there is no such page");
	for (uint64_t i = page; walk->marks && i < page + count; i++) {
		if ((look->used[i / 8] >> (i % 8) & 1) != 0)
			return damaged(look, fault, walk->name, i, "it is used twice");
		look->used[i / 8] |= (uint8_t)(1U << (i % 8));
	}
	return DW_OK;
}

static int
compare(const struct walk *walk, const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
	uint64_t x = 0, y = 0;
	int order;

	if (walk->native && an == sizeof(x) && bn == sizeof(y)) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		return (x > y) - (x < y);
	}
	order = memcmp(a, b, an < bn ? an : bn);
	return order != 0 ? order : (an > bn) - (an < bn);
}

static const uint8_t *
node_at(const struct level *level)
{
	return level->page + get16(level->page + PAGE_HEAD + 2 * level->at);
}

/* Whether a page's nodes lie within it. */
static bool
nodes_fit(const struct dw_kv_look *look, const uint8_t *page, bool leaf, size_t *count)
{
	const size_t lower = get16(page + 12), upper = get16(page + 14);

	if (lower < PAGE_HEAD || lower > upper || upper > look->page_size || (lower - PAGE_HEAD) % 2 != 0)
		return false;
	*count = (lower - PAGE_HEAD) / 2;
	for (size_t i = 0; i < *count; i++) {
		const size_t offset = get16(page + PAGE_HEAD + 2 * i);
		const uint8_t *node = page + offset;
		size_t size;

		if (offset < upper || offset + NODE_HEAD > look->page_size)
			return false;
		size = NODE_HEAD + (size_t)get16(node + 6);
		if (leaf)
			size +=
				(get16(node + 4) & NODE_BIG) != 0 ? sizeof(uint64_t) : get16(node) + ((size_t)get16(node + 2) << 16);
		if (offset + size > look->page_size || get16(node + 6) > KEY_LONGEST)
			return false;
	}
	return true;
}

/* Reads a page of the tree as the next level down. */
static int
descend(struct dw_kv_look *look, struct walk *walk, uint64_t number, struct dw_fault *fault)
{
	struct level *level = &walk->levels[walk->depth];
	const bool leaf = walk->depth + 1 == walk->tree.depth;
	uint64_t own;
	int err;

	if (walk->depth >= walk->tree.depth || walk->depth >= DEPTH_MAX)
		return damaged(look, fault, walk->name, number, "the tree is too deep");
	err = claim(look, walk, number, 1, fault);
	if (level->page == NULL)
		level->page = malloc(look->page_size);
	if (err == DW_OK && level->page == NULL)
		err = DW_E_NOMEM;
	if (err == DW_OK)
		err = read_at(look, number * look->page_size, level->page, look->page_size, fault);
	if (err != DW_OK)
		return err;
	memcpy(&own, level->page, sizeof(own));
	if (own != number)
		return damaged(look, fault, walk->name, number, "it carries another page's number");
	if (get16(level->page + 10) != (leaf ? FLAG_LEAF : FLAG_BRANCH))
		return damaged(look, fault, walk->name, number, "it is of another kind");
	/* LMDB insists on two children but in the tree of free pages. */
	if (!nodes_fit(look, level->page, leaf, &level->count) || level->count < (leaf || walk->native ? 1 : 2))
		return damaged(look, fault, walk->name, number, "its contents do not fit");
	level->number = number;
	level->at = 0;
	walk->depth++;
	return DW_OK;
}

static uint64_t
child_of(const uint8_t *node)
{
	return get16(node) | (uint64_t)get16(node + 2) << 16 | (uint64_t)get16(node + 4) << 32;
}

/* To the next leaf's node. DW_E_AGAIN: there is none. */
static int
advance(struct dw_kv_look *look, struct walk *walk, struct dw_fault *fault)
{
	int err = DW_OK;

	if (walk->depth == 0) {
		if (walk->tree.root == NO_PAGE)
			return DW_E_AGAIN;
		err = descend(look, walk, walk->tree.root, fault);
	} else {
		while (walk->depth > 0 && ++walk->levels[walk->depth - 1].at == walk->levels[walk->depth - 1].count)
			walk->depth--;
		if (walk->depth == 0)
			return DW_E_AGAIN;
		if (walk->depth < walk->tree.depth) {
			const uint8_t *node = node_at(&walk->levels[walk->depth - 1]);

			/* What precedes a branch's key must be below it, what follows must not. */
			walk->bound_size = get16(node + 6);
			memcpy(walk->bound, node + NODE_HEAD, walk->bound_size);
			walk->bounded = true;
			if (compare(walk, walk->last, walk->last_size, walk->bound, walk->bound_size) >= 0)
				return damaged(look, fault, walk->name, walk->levels[walk->depth - 1].number, "a key is out of order");
		}
	}
	while (err == DW_OK && walk->depth < walk->tree.depth)
		err = descend(look, walk, child_of(node_at(&walk->levels[walk->depth - 1])), fault);
	return err;
}

/* A value on pages of its own. */
static int
read_large(
	struct dw_kv_look *look, struct walk *walk, const uint8_t *node, struct dw_str *value, struct dw_fault *fault)
{
	const size_t size = get16(node) + ((size_t)get16(node + 2) << 16);
	const uint64_t count = (PAGE_HEAD - 1 + size) / look->page_size + 1;
	uint64_t number, own;
	uint32_t pages;
	int err;

	memcpy(&number, node + NODE_HEAD + get16(node + 6), sizeof(number));
	err = claim(look, walk, number, count, fault);
	if (err != DW_OK)
		return err;
	if (walk->large_size < count * look->page_size) {
		free(walk->large);
		walk->large_size = 0;
		walk->large = malloc(count * look->page_size);
		if (walk->large == NULL)
			return DW_E_NOMEM;
		walk->large_size = count * look->page_size;
	}
	err = read_at(look, number * look->page_size, walk->large, PAGE_HEAD + size, fault);
	if (err != DW_OK)
		return err;
	memcpy(&own, walk->large, sizeof(own));
	memcpy(&pages, walk->large + 12, sizeof(pages));
	if (own != number || get16(walk->large + 10) != FLAG_OVERFLOW || pages != count)
		return damaged(look, fault, walk->name, number, "it is not what its entry says");
	*value = (struct dw_str) { (const char *)walk->large + PAGE_HEAD, size };
	return DW_OK;
}

/* The next entry as it is stored; flags is NODE_TREE in the main tree alone. */
static int
next(struct dw_kv_look *look, struct walk *walk, int flags, struct dw_str *key, struct dw_str *value,
	struct dw_fault *fault)
{
	const struct level *leaf;
	const uint8_t *node, *bytes;
	size_t size;
	int err = advance(look, walk, fault);

	if (err == DW_E_AGAIN && walk->entries != walk->tree.entries)
		return damaged(look, fault, walk->name, walk->tree.root, "entries are missing");
	if (err != DW_OK)
		return err;
	leaf = &walk->levels[walk->depth - 1];
	node = node_at(leaf);
	bytes = node + NODE_HEAD;
	size = get16(node + 6);
	if ((walk->entries > 0 && compare(walk, walk->last, walk->last_size, bytes, size) >= 0) ||
		(walk->bounded && compare(walk, bytes, size, walk->bound, walk->bound_size) < 0))
		return damaged(look, fault, walk->name, leaf->number, "a key is out of order");
	if (walk->entries++ == walk->tree.entries)
		return damaged(look, fault, walk->name, leaf->number, "there are too many entries");
	if ((get16(node + 4) & ~NODE_BIG) != flags)
		return damaged(look, fault, walk->name, leaf->number, "an entry is of another kind");
	walk->bounded = false;
	walk->last_size = size;
	memcpy(walk->last, bytes, size);
	*key = (struct dw_str) { (const char *)walk->last, size };
	*value = (struct dw_str) { (const char *)bytes + size, get16(node) + ((size_t)get16(node + 2) << 16) };
	return (get16(node + 4) & NODE_BIG) != 0 ? read_large(look, walk, node, value, fault) : DW_OK;
}

static void
begin(struct walk *walk, const char *name, const struct tree *tree, bool marks)
{
	walk->name = name;
	walk->tree = *tree;
	walk->marks = marks;
}

static void
end(struct walk *walk)
{
	for (size_t i = 0; i < DEPTH_MAX; i++)
		free(walk->levels[i].page);
	free(walk->large);
}

/* The roots of the tables, out of a main tree. */
static int
read_main(
	struct dw_kv_look *look, const struct tree *main_tree, bool marks, struct tree trees[], struct dw_fault *fault)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	struct dw_str key, value;
	int err;

	if (walk == NULL)
		return DW_E_NOMEM;
	for (size_t i = 0; i < look->count; i++)
		trees[i] = (struct tree) { .root = NO_PAGE };
	begin(walk, "the list of tables", main_tree, marks);
	while ((err = next(look, walk, NODE_TREE, &key, &value, fault)) == DW_OK) {
		size_t i = 0;

		while (i < look->count && !dw_str_is(key, look->tables[i]))
			i++;
		if (i == look->count || value.n != sizeof(trees[i])) {
			err = dw_fault_set(fault, DW_E_CORRUPT, "--state-dir", "a directory of its own for each hub",
				"'%s/data.mdb' is damaged, or another program's: it has tables that diagws does not know", look->dir);
			break;
		}
		memcpy(&trees[i], value.p, sizeof(trees[i]));
	}
	end(walk);
	free(walk);
	return err == DW_E_AGAIN ? DW_OK : err;
}

static int
find_raw(struct dw_kv_look *look, const char *name, const struct tree *tree, struct dw_str key, struct dw_buf *value,
	struct dw_fault *fault)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	struct dw_str found, bytes;
	int err;

	if (walk == NULL)
		return DW_E_NOMEM;
	begin(walk, name, tree, false);
	while ((err = next(look, walk, 0, &found, &bytes, fault)) == DW_OK) {
		if (found.n != key.n || memcmp(found.p, key.p, key.n) != 0)
			continue;
		dw_buf_reset(value);
		dw_buf_add(value, bytes.p, bytes.n);
		err = dw_buf_ok(value) ? DW_OK : DW_E_NOMEM;
		break;
	}
	end(walk);
	free(walk);
	return err;
}

int
dw_kv_look_raw(struct dw_kv_look *look, size_t table, struct dw_str key, struct dw_buf *value, struct dw_fault *fault)
{
	return find_raw(look, look->tables[table], &look->walks[table].tree, key, value, fault);
}

/* A head and its tree must be of one commit. Copies that LMDB's tools compacted count from 1 again. */
static int
check_stamp(struct dw_kv_look *look, const struct head *head, size_t number, struct dw_fault *fault)
{
	struct tree trees[KV_TABLES_MAX];
	struct dw_buf value = { 0 };
	struct dw_str bare;
	uint64_t stamp = 0;
	int err;

	if (head->commit <= 1)
		return DW_OK;
	err = read_main(look, &head->main, false, trees, fault);
	if (err == DW_OK)
		err = find_raw(look, look->tables[0], &trees[0], DW_STR(KV_STAMP), &value, fault);
	if (err == DW_OK && kv_take(DW_STR(KV_STAMP), (struct dw_str) { value.data, value.len }, &bare) &&
		bare.n == sizeof(stamp))
		memcpy(&stamp, bare.p, sizeof(stamp));
	dw_buf_clear(&value);
	if (err == DW_OK && stamp != head->commit)
		return damaged(look, fault, "the store's head", number, "it is not of its tree's commit");
	return err == DW_E_AGAIN ? DW_OK : err;
}

static bool
tree_ok(const struct tree *tree, uint16_t flags, uint64_t pages)
{
	if (tree->flags != flags)
		return false;
	return tree->root == NO_PAGE ? tree->entries == 0 && tree->depth == 0
								 : tree->root >= 2 && tree->root < pages && tree->depth > 0 && tree->depth <= DEPTH_MAX;
}

static int
read_head(struct dw_kv_look *look, size_t i, struct dw_fault *fault)
{
	uint8_t bytes[PAGE_HEAD + 8 + sizeof(struct head)];
	struct head *head = &look->heads[i];
	uint64_t number;
	uint32_t words[2];
	int err = read_at(look, i * look->page_size, bytes, sizeof(bytes), fault);

	if (err != DW_OK)
		return err;
	memcpy(&number, bytes, sizeof(number));
	memcpy(words, bytes + PAGE_HEAD, sizeof(words));
	memcpy(head, bytes + PAGE_HEAD + sizeof(words), sizeof(*head));
	if (number != i || (get16(bytes + 10) & FLAG_META) == 0 || words[0] != MAGIC || words[1] != 1)
		return damaged(look, fault, "the store's head", i, "it is no head of LMDB's");
	if (head->free.pad != look->page_size)
		return damaged(look, fault, "the store's head", i, "the two heads differ in their pages' size");
	if (head->last_page >= look->file_size / look->page_size)
		return damaged(look, fault, "the store's head", i, "the file ends before its last page");
	if (!tree_ok(&head->free, FREE_FLAGS, head->last_page + 1) || !tree_ok(&head->main, 0, head->last_page + 1))
		return damaged(look, fault, "the store's head", i, "a root is wrong");
	return DW_OK;
}

static int
read_heads(struct dw_kv_look *look, struct dw_fault *fault)
{
	uint32_t size = 0;
	int err;

	if (look->file_size < PAGE_HEAD + 32)
		return damaged(look, fault, "the store's head", 0, "the file ends before it");
	err = read_at(look, PAGE_HEAD + 24, &size, sizeof(size), fault);
	if (err != DW_OK)
		return err;
	if (size < PAGE_MIN || size > PAGE_MAX || (size & (size - 1)) != 0 || look->file_size < 2 * (uint64_t)size)
		return damaged(look, fault, "the store's head", 0, "it is no head of LMDB's");
	look->page_size = size;
	for (size_t i = 0; err == DW_OK && i < 2; i++)
		err = read_head(look, i, fault);
	if (err != DW_OK)
		return err;
	if (look->heads[0].commit == 0 && look->heads[1].commit == 0)
		return DW_E_AGAIN;
	look->newer = look->heads[1].commit > look->heads[0].commit;
	if (look->heads[look->newer].commit != look->heads[1 - look->newer].commit + 1 ||
		look->heads[look->newer].commit % 2 != look->newer)
		return damaged(look, fault, "the store's head", look->newer, "the two heads are not of neighbouring commits");
	look->pages = look->heads[look->newer].last_page + 1;
	return DW_OK;
}

static int
read_trees(struct dw_kv_look *look, struct dw_fault *fault)
{
	const struct head *head = &look->heads[look->newer];
	struct tree trees[KV_TABLES_MAX];
	int err;

	look->used = calloc(1, look->pages / 8 + 1);
	if (look->used == NULL)
		return DW_E_NOMEM;
	err = read_main(look, &head->main, true, trees, fault);
	for (size_t i = 0; err == DW_OK && i < look->count; i++) {
		if (!tree_ok(&trees[i], 0, look->pages))
			return damaged(look, fault, look->tables[i], trees[i].root, "its root is wrong");
		begin(&look->walks[i], look->tables[i], &trees[i], true);
	}
	if (err == DW_OK)
		err = check_stamp(look, head, look->newer, fault);
	return err == DW_OK ? check_stamp(look, &look->heads[1 - look->newer], 1 - look->newer, fault) : err;
}

/* A file of nothing but zeros is what a power cut leaves of one that was never synchronised. */
static bool
is_blank(const struct dw_kv_look *look)
{
	static uint8_t bytes[65536];

	for (uint64_t at = 0; at < look->file_size; at += sizeof(bytes)) {
		const uint64_t left = look->file_size - at;
		const size_t n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);

		if (read_at(look, at, bytes, n, NULL) != DW_OK)
			return false;
		for (size_t i = 0; i < n; i++) {
			if (bytes[i] != 0)
				return false;
		}
	}
	return true;
}

static int
open_file(struct dw_kv_look *look, int *exists, struct dw_fault *fault)
{
	char path[DW_PATH_SIZE];
	struct stat about;

	if (snprintf(path, sizeof(path), "%s/data.mdb", look->dir) >= (int)sizeof(path))
		return dw_fault_set(
			fault, DW_E_CREATE, "--state-dir", "a shorter path", "the state directory's path is too long");
	look->fd = open(path, O_RDONLY | O_CLOEXEC);
	*exists = look->fd >= 0;
	if (look->fd < 0 && errno == ENOENT)
		return DW_E_AGAIN;
	if (look->fd < 0 || fstat(look->fd, &about) != 0)
		return dw_fault_set(fault, DW_E_PERMISSION, "--state-dir", "a directory that this user may write to",
			"cannot read '%s': %s", path, strerror(errno));
	if (!S_ISREG(about.st_mode))
		return dw_fault_set(fault, DW_E_CORRUPT, "--state-dir", "another directory", "'%s' is no file", path);
	(void)posix_fadvise(look->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	look->file_size = (uint64_t)about.st_size;
	return is_blank(look) ? DW_E_AGAIN : DW_OK;
}

int
dw_kv_look_open(struct dw_kv_look **out, const char *dir, const char *const *tables, size_t count, int *exists,
	struct dw_fault *fault)
{
	struct dw_kv_look *look = calloc(1, sizeof(*look));
	int err;

	if (look == NULL)
		return DW_E_NOMEM;
	look->dir = dir;
	look->tables = tables;
	look->count = count;
	look->fd = -1;
	look->free.native = true;
	err = open_file(look, exists, fault);
	if (err == DW_OK)
		err = read_heads(look, fault);
	if (err == DW_OK)
		err = read_trees(look, fault);
	if (err == DW_OK)
		*out = look;
	else
		dw_kv_look_close(look);
	return err;
}

void
dw_kv_look_close(struct dw_kv_look *look)
{
	if (look == NULL)
		return;
	if (look->fd >= 0)
		(void)close(look->fd);
	for (size_t i = 0; i < look->count; i++)
		end(&look->walks[i]);
	end(&look->free);
	free(look->used);
	free(look);
}

uint64_t
dw_kv_look_count(const struct dw_kv_look *look, size_t table)
{
	return look->walks[table].tree.entries;
}

int
dw_kv_look_next(struct dw_kv_look *look, size_t table, struct dw_str *key, struct dw_str *value, struct dw_fault *fault)
{
	struct walk *walk = &look->walks[table];
	struct dw_str stored;
	int err = next(look, walk, 0, key, &stored, fault);

	if (err == DW_OK && !kv_take(*key, stored, value))
		return damaged(
			look, fault, walk->name, walk->levels[walk->depth - 1].number, "a value is not what its checksum says");
	return err;
}

int
dw_kv_look_free(struct dw_kv_look *look, struct dw_fault *fault)
{
	struct walk *walk = &look->free;
	struct dw_str key, value;
	uint64_t count, page;
	int err;

	begin(walk, "the list of free pages", &look->heads[look->newer].free, true);
	while ((err = next(look, walk, 0, &key, &value, fault)) == DW_OK) {
		count = value.n >= sizeof(count) ? (memcpy(&count, value.p, sizeof(count)), count) : UINT64_MAX;
		if (key.n != sizeof(uint64_t) || count > value.n / sizeof(page) - 1)
			return damaged(look, fault, walk->name, walk->levels[walk->depth - 1].number, "an entry does not fit");
		for (size_t i = 1; err == DW_OK && i <= count; i++) {
			memcpy(&page, value.p + i * sizeof(page), sizeof(page));
			if (page < 2 || page >= look->pages || (look->used[page / 8] >> (page % 8) & 1) != 0)
				return damaged(look, fault, walk->name, page, "it is free and in use");
			look->used[page / 8] |= (uint8_t)(1U << (page % 8));
		}
	}
	return err == DW_E_AGAIN ? DW_OK : err;
}
