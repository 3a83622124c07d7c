/* links: cmd/diagws-edge/room/rooms.c cmd/diagws-edge/room/stream.c cmd/diagws-edge/room/fanout.c */
/* links: cmd/diagws-edge/room/render.c cmd/diagws-edge/room/frame.c */
/* links: lib/message/render.c lib/message/msg.c lib/json/json.c */
/* links: lib/json/json_plain.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/clock.c */
/* links: lib/base/err.c lib/base/hash.c */
/* links: lib/base/ring.c lib/base/utf8.c lib/base/wheel.c */
/* libs: msgpack jansson libcrypto */
/* What the hub is given credit for: all up to the oldest that is deferred, soon enough that it never waits for nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utlist.h>

#include "room/rooms.h"

/* The hub's window. */
enum { WINDOW = 1024, WINDOW_BYTES = 16 * 1024 * 1024, LARGEST = 256 * 1024 };

static void
take(struct credit *credit, size_t count, size_t bytes)
{
	while (count-- > 0)
		credit_came(credit, bytes);
}

static void
credit_comes_in_time(void **state)
{
	struct credit credit = { 0 };

	(void)state;
	take(&credit, CREDIT_EVERY - 1, 10);
	assert_false(credit_due(&credit));
	take(&credit, 1, 10);
	assert_true(credit_due(&credit));
	assert_int_equal(credit.credited.messages, CREDIT_EVERY);
	assert_false(credit_due(&credit));
	take(&credit, CREDIT_BYTES / LARGEST, LARGEST);
	assert_true(credit_due(&credit));
	assert_int_equal(credit.credited.messages, CREDIT_EVERY + CREDIT_BYTES / LARGEST);
}

/* However many others were done with meanwhile. */
static void
no_credit_beyond_the_oldest_held(void **state)
{
	struct credit credit = { 0 };
	struct credit_deferred first, second;

	(void)state;
	take(&credit, CREDIT_EVERY, 1);
	take(&credit, 1, LARGEST);
	credit_defer(&credit, &first);
	take(&credit, CREDIT_EVERY, 1);
	take(&credit, 1, LARGEST);
	credit_defer(&credit, &second);
	take(&credit, 4 * CREDIT_EVERY, 1);
	assert_true(credit_due(&credit));
	assert_int_equal(credit.credited.messages, CREDIT_EVERY);
	DL_DELETE(credit.deferred, &second);
	assert_false(credit_due(&credit));
	DL_DELETE(credit.deferred, &first);
	assert_true(credit_due(&credit));
	assert_int_equal(credit.credited.messages, 6 * CREDIT_EVERY + 2);
}

struct sent {
	size_t bytes;
	struct credit_deferred credit;
	bool deferred;
};

static struct sent sent[100000];

static void
let_go(struct credit *credit, struct sent *one, size_t *deferred)
{
	if (!one->deferred)
		return;
	DL_DELETE(credit->deferred, &one->credit);
	one->deferred = false;
	*deferred -= one->bytes;
}

/* A hub that sends whatever it may, an edge that defers what it will and lets go of it in any order: no more than the
 * hub's window is ever deferred, and when nothing is, the hub may always go on. */
static void
never_more_is_held_than_the_hub_has_under_way(void **state)
{
	struct credit credit = { 0 };
	uint64_t credited = 0, count = 0;
	size_t under_way = 0, deferred = 0, most = 0;

	(void)state;
	srand(7);
	while (count < sizeof(sent) / sizeof(sent[0])) {
		struct sent *one = &sent[count++];

		assert_true(count - credited <= WINDOW && under_way < WINDOW_BYTES);
		one->bytes = rand() % 4 == 0 ? LARGEST : (size_t)(rand() % 300);
		under_way += one->bytes;
		credit_came(&credit, one->bytes);
		if (rand() % 2 == 0) {
			credit_defer(&credit, &one->credit);
			one->deferred = true;
			deferred += one->bytes;
		}
		most = deferred > most ? deferred : most;
		let_go(&credit, &sent[credited + (uint64_t)rand() % (count - credited)], &deferred);
		for (uint64_t i = credited; i < count && (count - credited == WINDOW || under_way >= WINDOW_BYTES); i++)
			let_go(&credit, &sent[i], &deferred);
		if (credit_due(&credit))
			while (credited < credit.credited.messages)
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
