/* A ring of entries in order (ring.h).
 *
 * Two rings: `entries` (by index) and `arena` (bytes). An entry's bytes are never split: one that does not fit before
 * the arena's end begins at its start, and the rest of the end is skipped. Both grow by doubling while the bounds
 * allow; then the oldest make room.
 *
 *   arena:  [ newest … head | free | oldest … | skipped ]
 */
#include "base/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Small, for most rooms of a clinic hold a message or two. */
enum { FIRST_ENTRIES = 2, FIRST_BYTES = 128 };

static const size_t NOWHERE = SIZE_MAX;

struct dw_ring {
	size_t max_entries, max_bytes;
	struct dw_ring_entry *entries;
	size_t entry_cap; /* a power of two, or 0 */
	char *arena;
	size_t arena_cap;
	uint64_t first, end; /* indexes */
	size_t used;         /* bytes of the retained entries */
};

struct dw_ring *
dw_ring_new(size_t max_entries, size_t max_bytes)
{
	struct dw_ring *ring = calloc(1, sizeof(*ring));

	assert(max_entries > 0 && max_bytes > 0);
	if (ring == NULL)
		return NULL;
	ring->max_entries = max_entries;
	ring->max_bytes = max_bytes;
	return ring;
}

void
dw_ring_destroy(struct dw_ring **ring_p)
{
	if (*ring_p == NULL)
		return;
	free((*ring_p)->entries);
	free((*ring_p)->arena);
	free(*ring_p);
	*ring_p = NULL;
}

static struct dw_ring_entry *
slot(const struct dw_ring *ring, uint64_t index)
{
	return &ring->entries[index & (ring->entry_cap - 1)];
}

void
dw_ring_drop(struct dw_ring *ring)
{
	assert(ring->first != ring->end);
	ring->used -= slot(ring, ring->first)->size;
	ring->first++;
}

/* Where n bytes would go as the arena is, or NOWHERE. */
static size_t
find_place(const struct dw_ring *ring, size_t n)
{
	const struct dw_ring_entry *oldest, *newest;
	size_t head;

	if (ring->first == ring->end)
		return n <= ring->arena_cap ? 0 : NOWHERE;
	oldest = slot(ring, ring->first);
	newest = slot(ring, ring->end - 1);
	head = newest->place + newest->size;
	if (newest->place < oldest->place)
		return n <= oldest->place - head ? head : NOWHERE;
	if (n <= ring->arena_cap - head)
		return head;
	return n <= oldest->place ? 0 : NOWHERE;
}

static int
grow_entries(struct dw_ring *ring)
{
	size_t cap = ring->entry_cap > 0 ? ring->entry_cap * 2 : FIRST_ENTRIES;
	struct dw_ring_entry *entries = calloc(cap, sizeof(*entries));

	if (entries == NULL)
		return DW_E_NOMEM;
	for (uint64_t i = ring->first; i != ring->end; i++)
		entries[i & (cap - 1)] = *slot(ring, i);
	free(ring->entries);
	ring->entries = entries;
	ring->entry_cap = cap;
	return DW_OK;
}

/* Moves all bytes to the start of an arena of `cap` bytes. */
static int
move_arena(struct dw_ring *ring, size_t cap)
{
	char *arena = malloc(cap);
	size_t at = 0;

	if (arena == NULL)
		return DW_E_NOMEM;
	for (uint64_t i = ring->first; i != ring->end; i++) {
		struct dw_ring_entry *entry = slot(ring, i);

		memcpy(arena + at, ring->arena + entry->place, entry->size);
		entry->place = at;
		at += entry->size;
	}
	free(ring->arena);
	ring->arena = arena;
	ring->arena_cap = cap;
	return DW_OK;
}

/* Finds a place for n bytes: as it is, in a larger arena, or where the oldest were. */
static int
make_place(struct dw_ring *ring, size_t n, size_t *place)
{
	while ((*place = find_place(ring, n)) == NOWHERE) {
		size_t need = ring->used + n;
		size_t cap = ring->arena_cap > 0 ? ring->arena_cap : FIRST_BYTES;
		int err;

		if (need <= ring->arena_cap && ring->arena_cap >= ring->max_bytes) {
			dw_ring_drop(ring);
			continue;
		}
		do {
			cap *= 2;
		} while (cap < need);
		if (cap > ring->max_bytes)
			cap = ring->max_bytes > need ? ring->max_bytes : need;
		err = move_arena(ring, cap);
		if (err != DW_OK)
			return err;
	}
	return DW_OK;
}

int
dw_ring_append(struct dw_ring *ring, const struct dw_ring_entry *entry, const void *bytes, size_t n)
{
	struct dw_ring_entry *to;
	size_t place;
	int err;

	assert(n > 0 && n <= UINT32_MAX);
	assert(ring->first == ring->end || entry->seq >= slot(ring, ring->end - 1)->seq);
	if (ring->end - ring->first == ring->entry_cap && ring->entry_cap < ring->max_entries) {
		err = grow_entries(ring);
		if (err != DW_OK)
			return err;
	}
	while (
		ring->first != ring->end && (ring->end - ring->first >= ring->max_entries || ring->used + n > ring->max_bytes))
		dw_ring_drop(ring);
	err = make_place(ring, n, &place);
	if (err != DW_OK)
		return err;
	to = slot(ring, ring->end);
	*to = *entry;
	to->place = place;
	to->size = (uint32_t)n;
	memcpy(ring->arena + place, bytes, n);
	ring->used += n;
	ring->end++;
	return DW_OK;
}

void
dw_ring_expire(struct dw_ring *ring, uint64_t at)
{
	while (ring->first != ring->end && slot(ring, ring->first)->at < at)
		dw_ring_drop(ring);
}

uint64_t
dw_ring_first(const struct dw_ring *ring)
{
	return ring != NULL ? ring->first : 0;
}

uint64_t
dw_ring_end(const struct dw_ring *ring)
{
	return ring != NULL ? ring->end : 0;
}

size_t
dw_ring_count(const struct dw_ring *ring)
{
	return ring != NULL ? (size_t)(ring->end - ring->first) : 0;
}

size_t
dw_ring_memory(const struct dw_ring *ring)
{
	return ring == NULL ? 0 : sizeof(*ring) + ring->entry_cap * sizeof(*ring->entries) + ring->arena_cap;
}

const struct dw_ring_entry *
dw_ring_entry(const struct dw_ring *ring, uint64_t index)
{
	assert(index >= ring->first && index < ring->end);
	return slot(ring, index);
}

uint32_t *
dw_ring_flags(struct dw_ring *ring, uint64_t after)
{
	assert(after < ring->end - ring->first);
	return &slot(ring, ring->end - 1 - after)->flags;
}

struct dw_str
dw_ring_bytes(const struct dw_ring *ring, uint64_t index)
{
	const struct dw_ring_entry *entry = dw_ring_entry(ring, index);

	return (struct dw_str) { ring->arena + entry->place, entry->size };
}

struct dw_str
dw_ring_run_to(const struct dw_ring *ring, uint64_t index, size_t max, uint32_t stop, uint64_t *next)
{
	struct dw_str run = { NULL, 0 };

	while (index != ring->end) {
		const struct dw_ring_entry *entry = dw_ring_entry(ring, index);
		const char *bytes = ring->arena + entry->place;

		if (run.p == NULL)
			run.p = bytes;
		else if (bytes != run.p + run.n || run.n + entry->size > max || (entry->flags & stop) != 0)
			break;
		run.n += entry->size;
		index++;
	}
	*next = index;
	return run;
}

uint64_t
dw_ring_after(const struct dw_ring *ring, uint64_t seq)
{
	uint64_t low = dw_ring_first(ring), high = dw_ring_end(ring);

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (slot(ring, middle)->seq > seq)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
