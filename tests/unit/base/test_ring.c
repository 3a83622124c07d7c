/* links: lib/base/ring.c lib/base/buf.c */
/* The log against a plain list that remembers everything: same entries, same bytes, same bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/ring.h"

enum { MODEL_MAX = 20000 };

struct model {
	uint64_t seq[MODEL_MAX];
	size_t size[MODEL_MAX];
	size_t count;
};

static void
fill(char *bytes, size_t n, uint64_t index)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(index * 7 + i);
}

static void
append(struct dw_ring *log, struct model *model, uint64_t seq, size_t size)
{
	char *bytes = malloc(size);

	fill(bytes, size, model->count);
	assert_int_equal(0, dw_ring_append(log, &(struct dw_ring_entry) { .seq = seq, .n = seq, .at = seq }, bytes, size));
	model->seq[model->count] = seq;
	model->size[model->count++] = size;
	free(bytes);
}

static void
compare(const struct dw_ring *log, const struct model *model)
{
	uint64_t index = dw_ring_first(log);

	assert_int_equal(model->count, dw_ring_end(log));
	while (index != dw_ring_end(log)) {
		uint64_t next;
		struct dw_str run = dw_ring_run_to(log, index, 4096, 0, &next);
		size_t at = 0;

		assert_true(next > index);
		for (; index != next; index++) {
			char want[8192];

			assert_int_equal(model->seq[index], dw_ring_entry(log, index)->seq);
			assert_int_equal(model->size[index], dw_ring_bytes(log, index).n);
			fill(want, model->size[index], index);
			assert_memory_equal(want, run.p + at, model->size[index]);
			at += model->size[index];
		}
		assert_int_equal(run.n, at);
	}
}

static void
test_keeps_the_newest(void **state)
{
	struct dw_ring *log = dw_ring_new(100, SIZE_MAX / 2);
	struct model *model = calloc(1, sizeof(*model));

	(void)state;
	for (uint64_t i = 1; i <= 150; i++)
		append(log, model, i * 3, 200);
	compare(log, model);
	assert_int_equal(50, dw_ring_first(log));
	assert_int_equal(50, dw_ring_after(log, 0));
	assert_int_equal(149, dw_ring_after(log, 449));
	assert_int_equal(149, dw_ring_after(log, 447));
	assert_int_equal(150, dw_ring_after(log, 450));
	free(model);
	dw_ring_destroy(&log);
	assert_null(log);
}

static void
test_random_sizes_keep_bytes_and_bounds(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct dw_ring *log = dw_ring_new(1 + seed * 3, 4096);
		struct model *model = calloc(1, sizeof(*model));

		srand(seed);
		for (uint64_t i = 1; i <= 900; i++) {
			append(log, model, i, (size_t)(1 + rand() % (i % 50 == 0 ? 6000 : 700)));
			compare(log, model);
			assert_true(dw_ring_end(log) - dw_ring_first(log) <= 1 + seed * 3);
			assert_true(dw_ring_memory(log) <= 4096 + 6000 + 64 * 1024);
			if (i % 97 == 0)
				dw_ring_expire(log, i - 1);
		}
		free(model);
		dw_ring_destroy(&log);
	}
}

static void
test_an_entry_over_the_bound_stands_alone(void **state)
{
	struct dw_ring *log = dw_ring_new(10, 100);
	struct model *model = calloc(1, sizeof(*model));

	(void)state;
	append(log, model, 1, 60);
	append(log, model, 2, 5000);
	assert_int_equal(1, dw_ring_first(log));
	compare(log, model);
	append(log, model, 2, 40);
	assert_int_equal(2, dw_ring_first(log));
	compare(log, model);
	free(model);
	dw_ring_destroy(&log);
}

static void
test_expire(void **state)
{
	struct dw_ring *log = dw_ring_new(10, 1000);
	struct model *model = calloc(1, sizeof(*model));

	(void)state;
	for (uint64_t i = 1; i <= 5; i++)
		append(log, model, i, 10);
	dw_ring_expire(log, 3);
	assert_int_equal(2, dw_ring_first(log));
	dw_ring_expire(log, 100);
	assert_int_equal(dw_ring_end(log), dw_ring_first(log));
	append(log, model, 9, 10);
	compare(log, model);
	free(model);
	dw_ring_destroy(&log);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_the_newest),
		cmocka_unit_test(test_random_sizes_keep_bytes_and_bounds),
		cmocka_unit_test(test_an_entry_over_the_bound_stands_alone),
		cmocka_unit_test(test_expire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
