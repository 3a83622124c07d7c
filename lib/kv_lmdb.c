/* Tables and transactions over LMDB. A file of its own so that lmdb.h, its return codes and its traps stay
 * in one place: the map that must be grown by hand, a file that is shorter than its last page, a partial write that
 * is called EIO.
 *
 * Happy path: open makes the tables; begin, get and put, commit. LMDB syncs before a commit returns.
 *
 * Failure modes: every code becomes one of ours in fail(), which also remembers it for dw_kv_text. After a
 * failure inside a transaction the caller aborts; a commit that fails has ended it.
 */
#include "diagws/kv.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "diagws/paths.h"

enum { TABLES_MAX = 16, READERS = 16 };

static const size_t FIRST_MAP = (size_t)64 << 20;

struct dw_kv {
	const char *dir;
	uint64_t limit;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi tables[TABLES_MAX];
	int last; /* LMDB's code of the last failure */
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

/* LMDB calls a write that the disk took only a part of EIO; so does a disk that breaks. */
static bool
disk_is_full(const struct dw_kv *kv)
{
	struct statvfs about;

	return statvfs(kv->dir, &about) == 0 && about.f_bavail < 16;
}

static int
fail(struct dw_kv *kv, int rc)
{
	if (rc == EIO && disk_is_full(kv))
		rc = ENOSPC;
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
		kv->last = rc;
	switch (rc) {
	case MDB_SUCCESS:
		return DW_OK;
	case MDB_NOTFOUND:
		return DW_E_AGAIN;
	case MDB_MAP_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return DW_E_STORAGE_FULL;
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

int
dw_kv_begin(struct dw_kv *kv, bool write)
{
	assert(kv->txn == NULL);
	kv->last = MDB_SUCCESS;
	return fail(kv, mdb_txn_begin(kv->env, NULL, write ? 0 : MDB_RDONLY, &kv->txn));
}

int
dw_kv_commit(struct dw_kv *kv)
{
	MDB_txn *txn = kv->txn;

	kv->txn = NULL;
	return fail(kv, mdb_txn_commit(txn));
}

void
dw_kv_abort(struct dw_kv *kv)
{
	mdb_txn_abort(kv->txn);
	kv->txn = NULL;
}

int
dw_kv_get(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str *value)
{
	MDB_val k = val(key), v;
	int err = fail(kv, mdb_get(kv->txn, kv->tables[table], &k, &v));

	if (err == DW_OK)
		*value = str(v);
	return err;
}

int
dw_kv_get_fixed(struct dw_kv *kv, size_t table, struct dw_str key, void *out, size_t size)
{
	struct dw_str value;
	int err = dw_kv_get(kv, table, key, &value);

	if (err != DW_OK)
		return err;
	if (value.n != size)
		return fail(kv, MDB_CORRUPTED);
	memcpy(out, value.p, size);
	return DW_OK;
}

int
dw_kv_put(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str value)
{
	MDB_val k = val(key), v = val(value);

	return fail(kv, mdb_put(kv->txn, kv->tables[table], &k, &v, 0));
}

int
dw_kv_append(struct dw_kv *kv, size_t table, struct dw_str key, size_t size, char **to)
{
	MDB_val k = val(key), v = { size, NULL };
	int err = fail(kv, mdb_put(kv->txn, kv->tables[table], &k, &v, MDB_APPEND | MDB_RESERVE));

	if (err == DW_OK)
		*to = v.mv_data;
	return err;
}

int
dw_kv_delete(struct dw_kv *kv, size_t table, struct dw_str key)
{
	MDB_val k = val(key);

	return fail(kv, mdb_del(kv->txn, kv->tables[table], &k, NULL));
}

int
dw_kv_empty(struct dw_kv *kv, size_t table)
{
	return fail(kv, mdb_drop(kv->txn, kv->tables[table], 0));
}

int
dw_kv_scan(struct dw_kv *kv, size_t table, struct dw_str from,
	int (*each)(void *user, struct dw_str key, struct dw_str value), void *user)
{
	MDB_val key = val(from), value;
	MDB_cursor *cursor;
	int err = fail(kv, mdb_cursor_open(kv->txn, kv->tables[table], &cursor));

	if (err != DW_OK)
		return err;
	err = fail(kv, mdb_cursor_get(cursor, &key, &value, from.n > 0 ? MDB_SET_RANGE : MDB_FIRST));
	while (err == DW_OK) {
		err = each(user, str(key), str(value));
		if (err == DW_KV_DELETE)
			err = fail(kv, mdb_cursor_del(cursor, 0));
		if (err == DW_OK)
			err = fail(kv, mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
	}
	mdb_cursor_close(cursor);
	return err == DW_E_AGAIN ? DW_OK : err;
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

static size_t
map_size(const struct dw_kv *kv)
{
	MDB_envinfo info;

	return mdb_env_info(kv->env, &info) == MDB_SUCCESS ? info.me_mapsize : 0;
}

bool
dw_kv_tight(const struct dw_kv *kv)
{
	return dw_kv_bytes(kv) > map_size(kv) / 4 * 3;
}

bool
dw_kv_grow(struct dw_kv *kv)
{
	const size_t size = map_size(kv);

	if (kv->last == ENOSPC || kv->last == EDQUOT || kv->last == EFBIG || size >= kv->limit)
		return false;
	return mdb_env_set_mapsize(kv->env, size < kv->limit / 2 ? size * 2 : (size_t)kv->limit) == MDB_SUCCESS;
}

const char *
dw_kv_text(const struct dw_kv *kv)
{
	return mdb_strerror(kv->last);
}

static int
corrupt(const struct dw_kv *kv, struct dw_fault *fault, const char *what)
{
	return dw_fault_set(fault, DW_E_CORRUPT, "--state-dir", "a store of diagws; else move it away, or restore a copy",
		"'%s/data.mdb' %s", kv->dir, what);
}

/* A map that is longer than its file ends in a signal where a page is missing, so the file is made as
 * long as its last transaction says. It may rightly be shorter: LMDB never writes a page at the end that was
 * taken and freed in one transaction. Whether what it needs was cut off shows when the tree is read. */
static bool
extend_file(const struct dw_kv *kv)
{
	char path[DW_PATH_SIZE];
	struct stat about;
	const uint64_t need = dw_kv_bytes(kv);

	if (snprintf(path, sizeof(path), "%s/data.mdb", kv->dir) >= (int)sizeof(path) || stat(path, &about) != 0)
		return false;
	return (uint64_t)about.st_size >= need || truncate(path, (off_t)need) == 0;
}

static int
open_env(struct dw_kv *kv, struct dw_fault *fault)
{
	int rc = mdb_env_create(&kv->env);

	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(kv->env, TABLES_MAX);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxreaders(kv->env, READERS);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_mapsize(kv->env, FIRST_MAP < kv->limit ? FIRST_MAP : (size_t)kv->limit);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(kv->env, kv->dir, 0, 0640);
	if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED)
		return corrupt(kv, fault, "is no LMDB file, or a damaged one");
	if (rc == EACCES || rc == EPERM || rc == EROFS)
		return dw_fault_set(fault, DW_E_PERMISSION, "--state-dir", "a directory that this user may write to",
			"cannot open the store in '%s': %s", kv->dir, mdb_strerror(rc));
	if (rc != MDB_SUCCESS)
		return dw_fault_set(fault, rc == ENOSPC ? DW_E_STORAGE_FULL : DW_E_CREATE, "--state-dir", NULL,
			"cannot open the store in '%s': %s", kv->dir, mdb_strerror(rc));
	if (!extend_file(kv))
		return dw_fault_set(fault, DW_E_STORAGE_FULL, "--state-dir", NULL, "cannot extend the store in '%s': %s",
			kv->dir, strerror(errno));
	return DW_OK;
}

static int
open_tables(struct dw_kv *kv, const char *const *tables, size_t count)
{
	MDB_stat stat;
	int err = dw_kv_begin(kv, true);

	if (err != DW_OK)
		return err;
	err = fail(kv, mdb_env_stat(kv->env, &stat));
	if (err == DW_OK && stat.ms_entries > 0)
		err = fail(kv, mdb_dbi_open(kv->txn, tables[0], 0, &kv->tables[0]));
	if (err == DW_E_AGAIN)
		err = fail(kv, MDB_CORRUPTED);
	for (size_t i = 0; err == DW_OK && i < count; i++)
		err = fail(kv, mdb_dbi_open(kv->txn, tables[i], MDB_CREATE, &kv->tables[i]));
	return err;
}

int
dw_kv_open(struct dw_kv **out, const char *dir, const char *const *tables, size_t count, uint64_t limit,
	struct dw_fault *fault)
{
	struct dw_kv *kv = calloc(1, sizeof(*kv));
	int err;

	assert(count <= TABLES_MAX);
	if (kv == NULL)
		return DW_E_NOMEM;
	kv->dir = dir;
	kv->limit = limit;
	err = open_env(kv, fault);
	if (err == DW_OK) {
		err = open_tables(kv, tables, count);
		if (err == DW_E_CORRUPT)
			(void)corrupt(kv, fault, "is damaged, or another program's");
		else if (err != DW_OK)
			(void)dw_fault_set(fault, err, "--state-dir", NULL, "cannot prepare the store: %s", dw_kv_text(kv));
	}
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
	if (kv->txn != NULL)
		dw_kv_abort(kv);
	if (kv->env != NULL)
		mdb_env_close(kv->env);
	free(kv);
}
