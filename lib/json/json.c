/* JSON from a peer: jansson says whether it is right, and the text itself where its members lie.
 *
 * One pass over the text makes a copy without white space outside strings and bounds the nesting, before jansson, which
 * recurses, sees it; jansson judges the text as it came, so that its line and column are the sender's. Then the copy is
 * gone through beside the root's members, which jansson keeps in the order of the text.
 *
 * jansson 2.14 does not survive every failed allocation (its issue 362), and takes others for a fault of the text:
 * dw_json_watch_memory.
 */
#include "json/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64, TEXT_MAX = 16 * 1024 * 1024 };

static _Thread_local bool starved; /* an allocation of jansson failed */

static void *
take(size_t n)
{
	void *at = malloc(n);

	starved |= at == NULL;
	return at;
}

void
dw_json_watch_memory(void)
{
	json_set_alloc_funcs(take, free);
}

static int
fault_at(struct dw_fault *fault, const char *text, size_t at, const char *what)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xC0U) != 0x80U) {
			column++;
		}
	}
	return dw_fault_set(fault, DW_E_JSON, NULL, "JSON (RFC 8259)", "line %zu, column %zu: %s", line, column, what);
}

static const struct verdict {
	enum json_error_code code;
	int err;
	const char *what, *expected;
} verdicts[] = {
	{ json_error_duplicate_key, DW_E_JSON, "duplicate key", "each key once in an object" },
	{ json_error_numeric_overflow, DW_E_FIELD, "number too large",
		"integers of 64 bits with sign, other numbers below 1.8e308" },
	{ json_error_null_character, DW_E_FIELD, "\\u0000 is not allowed", "strings without the character U+0000" },
	{ json_error_null_byte_in_key, DW_E_FIELD, "\\u0000 is not allowed", "strings without the character U+0000" },
	{ json_error_invalid_utf8, DW_E_JSON, "not valid UTF-8", "JSON (RFC 8259)" },
	{ json_error_premature_end_of_input, DW_E_JSON, "unexpected end", "JSON (RFC 8259)" },
};

/* jansson's verdict in our words. Its "near '…'" is left out: that is a piece of the payload. Numbers and
 * \u0000 that the grammar allows and no parser here takes are a wrong field, not malformed JSON. */
static int
fault_of(struct dw_fault *fault, json_error_t *error)
{
	const enum json_error_code code = json_error_code(error);
	struct verdict verdict = { code, DW_E_JSON, error->text, "JSON (RFC 8259)" };
	char *near = strstr(error->text, " near ");

	/* jansson fills nothing in when some of its allocations fail. */
	if (code == json_error_unknown || code == json_error_out_of_memory)
		return dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
	if (near != NULL)
		*near = '\0';
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		if (verdicts[i].code == code)
			verdict = verdicts[i];
	}
	return dw_fault_set(fault, verdict.err, NULL, verdict.expected, "line %d, column %d: %s", error->line,
		error->column > 0 ? error->column : 1, verdict.what);
}

/* Copies text without its white space outside strings. What is inside a string is judged as jansson
 * does up to its first complaint, and nothing after that matters. */
static int
drop_space(struct dw_json *json, const char *text, size_t n, struct dw_fault *fault)
{
	bool in_string = false, escaped = false;
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (c == '\0')
			return fault_at(fault, text, i, "a NUL byte is not allowed");
		if (in_string) {
			in_string = escaped || c != '"';
			escaped = !escaped && c == '\\';
		} else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			continue;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > DEPTH_MAX)
				return fault_at(fault, text, i, "nested deeper than 64 levels");
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
		json->compact[json->size++] = c;
	}
	if (json->size == 0)
		return fault_at(fault, text, 0, "nothing there");
	if (json->size >= 3 && memcmp(json->compact, "\xEF\xBB\xBF", 3) == 0)
		return fault_at(fault, text, 0, "a byte order mark is not allowed");
	json->compact[json->size] = '\0';
	return DW_OK;
}

static enum dw_json_type
type_of(const json_t *node)
{
	static const enum dw_json_type types[] = { [JSON_OBJECT] = DW_JSON_OBJECT,
		[JSON_ARRAY] = DW_JSON_ARRAY,
		[JSON_STRING] = DW_JSON_STRING,
		[JSON_INTEGER] = DW_JSON_INTEGER,
		[JSON_REAL] = DW_JSON_REAL,
		[JSON_TRUE] = DW_JSON_BOOL,
		[JSON_FALSE] = DW_JSON_BOOL,
		[JSON_NULL] = DW_JSON_NULL };

	return types[json_typeof(node)];
}

static size_t
count_code_points(struct dw_str s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.n; i++)
		count += ((unsigned char)s.p[i] & 0xC0U) != 0x80U;
	return count;
}

/* jansson gives 0 and NULL for what a value is not. */
static void
fill_value(struct dw_json_member *member, const json_t *node)
{
	member->private = node;
	member->type = type_of(node);
	member->integer = json_is_true(node) ? 1 : json_integer_value(node);
	member->number = json_number_value(node);
	member->text = (struct dw_str) { json_string_value(node), json_string_length(node) };
	member->code_points = count_code_points(member->text);
}

/* Takes a name or a value, and the character behind it. */
static struct dw_str
take_slice(const char **at)
{
	const char *const from = *at, *p = from;
	bool in_string = false;

	for (size_t depth = 0; in_string || depth > 0 || strchr(",:]}", *p) == NULL; p++) {
		if (*p == '"')
			in_string = !in_string;
		else if (in_string)
			p += *p == '\\';
		else if (*p == '[' || *p == '{')
			depth++;
		else if (*p == ']' || *p == '}')
			depth--;
	}
	*at = p + 1;
	return (struct dw_str) { from, (size_t)(p - from) };
}

static int
locate_members(struct dw_json *json)
{
	void *iter = json_object_iter(json->root); /* NULL: it is no object, or an empty one */
	const char *at = json->compact + 1;

	json->count = iter != NULL ? json_object_size(json->root) : json_array_size(json->root);
	if (json->count == 0)
		return DW_OK;
	json->members = calloc(json->count, sizeof(*json->members));
	if (json->members == NULL)
		return DW_E_NOMEM;
	for (size_t i = 0; i < json->count; i++) {
		struct dw_json_member *member = &json->members[i];

		if (iter != NULL) {
			member->raw_key = take_slice(&at);
			member->key = (struct dw_str) { json_object_iter_key(iter), json_object_iter_key_len(iter) };
			fill_value(member, json_object_iter_value(iter));
			iter = json_object_iter_next(json->root, iter);
		} else {
			fill_value(member, json_array_get(json->root, i));
		}
		member->raw = take_slice(&at);
	}
	return DW_OK;
}

int
dw_json_parse(struct dw_json **out, const char *text, size_t n, struct dw_fault *fault)
{
	struct dw_json *json;
	json_error_t error;
	int err;

	if (n > TEXT_MAX)
		return dw_fault_set(fault, DW_E_TOO_BIG, NULL, "at most 16 MiB", "%zu bytes of JSON are too many", n);
	json = calloc(1, sizeof(*json));
	err = DW_E_NOMEM;
	if (json == NULL)
		goto out;
	json->compact = calloc(1, n + 1);
	if (json->compact == NULL)
		goto out;
	err = drop_space(json, text, n, fault);
	if (err != DW_OK)
		goto out;
	starved = false;
	json->root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (json->root == NULL) {
		err = starved ? DW_E_NOMEM : fault_of(fault, &error);
		goto out;
	}
	err = locate_members(json);
	if (err != DW_OK)
		goto out;
	*out = json;
	json = NULL;
out:
	if (err == DW_E_NOMEM)
		(void)dw_fault_set(fault, err, NULL, NULL, "out of memory");
	dw_json_destroy(&json);
	return err;
}

void
dw_json_destroy(struct dw_json **json_p)
{
	struct dw_json *json = *json_p;

	if (json == NULL)
		return;
	json_decref(json->root);
	free(json->members);
	free(json->compact);
	free(json);
	*json_p = NULL;
}

enum dw_json_type
dw_json_type(const struct dw_json *json)
{
	return type_of(json->root);
}

struct dw_str
dw_json_text(const struct dw_json *json)
{
	return (struct dw_str) { json->compact, json->size };
}

/* An integer and a double are compared exactly: beyond 2^53 a cast alone would round. */
static bool
same_number(const json_t *a, const json_t *b)
{
	static const double two_to_63 = 9223372036854775808.0;
	double real;

	if (json_typeof(a) == json_typeof(b))
		return json_is_integer(a) ? json_integer_value(a) == json_integer_value(b)
								  : json_real_value(a) == json_real_value(b);
	if (json_is_real(a))
		return same_number(b, a);
	real = json_real_value(b);
	return real >= -two_to_63 && real < two_to_63 && (double)(json_int_t)real == real &&
		   (json_int_t)real == json_integer_value(a);
}

/* jansson's json_equal holds 1 and 1.0 for different. The depth is bounded by DEPTH_MAX. */
static bool
same_value(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return same_number(a, b);
	if (json_typeof(a) != json_typeof(b))
		return false;
	if (json_is_array(a)) {
		bool same = json_array_size(a) == json_array_size(b);

		for (size_t i = 0; same && i < json_array_size(a); i++)
			same = same_value(json_array_get(a, i), json_array_get(b, i));
		return same;
	}
	if (json_is_object(a)) {
		json_t *object = (json_t *)a;
		bool same = json_object_size(a) == json_object_size(b);

		for (void *i = json_object_iter(object); same && i != NULL; i = json_object_iter_next(object, i)) {
			const json_t *other = json_object_get(b, json_object_iter_key(i));

			same = other != NULL && same_value(json_object_iter_value(i), other);
		}
		return same;
	}
	return json_equal(a, b);
}

static json_t *
object_of(const struct dw_json_member *member)
{
	return member != NULL && member->type == DW_JSON_OBJECT ? (json_t *)member->private : NULL;
}

void
dw_json_changed_keys(struct dw_buf *out, const struct dw_json_member *before, const struct dw_json_member *after)
{
	json_t *was = object_of(before), *is = object_of(after);
	bool first = true;

	dw_buf_addc(out, '[');
	for (void *i = json_object_iter(is); i != NULL; i = json_object_iter_next(is, i)) {
		const json_t *old = json_object_get(was, json_object_iter_key(i));

		if (old != NULL && same_value(old, json_object_iter_value(i)))
			continue;
		if (!first)
			dw_buf_addc(out, ',');
		first = false;
		dw_buf_add_json_string(out, (struct dw_str) { json_object_iter_key(i), json_object_iter_key_len(i) });
	}
	dw_buf_addc(out, ']');
}
