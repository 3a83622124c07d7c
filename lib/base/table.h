/* One table for what many owners have a little of: links in chains by hash, 8 bytes each and as much again in the
 * table.
 *
 * What is linked contains a struct dw_link; whose hash it is its owner says, again whenever the table doubles. Who
 * looks for something goes through its chain and compares. An empty table holds no memory.
 */
#ifndef DIAGWS_LINKS_H
#define DIAGWS_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct dw_link {
	struct dw_link *next;
};

/* All zero: empty. */
struct dw_links {
	struct dw_link **chains;
	size_t cap; /* a power of two, or 0 */
	size_t count;
};

/* For what is found by a name. */
uint32_t dw_links_hash(struct dw_str name);

typedef uint32_t dw_link_hash(const struct dw_link *link);

/* Makes sure that one more can be added. False: no memory. */
bool dw_links_reserve(struct dw_links *links, dw_link_hash *hash);
/* After dw_links_reserve. */
void dw_links_add(struct dw_links *links, struct dw_link *link, uint32_t hash);
/* One that is in it (asserted). */
void dw_links_remove(struct dw_links *links, struct dw_link *link, uint32_t hash);
/* The chain of this hash, by `next`; others are in it too. */
struct dw_link *dw_links_chain(const struct dw_links *links, uint32_t hash);

#endif
