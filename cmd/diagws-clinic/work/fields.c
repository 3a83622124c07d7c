/* See fields.h. The faults quote a piece of what was given: they are for whoever gave it and never go to a log.
 */
#include "work/fields.h"

#include <stdio.h>

#include "message/msg.h"

static int
refuse_name(const struct dw_json_member *member, const struct dw_rule *rules, size_t count, struct dw_fault *fault)
{
	char name[DW_QUOTE_SIZE], expected[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < count && len < sizeof(expected); i++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s%s", i > 0 ? ", " : "", rules[i].name);
	(void)dw_quote(member->key, name);
	return dw_fault_set(fault, DW_E_FIELD, name, expected, "field '%s' is unknown", name);
}

static int
check_names(const struct dw_json *object, const struct dw_rule *rules, size_t count, struct dw_fault *fault)
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
check_diagnosis(const struct dw_rule *rule, const struct dw_json *object, struct dw_fault *fault)
{
	const struct dw_json_member *member = dw_json_get(object, rule->name);
	char id[DW_ROOM_MAX + 1];

	if (member == NULL)
		return dw_fault_set(fault, DW_E_FIELD, rule->name, rule->expected, "field '%s' is missing", rule->name);
	if (dw_id_from_json(member, id, sizeof(id), NULL) != DW_OK || !dw_room_ok(dw_str(id)))
		return dw_member_refuse(member, "is not a diagnosis id", rule->expected, fault);
	return DW_OK;
}

int
fields_check(const struct dw_json *object, const struct dw_rule *rules, size_t count, struct dw_fault *fault)
{
	int err = check_names(object, rules, count, fault);

	for (size_t i = 0; err == DW_OK && i < count; i++)
		err = rules[i].kind == FIELD_DIAGNOSIS ? check_diagnosis(&rules[i], object, fault)
											   : dw_rule_check(&rules[i], object, fault);
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
