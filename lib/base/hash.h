/* A hash table of what has its link in itself: 8 bytes each, and as much again in the table.
 *
 * What is kept begins with, or contains, a struct dw_hash_link; its hash its owner says, again whenever the table
 * doubles. Who looks for something goes through its chain and compares. An empty table holds no memory.
 */
#ifndef DIAGWS_HASH_H
#define DIAGWS_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct dw_hash_link {
	struct dw_hash_link *next;
};

/* All zero: empty. */
struct dw_hash {
	struct dw_hash_link **chains;
	size_t cap; /* a power of two, or 0 */
	size_t count;
};

/* For what is found by a name. */
uint32_t dw_hash_of(struct dw_str name);

typedef uint32_t dw_hash_function(const struct dw_hash_link *link);

/* Makes sure that one more can be added. False: no memory. */
bool dw_hash_reserve(struct dw_hash *table, dw_hash_function *hash);
/* After dw_hash_reserve. */
void dw_hash_add(struct dw_hash *table, struct dw_hash_link *link, uint32_t hash);
/* One that is in it (asserted). */
void dw_hash_remove(struct dw_hash *table, struct dw_hash_link *link, uint32_t hash);
/* The chain of this hash, by `next`; others are in it too. */
struct dw_hash_link *dw_hash_chain(const struct dw_hash *table, uint32_t hash);
/* Empties it; each link is the beginning of something that was malloc'ed, and is freed. */
void dw_hash_free(struct dw_hash *table);

#endif
