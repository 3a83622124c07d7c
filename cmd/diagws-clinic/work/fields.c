/* See fields.h. The faults quote a piece of what was given: they are for whoever gave it and never go to a log.
 */
#include "work/fields.h"

#include <stdio.h>

#include "message/msg.h"

int
fields_parse(struct dw_json **out, struct dw_str body, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];
	struct dw_json *json;
	int err = dw_json_parse(&json, body.p != NULL ? body.p : "", body.n, fault);

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

static int
refuse_name(const struct dw_json_member *member, const struct field_rule *rules, size_t count, struct dw_fault *fault)
{
	char name[DW_QUOTE_SIZE], expected[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < count && len < sizeof(expected); i++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s%s", i > 0 ? ", " : "", rules[i].name);
	(void)dw_quote(member->key, name);
	return dw_fault_set(fault, DW_E_FIELD, name, expected, "field '%s' is unknown", name);
}

static int
check_names(const struct dw_json *object, const struct field_rule *rules, size_t count, struct dw_fault *fault)
{
	for (size_t m = 0; m < object->count; m++) {
		size_t i = 0;

		while (i < count && !dw_str_is(object->members[m].key, rules[i].name))
			i++;
		if (i == count)
			return refuse_name(&object->members[m], rules, count, fault);
	}
	return DW_OK;
}

static int
check_length(const struct field_rule *rule, const struct dw_json_member *member, struct dw_fault *fault)
{
	if (member->code_points > (size_t)rule->max)
		return dw_fault_set(fault, DW_E_FIELD, rule->name, rule->expected,
			"field '%s': %zu characters are more than %lld", rule->name, member->code_points, (long long)rule->max);
	if (member->code_points < (size_t)rule->min)
		return dw_fault_set(fault, DW_E_FIELD, rule->name, rule->expected, "field '%s' is empty", rule->name);
	return DW_OK;
}

static int
check_member(const struct field_rule *rule, const struct dw_json_member *member, struct dw_fault *fault)
{
	static const char *const not_of_kind[] = { [DW_JSON_BOOL] = "is not true or false",
		[DW_JSON_INTEGER] = "is not an integer",
		[DW_JSON_REAL] = "is not a number",
		[DW_JSON_STRING] = "is not a string",
		[DW_JSON_ARRAY] = "is not an array",
		[DW_JSON_OBJECT] = "is not an object" };
	char id[DW_ROOM_MAX + 1], why[64];
	bool number = rule->kind == DW_JSON_INTEGER || rule->kind == DW_JSON_REAL;

	if (rule->kind == FIELD_DIAGNOSIS) {
		if (dw_id_from_json(member, id, sizeof(id), NULL) != DW_OK || !dw_room_ok(dw_str(id)))
			return dw_member_refuse(member, "is not a diagnosis id", rule->expected, fault);
		return DW_OK;
	}
	if (member->type != rule->kind && (rule->kind != DW_JSON_REAL || member->type != DW_JSON_INTEGER))
		return dw_member_refuse(member, not_of_kind[rule->kind], rule->expected, fault);
	if (rule->kind == DW_JSON_STRING)
		return check_length(rule, member, fault);
	if (!number || (member->number >= (double)rule->min && member->number <= (double)rule->max))
		return DW_OK;
	if (rule->max == INT64_MAX)
		(void)snprintf(why, sizeof(why), "is below %lld", (long long)rule->min);
	else
		(void)snprintf(why, sizeof(why), "is not within %lld..%lld", (long long)rule->min, (long long)rule->max);
	return dw_member_refuse(member, why, rule->expected, fault);
}

int
fields_check(const struct dw_json *object, const struct field_rule *rules, size_t count, struct dw_fault *fault)
{
	int err = check_names(object, rules, count, fault);

	for (size_t i = 0; err == DW_OK && i < count; i++) {
		const struct field_rule *rule = &rules[i];
		const struct dw_json_member *member = dw_json_get(object, rule->name);

		if (member == NULL && !rule->optional)
			return dw_fault_set(fault, DW_E_FIELD, rule->name, rule->expected, "field '%s' is missing", rule->name);
		if (member != NULL && !(rule->optional && member->type == DW_JSON_NULL))
			err = check_member(rule, member, fault);
	}
	return err;
}

const struct dw_json_member *
field_given(const struct dw_json *object, const char *name)
{
	const struct dw_json_member *member = dw_json_get(object, name);

	return member != NULL && member->type != DW_JSON_NULL ? member : NULL;
}

int64_t
field_integer(const struct dw_json *object, const char *name, int64_t absent)
{
	const struct dw_json_member *member = field_given(object, name);

	return member != NULL ? member->integer : absent;
}

struct dw_str
field_text(const struct dw_json *object, const char *name)
{
	const struct dw_json_member *member = field_given(object, name);

	return member != NULL ? member->text : (struct dw_str) { 0 };
}

void
field_diagnosis(const struct dw_json *object, const char *name, char *out)
{
	const struct dw_json_member *member = field_given(object, name);

	out[0] = '\0';
	if (member != NULL)
		(void)dw_id_from_json(member, out, DW_ROOM_MAX + 1, NULL);
}
