/* What was confirmed, on its way to the hub: together where it is the same, and with where each began to read. */
/* links: cmd/diagws-edge/client/confirmations.c lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c */
/* libs: msgpack */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cmd/diagws-edge/client/subscription.h"
#include "../../../cmd/diagws-edge/client/conn.h"
#include "../../../cmd/diagws-edge/edge.h"
#include "../../../cmd/diagws-edge/hub/uplink.h"
#include "../../../cmd/diagws-edge/room/rooms.h"

enum { SUBSCRIPTIONS = 3, SAID_MAX = 8 };

static struct room *room;
static struct conn conns[SUBSCRIPTIONS];
static struct dw_position acked[SUBSCRIPTIONS];
static struct edge edge;
static struct dw_confirm said[SAID_MAX]; /* without sessions, */
static uint64_t sessions[SAID_MAX];      /* but how many */
static size_t count;

bool
uplink_send(struct uplink *uplink, const struct dw_wire *message)
{
	(void)uplink;
	assert_int_equal(message->kind, DW_CONFIRM);
	assert_true(count < SAID_MAX);
	said[count] = message->confirm;
	sessions[count++] = message->confirm.sessions.n / 8;
	return true;
}

struct dw_position
written_acked(const struct subscription *sub)
{
	return acked[sub->conn - conns];
}

static int
set_up(void **state)
{
	(void)state;
	room = calloc(1, sizeof(*room) + sizeof("123"));
	memcpy(room->id, "123", sizeof("123"));
	memset(conns, 0, sizeof(conns));
	memset(acked, 0, sizeof(acked));
	edge.confirmations = NULL;
	count = 0;
	for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
		conns[i].edge = &edge;
		conns[i].session = i + 1;
		conns[i].first.conn = &conns[i];
		conns[i].first.room = room;
		conns[i].first.joined = true;
		conns[i].first.state = SUB_READING;
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(room);
	return 0;
}

static void
confirmed(size_t i, struct dw_position at)
{
	conns[i].first.confirmed = at;
	confirmations_add(&conns[i].first, false);
}

static void
test_who_stands_at_one_position_is_told_together(void **state)
{
	(void)state;
	confirmed(0, dw_position_said(10, 1, 0));
	confirmed(1, dw_position_said(10, 1, 1));
	confirmed(2, dw_position_said(10, 1, 0));
	confirmations_tell(&edge);
	assert_int_equal(2, count);
	assert_int_equal(2, sessions[0]);
	assert_int_equal(1, sessions[1]);
	assert_int_equal(1, dw_own(said[1].at));
	confirmations_tell(&edge);
	assert_int_equal(2, count);
}

static void
test_where_it_began_again_is_told_once(void **state)
{
	struct subscription *sub = &conns[0].first;

	(void)state;
	sub->numbered.begun = 7;
	sub->direct.begun = 2;
	sub->anew = true;
	confirmed(0, dw_position_said(90, 9, 3));
	confirmed(1, dw_position_said(90, 9, 3));
	confirmations_tell(&edge);
	assert_int_equal(2, count);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(1, sessions[i]);
		assert_int_equal(said[i].anew ? 7 : 0, said[i].begun.n);
		assert_int_equal(said[i].anew ? 2 : 0, said[i].begun.own);
	}
	assert_true(said[0].anew != said[1].anew);
	confirmed(0, dw_position_said(100, 10, 3));
	confirmations_tell(&edge);
	assert_int_equal(3, count);
	assert_false(said[2].anew);
}

static void
test_one_that_returns_waits(void **state)
{
	(void)state;
	conns[0].first.state = SUB_RETURNING;
	confirmed(0, dw_position_said(10, 1, 0));
	confirmations_tell(&edge);
	assert_int_equal(0, count);
	conns[0].first.state = SUB_READING;
	confirmations_tell(&edge);
	assert_int_equal(1, count);
}

/* It acknowledges less than its stack has confirmed: both are told. */
static void
test_both_ways_to_confirm_are_told(void **state)
{
	(void)state;
	acked[0] = dw_position_said(80, 8, 0);
	confirmed(0, dw_position_said(90, 9, 0));
	confirmations_add(&conns[0].first, true);
	confirmations_tell(&edge);
	assert_int_equal(2, count);
	assert_true(said[0].sure && !said[1].sure);
	assert_int_equal(8, dw_n(said[0].at));
	assert_int_equal(9, dw_n(said[1].at));
}

/* The hub takes what it is told in that order: nothing behind a gap may come before where it began again. */
static void
test_where_it_began_again_is_told_first(void **state)
{
	struct subscription *sub = &conns[0].first;

	(void)state;
	sub->numbered.begun = 7;
	sub->anew = true;
	acked[0] = dw_position_said(80, 8, 0);
	confirmed(0, dw_position_said(90, 9, 0));
	confirmations_add(sub, true);
	confirmations_tell(&edge);
	assert_int_equal(2, count);
	assert_true(said[0].anew);
	assert_int_equal(7, said[0].begun.n);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_who_stands_at_one_position_is_told_together),
		TEST(test_where_it_began_again_is_told_once),
		TEST(test_one_that_returns_waits),
		TEST(test_both_ways_to_confirm_are_told),
		TEST(test_where_it_began_again_is_told_first),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
