/* Tokens that were verified, by their SHA-256, so that a reconnect storm does not verify each again: what they say,
 * never the token. Past its bounds the entry unused for longest goes. Times are the caller's to check at every use.
 */
#ifndef DIAGWS_TOKEN_CACHE_H
#define DIAGWS_TOKEN_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "token/auth.h"

enum { DW_TOKEN_HASH = 32 };

/* Both bounds, and else all zero: empty. */
struct dw_token_cache {
	size_t max_entries, max_bytes;
	size_t bytes;
	struct dw_token_entry *entries; /* by uthash, in the order of last use */
};

void dw_token_cache_clear(struct dw_token_cache *cache); /* usable again */
size_t dw_token_cache_count(const struct dw_token_cache *cache);

/* Fills claims, as dw_auth_check does, and *not_before; false: not there (or no memory to copy it). */
bool dw_token_cache_find(
	struct dw_token_cache *cache, const uint8_t hash[DW_TOKEN_HASH], struct dw_claims *claims, uint64_t *not_before);
/* Keeps a copy, unless memory is short or it is there already: the cache is a convenience. */
void dw_token_cache_add(struct dw_token_cache *cache, const uint8_t hash[DW_TOKEN_HASH], const struct dw_claims *claims,
	uint64_t not_before);

#endif
