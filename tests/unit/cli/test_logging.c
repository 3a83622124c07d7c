/* links: lib/cli/logging.c lib/cli/opt.c lib/cli/opt_help.c lib/base/utf8.c lib/base/buf.c lib/base/err.c */
/* libs: jansson */
/* What goes out of a flood of log lines, and what of a value that a stranger wrote. Each case logs in a process of its
 * own, whose clock stands still unless it is moved. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/logging.h"

enum { SAID_MAX = 1 << 16 };

enum look { TERMINAL, JOURNAL, LOGFMT, JSON, LOOKS };

static uint64_t now = 5000;
static char said[SAID_MAX];

uint64_t
dw_mono_ms(void)
{
	return now;
}

uint64_t
dw_now_ms(void)
{
	return now;
}

void
dw_time_text(uint64_t at_ms, char out[DW_TIME_SIZE])
{
	(void)snprintf(out, DW_TIME_SIZE, "%llu", (unsigned long long)at_ms);
}

static void
log_in_child(enum look look, int fd, void (*speak)(void))
{
	(void)dup2(fd, STDERR_FILENO);
	(void)setenv("TERM", "xterm", 1);
	(void)unsetenv("NO_COLOR");
	(void)unsetenv("JOURNAL_STREAM");
	if (look == JOURNAL)
		(void)setenv("JOURNAL_STREAM", "1:2", 1);
	dw_common.log_format = look == JSON ? "json" : look == LOGFMT ? "logfmt" : "auto";
	dw_log_setup("test", DW_LOG_INFO);
	speak();
	exit(0);
}

/* All that the process said, to its end. */
static const char *
hear(enum look look, void (*speak)(void))
{
	struct termios raw;
	size_t have = 0;
	int ends[2], status;
	ssize_t n;
	pid_t child;

	if (look == TERMINAL) {
		ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
		assert_true(ends[0] >= 0 && grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0);
		ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
		assert_int_equal(tcgetattr(ends[1], &raw), 0);
		cfmakeraw(&raw);
		assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
	} else {
		assert_int_equal(pipe(ends), 0);
	}
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		log_in_child(look, ends[1], speak);
	(void)close(ends[1]);
	while ((n = read(ends[0], said + have, sizeof(said) - 1 - have)) > 0)
		have += (size_t)n;
	said[have] = '\0';
	(void)close(ends[0]);
	assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return said;
}

static size_t
count(const char *text, const char *what)
{
	size_t found = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		found++;
	return found;
}

static void
flood(const char *message, size_t lines)
{
	for (size_t i = 0; i < lines; i++)
		dw_log_warn(message, "line=%zu", i);
}

static void
speak_for_a_minute(void)
{
	for (size_t i = 0; i < 60; i++, now += 1000)
		flood("again", 1000);
}

static void
test_a_flood_says_a_few_lines_and_then_one_a_second(void **state)
{
	const char *text = hear(LOGFMT, speak_for_a_minute);

	(void)state;
	assert_int_equal(count(text, "\n"), 10 + 59 + 1); /* the last at the end of the process */
	assert_non_null(strstr(text, "msg=again line=9\n"));
	assert_null(strstr(text, "line=10\n"));
	assert_non_null(strstr(text, "msg=again line=0 left_out=990\n"));
	assert_int_equal(count(text, "left_out=999\n"), 58 + 1);
}

static void
speak_seldom(void)
{
	for (size_t i = 0; i < 100; i++, now += 1000)
		flood("again", 1);
}

static void
test_what_comes_seldom_is_all_said(void **state)
{
	const char *text = hear(LOGFMT, speak_seldom);

	(void)state;
	assert_int_equal(count(text, "\n"), 100);
	assert_null(strstr(text, "left_out"));
}

static void
speak_then_end(void)
{
	flood("a stranger talks", 5000);
	dw_log_error("hub ends", "error=%s", "DW1113");
}

static void
test_what_ends_a_process_is_said_whatever_else_was(void **state)
{
	static const char *const ends[LOOKS] = { "\033[33mwarn \033[0m a stranger talks: left_out=4990\n",
		"<4>level=warn msg=\"a stranger talks\" left_out=4990\n",
		"time=5000 level=warn program=test msg=\"a stranger talks\" left_out=4990\n",
		"{\"time\":\"5000\",\"level\":\"warn\",\"program\":\"test\",\"msg\":\"a stranger "
		"talks\",\"left_out\":\"4990\"}\n" };

	(void)state;
	for (enum look look = 0; look < LOOKS; look++) {
		const char *text = hear(look, speak_then_end);

		assert_int_equal(count(text, "\n"), 10 + 1 + 1);
		assert_non_null(strstr(text, "hub ends"));
		assert_non_null(strstr(text, "DW1113"));
		assert_true(strlen(text) > strlen(ends[look]));
		assert_string_equal(text + strlen(text) - strlen(ends[look]), ends[look]);
	}
}

static void
speak_in_many_kinds(void)
{
	static char messages[1000][16];

	for (size_t round = 0; round < 20; round++)
		for (size_t i = 0; i < 1000; i++) {
			(void)snprintf(messages[i], sizeof(messages[i]), "kind %zu.", i);
			dw_log_warn(messages[i], NULL);
		}
}

static void
test_more_kinds_than_are_told_apart_are_limited_together(void **state)
{
	const char *text = hear(LOGFMT, speak_in_many_kinds);
	const size_t kinds = 63;

	(void)state;
	assert_int_equal(count(text, "\n"), (kinds + 1) * (10 + 1));
	assert_int_equal(count(text, "kind 62.\""), 11);
}

static const char nasty[] = "\xc3\xa9 \xc2\x9b"
							"31m \xe2\x80\xae \xff\xfe \xf0\x9f\x98\x80 \xe2\x80\n\r\t\x1f"
							"code=0\x7f\"\\ \033[31m";

static void
speak_nastily(void)
{
	dw_log_warn("malformed frame", "peer=%s bytes=%zu reason=%.*s age=%lld", nasty, (size_t)7, 2, "\xe2\x80\xae", -1LL);
}

static void
test_values_are_plain_ascii_in_every_look(void **state)
{
	static const char escaped[] =
		"\"\\u00e9 \\u009b31m \\u202e \\u00ff\\u00fe \\ud83d\\ude00 \\u00e2\\u0080\\u000a\\u000d"
		"\\u0009\\u001fcode=0\\u007f\\\"\\\\ \\u001b[31m\"";
	static const char cut[] = "\"\\u00e2\\u0080\""; /* in the middle of a character */

	(void)state;
	for (enum look look = 0; look < LOOKS; look++) {
		const char *text = hear(look, speak_nastily);

		assert_int_equal(count(text, "\n"), 1);
		assert_int_equal(count(text, "\033"), look == TERMINAL ? 2 : 0); /* the level's colour */
		for (const char *at = text; *at != '\0'; at++)
			assert_true(*at == '\n' || *at == '\033' || (*at >= ' ' && *at <= '~'));
		assert_int_equal(count(text, escaped), 1);
		assert_int_equal(count(text, cut), 1);
		assert_int_equal(count(text, look == JSON ? "\"bytes\":\"7\"" : " bytes=7 "), 1);
		assert_int_equal(count(text, look == JSON ? "\"age\":\"-1\"" : " age=-1\n"), 1);
	}
}

static void
test_json_is_json(void **state)
{
	json_t *line = json_loads(hear(JSON, speak_nastily), 0, NULL);

	(void)state;
	assert_non_null(line);
	assert_int_equal(json_object_size(line), 8);
	assert_non_null(strstr(json_string_value(json_object_get(line, "peer")), "\xc3\xa9 \xc2\x9b"
																			 "31m \xe2\x80\xae"));
	assert_null(json_object_get(line, "code"));
	json_decref(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flood_says_a_few_lines_and_then_one_a_second),
		cmocka_unit_test(test_what_comes_seldom_is_all_said),
		cmocka_unit_test(test_what_ends_a_process_is_said_whatever_else_was),
		cmocka_unit_test(test_more_kinds_than_are_told_apart_are_limited_together),
		cmocka_unit_test(test_values_are_plain_ascii_in_every_look),
		cmocka_unit_test(test_json_is_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
