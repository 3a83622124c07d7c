/* links: cmd/diagws-edge/room/frame.c lib/base/buf.c */
/* libs: libcrypto */
/* The edge's PINGs: a PONG gives back the position, or the counter, that was sent, and anything else is none. And its
 * Close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cmd/diagws-edge/room/frame.h"

enum { HEADER = 2 };

static const struct frame_key key = { { 1, 2 }, 3 };

static void
assert_comes_back(struct dw_position position, size_t size)
{
	struct dw_position got = dw_position_start();
	struct dw_buf out = { 0 };

	frame_ping(&out, position, &key);
	assert_int_equal(HEADER + size, out.len);
	assert_int_equal(0x89, (uint8_t)out.data[0]);
	assert_int_equal(size, (uint8_t)out.data[1]);
	assert_true(frame_pong(out.data + HEADER, size, &key, &got));
	assert_true(dw_position_same(position, got));
	for (size_t n = 0; n < size; n++)
		assert_false(frame_pong(out.data + HEADER, n, &key, &got));
	assert_false(frame_pong(out.data + HEADER, size + 1, &key, &got));
	dw_buf_clear(&out);
}

static void
test_a_position_comes_back(void **state)
{
	(void)state;
	assert_comes_back(dw_position_start(), 25);
	assert_comes_back(dw_position_said(1, 2, 0), 25);
	assert_comes_back(dw_position_said(UINT64_MAX, 258, 3), 33);
	assert_comes_back(dw_position_said(0, UINT64_MAX, UINT64_MAX), 33);
}

/* Whatever of it another one says, or of which room: no PING carried that. */
static void
test_no_other_position_is_believed(void **state)
{
	const struct frame_key keys[] = { { { 1, 2 }, 4 }, { { 1, 3 }, 3 }, { { 0, 2 }, 3 } };
	struct dw_position got;
	struct dw_buf out = { 0 };

	(void)state;
	frame_ping(&out, dw_position_said(1000, 999, 7), &key);
	for (size_t bit = 0; bit < 8 * (out.len - HEADER); bit++) {
		out.data[HEADER + bit / 8] ^= (char)(1 << bit % 8);
		assert_false(frame_pong(out.data + HEADER, out.len - HEADER, &key, &got));
		out.data[HEADER + bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_false(frame_pong(out.data + HEADER, out.len - HEADER, &keys[i], &got));
	assert_true(frame_pong(out.data + HEADER, out.len - HEADER, &key, &got));
	dw_buf_clear(&out);
}

static void
test_a_counter_comes_back(void **state)
{
	struct dw_buf out = { 0 };
	struct dw_position position;
	uint64_t counter = 0;

	(void)state;
	frame_ping_counter(&out, 0x0102030405060708);
	assert_true(frame_pong_counter(out.data + HEADER, out.len - HEADER, &counter));
	assert_true(counter == 0x0102030405060708);
	assert_false(frame_pong(out.data + HEADER, out.len - HEADER, &key, &position));
	out.data[HEADER] = 'D';
	assert_false(frame_pong_counter(out.data + HEADER, out.len - HEADER, &counter));
	dw_buf_clear(&out);
}

static void
test_a_close_is_a_control_frame(void **state)
{
	char words[200];
	struct dw_buf out = { 0 };

	(void)state;
	memset(words, 'x', sizeof(words));
	frame_close(&out, 0, (struct dw_str) { words, 3 });
	assert_int_equal(2, out.len);
	assert_memory_equal("\x88\x00", out.data, 2);
	dw_buf_reset(&out);
	frame_close(&out, 1012, (struct dw_str) { words, 3 });
	assert_int_equal(7, out.len);
	assert_memory_equal("\x88\x05\x03\xf4xxx", out.data, 7);
	dw_buf_reset(&out);
	frame_close(&out, 4999, (struct dw_str) { words, sizeof(words) });
	assert_int_equal(HEADER + 125, out.len);
	assert_int_equal(125, (uint8_t)out.data[1]);
	dw_buf_clear(&out);
}

/* Its length takes one, three or nine bytes. */
static void
test_a_text_of_any_length_has_the_shortest_header(void **state)
{
	static const struct {
		size_t n, header;
		const char *bytes;
	} lengths[] = {
		{ 0, 2, "\x81\x00" },
		{ 125, 2, "\x81\x7d" },
		{ 126, 4, "\x81\x7e\x00\x7e" },
		{ 65535, 4, "\x81\x7e\xff\xff" },
		{ 65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00" },
	};
	static char text[65536];
	struct dw_buf out = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		dw_buf_reset(&out);
		frame_text(&out, (struct dw_str) { text, lengths[i].n });
		assert_int_equal(out.len, lengths[i].header + lengths[i].n);
		assert_memory_equal(out.data, lengths[i].bytes, lengths[i].header);
		assert_memory_equal(out.data + lengths[i].header, text, lengths[i].n);
	}
	dw_buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_position_comes_back),
		cmocka_unit_test(test_no_other_position_is_believed),
		cmocka_unit_test(test_a_counter_comes_back),
		cmocka_unit_test(test_a_close_is_a_control_frame),
		cmocka_unit_test(test_a_text_of_any_length_has_the_shortest_header),
	};

	if (!frame_open())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
