/* Positions that were written to one client: what proves how much, also where there were too many to note. */
/* links: cmd/diagws-edge/client/written.c lib/base/buf.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/subscription.h"

static struct subscription sub;

static int
tear_down(void **state)
{
	(void)state;
	free(sub.written);
	sub.written = NULL;
	return 0;
}

static void
note(uint64_t from, uint64_t to)
{
	for (uint64_t seq = from; seq <= to; seq++)
		written_note(&sub, dw_position_said(seq, seq, 0));
}

static void
test_the_furthest_up_to_there_is_taken(void **state)
{
	(void)state;
	assert_true(dw_position_same(dw_position_start(), written_take(&sub, 5, 0)));
	note(10, 10);
	note(20, 20);
	note(15, 15); /* not behind the last: known already */
	assert_int_equal(0, dw_seq(written_take(&sub, 9, 0)));
	assert_int_equal(10, dw_seq(written_take(&sub, 19, 0)));
	assert_int_equal(0, dw_seq(written_take(&sub, 19, 0)));
	assert_int_equal(20, dw_seq(written_take(&sub, UINT64_MAX, 0)));
}

/* A PONG has proven them, and the client may still acknowledge the newest of them itself. */
static void
test_some_are_kept(void **state)
{
	(void)state;
	note(1, 40);
	assert_int_equal(40, dw_seq(written_take(&sub, 40, 16)));
	assert_int_equal(0, dw_seq(written_take(&sub, 24, 16)));
	assert_int_equal(25, dw_seq(written_take(&sub, 25, 0)));
	assert_int_equal(40, dw_seq(written_take(&sub, 40, 0)));
}

/* Then every second one stands for the one before it, and never for more than was written. */
static void
test_too_many_prove_less_and_never_more(void **state)
{
	(void)state;
	note(1, 3000);
	assert_true(sub.written->count <= 1024);
	for (uint64_t seq = 2900; seq <= 3000; seq++) {
		const uint64_t proven = dw_seq(written_take(&sub, seq, SIZE_MAX));

		assert_true(proven <= seq && proven + 8 > seq);
	}
	assert_int_equal(3000, dw_seq(written_take(&sub, 3000, 0)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_the_furthest_up_to_there_is_taken, tear_down),
		cmocka_unit_test_teardown(test_some_are_kept, tear_down),
		cmocka_unit_test_teardown(test_too_many_prove_less_and_never_more, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
