/* A store looked through before it is used: every page and every entry, without LMDB.
 *
 * LMDB trusts its file. What is torn, cut off or flipped there ends it by an assertion, by a signal, or shows
 * fewer entries than were stored. So the file is read here first, page by page, with everything checked before it is
 * followed. The format is that of LMDB 0.9 (data version 1, see mdb.c: MDB_page, MDB_node, MDB_db, MDB_meta).
 *
 * Nothing else may write to the store meanwhile. Damage is DW_E_CORRUPT, with what and where in the fault; further:
 * DW_E_NOMEM, and DW_E_STORAGE when the file cannot be read.
 */
#ifndef DIAGWS_KV_LOOK_H
#define DIAGWS_KV_LOOK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

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
/* Looks for tables of others, and at the pages that are free; to be called when every table has been read to its end.
 */
int dw_kv_look_free(struct dw_kv_look *look);

#endif
