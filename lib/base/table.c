/* Links: see links.h. The table doubles when there are as many links as chains; that only this makes chains short is
 * why without memory for it a link can still be added.
 */
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>

enum { FIRST_CHAINS = 64 };

uint32_t
dw_links_hash(struct dw_str name)
{
	uint32_t hash;

	HASH_VALUE(name.p, name.n, hash);
	return hash;
}

static struct dw_link **
chain(const struct dw_links *links, uint32_t hash)
{
	return &links->chains[hash & (links->cap - 1)];
}

static void
push(struct dw_links *links, struct dw_link *link, uint32_t hash)
{
	struct dw_link **first = chain(links, hash);

	link->next = *first;
	*first = link;
}

bool
dw_links_reserve(struct dw_links *links, dw_link_hash *hash)
{
	const struct dw_links before = *links;
	const size_t cap = before.cap > 0 ? before.cap * 2 : FIRST_CHAINS;
	struct dw_link **chains;

	if (before.count < before.cap || before.cap > UINT32_MAX / 2)
		return true;
	chains = calloc(cap, sizeof(struct dw_link *));
	if (chains == NULL)
		return before.cap > 0;
	links->chains = chains;
	links->cap = cap;
	for (size_t i = 0; i < before.cap; i++) {
		struct dw_link *link = before.chains[i], *next;

		for (; link != NULL; link = next) {
			next = link->next;
			push(links, link, hash(link));
		}
	}
	free(before.chains);
	return true;
}

void
dw_links_add(struct dw_links *links, struct dw_link *link, uint32_t hash)
{
	assert(links->cap > 0);
	push(links, link, hash);
	links->count++;
}

void
dw_links_remove(struct dw_links *links, struct dw_link *link, uint32_t hash)
{
	struct dw_link **at = chain(links, hash);

	for (; *at != link; at = &(*at)->next)
		assert(*at != NULL);
	*at = link->next;
	link->next = NULL;
	if (--links->count > 0)
		return;
	free(links->chains);
	*links = (struct dw_links) { 0 };
}

struct dw_link *
dw_links_chain(const struct dw_links *links, uint32_t hash)
{
	return links->cap > 0 ? *chain(links, hash) : NULL;
}
