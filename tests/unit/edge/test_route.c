/* Which call a path and a method mean, in a table of the test's. */
/* links: lib/http/route.c lib/http/head.c lib/base/buf.c lib/base/utf8.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/route.h"

static const struct dw_http_refusal upgrade = { 426, "upgrade_required", "here are WebSockets" };

static const struct dw_http_route routes[] = {
	{ .path = "/ws/status" },
	{ .path = "/ws/send", .flags = DW_HTTP_POST },
	{ .path = "/ws/messages/{id}" },
	{ .path = "/rooms/{id}/summary" },
	{ .path = "/rooms/{id}" },
	{ .path = "/rooms/{id}", .flags = DW_HTTP_PUT },
	{ .path = "/rooms", .flags = DW_HTTP_POST },
	{ .path = "/rooms" },
	{ .path = "/herbs/{name}", .flags = DW_HTTP_NAMED },
	{ .path = "/ws/{id}", .refusal = &upgrade },
	{ 0 },
};

static struct dw_http_found found;

static int
find(const char *method, const char *path)
{
	const struct dw_http_refusal *refusal = dw_http_route_find(routes, method, path, &found);

	return refusal != NULL ? refusal->status : 200;
}

static void
test_a_call_is_found_by_path_and_method(void **state)
{
	(void)state;
	assert_int_equal(200, find("GET", "/ws/status"));
	assert_ptr_equal(&routes[0], found.route);
	assert_int_equal(200, find("HEAD", "/ws/status"));
	assert_int_equal(200, find("POST", "/ws/send"));
	assert_ptr_equal(&routes[1], found.route);
	assert_int_equal(200, find("GET", "/ws/messages/123"));
	assert_ptr_equal(&routes[2], found.route);
	assert_null(found.allow);
}

static void
test_another_method_is_told_what_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(405, find("GET", "/ws/send"));
	assert_string_equal("POST, OPTIONS", found.allow);
	assert_int_equal(405, find("POST", "/ws/status"));
	assert_string_equal("GET, HEAD, OPTIONS", found.allow);
	assert_null(found.route);
}

static void
test_options_ask_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(200, find("OPTIONS", "/ws/send"));
	assert_string_equal("POST, OPTIONS", found.allow);
	assert_int_equal(200, find("OPTIONS", "*"));
	assert_string_equal("GET, HEAD, POST, PUT, OPTIONS", found.allow);
	assert_int_equal(200, find("OPTIONS", "/rooms/1"));
	assert_string_equal("GET, HEAD, PUT, OPTIONS", found.allow);
	assert_int_equal(404, find("OPTIONS", "/nowhere"));
	assert_null(found.route);
}

static void
assert_part(int status, const char *path, const char *part)
{
	char text[257];

	assert_int_equal(status, find("GET", path));
	assert_true(dw_http_route_part(&found, text, sizeof(text)));
	assert_string_equal(part, text);
}

static void
test_one_part_of_a_path_is_any(void **state)
{
	(void)state;
	assert_part(200, "/rooms/12/summary", "12");
	assert_part(200, "/rooms/1#32", "1#32");
	assert_part(200, "/ws/messages/123", "123");
	assert_int_equal(404, find("GET", "/rooms/12/summary/"));
	assert_int_equal(404, find("GET", "/rooms/12/other"));
	assert_int_equal(404, find("GET", "/rooms//summary"));
	assert_int_equal(404, find("GET", "/room"));
	assert_int_equal(404, find("GET", "/rooms/"));
}

static void
test_a_path_may_take_several_methods(void **state)
{
	(void)state;
	assert_int_equal(200, find("PUT", "/rooms/12"));
	assert_ptr_equal(&routes[5], found.route);
	assert_int_equal(200, find("GET", "/rooms/12"));
	assert_ptr_equal(&routes[4], found.route);
	assert_int_equal(405, find("DELETE", "/rooms/12"));
	assert_string_equal("GET, HEAD, PUT, OPTIONS", found.allow);
	assert_int_equal(405, find("PUT", "/rooms"));
	assert_string_equal("GET, HEAD, POST, OPTIONS", found.allow);
}

static bool
is_name(const char *canonical)
{
	char path[1024] = "/herbs/", text[257];

	(void)strncat(path, canonical, sizeof(path) - sizeof("/herbs/"));
	assert_int_equal(200, find("GET", path));
	return dw_http_route_part(&found, text, sizeof(text));
}

static const char *
repeat(const char *text, size_t times)
{
	static char out[1024];

	out[0] = '\0';
	while (times-- > 0)
		(void)strncat(out, text, sizeof(out) - strlen(out) - 1);
	return out;
}

/* Four bytes a character at the most, which is 12 in the path. */
static void
test_a_name_is_decoded(void **state)
{
	(void)state;
	assert_part(200, "/herbs/#da#af#d9#84", "\xda\xaf\xd9\x84");
	assert_part(200, "/herbs/a+b#20c!", "a+b c!");
	assert_true(is_name(repeat("x", 64)));
	assert_false(is_name(repeat("x", 65)));
	assert_true(is_name(repeat("#da#af", 64)));
	assert_false(is_name(repeat("#da#af", 65)));
	assert_true(is_name(repeat("#f0#9f#8c#bf", 64)));
	assert_false(is_name("#f0#9f#8c"));
	assert_false(is_name("a#0ab"));
	assert_false(is_name("#7f"));
	assert_false(is_name("#c2#80"));
	assert_true(is_name("#c2#a0"));
	assert_false(is_name("#c0#af"));
	assert_false(is_name("#ed#a0#80"));
}

/* What has the form of a room's, and is no call, is for WebSockets. */
static void
test_a_room_is_no_call(void **state)
{
	(void)state;
	assert_int_equal(426, find("GET", "/ws/123"));
	assert_int_equal(404, find("POST", "/ws/123"));
	assert_int_equal(404, find("GET", "/ws/"));
	assert_int_equal(404, find("GET", "/ws/messages/1/2"));
	assert_int_equal(404, find("GET", "/ws/messages/"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_is_found_by_path_and_method),
		cmocka_unit_test(test_another_method_is_told_what_is_allowed),
		cmocka_unit_test(test_options_ask_what_there_is),
		cmocka_unit_test(test_one_part_of_a_path_is_any),
		cmocka_unit_test(test_a_path_may_take_several_methods),
		cmocka_unit_test(test_a_name_is_decoded),
		cmocka_unit_test(test_a_room_is_no_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
