/* What the two readers of a store share: LMDB (kv_lmdb.c) and the look-through (kv_look.c). */
#ifndef DIAGWS_KV_PARTS_H
#define DIAGWS_KV_PARTS_H

#include <stdint.h>
#include <string.h>

#include "diagws/buf.h"

enum { KV_TABLES_MAX = 16, KV_SUM_SIZE = 8 };

/* Each commit leaves its number under this key of the first table, so that a store's parts can be told to be of one
 * commit. */
#define KV_STAMP "txn"

static inline uint64_t
kv_mix(uint64_t sum, struct dw_str s)
{
	uint64_t word;

	for (size_t i = 0; i < s.n; i += sizeof(word)) {
		word = 0;
		memcpy(&word, s.p + i, s.n - i < sizeof(word) ? s.n - i : sizeof(word));
		/* Each step can be undone, so two texts that differ in one word never have the same sum. */
		sum = (sum ^ word) * 0x9e3779b97f4a7c15U;
		sum ^= sum >> 32;
	}
	return sum;
}

/* Stands behind each value. It tells damage, not malice. */
static inline uint64_t
kv_sum(struct dw_str key, struct dw_str value)
{
	return kv_mix(kv_mix(((uint64_t)key.n << 32) + value.n + 1, key), value);
}

/* Takes the sum off a stored value; false: it is not that of key and value. */
static inline int
kv_take(struct dw_str key, struct dw_str stored, struct dw_str *value)
{
	uint64_t sum;

	if (stored.n < KV_SUM_SIZE)
		return 0;
	*value = (struct dw_str) { stored.p, stored.n - KV_SUM_SIZE };
	memcpy(&sum, stored.p + value->n, sizeof(sum));
	return sum == kv_sum(key, *value);
}

#endif
