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
	KEY_MAX = 511 /* LMDB's */,
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

struct dw_kv {
	const char *dir;
	size_t count;
	struct kv_lmdb *lmdb;
	struct kv_journal journal;
	bool open;             /* LMDB's transaction is, */
	bool kept;             /* also between ours: it holds what the journal does */
	bool whole;            /* the open transaction is for LMDB's commit */
	bool dirty;            /* it has changed something */
	bool begun;            /* the one that the opening left has ended */
	bool recovered;        /* the journal held something then */
	uint64_t committed_at; /* ms, monotonic: LMDB's last commit */
};

/* ---- transactions */

static void
drop(struct dw_kv *kv)
{
	dw_kv_lmdb_abort(kv->lmdb);
	kv->open = kv->kept = false;
}

static int
replay_change(void *user, enum kv_change kind, size_t table, struct dw_str key, struct dw_str value)
{
	struct dw_kv *kv = user;

	if (table >= kv->count)
		return DW_E_CORRUPT;
	switch (kind) {
	case KV_PUT:
		return dw_kv_lmdb_put(kv->lmdb, table, key, &value, 1, false);
	case KV_APPEND:
		return dw_kv_lmdb_put(kv->lmdb, table, key, &value, 1, true);
	case KV_DELETE:
		return dw_kv_lmdb_delete(kv->lmdb, table, key);
	}
	return DW_E_CORRUPT;
}

/* What the journal holds and LMDB has not committed. */
static int
replay(struct dw_kv *kv)
{
	int err = dw_kv_journal_replay(&kv->journal, replay_change, kv);

	/* What is to be deleted is not there. */
	return err == DW_E_AGAIN ? DW_E_CORRUPT : err;
}

/* The room that the journal's changes need is taken ahead, while there is any: enough for them to touch every page that
 * there is. */
static int
take_room(struct dw_kv *kv)
{
	const uint64_t most = 2 * dw_kv_bytes(kv);
	const uint64_t wanted = most < ROOM_LEAST ? ROOM_LEAST : most < ROOM_MOST ? most : ROOM_MOST;

	if (dw_kv_lmdb_room(kv->lmdb) >= wanted || dw_kv_lmdb_grow(kv->lmdb) != EIO)
		return DW_OK;
	(void)dw_kv_lmdb_fail(kv->lmdb, EIO);
	return DW_E_STORAGE;
}

/* Leaves the commit's number in its tree, and the mark of the journal that follows, or 0. */
static int
stamp(struct dw_kv *kv, uint64_t tag)
{
	const uint64_t number = dw_kv_lmdb_number(kv->lmdb);
	const struct mark mark = { tag, dw_kv_get_mark(kv) };
	const struct dw_str values[] = { { (const char *)&number, sizeof(number) }, { (const char *)&mark, sizeof(mark) } };
	int err = dw_kv_lmdb_put(kv->lmdb, 0, DW_STR(KV_STAMP), &values[0], 1, false);

	return err == DW_OK ? dw_kv_lmdb_put(kv->lmdb, 0, DW_STR(KV_TAG), &values[1], 1, false) : err;
}

/* LMDB's own commit, of what was kept too. */
static int
commit_whole(struct dw_kv *kv, bool last)
{
	const uint64_t tag = kv->journal.fd >= 0 && !last ? dw_random() | 1 : 0;
	const bool changed = kv->dirty || kv->kept;
	int err = changed ? stamp(kv, tag) : DW_OK;

	if (err != DW_OK) {
		drop(kv);
		return err;
	}
	kv->open = kv->kept = false;
	err = dw_kv_lmdb_commit(kv->lmdb);
	if (err != DW_OK || !changed)
		return err;
	kv->committed_at = dw_mono_ms();
	dw_kv_journal_follow(&kv->journal, tag, dw_kv_lmdb_committed(kv->lmdb));
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
	drop(kv);
	(void)dw_kv_lmdb_fail(kv->lmdb, number);
	return number == ENOMEM ? DW_E_NOMEM : DW_E_STORAGE;
}

/* LMDB's transaction, with what the journal holds. */
static int
begin(struct dw_kv *kv, enum dw_kv_mode mode)
{
	int err = mode == DW_KV_READ ? DW_OK : dw_kv_lmdb_lend(kv->lmdb, mode == DW_KV_RESCUE);

	if (err == DW_OK && mode == DW_KV_WRITE)
		err = take_room(kv);
	if (err == DW_OK)
		err = dw_kv_lmdb_begin(kv->lmdb, mode == DW_KV_READ && kv->journal.count == 0);
	kv->open = err == DW_OK;
	if (err != DW_OK || kv->journal.count == 0)
		return err;
	err = replay(kv);
	if (err == DW_OK)
		kv->kept = true;
	else
		drop(kv);
	return err;
}

int
dw_kv_begin(struct dw_kv *kv, enum dw_kv_mode mode)
{
	int err = DW_OK;

	kv->begun = true;
	if (kv->kept && mode == DW_KV_RESCUE)
		drop(kv); /* it comes from the journal, into a larger map */
	assert(kv->open == kv->kept);
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
	const uint64_t room = dw_kv_lmdb_room(kv->lmdb);
	const bool young = dw_mono_ms() - kv->committed_at < AGE_MOST_MS;

	if (kv->kept && !kv->dirty && !kv->whole && young)
		return DW_OK;
	if (kv->dirty && !kv->whole && young && dw_kv_journal_fits(&kv->journal) &&
		dw_kv_lmdb_touched(kv->lmdb) <= (room < ROOM_MOST ? room : ROOM_MOST) / 2)
		return commit_to_journal(kv);
	return commit_whole(kv, false);
}

void
dw_kv_abort(struct dw_kv *kv)
{
	if (!kv->kept || kv->dirty || kv->whole)
		drop(kv);
}

int
dw_kv_grow(struct dw_kv *kv)
{
	int number;

	if (kv->kept)
		drop(kv);
	/* A disk that takes no write gets no room by a longer file. */
	if (!dw_kv_lmdb_map_is_full(kv->lmdb))
		return DW_E_STORAGE_FULL;
	number = dw_kv_lmdb_grow(kv->lmdb);
	if (number != 0 && number != KV_AT_LIMIT)
		(void)dw_kv_lmdb_fail(kv->lmdb, number);
	return number == 0 ? DW_OK : number == EIO ? DW_E_STORAGE : DW_E_STORAGE_FULL;
}

/* From here on the file is all that there is. */
static int
finish(struct dw_kv *kv)
{
	int err;

	if (!kv->begun || !dw_kv_lmdb_is_sound(kv->lmdb))
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
dw_kv_get(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str *value)
{
	return dw_kv_lmdb_get(kv->lmdb, table, key, value);
}

int
dw_kv_get_fixed(struct dw_kv *kv, size_t table, struct dw_str key, void *out, size_t size)
{
	struct dw_str value = { "", 0 };
	int err = dw_kv_get(kv, table, key, &value);

	if (err != DW_OK)
		return err;
	if (value.n != size)
		return dw_kv_lmdb_fail_entry(kv->lmdb, table, key);
	memcpy(out, value.p, size);
	return DW_OK;
}

int
dw_kv_put(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str value)
{
	kv->dirty = true;
	dw_kv_journal_note(&kv->journal, KV_PUT, table, key, &value, 1);
	return dw_kv_lmdb_put(kv->lmdb, table, key, &value, 1, false);
}

int
dw_kv_append(struct dw_kv *kv, size_t table, struct dw_str key, const struct dw_str *parts, size_t count)
{
	kv->dirty = true;
	dw_kv_journal_note(&kv->journal, KV_APPEND, table, key, parts, count);
	return dw_kv_lmdb_put(kv->lmdb, table, key, parts, count, true);
}

int
dw_kv_delete(struct dw_kv *kv, size_t table, struct dw_str key)
{
	int err = dw_kv_lmdb_delete(kv->lmdb, table, key);

	if (err == DW_E_AGAIN)
		return err;
	kv->dirty = true;
	dw_kv_journal_note(&kv->journal, KV_DELETE, table, key, NULL, 0);
	return err;
}

struct scan {
	struct dw_kv *kv;
	size_t table;
	int (*each)(void *user, struct dw_str key, struct dw_str value);
	void *user;
};

static int
scan_one(void *user, struct dw_str key, struct dw_str value)
{
	const struct scan *scan = user;
	char bytes[KEY_MAX];
	const size_t n = key.n < KEY_MAX ? key.n : KEY_MAX;
	int err;

	/* It may move when `each` changes something. */
	memcpy(bytes, key.p, n);
	err = scan->each(scan->user, key, value);
	if (err == DW_KV_DELETE) {
		scan->kv->dirty = true;
		dw_kv_journal_note(&scan->kv->journal, KV_DELETE, scan->table, (struct dw_str) { bytes, n }, NULL, 0);
	}
	return err;
}

int
dw_kv_scan(struct dw_kv *kv, size_t table, struct dw_str from,
	int (*each)(void *user, struct dw_str key, struct dw_str value), void *user)
{
	return dw_kv_lmdb_scan(kv->lmdb, table, from, scan_one, &(struct scan) { kv, table, each, user });
}

uint64_t
dw_kv_count(struct dw_kv *kv, size_t table)
{
	return dw_kv_lmdb_count(kv->lmdb, table);
}

uint64_t
dw_kv_bytes(const struct dw_kv *kv)
{
	return dw_kv_lmdb_bytes(kv->lmdb);
}

struct dw_kv_mark
dw_kv_get_mark(const struct dw_kv *kv)
{
	return dw_kv_lmdb_mark(kv->lmdb);
}

const char *
dw_kv_text(const struct dw_kv *kv)
{
	return dw_kv_lmdb_text(kv->lmdb);
}

bool
dw_kv_recovered(const struct dw_kv *kv)
{
	return kv->recovered;
}

/* ---- open and close */

/* Carries out what the journal holds, in the transaction that the opening leaves. */
static int
recover(struct dw_kv *kv)
{
	struct mark mark = { 0 };
	const struct dw_kv_mark file = dw_kv_get_mark(kv);
	int err = dw_kv_get_fixed(kv, 0, DW_STR(KV_TAG), &mark, sizeof(mark)), number;

	if (err != DW_OK && err != DW_E_AGAIN)
		return err;
	dw_kv_journal_follow(&kv->journal, mark.tag, dw_kv_lmdb_committed(kv->lmdb));
	/* A copy may have been made of the file alone. */
	number = dw_kv_journal_open(&kv->journal, mark.tag != 0 && memcmp(&mark.file, &file, sizeof(file)) == 0);
	if (number != 0)
		return number == KV_NO_JOURNAL ? DW_E_CORRUPT : dw_kv_lmdb_fail(kv->lmdb, number);
	err = replay(kv);
	return err == DW_OK ? dw_kv_journal_look(&kv->journal) : err;
}

int
dw_kv_open(struct dw_kv **out, const char *dir, const char *const *tables, size_t count, uint64_t limit,
	struct dw_fault *fault)
{
	struct dw_kv *kv = calloc(1, sizeof(*kv));
	int err;

	if (kv == NULL)
		return DW_E_NOMEM;
	*kv = (struct dw_kv) { .dir = dir, .count = count, .journal = { .dir = dir, .fd = -1 } };
	err = dw_kv_lmdb_open(&kv->lmdb, dir, tables, count, limit, fault);
	if (err != DW_OK) {
		free(kv);
		return err;
	}
	kv->open = kv->whole = true;
	err = recover(kv);
	kv->dirty = dw_kv_lmdb_changed(kv->lmdb);
	kv->recovered = kv->journal.count > 0;
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
	if (kv->open && !kv->kept)
		drop(kv);
	if (kv->journal.tag != 0)
		(void)finish(kv);
	dw_kv_journal_close(&kv->journal);
	dw_kv_lmdb_close(kv->lmdb);
	free(kv);
}
