/* hub */
/* libs: msgpack jansson libcrypto */
/* Whom the hub listens to, and what it costs that there are some to whom it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../lib/hub_kit.h"

enum { TALKER = 1, DEAF = 1000, MANY = 1000, PINGS = 64 * 100 };

static int
set_up(void **state)
{
	(void)state;
	kit_deaf = UINT32_MAX;
	return kit_start(NULL) ? 0 : 1;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end();
	return 0;
}

/* It says all this, when it is heard. */
static void
begin(uint32_t number, struct dw_str frame)
{
	struct peer *peer = peer_get(&hub, number);

	peer->rest = frame;
	peer_talk(&hub, peer, TALK_ON);
}

/* Each is asked once, and not once for each message of the others. */
static void
test_the_deaf_cost_the_others_nothing(void **state)
{
	const struct dw_wire ping = { .kind = DW_PING };
	struct dw_buf frame = { 0 };
	bool more = true;
	size_t hears = 0;

	(void)state;
	kit_hello(TALKER, DW_PEER_CLIENT);
	for (uint32_t i = 0; i < MANY; i++)
		kit_hello(DEAF + i, DW_PEER_CLIENT);
	outbox_flush(&hub);
	for (size_t i = 0; i < PINGS; i++)
		dw_wire_pack(&frame, &ping);
	kit_deaf = DEAF;
	for (uint32_t i = 0; i < MANY; i++)
		begin(DEAF + i, (struct dw_str) { frame.data, frame.len });
	begin(TALKER, (struct dw_str) { frame.data, frame.len });
	kit_asked = 0;
	while (more && ++hears < PINGS)
		(void)hear(&hub, &more);
	assert_int_equal(0, peer_find(&hub, TALKER)->rest.n);
	assert_int_equal(frame.len, peer_find(&hub, DEAF)->rest.n);
	assert_in_range(kit_asked, MANY, hears * MANY + 2 * PINGS);

	/* One that reads again is heard at once, and one that goes while it may not speak is gone. */
	peer_forget(&hub, peer_find(&hub, DEAF));
	peer_forget(&hub, peer_find(&hub, DEAF + MANY - 1));
	kit_deaf = DEAF + 2;
	(void)hear(&hub, &more);
	while (more)
		(void)hear(&hub, &more);
	assert_int_equal(0, peer_find(&hub, DEAF + 1)->rest.n);
	assert_int_equal(frame.len, peer_find(&hub, DEAF + 2)->rest.n);
	outbox_flush(&hub);
	dw_buf_clear(&frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_deaf_cost_the_others_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
