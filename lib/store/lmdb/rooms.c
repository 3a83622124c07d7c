/* The LMDB engine's rooms as a batch sees them: read once, changed in memory, written once at its end.
 *
 * A file of its own because a flood is many messages for few rooms: what each of them reads and writes of its room
 * would cost more than the message. The most recent rooms stay in memory between batches, too.
 *
 * Happy path: get, put, get, …; dw_lmdb_rooms_write before the commit. Failure modes: a batch that is aborted forgets
 * all of it (dw_lmdb_rooms_forget). Memory: ROOMS_KEPT rooms, and those of one batch.
 */
#include <stdlib.h>
#include <string.h>

#include "store/kv/parts.h"
#include "store/lmdb/parts.h"

enum { ROOMS_KEPT = 16 * 1024, SLOTS_FIRST = 1024 };

struct kept {
	struct room_value value;
	uint8_t size; /* of its name */
	bool there;   /* it is in the store, or will be */
	bool changed;
	char name[DW_ROOM_MAX];
};

struct lmdb_rooms {
	struct kept *rooms;
	uint32_t *slots; /* 1 + index of a room; 0: empty */
	uint32_t *order; /* as large: for writing */
	size_t count, mask;
};

static struct dw_str
name_of(const struct kept *kept)
{
	return (struct dw_str) { kept->name, kept->size };
}

static uint32_t *
slot_of(const struct lmdb_rooms *rooms, struct dw_str name)
{
	for (uint64_t i = kv_hash(name, DW_STR("")) & rooms->mask;; i = (i + 1) & rooms->mask) {
		uint32_t *slot = &rooms->slots[i];

		if (*slot == 0 ||
			(rooms->rooms[*slot - 1].size == name.n && memcmp(rooms->rooms[*slot - 1].name, name.p, name.n) == 0))
			return slot;
	}
}

void
dw_lmdb_rooms_forget(struct lmdb_engine *e)
{
	struct lmdb_rooms *rooms = e->rooms;

	e->rooms = NULL;
	if (rooms == NULL)
		return;
	free(rooms->rooms);
	free(rooms->slots);
	free(rooms->order);
	free(rooms);
}

void
dw_lmdb_rooms_begin(struct lmdb_engine *e)
{
	if (e->rooms != NULL && e->rooms->count > ROOMS_KEPT)
		dw_lmdb_rooms_forget(e);
}

/* So many slots, half of which may be taken. */
static int
grow(struct lmdb_rooms *rooms, size_t slots)
{
	struct kept *kept = realloc(rooms->rooms, slots / 2 * sizeof(*kept));
	uint32_t *order, *empty;

	if (kept == NULL)
		return DW_E_NOMEM;
	rooms->rooms = kept;
	order = realloc(rooms->order, slots / 2 * sizeof(*order));
	if (order == NULL)
		return DW_E_NOMEM;
	rooms->order = order;
	empty = calloc(slots, sizeof(*empty));
	if (empty == NULL)
		return DW_E_NOMEM;
	free(rooms->slots);
	rooms->slots = empty;
	rooms->mask = slots - 1;
	for (size_t i = 0; i < rooms->count; i++)
		*slot_of(rooms, name_of(&kept[i])) = (uint32_t)i + 1;
	return DW_OK;
}

/* The room, from memory or the store. */
static int
find(struct lmdb_engine *e, struct dw_str name, struct kept **out)
{
	struct lmdb_rooms *rooms = e->rooms;
	struct kept *kept;
	uint32_t *slot;
	int err = DW_OK;

	if (name.n > DW_ROOM_MAX)
		return DW_E_CORRUPT;
	if (rooms == NULL && (rooms = e->rooms = calloc(1, sizeof(*rooms))) == NULL)
		return DW_E_NOMEM;
	if (rooms->slots == NULL || 2 * rooms->count > rooms->mask)
		err = grow(rooms, rooms->slots != NULL ? 2 * (rooms->mask + 1) : SLOTS_FIRST);
	if (err != DW_OK)
		return err;
	slot = slot_of(rooms, name);
	if (*slot == 0) {
		kept = &rooms->rooms[rooms->count];
		*kept = (struct kept) { .size = (uint8_t)name.n };
		memcpy(kept->name, name.p, name.n);
		err = dw_kv_get_fixed(e->kv, ROOMS, name, &kept->value, sizeof(kept->value));
		if (err != DW_OK && err != DW_E_AGAIN)
			return err;
		kept->there = err == DW_OK;
		*slot = (uint32_t)++rooms->count;
	}
	*out = &rooms->rooms[*slot - 1];
	return DW_OK;
}

int
dw_lmdb_get_room(struct lmdb_engine *e, struct dw_str name, struct room_value *value)
{
	struct kept *kept;
	int err = find(e, name, &kept);

	if (err == DW_OK && !kept->there)
		err = DW_E_AGAIN;
	if (err == DW_OK)
		*value = kept->value;
	return err;
}

int
dw_lmdb_put_room(struct lmdb_engine *e, struct dw_str name, const struct room_value *value)
{
	struct kept *kept;
	int err = find(e, name, &kept);

	if (err != DW_OK)
		return err;
	kept->value = *value;
	kept->there = kept->changed = true;
	return DW_OK;
}

static int
compare_names(const void *a, const void *b, void *user)
{
	const struct kept *rooms = user, *x = &rooms[*(const uint32_t *)a], *y = &rooms[*(const uint32_t *)b];
	int order = memcmp(x->name, y->name, x->size < y->size ? x->size : y->size);

	return order != 0 ? order : x->size - y->size;
}

int
dw_lmdb_rooms_write(struct lmdb_engine *e)
{
	struct lmdb_rooms *rooms = e->rooms;
	size_t changed = 0;
	int err = DW_OK;

	if (rooms == NULL)
		return DW_OK;
	for (size_t i = 0; i < rooms->count; i++) {
		if (rooms->rooms[i].changed)
			rooms->order[changed++] = (uint32_t)i;
	}
	/* In order, so that neighbours fall into the same page while it is at hand. */
	qsort_r(rooms->order, changed, sizeof(*rooms->order), compare_names, rooms->rooms);
	for (size_t i = 0; i < changed && err == DW_OK; i++) {
		struct kept *kept = &rooms->rooms[rooms->order[i]];

		kept->changed = false;
		err =
			dw_kv_put(e->kv, ROOMS, name_of(kept), (struct dw_str) { (const char *)&kept->value, sizeof(kept->value) });
	}
	return err;
}
