/* links: cmd/diagws-bench/frame.c */
/* What diagws-bench makes of a server's bytes, and of the order of numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cmd/diagws-bench/frame.h"
#include "../../../cmd/diagws-bench/order.h"

/* A frame is taken when its last byte is there, and not before. */
static void
check_frame(const uint8_t *head, size_t head_n, size_t size)
{
	uint8_t *bytes = calloc(1, head_n + size + 1);
	struct frame frame;

	memcpy(bytes, head, head_n);
	for (size_t n = 0; n < head_n + size; n += n < 16 ? 1 : 997)
		assert_int_equal(0, frame_next(bytes, n, &frame));
	assert_int_equal(0, frame_next(bytes, head_n + size - 1, &frame));
	assert_int_equal(head_n + size, frame_next(bytes, head_n + size + 1, &frame));
	assert_int_equal(size, frame.size);
	assert_ptr_equal(bytes + head_n, frame.payload);
	free(bytes);
}

static void
test_lengths(void **state)
{
	const uint8_t small[] = { 0x81, 125 }, middle[] = { 0x81, 126, 0x01, 0x02 };
	const uint8_t large[] = { 0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0 };
	/* Longer than it would have to be: allowed by none, and read by all. */
	const uint8_t odd[] = { 0x81, 127, 0, 0, 0, 0, 0, 0, 0, 5 };

	(void)state;
	check_frame(small, sizeof(small), 125);
	check_frame(middle, sizeof(middle), 0x102);
	check_frame(large, sizeof(large), FRAME_MAX);
	check_frame(odd, sizeof(odd), 5);
}

static void
test_refused(void **state)
{
	static const uint8_t bad[][10] = {
		{ 0x81, 0x81 },                           /* masked */
		{ 0xc1, 1 },                              /* a reserved bit */
		{ 0x83, 1 },                              /* no such opcode */
		{ 0x8b, 1 },                              /* nor this one */
		{ 0x09, 1 },                              /* a PING in parts */
		{ 0x89, 126, 0, 126 },                    /* a PING too long */
		{ 0x81, 127, 0, 0, 0, 0, 0, 0x10, 0, 1 }, /* over the bound */
		{ 0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(-1, frame_next(bad[i], sizeof(bad[i]), &frame));
}

static void
test_a_pong_is_masked(void **state)
{
	uint8_t out[FRAME_MASKED_MAX], payload[FRAME_CONTROL_MAX];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)i;
	n = frame_pong(out, payload, sizeof(payload), 0x12345678);
	assert_int_equal(sizeof(payload) + 6, n);
	assert_int_equal(0x8a, out[0]);
	assert_int_equal(0x80 | sizeof(payload), out[1]);
	assert_memory_not_equal(payload, out + 6, sizeof(payload));
	for (size_t i = 0; i < sizeof(payload); i++)
		assert_int_equal(payload[i], out[6 + i] ^ out[2 + i % 4]);
}

static void
test_order(void **state)
{
	struct order order;
	uint64_t skipped = 9;

	(void)state;
	order_init(&order, 1);
	assert_int_equal(ORDER_NEXT, order_take(&order, 1, &skipped));
	assert_int_equal(0, skipped);
	assert_int_equal(ORDER_AGAIN, order_take(&order, 1, &skipped));
	assert_int_equal(ORDER_NEXT, order_take(&order, 4, &skipped));
	assert_int_equal(2, skipped);
	assert_int_equal(ORDER_LATE, order_take(&order, 2, &skipped));
	assert_int_equal(ORDER_AGAIN, order_take(&order, 2, &skipped));
	assert_int_equal(ORDER_AGAIN, order_take(&order, 4, &skipped));
	assert_int_equal(ORDER_LATE, order_take(&order, 3, &skipped));
	assert_int_equal(ORDER_NEXT, order_take(&order, 500, &skipped));
	assert_int_equal(495, skipped);
	assert_int_equal(ORDER_LATE, order_take(&order, 437, &skipped));
	assert_int_equal(ORDER_AGAIN, order_take(&order, 436, &skipped));
	assert_int_equal(501, order.next);
	assert_int_equal(0, order_open(&order, 501));
	assert_int_equal(0, order_open(&order, 500));
	assert_int_equal(62, order_open(&order, 437));
	assert_int_equal(62, order_open(&order, 1));
	order_init(&order, 7);
	assert_int_equal(0, order_open(&order, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_a_pong_is_masked),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
