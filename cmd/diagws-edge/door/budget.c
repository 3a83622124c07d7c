/* Budgets. Its own file because it is arithmetic on given times, and nothing else.
 *
 * The time at which a key has everything again says all that a bucket of tokens would (the generic cell rate algorithm,
 * ITU-T I.371): each use puts it off by the time that one is earned in, and it may not be further off than all that may
 * be done at once takes. Keys lie in sets of WAYS; a key is looked for in its set only, so that every call costs the
 * same.
 */
#include "budget.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { WAYS = 8, SETS = BUDGET_KEYS / WAYS };

struct bucket {
	uint64_t key;  /* its hash */
	uint64_t full; /* us: when it has everything again; the past: it is nobody's */
};

int
budget_init(struct budget *budget, uint64_t per_second, const uint64_t secret[2])
{
	*budget = (struct budget) { .secret = { secret[0], secret[1] | 1 } };
	if (per_second == 0)
		return DW_OK;
	budget->buckets = calloc(BUDGET_KEYS, sizeof(*budget->buckets));
	if (budget->buckets == NULL)
		return DW_E_NOMEM;
	budget->cost = 1000000 / per_second;
	budget->depth = budget->cost * per_second * BUDGET_AT_ONCE;
	return DW_OK;
}

void
budget_clear(struct budget *budget)
{
	free(budget->buckets);
	budget->buckets = NULL;
}

/* Both halves of the product: a key does not tell its place to who does not know the secret. */
static uint64_t
fold(uint64_t a, uint64_t b)
{
	const unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t
hash(const struct budget *budget, struct dw_str key)
{
	uint64_t h = budget->secret[0] ^ key.n;

	for (size_t at = 0; at < key.n; at += sizeof(h)) {
		uint64_t piece = 0;

		memcpy(&piece, key.p + at, key.n - at < sizeof(piece) ? key.n - at : sizeof(piece));
		h = fold(h ^ piece, budget->secret[1]) + budget->secret[0];
	}
	return fold(h, budget->secret[1]);
}

/* The key's bucket, or else the one in its set that has most left. */
static struct bucket *
find(const struct budget *budget, uint64_t key)
{
	struct bucket *set = &budget->buckets[key % SETS * WAYS], *fullest = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].full < fullest->full)
			fullest = &set[i];
	}
	return fullest;
}

/* When it has everything again, if it is used once more. */
static uint64_t
next(const struct budget *budget, const struct bucket *bucket, uint64_t key, uint64_t now)
{
	const uint64_t full = bucket->key == key && bucket->full > now ? bucket->full : now;

	return full + budget->cost;
}

bool
budget_take(struct budget *budget, struct dw_str key, uint64_t now_ms)
{
	const uint64_t now = now_ms * 1000, mine = budget->buckets != NULL ? hash(budget, key) : 0;
	struct bucket *bucket;
	uint64_t full;

	if (budget->buckets == NULL)
		return true;
	bucket = find(budget, mine);
	full = next(budget, bucket, mine, now);
	if (full > now + budget->depth)
		return false;
	*bucket = (struct bucket) { mine, full };
	return true;
}

bool
budget_has(const struct budget *budget, struct dw_str key, uint64_t now_ms)
{
	const uint64_t now = now_ms * 1000, mine = budget->buckets != NULL ? hash(budget, key) : 0;

	return budget->buckets == NULL || next(budget, find(budget, mine), mine, now) <= now + budget->depth;
}
