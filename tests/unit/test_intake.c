/* links: cmd/diagws-edge/room/intake.c */
/* What the hub is given credit for: all up to the oldest that is held, soon enough that it never waits for nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../cmd/diagws-edge/room/intake.h"

/* The hub's window. */
enum { WINDOW = 1024, WINDOW_BYTES = 16 * 1024 * 1024, LARGEST = 256 * 1024 };

static void
take(struct intake *intake, size_t count, size_t bytes)
{
	while (count-- > 0)
		intake_take(intake, bytes);
}

static void
credit_comes_in_time(void **state)
{
	struct intake intake = { 0 };

	(void)state;
	take(&intake, CREDIT_EVERY - 1, 10);
	assert_false(intake_credit(&intake));
	take(&intake, 1, 10);
	assert_true(intake_credit(&intake));
	assert_int_equal(intake.credited.messages, CREDIT_EVERY);
	assert_false(intake_credit(&intake));
	take(&intake, CREDIT_BYTES / LARGEST, LARGEST);
	assert_true(intake_credit(&intake));
	assert_int_equal(intake.credited.messages, CREDIT_EVERY + CREDIT_BYTES / LARGEST);
}

/* However many others were done with meanwhile. */
static void
no_credit_beyond_the_oldest_held(void **state)
{
	struct intake intake = { 0 };
	struct intake_hold first, second;

	(void)state;
	take(&intake, CREDIT_EVERY, 1);
	take(&intake, 1, LARGEST);
	intake_hold(&intake, &first);
	take(&intake, CREDIT_EVERY, 1);
	take(&intake, 1, LARGEST);
	intake_hold(&intake, &second);
	take(&intake, 4 * CREDIT_EVERY, 1);
	assert_true(intake_credit(&intake));
	assert_int_equal(intake.credited.messages, CREDIT_EVERY);
	intake_release(&intake, &second);
	assert_false(intake_credit(&intake));
	intake_release(&intake, &first);
	assert_true(intake_credit(&intake));
	assert_int_equal(intake.credited.messages, 6 * CREDIT_EVERY + 2);
}

struct sent {
	size_t bytes;
	struct intake_hold hold;
	bool held;
};

static struct sent sent[100000];

static void
let_go(struct intake *intake, struct sent *one, size_t *held)
{
	if (!one->held)
		return;
	intake_release(intake, &one->hold);
	one->held = false;
	*held -= one->bytes;
}

/* A hub that sends whatever it may, an edge that holds what it will and lets go of it in any order: no more than the
 * hub's window is ever held, and when nothing is, the hub may always go on. */
static void
never_more_is_held_than_the_hub_has_under_way(void **state)
{
	struct intake intake = { 0 };
	uint64_t credited = 0, count = 0;
	size_t under_way = 0, held = 0, most = 0;

	(void)state;
	srand(7);
	while (count < sizeof(sent) / sizeof(sent[0])) {
		struct sent *one = &sent[count++];

		assert_true(count - credited <= WINDOW && under_way < WINDOW_BYTES);
		one->bytes = rand() % 4 == 0 ? LARGEST : (size_t)(rand() % 300);
		under_way += one->bytes;
		intake_take(&intake, one->bytes);
		if (rand() % 2 == 0) {
			intake_hold(&intake, &one->hold);
			one->held = true;
			held += one->bytes;
		}
		most = held > most ? held : most;
		let_go(&intake, &sent[credited + (uint64_t)rand() % (count - credited)], &held);
		for (uint64_t i = credited; i < count && (count - credited == WINDOW || under_way >= WINDOW_BYTES); i++)
			let_go(&intake, &sent[i], &held);
		if (intake_credit(&intake))
			while (credited < intake.credited.messages)
				under_way -= sent[credited++].bytes;
	}
	assert_true(most > WINDOW_BYTES / 4);
	assert_true(most < WINDOW_BYTES + LARGEST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credit_comes_in_time),
		cmocka_unit_test(no_credit_beyond_the_oldest_held),
		cmocka_unit_test(never_more_is_held_than_the_hub_has_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
