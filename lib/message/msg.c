/* Messages: what their names may look like, and what their data must hold: a row for each member, checked in the
 * table's order; the first that is wrong is told. Members that no row names are the sender's affair.
 *
 * The faults quote a piece of the payload: they are for whoever sent it and never go to a log.
 */
#include "message/msg.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

struct row {
	const char *type;
	struct dw_rule rule;
};

static const char SHARE[] = "a number from 0 to 1";
static const char COUNT[] = "an integer, 0 or more";

static const struct row rows[] = {
	{ "recommendation_update", { "old_data", DW_JSON_OBJECT, false, 0, 0, "a JSON object" } },
	{ "recommendation_update", { "new_data", DW_JSON_OBJECT, false, 0, 0, "a JSON object" } },
	{ "recommendation_update",
		{ "reason", DW_JSON_STRING, true, 0, DW_REASON_MAX, "a string of at most 2000 characters" } },
	{ "effectiveness_update", { "recommendation_id", DW_JSON_INTEGER, false, 0, INT64_MAX, COUNT } },
	{ "effectiveness_update", { "new_effectiveness", DW_JSON_REAL, false, 0, 1, SHARE } },
	{ "effectiveness_update", { "confidence", DW_JSON_REAL, false, 0, 1, SHARE } },
	{ "effectiveness_update", { "sample_size", DW_JSON_INTEGER, false, 0, INT64_MAX, COUNT } },
	{ "feedback_update", { "feedback_id", DW_JSON_INTEGER, false, 0, INT64_MAX, COUNT } },
	{ "feedback_update", { "rating", DW_JSON_INTEGER, false, 1, 5, "an integer from 1 to 5" } },
	{ "feedback_update", { "effectiveness", DW_JSON_REAL, false, 0, 1, SHARE } },
	{ "feedback_update", { "recommendation_id", DW_JSON_INTEGER, true, 0, INT64_MAX, COUNT } },
	{ "feedback_update", { "comment", DW_JSON_STRING, true, 0, DW_COMMENT_MAX, "a string of at most 500 characters" } },
};

static const char *const short_types[] = { "recommendation", "effectiveness", "feedback" };
static const char SUFFIX[] = "_update";
static const uint64_t NUMBER_IDS_END = UINT64_C(1) << 53; /* what JavaScript reads exactly ends here */

/* The size of the character at s.p[at], 0 when it is none; shown: it is one, and not of those that control. */
static size_t
character(struct dw_str s, size_t at, bool *shown)
{
	const unsigned char *p = (const unsigned char *)s.p + at;
	const size_t n = dw_utf8_character(p, s.n - at);

	*shown = n > 0 && *p >= 0x20 && *p != 0x7F && (*p != 0xC2 || p[1] >= 0xA0);
	return n;
}

static bool
is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* `more` holds the bytes that are allowed beside letters and digits. */
static bool
name_ok(struct dw_str s, size_t max, const char more[4])
{
	if (s.n == 0 || s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];

		if (!is_alphanumeric(c) && (c == '\0' || (c != more[0] && c != more[1] && c != more[2] && c != more[3])))
			return false;
	}
	return true;
}

bool
dw_room_ok(struct dw_str s)
{
	return name_ok(s, DW_ROOM_MAX, "_-\0");
}

bool
dw_device_ok(struct dw_str s)
{
	return name_ok(s, DW_DEVICE_MAX, "_.-");
}

bool
dw_id_ok(struct dw_str s)
{
	return name_ok(s, DW_ID_MAX, "_.:-");
}

bool
dw_type_ok(struct dw_str s)
{
	size_t suffix = sizeof(SUFFIX) - 1;

	if (!name_ok(s, DW_TYPE_MAX, "_\0\0") || s.n <= suffix || memcmp(s.p + s.n - suffix, SUFFIX, suffix) != 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return false;
	}
	return true;
}

bool
dw_user_ok(struct dw_str s)
{
	bool shown = s.n > 0 && s.n <= DW_USER_MAX;

	for (size_t at = 0; shown && at < s.n;)
		at += character(s, at, &shown);
	return shown;
}

const char *
dw_quote(struct dw_str s, char out[DW_QUOTE_SIZE])
{
	static const char ellipsis[] = "…";
	size_t room = DW_QUOTE_SIZE - sizeof(ellipsis), len = 0, step;

	for (size_t at = 0; at < s.n; at += step) {
		bool shown;

		step = character(s, at, &shown);
		if (step == 0)
			step = 1;
		if (len + (shown ? step : 1) > room) {
			memcpy(out + len, ellipsis, sizeof(ellipsis));
			return out;
		}
		if (shown)
			memcpy(out + len, s.p + at, step);
		else
			out[len] = '?';
		len += shown ? step : 1;
	}
	out[len] = '\0';
	return out;
}

int
dw_room_check(struct dw_str room, const char *from, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	if (dw_room_ok(room))
		return DW_OK;
	return dw_fault_set(fault, DW_E_FIELD, "diagnosis_id", "1 to 64 of A-Z a-z 0-9 _ -", "%s'%s' is not a diagnosis id",
		from, dw_quote(room, quoted));
}

int
dw_user_check(struct dw_str user, const char *from, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	if (dw_user_ok(user))
		return DW_OK;
	return dw_fault_set(fault, DW_E_FIELD, "user_id", "1 to 128 bytes of UTF-8 without control characters",
		"%s'%s' is not a user id", from, dw_quote(user, quoted));
}

int
dw_member_refuse(const struct dw_json_member *member, const char *why, const char *expected, struct dw_fault *fault)
{
	char name[DW_QUOTE_SIZE], value[DW_QUOTE_SIZE];

	return dw_fault_set(fault, DW_E_FIELD, dw_quote(member->key, name), expected, "field '%s': %s %s", name,
		dw_quote(member->raw, value), why);
}

int
dw_type_expand(struct dw_str word, char out[DW_TYPE_MAX + 1], struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];

	for (size_t i = 0; i < sizeof(short_types) / sizeof(short_types[0]); i++) {
		if (dw_str_is(word, short_types[i])) {
			(void)snprintf(out, DW_TYPE_MAX + 1, "%s%s", short_types[i], SUFFIX);
			return DW_OK;
		}
	}
	if (!dw_type_ok(word))
		return dw_fault_set(fault, DW_E_FIELD, "type",
			"recommendation, effectiveness, feedback or a name of at most 64 of a-z 0-9 _ that ends in _update",
			"field 'type': \"%s\" is not a type of message", dw_quote(word, quoted));
	(void)dw_str_copy(word, out, DW_TYPE_MAX + 1);
	return DW_OK;
}

void
dw_id_to_json(struct dw_buf *out, struct dw_str id)
{
	uint64_t value = 0;
	bool number = id.n > 0 && id.n <= 16 && (id.p[0] != '0' || id.n == 1);

	for (size_t i = 0; number && i < id.n; i++) {
		number = id.p[i] >= '0' && id.p[i] <= '9';
		value = value * 10 + (uint64_t)(id.p[i] - '0');
	}
	if (number && value < NUMBER_IDS_END)
		dw_buf_add(out, id.p, id.n);
	else
		dw_buf_add_json_string(out, id);
}

int
dw_id_from_json(const struct dw_json_member *member, char *out, size_t size, struct dw_fault *fault)
{
	static const char expected[] = "a string, or an integer from 0 to 9007199254740991";
	struct dw_str id = member->text;
	char digits[24];

	if (member->type == DW_JSON_INTEGER) {
		if (member->integer < 0 || (uint64_t)member->integer >= NUMBER_IDS_END)
			return dw_member_refuse(member, "is not within 0..9007199254740991", expected, fault);
		(void)snprintf(digits, sizeof(digits), "%lld", (long long)member->integer);
		id = dw_str(digits);
	} else if (member->type != DW_JSON_STRING) {
		return dw_member_refuse(member, "is not an id", expected, fault);
	}
	return dw_str_copy(id, out, size) ? DW_OK : dw_member_refuse(member, "is too long", expected, fault);
}

static int
check_length(const struct dw_rule *rule, const struct dw_json_member *member, struct dw_fault *fault)
{
	if (member->code_points > (size_t)rule->max)
		return dw_fault_set(fault, DW_E_FIELD, rule->name, rule->expected,
			"field '%s': %zu characters are more than %lld", rule->name, member->code_points, (long long)rule->max);
	if (member->code_points < (size_t)rule->min)
		return dw_fault_set(fault, DW_E_FIELD, rule->name, rule->expected, "field '%s' is empty", rule->name);
	return DW_OK;
}

static int
check_member(const struct dw_rule *rule, const struct dw_json_member *member, struct dw_fault *fault)
{
	static const char *const not_of_kind[] = { [DW_JSON_INTEGER] = "is not an integer",
		[DW_JSON_REAL] = "is not a number",
		[DW_JSON_STRING] = "is not a string",
		[DW_JSON_ARRAY] = "is not an array",
		[DW_JSON_OBJECT] = "is not an object" };
	char why[64];
	bool within = true;

	if (member->type != rule->kind && (rule->kind != DW_JSON_REAL || member->type != DW_JSON_INTEGER))
		return dw_member_refuse(member, not_of_kind[rule->kind], rule->expected, fault);
	if (rule->kind == DW_JSON_STRING)
		return check_length(rule, member, fault);
	if (rule->kind == DW_JSON_INTEGER)
		within = member->integer >= rule->min && member->integer <= rule->max;
	else if (rule->kind == DW_JSON_REAL)
		within = member->number >= (double)rule->min && member->number <= (double)rule->max;
	if (within)
		return DW_OK;
	if (rule->max == INT64_MAX)
		(void)snprintf(why, sizeof(why), "is below %lld", (long long)rule->min);
	else
		(void)snprintf(why, sizeof(why), "is not within %lld..%lld", (long long)rule->min, (long long)rule->max);
	return dw_member_refuse(member, why, rule->expected, fault);
}

int
dw_rule_check(const struct dw_rule *rule, const struct dw_json *object, struct dw_fault *fault)
{
	const struct dw_json_member *member = dw_json_get(object, rule->name);

	if (member == NULL && !rule->optional)
		return dw_fault_set(fault, DW_E_FIELD, rule->name, rule->expected, "field '%s' is missing", rule->name);
	if (member == NULL || (rule->optional && member->type == DW_JSON_NULL))
		return DW_OK;
	return check_member(rule, member, fault);
}

int
dw_object_parse(struct dw_json **out, struct dw_str text, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];
	struct dw_json *json;
	int err = dw_json_parse(&json, text.p != NULL ? text.p : "", text.n, fault);

	if (err != DW_OK)
		return err;
	if (dw_json_type(json) != DW_JSON_OBJECT) {
		(void)dw_fault_set(
			fault, DW_E_FIELD, NULL, "a JSON object", "%s is not an object", dw_quote(dw_json_text(json), quoted));
		dw_json_destroy(&json);
		return DW_E_FIELD;
	}
	*out = json;
	return DW_OK;
}

int
dw_members_check(struct dw_str type, const struct dw_json *object, struct dw_fault *fault)
{
	int err = DW_OK;

	for (const struct row *row = rows; err == DW_OK && row < rows + sizeof(rows) / sizeof(rows[0]); row++)
		if (dw_str_is(type, row->type))
			err = dw_rule_check(&row->rule, object, fault);
	return err;
}

int
dw_data_size_check(size_t n, struct dw_fault *fault)
{
	if (n <= DW_DATA_MAX)
		return DW_OK;
	return dw_fault_set(fault, DW_E_TOO_BIG, "data", "at most 65536 bytes, white space outside strings not counted",
		"field 'data': %zu bytes are more than %d", n, DW_DATA_MAX);
}

int
dw_data_check(struct dw_str type, const char *data, size_t n, struct dw_buf *compact, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];
	struct dw_json *json = NULL;
	struct dw_plain plain;
	struct dw_str text;
	bool spaced;
	int err;

	if (!dw_type_ok(type))
		return dw_fault_set(fault, DW_E_FIELD, "type", "1 to 57 of a-z 0-9 _, then _update",
			"field 'type': \"%s\" is not a type of message", dw_quote(type, quoted));
	if (n <= DW_DATA_MAX && dw_plain_parse(&plain, NULL, data, n, &spaced) && !spaced &&
		dw_members_check(type, &plain.object, NULL) == DW_OK) {
		dw_buf_add(compact, data, n);
		err = DW_OK;
		goto out;
	}
	err = dw_json_parse(&json, data, n, fault);
	if (err != DW_OK)
		return err;
	text = dw_json_text(json);
	err = dw_data_size_check(text.n, fault);
	if (err != DW_OK)
		goto out;
	if (dw_json_type(json) != DW_JSON_OBJECT)
		err = dw_fault_set(
			fault, DW_E_FIELD, "data", "a JSON object", "field 'data': %s is not an object", dw_quote(text, quoted));
	else
		err = dw_members_check(type, json, fault);
	if (err == DW_OK)
		dw_buf_add(compact, text.p, text.n);
out:
	dw_json_destroy(&json);
	if (err == DW_OK && !dw_buf_ok(compact))
		err = dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
	return err;
}
