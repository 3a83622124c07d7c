/* links: lib/token/cache.c lib/token/token.c lib/message/msg.c lib/json/json_plain.c lib/json/json.c lib/base/buf.c */
/* links: lib/base/err.c lib/base/utf8.c */
/* libs: jansson */
/* The cache of verified tokens: what goes in comes out, and both bounds hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "token/cache.h"

static void
make_hash(unsigned number, uint8_t hash[DW_TOKEN_HASH])
{
	memset(hash, 0, DW_TOKEN_HASH);
	memcpy(hash, &number, sizeof(number));
}

static void
add(struct dw_token_cache *cache, unsigned number, size_t diagnoses)
{
	struct dw_claims claims = { 0 };
	uint8_t hash[DW_TOKEN_HASH];

	(void)snprintf(claims.user, sizeof(claims.user), "user-%u", number);
	(void)snprintf(claims.device, sizeof(claims.device), "device-%u", number);
	claims.expires = 1000 + number;
	claims.scope = DW_SCOPE_STAT;
	for (size_t i = 0; i < diagnoses; i++)
		dw_buf_add(&claims.diagnoses, "123", 4);
	make_hash(number, hash);
	dw_token_cache_add(cache, hash, &claims, 500 + number);
	dw_claims_clear(&claims);
}

static bool
has(struct dw_token_cache *cache, unsigned number)
{
	struct dw_claims claims = { 0 };
	uint8_t hash[DW_TOKEN_HASH];
	uint64_t not_before = 0;
	char user[32];
	bool found;

	make_hash(number, hash);
	found = dw_token_cache_find(cache, hash, &claims, &not_before);
	if (found) {
		(void)snprintf(user, sizeof(user), "user-%u", number);
		assert_string_equal(user, claims.user);
		assert_int_equal(1000 + number, claims.expires);
		assert_int_equal(500 + number, not_before);
		assert_int_equal(DW_SCOPE_STAT, claims.scope);
	}
	dw_claims_clear(&claims);
	return found;
}

static void
test_keeps_claims(void **state)
{
	struct dw_token_cache cache = { .max_entries = 4, .max_bytes = 4096 };
	struct dw_claims claims = { 0 };
	uint8_t hash[DW_TOKEN_HASH];
	uint64_t not_before;

	(void)state;
	assert_false(has(&cache, 1));
	add(&cache, 1, 3);
	assert_true(has(&cache, 1));
	assert_false(has(&cache, 2));
	make_hash(1, hash);
	assert_true(dw_token_cache_find(&cache, hash, &claims, &not_before));
	assert_string_equal("device-1", claims.device);
	assert_int_equal(12, claims.diagnoses.len);
	assert_true(dw_claims_name(&claims, DW_STR("123")));
	assert_false(dw_claims_name(&claims, DW_STR("12")));
	dw_claims_clear(&claims);
	add(&cache, 1, 0);
	assert_int_equal(1, dw_token_cache_count(&cache));
	dw_token_cache_clear(&cache);
	dw_token_cache_clear(&cache);
}

static void
test_unused_goes_first(void **state)
{
	struct dw_token_cache cache = { .max_entries = 3, .max_bytes = 1 << 20 };

	(void)state;
	add(&cache, 1, 0);
	add(&cache, 2, 0);
	add(&cache, 3, 0);
	assert_true(has(&cache, 1));
	add(&cache, 4, 0);
	assert_int_equal(3, dw_token_cache_count(&cache));
	assert_false(has(&cache, 2));
	assert_true(has(&cache, 1));
	assert_true(has(&cache, 3));
	assert_true(has(&cache, 4));
	dw_token_cache_clear(&cache);
	assert_int_equal(0, dw_token_cache_count(&cache));
	add(&cache, 5, 0);
	assert_true(has(&cache, 5));
	dw_token_cache_clear(&cache);
}

static void
test_bytes_are_bounded(void **state)
{
	struct dw_token_cache cache = { .max_entries = 1000, .max_bytes = 16 * 1024 };

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		add(&cache, i, 1000);
	assert_in_range(dw_token_cache_count(&cache), 3, 4);
	assert_true(has(&cache, 99));
	add(&cache, 100, 5000);
	assert_false(has(&cache, 100));
	assert_true(has(&cache, 99));
	for (unsigned i = 200; i < 300; i++)
		add(&cache, i, 0);
	assert_in_range(dw_token_cache_count(&cache), 50, 100);
	dw_token_cache_clear(&cache);
}

static void
test_many(void **state)
{
	struct dw_token_cache cache = { .max_entries = 1000, .max_bytes = 1 << 20 };

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		add(&cache, i, i % 3);
	assert_int_equal(1000, dw_token_cache_count(&cache));
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(i >= 4000, has(&cache, i));
	dw_token_cache_clear(&cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_claims),
		cmocka_unit_test(test_unused_goes_first),
		cmocka_unit_test(test_bytes_are_bounded),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
