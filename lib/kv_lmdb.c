/* Tables and transactions over LMDB. A file of its own so that lmdb.h, its return codes and its traps stay
 * in one place: the map that must be grown by hand, a disk that fills up in the middle of a commit, a partial write
 * that is called EIO, a head that could not be written, after which LMDB wants to be opened again.
 *
 * Happy path: open makes the tables; begin, get and put, commit. A commit goes to the journal (kv_journal.c), and
 * LMDB's transaction stays open for the next ones, until it has touched so many pages that LMDB commits it. The map
 * ends within what the file was allocated (kv_file.c), so a full disk shows when the map is to grow, with nothing
 * written.
 *
 * Failure modes: every code becomes one of ours in fail(), which also remembers it for dw_kv_text. After a
 * failure inside a transaction the caller aborts; a commit that fails has ended it. Where the system cannot
 * allocate ahead, ENOSPC may come with any write: nothing was done then either, unless the sync has failed,
 * which is DW_E_STORAGE whatever its code. Where LMDB's transaction ends without its commit, the next one begins with
 * what the journal holds. The journal is only used while the map has twice the room that its changes can take, so
 * that LMDB's commit finds it; near the limit every commit is LMDB's.
 */
#include "diagws/kv.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagws/clock.h"
#include "diagws/paths.h"
#include "kv_parts.h"

/* TOUCHED_MOST: bytes of pages that may wait in memory for LMDB's commit. */
enum {
	READERS = 16,
	KEY_MAX = 511 /* LMDB's */,
	TOUCHED_MOST = 16 << 20,
	ROOM_LEAST = 512 << 10,
	ROOM_MOST = 2 * TOUCHED_MOST
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
	const char *const *names;
	size_t count;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi tables[KV_TABLES_MAX];
	MDB_cursor *cursors[KV_TABLES_MAX]; /* of the open transaction: where it wrote last */
	struct kv_file file;
	struct kv_journal journal;
	size_t page;
	uint64_t touched[KV_TABLES_MAX]; /* bytes of pages, by LMDB's transaction, at most */
	bool opened;                     /* the transaction that the opening left has ended */
	bool recovered;                  /* the journal held something then */
	bool lent;                       /* the map takes in the reserve */
	bool kept;                       /* LMDB's transaction holds what the journal does, and is open between ours */
	bool whole;                      /* the open transaction is for LMDB's commit */
	bool dirty;                      /* it has changed something */
	size_t committed;                /* the last commit's number, */
	uint64_t committed_at;           /* ms, monotonic */
	int last;                        /* LMDB's code of the last failure */
	char damage[128];                /* which entry, when that is damage */
};

static MDB_val
val(struct dw_str s)
{
	return (MDB_val) { s.n, (void *)(uintptr_t)s.p };
}

static struct dw_str
str(MDB_val value)
{
	return (struct dw_str) { value.mv_data, value.mv_size };
}

static int
fail(struct dw_kv *kv, int rc)
{
	/* LMDB calls a write that the disk took only a part of EIO; so does a disk that breaks. */
	if (rc == EIO && dw_kv_disk_is_full(&kv->file))
		rc = ENOSPC;
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND) {
		kv->last = rc;
		kv->damage[0] = '\0';
	}
	switch (rc) {
	case MDB_SUCCESS:
		return DW_OK;
	case MDB_NOTFOUND:
		return DW_E_AGAIN;
	case MDB_MAP_FULL:
		return DW_E_STORAGE_FULL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return dw_kv_sync_failed(&kv->file) ? DW_E_STORAGE : DW_E_STORAGE_FULL;
	case ENOMEM:
		return DW_E_NOMEM;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INCOMPATIBLE:
		return DW_E_CORRUPT;
	default:
		return DW_E_STORAGE;
	}
}

/* An entry is not what was stored. Its key is told: a number, or names. */
static int
fail_entry(struct dw_kv *kv, size_t table, struct dw_str key)
{
	int err = fail(kv, MDB_CORRUPTED);
	char text[64];
	uint64_t number = 0;

	for (size_t i = 0; i < key.n && i < sizeof(text) - 1; i++) {
		text[i] = (char)(key.p[i] > ' ' && key.p[i] < 0x7f ? key.p[i] : ' ');
		number = number << 8 | (uint8_t)key.p[i];
	}
	text[key.n < sizeof(text) - 1 ? key.n : sizeof(text) - 1] = '\0';
	if (key.n == sizeof(number))
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	(void)snprintf(kv->damage, sizeof(kv->damage), "entry %s of table '%s' is not what was stored",
		key.n == 16 ? "(a digest)" : text, kv->names[table]);
	return err;
}

static int
set_map(struct dw_kv *kv, bool lend)
{
	int rc = mdb_env_set_mapsize(kv->env, dw_kv_map_end(&kv->file, lend));

	if (rc == MDB_SUCCESS)
		kv->lent = lend;
	return rc;
}

/* ---- changes */

static int
put(struct dw_kv *kv, size_t table, struct dw_str key, const struct dw_str *parts, size_t count, unsigned flags)
{
	MDB_val k = val(key), v = { KV_SUM_SIZE, NULL };
	struct dw_str value;
	uint64_t sum;
	char *to;
	int err = DW_OK;

	for (size_t i = 0; i < count; i++)
		v.mv_size += parts[i].n;
	kv->dirty = true;
	kv->touched[table] += key.n + v.mv_size + (flags == MDB_APPEND ? 0 : kv->page);
	if (kv->cursors[table] == NULL)
		err = fail(kv, mdb_cursor_open(kv->txn, kv->tables[table], &kv->cursors[table]));
	if (err == DW_OK)
		err = fail(kv, mdb_cursor_put(kv->cursors[table], &k, &v, flags | MDB_RESERVE));
	if (err != DW_OK)
		return err;
	value = (struct dw_str) { v.mv_data, v.mv_size - KV_SUM_SIZE };
	to = v.mv_data;
	for (size_t i = 0; i < count; to += parts[i++].n)
		memcpy(to, parts[i].p, parts[i].n);
	sum = kv_sum(key, value);
	memcpy(to, &sum, sizeof(sum));
	return DW_OK;
}

static int
erase(struct dw_kv *kv, size_t table, struct dw_str key)
{
	MDB_val k = val(key);

	kv->dirty = true;
	kv->touched[table] += kv->page;
	return fail(kv, mdb_del(kv->txn, kv->tables[table], &k, NULL));
}

/* ---- transactions */

/* A table that is missing is made. */
static int
open_tables(struct dw_kv *kv)
{
	int rc = mdb_txn_begin(kv->env, NULL, 0, &kv->txn);

	kv->dirty = false;
	for (size_t i = 0; rc == MDB_SUCCESS && i < kv->count; i++) {
		rc = mdb_dbi_open(kv->txn, kv->names[i], 0, &kv->tables[i]);
		if (rc == MDB_NOTFOUND) {
			kv->dirty = true;
			rc = mdb_dbi_open(kv->txn, kv->names[i], MDB_CREATE, &kv->tables[i]);
		}
	}
	return rc;
}

static int
open_env(struct dw_kv *kv)
{
	int rc = mdb_env_create(&kv->env);

	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(kv->env, KV_TABLES_MAX);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxreaders(kv->env, READERS);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_mapsize(kv->env, dw_kv_map_end(&kv->file, false));
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(kv->env, kv->dir, 0, 0640);
	kv->lent = false;
	return rc;
}

static size_t
page_size(const struct dw_kv *kv)
{
	MDB_stat stat = { 0 };

	(void)mdb_env_stat(kv->env, &stat);
	return stat.ms_psize;
}

static size_t
commit_number(const struct dw_kv *kv)
{
	MDB_envinfo info;

	return mdb_env_info(kv->env, &info) == MDB_SUCCESS ? info.me_last_txnid : 0;
}

/* After a head that could not be written LMDB refuses everything. What the disk holds must be what was committed
 * before; if it is more, nobody knows what it will be after a power cut. */
static int
open_again(struct dw_kv *kv)
{
	int rc;

	mdb_env_close(kv->env);
	kv->env = NULL;
	rc = open_env(kv);
	if (rc == MDB_SUCCESS && commit_number(kv) != kv->committed)
		rc = MDB_PANIC;
	if (rc == MDB_SUCCESS)
		rc = open_tables(kv);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(kv->txn);
	kv->txn = NULL;
	return rc;
}

/* LMDB closes those of a writing transaction itself. */
static void
forget_cursors(struct dw_kv *kv)
{
	kv->txn = NULL;
	kv->kept = false;
	memset(kv->cursors, 0, sizeof(kv->cursors));
}

static void
drop(struct dw_kv *kv)
{
	mdb_txn_abort(kv->txn);
	forget_cursors(kv);
}

static int
begin(struct dw_kv *kv, bool read)
{
	const bool was_full = kv->last == ENOSPC || kv->last == EDQUOT || kv->last == EFBIG;
	int rc = mdb_txn_begin(kv->env, NULL, read ? MDB_RDONLY : 0, &kv->txn);

	if (rc == MDB_PANIC && was_full && !dw_kv_sync_failed(&kv->file)) {
		rc = open_again(kv);
		if (rc == MDB_SUCCESS)
			rc = mdb_txn_begin(kv->env, NULL, read ? MDB_RDONLY : 0, &kv->txn);
	}
	if (rc == MDB_SUCCESS)
		kv->last = MDB_SUCCESS;
	memset(kv->touched, 0, sizeof(kv->touched));
	return fail(kv, rc);
}

static int
replay_change(void *user, enum kv_change kind, size_t table, struct dw_str key, struct dw_str value)
{
	struct dw_kv *kv = user;

	if (table >= kv->count)
		return DW_E_CORRUPT;
	switch (kind) {
	case KV_PUT:
		return put(kv, table, key, &value, 1, 0);
	case KV_APPEND:
		return put(kv, table, key, &value, 1, MDB_APPEND);
	case KV_DELETE:
		return erase(kv, table, key);
	}
	return DW_E_CORRUPT;
}

/* What the journal holds and LMDB has not committed. */
static int
replay(struct dw_kv *kv)
{
	int err = dw_kv_journal_replay(&kv->journal, replay_change, kv);

	if (err == DW_E_AGAIN) /* what is to be deleted is not there */
		err = DW_E_CORRUPT;
	if (err == DW_E_CORRUPT) {
		(void)fail(kv, MDB_CORRUPTED);
		(void)snprintf(kv->damage, sizeof(kv->damage), "the journal beside it does not follow it");
	}
	return err;
}

/* Bytes that the map has left. */
static uint64_t
room_left(const struct dw_kv *kv)
{
	const uint64_t end = dw_kv_map_end(&kv->file, false), used = dw_kv_bytes(kv);

	return end > used ? end - used : 0;
}

/* What LMDB's transaction has touched, at most: no table has more than all of its pages. */
static uint64_t
touched(const struct dw_kv *kv)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < kv->count; i++) {
		MDB_stat stat = { 0 };
		uint64_t all;

		(void)mdb_stat(kv->txn, kv->tables[i], &stat);
		all = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * kv->page;
		sum += kv->touched[i] < all ? kv->touched[i] : all;
	}
	return sum;
}

/* The room that the journal's changes need is taken ahead, while there is any. */
static void
take_room(struct dw_kv *kv)
{
	const uint64_t used = dw_kv_bytes(kv);
	const uint64_t wanted = used < ROOM_LEAST ? ROOM_LEAST : used < ROOM_MOST ? used : ROOM_MOST;

	if (!kv->lent && room_left(kv) < wanted && dw_kv_file_grow(&kv->file) == 0)
		(void)set_map(kv, false);
}

/* Leaves the commit's number in its tree, and the mark of the journal that follows, or 0. */
static int
stamp(struct dw_kv *kv, uint64_t tag)
{
	const uint64_t number = mdb_txn_id(kv->txn);
	const struct mark mark = { tag, dw_kv_mark(kv) };
	const struct dw_str values[] = { { (const char *)&number, sizeof(number) }, { (const char *)&mark, sizeof(mark) } };
	int err = put(kv, 0, DW_STR(KV_STAMP), &values[0], 1, 0);

	return err == DW_OK ? put(kv, 0, DW_STR(KV_TAG), &values[1], 1, 0) : err;
}

/* LMDB's own commit, of what was kept too. */
static int
commit_whole(struct dw_kv *kv, bool last)
{
	const uint64_t tag = kv->journal.fd >= 0 && !last ? dw_random() | 1 : 0;
	const bool changed = kv->dirty || kv->kept;
	int err = changed ? stamp(kv, tag) : DW_OK;
	MDB_txn *txn = kv->txn;

	if (err != DW_OK) {
		drop(kv);
		return err;
	}
	forget_cursors(kv);
	err = fail(kv, mdb_txn_commit(txn));
	if (err != DW_OK || !changed)
		return err;
	kv->committed = commit_number(kv);
	kv->committed_at = dw_mono_ms();
	dw_kv_journal_follow(&kv->journal, tag, kv->committed);
	take_room(kv);
	return DW_OK;
}

static int
commit_to_journal(struct dw_kv *kv)
{
	bool unsure;
	int number = dw_kv_journal_write(&kv->journal, &unsure), err;

	kv->kept = kv->kept || number == 0;
	if (number == 0)
		return DW_OK;
	if (!unsure && (number == ENOSPC || number == EDQUOT || number == EFBIG))
		return commit_whole(kv, false);
	drop(kv);
	err = fail(kv, number);
	return unsure ? DW_E_STORAGE : err;
}

int
dw_kv_begin(struct dw_kv *kv, enum dw_kv_mode mode)
{
	int err = DW_OK;

	if (kv->env == NULL)
		return fail(kv, MDB_PANIC);
	kv->opened = true;
	if (kv->kept && mode == DW_KV_RESCUE)
		(void)commit_whole(kv, false); /* else it comes from the journal, into a larger map */
	kv->whole = mode == DW_KV_RESCUE;
	kv->dirty = false;
	dw_kv_journal_begin(&kv->journal);
	if (kv->kept)
		return DW_OK;
	assert(kv->txn == NULL);
	if (mode != DW_KV_READ && kv->lent != (mode == DW_KV_RESCUE))
		err = fail(kv, set_map(kv, mode == DW_KV_RESCUE));
	if (err == DW_OK)
		err = begin(kv, mode == DW_KV_READ && kv->journal.count == 0);
	if (err != DW_OK || kv->journal.count == 0)
		return err;
	err = replay(kv);
	if (err == DW_OK)
		kv->kept = true;
	else
		drop(kv);
	kv->dirty = false;
	dw_kv_journal_begin(&kv->journal);
	return err;
}

int
dw_kv_commit(struct dw_kv *kv)
{
	const uint64_t room = room_left(kv);

	if (kv->kept && !kv->dirty && !kv->whole)
		return DW_OK;
	if (kv->dirty && !kv->whole && dw_mono_ms() - kv->committed_at < AGE_MOST_MS && dw_kv_journal_fits(&kv->journal) &&
		touched(kv) <= (room < ROOM_MOST ? room : ROOM_MOST) / 2)
		return commit_to_journal(kv);
	return commit_whole(kv, false);
}

void
dw_kv_abort(struct dw_kv *kv)
{
	if (!kv->kept || kv->dirty || kv->whole)
		drop(kv);
}

bool
dw_kv_grow(struct dw_kv *kv)
{
	int rc;

	if (kv->kept)
		drop(kv);
	if (kv->last != MDB_MAP_FULL) /* a disk that takes no write gets no room by a longer file */
		return false;
	rc = dw_kv_file_grow(&kv->file);
	if (rc != 0 && rc != KV_AT_LIMIT)
		kv->last = rc;
	return rc == 0 && set_map(kv, false) == MDB_SUCCESS;
}

/* ---- entries */

int
dw_kv_get(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str *value)
{
	MDB_val k = val(key), v;
	int err = fail(kv, mdb_get(kv->txn, kv->tables[table], &k, &v));

	if (err == DW_OK && !kv_take(key, str(v), value))
		err = fail_entry(kv, table, key);
	return err;
}

int
dw_kv_get_fixed(struct dw_kv *kv, size_t table, struct dw_str key, void *out, size_t size)
{
	struct dw_str value = { "", 0 };
	int err = dw_kv_get(kv, table, key, &value);

	if (err != DW_OK)
		return err;
	if (value.n != size)
		return fail_entry(kv, table, key);
	memcpy(out, value.p, size);
	return DW_OK;
}

int
dw_kv_put(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str value)
{
	dw_kv_journal_note(&kv->journal, KV_PUT, table, key, &value, 1);
	return put(kv, table, key, &value, 1, 0);
}

int
dw_kv_append(struct dw_kv *kv, size_t table, struct dw_str key, const struct dw_str *parts, size_t count)
{
	dw_kv_journal_note(&kv->journal, KV_APPEND, table, key, parts, count);
	return put(kv, table, key, parts, count, MDB_APPEND);
}

int
dw_kv_delete(struct dw_kv *kv, size_t table, struct dw_str key)
{
	int err = erase(kv, table, key);

	if (err == DW_OK)
		dw_kv_journal_note(&kv->journal, KV_DELETE, table, key, NULL, 0);
	return err;
}

int
dw_kv_empty(struct dw_kv *kv, size_t table)
{
	kv->dirty = kv->whole = true;
	return fail(kv, mdb_drop(kv->txn, kv->tables[table], 0));
}

int
dw_kv_scan(struct dw_kv *kv, size_t table, struct dw_str from,
	int (*each)(void *user, struct dw_str key, struct dw_str value), void *user)
{
	MDB_val key = val(from), stored;
	char bytes[KEY_MAX];
	struct dw_str value;
	MDB_cursor *cursor;
	int err = fail(kv, mdb_cursor_open(kv->txn, kv->tables[table], &cursor));

	if (err != DW_OK)
		return err;
	err = fail(kv, mdb_cursor_get(cursor, &key, &stored, from.n > 0 ? MDB_SET_RANGE : MDB_FIRST));
	while (err == DW_OK) {
		/* It may move when `each` changes something. */
		memcpy(bytes, key.mv_data, key.mv_size < KEY_MAX ? key.mv_size : KEY_MAX);
		err = kv_take(str(key), str(stored), &value) ? each(user, str(key), value) : fail_entry(kv, table, str(key));
		if (err == DW_KV_DELETE) {
			kv->dirty = true;
			kv->touched[table] += key.mv_size + stored.mv_size;
			dw_kv_journal_note(&kv->journal, KV_DELETE, table, (struct dw_str) { bytes, key.mv_size }, NULL, 0);
			err = fail(kv, mdb_cursor_del(cursor, 0));
		}
		if (err == DW_OK)
			err = fail(kv, mdb_cursor_get(cursor, &key, &stored, MDB_NEXT));
	}
	mdb_cursor_close(cursor);
	return err == DW_E_AGAIN ? DW_OK : err;
}

uint64_t
dw_kv_count(struct dw_kv *kv, size_t table)
{
	MDB_stat stat = { 0 };

	(void)mdb_stat(kv->txn, kv->tables[table], &stat);
	return stat.ms_entries;
}

uint64_t
dw_kv_bytes(const struct dw_kv *kv)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(kv->env, &info) != MDB_SUCCESS || mdb_env_stat(kv->env, &stat) != MDB_SUCCESS)
		return 0;
	return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

const char *
dw_kv_text(const struct dw_kv *kv)
{
	if (kv->damage[0] != '\0')
		return kv->damage;
	return mdb_strerror(kv->last == MDB_MAP_FULL && kv->file.short_of_disk ? ENOSPC : kv->last);
}

/* ---- open and close */

/* Carries out what the journal holds, in the transaction that stays open. */
static int
recover(struct dw_kv *kv)
{
	struct mark mark = { 0 };
	const struct dw_kv_mark file = dw_kv_mark(kv);
	int err = dw_kv_get_fixed(kv, 0, DW_STR(KV_TAG), &mark, sizeof(mark)), number;

	kv->whole = true;
	if (err != DW_OK && err != DW_E_AGAIN)
		return err;
	/* A copy may have been made of the file alone. */
	if (kv->journal.fd < 0) {
		number = dw_kv_journal_open(&kv->journal, mark.tag != 0 && memcmp(&mark.file, &file, sizeof(file)) == 0);
		if (number != 0)
			return number == KV_NO_JOURNAL ? DW_E_CORRUPT : fail(kv, number);
	}
	dw_kv_journal_follow(&kv->journal, mark.tag, kv->committed);
	err = replay(kv);
	if (err == DW_OK)
		err = dw_kv_journal_look(&kv->journal);
	kv->recovered = kv->journal.count > 0;
	return err;
}

/* What it holds may need more than the map has. */
static int
recover_all(struct dw_kv *kv, struct dw_fault *fault)
{
	int err = recover(kv);

	while (err == DW_E_STORAGE_FULL && kv->last == MDB_MAP_FULL && dw_kv_file_grow(&kv->file) == 0) {
		drop(kv);
		err = fail(kv, set_map(kv, true));
		if (err == DW_OK)
			err = fail(kv, open_tables(kv));
		if (err == DW_OK)
			err = recover(kv);
	}
	if (err == DW_E_CORRUPT)
		return dw_fault_set(fault, err, "--state-dir", "all files of one copy",
			"'%s/journal' is damaged, missing, or of another store than the 'data.mdb' beside it", kv->dir);
	if (err != DW_OK)
		return dw_fault_set(
			fault, err, "--state-dir", NULL, "cannot read the journal in '%s': %s", kv->dir, dw_kv_text(kv));
	return DW_OK;
}

static int
open_store(struct dw_kv *kv, struct dw_fault *fault)
{
	int rc = dw_kv_lock_open(&kv->file);

	if (rc == 0)
		rc = open_env(kv);
	if (rc == MDB_SUCCESS)
		rc = dw_kv_file_open(&kv->file, dw_kv_bytes(kv));
	if (rc == MDB_SUCCESS)
		rc = set_map(kv, true);
	kv->committed = rc == MDB_SUCCESS ? commit_number(kv) : 0;
	kv->page = rc == MDB_SUCCESS ? page_size(kv) : 0;
	if (rc == MDB_SUCCESS)
		rc = open_tables(kv);
	if (rc == MDB_SUCCESS)
		return recover_all(kv, fault);
	kv->last = rc;
	if (rc == EACCES || rc == EPERM || rc == EROFS)
		return dw_fault_set(fault, DW_E_PERMISSION, "--state-dir", "a directory that this user may write to",
			"cannot open the store in '%s': %s", kv->dir, mdb_strerror(rc));
	return dw_fault_set(fault, rc == ENOSPC || rc == EDQUOT || rc == MDB_MAP_FULL ? DW_E_STORAGE_FULL : DW_E_CREATE,
		"--state-dir", NULL, "cannot open the store in '%s': %s", kv->dir, dw_kv_text(kv));
}

int
dw_kv_open(struct dw_kv **out, const char *dir, const char *const *tables, size_t count, uint64_t limit,
	struct dw_fault *fault)
{
	struct dw_kv *kv = calloc(1, sizeof(*kv));
	int err;

	assert(count <= KV_TABLES_MAX);
	if (kv == NULL)
		return DW_E_NOMEM;
	*kv = (struct dw_kv) {
		.dir = dir,
		.names = tables,
		.count = count,
		.file = { .dir = dir, .limit = limit, .fd = -1 },
		.journal = { .dir = dir, .fd = -1 },
	};
	err = open_store(kv, fault);
	if (err == DW_OK)
		*out = kv;
	else
		dw_kv_close(kv);
	return err;
}

struct dw_kv_mark
dw_kv_mark(const struct dw_kv *kv)
{
	return dw_kv_file_mark(&kv->file);
}

bool
dw_kv_recovered(const struct dw_kv *kv)
{
	return kv->recovered;
}

void
dw_kv_rest(struct dw_kv *kv)
{
	if (kv->env == NULL || kv->last != MDB_SUCCESS || kv->journal.tag == 0 || !kv->opened)
		return;
	if (kv->kept || dw_kv_begin(kv, DW_KV_WRITE) == DW_OK) {
		kv->dirty = true;
		(void)commit_whole(kv, true);
	}
}

void
dw_kv_close(struct dw_kv *kv)
{
	if (kv == NULL)
		return;
	if (kv->txn != NULL && !kv->kept)
		drop(kv);
	dw_kv_rest(kv);
	dw_kv_journal_close(&kv->journal);
	if (kv->env != NULL)
		mdb_env_close(kv->env);
	if (kv->file.fd >= 0)
		(void)close(kv->file.fd);
	free(kv);
}
