/* Links: found in their chain however far the table has grown, and nothing left when the last has gone. */
/* links: lib/base/table.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/table.h"

enum { MANY = 1000, CHAIN_MOST = 8 };

struct thing {
	struct dw_link link;
	uint32_t hash;
};

static struct thing things[MANY];

static uint32_t
hash_of(const struct dw_link *link)
{
	return ((const struct thing *)(const void *)link)->hash;
}

static size_t
look(const struct dw_links *links, const struct thing *thing)
{
	size_t steps = 1;

	for (const struct dw_link *link = dw_links_chain(links, thing->hash); link != NULL; link = link->next, steps++) {
		if (link == &thing->link)
			return steps;
	}
	return 0;
}

static void
add_all(struct dw_links *links, uint32_t times)
{
	for (uint32_t i = 0; i < MANY; i++) {
		things[i].hash = i * times;
		assert_true(dw_links_reserve(links, hash_of));
		dw_links_add(links, &things[i].link, things[i].hash);
	}
	assert_int_equal(links->count, MANY);
}

static void
each_is_found_while_the_table_grows(void **state)
{
	struct dw_links links = { 0 };

	(void)state;
	assert_null(dw_links_chain(&links, 7));
	add_all(&links, 2654435761U);
	for (size_t i = 0; i < MANY; i++)
		assert_in_range(look(&links, &things[i]), 1, CHAIN_MOST);
	for (size_t i = 0; i < MANY; i += 2)
		dw_links_remove(&links, &things[i].link, things[i].hash);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(look(&links, &things[i]) > 0, i % 2 == 1);
	for (size_t i = 1; i < MANY; i += 2)
		dw_links_remove(&links, &things[i].link, things[i].hash);
	assert_null(links.chains);
	assert_int_equal(links.cap, 0);
}

static void
equal_hashes_are_one_chain(void **state)
{
	struct dw_links links = { 0 };

	(void)state;
	add_all(&links, 0);
	for (size_t i = 0; i < MANY; i++)
		assert_true(look(&links, &things[i]) > 0);
	for (size_t i = 0; i < MANY; i++) {
		dw_links_remove(&links, &things[i].link, things[i].hash);
		assert_int_equal(look(&links, &things[i]), 0);
	}
	assert_null(links.chains);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found_while_the_table_grows),
		cmocka_unit_test(equal_hashes_are_one_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
