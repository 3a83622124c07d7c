/* The LMDB engine's operations: what each kind of a batch does in the open transaction.
 *
 * The transaction around it is lmdb.c's, messages are log.c's. An operation that is refused says so in op->err and the
 * batch goes on; a result that is not DW_OK ends the whole batch.
 */
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "store/lmdb/parts.h"

enum { CURSOR_VALUE = offsetof(struct dw_cursor, at), CURSOR_SIZE = 13 * sizeof(uint64_t) };
_Static_assert(sizeof(struct dw_cursor) == CURSOR_VALUE + CURSOR_SIZE, "a cursor has nothing behind what is stored");

/* Copies the parts of a key that NULs divide. */
static bool
split_key(struct dw_str key, char *parts[], const size_t sizes[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *end = i + 1 < count && key.n > 0 ? memchr(key.p, '\0', key.n) : NULL;
		const size_t n = end != NULL ? (size_t)(end - key.p) : key.n, more = end != NULL;

		if (!dw_str_copy(dw_bytes(key.p, n), parts[i], sizes[i]))
			return false;
		key = dw_bytes(key.p + n + more, key.n - n - more);
	}
	return true;
}

bool
dw_lmdb_take_cursor(struct dw_str key, struct dw_str value, struct dw_cursor *cursor)
{
	char *parts[] = { cursor->room, cursor->user, cursor->device };
	const size_t sizes[] = { sizeof(cursor->room), sizeof(cursor->user), sizeof(cursor->device) };

	if (value.n != CURSOR_SIZE || !split_key(key, parts, sizes, 3))
		return false;
	memcpy((char *)cursor + CURSOR_VALUE, value.p, CURSOR_SIZE);
	return true;
}

bool
dw_lmdb_take_owner(struct dw_str key, struct dw_str value, struct dw_owner_row *row)
{
	char *parts[] = { row->room, row->user };
	const size_t sizes[] = { sizeof(row->room), sizeof(row->user) };

	if (value.n != 1 || !split_key(key, parts, sizes, 2))
		return false;
	row->state = *(const uint8_t *)value.p == DW_OWNER_DENIED ? DW_OWNER_DENIED : DW_OWNER_GRANTED;
	return true;
}

static int
load_cursor(void *user, struct dw_str key, struct dw_str value)
{
	struct dw_op *op = user;
	struct dw_cursor cursor = { 0 };

	if (!dw_lmdb_take_cursor(key, value, &cursor))
		return DW_E_CORRUPT;
	return dw_lmdb_add_row(&op->read.cursors, &cursor, sizeof(cursor));
}

static int
add_owner(struct dw_op *op, const struct dw_owner_row *row)
{
	return dw_lmdb_add_row(&op->read.owners, row, sizeof(*row));
}

static int
load_owner(void *user, struct dw_str key, struct dw_str value)
{
	struct dw_owner_row row = { 0 };

	return dw_lmdb_take_owner(key, value, &row) ? add_owner(user, &row) : DW_E_CORRUPT;
}

static int
do_load(struct lmdb_engine *e, struct dw_op *op)
{
	char key[LMDB_KEY_MAX];
	const struct dw_str prefix = dw_lmdb_join_key(key, dw_str(op->room), DW_STR(""), NULL);
	int err = dw_lmdb_load(e, op);

	if (err == DW_OK)
		err = dw_kv_scan(e->kv, CURSORS, prefix, prefix, load_cursor, op);
	return err == DW_OK ? dw_kv_scan(e->kv, OWNERS, prefix, prefix, load_owner, op) : err;
}

static int
get_owner(struct lmdb_engine *e, const char *room, const char *user, enum dw_owner_state *state)
{
	char key[LMDB_KEY_MAX];
	uint8_t stored;
	int err = dw_kv_get_fixed(
		e->kv, OWNERS, dw_lmdb_join_key(key, dw_str(room), dw_str(user), NULL), &stored, sizeof(stored));

	*state = err != DW_OK ? DW_OWNER_NONE : (enum dw_owner_state)stored;
	return err;
}

/* A page of the registry. */
struct page {
	struct dw_op *op;
	struct dw_str after; /* a key */
	size_t looks;
	struct dw_owner_row last; /* that was looked at */
	bool listed;              /* it is in the list */
};

/* The page is full, and here is one more. */
static int
end_page(struct page *page)
{
	page->op->read.more = true;
	page->last.state = DW_OWNER_NONE;
	return page->listed || add_owner(page->op, &page->last) == DW_OK ? DW_KV_STOP : DW_E_NOMEM;
}

static int
list_owner(void *user, struct dw_str key, struct dw_str value)
{
	struct page *page = user;
	struct dw_op *op = page->op;
	const size_t limit = op->read.limit;

	if (key.n == page->after.n && memcmp(key.p, page->after.p, key.n) == 0)
		return DW_OK;
	if (op->read.owners.len / sizeof(page->last) >= limit || page->looks >= limit * DW_OWNERS_TIMES)
		return end_page(page);
	page->looks++;
	page->last = (struct dw_owner_row) { 0 };
	if (!dw_lmdb_take_owner(key, value, &page->last))
		return DW_E_CORRUPT;
	page->listed = op->read.user[0] == '\0' || strcmp(op->read.user, page->last.user) == 0;
	return page->listed ? add_owner(op, &page->last) : DW_OK;
}

static int
do_owners(struct lmdb_engine *e, struct dw_op *op)
{
	char prefix[LMDB_KEY_MAX], after[LMDB_KEY_MAX];
	struct page page = { .op = op };
	struct dw_str room = DW_STR("");
	struct dw_owner_row row = { 0 };
	int err;

	/* The same work, whatever else there is of the room: who is refused must not learn that from the time it takes. */
	if (op->room[0] != '\0' && op->read.user[0] != '\0') {
		err = get_owner(e, op->room, op->read.user, &row.state);
		(void)dw_str_copy(dw_str(op->room), row.room, sizeof(row.room));
		(void)dw_str_copy(dw_str(op->read.user), row.user, sizeof(row.user));
		return err == DW_OK && row.state != DW_OWNER_NONE ? add_owner(op, &row) : err;
	}
	if (op->room[0] != '\0')
		room = dw_lmdb_join_key(prefix, dw_str(op->room), DW_STR(""), NULL);
	if (op->read.after_room[0] != '\0')
		page.after = dw_lmdb_join_key(after, dw_str(op->read.after_room), dw_str(op->read.after_user), NULL);
	err = dw_kv_scan(e->kv, OWNERS, page.after.n > 0 ? page.after : room, room, list_owner, &page);
	return err == DW_KV_STOP ? DW_OK : err;
}

static int
do_owner(struct lmdb_engine *e, struct dw_op *op)
{
	char bytes[LMDB_KEY_MAX];
	struct dw_str key = dw_lmdb_join_key(bytes, dw_str(op->room), dw_str(op->owner.user), NULL);
	uint8_t state = (uint8_t)op->owner.state;
	enum dw_owner_state before;
	int err = get_owner(e, op->room, op->owner.user, &before);

	if (err != DW_OK)
		return err;
	op->owner.changed = before != op->owner.state;
	if (op->owner.dry || !op->owner.changed)
		return DW_OK;
	return op->owner.state == DW_OWNER_NONE ? dw_kv_delete(e->kv, OWNERS, key)
											: dw_kv_put(e->kv, OWNERS, key, dw_bytes(&state, sizeof(state)));
}

static int
do_cursor(struct lmdb_engine *e, struct dw_op *op)
{
	const struct dw_cursor *cursor = &op->cursor;
	char bytes[LMDB_KEY_MAX];
	struct dw_str key = dw_lmdb_join_key(bytes, dw_str(cursor->room), dw_str(cursor->user), cursor->device);
	int err;

	if (cursor->seen != 0)
		return dw_kv_put(e->kv, CURSORS, key, dw_bytes((const char *)cursor + CURSOR_VALUE, CURSOR_SIZE));
	err = dw_kv_delete(e->kv, CURSORS, key);
	return err == DW_E_AGAIN ? DW_OK : err;
}

static void
id_key(const struct dw_op *op, uint8_t key[32])
{
	const struct dw_str parts[] = { dw_bytes(op->room, strlen(op->room) + 1), dw_str(op->append.id) };

	dw_sha256(parts, sizeof(parts) / sizeof(parts[0]), key);
}

static int
do_append(struct lmdb_engine *e, struct dw_op *op)
{
	enum dw_owner_state state;
	uint8_t digest[32];
	int err;

	if (op->append.publisher[0] != '\0') {
		err = get_owner(e, op->room, op->append.publisher, &state);
		if (err != DW_OK)
			return err;
		if (!dw_may(e->config.ownership, state, op->append.claimed)) {
			op->err = DW_E_DENIED;
			return DW_OK;
		}
	}
	id_key(op, digest);
	err = dw_lmdb_id_find(e, op, digest);
	if (err != DW_E_AGAIN)
		return err;
	err = dw_lmdb_append(e, op);
	return err == DW_OK ? dw_lmdb_id_add(e, op, digest) : err;
}

int
dw_lmdb_op(struct lmdb_engine *e, struct dw_op *op)
{
	static int (*const kinds[])(struct lmdb_engine *, struct dw_op *) = {
		[DW_OP_APPEND] = do_append,
		[DW_OP_CURSOR] = do_cursor,
		[DW_OP_OWNER] = do_owner,
		[DW_OP_LOAD] = do_load,
		[DW_OP_PLACE] = dw_lmdb_place,
		[DW_OP_OWNERS] = do_owners,
	};

	return kinds[op->kind](e, op);
}
