/* Which call a path and a method mean, in a table of the test's. */
/* links: cmd/diagws-edge/http/route.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/route.h"

static const struct route routes[] = {
	{ .path = "/ws/status" },
	{ .path = "/ws/send", .post = true },
	{ .path = "/ws/messages/", .prefix = true },
	{ 0 },
};

static const struct route *route;
static const char *allow;

static enum answer_status
find(const char *method, const char *path)
{
	route = NULL;
	allow = NULL;
	return route_find(routes, method, path, &route, &allow);
}

static void
test_a_call_is_found_by_path_and_method(void **state)
{
	(void)state;
	assert_int_equal(DW_HTTP_OK, find("GET", "/ws/status"));
	assert_ptr_equal(&routes[0], route);
	assert_int_equal(DW_HTTP_OK, find("HEAD", "/ws/status"));
	assert_int_equal(DW_HTTP_OK, find("POST", "/ws/send"));
	assert_ptr_equal(&routes[1], route);
	assert_int_equal(DW_HTTP_OK, find("GET", "/ws/messages/123"));
	assert_ptr_equal(&routes[2], route);
	assert_null(allow);
}

static void
test_another_method_is_told_what_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(DW_HTTP_METHOD, find("GET", "/ws/send"));
	assert_string_equal("POST, OPTIONS", allow);
	assert_int_equal(DW_HTTP_METHOD, find("POST", "/ws/status"));
	assert_string_equal("GET, HEAD, OPTIONS", allow);
	assert_null(route);
}

static void
test_options_ask_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(DW_HTTP_OK, find("OPTIONS", "/ws/send"));
	assert_string_equal("POST, OPTIONS", allow);
	assert_int_equal(DW_HTTP_OK, find("OPTIONS", "*"));
	assert_int_equal(DW_HTTP_NOT_FOUND, find("OPTIONS", "/nowhere"));
	assert_null(route);
}

/* What has the form of a room's, and is no call, is for WebSockets. */
static void
test_a_room_is_no_call(void **state)
{
	(void)state;
	assert_int_equal(DW_HTTP_UPGRADE, find("GET", "/ws/123"));
	assert_int_equal(DW_HTTP_NOT_FOUND, find("POST", "/ws/123"));
	assert_int_equal(DW_HTTP_NOT_FOUND, find("GET", "/ws/"));
	assert_int_equal(DW_HTTP_NOT_FOUND, find("GET", "/ws/messages/1/2"));
	assert_int_equal(DW_HTTP_NOT_FOUND, find("GET", "/ws/messages/"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_is_found_by_path_and_method),
		cmocka_unit_test(test_another_method_is_told_what_is_allowed),
		cmocka_unit_test(test_options_ask_what_there_is),
		cmocka_unit_test(test_a_room_is_no_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
