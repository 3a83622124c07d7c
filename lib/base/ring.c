/* A log of entries in order: the hub's rooms and the edge's rings.
 *
 * Two rings: `entries` (a power of two of fixed-size entries, by index) and `arena` (bytes). The bytes
 * of an entry are never split: one that does not fit before the arena's end begins again at its
 * start, and the rest of the end is skipped. So runs of neighbouring entries are contiguous but for
 * that one seam. Both grow by doubling while the bounds allow; then the oldest make room.
 *
 *   arena:  [ newest … head | free | oldest … | skipped ]
 *
 * Its own file because it is pure memory, and one concept that serves two processes. The only
 * failure is memory, and nothing has changed then.
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
	struct dw_ring *log = calloc(1, sizeof(*log));

	assert(max_entries > 0 && max_bytes > 0);
	if (log == NULL)
		return NULL;
	log->max_entries = max_entries;
	log->max_bytes = max_bytes;
	return log;
}

void
dw_ring_destroy(struct dw_ring **log_p)
{
	if (*log_p == NULL)
		return;
	free((*log_p)->entries);
	free((*log_p)->arena);
	free(*log_p);
	*log_p = NULL;
}

static struct dw_ring_entry *
slot(const struct dw_ring *log, uint64_t index)
{
	return &log->entries[index & (log->entry_cap - 1)];
}

static void
drop_first(struct dw_ring *log)
{
	log->used -= slot(log, log->first)->size;
	log->first++;
}

/* Where n bytes would go as the arena is, or NOWHERE. */
static size_t
find_place(const struct dw_ring *log, size_t n)
{
	const struct dw_ring_entry *oldest, *newest;
	size_t head;

	if (log->first == log->end)
		return n <= log->arena_cap ? 0 : NOWHERE;
	oldest = slot(log, log->first);
	newest = slot(log, log->end - 1);
	head = newest->place + newest->size;
	if (newest->place < oldest->place)
		return n <= oldest->place - head ? head : NOWHERE;
	if (n <= log->arena_cap - head)
		return head;
	return n <= oldest->place ? 0 : NOWHERE;
}

static int
grow_entries(struct dw_ring *log)
{
	size_t cap = log->entry_cap > 0 ? log->entry_cap * 2 : FIRST_ENTRIES;
	struct dw_ring_entry *entries = calloc(cap, sizeof(*entries));

	if (entries == NULL)
		return DW_E_NOMEM;
	for (uint64_t i = log->first; i != log->end; i++)
		entries[i & (cap - 1)] = *slot(log, i);
	free(log->entries);
	log->entries = entries;
	log->entry_cap = cap;
	return DW_OK;
}

/* Moves all bytes to the start of an arena of `cap` bytes. */
static int
move_arena(struct dw_ring *log, size_t cap)
{
	char *arena = malloc(cap);
	size_t at = 0;

	if (arena == NULL)
		return DW_E_NOMEM;
	for (uint64_t i = log->first; i != log->end; i++) {
		struct dw_ring_entry *entry = slot(log, i);

		memcpy(arena + at, log->arena + entry->place, entry->size);
		entry->place = at;
		at += entry->size;
	}
	free(log->arena);
	log->arena = arena;
	log->arena_cap = cap;
	return DW_OK;
}

/* Finds a place for n bytes: as it is, in a larger arena, or where the oldest were. */
static int
make_place(struct dw_ring *log, size_t n, size_t *place)
{
	while ((*place = find_place(log, n)) == NOWHERE) {
		size_t need = log->used + n;
		size_t cap = log->arena_cap > 0 ? log->arena_cap : FIRST_BYTES;
		int err;

		if (need <= log->arena_cap && log->arena_cap >= log->max_bytes) {
			drop_first(log);
			continue;
		}
		do {
			cap *= 2;
		} while (cap < need);
		if (cap > log->max_bytes)
			cap = log->max_bytes > need ? log->max_bytes : need;
		err = move_arena(log, cap);
		if (err != DW_OK)
			return err;
	}
	return DW_OK;
}

int
dw_ring_append(struct dw_ring *log, const struct dw_ring_entry *entry, const void *bytes, size_t n)
{
	struct dw_ring_entry *to;
	size_t place;
	int err;

	assert(n > 0 && n <= UINT32_MAX);
	assert(log->first == log->end || entry->seq >= slot(log, log->end - 1)->seq);
	if (log->end - log->first == log->entry_cap && log->entry_cap < log->max_entries) {
		err = grow_entries(log);
		if (err != DW_OK)
			return err;
	}
	while (log->first != log->end && (log->end - log->first >= log->max_entries || log->used + n > log->max_bytes))
		drop_first(log);
	err = make_place(log, n, &place);
	if (err != DW_OK)
		return err;
	to = slot(log, log->end);
	*to = *entry;
	to->place = place;
	to->size = (uint32_t)n;
	memcpy(log->arena + place, bytes, n);
	log->used += n;
	log->end++;
	return DW_OK;
}

void
dw_ring_drop(struct dw_ring *log)
{
	assert(log->first != log->end);
	drop_first(log);
}

void
dw_ring_expire(struct dw_ring *log, uint64_t at)
{
	while (log->first != log->end && slot(log, log->first)->at < at)
		drop_first(log);
}

uint64_t
dw_ring_first(const struct dw_ring *log)
{
	return log != NULL ? log->first : 0;
}

uint64_t
dw_ring_end(const struct dw_ring *log)
{
	return log != NULL ? log->end : 0;
}

size_t
dw_ring_count(const struct dw_ring *log)
{
	return log != NULL ? (size_t)(log->end - log->first) : 0;
}

size_t
dw_ring_memory(const struct dw_ring *log)
{
	return log == NULL ? 0 : sizeof(*log) + log->entry_cap * sizeof(*log->entries) + log->arena_cap;
}

const struct dw_ring_entry *
dw_ring_entry(const struct dw_ring *log, uint64_t index)
{
	assert(index >= log->first && index < log->end);
	return slot(log, index);
}

uint32_t *
dw_ring_flags(struct dw_ring *log, uint64_t after)
{
	assert(after < log->end - log->first);
	return &slot(log, log->end - 1 - after)->flags;
}

struct dw_str
dw_ring_bytes(const struct dw_ring *log, uint64_t index)
{
	const struct dw_ring_entry *entry = dw_ring_entry(log, index);

	return (struct dw_str) { log->arena + entry->place, entry->size };
}

struct dw_str
dw_ring_run_to(const struct dw_ring *log, uint64_t index, size_t max, uint32_t stop, uint64_t *next)
{
	struct dw_str run = { NULL, 0 };

	while (index != log->end) {
		const struct dw_ring_entry *entry = dw_ring_entry(log, index);
		const char *bytes = log->arena + entry->place;

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
dw_ring_after(const struct dw_ring *log, uint64_t seq)
{
	uint64_t low = dw_ring_first(log), high = dw_ring_end(log);

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (slot(log, middle)->seq > seq)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
