/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* Who introduces itself, anew or once more, and as whom; and PING. */
#include "../../lib/hub_talk.h"

static void
hello(uint32_t peer, uint64_t id, uint64_t incarnation)
{
	kit_say(peer, &(struct dw_wire) { .kind = DW_HELLO,
					  .hello = { .version = dw_protocol_version(),
						  .kind = DW_PEER_EDGE,
						  .peer = id,
						  .incarnation = incarnation,
						  .name = DW_STR("new") } });
}

static void
test_welcome(void **state)
{
	const struct dw_welcome *welcome;

	(void)state;
	(void)publishes();
	hub.id = 77;
	hello(FIRST_FREE, 99, 3);
	welcome = &told(FIRST_FREE, DW_WELCOME)->welcome;
	assert_int_equal(dw_protocol_version(), welcome->version);
	assert_text(hub.info.epoch, welcome->epoch);
	assert_int_equal(77, welcome->hub);
	assert_int_equal(1, welcome->head);
	assert_int_equal(HUB_WINDOW, welcome->window);
	assert_int_equal(3, welcome->incarnation);
	assert_int_equal(3, hub.edges);
	assert_string_equal("new", peer_of_id(&hub, 99)->name);
}

static void
test_another_version(void **state)
{
	const struct dw_refused *refused;

	(void)state;
	kit_say(FIRST_FREE, &(struct dw_wire) { .kind = DW_HELLO, .hello = { .version = 9999, .kind = DW_PEER_EDGE } });
	refused = &told(FIRST_FREE, DW_REFUSED)->refused;
	assert_int_equal(-DW_E_VERSION, refused->code);
	assert_non_null(strstr(refused->text.p, "you speak 9999"));
	assert_false(peer_find(&hub, FIRST_FREE)->known);
}

static void
test_no_socket_for_edges(void **state)
{
	(void)state;
	kit_roles = ROLE_ALL & ~ROLE_EDGE;
	hello(FIRST_FREE, 99, 1);
	assert_int_equal(-DW_E_PERMISSION, told(FIRST_FREE, DW_REFUSED)->refused.code);
	assert_null(peer_of_id(&hub, 99));
	assert_int_equal(2, hub.edges);
}

/* It is asked who it is, and not for each of its messages. */
static void
test_a_stranger(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		publish_as(FIRST_FREE, (struct dw_publish) { .corr = 1 });
	(void)told(FIRST_FREE, DW_WHO);
	told_nothing(FIRST_FREE);
	pass(1 * SECOND);
	publish_as(FIRST_FREE, (struct dw_publish) { .corr = 1 });
	(void)told(FIRST_FREE, DW_WHO);
	assert_int_equal(0, hub.info.head);
}

/* The same once more is welcomed, and keeps what it has. */
static void
test_the_same_again(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	hello(EDGE, EDGE, 1);
	assert_int_equal(1, told(EDGE, DW_WELCOME)->welcome.incarnation);
	assert_int_equal(1, hub.rooms_shared.sessions);
	assert_int_equal(1, peer_find(&hub, EDGE)->sessions);
}

/* It began anew: what it had is over, and what it was sent does not count against its credit. */
static void
test_a_newer_one(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	hello(EDGE, EDGE, 2);
	assert_int_equal(2, told(EDGE, DW_WELCOME)->welcome.incarnation);
	assert_int_equal(0, hub.rooms_shared.sessions);
	assert_int_equal(0, peer_find(&hub, EDGE)->sessions);
	assert_int_equal(0, peer_find(&hub, EDGE)->sent);
	assert_int_equal(2, hub.edges);
	(void)publishes();
	told_nothing(EDGE);
	assert_int_equal(0, kit_closed);
}

/* By another connection: the older one is closed, with its sessions. */
static void
test_a_newer_one_elsewhere(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	hello(FIRST_FREE, EDGE, 2);
	(void)told(FIRST_FREE, DW_WELCOME);
	assert_int_equal(EDGE, kit_closed);
	assert_null(peer_find(&hub, EDGE));
	assert_int_equal(0, hub.rooms_shared.sessions);
	assert_int_equal(FIRST_FREE, peer_of_id(&hub, EDGE)->number);
}

/* What was said before comes late, by either way: it is not answered, and changes nothing. */
static void
test_an_older_one(void **state)
{
	(void)state;
	hello(EDGE, EDGE, 5);
	(void)told(EDGE, DW_WELCOME);
	(void)joins(EDGE, 1, "ann", "phone");
	hello(EDGE, EDGE, 4);
	hello(FIRST_FREE, EDGE, 4);
	told_nothing(EDGE);
	told_nothing(FIRST_FREE);
	assert_int_equal(0, kit_closed);
	assert_int_equal(5, peer_of_id(&hub, EDGE)->incarnation);
	assert_int_equal(1, hub.rooms_shared.sessions);
}

/* Nobody takes over what another user has, or what came in by another door. */
static void
test_an_impostor(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	kit_strange = FIRST_FREE;
	hello(FIRST_FREE, EDGE, 2);
	told_nothing(FIRST_FREE);
	kit_strange = UINT32_MAX;
	kit_roles = ROLE_EDGE;
	hello(FIRST_FREE + 1, EDGE, 2);
	told_nothing(FIRST_FREE + 1);
	assert_int_equal(EDGE, peer_of_id(&hub, EDGE)->number);
	assert_int_equal(1, hub.rooms_shared.sessions);
}

static void
test_ping(void **state)
{
	const struct dw_wire ping = { .kind = DW_PING, .ping = { 42 } };
	const struct dw_wire *pong;

	(void)state;
	kit_say(EDGE, &ping);
	pong = told(EDGE, DW_PONG);
	assert_int_equal(42, pong->pong.token);
	assert_true(pong->pong.writable);
	kit_fails = DW_E_STORAGE_FULL;
	assert_int_equal(-DW_E_STORAGE_FULL, publishes_as((struct dw_publish) { .corr = 1 })->code);
	kit_say(EDGE, &ping);
	assert_false(told(EDGE, DW_PONG)->pong.writable);
	kit_fails = DW_OK;
	(void)publishes();
	kit_say(EDGE, &ping);
	assert_true(told(EDGE, DW_PONG)->pong.writable);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_welcome),
		TALK(test_another_version),
		TALK(test_no_socket_for_edges),
		TALK(test_a_stranger),
		TALK(test_the_same_again),
		TALK(test_a_newer_one),
		TALK(test_a_newer_one_elsewhere),
		TALK(test_an_older_one),
		TALK(test_an_impostor),
		TALK(test_ping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
