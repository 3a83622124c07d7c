/* A hash table of links (hash.h). It doubles when there are as many links as chains; without memory for that a link can
 * still be added, and chains get longer.
 */
#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>

enum { FIRST_CHAINS = 64 };

uint32_t
dw_hash_of(struct dw_str name)
{
	uint32_t hash;

	HASH_VALUE(name.p, name.n, hash);
	return hash;
}

static struct dw_hash_link **
chain(const struct dw_hash *table, uint32_t hash)
{
	return &table->chains[hash & (table->cap - 1)];
}

static void
push(struct dw_hash *table, struct dw_hash_link *link, uint32_t hash)
{
	struct dw_hash_link **first = chain(table, hash);

	link->next = *first;
	*first = link;
}

bool
dw_hash_reserve(struct dw_hash *table, dw_hash_function *hash)
{
	const struct dw_hash before = *table;
	const size_t cap = before.cap > 0 ? before.cap * 2 : FIRST_CHAINS;
	struct dw_hash_link **chains;

	if (before.count < before.cap || before.cap > UINT32_MAX / 2)
		return true;
	chains = calloc(cap, sizeof(struct dw_hash_link *));
	if (chains == NULL)
		return before.cap > 0;
	table->chains = chains;
	table->cap = cap;
	for (size_t i = 0; i < before.cap; i++) {
		struct dw_hash_link *link = before.chains[i], *next;

		for (; link != NULL; link = next) {
			next = link->next;
			push(table, link, hash(link));
		}
	}
	free(before.chains);
	return true;
}

void
dw_hash_add(struct dw_hash *table, struct dw_hash_link *link, uint32_t hash)
{
	assert(table->cap > 0);
	push(table, link, hash);
	table->count++;
}

void
dw_hash_remove(struct dw_hash *table, struct dw_hash_link *link, uint32_t hash)
{
	struct dw_hash_link **at = chain(table, hash);

	for (; *at != link; at = &(*at)->next)
		assert(*at != NULL);
	*at = link->next;
	link->next = NULL;
	if (--table->count > 0)
		return;
	free(table->chains);
	*table = (struct dw_hash) { 0 };
}

void
dw_hash_free(struct dw_hash *table)
{
	for (size_t i = 0; i < table->cap; i++) {
		for (struct dw_hash_link *link = table->chains[i], *next; link != NULL; link = next) {
			next = link->next;
			free(link);
		}
	}
	free(table->chains);
	*table = (struct dw_hash) { 0 };
}

struct dw_hash_link *
dw_hash_chain(const struct dw_hash *table, uint32_t hash)
{
	return table->cap > 0 ? *chain(table, hash) : NULL;
}
