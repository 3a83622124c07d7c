/* links: cmd/diagws-edge/wheel.c */
/* The timer wheel against the plain rule: fires once, never early, at most a tick late; cancelled: never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../cmd/diagws-edge/wheel.h"

enum { TIMERS = 500 };

static struct wheel wheel;
static uint64_t now;

struct probe {
	struct wheel_timer timer;
	uint64_t due;
	int fired;
	int again;
};

static void
fire(struct wheel_timer *timer)
{
	struct probe *probe = (struct probe *)timer;

	assert_true(now >= probe->due);
	assert_true(now < probe->due + 2 * WHEEL_TICK_MS);
	probe->fired++;
	if (probe->again-- > 0) {
		probe->due = now + 120000;
		wheel_set(&wheel, timer, probe->due);
	}
}

static void
test_fires_when_due(void **state)
{
	static struct probe probes[TIMERS];

	(void)state;
	srand(3);
	now = 1000000;
	wheel_init(&wheel, now);
	for (int i = 0; i < TIMERS; i++) {
		probes[i] =
			(struct probe) { .timer.fire = fire, .due = now + (uint64_t)(rand() % 100000), .again = i % 3 == 0 };
		wheel_set(&wheel, &probes[i].timer, now + 5);
		wheel_set(&wheel, &probes[i].timer, probes[i].due);
	}
	for (int i = 0; i < TIMERS; i += 5)
		wheel_cancel(&probes[i].timer);
	for (int step = 0; step < 25000; step++) {
		now += 10;
		wheel_run(&wheel, now);
	}
	for (int i = 0; i < TIMERS; i++)
		assert_int_equal(i % 5 == 0 ? 0 : i % 3 == 0 ? 2 : 1, probes[i].fired);
}

static void
test_a_long_pause_misses_none(void **state)
{
	struct probe probe = { .timer.fire = fire };

	(void)state;
	now = 5000;
	wheel_init(&wheel, now);
	probe.due = now + 10 * WHEEL_SLOTS * WHEEL_TICK_MS - WHEEL_TICK_MS;
	wheel_set(&wheel, &probe.timer, probe.due);
	now += 10 * WHEEL_SLOTS * WHEEL_TICK_MS;
	wheel_run(&wheel, now);
	assert_int_equal(1, probe.fired);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_when_due),
		cmocka_unit_test(test_a_long_pause_misses_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
