/* links: lib/http/budget.c */
/* Budgets: so much at once, then so much a second, each key by itself; and what a full table forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/budget.h"
#include "base/err.h"

static const uint64_t secret[2] = { 0x1234567890abcdef, 0xfedcba0987654320 };
static uint64_t now = 1000;

static struct dw_str
number_key(uint64_t number)
{
	static uint64_t key[2];

	key[0] = number;
	key[1] = 7;
	return dw_bytes(key, sizeof(key));
}

static unsigned
take_all(struct dw_http_budget *budget, struct dw_str key)
{
	unsigned taken = 0;

	while (taken < 100000 && dw_http_budget_take(budget, key, now))
		taken++;
	return taken;
}

static void
test_at_once_and_then_so_many_a_second(void **state)
{
	static const uint64_t rates[] = { 1, 3, 7, 50, 999, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		const uint64_t rate = rates[i];
		struct dw_http_budget budget;

		assert_int_equal(dw_http_budget_init(&budget, rate, secret), DW_OK);
		assert_true(dw_http_budget_has(&budget, DW_STR("alice"), now));
		assert_int_equal(take_all(&budget, DW_STR("alice")), DW_HTTP_BUDGET_AT_ONCE * rate);
		assert_false(dw_http_budget_has(&budget, DW_STR("alice"), now));
		assert_true(dw_http_budget_has(&budget, DW_STR("bob"), now));
		now += 1000;
		assert_int_equal(take_all(&budget, DW_STR("alice")), rate);
		now += 5000;
		assert_int_equal(take_all(&budget, DW_STR("alice")), 5 * rate);
		now += 3600000; /* no more than all of it */
		assert_int_equal(take_all(&budget, DW_STR("alice")), DW_HTTP_BUDGET_AT_ONCE * rate);
		assert_int_equal(take_all(&budget, DW_STR("bob")), DW_HTTP_BUDGET_AT_ONCE * rate);
		dw_http_budget_clear(&budget);
	}
}

static void
test_what_is_earned_piece_by_piece_is_the_same(void **state)
{
	struct dw_http_budget budget;
	unsigned taken = 0;

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, 50, secret), DW_OK);
	(void)take_all(&budget, DW_STR("alice"));
	for (uint64_t end = now + 10000; now < end; now++)
		taken += dw_http_budget_take(&budget, DW_STR("alice"), now + 1);
	assert_int_equal(taken, 500);
	dw_http_budget_clear(&budget);
}

static void
test_refusals_cost_nothing(void **state)
{
	struct dw_http_budget budget;

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, 10, secret), DW_OK);
	(void)take_all(&budget, DW_STR("alice"));
	for (int i = 0; i < 1000; i++)
		assert_false(dw_http_budget_take(&budget, DW_STR("alice"), now));
	now += 100;
	assert_true(dw_http_budget_take(&budget, DW_STR("alice"), now));
	dw_http_budget_clear(&budget);
}

static void
test_looking_takes_nothing(void **state)
{
	struct dw_http_budget budget;

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, 10, secret), DW_OK);
	for (int i = 0; i < 1000; i++)
		assert_true(dw_http_budget_has(&budget, DW_STR("alice"), now));
	assert_int_equal(take_all(&budget, DW_STR("alice")), 100);
	dw_http_budget_clear(&budget);
}

static void
test_no_rate_is_no_bound(void **state)
{
	struct dw_http_budget budget, zero = { 0 };

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, 0, secret), DW_OK);
	assert_int_equal(take_all(&budget, DW_STR("alice")), 100000);
	assert_true(dw_http_budget_has(&budget, DW_STR("alice"), now));
	assert_int_equal(take_all(&zero, DW_STR("alice")), 100000);
	dw_http_budget_clear(&budget);
	dw_http_budget_clear(&budget);
}

static void
test_keys_are_told_apart(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} keys[] = { { "", 0 }, { "a", 1 }, { "a\0", 2 }, { "ab", 2 }, { "\0\0\0\0\0\0\0\0", 8 }, { "\0\0\0\0\0\0\0\0", 7 },
		{ "aaaaaaaab", 9 }, { "aaaaaaaac", 9 }, { "baaaaaaaa", 9 }, { "aaaaaaaaaaaaaaaab", 17 },
		{ "aaaaaaaabaaaaaaaa", 17 } };
	struct dw_http_budget budget;

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, 1, secret), DW_OK);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_int_equal(take_all(&budget, dw_bytes(keys[i].p, keys[i].n)), DW_HTTP_BUDGET_AT_ONCE);
	dw_http_budget_clear(&budget);
}

/* A flood of keys that each do little, many more than are remembered. */
static void
test_a_flood_of_others_does_not_give_back(void **state)
{
	enum { SPENT = 1000 };
	struct dw_http_budget budget;
	unsigned again = 0;

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, 10, secret), DW_OK);
	for (uint64_t i = 0; i < SPENT; i++)
		assert_int_equal(take_all(&budget, number_key(i)), 100);
	for (uint64_t i = 0; i < 20 * (uint64_t)DW_HTTP_BUDGET_KEYS; i++)
		assert_true(dw_http_budget_take(&budget, number_key(SPENT + i), now));
	for (uint64_t i = 0; i < SPENT; i++)
		again += dw_http_budget_has(&budget, number_key(i), now);
	assert_int_equal(again, 0);
	dw_http_budget_clear(&budget);
}

/* And when all of them have nothing left, nearly all that are remembered are among the newest or as bad as they. */
static void
test_a_flood_that_spends_everything(void **state)
{
	struct dw_http_budget budget;
	unsigned known = 0;

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, 1, secret), DW_OK);
	for (uint64_t i = 0; i < 2 * (uint64_t)DW_HTTP_BUDGET_KEYS; i++)
		assert_int_equal(take_all(&budget, number_key(i)), DW_HTTP_BUDGET_AT_ONCE);
	for (uint64_t i = 0; i < 2 * (uint64_t)DW_HTTP_BUDGET_KEYS; i++)
		known += !dw_http_budget_has(&budget, number_key(i), now);
	assert_in_range(known, DW_HTTP_BUDGET_KEYS * 9 / 10, DW_HTTP_BUDGET_KEYS);
	now += DW_HTTP_BUDGET_AT_ONCE * 1000;
	for (uint64_t i = 0; i < 2 * (uint64_t)DW_HTTP_BUDGET_KEYS; i++)
		assert_true(dw_http_budget_has(&budget, number_key(i), now));
	dw_http_budget_clear(&budget);
}

static void
test_the_highest_rate(void **state)
{
	struct dw_http_budget budget;

	(void)state;
	assert_int_equal(dw_http_budget_init(&budget, DW_HTTP_BUDGET_MOST, secret), DW_OK);
	for (unsigned i = 0; i < DW_HTTP_BUDGET_AT_ONCE * DW_HTTP_BUDGET_MOST; i++)
		assert_true(dw_http_budget_take(&budget, DW_STR("alice"), now));
	assert_false(dw_http_budget_take(&budget, DW_STR("alice"), now));
	now += 1;
	for (unsigned i = 0; i < DW_HTTP_BUDGET_MOST / 1000; i++)
		assert_true(dw_http_budget_take(&budget, DW_STR("alice"), now));
	assert_false(dw_http_budget_take(&budget, DW_STR("alice"), now));
	dw_http_budget_clear(&budget);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_once_and_then_so_many_a_second),
		cmocka_unit_test(test_what_is_earned_piece_by_piece_is_the_same),
		cmocka_unit_test(test_refusals_cost_nothing),
		cmocka_unit_test(test_looking_takes_nothing),
		cmocka_unit_test(test_no_rate_is_no_bound),
		cmocka_unit_test(test_keys_are_told_apart),
		cmocka_unit_test(test_a_flood_of_others_does_not_give_back),
		cmocka_unit_test(test_a_flood_that_spends_everything),
		cmocka_unit_test(test_the_highest_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
