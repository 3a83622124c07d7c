/* libs: jansson */
/* JSON: what is accepted is what jansson accepts, in the sender's bytes; the quick look says nothing else. */
#include <jansson.h>

#include "fuzz.h"
#include "json/json.h"

/* What only ours refuses: a NUL byte, or nested too deep. */
static bool
is_ours_to_refuse(const char *text, size_t n)
{
	size_t depth = 0;
	bool inside = false;

	if (n > 0 && memchr(text, '\0', n) != NULL)
		return true;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"')
			inside = !inside;
		else if (inside && text[i] == '\\')
			i++;
		else if (!inside && (text[i] == '[' || text[i] == '{') && ++depth > 64)
			return true;
		else if (!inside && (text[i] == ']' || text[i] == '}') && depth > 0)
			depth--;
	}
	return false;
}

static void
check_members(const struct dw_json *json)
{
	for (size_t i = 0; i < json->count; i++) {
		const struct dw_json_member *member = &json->members[i];
		struct dw_json *value;

		REQUIRE(dw_json_parse(&value, member->raw.p, member->raw.n, NULL) == DW_OK);
		REQUIRE(dw_json_type(value) == member->type && fuzz_same(dw_json_text(value), member->raw));
		dw_json_destroy(&value);
	}
}

/* The names that changed are a list of at most their object's size. */
static void
check_changes(const struct dw_json *json)
{
	const struct dw_json_member *before = json->count > 0 ? &json->members[0] : NULL,
								*after = json->count > 1 ? &json->members[1] : NULL;
	struct dw_json *names;
	struct dw_buf out = { 0 };

	dw_json_changed_keys(&out, before, after);
	REQUIRE(dw_json_parse(&names, out.data, out.len, NULL) == DW_OK && dw_json_type(names) == DW_JSON_ARRAY);
	REQUIRE(fuzz_same(dw_json_text(names), fuzz_bytes(&out)));
	REQUIRE(out.len <= (after != NULL && after->raw.n > 2 ? after->raw.n : 2));
	dw_json_destroy(&names);
	dw_buf_clear(&out);
}

static void
check_accepted(const struct dw_json *json, const json_t *judged)
{
	const struct dw_str text = dw_json_text(json);
	struct dw_json *again;
	json_t *compact;

	REQUIRE(judged != NULL);
	compact = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	REQUIRE(compact != NULL && json_equal(compact, judged));
	json_decref(compact);
	REQUIRE(dw_json_parse(&again, text.p, text.n, NULL) == DW_OK && fuzz_same(dw_json_text(again), text));
	dw_json_destroy(&again);
	check_members(json);
	check_changes(json);
}

/* What the quick look found is what the parser finds; json is NULL where that accepts nothing. */
static void
check_found(const struct dw_plain *plain, const struct dw_json *json, bool raw)
{
	REQUIRE(json != NULL && dw_json_type(json) == DW_JSON_OBJECT && json->count == plain->object.count);
	for (size_t i = 0; i < plain->object.count; i++) {
		const struct dw_json_member *member = &json->members[i];

		REQUIRE(fuzz_same(plain->members[i].key, member->key) && plain->members[i].type == member->type);
		REQUIRE(!raw || fuzz_same(plain->members[i].raw, member->raw));
	}
}

static void
check_plain(const char *text, size_t n, const struct dw_json *json)
{
	struct dw_buf squeezed = { 0 };
	struct dw_plain plain, inner;
	bool spaced;

	if (!dw_plain_parse(&plain, &inner, text, n, &spaced))
		return;
	check_found(&plain, json, !spaced);
	REQUIRE(spaced || fuzz_same(dw_json_text(json), (struct dw_str) { text, n }));
	dw_plain_squeeze(&squeezed, (struct dw_str) { text, n });
	REQUIRE(fuzz_same(fuzz_bytes(&squeezed), dw_json_text(json)));
	dw_buf_clear(&squeezed);
	for (size_t i = plain.object.count; i-- > 0;) {
		struct dw_json *object;

		if (plain.members[i].type != DW_JSON_OBJECT)
			continue;
		REQUIRE(dw_json_parse(&object, plain.members[i].raw.p, plain.members[i].raw.n, NULL) == DW_OK);
		check_found(&inner, object, !spaced);
		dw_json_destroy(&object);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct dw_json *json = NULL;
	struct dw_fault fault = { 0 };
	json_t *judged = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	const int err = dw_json_parse(&json, text, size, &fault);

	if (err == DW_OK)
		check_accepted(json, judged);
	else
		REQUIRE(fault.message[0] != '\0' && (judged == NULL || is_ours_to_refuse(text, size)));
	check_plain(text, size, json);
	dw_json_destroy(&json);
	json_decref(judged);
	return 0;
}
