/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* What is read of a client is weighed against what it says: floods that say nothing are read slowly, and close nobody.
 */
#include "../../lib/edge_kit.h"

enum { READ_MOST = 4096, READ_LEAST = 512, NOISE = 8192 };

static void
who_says_something_is_read_on(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	for (unsigned i = 0; i < 90; i++) {
		assert_true(receives(ann, 4000) >= 4000 - 64);
		noise_said(ann->conn, 4000, true);
	}
	assert_false(ann->held);
	assert_true(ann->conn->noise <= 0);
}

static void
a_flood_that_says_nothing_is_read_slowly(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));
	size_t n = 0;

	assert_int_equal(receives(ann, 1 << 16), READ_MOST);
	assert_int_equal(receives(ann, 1 << 16), READ_MOST);
	assert_int_equal(receives(ann, 1 << 16), READ_LEAST);
	assert_false(ann->held);
	assert_int_equal(receives(ann, 1 << 16), READ_LEAST);
	assert_true(ann->held);
	pass(999);
	assert_true(ann->held);
	pass(1);
	assert_false(ann->held);
	assert_stays(ann);
	/* A byte a millisecond it may. */
	while (!ann->held && n < 100000)
		n += receives(ann, 1 << 16);
	assert_true(n >= READ_LEAST && n <= 3 * READ_LEAST);
	pass(1000 + NOISE * 2);
	assert_false(ann->held);
	assert_int_equal(receives(ann, 100), 100);
	assert_int_equal(ann->conn->noise, 100);
}

static void
empty_fragments_say_nothing(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	(void)receives(ann, 1000);
	noise_said(ann->conn, 0, true);
	assert_int_equal(ann->conn->noise, 1000);
	noise_said(ann->conn, 90, false);
	assert_int_equal(ann->conn->noise, 910);
	noise_said(ann->conn, 92, true);
	assert_int_equal(ann->conn->noise, 810);
}

/* To look at what comes is not to read it. */
static void
what_is_looked_at_is_not_weighed(void)
{
	struct client *ann = enters("123", "", "ann", at(10, 5));

	assert_int_equal(peeks(ann, 10000), 10000);
	assert_int_equal(ann->conn->noise, 0);
}

static void
a_stranger_that_floods_is_closed(void)
{
	struct client *ann = arrive("123", "auth=message", "ann");

	while (!ann->closing && mono == 1000000 && ann->conn->noise < 4 * NOISE)
		(void)receives(ann, 1 << 16);
	assert_closes(ann, 1008, "rate limit");
}

/* It is not weighed, for what it sends is not read by recv. */
static void
a_client_by_tls_is_not_weighed(void)
{
	struct client *bob;

	by_tls = true;
	assert_false(is_weighed(enters("123", "", "ann", at(10, 5))));
	by_tls = false;
	bob = enters("123", "", "bob", at(10, 5));
	assert_true(is_weighed(bob));
	leaves(bob);
	assert_false(is_weighed(bob));
}

/* What it said before `connect` is held back for another reason, and not let go by this. */
static void
one_that_waits_for_connect_is_held_for_that(void)
{
	struct client *ann = arrive("123", "", "ann");
	const struct dw_join join = asked(DW_JOIN).join;

	says(ann, "{\"type\":\"ping\"}");
	for (unsigned i = 0; i < 6; i++)
		(void)receives(ann, 1 << 16);
	assert_false(ann->conn->slowed);
	pass(2000);
	assert_true(ann->held);
	answer(an_answer(&join, at(0, 0)));
	pass(1);
	assert_false(ann->held);
	assert_hears(ann, "connect", "");
	assert_hears(ann, "pong", "");
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(who_says_something_is_read_on),
		TEST(a_flood_that_says_nothing_is_read_slowly),
		TEST(empty_fragments_say_nothing),
		TEST(what_is_looked_at_is_not_weighed),
		TEST(a_stranger_that_floods_is_closed),
		TEST(a_client_by_tls_is_not_weighed),
		TEST(one_that_waits_for_connect_is_held_for_that),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
