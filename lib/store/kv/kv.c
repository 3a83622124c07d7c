/* The store of tables: LMDB (lmdb.c) with a journal before it (journal.c).
 *
 * Happy path: a commit writes the batch's changes to the journal; LMDB's transaction, which holds them too, stays open
 * for the next ones, until it has touched so many pages, or is so old, that LMDB commits it and the journal begins
 * anew.
 *
 * Failure modes: LMDB's transaction that ends without its commit takes what the journal holds with it, so the next one
 * begins with that. The journal is only used while the map has twice the room that its changes can take, so
 * that LMDB's commit finds it; near the limit every commit is LMDB's, and so is one that the journal has no room for.
 */
#include "store/kv/kv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/kv/parts.h"

/* TOUCHED_MOST: bytes of pages that may wait in memory for LMDB's commit. */
enum {
	TOUCHED_MOST = 16 << 20,
	ROOM_LEAST = 512 << 10,
	ROOM_MOST = 2 * TOUCHED_MOST,
};

/* So old the journal's first batch may be when LMDB commits: then a copy of the file alone lacks no more. */
static const uint64_t AGE_MOST_MS = 10000;

/* In the first table; the batches of the journal with this tag follow the commit that left it, in this file. */
struct mark {
	uint64_t tag;
	struct dw_kv_mark file;
};

/* ---- transactions */

static int
replay_change(void *user, enum kv_change kind, size_t table, struct dw_str key, struct dw_str value)
{
	struct dw_kv *kv = user;
	int err;

	if (table >= kv->count)
		return DW_E_CORRUPT;
	if (kind == KV_DELETE) {
		err = dw_kv_lmdb_delete(kv, table, key);
		return err == DW_E_AGAIN ? DW_E_CORRUPT : err;
	}
	return kind == KV_PUT || kind == KV_APPEND ? dw_kv_lmdb_put(kv, table, key, &value, 1, kind == KV_APPEND)
											   : DW_E_CORRUPT;
}

/* The room that the journal's changes need is taken ahead, while there is any: enough for them to touch every page that
 * there is. */
static int
take_room(struct dw_kv *kv)
{
	const uint64_t most = 2 * dw_kv_bytes(kv);
	const uint64_t wanted = most < ROOM_LEAST ? ROOM_LEAST : most < ROOM_MOST ? most : ROOM_MOST;

	if (dw_kv_lmdb_room(kv) >= wanted || dw_kv_lmdb_grow(kv) != EIO)
		return DW_OK;
	(void)dw_kv_lmdb_fail(kv, EIO);
	return DW_E_STORAGE;
}

/* Leaves the commit's number in its tree, and the mark of the journal that follows, or 0. */
static int
stamp(struct dw_kv *kv, uint64_t tag)
{
	const uint64_t number = kv->committed + 1;
	const struct mark mark = { tag, dw_kv_mark_of(kv->file.fd) };
	const struct dw_str values[] = { { (const char *)&number, sizeof(number) }, { (const char *)&mark, sizeof(mark) } };
	int err = dw_kv_lmdb_put(kv, 0, DW_STR(KV_STAMP), &values[0], 1, false);

	return err == DW_OK ? dw_kv_lmdb_put(kv, 0, DW_STR(KV_TAG), &values[1], 1, false) : err;
}

/* LMDB's own commit, of what was kept too. */
static int
commit_whole(struct dw_kv *kv, bool last)
{
	const uint64_t tag = kv->journal.fd >= 0 && !last ? dw_random() | 1 : 0;
	const bool changed = kv->dirty || kv->kept;
	int err = changed ? stamp(kv, tag) : DW_OK;

	if (err != DW_OK) {
		dw_kv_lmdb_abort(kv);
		return err;
	}
	err = dw_kv_lmdb_commit(kv);
	if (err != DW_OK || !changed)
		return err;
	kv->committed_at = dw_mono_ms();
	dw_kv_journal_follow(&kv->journal, tag, kv->committed);
	return DW_OK;
}

static int
commit_to_journal(struct dw_kv *kv)
{
	bool unsure;
	int number = dw_kv_journal_write(&kv->journal, &unsure);

	if (number == 0) {
		kv->kept = true;
		return DW_OK;
	}
	if (!unsure && (number == ENOSPC || number == EDQUOT || number == EFBIG))
		return commit_whole(kv, false);
	dw_kv_lmdb_abort(kv);
	(void)dw_kv_lmdb_fail(kv, number);
	return number == ENOMEM ? DW_E_NOMEM : DW_E_STORAGE;
}

/* LMDB's transaction, with what the journal holds. */
static int
begin(struct dw_kv *kv, enum dw_kv_mode mode)
{
	int err = mode == DW_KV_READ ? DW_OK : dw_kv_lmdb_lend(kv, mode == DW_KV_RESCUE);

	if (err == DW_OK && mode == DW_KV_WRITE)
		err = take_room(kv);
	if (err == DW_OK)
		err = dw_kv_lmdb_begin(kv, mode == DW_KV_READ && kv->journal.count == 0);
	if (err != DW_OK || kv->journal.count == 0)
		return err;
	err = dw_kv_journal_replay(&kv->journal, replay_change, kv);
	if (err == DW_OK)
		kv->kept = true;
	else
		dw_kv_lmdb_abort(kv);
	return err;
}

int
dw_kv_begin(struct dw_kv *kv, enum dw_kv_mode mode)
{
	int err = DW_OK;

	kv->begun = true;
	if (kv->kept && mode == DW_KV_RESCUE)
		dw_kv_lmdb_abort(kv); /* it comes from the journal, into a larger map */
	assert((kv->txn != NULL) == kv->kept);
	if (!kv->kept)
		err = begin(kv, mode);
	kv->whole = mode == DW_KV_RESCUE;
	kv->dirty = false;
	dw_kv_journal_begin(&kv->journal);
	return err;
}

int
dw_kv_commit(struct dw_kv *kv)
{
	const uint64_t room = dw_kv_lmdb_room(kv);
	const bool young = dw_mono_ms() - kv->committed_at < AGE_MOST_MS;

	if (kv->kept && !kv->dirty && !kv->whole && young)
		return DW_OK;
	if (kv->dirty && !kv->whole && young && dw_kv_journal_fits(&kv->journal) &&
		dw_kv_lmdb_touched(kv) <= (room < ROOM_MOST ? room : ROOM_MOST) / 2)
		return commit_to_journal(kv);
	return commit_whole(kv, false);
}

void
dw_kv_abort(struct dw_kv *kv)
{
	if (!kv->kept || kv->dirty || kv->whole)
		dw_kv_lmdb_abort(kv);
}

/* From here on the file is all that there is. */
static int
finish(struct dw_kv *kv)
{
	int err;

	if (!kv->begun || kv->env == NULL || kv->last != 0)
		return DW_OK;
	err = kv->kept ? DW_OK : dw_kv_begin(kv, DW_KV_WRITE);
	if (err != DW_OK)
		return err;
	kv->dirty = true;
	return commit_whole(kv, true);
}

int
dw_kv_rest(struct dw_kv *kv)
{
	return kv->journal.count > 0 ? finish(kv) : DW_OK;
}

/* ---- entries */

int
dw_kv_put(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str value)
{
	kv->dirty = true;
	dw_kv_journal_note(&kv->journal, KV_PUT, table, key, &value, 1);
	return dw_kv_lmdb_put(kv, table, key, &value, 1, false);
}

int
dw_kv_append(struct dw_kv *kv, size_t table, struct dw_str key, const struct dw_str *parts, size_t count)
{
	kv->dirty = true;
	dw_kv_journal_note(&kv->journal, KV_APPEND, table, key, parts, count);
	return dw_kv_lmdb_put(kv, table, key, parts, count, true);
}

int
dw_kv_delete(struct dw_kv *kv, size_t table, struct dw_str key)
{
	int err = dw_kv_lmdb_delete(kv, table, key);

	if (err == DW_E_AGAIN)
		return err;
	kv->dirty = true;
	dw_kv_journal_note(&kv->journal, KV_DELETE, table, key, NULL, 0);
	return err;
}

/* ---- open and close */

/* Carries out what the journal holds, in the transaction that the opening leaves. */
static int
recover(struct dw_kv *kv)
{
	struct mark mark = { 0 };
	const struct dw_kv_mark file = dw_kv_mark_of(kv->file.fd);
	int err = dw_kv_get_fixed(kv, 0, DW_STR(KV_TAG), &mark, sizeof(mark)), number;

	if (err != DW_OK)
		return err;
	dw_kv_journal_follow(&kv->journal, mark.tag, kv->committed);
	/* A copy may have been made of the file alone. */
	number = dw_kv_journal_open(&kv->journal, mark.tag != 0 && memcmp(&mark.file, &file, sizeof(file)) == 0);
	if (number != 0)
		return number == KV_NO_JOURNAL ? DW_E_CORRUPT : dw_kv_lmdb_fail(kv, number);
	err = dw_kv_journal_replay(&kv->journal, replay_change, kv);
	return err == DW_OK ? dw_kv_journal_look(&kv->journal) : err;
}

int
dw_kv_open(struct dw_kv **out, const char *dir, int dir_fd, const char *const *tables, size_t count, uint64_t limit,
	bool *recovered, struct dw_fault *fault)
{
	struct dw_kv *kv = calloc(1, sizeof(*kv));
	int err;

	if (kv == NULL)
		return DW_E_NOMEM;
	assert(count <= KV_TABLES_MAX);
	*kv = (struct dw_kv) { .dir = dir,
		.names = tables,
		.count = count,
		.whole = true,
		.file = { .dir = dir_fd, .fd = -1, .limit = limit },
		.journal = { .dir = dir_fd, .fd = -1 } };
	err = dw_kv_lmdb_open(kv, fault);
	if (err != DW_OK) {
		dw_kv_close(kv);
		return err;
	}
	err = recover(kv);
	*recovered = kv->journal.count > 0;
	kv->dirty = kv->dirty || *recovered;
	if (err == DW_E_CORRUPT)
		(void)dw_fault_set(fault, err, "--state-dir", "all files of one copy",
			"'%s/journal' is damaged, missing, or of another store than the 'data.mdb' beside it", dir);
	else if (err != DW_OK)
		(void)dw_fault_set(fault, err, "--state-dir", NULL, "cannot read the journal in '%s': %s", dir, dw_kv_text(kv));
	if (err == DW_OK)
		*out = kv;
	else
		dw_kv_close(kv);
	return err;
}

void
dw_kv_close(struct dw_kv *kv)
{
	if (kv == NULL)
		return;
	if (kv->txn != NULL && !kv->kept)
		dw_kv_lmdb_abort(kv);
	if (kv->journal.tag != 0)
		(void)finish(kv);
	dw_kv_journal_close(&kv->journal);
	dw_kv_lmdb_close(kv);
	free(kv);
}
