/* Budgets: how often somebody may do something, for many somebodies in bounded memory.
 *
 * A budget of R a second lets each key do DW_HTTP_BUDGET_AT_ONCE * R at once, and then R a second. Of a key is kept
 * only the time at which it will have everything again, under a hash with a secret; after that time it may be
 * forgotten. A few keys share a place; when it is full, the one that has most left goes. So a flood of keys that each
 * do little cannot push out one that has nothing left.
 */
#ifndef DIAGWS_HTTP_BUDGET_H
#define DIAGWS_HTTP_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { DW_HTTP_BUDGET_KEYS = 65536, DW_HTTP_BUDGET_AT_ONCE = 10, DW_HTTP_BUDGET_MOST = 1000000 };

struct dw_http_bucket;

/* All zero: without bounds. */
struct dw_http_budget {
	uint64_t cost, depth; /* us: of one, and of all that may be done at once */
	uint64_t secret[2];
	struct dw_http_bucket *buckets; /* 1 MiB, of which the kernel gives what is touched */
};

/* At most DW_HTTP_BUDGET_MOST a second; 0: without bounds. The secret is random. DW_E_NOMEM. */
int dw_http_budget_init(struct dw_http_budget *budget, uint64_t per_second, const uint64_t secret[2]);
void dw_http_budget_clear(struct dw_http_budget *budget);
/* Does it once. false: there is nothing left, and nothing was taken. now never goes back. */
bool dw_http_budget_take(struct dw_http_budget *budget, struct dw_str key, uint64_t now_ms);
/* Whether there is something left. */
bool dw_http_budget_has(const struct dw_http_budget *budget, struct dw_str key, uint64_t now_ms);

#endif
