/* links: lib/base/lines.c lib/base/buf.c lib/base/err.c */
/* Lines out of a pipe that is filled piece by piece: ends of lines, ends of input, and the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lines.h"

enum { MAX = 10 };

struct play {
	int saved, in;
	struct dw_lines *lines;
};

static int
set_up(void **state)
{
	struct play *play = calloc(1, sizeof(*play));
	int ends[2];

	assert_int_equal(0, pipe(ends));
	play->saved = dup(STDIN_FILENO);
	assert_true(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
	(void)close(ends[0]);
	play->in = ends[1];
	assert_int_equal(DW_OK, dw_lines_open(&play->lines, NULL, MAX, NULL));
	*state = play;
	return 0;
}

static int
tear_down(void **state)
{
	struct play *play = *state;

	if (play->in >= 0)
		(void)close(play->in);
	(void)dup2(play->saved, STDIN_FILENO);
	(void)close(play->saved);
	dw_lines_destroy(&play->lines);
	free(play);
	return 0;
}

/* Puts text into the pipe and reads it; NULL ends the input. */
static void
feed(struct play *play, const char *text)
{
	if (text != NULL) {
		assert_int_equal(strlen(text), write(play->in, text, strlen(text)));
	} else {
		(void)close(play->in);
		play->in = -1;
	}
	assert_int_equal(DW_OK, dw_lines_fill(play->lines, NULL));
}

static void
expect(struct play *play, int err, uint64_t number, const char *text)
{
	struct dw_str line = { 0 };
	uint64_t found = 0;

	assert_int_equal(err, dw_lines_next(play->lines, &line, &found));
	assert_int_equal(number, found);
	if (err == DW_OK)
		assert_true(dw_str_is(line, text));
}

static void
takes_lines_as_they_come(void **state)
{
	struct play *play = *state;

	assert_string_equal("stdin", play->lines->name);
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, "one\ntw");
	expect(play, DW_OK, 1, "one");
	expect(play, DW_E_AGAIN, 0, NULL);
	assert_false(dw_lines_ended(play->lines));
	feed(play, "o\r\n\n\r\n");
	expect(play, DW_OK, 2, "two");
	expect(play, DW_OK, 3, "");
	expect(play, DW_OK, 4, "");
	feed(play, "last");
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, NULL);
	assert_false(dw_lines_ended(play->lines));
	expect(play, DW_OK, 5, "last");
	expect(play, DW_E_AGAIN, 0, NULL);
	assert_true(dw_lines_ended(play->lines));
}

static void
knows_an_empty_input(void **state)
{
	struct play *play = *state;

	feed(play, NULL);
	expect(play, DW_E_AGAIN, 0, NULL);
	assert_true(dw_lines_ended(play->lines));
}

static void
holds_the_bound_exactly(void **state)
{
	struct play *play = *state;

	feed(play, "0123456789\n0123456789\r\n0123456789x\n0123456789xy\nok\n");
	expect(play, DW_OK, 1, "0123456789");
	expect(play, DW_OK, 2, "0123456789");
	expect(play, DW_E_TOO_BIG, 3, NULL);
	expect(play, DW_E_TOO_BIG, 4, NULL);
	expect(play, DW_OK, 5, "ok");
}

/* The bound is held however the line is cut into pieces, with its CR coming alone, too. */
static void
holds_the_bound_in_pieces(void **state)
{
	struct play *play = *state;

	feed(play, "0123456789");
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, "\r");
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, "\n0123456789\r");
	expect(play, DW_OK, 1, "0123456789");
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, "x");
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, "y\nok\n");
	expect(play, DW_E_TOO_BIG, 2, NULL);
	expect(play, DW_OK, 3, "ok");
}

static void
skips_a_long_line_in_bounded_memory(void **state)
{
	struct play *play = *state;
	char piece[4097];

	memset(piece, 'x', sizeof(piece) - 1);
	piece[sizeof(piece) - 1] = '\0';
	for (int i = 0; i < 1000; i++) { /* 4 MB in a buffer of a quarter */
		feed(play, piece);
		expect(play, DW_E_AGAIN, 0, NULL);
	}
	feed(play, "\nok");
	expect(play, DW_E_TOO_BIG, 1, NULL);
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, piece);
	expect(play, DW_E_AGAIN, 0, NULL);
	feed(play, NULL);
	expect(play, DW_E_TOO_BIG, 2, NULL);
	assert_true(dw_lines_ended(play->lines));
}

static void
tells_what_cannot_be_read(void **state)
{
	struct dw_lines *lines = NULL;
	struct dw_fault fault = { 0 };

	(void)state;
	assert_int_equal(DW_E_NOINPUT, dw_lines_open(&lines, "/no/such/file", MAX, &fault));
	assert_null(lines);
	assert_non_null(strstr(fault.message, "/no/such/file"));
	assert_int_equal(DW_OK, dw_lines_open(&lines, "/", MAX, NULL));
	assert_int_equal(DW_E_NOINPUT, dw_lines_fill(lines, &fault));
	assert_true(dw_lines_ended(lines));
	dw_lines_destroy(&lines);
	assert_null(lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_lines_as_they_come),
		TEST(knows_an_empty_input),
		TEST(holds_the_bound_exactly),
		TEST(holds_the_bound_in_pieces),
		TEST(skips_a_long_line_in_bounded_memory),
		cmocka_unit_test(tells_what_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
