/* Ordered tables of keys and values in one directory, with transactions: all that the engine needs of LMDB.
 *
 * One transaction at a time, of one thread (see dw_kv_rest for another). Keys are ordered by their bytes. What a call
 * returns points into the store and is good until the next change or the transaction's end. Each value has a checksum,
 * looked at whenever it is read. Disk is taken before it is used, with a reserve that only DW_KV_RESCUE may use.
 *
 * Besides what is said at each call: DW_E_AGAIN (no such key), DW_E_STORAGE_FULL (the map or the disk is full; abort,
 * see dw_kv_grow), DW_E_STORAGE (the disk: the store cannot be trusted any more), DW_E_CORRUPT (damage was found),
 * DW_E_NOMEM.
 */
#ifndef DIAGWS_KV_H
#define DIAGWS_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dw_kv; /* opaque */

/* Opens the tables (numbered as listed, at most 16), and makes what is missing; the map may grow to `limit` bytes and
 * the reserve. What is there already must have been looked through. A writing transaction is left open, so
 * that a caller who looks inside and refuses leaves no trace; it holds what a process that was killed had committed to
 * the journal: `recovered` says whether that was anything, which was not looked through then. DW_E_PERMISSION,
 * DW_E_CREATE. `dir`, open as `dir_fd`, and `tables` are borrowed for the store's life. */
int dw_kv_open(struct dw_kv **out, const char *dir, int dir_fd, const char *const *tables, size_t count, uint64_t limit,
	bool *recovered, struct dw_fault *fault);
/* Brings all that was committed from the journal into LMDB's file, as happens by itself while transactions go on. The
 * thread that committed last does so before another one uses or closes the store. After DW_E_STORAGE_FULL or
 * DW_E_NOMEM it is left to the next commit or opening. */
int dw_kv_rest(struct dw_kv *kv);
void dw_kv_close(struct dw_kv *kv); /* NULL is fine; an open transaction is aborted; rests */

enum dw_kv_mode { DW_KV_READ, DW_KV_WRITE, DW_KV_RESCUE };
int dw_kv_begin(struct dw_kv *kv, enum dw_kv_mode mode);
/* Durable when DW_OK; ends the transaction in any case. DW_E_STORAGE_FULL: nothing of it was done. */
int dw_kv_commit(struct dw_kv *kv);
void dw_kv_abort(struct dw_kv *kv);

int dw_kv_get(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str *value);
/* A value of exactly so many bytes, copied out (of another size: DW_E_CORRUPT); all zeros where there is none. */
int dw_kv_get_fixed(struct dw_kv *kv, size_t table, struct dw_str key, void *out, size_t size);
int dw_kv_put(struct dw_kv *kv, size_t table, struct dw_str key, struct dw_str value);
/* Behind the table's last key; the value is the parts one after another. */
int dw_kv_append(struct dw_kv *kv, size_t table, struct dw_str key, const struct dw_str *parts, size_t count);
int dw_kv_delete(struct dw_kv *kv, size_t table, struct dw_str key);

enum { DW_KV_DELETE = 1, DW_KV_STOP = 2 };
/* Calls `each` in order of keys, beginning at the first that is not below `from`, as long as they begin with `prefix`.
 * It returns DW_OK to go on, DW_KV_DELETE to have this entry deleted and go on, anything else to end. Returns that, or
 * DW_OK at the end. */
int dw_kv_scan(struct dw_kv *kv, size_t table, struct dw_str from, struct dw_str prefix,
	int (*each)(void *user, struct dw_str key, struct dw_str value), void *user);

/* How many entries there are, in an open transaction. */
uint64_t dw_kv_count(struct dw_kv *kv, size_t table);

/* Tells a file from every copy of it, but for a copy over the file itself. */
struct dw_kv_mark {
	uint64_t inode;
	int64_t born_s;
	uint64_t born_ns;
};
struct dw_kv_mark dw_kv_mark_of(int fd);

/* Bytes in use on disk, by the last commit of LMDB. */
uint64_t dw_kv_bytes(const struct dw_kv *kv);
/* Takes more of the disk, within the limit; DW_E_STORAGE_FULL at the limit, or when it is the disk that is full. No
 * transaction may be open. */
int dw_kv_grow(struct dw_kv *kv);
/* What the last failure was: LMDB's words, or which entry is damaged. */
const char *dw_kv_text(const struct dw_kv *kv);

/* ---- The look-through (look.c) of a store before it is used: every page and every entry, without LMDB.
 *
 * LMDB trusts its file: what is torn, cut off or flipped there ends it by an assertion, by a signal, or shows fewer
 * entries than were stored. The format is that of LMDB 0.9 (data version 1, see mdb.c: MDB_page, MDB_node, MDB_db,
 * MDB_meta). Nothing else may write to the store meanwhile. Damage is DW_E_CORRUPT, with what and where in the fault;
 * further: DW_E_NOMEM, and DW_E_STORAGE when the file cannot be read. */
struct dw_kv_look; /* opaque */

/* Looks at the heads of the store in `dir`, whose file `fd` is, and at the list of its tables, named as in dw_kv_open;
 * all are borrowed, and so is the fault. DW_E_AGAIN: there is nothing but zeros, or what LMDB has only begun. */
int dw_kv_look_open(
	struct dw_kv_look **out, const char *dir, int fd, const char *const *tables, size_t count, struct dw_fault *fault);
void dw_kv_look_close(struct dw_kv_look *look); /* NULL is fine */

/* The table's next entry, in order of keys; it points into memory of the look, good until the table's next one.
 * DW_E_AGAIN: that was the last, and their number is right. */
int dw_kv_look_next(struct dw_kv_look *look, size_t table, struct dw_str *key, struct dw_str *value);
/* The number under this key of the first table, whether it has its checksum or, as in the first format, none; 0 when it
 * is no number. DW_E_AGAIN: there is no such entry. */
int dw_kv_look_number(struct dw_kv_look *look, const char *key, uint64_t *number);
/* Looks for tables of others, and at the free pages; when every table has been read to its end. */
int dw_kv_look_free(struct dw_kv_look *look);

#endif
