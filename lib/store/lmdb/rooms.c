/* The LMDB engine's rooms as a batch sees them: read once, changed in memory, written once at its end.
 *
 * A flood is many messages for few rooms: what each of them reads and writes of its room would cost more than the
 * message. So rooms stay in memory between batches, too: ROOMS_KEPT and those of one batch. A batch that is aborted
 * forgets all of them.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "store/kv/parts.h"
#include "store/lmdb/parts.h"

enum { ROOMS_KEPT = 16 * 1024 };

struct kept {
	struct dw_hash_link link;
	struct kept *next; /* of those that were changed */
	struct room_value value;
	uint32_t hash;
	bool changed;
	uint8_t size; /* of its name */
	char name[];
};

static uint32_t
hash_of(const struct dw_hash_link *link)
{
	return ((const struct kept *)link)->hash;
}

void
dw_lmdb_rooms_forget(struct lmdb_engine *e)
{
	dw_hash_free(&e->rooms);
	e->changed = NULL;
}

/* From the store. */
static int
read_room(struct lmdb_engine *e, struct dw_str name, uint32_t hash, struct kept **out)
{
	struct kept *kept = dw_hash_reserve(&e->rooms, hash_of) ? calloc(1, sizeof(*kept) + name.n) : NULL;
	int err;

	if (kept == NULL)
		return DW_E_NOMEM;
	err = dw_kv_get_fixed(e->kv, ROOMS, name, &kept->value, sizeof(kept->value));
	if (err != DW_OK) {
		free(kept);
		return err;
	}
	kept->hash = hash;
	kept->size = (uint8_t)name.n;
	memcpy(kept->name, name.p, name.n);
	dw_hash_add(&e->rooms, &kept->link, hash);
	*out = kept;
	return DW_OK;
}

int
dw_lmdb_get_room(struct lmdb_engine *e, struct dw_str name, bool change, struct room_value **value)
{
	const uint32_t hash = (uint32_t)kv_hash(name, DW_STR(""));
	struct kept *kept = (struct kept *)dw_hash_chain(&e->rooms, hash);
	int err = name.n <= DW_ROOM_MAX ? DW_OK : DW_E_CORRUPT;

	while (kept != NULL && (kept->hash != hash || kept->size != name.n || memcmp(kept->name, name.p, name.n) != 0))
		kept = (struct kept *)kept->link.next;
	if (kept == NULL && err == DW_OK)
		err = read_room(e, name, hash, &kept);
	if (err != DW_OK)
		return err;
	if (change && !kept->changed) {
		kept->changed = true;
		LL_PREPEND(e->changed, kept);
	}
	*value = &kept->value;
	return DW_OK;
}

static int
compare_names(const struct kept *x, const struct kept *y)
{
	int order = memcmp(x->name, y->name, x->size < y->size ? x->size : y->size);

	return order != 0 ? order : x->size - y->size;
}

int
dw_lmdb_rooms_write(struct lmdb_engine *e)
{
	struct kept *kept;
	int err = DW_OK;

	/* In order, so that neighbours fall into the same page while it is at hand. */
	LL_SORT(e->changed, compare_names);
	while (err == DW_OK && (kept = e->changed) != NULL) {
		e->changed = kept->next;
		kept->changed = false;
		err = dw_kv_put(e->kv, ROOMS, dw_bytes(kept->name, kept->size), dw_bytes(&kept->value, sizeof(kept->value)));
	}
	if (e->rooms.count > ROOMS_KEPT)
		dw_lmdb_rooms_forget(e);
	return err;
}
