/* links: lib/json/json.c lib/json/json_plain.c lib/base/buf.c lib/base/err.c lib/base/utf8.c */
/* libs: jansson */
/* What is JSON and what is not, where each member lies in the sender's bytes, and which keys changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json/json.h"

#define S(literal) (literal), sizeof(literal) - 1
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct dw_json *
parse(const char *text)
{
	struct dw_json *json = NULL;
	struct dw_fault fault = { 0 };
	int err = dw_json_parse(&json, text, strlen(text), &fault);

	if (err != DW_OK)
		fail_msg("%s: %s", text, fault.message);
	return json;
}

static void
assert_str(const char *want, struct dw_str got)
{
	assert_int_equal(strlen(want), got.n);
	assert_memory_equal(want, got.p, got.n);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		int err;
		const char *message;
	} bad[] = {
		{ S(""), DW_E_JSON, "line 1, column 1: nothing there" },
		{ S(" \n\t\r "), DW_E_JSON, "line 1, column 1: nothing there" },
		{ S("\xEF\xBB\xBF{}"), DW_E_JSON, "line 1, column 1: a byte order mark is not allowed" },
		{ S("{\"a\":1,\"a\":2}"), DW_E_JSON, "line 1, column 10: duplicate key" },
		{ S("{\"a\":1,\"\\u0061\":2}"), DW_E_JSON, "line 1, column 15: duplicate key" },
		{ S("{\"o\":[{\n\"k\":1,\n\"k\":1}]}"), DW_E_JSON, "line 3, column 3: duplicate key" },
		{ S("{\"a\":NaN}"), DW_E_JSON, "line 1, column 8: invalid token" },
		{ S("[Infinity]"), DW_E_JSON, "line 1, column 9: invalid token" },
		{ S("[\n -Infinity]"), DW_E_JSON, "line 2, column 2: invalid token" },
		{ S("[18446744073709551616]"), DW_E_FIELD, "line 1, column 21: number too large" },
		{ S("[9223372036854775808]"), DW_E_FIELD, "line 1, column 20: number too large" },
		{ S("[-9223372036854775809]"), DW_E_FIELD, "line 1, column 21: number too large" },
		{ S("{\"a\":1e400}"), DW_E_FIELD, "line 1, column 10: number too large" },
		{ S("{\"a\":-1e400}"), DW_E_FIELD, "line 1, column 11: number too large" },
		{ S("[\"\\u0000\"]"), DW_E_FIELD, "line 1, column 9: \\u0000 is not allowed" },
		{ S("{\"a\\u0000\":1}"), DW_E_FIELD, "line 1, column 10: \\u0000 is not allowed" },
		{ S("[\"سلام\0\"]"), DW_E_JSON, "line 1, column 7: a NUL byte is not allowed" },
		{ S("[1]\0"), DW_E_JSON, "line 1, column 4: a NUL byte is not allowed" },
		{ S("{} {}"), DW_E_JSON, "line 1, column 4: end of file expected" },
		{ S("1 2"), DW_E_JSON, "line 1, column 3: end of file expected" },
		{ S("{}x"), DW_E_JSON, "line 1, column 3: end of file expected" },
		{ S("{"), DW_E_JSON, "line 1, column 1: unexpected end" },
		{ S("{\"a\":1"), DW_E_JSON, "line 1, column 6: unexpected end" },
		{ S("\"abc"), DW_E_JSON, "line 1, column 4: unexpected end" },
		{ S("{\"secret\":hunter2}"), DW_E_JSON, "line 1, column 16: invalid token" },
		{ S("[\"\xFF\"]"), DW_E_JSON, NULL },
		{ S("[\"\xC0\x80\"]"), DW_E_JSON, NULL },
		{ S("[\"\xED\xA0\x80\"]"), DW_E_JSON, NULL },
		{ S("[\"\xF4\x90\x80\x80\"]"), DW_E_JSON, NULL },
		{ S("[\"\xE2\x82\"]"), DW_E_JSON, NULL },
		{ S("[\"\\uD800\"]"), DW_E_JSON, NULL },
		{ S("[\"\\uDC00\\uD800\"]"), DW_E_JSON, NULL },
		{ S("[\"\\u00g0\"]"), DW_E_JSON, NULL },
		{ S("[\"\\x41\"]"), DW_E_JSON, NULL },
		{ S("[\"a\nb\"]"), DW_E_JSON, NULL },
		{ S("[\"a\tb\"]"), DW_E_JSON, NULL },
		{ S("['a']"), DW_E_JSON, NULL },
		{ S("{a:1}"), DW_E_JSON, NULL },
		{ S("{\"a\" 1}"), DW_E_JSON, NULL },
		{ S("{\"a\":}"), DW_E_JSON, NULL },
		{ S("{\"a\":1,}"), DW_E_JSON, NULL },
		{ S("{,}"), DW_E_JSON, NULL },
		{ S("{1:2}"), DW_E_JSON, NULL },
		{ S("[1,]"), DW_E_JSON, NULL },
		{ S("[1 2]"), DW_E_JSON, NULL },
		{ S("[1}"), DW_E_JSON, NULL },
		{ S("]"), DW_E_JSON, NULL },
		{ S("[01]"), DW_E_JSON, NULL },
		{ S("[+1]"), DW_E_JSON, NULL },
		{ S("[1.]"), DW_E_JSON, NULL },
		{ S("[.5]"), DW_E_JSON, NULL },
		{ S("[1e]"), DW_E_JSON, NULL },
		{ S("[0x10]"), DW_E_JSON, NULL },
		{ S("[- 1]"), DW_E_JSON, NULL },
		{ S("True"), DW_E_JSON, NULL },
		{ S("nul"), DW_E_JSON, NULL },
		{ S("[1]//c"), DW_E_JSON, NULL },
		{ S("[1]/*c*/"), DW_E_JSON, NULL },
		{ S("[1]\f"), DW_E_JSON, NULL },
		{ S("\xC2\xA0[1]"), DW_E_JSON, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct dw_json *json = NULL;
		struct dw_fault fault = { 0 };

		if (dw_json_parse(&json, bad[i].text, bad[i].n, &fault) != bad[i].err)
			fail_msg("row %zu: %s: %s", i, bad[i].text, fault.message);
		assert_null(json);
		if (bad[i].message != NULL)
			assert_string_equal(bad[i].message, fault.message);
		assert_memory_equal("line ", fault.message, 5);
		assert_true(fault.expected[0] != '\0');
		assert_null(strstr(fault.message, "hunter2"));
		assert_int_equal(bad[i].err, dw_json_parse(&json, bad[i].text, bad[i].n, NULL));
	}
}

static void
test_depth_is_bounded(void **state)
{
	static char deep[200000];
	struct dw_json *json;
	struct dw_fault fault;

	(void)state;
	for (size_t depth = 64; depth <= 65; depth++) {
		memset(deep, '[', depth);
		memset(deep + depth, ']', depth);
		if (depth == 64) {
			assert_int_equal(DW_OK, dw_json_parse(&json, deep, 2 * depth, &fault));
			assert_int_equal(1, json->count);
			dw_json_destroy(&json);
		} else {
			assert_int_equal(DW_E_JSON, dw_json_parse(&json, deep, 2 * depth, &fault));
			assert_string_equal("line 1, column 65: nested deeper than 64 levels", fault.message);
		}
	}
	memset(deep, '[', sizeof(deep));
	assert_int_equal(DW_E_JSON, dw_json_parse(&json, deep, sizeof(deep), NULL));
	for (size_t i = 0; i < sizeof(deep); i += 5)
		memcpy(deep + i, "{\"\":\"", 5);
	assert_int_equal(DW_E_JSON, dw_json_parse(&json, deep, sizeof(deep), NULL));
	/* Brackets in a string are no levels, nor are those behind an escaped quote. */
	deep[0] = '"';
	deep[1] = '\\';
	memset(deep + 2, '"', 1);
	memset(deep + 3, '{', 1000);
	deep[1003] = '"';
	assert_int_equal(DW_OK, dw_json_parse(&json, deep, 1004, &fault));
	dw_json_destroy(&json);
}

static void
test_too_long(void **state)
{
	size_t n = 16 * 1024 * 1024 + 1;
	char *text = malloc(n);
	struct dw_json *json;

	(void)state;
	memset(text, ' ', n);
	memcpy(text, "[]", 2);
	assert_int_equal(DW_E_TOO_BIG, dw_json_parse(&json, text, n, NULL));
	assert_int_equal(DW_OK, dw_json_parse(&json, text, n - 1, NULL));
	assert_str("[]", dw_json_text(json));
	dw_json_destroy(&json);
	assert_null(json);
	dw_json_destroy(&json);
	free(text);
}

static void
test_members_in_the_senders_bytes(void **state)
{
	struct dw_json *json =
		parse(" { \"price\" : 1.10 ,\r\n\t\"\\u0072ating\":4, \"e\":1e2,\"neg\":-0,\"s\":\"caf\\u00e9 "
			  "\\\" } , ]\", \"fa\":\"سلام\" ,\"o\":{ \"x\" : [ 1 , { \"y\" : \"a b\" } ] } , "
			  "\"a\":[ ], \"t\" : true,\"f\":false,\"z\": null, \"\" : \"\" }");
	static const struct {
		const char *key, *raw_key, *raw;
		enum dw_json_type type;
	} want[] = {
		{ "price", "\"price\"", "1.10", DW_JSON_REAL },
		{ "rating", "\"\\u0072ating\"", "4", DW_JSON_INTEGER },
		{ "e", "\"e\"", "1e2", DW_JSON_REAL },
		{ "neg", "\"neg\"", "-0", DW_JSON_INTEGER },
		{ "s", "\"s\"", "\"caf\\u00e9 \\\" } , ]\"", DW_JSON_STRING },
		{ "fa", "\"fa\"", "\"سلام\"", DW_JSON_STRING },
		{ "o", "\"o\"", "{\"x\":[1,{\"y\":\"a b\"}]}", DW_JSON_OBJECT },
		{ "a", "\"a\"", "[]", DW_JSON_ARRAY },
		{ "t", "\"t\"", "true", DW_JSON_BOOL },
		{ "f", "\"f\"", "false", DW_JSON_BOOL },
		{ "z", "\"z\"", "null", DW_JSON_NULL },
		{ "", "\"\"", "\"\"", DW_JSON_STRING },
	};

	(void)state;
	assert_int_equal(DW_JSON_OBJECT, dw_json_type(json));
	assert_int_equal(COUNT_OF(want), json->count);
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		const struct dw_json_member *member = &json->members[i];

		assert_str(want[i].key, member->key);
		assert_str(want[i].raw_key, member->raw_key);
		assert_str(want[i].raw, member->raw);
		assert_int_equal(want[i].type, member->type);
		assert_ptr_equal(member, dw_json_get(json, want[i].key));
	}
	assert_true(dw_json_get(json, "price")->number == 1.1);
	assert_int_equal(4, dw_json_get(json, "rating")->integer);
	assert_true(dw_json_get(json, "rating")->number == 4.0);
	assert_true(dw_json_get(json, "e")->number == 100.0);
	assert_int_equal(1, dw_json_get(json, "t")->integer);
	assert_int_equal(0, dw_json_get(json, "f")->integer);
	assert_str("café \" } , ]", dw_json_get(json, "s")->text);
	assert_int_equal(12, dw_json_get(json, "s")->code_points);
	assert_int_equal(4, dw_json_get(json, "fa")->code_points);
	assert_string_equal("سلام", dw_json_get(json, "fa")->text.p);
	assert_null(dw_json_get(json, "y"));
	dw_json_destroy(&json);
}

static void
test_numbers_at_their_bounds(void **state)
{
	struct dw_json *json = parse("[9223372036854775807,-9223372036854775808,1.7976931348623157e308,1e-400]");

	(void)state;
	assert_true(json->members[0].integer == INT64_MAX);
	assert_true(json->members[1].integer == INT64_MIN);
	assert_true(json->members[2].number == 1.7976931348623157e308);
	assert_true(json->members[3].number == 0.0);
	assert_str("1e-400", json->members[3].raw);
	dw_json_destroy(&json);
}

static void
test_arrays_and_scalars(void **state)
{
	struct dw_json *json = parse("[ \"a,b\" , [1,[2],{\"k\":3}], {}, 7 ]");
	static const char *const scalars[] = { "1", "-1.5", "\"x y\"", "true", "false", "null" };
	static const enum dw_json_type types[] = { DW_JSON_INTEGER, DW_JSON_REAL, DW_JSON_STRING, DW_JSON_BOOL,
		DW_JSON_BOOL, DW_JSON_NULL };

	(void)state;
	assert_int_equal(DW_JSON_ARRAY, dw_json_type(json));
	assert_int_equal(4, json->count);
	assert_str("\"a,b\"", json->members[0].raw);
	assert_str("[1,[2],{\"k\":3}]", json->members[1].raw);
	assert_str("{}", json->members[2].raw);
	assert_str("7", json->members[3].raw);
	assert_int_equal(0, json->members[0].raw_key.n);
	assert_int_equal(0, json->members[0].key.n);
	assert_null(dw_json_get(json, ""));
	dw_json_destroy(&json);
	for (size_t i = 0; i < COUNT_OF(scalars); i++) {
		char spaced[32];

		(void)snprintf(spaced, sizeof(spaced), " %s\n", scalars[i]);
		json = parse(spaced);
		assert_int_equal(types[i], dw_json_type(json));
		assert_str(scalars[i], dw_json_text(json));
		assert_int_equal(0, json->count);
		dw_json_destroy(&json);
	}
}

static void
test_text_need_not_outlive_the_call(void **state)
{
	char text[] = "{\"a\":\"b\"}";
	struct dw_json *json = parse(text);

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_str("{\"a\":\"b\"}", dw_json_text(json));
	assert_str("\"b\"", dw_json_get(json, "a")->raw);
	dw_json_destroy(&json);
}

static void
test_many_members_keep_their_order(void **state)
{
	struct dw_buf text = { 0 };
	struct dw_json *json;

	(void)state;
	dw_buf_addc(&text, '{');
	for (unsigned i = 0; i < 5000; i++)
		dw_buf_addf(&text, "%s\"k%u\":{\"v\":[%u]}", i > 0 ? ", " : "", i * 7919 % 5000, i);
	dw_buf_addc(&text, '}');
	json = parse(text.data);
	assert_int_equal(5000, json->count);
	for (unsigned i = 0; i < 5000; i++) {
		char key[16], raw[32];

		(void)snprintf(key, sizeof(key), "k%u", i * 7919 % 5000);
		(void)snprintf(raw, sizeof(raw), "{\"v\":[%u]}", i);
		assert_str(key, json->members[i].key);
		assert_str(raw, json->members[i].raw);
	}
	dw_json_destroy(&json);
	dw_buf_clear(&text);
}

static void
test_changed_keys(void **state)
{
	static const struct {
		const char *before, *after, *changed;
	} cases[] = {
		{ "{}", "{}", "[]" },
		{ "{\"a\":1}", "{}", "[]" },
		{ "{}", "{\"b\":null,\"a\":1}", "[\"b\",\"a\"]" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":4,\"a\":1,\"b\":0}", "[\"c\",\"b\"]" },
		{ "{\"a\":1}", "{\"a\":1.0}", "[]" },
		{ "{\"a\":1.10}", "{\"a\":11e-1}", "[]" },
		{ "{\"a\":0}", "{\"a\":-0.0}", "[]" },
		{ "{\"a\":[1,{\"x\":2}]}", "{\"a\":[1.0,{\"x\":2e0}]}", "[]" },
		{ "{\"a\":9007199254740993}", "{\"a\":9007199254740992.0}", "[\"a\"]" },
		{ "{\"a\":9223372036854775807}", "{\"a\":9223372036854775808.0}", "[\"a\"]" },
		{ "{\"a\":6917529027641081856}", "{\"a\":6917529027641081856.0}", "[]" },
		{ "{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808.0}", "[]" },
		{ "{\"a\":1}", "{\"a\":\"1\"}", "[\"a\"]" },
		{ "{\"a\":1}", "{\"a\":true}", "[\"a\"]" },
		{ "{\"a\":0}", "{\"a\":null}", "[\"a\"]" },
		{ "{\"a\":true}", "{\"a\":false}", "[\"a\"]" },
		{ "{\"a\":\"é\"}", "{\"a\":\"\\u00e9\"}", "[]" },
		{ "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"y\":2,\"x\":1}}", "[]" },
		{ "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":1}}", "[\"a\"]" },
		{ "{\"a\":{\"x\":1}}", "{\"a\":{\"y\":1}}", "[\"a\"]" },
		{ "{\"a\":[1,2]}", "{\"a\":[2,1]}", "[\"a\"]" },
		{ "{\"a\":[1]}", "{\"a\":[1,2]}", "[\"a\"]" },
		{ "{\"a\":[]}", "{\"a\":{}}", "[\"a\"]" },
		{ "{\"گیاه\":1}", "{\"گیاه\":2,\"\\\"\\n\":1}", "[\"گیاه\",\"\\\"\\n\"]" },
		{ "[1]", "{\"a\":1}", "[\"a\"]" },
		{ "{\"a\":1}", "[1]", "[]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[256];
		struct dw_json *json;
		struct dw_buf out = { 0 };

		(void)snprintf(text, sizeof(text), "[%s,%s]", cases[i].before, cases[i].after);
		json = parse(text);
		dw_json_changed_keys(&out, &json->members[0], &json->members[1]);
		assert_string_equal(cases[i].changed, out.data);
		dw_buf_reset(&out);
		dw_json_changed_keys(&out, NULL, NULL);
		assert_string_equal("[]", out.data);
		dw_buf_clear(&out);
		dw_json_destroy(&json);
	}
}

/* Texts broken at random: refused with a place, or accepted with members that make up the whole again. */
static void
test_broken_at_random(void **state)
{
	static const char seed[] =
		"{\"a\": [1, -2.5e3, \"x\\u00e9\\n\"], \"سلام\": {\"b\": null, \"c\": [true, {}]}, \"d\": 7}";
	static const char spice[] = "{}[]\",:\\u0e1-+.\n \x80\xFFtn";
	uint64_t random = 88172645463325252U;
	size_t accepted = 0;

	(void)state;
	for (unsigned round = 0; round < 50000; round++) {
		char text[sizeof(seed)];
		size_t n = sizeof(seed) - 1;
		struct dw_json *json = NULL, *again = NULL;
		struct dw_fault fault = { 0 };

		memcpy(text, seed, sizeof(seed));
		for (unsigned i = 0; i <= round % 3; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			text[random % n] = spice[(random >> 32) % (sizeof(spice) - 1)];
		}
		if (round % 5 == 0)
			n = random % n;
		if (dw_json_parse(&json, text, n, &fault) != DW_OK) {
			assert_memory_equal("line ", fault.message, 5);
			assert_null(json);
			continue;
		}
		accepted++;
		assert_int_equal(DW_OK, dw_json_parse(&again, dw_json_text(json).p, dw_json_text(json).n, NULL));
		assert_int_equal(dw_json_text(json).n, dw_json_text(again).n);
		assert_int_equal(json->count, again->count);
		if (json->count > 0) {
			size_t total = 1;

			for (size_t i = 0; i < json->count; i++)
				total += json->members[i].raw_key.n + 1 + json->members[i].raw.n + 1;
			if (dw_json_type(json) == DW_JSON_OBJECT)
				assert_int_equal(dw_json_text(json).n, total);
		}
		dw_json_destroy(&json);
		dw_json_destroy(&again);
	}
	assert_true(accepted > 1000);
}

/* The quick look says yes only to what the parser accepts and leaves as it is, and shows the same members. */
static bool
plain_agrees(const char *text, size_t n)
{
	struct dw_json *json = NULL;
	struct dw_plain plain;
	bool spaced;

	if (!dw_plain_parse(&plain, NULL, text, n, &spaced) || spaced)
		return false;
	if (dw_json_parse(&json, text, n, NULL) != DW_OK)
		fail_msg("only the quick look accepts: %.*s", (int)n, text);
	assert_int_equal(DW_JSON_OBJECT, dw_json_type(json));
	assert_int_equal(n, dw_json_text(json).n);
	assert_int_equal(plain.object.count, json->count);
	for (size_t i = 0; i < plain.object.count; i++) {
		const struct dw_json_member *member = &json->members[i];

		assert_int_equal(member->type, plain.members[i].type);
		assert_int_equal(member->key.n, plain.members[i].key.n);
		assert_memory_equal(member->key.p, plain.members[i].key.p, member->key.n);
		assert_int_equal(member->raw.n, plain.members[i].raw.n);
		assert_memory_equal(member->raw.p, plain.members[i].raw.p, member->raw.n);
	}
	dw_json_destroy(&json);
	return true;
}

/* The same where white space is allowed: what it accepts the parser accepts, squeezed to the same bytes. */
static bool
spaced_agrees(const char *text, size_t n)
{
	struct dw_json *json = NULL;
	struct dw_plain plain;
	struct dw_buf squeezed = { 0 };
	bool spaced;

	if (!dw_plain_parse(&plain, NULL, text, n, &spaced))
		return false;
	if (dw_json_parse(&json, text, n, NULL) != DW_OK)
		fail_msg("only the quick look accepts: %.*s", (int)n, text);
	assert_int_equal(spaced, n != dw_json_text(json).n);
	assert_int_equal(plain.object.count, json->count);
	for (size_t i = 0; i < plain.object.count; i++) {
		const struct dw_json_member *member = &json->members[i];

		dw_buf_reset(&squeezed);
		dw_plain_squeeze(&squeezed, plain.members[i].raw);
		assert_int_equal(member->type, plain.members[i].type);
		assert_int_equal(member->key.n, plain.members[i].key.n);
		assert_memory_equal(member->key.p, plain.members[i].key.p, member->key.n);
		assert_int_equal(member->raw.n, squeezed.len);
		assert_memory_equal(member->raw.p, squeezed.data, member->raw.n);
	}
	dw_buf_clear(&squeezed);
	dw_json_destroy(&json);
	return true;
}

static void
test_the_quick_look(void **state)
{
	static const char *const plain[] = { "{}",
		"{\"a\":1,\"b\":-2.5,\"c\":\"x\\n\\\"y\",\"d\":[],\"e\":[1,{\"f\":null}],\"\":true}",
		"{\"name\":\"J\xC3\xBCrgen \xE0\xA4\xB9 \xE2\x82\xAC "
		"\xF0\x9F\x98\x80\",\"share\":0.125,\"count\":123456789012345678}",
		"{\"old_data\":{\"k\":false},\"new_data\":{\"k\":0},\"reason\":\"because of this and that\"}",
		"{\"name\":\"J\\u00fcrgen \\uD7FF\\uE000\\uffFf\\u0001\"}" };
	static const char *const spaced[] = { " {} ", "{ }", "{\"a\" :\t1 , \"b\":\r\n[ ] }",
		"{\"a\": [ true , { } , 1 ] }\n", "{\"a b\": \" c\\\" \", \"d\": \"\\\\\" }" };
	static const char *const not_plain[] = { "", "[]", "1", "{", "{ }", "{\"a\":1}x", "{\"a\":01}", "{\"a\":1.}",
		"{\"a\":-}", "{\"a\":1,}", "{\"a\":1 }", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\\u00g0\"}",
		"{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\\u00f\"}", "{\"a\":\"\\u00", "{\"\\u0061\":1}",
		"{\"a\":\"\xED\xA0\x80\"}", "{\"a\":\"\xC0\x80\"}", "{\"a\":\"\xE0\x80\x80\"}", "{\"a\":\"\x1F\"}",
		"{\"a\":9223372036854775808}", "{\"a\":tru}", "{\"a\":[1,]}" };
	static const char bytes[] = "\"\\{}[]:,0123456789.-+eEtrufalsn /u\xC3\xBC\xE0\xED\x80\xA0\x01";
	size_t accepted = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(not_plain); i++)
		assert_false(plain_agrees(not_plain[i], strlen(not_plain[i])));
	for (size_t i = 0; i < COUNT_OF(spaced); i++) {
		assert_false(plain_agrees(spaced[i], strlen(spaced[i])));
		assert_true(spaced_agrees(spaced[i], strlen(spaced[i])));
	}
	assert_false(spaced_agrees("{\"a\":1 2}", 9));
	assert_false(spaced_agrees("{\"a\":tr ue}", 11));
	srand(5);
	for (size_t i = 0; i < COUNT_OF(plain); i++) {
		const size_t n = strlen(plain[i]);
		char text[160];

		assert_true(plain_agrees(plain[i], n));
		for (int round = 0; round < 20000; round++) {
			memcpy(text, plain[i], n);
			for (int change = rand() % 3; change >= 0; change--)
				text[(size_t)rand() % n] = bytes[(size_t)rand() % (sizeof(bytes) - 1)];
			accepted += plain_agrees(text, n);
			(void)spaced_agrees(text, n);
		}
	}
	assert_true(accepted > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_quick_look),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_members_in_the_senders_bytes),
		cmocka_unit_test(test_numbers_at_their_bounds),
		cmocka_unit_test(test_arrays_and_scalars),
		cmocka_unit_test(test_text_need_not_outlive_the_call),
		cmocka_unit_test(test_many_members_keep_their_order),
		cmocka_unit_test(test_changed_keys),
		cmocka_unit_test(test_broken_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
