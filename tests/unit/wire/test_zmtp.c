/* links: lib/wire/zmtp.c lib/base/buf.c */
/* ZMTP at the accepting end: whole, byte by byte, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/wire.h"
#include "wire/zmtp.h"

#define READY "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\6DEALER"

static struct dw_buf out;

static void
greet(struct dw_buf *bytes)
{
	dw_zmtp_greet(bytes);
	dw_buf_add(bytes, READY, sizeof(READY) - 1);
}

static int
next(struct dw_zmtp *zmtp, struct dw_str *bytes, struct dw_str *frame, size_t *need)
{
	dw_buf_reset(&out);
	return dw_zmtp_next(zmtp, bytes, frame, need, &out);
}

static void
test_one_greets_and_speaks(void **state)
{
	struct dw_zmtp zmtp = { 0 };
	struct dw_buf bytes = { 0 };
	struct dw_str rest, frame;
	size_t need;

	(void)state;
	greet(&bytes);
	dw_buf_add(&bytes, "\0\3abc\0\0\0\1", 9);
	rest = dw_bytes(bytes.data, bytes.len);
	assert_int_equal(next(&zmtp, &rest, &frame, &need), DW_OK);
	assert_memory_equal(frame.p, "abc", 3);
	assert_true(dw_zmtp_open(&zmtp));
	assert_memory_equal(out.data, "\4\x29\5READY", 8);
	assert_int_equal(next(&zmtp, &rest, &frame, &need), DW_OK);
	assert_int_equal(frame.n, 0);
	assert_int_equal(next(&zmtp, &rest, &frame, &need), DW_E_AGAIN);
	assert_int_equal(need, 3);
	assert_int_equal(rest.n, 1 + 1);
	dw_buf_clear(&bytes);
}

/* The same, of which so many bytes are there at a time. */
static void
test_bytes_come_as_they_like(void **state)
{
	(void)state;
	for (size_t step = 1; step < 400; step += 7) {
		struct dw_zmtp zmtp = { 0 };
		struct dw_buf bytes = { 0 };
		struct dw_str frame;
		size_t at = 0, there = 0, frames = 0, need = 1;
		uint8_t head[DW_ZMTP_HEAD_MAX];

		greet(&bytes);
		dw_buf_add(&bytes, "\1\2ab\2\0\0\0\0\0\0\0\3abc", 16); /* two frames: passed over */
		dw_buf_add(&bytes, head, dw_zmtp_head(300, head));
		for (size_t i = 0; i < 300; i++)
			dw_buf_addc(&bytes, (char)i);
		while (at < bytes.len) {
			struct dw_str rest;
			int err;

			there = there + step < bytes.len ? there + step : bytes.len;
			rest = dw_bytes(bytes.data + at, there - at);
			err = next(&zmtp, &rest, &frame, &need);
			at = there - rest.n;
			assert_true(err == DW_OK || err == DW_E_AGAIN);
			if (err == DW_E_AGAIN)
				assert_true(need > rest.n);
			else
				assert_int_equal(frame.n, 300 + 0 * frames++);
		}
		assert_int_equal(frames, 1);
		dw_buf_clear(&bytes);
	}
}

static void
test_a_frame_that_is_too_long_is_passed_over(void **state)
{
	struct dw_zmtp zmtp = { 0 };
	struct dw_buf bytes = { 0 };
	struct dw_str rest, frame;
	uint8_t head[DW_ZMTP_HEAD_MAX];
	size_t need, left = (size_t)DW_WIRE_FRAME_MAX + 1;
	char zeros[4096] = { 0 };

	(void)state;
	greet(&bytes);
	dw_buf_add(&bytes, head, dw_zmtp_head(left, head));
	rest = dw_bytes(bytes.data, bytes.len);
	assert_int_equal(next(&zmtp, &rest, &frame, &need), DW_E_TOO_BIG);
	assert_int_equal(frame.n, left);
	while (left > 0) {
		const size_t n = left < sizeof(zeros) ? left : sizeof(zeros);

		rest = dw_bytes(zeros, n);
		assert_int_equal(next(&zmtp, &rest, &frame, &need), DW_E_AGAIN);
		assert_int_equal(rest.n, 0);
		left -= n;
	}
	rest = dw_bytes("\0\1a", 3);
	assert_int_equal(next(&zmtp, &rest, &frame, &need), DW_OK);
	assert_int_equal(frame.n, 1);
	dw_buf_clear(&bytes);
}

static void
test_what_is_no_dealer_ends(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = { { "\0\1a", 3 }, { "\4\6\5READ", 7 }, { "\4\6\5READX", 8 }, { "\4\0", 2 }, { "\4\7\5READY\xff", 9 },
		{ "\4\x1c\5READY\x0bSocket-Type\0\0\0\6ROUTER", 30 }, { "\x10\0", 2 }, { "\5\0", 2 },
		{ "\6\0\0\0\0\0\0\2\1", 9 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dw_zmtp zmtp = { 0 };
		struct dw_buf bytes = { 0 };
		struct dw_str rest, frame;
		size_t need;
		int err;

		dw_zmtp_greet(&bytes);
		dw_buf_add(&bytes, bad[i].bytes, bad[i].n);
		rest = dw_bytes(bytes.data, bytes.len);
		err = next(&zmtp, &rest, &frame, &need);
		/* The second is not all there. */
		assert_int_equal(err, i == 1 ? DW_E_AGAIN : DW_E_PROTOCOL);
		assert_false(dw_zmtp_open(&zmtp));
		dw_buf_clear(&bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_greets_and_speaks),
		cmocka_unit_test(test_bytes_come_as_they_like),
		cmocka_unit_test(test_a_frame_that_is_too_long_is_passed_over),
		cmocka_unit_test(test_what_is_no_dealer_ends),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	dw_buf_clear(&out);
	return failed;
}
