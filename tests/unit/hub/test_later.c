/* links: cmd/diagws-hub/rooms/later.c */
/* What waited is carried out in its order, whatever else comes meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cmd/diagws-hub/hub.h"
#include "peers/peers.h"
#include "rooms/later.h"

/* So many messages wait in it; one that was taken may make another come. */
struct line {
	struct later later; /* first */
	char name;
	size_t left, gone; /* the peers of the first `gone` are */
	struct line *brings, *ends;
};

static struct hub hub;
static struct peer peer;
static char carried[32], ended[32];
static const struct later_ops ops;

static void
note(char *text, char name)
{
	text[strlen(text)] = name;
}

static struct peer *
take_request(struct hub *unused, struct later *later, struct request *request)
{
	struct line *line = (struct line *)(void *)later;

	(void)unused;
	assert_false(request->again || request->looked_up);
	assert_int_equal(POLL_FIRST, request->poll);
	request->message.ping.token = (uint64_t)line->name;
	if (line->brings != NULL)
		later_add(&hub, &line->brings->later, &ops);
	if (line->ends != NULL)
		later_remove(&hub, &line->ends->later);
	if (line->gone == 0)
		return &peer;
	line->gone--;
	return NULL;
}

static void
end_request(struct hub *unused, struct later *later, const struct request *request)
{
	struct line *line = (struct line *)(void *)later;

	assert_int_equal(line->name, request->message.ping.token);
	if (--line->left > 0)
		return;
	note(ended, line->name);
	later_remove(unused, later);
}

static const struct later_ops ops = { take_request, end_request };

static void
dispatch(struct hub *unused, struct peer *from, struct request *request)
{
	(void)unused;
	assert_ptr_equal(&peer, from);
	note(carried, (char)request->message.ping.token);
}

static int
set_up(void **state)
{
	(void)state;
	hub = (struct hub) { 0 };
	memset(carried, 0, sizeof(carried));
	memset(ended, 0, sizeof(ended));
	return 0;
}

static void
serve(const char *want_carried, const char *want_ended)
{
	later_serve(&hub, dispatch);
	assert_null(hub.later);
	assert_string_equal(want_carried, carried);
	assert_string_equal(want_ended, ended);
}

static void
test_in_order(void **state)
{
	struct line a = { .name = 'a', .left = 3 }, b = { .name = 'b', .left = 1 }, c = { .name = 'c', .left = 2 };

	(void)state;
	later_add(&hub, &a.later, &ops);
	later_add(&hub, &b.later, &ops);
	later_add(&hub, &c.later, &ops);
	later_add(&hub, &a.later, &ops); /* it is in the queue already */
	serve("aaabcc", "abc");
}

/* Whoever is gone is passed over, and what it waited in ends all the same. */
static void
test_whose_peer_is_gone(void **state)
{
	struct line a = { .name = 'a', .left = 3, .gone = 2 }, b = { .name = 'b', .left = 1, .gone = 1 };

	(void)state;
	later_add(&hub, &a.later, &ops);
	later_add(&hub, &b.later, &ops);
	serve("a", "ab");
}

static void
test_what_comes_meanwhile(void **state)
{
	struct line d = { .name = 'd', .left = 1 }, c = { .name = 'c', .left = 1 }, b = { .name = 'b', .left = 1 };
	struct line a = { .name = 'a', .left = 2, .brings = &d, .ends = &b };

	(void)state;
	later_add(&hub, &a.later, &ops);
	later_add(&hub, &b.later, &ops);
	later_add(&hub, &c.later, &ops);
	serve("aacd", "acd");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_in_order, set_up),
		cmocka_unit_test_setup(test_whose_peer_is_gone, set_up),
		cmocka_unit_test_setup(test_what_comes_meanwhile, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
