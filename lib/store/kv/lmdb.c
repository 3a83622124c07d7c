/* Tables and transactions of LMDB: what of the store needs no journal. A file of its own so that lmdb.h, its return
 * codes and its traps stay in one place: the map that must be grown by hand, a disk that fills up in the middle of a
 * commit, a partial write that is called EIO, a head that could not be written, after which it must be opened again.
 *
 * Happy path: open makes the tables; begin, get and put, commit, which syncs. The map ends within what the file was
 * allocated (file.c), so a full disk shows when the map is to grow, with nothing written.
 *
 * Failure modes: every code becomes one of ours in dw_kv_lmdb_fail(), which also remembers it for the text. After a
 * failure inside a transaction the caller aborts; a commit that fails has ended it. Where the system cannot allocate
 * ahead, ENOSPC may come with any write: nothing was done then either, unless the sync has failed (DW_E_STORAGE).
 */
#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/kv/parts.h"

enum {
	READERS = 16,
	LARGE_TIMES = 32 /* so much more a page counts that is one value's own */
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

int
dw_kv_lmdb_fail(struct dw_kv *kv, int rc)
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
	int err = dw_kv_lmdb_fail(kv, MDB_CORRUPTED);
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

/* ---- transactions */

/* A table that is missing is made. */
static int
open_tables(struct dw_kv *kv)
{
	int rc = mdb_txn_begin(kv->env, NULL, 0, &kv->txn);

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

/* LMDB closes the cursors of a writing transaction itself. */
static void
forget(struct dw_kv *kv)
{
	kv->txn = NULL;
	kv->kept = false;
	memset(kv->cursors, 0, sizeof(kv->cursors));
}

int
dw_kv_lmdb_begin(struct dw_kv *kv, bool read)
{
	const bool was_full = kv->last == ENOSPC || kv->last == EDQUOT || kv->last == EFBIG;
	int rc;

	assert(kv->txn == NULL);
	if (kv->env == NULL)
		return dw_kv_lmdb_fail(kv, MDB_PANIC);
	rc = mdb_txn_begin(kv->env, NULL, read ? MDB_RDONLY : 0, &kv->txn);
	if (rc == MDB_PANIC && was_full && !dw_kv_sync_failed(&kv->file)) {
		rc = open_again(kv);
		if (rc == MDB_SUCCESS)
			rc = mdb_txn_begin(kv->env, NULL, read ? MDB_RDONLY : 0, &kv->txn);
	}
	if (rc == MDB_SUCCESS)
		kv->last = MDB_SUCCESS;
	memset(kv->touched, 0, sizeof(kv->touched));
	kv->large = 0;
	return dw_kv_lmdb_fail(kv, rc);
}

int
dw_kv_lmdb_commit(struct dw_kv *kv)
{
	MDB_txn *txn = kv->txn;
	int err;

	forget(kv);
	err = dw_kv_lmdb_fail(kv, mdb_txn_commit(txn));
	if (err == DW_OK)
		kv->committed = commit_number(kv);
	return err;
}

void
dw_kv_lmdb_abort(struct dw_kv *kv)
{
	mdb_txn_abort(kv->txn);
	forget(kv);
}

uint64_t
dw_kv_lmdb_touched(const struct dw_kv *kv)
{
	/* A page of its own is written once however long it waits, which only makes the commit longer that all wait for. */
	uint64_t sum = (LARGE_TIMES - 1) * kv->large;

	for (size_t i = 0; i < kv->count; i++) {
		MDB_stat stat = { 0 };
		uint64_t all;

		/* No table has more than all of its pages. */
		(void)mdb_stat(kv->txn, kv->tables[i], &stat);
		all = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * kv->page;
		sum += kv->touched[i] < all ? kv->touched[i] : all;
	}
	return sum;
}

/* ---- entries */

int
dw_kv_get(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str *value)
{
	MDB_val k = val(key), v;
	int err = dw_kv_lmdb_fail(kv, mdb_get(kv->txn, kv->tables[table], &k, &v));

	if (err == DW_OK && !kv_take(key, str(v), value))
		err = fail_entry(kv, table, key);
	return err;
}

int
dw_kv_get_fixed(struct dw_kv *kv, size_t table, struct dw_str key, void *out, size_t size)
{
	struct dw_str value = { "", 0 };
	int err = dw_kv_get(kv, table, key, &value);

	if (err == DW_OK && value.n != size)
		err = fail_entry(kv, table, key);
	if (err == DW_OK)
		memcpy(out, value.p, size);
	else if (err == DW_E_AGAIN)
		memset(out, 0, size);
	return err == DW_E_AGAIN ? DW_OK : err;
}

int
dw_kv_lmdb_put(struct dw_kv *kv, size_t table, struct dw_str key, const struct dw_str *parts, size_t count, bool append)
{
	MDB_val k = val(key), v = { KV_SUM_SIZE, NULL };
	struct dw_str value;
	uint64_t sum;
	char *to;
	int err = DW_OK;

	for (size_t i = 0; i < count; i++)
		v.mv_size += parts[i].n;
	kv->touched[table] += key.n + v.mv_size + (append ? 0 : kv->page);
	if (v.mv_size > kv->page)
		kv->large += v.mv_size;
	if (kv->cursors[table] == NULL)
		err = dw_kv_lmdb_fail(kv, mdb_cursor_open(kv->txn, kv->tables[table], &kv->cursors[table]));
	if (err == DW_OK)
		err = dw_kv_lmdb_fail(kv, mdb_cursor_put(kv->cursors[table], &k, &v, (append ? MDB_APPEND : 0U) | MDB_RESERVE));
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

int
dw_kv_lmdb_delete(struct dw_kv *kv, size_t table, struct dw_str key)
{
	MDB_val k = val(key);

	kv->touched[table] += kv->page;
	return dw_kv_lmdb_fail(kv, mdb_del(kv->txn, kv->tables[table], &k, NULL));
}

/* The entry that the cursor is at; it may have moved since it was shown. */
static int
delete_there(struct dw_kv *kv, size_t table, MDB_cursor *cursor)
{
	MDB_val key, stored;
	int err = dw_kv_lmdb_fail(kv, mdb_cursor_get(cursor, &key, &stored, MDB_GET_CURRENT));

	if (err != DW_OK)
		return err;
	kv->dirty = true;
	kv->touched[table] += key.mv_size + stored.mv_size;
	dw_kv_journal_note(&kv->journal, KV_DELETE, table, str(key), NULL, 0);
	return dw_kv_lmdb_fail(kv, mdb_cursor_del(cursor, 0));
}

int
dw_kv_scan(struct dw_kv *kv, size_t table, struct dw_str from, struct dw_str prefix,
	int (*each)(void *user, struct dw_str key, struct dw_str value), void *user)
{
	MDB_val key = val(from), stored;
	struct dw_str value;
	MDB_cursor *cursor;
	int err = dw_kv_lmdb_fail(kv, mdb_cursor_open(kv->txn, kv->tables[table], &cursor));

	if (err != DW_OK)
		return err;
	err = dw_kv_lmdb_fail(kv, mdb_cursor_get(cursor, &key, &stored, from.n > 0 ? MDB_SET_RANGE : MDB_FIRST));
	while (err == DW_OK && key.mv_size >= prefix.n && memcmp(key.mv_data, prefix.p, prefix.n) == 0) {
		err = kv_take(str(key), str(stored), &value) ? each(user, str(key), value) : fail_entry(kv, table, str(key));
		if (err == DW_KV_DELETE)
			err = delete_there(kv, table, cursor);
		if (err == DW_OK)
			err = dw_kv_lmdb_fail(kv, mdb_cursor_get(cursor, &key, &stored, MDB_NEXT));
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

/* ---- the file */

uint64_t
dw_kv_bytes(const struct dw_kv *kv)
{
	MDB_envinfo info;

	return mdb_env_info(kv->env, &info) == MDB_SUCCESS ? (uint64_t)(info.me_last_pgno + 1) * kv->page : 0;
}

uint64_t
dw_kv_lmdb_room(const struct dw_kv *kv)
{
	const uint64_t end = dw_kv_map_end(&kv->file, false), used = dw_kv_bytes(kv);

	return end > used ? end - used : 0;
}

int
dw_kv_lmdb_lend(struct dw_kv *kv, bool lend)
{
	return kv->env == NULL || kv->lent == lend ? DW_OK : dw_kv_lmdb_fail(kv, set_map(kv, lend));
}

int
dw_kv_lmdb_grow(struct dw_kv *kv)
{
	int number = dw_kv_file_grow(&kv->file);

	return number == 0 ? set_map(kv, false) : number;
}

int
dw_kv_grow(struct dw_kv *kv)
{
	int number;

	if (kv->kept)
		dw_kv_lmdb_abort(kv);
	/* A disk that takes no write gets no room by a longer file. */
	if (kv->last != MDB_MAP_FULL)
		return DW_E_STORAGE_FULL;
	number = dw_kv_lmdb_grow(kv);
	if (number != 0 && number != KV_AT_LIMIT)
		(void)dw_kv_lmdb_fail(kv, number);
	return number == 0 ? DW_OK : number == EIO ? DW_E_STORAGE : DW_E_STORAGE_FULL;
}

const char *
dw_kv_text(const struct dw_kv *kv)
{
	if (kv->damage[0] != '\0')
		return kv->damage;
	return mdb_strerror(kv->last == MDB_MAP_FULL && kv->file.short_of_disk ? ENOSPC : kv->last);
}

/* ---- open and close */

int
dw_kv_lmdb_open(struct dw_kv *kv, struct dw_fault *fault)
{
	int rc = dw_kv_lock_open(&kv->file);

	if (rc == 0)
		rc = open_env(kv);
	kv->page = rc == MDB_SUCCESS ? page_size(kv) : 0;
	if (rc == MDB_SUCCESS)
		rc = dw_kv_file_open(&kv->file, dw_kv_bytes(kv));
	if (rc == MDB_SUCCESS)
		rc = set_map(kv, true);
	kv->committed = rc == MDB_SUCCESS ? commit_number(kv) : 0;
	if (rc == MDB_SUCCESS)
		rc = open_tables(kv);
	if (rc == MDB_SUCCESS)
		return DW_OK;
	kv->last = rc;
	if (rc == EACCES || rc == EPERM || rc == EROFS)
		return dw_fault_set(fault, DW_E_PERMISSION, "--state-dir", "a directory that this user may write to",
			"cannot open the store in '%s': %s", kv->dir, mdb_strerror(rc));
	return dw_fault_set(fault, rc == ENOSPC || rc == EDQUOT || rc == MDB_MAP_FULL ? DW_E_STORAGE_FULL : DW_E_CREATE,
		"--state-dir", NULL, "cannot open the store in '%s': %s", kv->dir, dw_kv_text(kv));
}

void
dw_kv_lmdb_close(struct dw_kv *kv)
{
	if (kv->txn != NULL)
		dw_kv_lmdb_abort(kv);
	if (kv->env != NULL)
		mdb_env_close(kv->env);
	if (kv->file.fd >= 0)
		(void)close(kv->file.fd);
}
