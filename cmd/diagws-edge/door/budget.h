/* Budgets: how often somebody may do something, for many somebodies in bounded memory.
 *
 * A budget of R a second lets each key do BUDGET_AT_ONCE * R at once, and then R a second. Of a key is kept only the
 * time at which it will have everything again, under a hash with a secret; after that time it may be forgotten. A few
 * keys share a place; when it is full, the one that has most left goes. So a flood of keys that each do little cannot
 * push out one that has nothing left.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { BUDGET_KEYS = 65536, BUDGET_AT_ONCE = 10, BUDGET_MOST = 1000000 };

struct bucket;

/* All zero: without bounds. */
struct budget {
	uint64_t cost, depth; /* us: of one, and of all that may be done at once */
	uint64_t secret[2];
	struct bucket *buckets; /* 1 MiB, of which the kernel gives what is touched */
};

/* At most BUDGET_MOST a second; 0: without bounds. The secret is random. DW_E_NOMEM. */
int budget_init(struct budget *budget, uint64_t per_second, const uint64_t secret[2]);
void budget_clear(struct budget *budget);
/* Does it once. false: there is nothing left, and nothing was taken. now never goes back. */
bool budget_take(struct budget *budget, struct dw_str key, uint64_t now_ms);
/* Whether there is something left. */
bool budget_has(const struct budget *budget, struct dw_str key, uint64_t now_ms);

#endif
