/* Links: found in their chain however far the table has grown, and nothing left when the last has gone. */
/* links: lib/base/hash.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

enum { MANY = 1000, CHAIN_MOST = 8 };

struct thing {
	struct dw_hash_link link;
	uint32_t hash;
};

static struct thing things[MANY];

static uint32_t
hash_of(const struct dw_hash_link *link)
{
	return ((const struct thing *)(const void *)link)->hash;
}

static size_t
look(const struct dw_hash *table, const struct thing *thing)
{
	size_t steps = 1;

	for (const struct dw_hash_link *link = dw_hash_chain(table, thing->hash); link != NULL;
		 link = link->next, steps++) {
		if (link == &thing->link)
			return steps;
	}
	return 0;
}

static void
add_all(struct dw_hash *table, uint32_t times)
{
	for (uint32_t i = 0; i < MANY; i++) {
		things[i].hash = i * times;
		assert_true(dw_hash_reserve(table, hash_of));
		dw_hash_add(table, &things[i].link, things[i].hash);
	}
	assert_int_equal(table->count, MANY);
}

static void
each_is_found_while_the_table_grows(void **state)
{
	struct dw_hash table = { 0 };

	(void)state;
	assert_null(dw_hash_chain(&table, 7));
	add_all(&table, 2654435761U);
	for (size_t i = 0; i < MANY; i++)
		assert_in_range(look(&table, &things[i]), 1, CHAIN_MOST);
	for (size_t i = 0; i < MANY; i += 2)
		dw_hash_remove(&table, &things[i].link, things[i].hash);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(look(&table, &things[i]) > 0, i % 2 == 1);
	for (size_t i = 1; i < MANY; i += 2)
		dw_hash_remove(&table, &things[i].link, things[i].hash);
	assert_null(table.chains);
	assert_int_equal(table.cap, 0);
}

static void
equal_hashes_are_one_chain(void **state)
{
	struct dw_hash table = { 0 };

	(void)state;
	add_all(&table, 0);
	for (size_t i = 0; i < MANY; i++)
		assert_true(look(&table, &things[i]) > 0);
	for (size_t i = 0; i < MANY; i++) {
		dw_hash_remove(&table, &things[i].link, things[i].hash);
		assert_int_equal(look(&table, &things[i]), 0);
	}
	assert_null(table.chains);
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
