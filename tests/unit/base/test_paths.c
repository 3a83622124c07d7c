/* links: lib/base/paths.c lib/base/err.c */
/* Default places, directories and small files, on a folder of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/paths.h"

static char dir[] = "/tmp/test-paths-XXXXXX";

static const char *
in_dir(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(in_dir(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(0, fclose(file));
}

static unsigned
mode_of(const char *name)
{
	struct stat about;

	assert_int_equal(0, stat(in_dir(name), &about));
	return (unsigned)about.st_mode & 07777;
}

static void
test_makes_directories(void **state)
{
	struct dw_fault fault = { 0 };
	mode_t old = umask(077);

	(void)state;
	assert_int_equal(DW_OK, dw_make_dirs(in_dir("a/b/c"), 0751, &fault));
	(void)umask(old);
	assert_int_equal(0751, mode_of("a/b/c"));
	assert_int_equal(0, chmod(in_dir("a/b/c"), 0700));
	assert_int_equal(DW_OK, dw_make_dirs(in_dir("a/b/c"), 0751, &fault));
	assert_int_equal(0700, mode_of("a/b/c"));
	assert_string_equal("", fault.message);
}

static void
test_refuses_directories(void **state)
{
	char longest[DW_PATH_SIZE + 1];
	struct dw_fault fault = { 0 };

	(void)state;
	write_file("file", "");
	assert_int_equal(DW_E_CREATE, dw_make_dirs(in_dir("file"), 0700, &fault));
	assert_non_null(strstr(fault.message, "a file is in the way"));
	assert_int_equal(DW_E_CREATE, dw_make_dirs(in_dir("file/below"), 0700, NULL));
	assert_int_equal(DW_E_CREATE, dw_make_dirs("", 0700, NULL));
	memset(longest, '/', DW_PATH_SIZE);
	longest[DW_PATH_SIZE] = '\0';
	assert_int_equal(DW_E_CREATE, dw_make_dirs(longest, 0700, NULL));
}

static void
test_reads_files(void **state)
{
	struct dw_fault fault = { 0 };
	char *text = NULL;
	size_t n = 99;

	(void)state;
	write_file("five", "12345");
	write_file("none", "");
	assert_int_equal(DW_OK, dw_read_file(in_dir("five"), 5, &text, &n, &fault));
	assert_int_equal(5, n);
	assert_string_equal("12345", text);
	free(text);
	assert_int_equal(DW_OK, dw_read_file(in_dir("none"), 0, &text, &n, &fault));
	assert_int_equal(0, n);
	assert_string_equal("", text);
	free(text);
	text = NULL;
	n = 99;
	assert_int_equal(DW_E_TOO_BIG, dw_read_file(in_dir("five"), 4, &text, &n, &fault));
	assert_int_equal(DW_E_NOINPUT, dw_read_file(in_dir("missing"), 5, &text, &n, &fault));
	assert_non_null(strstr(fault.message, "missing"));
	assert_int_equal(DW_E_NOINPUT, dw_read_file(dir, 5, &text, &n, &fault));
	assert_null(text);
	assert_int_equal(99, n);
}

/* Only where this machine has no place of the system's, which would come first. */
static void
test_default_places(void **state)
{
	char out[DW_PATH_SIZE], wanted[DW_PATH_SIZE];

	(void)state;
	if (access("/run/diagws", F_OK) == 0 || access("/var/lib/diagws", F_OK) == 0)
		skip();
	assert_int_equal(0, setenv("XDG_RUNTIME_DIR", "/run/user/7", 1));
	dw_default_endpoint(false, out);
	assert_string_equal("ipc:///run/user/7/diagws/hub.sock", out);
	assert_int_equal(0, setenv("XDG_RUNTIME_DIR", "relative", 1));
	dw_default_endpoint(true, out);
	(void)snprintf(wanted, sizeof(wanted), "ipc:///tmp/diagws-%u/hub.sock", (unsigned)geteuid());
	assert_string_equal(wanted, out);
	assert_int_equal(0, setenv("HOME", "/home/x", 1));
	assert_int_equal(0, setenv("XDG_STATE_HOME", "/state", 1));
	dw_default_state_dir(out);
	assert_string_equal("/state/diagws", out);
	assert_int_equal(0, unsetenv("XDG_STATE_HOME"));
	dw_default_state_dir(out);
	assert_string_equal("/home/x/.local/state/diagws", out);
}

static int
set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "a/b/c", "a/b", "a", "file", "five", "none", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)remove(in_dir(names[i]));
	return access(dir, F_OK) == 0 ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_makes_directories),
		cmocka_unit_test(test_refuses_directories),
		cmocka_unit_test(test_reads_files),
		cmocka_unit_test(test_default_places),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
