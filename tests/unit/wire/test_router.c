/* links: lib/wire/router.c lib/wire/router_line.c lib/wire/router_listen.c */
/* links: lib/wire/endpoint.c lib/wire/zmtp.c lib/base/buf.c lib/base/err.c lib/base/paths.c */
/* Connections of the hub with a clock of the test's: turns, bounds, and who is let go when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wire/router.h"
#include "wire/wire.h"
#include "wire/zmtp.h"

#define READY "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\6DEALER"

static char dir[] = "/tmp/test-router-XXXXXX";
static char paths[2][64], uris[2][200];
static uint64_t now;
static struct dw_router *router;

uint64_t
dw_mono_ms(void)
{
	return now;
}

static int
begin(void **state)
{
	const struct dw_bind binds[] = { { uris[0], NULL, 0600, 1 }, { uris[1], NULL, 0600, 2 } };

	(void)state;
	now = 1000;
	return dw_router_bind(&router, binds, 2, 8, NULL);
}

static int
end(void **state)
{
	(void)state;
	dw_router_destroy(&router);
	return access(paths[0], F_OK) == 0; /* it took its file away */
}

/* Somebody comes in. */
static int
come(size_t door)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", paths[door]);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	(void)dw_router_turn(router);
	return fd;
}

static void
say(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
	(void)dw_router_turn(router);
}

static void
greet(int fd)
{
	struct dw_buf bytes = { 0 };

	dw_zmtp_greet(&bytes);
	dw_buf_add(&bytes, READY, sizeof(READY) - 1);
	say(fd, bytes.data, bytes.len);
	dw_buf_clear(&bytes);
}

static uint32_t
hear(const char *text)
{
	struct dw_str frame = { 0 };
	uint32_t peer = 0;

	assert_int_equal(dw_router_recv(router, &peer, &frame), DW_OK);
	assert_true(dw_str_is(frame, text));
	return peer;
}

static void
assert_silence(void)
{
	struct dw_str frame;
	uint32_t peer;

	assert_int_equal(dw_router_recv(router, &peer, &frame), DW_E_AGAIN);
}

static void
assert_nobody_gone(void)
{
	const char *why;
	uint32_t peer;

	dw_router_tick(router);
	assert_false(dw_router_gone(router, &peer, &why));
}

static void
assert_gone(const char *words)
{
	const char *why = NULL;
	uint32_t peer;

	dw_router_tick(router);
	assert_true(dw_router_gone(router, &peer, &why));
	if (words != NULL)
		assert_non_null(strstr(why, words));
	else
		assert_null(why);
}

static void
test_peers_take_turns(void **state)
{
	const int a = come(0), b = come(1);
	uint32_t first, second;

	(void)state;
	greet(a);
	greet(b);
	say(a, "\0\1a\0\1b\0\1c", 9);
	say(b, "\0\1x\0\1y", 6);
	first = hear("a");
	second = hear("x");
	assert_silence(); /* neither is done with */
	dw_router_done(router, second);
	assert_int_equal(hear("y"), second);
	dw_router_done(router, first);
	dw_router_done(router, second);
	assert_int_equal(hear("b"), first);
	assert_int_equal(dw_router_roles(router, first), 1);
	assert_int_equal(dw_router_roles(router, second), 2);
	assert_int_equal(dw_router_uid(router, first), getuid());
	(void)close(a);
	(void)dw_router_turn(router);
	dw_router_done(router, first);
	assert_int_equal(hear("c"), first); /* what it said before it went */
	dw_router_done(router, first);
	assert_silence();
	assert_gone(NULL);
	(void)close(b);
}

static void
test_who_says_nothing_is_let_go(void **state)
{
	const int silent = come(0), speaks = come(0);

	(void)state;
	greet(speaks);
	assert_silence();
	now += DW_ROUTER_GREET_MS - 1;
	assert_nobody_gone();
	now++;
	assert_gone("it said nothing");
	now += 3600 * 1000;
	assert_nobody_gone();
	(void)close(silent);
	(void)close(speaks);
}

static void
test_who_begins_a_frame_ends_it(void **state)
{
	const int fd = come(0);

	(void)state;
	greet(fd);
	say(fd, "\0\5ab", 4);
	assert_silence();
	now += DW_ROUTER_FRAME_MS - 1;
	assert_nobody_gone();
	say(fd, "cde", 3);
	dw_router_done(router, hear("abcde"));
	now += DW_ROUTER_FRAME_MS;
	assert_nobody_gone();
	say(fd, "\0\5ab", 4);
	assert_silence();
	now += DW_ROUTER_FRAME_MS;
	assert_gone("did not end");
	(void)close(fd);
}

static void
test_who_takes_nothing_is_let_go(void **state)
{
	static char frame[1024 * 1024];
	const int fd = come(0);
	uint32_t peer, drained;
	size_t unsent;

	(void)state;
	greet(fd);
	say(fd, "\0\1a", 3);
	peer = hear("a");
	dw_router_done(router, peer);
	assert_int_equal(dw_router_send(router, peer, frame, sizeof(frame)), DW_OK);
	unsent = dw_router_unsent(router, peer);
	assert_true(unsent > 0 && unsent < sizeof(frame));
	now += DW_ROUTER_STUCK_MS - 1;
	assert_nobody_gone();
	assert_true(recv(fd, frame, sizeof(frame), 0) > 0); /* it takes something, and has as long again */
	while (recv(fd, frame, sizeof(frame), 0) > 0)
		continue;
	(void)dw_router_turn(router);
	assert_true(dw_router_unsent(router, peer) < unsent);
	now += DW_ROUTER_STUCK_MS - 1;
	assert_nobody_gone();
	while (dw_router_unsent(router, peer) > 0) {
		while (recv(fd, frame, sizeof(frame), 0) > 0)
			continue;
		(void)dw_router_turn(router);
	}
	assert_true(dw_router_drained(router, &drained));
	assert_int_equal(drained, peer);
	assert_int_equal(dw_router_send(router, peer, frame, sizeof(frame)), DW_OK);
	now += DW_ROUTER_STUCK_MS;
	assert_gone("takes nothing");
	assert_int_equal(dw_router_send(router, peer, "a", 1), DW_E_UNKNOWN);
	(void)close(fd);
}

static void
test_what_waits_for_one_has_a_bound(void **state)
{
	static char frame[1024 * 1024];
	const int fd = come(0);
	uint32_t peer;
	int err = DW_OK, count = 0;

	(void)state;
	greet(fd);
	say(fd, "\0\1a", 3);
	peer = hear("a");
	while ((err = dw_router_send(router, peer, frame, sizeof(frame))) == DW_OK && count < 100)
		count++;
	assert_int_equal(err, DW_E_AGAIN);
	assert_true(dw_router_unsent(router, peer) <= DW_ROUTER_UNSENT_MAX);
	(void)close(fd);
}

/* Somebody who is sent so many MiB and reads nothing of it. */
static int
come_deaf(size_t door, size_t count, uint32_t *peer)
{
	static char frame[1024 * 1024];
	const int fd = come(door);

	greet(fd);
	say(fd, "\0\1a", 3);
	*peer = hear("a");
	for (size_t i = 0; i < count; i++)
		assert_int_equal(dw_router_send(router, *peer, frame, sizeof(frame)), DW_OK);
	return fd;
}

static void
test_what_waits_for_all_has_a_bound(void **state)
{
	static char bytes[256 * 1024];
	uint32_t peers[6];
	int fds[6];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		fds[i] = come_deaf(0, 30, &peers[i]);
	assert_nobody_gone();
	fds[4] = come_deaf(1, 30, &peers[4]);
	assert_gone("much is said to others");
	assert_int_equal(dw_router_unsent(router, peers[0]), 0);
	assert_nobody_gone();
	/* The second has taken something, so it is the third. */
	while (recv(fds[1], bytes, sizeof(bytes), 0) > 0)
		continue;
	(void)dw_router_turn(router);
	fds[5] = come_deaf(0, 30, &peers[5]);
	assert_gone("much is said to others");
	assert_true(dw_router_unsent(router, peers[1]) > 0);
	assert_int_equal(dw_router_unsent(router, peers[2]), 0);
	assert_nobody_gone();
	for (size_t i = 0; i < 6; i++)
		(void)close(fds[i]);
}

/* Of eight places one door has four, and the other then two. */
static void
test_no_door_takes_all_places(void **state)
{
	int fds[20];
	uint32_t peers[20];
	size_t in = 0;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		struct dw_str frame;
		char greeting[DW_ZMTP_GREETING];

		fds[i] = come(i < 10 ? 0 : 1);
		if (recv(fds[i], greeting, sizeof(greeting), 0) <= 0)
			continue; /* turned away */
		greet(fds[i]);
		say(fds[i], "\0\1a", 3);
		if (dw_router_recv(router, &peers[in], &frame) == DW_OK)
			dw_router_known(router, peers[in++], true);
	}
	assert_int_equal(in, 4 + 2);
	/* One whom nobody knows any more makes room for the next. */
	dw_router_known(router, peers[0], false);
	now += 1000;
	greet(fds[0] = come(0));
	assert_gone("stranger");
	for (size_t i = 0; i < 20; i++)
		(void)close(fds[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_peers_take_turns, begin, end),
		cmocka_unit_test_setup_teardown(test_who_says_nothing_is_let_go, begin, end),
		cmocka_unit_test_setup_teardown(test_who_begins_a_frame_ends_it, begin, end),
		cmocka_unit_test_setup_teardown(test_who_takes_nothing_is_let_go, begin, end),
		cmocka_unit_test_setup_teardown(test_what_waits_for_one_has_a_bound, begin, end),
		cmocka_unit_test_setup_teardown(test_what_waits_for_all_has_a_bound, begin, end),
		cmocka_unit_test_setup_teardown(test_no_door_takes_all_places, begin, end),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/%zu.sock", dir, i);
		(void)snprintf(uris[i], sizeof(uris[i]), "ipc://%s", paths[i]);
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(uris[i], sizeof(uris[i]), "%s.lock", paths[i]);
		(void)unlink(uris[i]);
	}
	return rmdir(dir) == 0 ? failed : 1;
}
