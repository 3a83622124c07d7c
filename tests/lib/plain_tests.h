/* Tests that are functions of nothing, for what they work on stands in their file: each gets a world of its own by
 * set_up and tear_down.
 */
#ifndef PLAIN_TESTS_H
#define PLAIN_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST_TESTS = 64 };

struct plain_test {
	const char *name;
	void (*run)(void);
};

#define TEST(name)  \
	{               \
#name, name \
	}

static inline void
run_plain_test(void **state)
{
	((const struct plain_test *)*state)->run();
}

static inline int
run_plain_tests(const struct plain_test *tests, size_t count, CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
	struct CMUnitTest group[MOST_TESTS] = { 0 };

	if (count > MOST_TESTS)
		return 1;
	for (size_t i = 0; i < count; i++)
		group[i] = (struct CMUnitTest) { tests[i].name, run_plain_test, set_up, tear_down, (void *)&tests[i] };
	return _cmocka_run_group_tests("tests", group, count, NULL, NULL);
}

#endif
