/* Verified tokens by hash: a hash table that uthash keeps in order of last use, so the first entry is the one unused
 * for longest. An entry is one allocation: the fixed part, then user, device and diagnoses, each with its NUL. Nobody
 * can aim at a bucket: the keys are SHA-256.
 */
#define HASH_NONFATAL_OOM 1

#include "token/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct dw_token_entry {
	uint8_t hash[DW_TOKEN_HASH];
	UT_hash_handle hh;
	uint64_t expires, not_before;
	unsigned scope;
	size_t size;                    /* of this allocation */
	size_t user, device, diagnoses; /* bytes in `text`, NULs counted */
	char text[];
};

static void
drop_first(struct dw_token_cache *cache)
{
	struct dw_token_entry *entry = cache->entries;

	assert(entry->hh.prev == NULL);
	HASH_DEL(cache->entries, entry);
	cache->bytes -= entry->size;
	free(entry);
}

void
dw_token_cache_clear(struct dw_token_cache *cache)
{
	while (cache->entries != NULL)
		drop_first(cache);
}

size_t
dw_token_cache_count(const struct dw_token_cache *cache)
{
	return HASH_COUNT(cache->entries);
}

static struct dw_token_entry *
find(const struct dw_token_cache *cache, const uint8_t hash[DW_TOKEN_HASH])
{
	struct dw_token_entry *entry;

	HASH_FIND(hh, cache->entries, hash, DW_TOKEN_HASH, entry);
	return entry;
}

/* Adds at the end of the order; false when uthash had no memory. */
static bool
append(struct dw_token_cache *cache, struct dw_token_entry *entry)
{
	HASH_ADD(hh, cache->entries, hash, DW_TOKEN_HASH, entry);
	return entry->hh.tbl != NULL;
}

bool
dw_token_cache_find(
	struct dw_token_cache *cache, const uint8_t hash[DW_TOKEN_HASH], struct dw_claims *claims, uint64_t *not_before)
{
	struct dw_token_entry *entry = find(cache, hash);
	struct dw_buf diagnoses = { 0 };

	if (entry == NULL)
		return false;
	if (entry->diagnoses > 0)
		dw_buf_add(&diagnoses, entry->text + entry->user + entry->device, entry->diagnoses);
	if (!dw_buf_ok(&diagnoses))
		return false;
	dw_claims_clear(claims);
	memcpy(claims->user, entry->text, entry->user);
	memcpy(claims->device, entry->text + entry->user, entry->device);
	claims->expires = entry->expires;
	claims->scope = entry->scope;
	claims->diagnoses = diagnoses;
	*not_before = entry->not_before;
	HASH_DEL(cache->entries, entry);
	if (!append(cache, entry)) {
		cache->bytes -= entry->size;
		free(entry);
	}
	return true;
}

void
dw_token_cache_add(struct dw_token_cache *cache, const uint8_t hash[DW_TOKEN_HASH], const struct dw_claims *claims,
	uint64_t not_before)
{
	size_t user = strlen(claims->user) + 1, device = strlen(claims->device) + 1;
	size_t size = sizeof(struct dw_token_entry) + user + device + claims->diagnoses.len;
	struct dw_token_entry *entry;

	if (size > cache->max_bytes || find(cache, hash) != NULL)
		return;
	while (cache->entries != NULL &&
		   (dw_token_cache_count(cache) >= cache->max_entries || cache->bytes > cache->max_bytes - size))
		drop_first(cache);
	entry = calloc(1, size);
	if (entry == NULL)
		return;
	memcpy(entry->hash, hash, DW_TOKEN_HASH);
	entry->expires = claims->expires;
	entry->not_before = not_before;
	entry->scope = claims->scope;
	entry->size = size;
	entry->user = user;
	entry->device = device;
	entry->diagnoses = claims->diagnoses.len;
	memcpy(entry->text, claims->user, user);
	memcpy(entry->text + user, claims->device, device);
	if (entry->diagnoses > 0)
		memcpy(entry->text + user + device, claims->diagnoses.data, entry->diagnoses);
	if (append(cache, entry))
		cache->bytes += size;
	else
		free(entry);
}
