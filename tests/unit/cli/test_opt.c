/* links: lib/cli/opt.c lib/cli/opt_help.c lib/base/utf8.c lib/base/err.c */
/* Options: what the tables promise. Values, their sources and bounds; what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/opt.h"

static struct {
	bool flag, cold;
	const char *text, *choice;
	struct dw_opt_list list;
	int64_t number, duration, size;
} got;

static const struct dw_opt options[] = {
	{ .kind = DW_OPT_HEADING, .help = "Things" },
	{ .kind = DW_OPT_FLAG, .letter = 'f', .name = "flag", .help = "a flag", .target = &got.flag },
	{ .kind = DW_OPT_FLAG, .letter = 'c', .name = "cold", .help = "another", .target = &got.cold },
	{ .kind = DW_OPT_TEXT,
		.letter = 't',
		.name = "text",
		.arg = "T",
		.help = "a text",
		.env = "TEST_TEXT",
		.target = &got.text },
	{ .kind = DW_OPT_CHOICE,
		.name = "choice",
		.arg = "C",
		.help = "a choice",
		.initial = "two",
		.choices = "one|two|three",
		.target = &got.choice },
	{ .kind = DW_OPT_LIST, .name = "list", .arg = "L", .help = "a list", .env = "TEST_LIST", .target = &got.list },
	{ .kind = DW_OPT_NUMBER,
		.name = "number",
		.arg = "N",
		.help = "a number",
		.env = "TEST_NUMBER",
		.initial = "7",
		.target = &got.number,
		.min = 1,
		.max = 10 },
	{ .kind = DW_OPT_DURATION,
		.name = "duration",
		.arg = "D",
		.help = "a duration",
		.initial = "2h",
		.target = &got.duration },
	{ .kind = DW_OPT_SIZE, .name = "size", .arg = "S", .help = "a size", .initial = "64K", .target = &got.size },
	{ 0 },
};
static const struct dw_opt *const groups[] = { options, dw_opt_common, NULL };
static const struct dw_command command = {
	.name = "test", .summary = "a test", .usage = "[OPTION]...", .groups = groups
};

static int
parse(int *first, char **operand, ...)
{
	char *argv[16] = { (char *)(uintptr_t) "test" };
	int argc = 1, at = 0, err;
	va_list args;
	char *word;

	va_start(args, operand);
	while ((word = va_arg(args, char *)) != NULL)
		argv[argc++] = word;
	va_end(args);
	err = dw_opt_parse(&command, argc, argv, &at);
	if (err == DW_OK && first != NULL)
		*first = argc - at;
	if (err == DW_OK && operand != NULL)
		*operand = argv[at];
	return err;
}

static int
set_up(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	(void)unsetenv("TEST_TEXT");
	(void)unsetenv("TEST_LIST");
	(void)unsetenv("TEST_NUMBER");
	return 0;
}

static void
test_values(void **state)
{
	char *operand;
	int operands;

	(void)state;
	assert_int_equal(DW_OK, parse(&operands, &operand, "-fcc", "x", "--text=a b", "--choice", "two", "--list", "l1",
								"--list=l2", "--number", "10", "--duration", "2m", "--size=64K", "--", "-f", NULL));
	assert_true(got.flag);
	assert_true(got.cold);
	assert_string_equal("a b", got.text);
	assert_string_equal("two", got.choice);
	assert_int_equal(2, got.list.count);
	assert_string_equal("l2", got.list.item[1]);
	assert_int_equal(10, got.number);
	assert_int_equal(120000, got.duration);
	assert_int_equal(65536, got.size);
	assert_int_equal(2, operands);
	assert_string_equal("x", operand);
}

static void
test_environment(void **state)
{
	(void)state;
	(void)setenv("TEST_TEXT", "from env", 1);
	(void)setenv("TEST_LIST", " a  b\tc ", 1);
	(void)setenv("TEST_NUMBER", "7", 1);
	assert_int_equal(DW_OK, parse(NULL, NULL, "--number", "8", NULL));
	assert_string_equal("from env", got.text);
	assert_int_equal(3, got.list.count);
	assert_string_equal("c", got.list.item[2]);
	assert_int_equal(8, got.number);
	assert_int_equal(DW_OK, parse(NULL, NULL, "--list", "flag", NULL));
	assert_int_equal(1, got.list.count);
	assert_string_equal("flag", got.list.item[0]);
	(void)setenv("TEST_NUMBER", "eleven", 1);
	assert_int_equal(DW_E_USAGE, parse(NULL, NULL, NULL));
}

/* What is not given is what its row shows, where the command says so, even if --help seems to be asked for. */
static void
test_initials(void **state)
{
	static const struct dw_command initials = { .name = "test", .groups = groups, .takes_initials = true };
	char *argv[] = { (char *)(uintptr_t) "test", (char *)(uintptr_t) "--text", (char *)(uintptr_t) "-h", NULL };
	int first;

	(void)state;
	(void)setenv("TEST_NUMBER", "8", 1);
	assert_int_equal(DW_OK, dw_opt_parse(&initials, 1, argv, &first));
	assert_int_equal(8, got.number);
	assert_int_equal(2 * 3600 * 1000, got.duration);
	assert_int_equal(64 * 1024, got.size);
	assert_string_equal("two", got.choice);
	assert_null(got.text);
	assert_int_equal(DW_OK, dw_opt_parse(&initials, 3, argv, &first));
	assert_int_equal(7, got.number);
	assert_string_equal("-h", got.text);
}

static void
test_refuses(void **state)
{
	static const char *const bad[][2] = { { "--number", "0" }, { "--number", "11" }, { "--number", "3x" },
		{ "--number", "" }, { "--number", "99999999999999999999" }, { "--duration", "5y" }, { "--duration", "-5s" },
		{ "--duration", "1.5s" }, { "--duration", "999999999999999999d" }, { "--size", "1T" }, { "--size", "K" },
		{ "--choice", "on" }, { "--choice", "one|two" }, { "--choice", "" }, { "--unknown", NULL }, { "-x", NULL },
		{ "--flag=1", NULL }, { "--text", NULL } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(DW_E_USAGE, parse(NULL, NULL, bad[i][0], bad[i][1], NULL));
}

static void
test_help_wins(void **state)
{
	(void)state;
	(void)setenv("TEST_NUMBER", "eleven", 1);
	assert_int_equal(DW_OPT_DONE, parse(NULL, NULL, "--help", NULL));
}

static void
test_grammar_of_values(void **state)
{
	int64_t value = -1;

	(void)state;
	assert_true(dw_parse_duration("250ms", &value) && value == 250);
	assert_true(dw_parse_duration("5", &value) && value == 5000);
	assert_true(dw_parse_duration("7d", &value) && value == 7 * 86400000LL);
	assert_true(dw_parse_size("16G", &value) && value == 16LL << 30);
	assert_true(dw_parse_number("-3", &value) && value == -3);
	assert_false(dw_parse_number(" 3", &value));
	assert_false(dw_parse_number("+3", &value));
	assert_false(dw_parse_number("0x3", &value));
	assert_int_equal(-3, value);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_values, set_up), cmocka_unit_test_setup(test_environment, set_up),
		cmocka_unit_test_setup(test_initials, set_up), cmocka_unit_test_setup(test_refuses, set_up),
		cmocka_unit_test_setup(test_grammar_of_values, set_up),
		cmocka_unit_test_setup(test_help_wins, set_up), /* last: help stays asked for */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
