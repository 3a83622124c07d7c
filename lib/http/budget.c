/* Budgets: arithmetic on given times, and nothing else.
 *
 * The time at which a key has everything again says all that a bucket of tokens would (the generic cell rate algorithm,
 * ITU-T I.371): each use puts it off by the time that one is earned in, as far as all that may be done at once takes.
 * Keys lie in sets of WAYS, and only a key's own set is searched, so that every call costs the same.
 */
#include "budget.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { WAYS = 8, SETS = DW_HTTP_BUDGET_KEYS / WAYS };

struct dw_http_bucket {
	uint64_t key;  /* its hash */
	uint64_t full; /* us: when it has everything again; the past: it is nobody's */
};

int
dw_http_budget_init(struct dw_http_budget *budget, uint64_t per_second, const uint64_t secret[2])
{
	*budget = (struct dw_http_budget) { .secret = { secret[0], secret[1] | 1 } };
	if (per_second == 0)
		return DW_OK;
	budget->buckets = calloc(DW_HTTP_BUDGET_KEYS, sizeof(*budget->buckets));
	if (budget->buckets == NULL)
		return DW_E_NOMEM;
	budget->cost = 1000000 / per_second;
	budget->depth = budget->cost * per_second * DW_HTTP_BUDGET_AT_ONCE;
	return DW_OK;
}

void
dw_http_budget_clear(struct dw_http_budget *budget)
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
hash(const struct dw_http_budget *budget, struct dw_str key)
{
	uint64_t h = budget->secret[0] ^ key.n;

	for (size_t at = 0; at < key.n; at += sizeof(h)) {
		uint64_t piece = 0;

		memcpy(&piece, key.p + at, key.n - at < sizeof(piece) ? key.n - at : sizeof(piece));
		h = fold(h ^ piece, budget->secret[1]) + budget->secret[0];
	}
	return fold(h, budget->secret[1]);
}

/* The bucket that the key has, or would get: of its set the one that has most left; and what is in it once the key has
 * been used again. NULL: the key has nothing left. */
static struct dw_http_bucket *
find(const struct dw_http_budget *budget, struct dw_str key, uint64_t now_ms, struct dw_http_bucket *used)
{
	const uint64_t now = now_ms * 1000, mine = hash(budget, key);
	struct dw_http_bucket *set = &budget->buckets[mine % SETS * WAYS], *found = set;

	for (size_t i = 0; i < WAYS && found->key != mine; i++)
		if (set[i].key == mine || set[i].full < found->full)
			found = &set[i];
	*used =
		(struct dw_http_bucket) { mine, budget->cost + (found->key == mine && found->full > now ? found->full : now) };
	return used->full <= now + budget->depth ? found : NULL;
}

bool
dw_http_budget_take(struct dw_http_budget *budget, struct dw_str key, uint64_t now_ms)
{
	struct dw_http_bucket used, *bucket;

	if (budget->buckets == NULL)
		return true;
	bucket = find(budget, key, now_ms, &used);
	if (bucket != NULL)
		*bucket = used;
	return bucket != NULL;
}

bool
dw_http_budget_has(const struct dw_http_budget *budget, struct dw_str key, uint64_t now_ms)
{
	struct dw_http_bucket used;

	return budget->buckets == NULL || find(budget, key, now_ms, &used) != NULL;
}
