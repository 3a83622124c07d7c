/* links: cmd/diagws-bench/histogram.c */
/* The histogram of diagws-bench against exact percentiles: three significant digits, whatever the values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cmd/diagws-bench/histogram.h"

enum { VALUES = 20000 };

static struct histogram histogram;
static uint64_t values[VALUES];

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* At most a thousandth above the exact one, never below. */
static void
check_quantiles(void)
{
	static const double shares[] = { 0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0 };

	qsort(values, VALUES, sizeof(values[0]), compare);
	assert_int_equal(VALUES, histogram.count);
	assert_int_equal(values[0], histogram.min);
	assert_int_equal(values[VALUES - 1], histogram.max);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		size_t rank = (size_t)(shares[i] * VALUES);
		uint64_t exact, found = histogram_quantile(&histogram, shares[i]);

		rank += (double)rank < shares[i] * VALUES;
		exact = values[rank > 0 ? rank - 1 : 0];
		assert_true(found >= exact);
		assert_true((double)found <= (double)exact * 1.001);
	}
	assert_int_equal(values[VALUES - 1], histogram_quantile(&histogram, 1.0));
}

static void
fill(uint64_t (*next)(void))
{
	uint64_t sum = 0;

	memset(&histogram, 0, sizeof(histogram));
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = next();
		sum += values[i];
		histogram_add(&histogram, values[i]);
	}
	assert_int_equal(sum, histogram.sum);
	check_quantiles();
}

static uint64_t
small(void)
{
	return 1 + (uint64_t)random() % 3000;
}

/* As many in each doubling. */
static uint64_t
wide(void)
{
	return 1 + ((uint64_t)random() >> (random() % 31));
}

static uint64_t
constant(void)
{
	return 123457;
}

static void
test_quantiles(void **state)
{
	(void)state;
	srandom(7);
	fill(small);
	fill(wide);
	fill(constant);
}

/* What is added is found again to three digits, at every edge between slots. */
static void
test_every_edge(void **state)
{
	(void)state;
	for (uint64_t power = 1; power <= HISTOGRAM_MAX; power *= 2) {
		for (uint64_t us = power > 2 ? power - 2 : 1; us <= power + 2 && us <= HISTOGRAM_MAX; us++) {
			memset(&histogram, 0, sizeof(histogram));
			histogram_add(&histogram, us);
			histogram_add(&histogram, HISTOGRAM_MAX);
			assert_true(histogram_quantile(&histogram, 0.5) >= us);
			assert_true((double)histogram_quantile(&histogram, 0.5) <= (double)us * 1.001);
			assert_int_equal(us == HISTOGRAM_MAX ? 2 : 1, histogram_count_to(&histogram, us));
			assert_int_equal(0, histogram_count_to(&histogram, us - us / 500 - 1));
		}
	}
}

static void
test_out_of_range(void **state)
{
	(void)state;
	memset(&histogram, 0, sizeof(histogram));
	assert_int_equal(0, histogram_quantile(&histogram, 0.5));
	histogram_add(&histogram, 0);
	histogram_add(&histogram, UINT64_MAX);
	assert_int_equal(1, histogram.min);
	assert_int_equal(HISTOGRAM_MAX, histogram.max);
	assert_int_equal(1, histogram_quantile(&histogram, 0.5));
	assert_int_equal(HISTOGRAM_MAX, histogram_quantile(&histogram, 0.6));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_every_edge),
		cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
