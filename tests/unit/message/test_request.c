/* links: lib/message/request.c lib/message/msg.c lib/json/json_plain.c lib/json/json.c lib/base/buf.c lib/base/err.c */
/* links: lib/base/utf8.c */
/* libs: jansson */
/* The two shapes of a request: what is taken from them, what is refused, and that the room is known
 * when something else is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "message/msg.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *
text_of(const struct dw_buf *b)
{
	return b->data != NULL ? b->data : "";
}

static void
test_general_accepted(void **state)
{
	static const struct {
		const char *room_default, *type_default, *body, *room, *type, *id, *data;
	} good[] = {
		{ NULL, NULL, "{\"diagnosis_id\":123,\"type\":\"vitals_update\",\"data\":{\"a\": 1.10},\"id\":\"x:1\"}", "123",
			"vitals_update", "x:1", "{\"a\":1.10}" },
		{ NULL, NULL, " {\"data\":{ } , \"type\":\"vitals_update\",\"diagnosis_id\":\"007\" }\r\n", "007",
			"vitals_update", "", "{}" },
		{ NULL, NULL,
			"{\"diagnosis_id\":0,\"type\":\"feedback\",\"id\":null,\"data\":{\"feedback_id\":1,\"rating\":5,"
			"\"effectiveness\":1}}",
			"0", "feedback_update", "", "{\"feedback_id\":1,\"rating\":5,\"effectiveness\":1}" },
		{ "case-7", "recommendation", "{\"data\":{\"old_data\":{},\"new_data\":{}}}", "case-7", "recommendation_update",
			"", "{\"old_data\":{},\"new_data\":{}}" },
		{ "case-7", "feedback", "{\"diagnosis_id\":5,\"type\":\"x_update\",\"data\":{}}", "5", "x_update", "", "{}" },
		{ NULL, NULL, "{\"diagnosis\\u005fid\":5,\"type\":\"\\u0078_update\",\"data\":{\"user\":1}}", "5", "x_update",
			"", "{\"user\":1}" },
	};
	struct dw_request request = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct dw_fault fault = { 0 };

		if (dw_request_general(&request, good[i].room_default, good[i].type_default, good[i].body, strlen(good[i].body),
				&fault) != DW_OK)
			fail_msg("%s: %s", good[i].body, fault.message);
		assert_string_equal(good[i].room, request.room);
		assert_string_equal(good[i].type, request.type);
		assert_string_equal(good[i].id, request.id);
		assert_string_equal(good[i].data, text_of(&request.data));
		assert_int_equal(0, request.scalars.len);
	}
	dw_request_clear(&request);
}

static void
test_general_refused(void **state)
{
#define ROOM "\"diagnosis_id\":123,"
#define MORE ",\"type\":\"x_update\",\"data\":{}}"
	static const struct {
		const char *body;
		int err;
		const char *room, *field, *message;
	} bad[] = {
		{ "", DW_E_JSON, "", "", "line 1, column 1: nothing there" },
		{ "{" ROOM "\"diagnosis_id\":124" MORE, DW_E_JSON, "", "", "line 1, column 34: duplicate key" },
		{ "{" ROOM "\"data\":{\"a\":1e400}}", DW_E_FIELD, "", "", "line 1, column 37: number too large" },
		{ "[1]", DW_E_FIELD, "", "", "[1] is not an object" },
		{ "123", DW_E_FIELD, "", "", "123 is not an object" },
		{ "{\"type\":\"x_update\",\"data\":{}}", DW_E_FIELD, "", "diagnosis_id", "field 'diagnosis_id' is missing" },
		{ "{\"diagnosis_id\":null" MORE, DW_E_FIELD, "", "diagnosis_id",
			"field 'diagnosis_id': null is not a diagnosis id" },
		{ "{\"diagnosis_id\":-1" MORE, DW_E_FIELD, "", "diagnosis_id",
			"field 'diagnosis_id': -1 is not a diagnosis id" },
		{ "{\"diagnosis_id\":1.5" MORE, DW_E_FIELD, "", "diagnosis_id",
			"field 'diagnosis_id': 1.5 is not a diagnosis id" },
		{ "{\"diagnosis_id\":9007199254740992" MORE, DW_E_FIELD, "", "diagnosis_id",
			"field 'diagnosis_id': 9007199254740992 is not a diagnosis id" },
		{ "{\"diagnosis_id\":\"a b\"" MORE, DW_E_FIELD, "", "diagnosis_id",
			"field 'diagnosis_id': \"a b\" is not a diagnosis id" },
		{ "{\"diagnosis_id\":\"\"" MORE, DW_E_FIELD, "", "diagnosis_id",
			"field 'diagnosis_id': \"\" is not a diagnosis id" },
		{ "{\"diagnosis_id\":\"0123456789012345678901234567890123456789012345678901234567890123x\"" MORE, DW_E_FIELD,
			"", "diagnosis_id",
			"field 'diagnosis_id': \"0123456789012345678901234567890123456789012… is not a diagnosis id" },
		{ "{" ROOM "\"data\":{}}", DW_E_FIELD, "123", "type", "field 'type' is missing" },
		{ "{" ROOM "\"type\":null,\"data\":{}}", DW_E_FIELD, "123", "type", "field 'type': null is not a string" },
		{ "{" ROOM "\"type\":\"vitals\",\"data\":{}}", DW_E_FIELD, "123", "type",
			"field 'type': \"vitals\" is not a type of message" },
		{ "{" ROOM "\"type\":\"x_update\"}", DW_E_FIELD, "123", "data", "field 'data' is missing" },
		{ "{" ROOM "\"type\":\"x_update\",\"data\":null}", DW_E_FIELD, "123", "data",
			"field 'data': null is not an object" },
		{ "{" ROOM "\"type\":\"x_update\",\"data\":\"{}\"}", DW_E_FIELD, "123", "data",
			"field 'data': \"{}\" is not an object" },
		{ "{" ROOM "\"type\":\"feedback\",\"data\":{\"feedback_id\":1,\"rating\":6}}", DW_E_FIELD, "123", "rating",
			"field 'rating': 6 is not within 1..5" },
		{ "{" ROOM "\"id\":7" MORE, DW_E_FIELD, "123", "id", "field 'id': 7 is not a string" },
		{ "{" ROOM "\"id\":\"\"" MORE, DW_E_FIELD, "123", "id", "field 'id': \"\" is not an id" },
		{ "{" ROOM "\"id\":\"a b\"" MORE, DW_E_FIELD, "123", "id", "field 'id': \"a b\" is not an id" },
		{ "{" ROOM "\"dta\":1" MORE, DW_E_FIELD, "123", "dta", "field 'dta' is unknown" },
		{ "{" ROOM "\"a\\u001b\\n\":1" MORE, DW_E_FIELD, "123", "a?\?", "field 'a?\?' is unknown" },
		{ "{" ROOM "\"user\":\"\"" MORE, DW_E_FIELD, "123", "user", "field 'user': \"\" is not a user id" },
		{ "{" ROOM "\"user\":\"a\\tb\"" MORE, DW_E_FIELD, "123", "user", "field 'user': \"a\\tb\" is not a user id" },
		{ "{" ROOM "\"user\":[]" MORE, DW_E_FIELD, "123", "user", "field 'user': [] is not a user id" },
		{ "{" ROOM "\"user\":-1" MORE, DW_E_FIELD, "123", "user", "field 'user': -1 is not a user id" },
		{ "{" ROOM "\"exclude_session\":1" MORE, DW_E_FIELD, "123", "exclude_session",
			"field 'exclude_session': 1 is not a session" },
		{ "{" ROOM "\"exclude_session\":\"0000000000000000\"" MORE, DW_E_FIELD, "123", "exclude_session",
			"field 'exclude_session': \"0000000000000000\" is not a session" },
		{ "{" ROOM "\"exclude_session\":\"123456789abcdefg\"" MORE, DW_E_FIELD, "123", "exclude_session",
			"field 'exclude_session': \"123456789abcdefg\" is not a session" },
		{ "{" ROOM "\"exclude_session\":\"123456789abcdef\"" MORE, DW_E_FIELD, "123", "exclude_session",
			"field 'exclude_session': \"123456789abcdef\" is not a session" },
		{ "{" ROOM "\"ttl\\u005fs\":0" MORE, DW_E_FIELD, "123", "ttl_s", "field 'ttl_s': 0 is not within 1..2592000" },
		{ "{" ROOM "\"ttl_s\":2592001" MORE, DW_E_FIELD, "123", "ttl_s",
			"field 'ttl_s': 2592001 is not within 1..2592000" },
		{ "{" ROOM "\"ttl_s\":1.5" MORE, DW_E_FIELD, "123", "ttl_s", "field 'ttl_s': 1.5 is not an integer" },
	};
	struct dw_request request = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct dw_fault fault = { 0 };

		(void)dw_request_general(&request, "left-over", "left_over_update", "{\"data\":{}}", 11, NULL);
		if (dw_request_general(&request, NULL, NULL, bad[i].body, strlen(bad[i].body), &fault) != bad[i].err)
			fail_msg("%s: %s", bad[i].body, fault.message);
		assert_string_equal(bad[i].message, fault.message);
		assert_string_equal(bad[i].field, fault.field);
		assert_string_equal(bad[i].room, request.room);
	}
	dw_request_clear(&request);
}

/* Who gets it and for how long; what an earlier request said is forgotten. */
static void
test_general_reach(void **state)
{
	static const struct {
		const char *members, *to;
		uint64_t except, ttl_ms;
	} good[] = {
		{ "", "", 0, 0 },
		{ ",\"user\":\"dr. b\\u00f3b\"",
			"dr. b\xc3\xb3"
			"b",
			0, 0 },
		{ ",\"user\":42,\"ttl_s\":1", "42", 0, 1000 },
		{ ",\"exclude_session\":\"0123456789abcdef\"", "", UINT64_C(0x0123456789abcdef), 0 },
		{ ",\"exclude_session\":\"ffffffffffffffff\",\"ttl_s\":2592000", "", UINT64_MAX, UINT64_C(2592000000) },
		{ ",\"user\":null,\"exclude_session\":null,\"ttl_s\":null", "", 0, 0 },
	};
	struct dw_request request = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct dw_fault fault = { 0 };
		char body[256];

		(void)snprintf(body, sizeof(body), "{" ROOM "\"data\":{},\"type\":\"x_update\"%s}", good[i].members);
		if (dw_request_general(&request, NULL, NULL, body, strlen(body), &fault) != DW_OK)
			fail_msg("%s: %s", body, fault.message);
		assert_string_equal(good[i].to, request.to);
		assert_int_equal(good[i].except, request.except);
		assert_int_equal(good[i].ttl_ms, request.ttl_ms);
	}
	dw_request_clear(&request);
}

/* With an escape in a name the parser reads it, without one it is read the quick way: both say the same. */
static size_t
compare_ways(struct dw_request *quick, struct dw_request *slow, const char *body)
{
	const char *data = strstr(body, "\"data\"");
	char escaped[400];
	int err, slowly;

	if (data == NULL)
		return 0;
	(void)snprintf(
		escaped, sizeof(escaped), "%.*s\"d\\u0061ta\"%s", (int)(data - body), body, data + strlen("\"data\""));
	err = dw_request_general(quick, "7", "feedback", body, strlen(body), NULL);
	slowly = dw_request_general(slow, "7", "feedback", escaped, strlen(escaped), NULL);
	if (err != slowly)
		fail_msg("%d, slowly %d: %s", err, slowly, body);
	if (err != DW_OK)
		return 0;
	assert_string_equal(slow->room, quick->room);
	assert_string_equal(slow->type, quick->type);
	assert_string_equal(slow->id, quick->id);
	assert_string_equal(slow->to, quick->to);
	assert_int_equal(slow->except, quick->except);
	assert_int_equal(slow->ttl_ms, quick->ttl_ms);
	assert_string_equal(text_of(&slow->data), text_of(&quick->data));
	assert_int_equal(0, quick->scalars.len);
	return 1;
}

static void
test_the_quick_way_says_the_same(void **state)
{
	static const char *const bodies[] = {
		"{\"diagnosis_id\":12345,\"type\":\"x_update\",\"data\":{\"a\":[1,2.5,\"b c\"]},\"id\":\"job-7\"}",
		" { \"diagnosis_id\" : \"c-7\" , \"type\": \"feedback\",\r \"data\" : { \"feedback_id\" : 4, \"rating\": 5,\t"
		"\"effectiveness\": 0.5, \"comment\": \"a \\\" b \\\\\" } } ",
		"{\"data\":{\"old_data\":{},\"new_data\": { } "
		"},\"type\":\"recommendation\",\"ttl_s\":3600,\"user\":\"J\xC3\xBC\"}",
		"{\"exclude_session\":\"0123456789abcdef\",\"user\":null,\"id\":null,\"data\":{\"feedback_id\":1,\"rating\":2,"
		"\"effectiveness\":1}}",
	};
	static const char bytes[] = "\"\\{}[]:,0123456789.-+eEtrufalsn /_\xC3\xBC\t\x01";
	struct dw_request quick = { 0 }, slow = { 0 };
	size_t accepted = 0;

	(void)state;
	srand(7);
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		const size_t n = strlen(bodies[i]);
		char body[300];

		assert_int_equal(1, compare_ways(&quick, &slow, bodies[i]));
		for (int round = 0; round < 20000; round++) {
			memcpy(body, bodies[i], n + 1);
			for (int change = rand() % 3; change >= 0; change--)
				body[(size_t)rand() % n] = bytes[(size_t)rand() % (sizeof(bytes) - 1)];
			accepted += compare_ways(&quick, &slow, body);
		}
	}
	assert_true(accepted > 1000);
	dw_request_clear(&quick);
	dw_request_clear(&slow);
}

/* The quick way knows of a real only its whole part: it must never take, or refuse, one that the parser does not. */
static void
test_numbers_at_the_bounds(void **state)
{
	static const struct {
		const char *number;
		size_t share, rating, count; /* 1: right as effectiveness, as rating, as feedback_id */
	} numbers[] = {
		{ "1", 1, 1, 1 },
		{ "0", 1, 0, 1 },
		{ "-0", 1, 0, 1 },
		{ "-1", 0, 0, 0 },
		{ "5", 0, 1, 1 },
		{ "1.0", 1, 0, 0 },
		{ "1.00", 1, 0, 0 },
		{ "1e0", 1, 0, 0 },
		{ "1E-0", 1, 0, 0 },
		{ "10e-1", 1, 0, 0 },
		{ "0.9999999999999999", 1, 0, 0 },
		{ "0.99999999999999999999", 1, 0, 0 },
		{ "1.0000000000000002", 0, 0, 0 },
		{ "1.00000000000000000001", 1, 0, 0 },
		{ "1.5", 0, 0, 0 },
		{ "2.0", 0, 0, 0 },
		{ "0.0", 1, 0, 0 },
		{ "-0.0", 1, 0, 0 },
		{ "-0e5", 1, 0, 0 },
		{ "-0.5", 0, 0, 0 },
		{ "-1e-300", 0, 0, 0 },
		{ "-1e-400", 1, 0, 0 },
		{ "-0.0000000000000000000000000000000001", 0, 0, 0 },
		{ "5.0", 0, 0, 0 },
		{ "5e0", 0, 0, 0 },
		{ "4.9999999999999999", 0, 0, 0 },
		{ "999999999999999999", 0, 0, 1 },
		{ "999999999999999999.5", 0, 0, 0 },
		{ "9223372036854775807", 0, 0, 1 },
		{ "9223372036854775808", 0, 0, 0 },
	};
	static const char form[] =
		"{\"data\":{\"effectiveness\":%s,\"rating\":%s,\"feedback_id\":%s},\"diagnosis_id\":%s,\"ttl_s\":%s}";
	struct dw_request quick = { 0 }, slow = { 0 };
	char body[300];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		for (size_t place = 0; place < 5; place++) {
			const char *at[] = { "1", "1", "1", "7", "1" };
			const size_t good[] = { numbers[i].share, numbers[i].rating, numbers[i].count };
			size_t accepted;

			at[place] = numbers[i].number;
			(void)snprintf(body, sizeof(body), form, at[0], at[1], at[2], at[3], at[4]);
			accepted = compare_ways(&quick, &slow, body);
			if (place < COUNT_OF(good) && accepted != good[place])
				fail_msg("accepted %zu: %s", accepted, body);
		}
	}
	dw_request_clear(&quick);
	dw_request_clear(&slow);
}

static void
test_defaults_are_checked(void **state)
{
	struct dw_request request = { 0 };
	struct dw_fault fault;

	(void)state;
	assert_int_equal(DW_E_FIELD, dw_request_general(&request, "a b", "feedback", "{\"data\":{}}", 11, &fault));
	assert_string_equal("field 'diagnosis_id': \"a b\" is not a diagnosis id", fault.message);
	assert_int_equal(DW_E_FIELD, dw_request_general(&request, "1", "nope", "{\"data\":{}}", 11, &fault));
	assert_string_equal("field 'type': \"nope\" is not a type of message", fault.message);
	/* A default serves where the member is absent, not where it is wrong. */
	assert_int_equal(
		DW_E_FIELD, dw_request_general(&request, "1", "feedback", "{\"diagnosis_id\":null,\"data\":{}}", 31, &fault));
	assert_string_equal("diagnosis_id", fault.field);
	dw_request_clear(&request);
}

static void
test_flat_accepted(void **state)
{
	static const struct {
		const char *type, *body, *room, *id, *data, *scalars;
	} good[] = {
		{ "effectiveness_update",
			"{\"diagnosis_id\":123, \"recommendation_id\":789,\"new_effectiveness\":0.850,\"confidence\":0.92,"
			"\"sample_size\":150, \"id\":\"e-1\"}",
			"123", "e-1",
			"{\"recommendation_id\":789,\"new_effectiveness\":0.850,\"confidence\":0.92,\"sample_size\":150}",
			"\"recommendation_id\":789,\"new_effectiveness\":0.850,\"confidence\":0.92,\"sample_size\":150" },
		{ "feedback_update",
			"{\"feedback_id\":1,\"comment\":\"a \\u00e9 b\",\"rating\":4,\"\\u0069d\":null,\"tags\":[ 1 ],"
			"\"effectiveness\":1e0,\"diagnosis_id\":\"c-7\"}",
			"c-7", "",
			"{\"feedback_id\":1,\"comment\":\"a \\u00e9 b\",\"rating\":4,\"tags\":[1],\"effectiveness\":1e0}",
			"\"feedback_id\":1,\"comment\":\"a \\u00e9 b\",\"rating\":4,\"effectiveness\":1e0" },
		{ "recommendation_update",
			"{\"diagnosis_id\":1,\"old_data\":{\"a\" : 1},\"new_data\":{},\"reason\":null,\"type\":\"t\",\"ok\":true,"
			"\"user\":\"u\"}",
			"1", "",
			"{\"old_data\":{\"a\":1},\"new_data\":{},\"reason\":null,\"type\":\"t\",\"ok\":true,\"user\":\"u\"}",
			"\"reason\":null,\"ok\":true,\"user\":\"u\"" },
		/* Names of the answer's own members are never repeated in it. */
		{ "x_update",
			"{\"diagnosis_id\":1,\"success\":false,\"status\":\"s\",\"s\\u0065q\":1,\"n\":2,\"duplicate\":true,"
			"\"clients_notified\":9,\"devices_queued\":9,\"delivered\":9,\"message\":\"m\"}",
			"1", "",
			"{\"success\":false,\"status\":\"s\",\"s\\u0065q\":1,\"n\":2,\"duplicate\":true,"
			"\"clients_notified\":9,\"devices_queued\":9,\"delivered\":9,\"message\":\"m\"}",
			"" },
		{ "x_update", "{\"diagnosis_id\":1}", "1", "", "{}", "" },
		{ "x_update", "{\"a\":\"{\",\"b\":{\"c\":\"{\"},\"diagnosis_id\":1,\"d\":\"{\"}", "1", "",
			"{\"a\":\"{\",\"b\":{\"c\":\"{\"},\"d\":\"{\"}", "\"a\":\"{\",\"d\":\"{\"" },
	};
	struct dw_request request = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct dw_fault fault = { 0 };

		if (dw_request_flat(&request, good[i].type, good[i].body, strlen(good[i].body), &fault) != DW_OK)
			fail_msg("%s: %s", good[i].body, fault.message);
		assert_string_equal(good[i].room, request.room);
		assert_string_equal(good[i].type, request.type);
		assert_string_equal(good[i].id, request.id);
		assert_string_equal(good[i].data, text_of(&request.data));
		assert_string_equal(good[i].scalars, text_of(&request.scalars));
	}
	dw_request_clear(&request);
}

static void
test_flat_refused(void **state)
{
	static const struct {
		const char *type, *body;
		int err;
		const char *room, *message;
	} bad[] = {
		{ "feedback", "{\"feedback_id\":1,\"rating\":4,\"effectiveness\":1}", DW_E_FIELD, "",
			"field 'diagnosis_id' is missing" },
		{ "feedback", "{\"diagnosis_id\":5,\"feedback_id\":1,\"rating\":4.5,\"effectiveness\":1}", DW_E_FIELD, "5",
			"field 'rating': 4.5 is not an integer" },
		{ "feedback", "{\"feedback_id\":1,\"rating\":4,\"diagnosis_id\":5}", DW_E_FIELD, "5",
			"field 'effectiveness' is missing" },
		{ "feedback", "{\"diagnosis_id\":5,\"id\":[]}", DW_E_FIELD, "5", "field 'id': [] is not a string" },
		{ "recommendation", "{\"diagnosis_id\":5,\"old_data\":{},\"new_data\":7}", DW_E_FIELD, "5",
			"field 'new_data': 7 is not an object" },
		{ "feedback", "[]", DW_E_FIELD, "", "[] is not an object" },
		{ "feedback", "{\"diagnosis_id\":5", DW_E_JSON, "", "line 1, column 17: unexpected end" },
	};
	struct dw_request request = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct dw_fault fault = { 0 };

		if (dw_request_flat(&request, bad[i].type, bad[i].body, strlen(bad[i].body), &fault) != bad[i].err)
			fail_msg("%s: %s", bad[i].body, fault.message);
		assert_string_equal(bad[i].message, fault.message);
		assert_string_equal(bad[i].room, request.room);
	}
	dw_request_clear(&request);
}

/* The limit holds for what is passed on: diagnosis_id and id do not count. */
static void
test_flat_size(void **state)
{
	static const char head[] = "{\"diagnosis_id\":1,\"id\":\"i\",\"a\":\"";
	struct dw_request request = { 0 };
	struct dw_fault fault;
	struct dw_buf body = { 0 };

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		dw_buf_adds(&body, head);
		for (size_t i = sizeof("{\"a\":\"\"}") - 1; i < DW_DATA_MAX + over; i++)
			dw_buf_addc(&body, 'x');
		dw_buf_adds(&body, "\"}");
		assert_int_equal(
			over ? DW_E_TOO_BIG : DW_OK, dw_request_flat(&request, "x_update", body.data, body.len, &fault));
		assert_string_equal("1", request.room);
		dw_buf_clear(&body);
	}
	assert_string_equal("field 'data': 65537 bytes are more than 65536", fault.message);
	dw_request_clear(&request);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_general_accepted),
		cmocka_unit_test(test_general_refused),
		cmocka_unit_test(test_general_reach),
		cmocka_unit_test(test_the_quick_way_says_the_same),
		cmocka_unit_test(test_numbers_at_the_bounds),
		cmocka_unit_test(test_defaults_are_checked),
		cmocka_unit_test(test_flat_accepted),
		cmocka_unit_test(test_flat_refused),
		cmocka_unit_test(test_flat_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
