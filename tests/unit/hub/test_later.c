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
#include "request.h"

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

static void
note(char *text, char name)
{
	text[strlen(text)] = name;
}

static void
serve_line(struct hub *unused, struct later *later, request_fn *dispatch)
{
	struct line *line = (struct line *)(void *)later;
	struct request request = { .message.ping.token = (uint64_t)line->name };

	if (line->brings != NULL)
		later_add(&hub, &line->brings->later);
	if (line->ends != NULL)
		later_remove(&hub, &line->ends->later);
	if (line->gone == 0)
		dispatch(unused, &peer, &request);
	else
		line->gone--;
	if (--line->left > 0)
		return;
	note(ended, line->name);
	later_remove(unused, later);
}

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
	struct line a = { .later.serve = serve_line, .name = 'a', .left = 3 },
				b = { .later.serve = serve_line, .name = 'b', .left = 1 },
				c = { .later.serve = serve_line, .name = 'c', .left = 2 };

	(void)state;
	later_add(&hub, &a.later);
	later_add(&hub, &b.later);
	later_add(&hub, &c.later);
	later_add(&hub, &a.later); /* it is in the queue already */
	serve("aaabcc", "abc");
}

/* Whoever is gone is passed over, and what it waited in ends all the same. */
static void
test_whose_peer_is_gone(void **state)
{
	struct line a = { .later.serve = serve_line, .name = 'a', .left = 3, .gone = 2 },
				b = { .later.serve = serve_line, .name = 'b', .left = 1, .gone = 1 };

	(void)state;
	later_add(&hub, &a.later);
	later_add(&hub, &b.later);
	serve("a", "ab");
}

static void
test_what_comes_meanwhile(void **state)
{
	struct line d = { .later.serve = serve_line, .name = 'd', .left = 1 },
				c = { .later.serve = serve_line, .name = 'c', .left = 1 },
				b = { .later.serve = serve_line, .name = 'b', .left = 1 };
	struct line a = { .later.serve = serve_line, .name = 'a', .left = 2, .brings = &d, .ends = &b };

	(void)state;
	later_add(&hub, &a.later);
	later_add(&hub, &b.later);
	later_add(&hub, &c.later);
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
