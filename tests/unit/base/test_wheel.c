/* links: lib/base/wheel.c */
/* The timer wheel against the plain rule: fires once, never early, at the first run that is not; cancelled: never. And
 * what is not due is hardly looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/wheel.h"

enum { TIMERS = 500, STEP_MS = 10, HOUR_MS = 3600 * 1000 };

static struct dw_wheel wheel;
static uint64_t now;

struct probe {
	struct dw_wheel_timer timer;
	uint64_t due;
	int fired;
	int again;
	struct probe *ends; /* cancelled by it */
};

static struct probe probes[TIMERS];

static void
fire(struct dw_wheel_timer *timer)
{
	struct probe *probe = (struct probe *)timer;

	assert_true(now >= probe->due);
	assert_true(now < probe->due + STEP_MS);
	probe->fired++;
	if (probe->ends != NULL)
		dw_wheel_cancel(&probe->ends->timer);
	if (probe->again-- > 0) {
		probe->due = now + 120000;
		dw_wheel_set(&wheel, timer, probe->due);
	}
}

static void
run_until(uint64_t end)
{
	while (now < end) {
		const uint64_t next = dw_wheel_next(&wheel);

		assert_true(next > now);
		now += STEP_MS;
		for (int i = 0; i < TIMERS; i++)
			assert_true(probes[i].timer.link == NULL || next <= probes[i].due);
		assert_false(dw_wheel_run(&wheel, now, SIZE_MAX));
	}
}

static void
test_fires_when_due(void **state)
{
	(void)state;
	srand(3);
	now = 1000000;
	dw_wheel_init(&wheel, now);
	for (int i = 0; i < TIMERS; i++) {
		probes[i] =
			(struct probe) { .timer.fire = fire, .due = now + (uint64_t)(rand() % 100000), .again = i % 3 == 0 };
		dw_wheel_set(&wheel, &probes[i].timer, now + 5);
		dw_wheel_set(&wheel, &probes[i].timer, probes[i].due);
	}
	for (int i = 0; i < TIMERS; i += 5)
		dw_wheel_cancel(&probes[i].timer);
	run_until(now + 250000);
	for (int i = 0; i < TIMERS; i++)
		assert_int_equal(i % 5 == 0 ? 0 : i % 3 == 0 ? 2 : 1, probes[i].fired);
	assert_int_equal(UINT64_MAX, dw_wheel_next(&wheel));
}

/* Each distance, and each place on the wheel that it may begin at. */
static void
test_any_distance_from_anywhere(void **state)
{
	(void)state;
	srand(4);
	for (int i = 0; i < 20000; i++) {
		struct probe probe = { .timer.fire = fire };

		now = (uint64_t)rand() << (rand() % 12);
		dw_wheel_init(&wheel, now);
		probe.due = now + ((uint64_t)rand() >> (rand() % 31));
		dw_wheel_set(&wheel, &probe.timer, probe.due);
		while (probe.fired == 0) {
			uint64_t next = dw_wheel_next(&wheel);

			/* What is due is so at once. */
			assert_true(probe.due <= now ? next == now : next > now && next <= probe.due);
			now = next;
			assert_false(dw_wheel_run(&wheel, now, SIZE_MAX));
		}
		assert_int_equal(UINT64_MAX, dw_wheel_next(&wheel));
	}
}

static void
test_a_long_pause_misses_none(void **state)
{
	struct probe probe = { .timer.fire = fire };

	(void)state;
	now = 5000;
	dw_wheel_init(&wheel, now);
	probe.due = now + 400 * 86400000ULL;
	dw_wheel_set(&wheel, &probe.timer, probe.due);
	now = probe.due + 1;
	assert_false(dw_wheel_run(&wheel, now, SIZE_MAX));
	assert_int_equal(1, probe.fired);
}

/* No more at once than was asked for; what is still to come may be cancelled, by one that fires, too. */
static void
test_many_that_are_due_at_once(void **state)
{
	int fired = 0;

	(void)state;
	now = 777;
	dw_wheel_init(&wheel, now);
	for (int i = 0; i < TIMERS; i++) {
		probes[i] = (struct probe) { .timer.fire = fire, .due = now + 50, .ends = &probes[i ^ 1] };
		dw_wheel_set(&wheel, &probes[i].timer, probes[i].due);
	}
	now += 50;
	for (int turn = 1; dw_wheel_run(&wheel, now, 10); turn++) {
		assert_int_equal(wheel.now, dw_wheel_next(&wheel));
		fired = 0;
		for (int i = 0; i < TIMERS; i++)
			fired += probes[i].fired;
		assert_int_equal(turn * 10, fired);
	}
	for (int i = 0; i < TIMERS; i += 2)
		assert_int_equal(1, probes[i].fired + probes[i + 1].fired);
}

static void
never(struct dw_wheel_timer *timer)
{
	(void)timer;
	fail();
}

/* Hours away, they are looked at when they come nearer, and that is a few times in all. */
static void
test_what_is_not_due_costs_next_to_nothing(void **state)
{
	static struct dw_wheel_timer timers[20000];
	const size_t count = sizeof(timers) / sizeof(timers[0]);
	size_t looks = 0;

	(void)state;
	srand(5);
	now = 123456789;
	dw_wheel_init(&wheel, now);
	for (size_t i = 0; i < count; i++) {
		timers[i].fire = never;
		dw_wheel_set(&wheel, &timers[i], now + HOUR_MS + (uint64_t)(rand() % (10 * HOUR_MS)));
	}
	for (const uint64_t end = now + HOUR_MS - 1; now < end; now++)
		while (dw_wheel_run(&wheel, now, 1))
			looks++;
	assert_true(looks < 2 * count);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_when_due),
		cmocka_unit_test(test_any_distance_from_anywhere),
		cmocka_unit_test(test_a_long_pause_misses_none),
		cmocka_unit_test(test_many_that_are_due_at_once),
		cmocka_unit_test(test_what_is_not_due_costs_next_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
