/* Sessions: found by their id and by nothing else, their places used again, all of them met once. */
/* links: cmd/diagws-edge/client/sessions.c lib/base/clock.c */
/* libs: libcrypto */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../cmd/diagws-edge/client/conn.h"
#include "../../../cmd/diagws-edge/client/sessions.h"

enum { MANY = 3000 };

static struct conn conns[MANY];

static void
add_all(struct sessions *sessions)
{
	for (size_t i = 0; i < MANY; i++)
		assert_true(sessions_add(sessions, &conns[i]));
}

static void
each_is_found_by_its_id(void **state)
{
	struct sessions sessions = { 0 };

	(void)state;
	assert_null(sessions_find(&sessions, 1));
	add_all(&sessions);
	for (size_t i = 0; i < MANY; i++) {
		assert_true(conns[i].session > UINT32_MAX);
		assert_ptr_equal(sessions_find(&sessions, conns[i].session), &conns[i]);
		assert_null(sessions_find(&sessions, conns[i].session ^ (uint64_t)1 << 40));
	}
	assert_null(sessions_find(&sessions, SESSIONS_MAX - 1));
	sessions_clear(&sessions);
}

static void
a_place_is_used_again_under_another_id(void **state)
{
	struct sessions sessions = { 0 };
	uint64_t old[MANY];
	size_t cap;

	(void)state;
	add_all(&sessions);
	cap = sessions.cap;
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < MANY; i += 2) {
			old[i] = conns[i].session;
			sessions_remove(&sessions, &conns[i]);
			assert_null(sessions_find(&sessions, old[i]));
		}
		for (size_t i = 0; i < MANY; i += 2)
			assert_true(sessions_add(&sessions, &conns[i]));
		for (size_t i = 0; i < MANY; i++) {
			assert_ptr_equal(sessions_find(&sessions, conns[i].session), &conns[i]);
			if (i % 2 == 0)
				assert_null(sessions_find(&sessions, old[i]));
		}
	}
	assert_int_equal(sessions.cap, cap);
	assert_int_equal(sessions.count, MANY);
	sessions_clear(&sessions);
}

static void
all_are_met_once_also_while_they_go(void **state)
{
	struct sessions sessions = { 0 };
	struct conn *conn;
	size_t place = 0, met = 0;

	(void)state;
	assert_null(sessions_each(&sessions, &place));
	add_all(&sessions);
	while ((conn = sessions_each(&sessions, &place)) != NULL) {
		sessions_remove(&sessions, conn);
		met++;
	}
	assert_int_equal(met, MANY);
	assert_int_equal(sessions.count, 0);
	sessions_clear(&sessions);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found_by_its_id),
		cmocka_unit_test(a_place_is_used_again_under_another_id),
		cmocka_unit_test(all_are_met_once_also_while_they_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
