/* links: lib/message/msg.c lib/json/json_plain.c lib/message/render.c lib/json/json.c lib/base/buf.c lib/base/err.c */
/* links: lib/base/clock.c lib/base/utf8.c */
/* libs: jansson libcrypto */
/* Names, ids, the rules for each type's data, and what a client is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "message/msg.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct dw_str
repeat(char c, size_t n)
{
	static char text[256];

	memset(text, c, sizeof(text));
	return (struct dw_str) { text, n };
}

static void
test_names(void **state)
{
	(void)state;
	assert_true(dw_room_ok(DW_STR("123")) && dw_room_ok(DW_STR("a-Z_9")) && dw_room_ok(repeat('r', 64)));
	assert_false(dw_room_ok(repeat('r', 65)) || dw_room_ok(DW_STR("")) || dw_room_ok(dw_str(NULL)));
	assert_false(dw_room_ok(DW_STR("a.b")) || dw_room_ok(DW_STR("a b")) || dw_room_ok(DW_STR("a/b")));
	assert_false(dw_room_ok(DW_STR("a\0b")) || dw_room_ok(DW_STR("\0")) || dw_room_ok(DW_STR("é")));
	assert_true(dw_device_ok(DW_STR("i.Phone_1-2")) && dw_device_ok(repeat('d', 64)));
	assert_false(dw_device_ok(repeat('d', 65)) || dw_device_ok(DW_STR("")) || dw_device_ok(DW_STR("a:b")));
	assert_true(dw_id_ok(DW_STR("batch.7:line_3-x")) && dw_id_ok(repeat('i', 128)));
	assert_false(dw_id_ok(repeat('i', 129)) || dw_id_ok(DW_STR("")) || dw_id_ok(DW_STR("a\"b")));
	assert_true(dw_type_ok(DW_STR("feedback_update")) && dw_type_ok(DW_STR("x_update")));
	assert_true(dw_type_ok(DW_STR("__update")) && dw_type_ok(DW_STR("a_1_update")));
	assert_false(dw_type_ok(DW_STR("_update")) || dw_type_ok(DW_STR("update")) || dw_type_ok(DW_STR("")));
	assert_false(dw_type_ok(DW_STR("X_update")) || dw_type_ok(DW_STR("x_updates")) || dw_type_ok(DW_STR("a-b_update")));
}

static void
test_type_length(void **state)
{
	char type[66];

	(void)state;
	memset(type, 'a', sizeof(type));
	memcpy(type + 57, "_update", 7);
	assert_true(dw_type_ok((struct dw_str) { type, 64 }));
	memcpy(type + 58, "_update", 7);
	assert_false(dw_type_ok((struct dw_str) { type, 65 }));
}

static void
test_users(void **state)
{
	static const char *const good[] = { "u", "anna@example.org", "auth0|5f", "دکتر سینا", "😀", "a b" };
	static const char *const bad[] = { "", "a\n", "\x7F", "\xC2\x85", "\xC2\x9F", "\x80", "\xC0\xAF", "\xED\xA0\x80",
		"\xF4\x90\x80\x80", "\xE2\x82", "\xF8\x88\x80\x80\x80", "\xFF", "a\xC3" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(dw_user_ok(dw_str(good[i])));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(dw_user_ok(dw_str(bad[i])));
	assert_false(dw_user_ok((struct dw_str) { "aé", 2 }) || dw_user_ok((struct dw_str) { "€", 2 }));
	assert_true(dw_user_ok(repeat('u', 128)));
	assert_false(dw_user_ok(repeat('u', 129)) || dw_user_ok(DW_STR("a\0b")));
	assert_true(dw_user_ok(DW_STR("\xC2\xA0")) && dw_user_ok(DW_STR("\xED\x9F\xBF\xF4\x8F\xBF\xBF")));
}

static void
test_type_expand(void **state)
{
	char type[DW_TYPE_MAX + 1] = "kept";
	struct dw_fault fault;

	(void)state;
	assert_int_equal(DW_E_FIELD, dw_type_expand(dw_str("vitals"), type, &fault));
	assert_string_equal("type", fault.field);
	assert_string_equal("field 'type': \"vitals\" is not a type of message", fault.message);
	assert_int_equal(DW_E_FIELD, dw_type_expand(dw_str(""), type, NULL));
	assert_int_equal(DW_E_FIELD, dw_type_expand(dw_str("Recommendation"), type, NULL));
	assert_string_equal("kept", type);
	assert_int_equal(DW_OK, dw_type_expand(dw_str("recommendation"), type, NULL));
	assert_string_equal("recommendation_update", type);
	assert_int_equal(DW_OK, dw_type_expand(dw_str("effectiveness"), type, NULL));
	assert_string_equal("effectiveness_update", type);
	assert_int_equal(DW_OK, dw_type_expand(dw_str("feedback"), type, NULL));
	assert_string_equal("feedback_update", type);
	assert_int_equal(DW_OK, dw_type_expand(dw_str("vitals_update"), type, NULL));
	assert_string_equal("vitals_update", type);
}

static void
test_quote(void **state)
{
	char out[DW_QUOTE_SIZE];
	struct dw_buf persian = { 0 };

	(void)state;
	assert_string_equal("", dw_quote(dw_str(NULL), out));
	assert_string_equal("\"سلام\"", dw_quote(DW_STR("\"سلام\""), out));
	assert_string_equal("a?[31m?b?c??", dw_quote(DW_STR("a\x1B[31m\nb\xC2\x9B"
														"c\xC0\x80"),
											out));
	assert_string_equal("?x?", dw_quote(DW_STR("\0x\x7F"), out));
	assert_int_equal(44, strlen(dw_quote(repeat('q', 44), out)));
	assert_string_equal("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq…", dw_quote(repeat('q', 45), out));
	dw_buf_addc(&persian, 'x');
	for (int i = 0; i < 50; i++)
		dw_buf_adds(&persian, "س");
	(void)dw_quote((struct dw_str) { persian.data, persian.len }, out);
	assert_int_equal(1 + 21 * 2 + 3, strlen(out));
	assert_memory_equal("س…", out + 41, 5);
	dw_buf_clear(&persian);
}

static void
assert_id_json(const char *id, const char *json)
{
	struct dw_buf out = { 0 };

	dw_id_to_json(&out, dw_str(id));
	assert_string_equal(json, out.data);
	dw_buf_clear(&out);
}

static void
test_ids_as_json(void **state)
{
	(void)state;
	assert_id_json("123", "123");
	assert_id_json("0", "0");
	assert_id_json("00", "\"00\"");
	assert_id_json("0123", "\"0123\"");
	assert_id_json("9007199254740991", "9007199254740991");
	assert_id_json("9007199254740992", "\"9007199254740992\"");
	assert_id_json("99999999999999999999999999999999", "\"99999999999999999999999999999999\"");
	assert_id_json("12a", "\"12a\"");
	assert_id_json("-1", "\"-1\"");
	assert_id_json("", "\"\"");
	assert_id_json("a\"\\\n\x01", "\"a\\\"\\\\\\n\\u0001\"");
}

static void
test_ids_from_json(void **state)
{
	static const struct {
		const char *value, *id, *message; /* id NULL: refused */
	} cases[] = {
		{ "123", "123", NULL },
		{ "0", "0", NULL },
		{ "-0", "0", NULL },
		{ "\"007\"", "007", NULL },
		{ "\"\"", "", NULL },
		{ "\"\\u0061b\"", "ab", NULL },
		{ "\"12345678\"", "12345678", NULL },
		{ "\"123456789\"", NULL, "field 'diagnosis_id': \"123456789\" is too long" },
		{ "123456789", NULL, "field 'diagnosis_id': 123456789 is too long" },
		{ "-1", NULL, "field 'diagnosis_id': -1 is not within 0..9007199254740991" },
		{ "9007199254740992", NULL, "field 'diagnosis_id': 9007199254740992 is not within 0..9007199254740991" },
		{ "1.0", NULL, "field 'diagnosis_id': 1.0 is not an id" },
		{ "null", NULL, "field 'diagnosis_id': null is not an id" },
		{ "true", NULL, "field 'diagnosis_id': true is not an id" },
		{ "[1]", NULL, "field 'diagnosis_id': [1] is not an id" },
		{ "{}", NULL, "field 'diagnosis_id': {} is not an id" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[128], id[9] = "kept";
		struct dw_json *json;
		struct dw_fault fault;

		(void)snprintf(text, sizeof(text), "{\"diagnosis_id\":%s}", cases[i].value);
		assert_int_equal(DW_OK, dw_json_parse(&json, text, strlen(text), NULL));
		if (cases[i].id != NULL) {
			assert_int_equal(DW_OK, dw_id_from_json(&json->members[0], id, sizeof(id), &fault));
			assert_string_equal(cases[i].id, id);
		} else {
			assert_int_equal(DW_E_FIELD, dw_id_from_json(&json->members[0], id, sizeof(id), &fault));
			assert_string_equal(cases[i].message, fault.message);
			assert_string_equal("diagnosis_id", fault.field);
			assert_string_equal("kept", id);
		}
		dw_json_destroy(&json);
	}
}

#define EFFECT(id, value, confidence, size)                                                    \
	"{\"recommendation_id\":" id ",\"new_effectiveness\":" value ",\"confidence\":" confidence \
	",\"sample_size\":" size "}"
#define FEEDBACK(id, rating, value) "{\"feedback_id\":" id ",\"rating\":" rating ",\"effectiveness\":" value "}"
#define FEEDBACK_WITH(more) "{\"feedback_id\":1,\"rating\":4,\"effectiveness\":0.5," more "}"

static void
test_data_accepted(void **state)
{
	static const struct {
		const char *type, *data, *compact; /* compact NULL: the same */
	} good[] = {
		{ "effectiveness_update", EFFECT("789", "0.85", "0.92", "150"), NULL },
		{ "effectiveness_update", EFFECT("0", "0", "1", "0"), NULL },
		{ "effectiveness_update", EFFECT("9223372036854775807", "1.0", "1e-3", "9223372036854775807"), NULL },
		{ "effectiveness_update", EFFECT("1", "-0.0", "10e-1", "-0"), NULL },
		{ "effectiveness_update", EFFECT("1", "0.50", "1", "1"), NULL },
		{ "feedback_update", FEEDBACK("5", "1", "0"), NULL },
		{ "feedback_update", FEEDBACK("5", "5", "1"), NULL },
		{ "feedback_update", FEEDBACK_WITH("\"recommendation_id\":null,\"comment\":null"), NULL },
		{ "feedback_update", FEEDBACK_WITH("\"recommendation_id\":7,\"comment\":\"\""), NULL },
		{ "feedback_update", FEEDBACK_WITH("\"extra\":[1.10,1e2,\"\\u00e9\"],\"type\":\"x\""), NULL },
		{ "feedback_update", "{\"feedback_id\":1,\"\\u0072ating\":4,\"effectiveness\":1}", NULL },
		{ "feedback_update",
			" {\t\"feedback_id\" : 1 ,\r\n\"rating\" : 4, \"effectiveness\":0.10, \"comment\":\" a b \" }",
			"{\"feedback_id\":1,\"rating\":4,\"effectiveness\":0.10,\"comment\":\" a b \"}" },
		{ "recommendation_update", "{\"old_data\":{},\"new_data\":{}}", NULL },
		{ "recommendation_update", "{\"new_data\":{\"a\":1.10},\"reason\":\"دلیل\",\"old_data\":{}}", NULL },
		{ "recommendation_update", "{\"old_data\":{},\"new_data\":{},\"reason\":null}", NULL },
		{ "vitals_update", "{}", NULL },
		{ "vitals_update", "{\"rating\":\"high\",\"comment\":7}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct dw_buf out = { 0 };
		struct dw_fault fault = { 0 };

		dw_buf_adds(&out, "before ");
		if (dw_data_check(dw_str(good[i].type), good[i].data, strlen(good[i].data), &out, &fault) != DW_OK)
			fail_msg("%s: %s", good[i].data, fault.message);
		assert_memory_equal("before ", out.data, 7);
		assert_string_equal(good[i].compact != NULL ? good[i].compact : good[i].data, out.data + 7);
		dw_buf_clear(&out);
	}
}

static void
test_data_refused(void **state)
{
	static const struct {
		const char *type, *data;
		int err;
		const char *field, *message, *expected;
	} bad[] = {
#define RATING "field 'rating': "
#define STARS "an integer from 1 to 5"
#define SHARE "a number from 0 to 1"
#define COUNT "an integer, 0 or more"
		{ "feedback", FEEDBACK("5", "6", "1"), DW_E_FIELD, "rating", RATING "6 is not within 1..5", STARS },
		{ "feedback", FEEDBACK("5", "0", "1"), DW_E_FIELD, "rating", RATING "0 is not within 1..5", STARS },
		{ "feedback", FEEDBACK("5", "4.5", "1"), DW_E_FIELD, "rating", RATING "4.5 is not an integer", STARS },
		{ "feedback", FEEDBACK("5", "4.0", "1"), DW_E_FIELD, "rating", RATING "4.0 is not an integer", STARS },
		{ "feedback", FEEDBACK("5", "\"5\"", "1"), DW_E_FIELD, "rating", RATING "\"5\" is not an integer", STARS },
		{ "feedback", FEEDBACK("5", "null", "1"), DW_E_FIELD, "rating", RATING "null is not an integer", STARS },
		{ "feedback", FEEDBACK("5", "true", "1"), DW_E_FIELD, "rating", RATING "true is not an integer", STARS },
		{ "feedback", FEEDBACK("5", "[5]", "1"), DW_E_FIELD, "rating", RATING "[5] is not an integer", STARS },
		{ "feedback", FEEDBACK("5", "-9223372036854775808", "1"), DW_E_FIELD, "rating",
			RATING "-9223372036854775808 is not within 1..5", STARS },
		{ "feedback", "{\"feedback_id\":1,\"effectiveness\":1}", DW_E_FIELD, "rating", "field 'rating' is missing",
			STARS },
		{ "feedback", "{\"feedback_id\":1,\"\\u0072ating\":9,\"effectiveness\":1}", DW_E_FIELD, "rating",
			RATING "9 is not within 1..5", STARS },
		{ "feedback", "{\"feedback_id\":1,\"Rating\":4,\"effectiveness\":1}", DW_E_FIELD, "rating",
			"field 'rating' is missing", STARS },
		{ "feedback", FEEDBACK("\"5\"", "4", "1"), DW_E_FIELD, "feedback_id",
			"field 'feedback_id': \"5\" is not an integer", COUNT },
		{ "feedback", FEEDBACK("-1", "4", "1"), DW_E_FIELD, "feedback_id", "field 'feedback_id': -1 is below 0",
			COUNT },
		{ "feedback", FEEDBACK("1", "4", "-0.1"), DW_E_FIELD, "effectiveness",
			"field 'effectiveness': -0.1 is not within 0..1", SHARE },
		{ "feedback", FEEDBACK("1", "4", "1.0000000000000002"), DW_E_FIELD, "effectiveness",
			"field 'effectiveness': 1.0000000000000002 is not within 0..1", SHARE },
		{ "feedback", FEEDBACK("1", "4", "\"0.5\""), DW_E_FIELD, "effectiveness",
			"field 'effectiveness': \"0.5\" is not a number", SHARE },
		{ "feedback", FEEDBACK("1", "4", "NaN"), DW_E_JSON, "", "line 1, column 47: invalid token", NULL },
		{ "feedback", FEEDBACK("1", "4", "1e400"), DW_E_FIELD, "", "line 1, column 49: number too large", NULL },
		{ "feedback", FEEDBACK_WITH("\"recommendation_id\":\"7\""), DW_E_FIELD, "recommendation_id",
			"field 'recommendation_id': \"7\" is not an integer", COUNT },
		{ "feedback", FEEDBACK_WITH("\"comment\":7"), DW_E_FIELD, "comment", "field 'comment': 7 is not a string",
			"a string of at most 500 characters" },
		{ "feedback", FEEDBACK_WITH("\"rating\":4"), DW_E_JSON, "", "line 1, column 56: duplicate key", NULL },
		{ "effectiveness", EFFECT("1", "1.1", "1", "1"), DW_E_FIELD, "new_effectiveness",
			"field 'new_effectiveness': 1.1 is not within 0..1", SHARE },
		{ "effectiveness", EFFECT("1", "1", "-1", "1"), DW_E_FIELD, "confidence",
			"field 'confidence': -1 is not within 0..1", SHARE },
		{ "effectiveness", EFFECT("1", "1", "1", "-1"), DW_E_FIELD, "sample_size", "field 'sample_size': -1 is below 0",
			COUNT },
		{ "effectiveness", EFFECT("1", "1", "1", "1e2"), DW_E_FIELD, "sample_size",
			"field 'sample_size': 1e2 is not an integer", COUNT },
		{ "effectiveness", EFFECT("null", "1", "1", "1"), DW_E_FIELD, "recommendation_id",
			"field 'recommendation_id': null is not an integer", COUNT },
		{ "effectiveness", "{}", DW_E_FIELD, "recommendation_id", "field 'recommendation_id' is missing", COUNT },
		{ "recommendation", "{\"old_data\":{}}", DW_E_FIELD, "new_data", "field 'new_data' is missing",
			"a JSON object" },
		{ "recommendation", "{\"old_data\":[1],\"new_data\":{}}", DW_E_FIELD, "old_data",
			"field 'old_data': [1] is not an object", "a JSON object" },
		{ "recommendation", "{\"old_data\":null,\"new_data\":{}}", DW_E_FIELD, "old_data",
			"field 'old_data': null is not an object", "a JSON object" },
		{ "recommendation", "{\"old_data\":{},\"new_data\":{},\"reason\":[]}", DW_E_FIELD, "reason",
			"field 'reason': [] is not a string", "a string of at most 2000 characters" },
		{ "vitals_update", "[]", DW_E_FIELD, "data", "field 'data': [] is not an object", "a JSON object" },
		{ "vitals_update", "\"x\"", DW_E_FIELD, "data", "field 'data': \"x\" is not an object", "a JSON object" },
		{ "vitals_update", "null", DW_E_FIELD, "data", "field 'data': null is not an object", "a JSON object" },
		{ "vitals_update", "", DW_E_JSON, "", "line 1, column 1: nothing there", NULL },
		{ "vitals_update", "{}{}", DW_E_JSON, "", "line 1, column 3: end of file expected", NULL },
		{ "vitals_update", "{\"a\":{\"b\":1,\"b\":1}}", DW_E_JSON, "", "line 1, column 15: duplicate key", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char type[DW_TYPE_MAX + 1];
		struct dw_buf out = { 0 };
		struct dw_fault fault = { 0 };

		assert_int_equal(DW_OK, dw_type_expand(dw_str(bad[i].type), type, NULL));
		if (dw_data_check(dw_str(type), bad[i].data, strlen(bad[i].data), &out, &fault) != bad[i].err)
			fail_msg("%s: %s", bad[i].data, fault.message);
		assert_string_equal(bad[i].message, fault.message);
		assert_string_equal(bad[i].field, fault.field);
		if (bad[i].expected != NULL)
			assert_string_equal(bad[i].expected, fault.expected);
		assert_int_equal(bad[i].err, dw_data_check(dw_str(type), bad[i].data, strlen(bad[i].data), &out, NULL));
		assert_int_equal(0, out.len);
		dw_buf_clear(&out);
	}
}

static void
test_data_type_refused(void **state)
{
	struct dw_buf out = { 0 };
	struct dw_fault fault;

	(void)state;
	assert_int_equal(DW_E_FIELD, dw_data_check(DW_STR("feedback"), "{}", 2, &out, &fault));
	assert_string_equal("type", fault.field);
	assert_int_equal(DW_E_FIELD, dw_data_check(dw_str(NULL), "{}", 2, &out, &fault));
}

/* A text of `n` Persian letters, each two bytes, and one that is written as an escape. */
static int
check_letters(const char *type, const char *head, size_t n, struct dw_fault *fault)
{
	struct dw_buf data = { 0 }, out = { 0 };
	int err;

	dw_buf_adds(&data, head);
	for (size_t i = 1; i < n; i++)
		dw_buf_adds(&data, "ی");
	dw_buf_adds(&data, "\\u06cc\"}");
	err = dw_data_check(dw_str(type), data.data, data.len, &out, fault);
	dw_buf_clear(&data);
	dw_buf_clear(&out);
	return err;
}

static void
test_text_counts_code_points(void **state)
{
	static const char comment[] = "{\"feedback_id\":1,\"rating\":4,\"effectiveness\":0.5,\"comment\":\"";
	static const char reason[] = "{\"old_data\":{},\"new_data\":{},\"reason\":\"";
	struct dw_fault fault;

	(void)state;
	assert_int_equal(DW_OK, check_letters("feedback_update", comment, 500, &fault));
	assert_int_equal(DW_E_FIELD, check_letters("feedback_update", comment, 501, &fault));
	assert_string_equal("field 'comment': 501 characters are more than 500", fault.message);
	assert_string_equal("comment", fault.field);
	assert_int_equal(DW_OK, check_letters("recommendation_update", reason, 2000, &fault));
	assert_int_equal(DW_E_FIELD, check_letters("recommendation_update", reason, 2001, &fault));
	assert_string_equal("field 'reason': 2001 characters are more than 2000", fault.message);
}

static void
test_data_size(void **state)
{
	struct dw_buf data = { 0 }, out = { 0 };
	struct dw_fault fault;

	(void)state;
	dw_buf_adds(&data, "{\"a\":\"");
	while (data.len < DW_DATA_MAX - 2)
		dw_buf_addc(&data, 'x');
	dw_buf_adds(&data, "\"}");
	assert_int_equal(DW_OK, dw_data_check(DW_STR("x_update"), data.data, data.len, &out, &fault));
	assert_int_equal(DW_DATA_MAX, out.len);
	/* White space outside strings does not count, one byte more does. */
	dw_buf_reset(&out);
	for (int i = 0; i < 1000; i++)
		dw_buf_addc(&data, '\n');
	assert_int_equal(DW_OK, dw_data_check(DW_STR("x_update"), data.data, data.len, &out, &fault));
	assert_int_equal(DW_DATA_MAX, out.len);
	dw_buf_reset(&out);
	data.data[6] = '\\';
	data.data[7] = 'n';
	data.data[DW_DATA_MAX - 2] = ' ';
	memcpy(data.data + DW_DATA_MAX - 1, "\"}", 2);
	assert_int_equal(DW_E_TOO_BIG, dw_data_check(DW_STR("x_update"), data.data, data.len, &out, &fault));
	assert_string_equal("field 'data': 65537 bytes are more than 65536", fault.message);
	assert_int_equal(0, out.len);
	dw_buf_clear(&data);
	dw_buf_clear(&out);
}

static void
assert_rendered(const char *room, const char *type, const char *data, const char *want)
{
	struct dw_record record = {
		.seq = 4711, .n = 17, .at = 1767225599123, .type = dw_str(type), .id = DW_STR("b:1"), .data = dw_str(data)
	};
	struct dw_buf out = { 0 };

	dw_record_to_json(&out, dw_str(room), &record);
	assert_true(dw_buf_ok(&out));
	assert_string_equal(want, out.data);
	dw_buf_clear(&out);
}

#define TIMES "\"timestamp\":\"2025-12-31T23:59:59.123Z\",\"seq\":4711,\"n\":17,\"id\":\"b:1\",\"data\":"

static void
test_render(void **state)
{
	(void)state;
	assert_rendered("123", "feedback_update", "{\"rating\":4,\"x\":1.10,\"y\":1e2,\"z\":\"\\u00e9\"}",
		"{\"type\":\"feedback_update\",\"diagnosis_id\":123," TIMES
		"{\"rating\":4,\"x\":1.10,\"y\":1e2,\"z\":\"\\u00e9\"}}");
	/* Only the recommendation's data is looked at. */
	assert_rendered("case-7", "vitals_update", "{not json",
		"{\"type\":\"vitals_update\",\"diagnosis_id\":\"case-7\"," TIMES "{not json}");
	assert_rendered("1", "recommendation_update", "{not json",
		"{\"type\":\"recommendation_update\",\"diagnosis_id\":1," TIMES "{not json}");
	assert_rendered(
		"1", "recommendation_update", "[1]", "{\"type\":\"recommendation_update\",\"diagnosis_id\":1," TIMES "[1]}");
}

static void
test_render_recommendation(void **state)
{
#define HEAD "{\"type\":\"recommendation_update\",\"diagnosis_id\":123," TIMES
	(void)state;
	assert_rendered("123", "recommendation_update",
		"{\"old_data\":{\"dose\":1.10,\"herb\":\"گل\"},\"new_data\":{\"dose\":2e0,\"herb\":\"گل\",\"days\":7},"
		"\"reason\":\"caf\\u00e9\",\"by\":[1]}",
		HEAD "{\"old_data\":{\"dose\":1.10,\"herb\":\"گل\"},\"new_data\":{\"dose\":2e0,\"herb\":\"گل\",\"days\":7},"
			 "\"reason\":\"caf\\u00e9\",\"by\":[1],"
			 "\"old_recommendation\":{\"dose\":1.10,\"herb\":\"گل\"},"
			 "\"new_recommendation\":{\"dose\":2e0,\"herb\":\"گل\",\"days\":7},"
			 "\"changed_fields\":[\"dose\",\"days\"]}}");
	assert_rendered("123", "recommendation_update", "{\"new_data\":{},\"old_data\":{}}",
		HEAD "{\"new_data\":{},\"old_data\":{},\"reason\":null,\"old_recommendation\":{},\"new_recommendation\":{},"
			 "\"changed_fields\":[]}}");
	/* What we compute replaces the sender's, also when its key is written with an escape. */
	assert_rendered("123", "recommendation_update",
		"{\"changed_fields\":[\"lie\"],\"old_recommendation\":1,\"\\u006eew_recommendation\":2,\"old_data\":{\"a\":1},"
		"\"new_data\":{\"a\":1.0},\"reason\":null}",
		HEAD "{\"old_data\":{\"a\":1},\"new_data\":{\"a\":1.0},\"reason\":null,\"old_recommendation\":{\"a\":1},"
			 "\"new_recommendation\":{\"a\":1.0},\"changed_fields\":[]}}");
}

/* An object of `count` members, named by escapes alone. */
static void
add_escaped_names(struct dw_buf *out, size_t count)
{
	static const char escapes[] = "bfnrt\"\\";

	dw_buf_addc(out, '{');
	for (size_t i = 0; i < count; i++) {
		dw_buf_adds(out, i > 0 ? ",\"" : "\"");
		for (size_t rest = i, digits = 0; digits < 20; digits++, rest /= sizeof(escapes) - 1) {
			dw_buf_addc(out, '\\');
			dw_buf_addc(out, escapes[rest % (sizeof(escapes) - 1)]);
		}
		dw_buf_adds(out, "\":0");
	}
	dw_buf_addc(out, '}');
}

/* The edge's ring reckons with it before a message is rendered. */
static void
test_render_is_within_its_bound(void **state)
{
	char text[DW_ID_MAX + 1];
	struct dw_record record = {
		.seq = UINT64_MAX, .own = UINT64_MAX, .at = 1767225599123, .type = DW_STR("recommendation_update")
	};
	struct dw_buf data = { 0 }, out = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	record.id = record.to = (struct dw_str) { text, DW_ID_MAX };
	for (size_t count = 0; count < 1200; count = 2 * count + 1) {
		dw_buf_reset(&data);
		dw_buf_adds(&data, "{\"old_data\":{},\"new_data\":");
		add_escaped_names(&data, count);
		dw_buf_addc(&data, '}');
		record.data = (struct dw_str) { data.data, data.len };
		dw_buf_reset(&out);
		dw_record_to_json(&out, (struct dw_str) { text, DW_ROOM_MAX }, &record);
		assert_true(dw_buf_ok(&out) && out.len > 2 * data.len);
		assert_true(out.len <= dw_rendered_most(data.len));
	}
	record.type = (struct dw_str) { text, DW_TYPE_MAX };
	record.data = DW_STR("{}");
	dw_buf_reset(&out);
	dw_record_to_json(&out, (struct dw_str) { text, DW_ROOM_MAX }, &record);
	assert_true(dw_buf_ok(&out) && out.len <= dw_rendered_most(2));
	dw_buf_clear(&data);
	dw_buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_type_length),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_type_expand),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_ids_as_json),
		cmocka_unit_test(test_ids_from_json),
		cmocka_unit_test(test_data_accepted),
		cmocka_unit_test(test_data_refused),
		cmocka_unit_test(test_data_type_refused),
		cmocka_unit_test(test_text_counts_code_points),
		cmocka_unit_test(test_data_size),
		cmocka_unit_test(test_render),
		cmocka_unit_test(test_render_recommendation),
		cmocka_unit_test(test_render_is_within_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
