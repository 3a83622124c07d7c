/* UTF-8: every character there is, what is none, and texts that come in pieces. */
/* links: lib/base/utf8.c */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t
encode(uint32_t c, uint8_t out[4])
{
	const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t mark[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)(mark[n] | c);
	return n;
}

static void
every_character(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		struct dw_utf8 utf8 = { 0 };
		uint8_t text[4];
		const size_t n = encode(c, text);

		if (c >= 0xd800 && c <= 0xdfff) {
			assert_false(dw_utf8_take(&utf8, text, n));
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			assert_true(dw_utf8_take(&utf8, text + i, 1));
			assert_int_equal(utf8.left == 0, i + 1 == n);
		}
	}
}

static void
what_is_none(void **state)
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3(", "\xe0\x9f\xbf", "\xe2\x82(",
		"\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82z" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dw_utf8 utf8 = { 0 };

		assert_false(dw_utf8_take(&utf8, bad[i], strlen(bad[i])));
	}
}

static void
a_text_that_ends_in_a_character(void **state)
{
	struct dw_utf8 utf8 = { 0 };

	(void)state;
	assert_true(dw_utf8_take(&utf8, "price \xe2\x82", 8));
	assert_int_equal(utf8.left, 1);
	assert_true(dw_utf8_take(&utf8, "\xac 5", 3));
	assert_int_equal(utf8.left, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(a_text_that_ends_in_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
