/* Which call a path and a method mean, in a table of the test's. */
/* links: lib/http/route.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/route.h"

static const struct dw_http_route routes[] = {
	{ .path = "/ws/status" },
	{ .path = "/ws/send", .flags = DW_HTTP_POST },
	{ .path = "/ws/messages/", .flags = DW_HTTP_PREFIX },
	{ 0 },
};

static const struct dw_http_route *route;
static const char *allow;

static int
find(const char *method, const char *path)
{
	const struct dw_http_refusal *refusal;

	route = NULL;
	allow = NULL;
	refusal = dw_http_route_find(routes, method, path, &route, &allow);
	return refusal != NULL ? refusal->status : 200;
}

static void
test_a_call_is_found_by_path_and_method(void **state)
{
	(void)state;
	assert_int_equal(200, find("GET", "/ws/status"));
	assert_ptr_equal(&routes[0], route);
	assert_int_equal(200, find("HEAD", "/ws/status"));
	assert_int_equal(200, find("POST", "/ws/send"));
	assert_ptr_equal(&routes[1], route);
	assert_int_equal(200, find("GET", "/ws/messages/123"));
	assert_ptr_equal(&routes[2], route);
	assert_null(allow);
}

static void
test_another_method_is_told_what_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(405, find("GET", "/ws/send"));
	assert_string_equal("POST, OPTIONS", allow);
	assert_int_equal(405, find("POST", "/ws/status"));
	assert_string_equal("GET, HEAD, OPTIONS", allow);
	assert_null(route);
}

static void
test_options_ask_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(200, find("OPTIONS", "/ws/send"));
	assert_string_equal("POST, OPTIONS", allow);
	assert_int_equal(200, find("OPTIONS", "*"));
	assert_int_equal(404, find("OPTIONS", "/nowhere"));
	assert_null(route);
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
		cmocka_unit_test(test_a_room_is_no_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
