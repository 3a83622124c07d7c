/* The look-through of a store: LMDB's file from its heads down.
 *
 * The file is two heads (pages 0 and 1, the newer counts), then pages of trees (tree.c). The main tree's values
 * are the roots of the tables; one more tree lists the free pages.
 *
 *   tree    {pad 4, flags 2, depth 2, branches 8, leaves 8, large 8, entries 8, root 8}
 *   head    page {magic 4, version 4, address 8, map size 8, tree of free pages, main tree, last page 8, commit 8}
 *
 * What must hold beside what tree.c says: both heads are of neighbouring commits, and each one's tree carries its
 * commit's number; the file has all its pages; each value has its checksum; no page is both free and in use.
 *
 * Failure modes: the first thing that does not hold ends it, with table and page in the fault.
 *
 * What it buys: LMDB believes its file. Of 10,494 single flips in 8 stores that this refuses, a process of its own that
 * reads everything through LMDB and checks order, counts and checksums refuses 93 %, and 103 of the others end LMDB by
 * a signal when it writes later; with all that it must look at beside LMDB to refuse them, too, it is as long as this.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/kv/parts.h"

enum { PAGE_MIN = 512, PAGE_MAX = 65536, FLAG_META = 8, FREE_FLAGS = 8 /* keys are integers */ };

static const uint32_t MAGIC = 0xBEEFC0DE;

/* MDB_meta, without its first two words */
struct head {
	uint64_t address, map_size;
	struct kv_tree free, main;
	uint64_t last_page, commit;
};

struct dw_kv_look {
	struct kv_pages pages;
	const char *const *tables;
	size_t count;
	uint64_t file_size;
	struct head heads[2];
	size_t newer;
	bool strange; /* it has tables that are not ours: another release's, as its version says, or another program's */
	struct kv_walk free;
	struct kv_walk walks[KV_TABLES_MAX];
};

static int
bad_head(const struct dw_kv_look *look, size_t i, const char *what)
{
	return dw_kv_damaged(&look->pages, "the store's head", i, what);
}

/* The roots of the tables, out of a main tree. */
static int
read_main(struct dw_kv_look *look, const struct kv_tree *main_tree, bool marks, struct kv_tree trees[])
{
	struct kv_walk walk = { .name = "the list of tables", .tree = *main_tree, .marks = marks };
	struct dw_str key, value;
	int err;

	for (size_t i = 0; i < look->count; i++)
		trees[i] = (struct kv_tree) { .root = KV_NO_PAGE };
	while ((err = dw_kv_walk_next(&look->pages, &walk, KV_NODE_TREE, &key, &value)) == DW_OK) {
		size_t i = 0;

		while (i < look->count && !dw_str_is(key, look->tables[i]))
			i++;
		if (i < look->count && value.n == sizeof(trees[i]))
			memcpy(&trees[i], value.p, sizeof(trees[i]));
		else
			look->strange |= marks;
	}
	dw_kv_walk_clear(&walk);
	return err == DW_E_AGAIN ? DW_OK : err;
}

/* In a first table, which need not be the newest one: see dw_kv_look_number. */
static int
read_number(struct dw_kv_look *look, const struct kv_tree *tree, const char *key, uint64_t *number)
{
	struct kv_walk walk = { .name = look->tables[0], .tree = *tree };
	struct dw_str found, stored, value;
	int err;

	*number = 0;
	do {
		err = dw_kv_walk_next(&look->pages, &walk, 0, &found, &stored);
	} while (err == DW_OK && !dw_str_is(found, key));
	if (err == DW_OK && (stored.n == sizeof(*number) || (kv_take(found, stored, &value) && value.n == sizeof(*number))))
		memcpy(number, stored.p, sizeof(*number));
	dw_kv_walk_clear(&walk);
	return err;
}

int
dw_kv_look_number(struct dw_kv_look *look, const char *key, uint64_t *number)
{
	return read_number(look, &look->walks[0].tree, key, number);
}

/* The newer head and its tree must be of one commit; copies that LMDB's tools compacted count from 1 again. The other
 * may have the roots of a commit that failed, but then not the end of a longer file: that would be the newest one's. */
static int
check_stamps(struct dw_kv_look *look)
{
	const struct head *head = &look->heads[look->newer], *other = &look->heads[1 - look->newer];
	struct dw_fault *fault = look->pages.fault;
	struct kv_tree trees[KV_TABLES_MAX] = { 0 };
	uint64_t number;
	int err = dw_kv_look_number(look, KV_STAMP, &number);

	if (err == DW_OK && number != head->commit && head->commit > 1)
		return bad_head(look, look->newer, "it is not of its tree's commit");
	if (err != DW_OK && err != DW_E_AGAIN)
		return err;
	/* Its trees may be damaged: nobody needs them. */
	look->pages.fault = NULL;
	err = read_main(look, &other->main, false, trees);
	if (err == DW_OK)
		err = read_number(look, &trees[0], KV_STAMP, &number);
	look->pages.fault = fault;
	if (err == DW_OK && number > head->commit && other->last_page > head->last_page)
		return bad_head(look, 1 - look->newer, "it is not of its tree's commit");
	return DW_OK;
}

static bool
tree_ok(const struct kv_tree *tree, uint16_t flags, uint64_t pages)
{
	if (tree->flags != flags)
		return false;
	return tree->root == KV_NO_PAGE
			   ? tree->entries == 0 && tree->depth == 0
			   : tree->root >= 2 && tree->root < pages && tree->depth > 0 && tree->depth <= KV_DEPTH_MAX;
}

static int
read_head(struct dw_kv_look *look, size_t i)
{
	uint8_t bytes[KV_PAGE_HEAD + 8 + sizeof(struct head)];
	struct head *head = &look->heads[i];
	uint64_t number;
	uint32_t words[2];
	int err = dw_kv_read_at(&look->pages, i * look->pages.page_size, bytes, sizeof(bytes));

	if (err != DW_OK)
		return err;
	memcpy(&number, bytes, sizeof(number));
	memcpy(words, bytes + KV_PAGE_HEAD, sizeof(words));
	memcpy(head, bytes + KV_PAGE_HEAD + sizeof(words), sizeof(*head));
	if (number != i || (kv_get16(bytes + 10) & FLAG_META) == 0 || words[0] != MAGIC || words[1] != 1)
		return bad_head(look, i, "it is no head of LMDB's");
	if (head->free.pad != look->pages.page_size)
		return bad_head(look, i, "the two heads differ in their pages' size");
	return DW_OK;
}

static int
read_heads(struct dw_kv_look *look)
{
	const struct head *head;
	uint32_t size = 0;
	int err;

	if (look->file_size < KV_PAGE_HEAD + 32)
		return bad_head(look, 0, "the file ends before it");
	err = dw_kv_read_at(&look->pages, KV_PAGE_HEAD + 24, &size, sizeof(size));
	if (err != DW_OK)
		return err;
	if (size < PAGE_MIN || size > PAGE_MAX || (size & (size - 1)) != 0 || look->file_size < 2 * (uint64_t)size)
		return bad_head(look, 0, "it is no head of LMDB's");
	look->pages.page_size = size;
	for (size_t i = 0; err == DW_OK && i < 2; i++)
		err = read_head(look, i);
	if (err != DW_OK)
		return err;
	if (look->heads[0].commit == 0 && look->heads[1].commit == 0)
		return DW_E_AGAIN;
	look->newer = look->heads[1].commit > look->heads[0].commit;
	head = &look->heads[look->newer];
	if (head->commit != look->heads[1 - look->newer].commit + 1 || head->commit % 2 != look->newer)
		return bad_head(look, look->newer, "the two heads are not of neighbouring commits");
	if (head->last_page >= look->file_size / look->pages.page_size)
		return bad_head(look, look->newer, "the file ends before its last page");
	look->pages.count = head->last_page + 1;
	if (!tree_ok(&head->free, FREE_FLAGS, look->pages.count) || !tree_ok(&head->main, 0, look->pages.count))
		return bad_head(look, look->newer, "a root is wrong");
	return DW_OK;
}

static int
read_trees(struct dw_kv_look *look)
{
	const struct head *head = &look->heads[look->newer];
	struct kv_tree trees[KV_TABLES_MAX] = { 0 };
	int err;

	look->pages.used = calloc(1, look->pages.count / 8 + 1);
	if (look->pages.used == NULL)
		return DW_E_NOMEM;
	err = read_main(look, &head->main, true, trees);
	for (size_t i = 0; err == DW_OK && i < look->count; i++) {
		if (!tree_ok(&trees[i], 0, look->pages.count))
			return dw_kv_damaged(&look->pages, look->tables[i], trees[i].root, "its root is wrong");
		look->walks[i] = (struct kv_walk) { .name = look->tables[i], .tree = trees[i], .marks = true };
	}
	return err == DW_OK ? check_stamps(look) : err;
}

/* A file of nothing but zeros is what a power cut leaves of one that was never synchronised. */
static bool
is_blank(const struct dw_kv_look *look)
{
	static uint8_t bytes[65536];

	for (uint64_t at = 0; at < look->file_size; at += sizeof(bytes)) {
		const uint64_t left = look->file_size - at;
		const size_t n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);

		if (dw_kv_read_at(&look->pages, at, bytes, n) != DW_OK || bytes[0] != 0 || memcmp(bytes, bytes + 1, n - 1) != 0)
			return false;
	}
	return true;
}

int
dw_kv_look_open(
	struct dw_kv_look **out, const char *dir, int fd, const char *const *tables, size_t count, struct dw_fault *fault)
{
	struct dw_kv_look *look = calloc(1, sizeof(*look));
	struct stat about;
	int err;

	if (look == NULL)
		return DW_E_NOMEM;
	look->pages = (struct kv_pages) { .dir = dir, .fd = fd, .fault = fault };
	look->tables = tables;
	look->count = count;
	if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		look->file_size = (uint64_t)about.st_size;
		err = is_blank(look) ? DW_E_AGAIN : read_heads(look);
	} else {
		err = dw_fault_set(fault, DW_E_CORRUPT, "--state-dir", "another directory", "'%s/data.mdb' is no file", dir);
	}
	if (err == DW_OK)
		err = read_trees(look);
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
	for (size_t i = 0; i < look->count; i++)
		dw_kv_walk_clear(&look->walks[i]);
	dw_kv_walk_clear(&look->free);
	free(look->pages.used);
	free(look);
}

int
dw_kv_look_next(struct dw_kv_look *look, size_t table, struct dw_str *key, struct dw_str *value)
{
	struct kv_walk *walk = &look->walks[table];
	struct dw_str stored;
	int err = dw_kv_walk_next(&look->pages, walk, 0, key, &stored);

	if (err == DW_OK && !kv_take(*key, stored, value))
		return dw_kv_damaged(
			&look->pages, walk->name, walk->levels[walk->depth - 1].number, "a value is not what its checksum says");
	return err;
}

int
dw_kv_look_free(struct dw_kv_look *look)
{
	struct kv_walk *walk = &look->free;
	struct dw_str key, value;
	uint64_t count, page;
	int err;

	if (look->strange)
		return dw_fault_set(look->pages.fault, DW_E_CORRUPT, "--state-dir", "a directory of its own for each hub",
			"'%s/data.mdb' is damaged, or another program's: it has tables that diagws does not know", look->pages.dir);
	*walk = (struct kv_walk) {
		.name = "the list of free pages", .tree = look->heads[look->newer].free, .marks = true, .native = true
	};
	while ((err = dw_kv_walk_next(&look->pages, walk, 0, &key, &value)) == DW_OK) {
		count = 0;
		if (value.n >= sizeof(count))
			memcpy(&count, value.p, sizeof(count));
		if (key.n != sizeof(uint64_t) || value.n < sizeof(count) || count > value.n / sizeof(page) - 1)
			return dw_kv_damaged(
				&look->pages, walk->name, walk->levels[walk->depth - 1].number, "an entry does not fit");
		for (size_t i = 1; i <= count; i++) {
			memcpy(&page, value.p + i * sizeof(page), sizeof(page));
			err = dw_kv_claim(&look->pages, walk, page, 1);
			if (err != DW_OK)
				return err;
		}
	}
	return err == DW_E_AGAIN ? DW_OK : err;
}
