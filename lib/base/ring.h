/* A ring of entries in order, and cursors in it: of the hub's rooms, and of the edge's frames.
 *
 * Entries are bytes of any kind, each at a position. The ring is bounded in entries and in bytes: appending drops the
 * oldest (but never the one just appended). Bytes of neighbouring entries lie one behind another, so a run of them can
 * be sent in one write; from any entry to the end there are at most two runs.
 *
 * A reader is a cursor: the index of the next entry it will get. Indexes count appended entries from 0. A reader whose
 * cursor is below dw_ring_first has missed entries.
 */
#ifndef DIAGWS_RING_H
#define DIAGWS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dw_ring_entry {
	uint64_t seq; /* position after this entry; not less than its predecessor's */
	uint64_t n;
	uint64_t at;  /* ms since 1970 */
	size_t place; /* the ring's own: where its bytes begin */
	uint32_t size;
	uint32_t flags; /* the user's */
};

struct dw_ring; /* opaque */

/* max_entries ≥ 1, max_bytes ≥ 1. NULL: no memory. Memory grows with use up to the bounds (and one
 * entry larger than max_bytes). */
struct dw_ring *dw_ring_new(size_t max_entries, size_t max_bytes);
void dw_ring_destroy(struct dw_ring **ring_p);

/* Copies n ≥ 1 bytes in; of *entry seq, n, at and flags are taken. seq must not be below the newest entry's (asserted).
 * DW_E_NOMEM: nothing changed. */
int dw_ring_append(struct dw_ring *ring, const struct dw_ring_entry *entry, const void *bytes, size_t n);
/* Drops the oldest entry; there is one (asserted). */
void dw_ring_drop(struct dw_ring *ring);
/* Drops entries from the front until the first has at ≥ `at`, or none is left. */
void dw_ring_expire(struct dw_ring *ring, uint64_t at);

/* A ring may be NULL in these, and in dw_ring_after: it is empty. */
uint64_t dw_ring_first(const struct dw_ring *ring); /* index of the oldest entry; == end when empty */
uint64_t dw_ring_end(const struct dw_ring *ring);   /* index after the newest */
size_t dw_ring_count(const struct dw_ring *ring);   /* entries */
size_t dw_ring_memory(const struct dw_ring *ring);  /* bytes of memory it holds */
/* first ≤ index < end (asserted). The pointer lives until the next append or expire. */
const struct dw_ring_entry *dw_ring_entry(const struct dw_ring *ring, uint64_t index);
/* The flags of the newest entry, or of one that so many were appended after (asserted), to be changed. */
uint32_t *dw_ring_flags(struct dw_ring *ring, uint64_t after);
/* The entry's bytes. */
struct dw_str dw_ring_bytes(const struct dw_ring *ring, uint64_t index);
/* The longest run of neighbouring bytes from `index` on, of at most max bytes but at least one
 * entry, up to the next entry that has one of the flags in `stop`; *next is the index after it. Empty when
 * index == end. */
struct dw_str dw_ring_run_to(const struct dw_ring *ring, uint64_t index, size_t max, uint32_t stop, uint64_t *next);
/* The first index whose entry has seq > `seq`: where a reader that has `seq` goes on. `end` if none. */
uint64_t dw_ring_after(const struct dw_ring *ring, uint64_t seq);

#endif
