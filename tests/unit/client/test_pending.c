/* links: lib/client/pending.c lib/wire/wire.c lib/wire/msgpack.c lib/wire/bus.c lib/wire/endpoint.c lib/base/buf.c */
/* links: lib/wire/router.c lib/wire/router_line.c lib/wire/router_listen.c lib/wire/zmtp.c lib/base/err.c */
/* links: lib/base/paths.c */
/* libs: msgpack libzmq */
/* wraps: dw_bus_send */
/* Requests that a hub has not answered yet, with a clock of the test's: whose answer it is, when one is overdue, and
 * what is sent again. One test has a hub's socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "client/pending.h"
#include "wire/bus.h"
#include "wire/router.h"

enum { TIMEOUT_MS = 5000, GRACE_MS = 1000, WINDOW = 4, BYTES_MAX = 200 * 1000 };

/* An asker, and what it was told. */
struct asker {
	size_t count; /* of calls */
	int err;      /* the last call's, */
	enum dw_wire_kind kind;
	bool ends_others; /* when it is told */
};

static uint64_t now;
static struct dw_pendings all;
static struct dw_buf sent; /* frames, as the bus got them */
static size_t frames, takes;

uint64_t
dw_mono_ms(void)
{
	return now;
}

int __real_dw_bus_send(struct dw_bus *bus, const void *frame, size_t n);
int __wrap_dw_bus_send(struct dw_bus *bus, const void *frame, size_t n);

/* Without a bus it takes so many frames. */
int
__wrap_dw_bus_send(struct dw_bus *bus, const void *frame, size_t n)
{
	if (bus != NULL)
		return __real_dw_bus_send(bus, frame, n);
	if (takes == 0)
		return DW_E_AGAIN;
	takes--;
	frames++;
	dw_buf_add(&sent, frame, n);
	return DW_OK;
}

static int
begin(void **state)
{
	(void)state;
	now = 1000;
	frames = 0;
	takes = SIZE_MAX;
	all = (struct dw_pendings) {
		.window = WINDOW, .bytes_max = BYTES_MAX, .timeout_ms = TIMEOUT_MS, .grace_ms = GRACE_MS
	};
	return dw_pendings_init(&all);
}

static int
end(void **state)
{
	(void)state;
	assert_true(all.count == 0 && all.bytes == 0 && all.unsent == NULL);
	dw_pendings_clear(&all);
	dw_buf_clear(&sent);
	return 0;
}

static void
note(void *user, int err, const struct dw_wire *message)
{
	struct asker *asker = user;

	asker->count++;
	asker->err = err;
	asker->kind = message != NULL ? message->kind : (enum dw_wire_kind)0;
	if (asker->ends_others)
		dw_pendings_end_all(&all, DW_E_BUSY);
}

static uint64_t
ask(const struct dw_wire *request, struct asker *asker)
{
	const struct dw_pending *pending = dw_pendings_add(&all, request, note, asker);

	assert_non_null(pending);
	return pending->corr;
}

static uint64_t
publish(struct asker *asker, uint64_t wait, size_t n)
{
	static char data[DW_DATA_MAX];
	const struct dw_wire request = { .kind = DW_PUBLISH,
		.publish = { .room = DW_STR("123"), .data = { data, n }, .wait = wait, .wait_ms = 3000 } };

	return ask(&request, asker);
}

static uint64_t
ask_for(enum dw_wire_kind kind, struct asker *asker)
{
	return ask(&(struct dw_wire) { .kind = kind }, asker);
}

/* corr and code come first in every answer. */
static bool
answer(uint64_t corr, enum dw_wire_kind kind, uint64_t code)
{
	return dw_pendings_answer(&all, &(struct dw_wire) { .kind = kind, .stored = { .corr = corr, .code = code } });
}

static void
assert_told(const struct asker *asker, size_t count, int err, enum dw_wire_kind kind)
{
	assert_int_equal(asker->count, count);
	assert_int_equal(asker->err, err);
	assert_int_equal(asker->kind, kind);
}

/* The next message that was sent. */
static struct dw_wire
next_sent(struct dw_str *rest)
{
	struct dw_wire message;

	assert_int_equal(dw_wire_next(rest, &message, NULL), DW_OK);
	return message;
}

static void
test_an_answer_goes_to_its_asker(void **state)
{
	struct asker a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	const uint64_t first = publish(&a, 0, 1), second = ask_for(DW_STAT, &b), third = ask_for(DW_OWN, &c),
				   fourth = ask_for(DW_READ, &d);

	(void)state;
	assert_true(answer(third, DW_TABLE, 0) && answer(first, DW_STORED, 0));
	assert_true(answer(fourth, DW_RECORDS, 0) && answer(second, DW_TABLE, 0));
	assert_told(&a, 1, DW_OK, DW_STORED);
	assert_told(&b, 1, DW_OK, DW_TABLE);
	assert_told(&c, 1, DW_OK, DW_TABLE);
	assert_told(&d, 1, DW_OK, DW_RECORDS);
	assert_int_equal(all.ended, 4);
	assert_false(answer(first, DW_STORED, 0)); /* twice */
	assert_false(answer(0, DW_STORED, 0) || answer(UINT64_MAX, DW_STORED, 0));
	assert_true(publish(&a, 0, 1) > fourth); /* a number is not used twice, though its place is */
	assert_false(answer(first, DW_STORED, 0) || answer(second, DW_TABLE, 0));
	assert_int_equal(a.count, 1);
	dw_pendings_end_all(&all, DW_E_CLOSING); /* while who asked is there */
}

static void
test_an_answer_that_is_an_error(void **state)
{
	struct asker a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	(void)state;
	assert_true(answer(publish(&a, 0, 1), DW_STORED, 1103));
	assert_told(&a, 1, DW_E_STORAGE_FULL, DW_STORED);
	assert_true(answer(ask_for(DW_OWN, &b), DW_OWNED, 10000)); /* no error of ours */
	assert_told(&b, 1, DW_E_PROTOCOL, DW_OWNED);
	assert_true(answer(ask_for(DW_READ, &c), DW_TABLE, 0)); /* of another kind */
	assert_told(&c, 1, DW_E_PROTOCOL, (enum dw_wire_kind)0);
	assert_true(answer(publish(&d, 2, 1), DW_DELIVERED, 0)); /* before it is stored */
	assert_told(&d, 1, DW_E_PROTOCOL, (enum dw_wire_kind)0);
}

static void
test_full(void **state)
{
	struct asker a = { 0 };

	(void)state;
	for (size_t i = 0; i < WINDOW; i++) {
		assert_false(dw_pendings_full(&all));
		(void)ask_for(DW_OWN, &a);
	}
	assert_true(dw_pendings_full(&all));
	dw_pendings_end_all(&all, DW_E_CLOSING);
	assert_told(&a, WINDOW, DW_E_CLOSING, (enum dw_wire_kind)0);
	for (size_t i = 0; i < BYTES_MAX / DW_DATA_MAX; i++)
		(void)publish(&a, 0, DW_DATA_MAX);
	assert_false(dw_pendings_full(&all));
	(void)publish(&a, 0, BYTES_MAX % DW_DATA_MAX);
	assert_true(dw_pendings_full(&all));
	dw_pendings_end_all(&all, DW_E_CLOSING);
}

/* What waits at the hub has two answers; it counts towards the bytes only where that is wanted. */
static void
test_two_answers(void **state)
{
	(void)state;
	for (int counts = 0; counts < 2; counts++) {
		struct asker a = { 0 };
		uint64_t corr;
		size_t bytes;

		all.counts_waiting = counts > 0;
		corr = publish(&a, 2, 1);
		bytes = all.bytes;
		assert_true(bytes > 0 && answer(corr, DW_STORED, 0));
		assert_told(&a, 1, DW_OK, DW_STORED);
		assert_true(all.count == 1 && all.bytes == (counts > 0 ? bytes : 0));
		assert_true(answer(corr, DW_STORED, 0)); /* again, by a hub that was asked again */
		assert_told(&a, 1, DW_OK, DW_STORED);
		assert_true(answer(corr, DW_DELIVERED, 1114));
		assert_told(&a, 2, DW_E_UNDELIVERED, DW_DELIVERED);
		assert_true(all.count == 0 && all.bytes == 0);
	}
}

static void
test_overdue(void **state)
{
	struct asker a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	(void)ask_for(DW_STAT, &a);
	now += 100;
	(void)ask_for(DW_OWN, &b);
	assert_true(answer(publish(&c, 1, 1), DW_STORED, 0)); /* has 3 s at the hub and one more */
	dw_pendings_expire(&all, now + 3000 + GRACE_MS - 1, 0);
	assert_true(all.count == 3 && all.look_at == now + 3000 + GRACE_MS);
	dw_pendings_expire(&all, all.look_at, now + 1);
	assert_told(&c, 2, DW_E_TIMEOUT, (enum dw_wire_kind)0); /* the hub was heard since */
	dw_pendings_expire(&all, 1000 + TIMEOUT_MS, 1000);
	assert_told(&a, 1, DW_E_HUB_AWAY, (enum dw_wire_kind)0);
	assert_int_equal(b.count, 0);
	dw_pendings_expire(&all, 1100 + TIMEOUT_MS, 1101);
	assert_told(&b, 1, DW_E_TIMEOUT, (enum dw_wire_kind)0);
	dw_pendings_expire(&all, UINT64_MAX - 1, 0);
	assert_int_equal(all.look_at, UINT64_MAX);
}

static void
test_the_overdue_end_others(void **state)
{
	struct asker a = { .ends_others = true }, b = { 0 };

	(void)state;
	(void)ask_for(DW_STAT, &a);
	for (size_t i = 1; i < WINDOW; i++)
		(void)ask_for(DW_OWN, &b);
	dw_pendings_expire(&all, now + TIMEOUT_MS, 0);
	assert_told(&a, 1, DW_E_HUB_AWAY, (enum dw_wire_kind)0);
	assert_told(&b, WINDOW - 1, DW_E_BUSY, (enum dw_wire_kind)0);
}

/* A message is sent on, for it may be stored already; what only reads is not. */
static void
test_askers_that_go(void **state)
{
	struct asker a = { 0 }, b = { 0 }, c = { 0 };
	const uint64_t first = ask_for(DW_READ, &a), second = publish(&b, 2, 1), third = publish(&c, 2, 1);

	(void)state;
	assert_true(answer(third, DW_STORED, 0));
	dw_pendings_cancel(&all, first);
	dw_pendings_cancel(&all, second);
	dw_pendings_cancel(&all, third);
	dw_pendings_cancel(&all, UINT64_MAX);
	assert_int_equal(all.count, 1);
	assert_true(answer(second, DW_STORED, 0)); /* nobody is there to wait for devices */
	assert_int_equal(all.count, 0);
	assert_true(a.count == 0 && b.count == 0 && c.count == 1);
}

static void
test_sent_together(void **state)
{
	struct asker a = { 0 };
	const uint64_t first = publish(&a, 0, 100), second = publish(&a, 0, DW_WIRE_TOGETHER / 2);
	struct dw_str rest;

	(void)state;
	(void)publish(&a, 0, DW_WIRE_TOGETHER / 2);
	takes = 1;
	assert_false(dw_pendings_send(&all, NULL));
	assert_int_equal(frames, 1);
	rest = (struct dw_str) { sent.data, sent.len };
	assert_int_equal(next_sent(&rest).publish.corr, first);
	assert_int_equal(next_sent(&rest).publish.corr, second);
	assert_int_equal(rest.n, 0);
	assert_ptr_equal(all.unsent, all.first->prev); /* the last */
	assert_true(answer(first, DW_STORED, 0));
	takes = 2;
	(void)ask_for(DW_OWN, &a);
	assert_true(dw_pendings_send(&all, NULL) && dw_pendings_send(&all, NULL));
	assert_true(frames == 2 && all.unsent == NULL);
	assert_true(sent.len > DW_WIRE_TOGETHER);
	dw_pendings_end_all(&all, DW_E_CLOSING);
}

/* What is unsent may be answered, after all: it was sent before, and nothing else is sent for it. */
static void
test_answered_while_unsent(void **state)
{
	struct asker a = { 0 };
	const uint64_t first = ask_for(DW_STAT, &a), second = ask_for(DW_OWN, &a);

	(void)state;
	assert_true(dw_pendings_send(&all, NULL));
	dw_pendings_unsend(&all);
	assert_true(answer(first, DW_TABLE, 0));
	assert_int_equal(all.unsent->corr, second);
	assert_true(answer(second, DW_OWNED, 0));
	assert_null(all.unsent);
}

/* To a new hub all is said again, in the order asked; who waits there waits for the rest of its time. */
static void
test_sent_again(void **state)
{
	struct asker a = { 0 };
	const uint64_t first = publish(&a, 2, 1), second = publish(&a, 2, 1);
	const struct dw_wire poll = { .kind = DW_READ, .read = { .wait_ms = 500 } };
	struct dw_str rest;

	(void)state;
	(void)ask(&poll, &a);
	assert_true(dw_pendings_send(&all, NULL) && answer(first, DW_STORED, 0));
	now += 1000;
	dw_pendings_unsend(&all);
	dw_buf_reset(&sent);
	assert_true(dw_pendings_send(&all, NULL));
	rest = (struct dw_str) { sent.data, sent.len };
	assert_int_equal(next_sent(&rest).publish.wait_ms, 2000);
	assert_int_equal(next_sent(&rest).publish.wait_ms, 3000); /* it does not wait there yet */
	assert_int_equal(next_sent(&rest).read.wait_ms, 1);       /* over, but 0 would be another question */
	assert_int_equal(rest.n, 0);
	assert_true(answer(second, DW_STORED, 0));
	dw_pendings_end_all(&all, DW_E_CLOSING);
}

/* Lets the hub's socket do what it can, until a frame is there. */
static uint32_t
hear(struct dw_router *router, struct dw_bus *bus, struct dw_str *frame)
{
	uint32_t peer = 0;
	int err = DW_E_AGAIN;

	for (int i = 0; i < 1000 && err == DW_E_AGAIN; i++) {
		(void)dw_pendings_send(&all, bus);
		(void)dw_bus_wait(bus, 10);
		assert_int_equal(dw_router_turn(router), DW_OK);
		err = dw_router_recv(router, &peer, frame);
	}
	assert_int_equal(err, DW_OK);
	return peer;
}

static void
test_over_a_socket(void **state)
{
	char dir[] = "/tmp/test-pending-XXXXXX", uri[100], path[100];
	struct asker a = { 0 };
	struct dw_buf answers = { 0 };
	struct dw_router *router;
	struct dw_bus *bus;
	struct dw_wire message;
	struct dw_str frame = { NULL, 0 };
	uint32_t peer;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(uri, sizeof(uri), "ipc://%s/hub.sock", dir);
	assert_int_equal(dw_router_bind(&router, &(struct dw_bind) { uri, NULL, 0600, 1 }, 1, 8, NULL), DW_OK);
	(void)publish(&a, 0, 100);
	(void)ask_for(DW_OWN, &a);
	assert_int_equal(dw_bus_connect(&bus, uri, NULL, NULL), DW_OK);
	peer = hear(router, bus, &frame); /* until the hub is there nothing is sent, and nothing lost */
	while (frame.n > 0) {
		message = next_sent(&frame);
		message = (struct dw_wire) { .kind = message.kind == DW_OWN ? DW_OWNED : DW_STORED,
			.stored = { .corr = message.publish.corr } };
		dw_wire_pack(&answers, &message);
	}
	dw_router_done(router, peer);
	assert_int_equal(dw_router_send(router, peer, answers.data, answers.len), DW_OK);
	assert_true(dw_bus_wait(bus, 10000));
	assert_int_equal(dw_bus_recv(bus, &frame), DW_OK);
	while (frame.n > 0) {
		message = next_sent(&frame);
		assert_true(dw_pendings_answer(&all, &message));
	}
	assert_told(&a, 2, DW_OK, DW_OWNED);
	dw_bus_destroy(&bus);
	dw_router_destroy(&router);
	dw_buf_clear(&answers);
	(void)snprintf(path, sizeof(path), "%s/hub.sock.lock", dir);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_answer_goes_to_its_asker, begin, end),
		cmocka_unit_test_setup_teardown(test_an_answer_that_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(test_full, begin, end),
		cmocka_unit_test_setup_teardown(test_two_answers, begin, end),
		cmocka_unit_test_setup_teardown(test_overdue, begin, end),
		cmocka_unit_test_setup_teardown(test_the_overdue_end_others, begin, end),
		cmocka_unit_test_setup_teardown(test_askers_that_go, begin, end),
		cmocka_unit_test_setup_teardown(test_sent_together, begin, end),
		cmocka_unit_test_setup_teardown(test_answered_while_unsent, begin, end),
		cmocka_unit_test_setup_teardown(test_sent_again, begin, end),
		cmocka_unit_test_setup_teardown(test_over_a_socket, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
