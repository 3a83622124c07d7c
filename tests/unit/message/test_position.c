/* The calls that make positions, each by what it must keep: a position never goes back in any of its numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "message/position.h"

static void
assert_position(struct dw_position at, uint64_t seq, uint64_t n, uint64_t own)
{
	assert_int_equal(dw_seq(at), seq);
	assert_int_equal(dw_n(at), n);
	assert_int_equal(dw_own(at), own);
}

static void
test_around_a_message(void **state)
{
	const struct dw_number numbered = { 50, 4, 0 }, direct = { 50, 4, 9 };

	(void)state;
	assert_position(dw_position_before(numbered), 49, 3, 0);
	assert_position(dw_position_behind(numbered), 50, 4, 0);
	/* A stream has nothing of its own, and a direct message takes no n. */
	assert_position(dw_position_before(direct), 49, 4, 0);
	assert_position(dw_position_behind(direct), 50, 4, 0);
}

static void
test_passing_moves_what_the_message_has(void **state)
{
	const struct dw_position at = dw_position_said(40, 6, 2);

	(void)state;
	assert_position(dw_position_pass(at, (struct dw_number) { 50, 7, 0 }, false), 50, 7, 2);
	assert_position(dw_position_pass(at, (struct dw_number) { 50, 6, 3 }, true), 50, 6, 3);
	assert_position(dw_position_pass(at, (struct dw_number) { 50, 6, 8 }, false), 50, 6, 2);
	/* Ahead by n: what is read lies before that. */
	assert_position(dw_position_pass(at, (struct dw_number) { 50, 3, 3 }, true), 50, 6, 3);
	assert_position(dw_position_pass(at, (struct dw_number) { 30, 3, 1 }, true), 40, 6, 2);
}

static void
test_skipping_moves_no_seq(void **state)
{
	const struct dw_position at = dw_position_said(40, 6, 2);

	(void)state;
	assert_position(dw_position_skip(at, 8, 0), 40, 8, 2);
	assert_position(dw_position_skip(at, 0, 5), 40, 6, 5);
	assert_position(dw_position_skip(at, 1, 1), 40, 6, 2);
}

static void
test_nothing_lies_between_it_and_the_stream(void **state)
{
	(void)state;
	assert_position(dw_position_further(dw_position_said(40, 8, 2), dw_position_said(90, 7, 0)), 90, 8, 2);
	assert_position(dw_position_further(dw_position_said(40, 8, 2), dw_position_said(30, 9, 0)), 40, 9, 2);
}

static void
test_further_and_nearer_in_each(void **state)
{
	const struct dw_position a = dw_position_said(1, 20, 3), b = dw_position_said(10, 2, 30);

	(void)state;
	assert_position(dw_position_further(a, b), 10, 20, 30);
	assert_position(dw_position_nearer(a, b), 1, 2, 3);
	assert_true(dw_position_same(a, dw_position_said(1, 20, 3)));
	assert_false(dw_position_same(a, dw_position_said(1, 20, 4)));
	assert_true(dw_position_same(dw_position_start(), dw_position_said(0, 0, 0)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_around_a_message),
		cmocka_unit_test(test_passing_moves_what_the_message_has),
		cmocka_unit_test(test_skipping_moves_no_seq),
		cmocka_unit_test(test_nothing_lies_between_it_and_the_stream),
		cmocka_unit_test(test_further_and_nearer_in_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
