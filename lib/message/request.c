/* Requests to publish: a line of diagws-send -l, the body of a POST. Two shapes: the general one names its `data`; the
 * flat one, of the three documented calls, is the data with diagnosis_id and id among its members.
 *
 * The room is read first, so that it is known when something else is wrong: whoever may not publish there
 * is told that and nothing else.
 */
#include "message/msg.h"

#include <stdlib.h>
#include <string.h>

/* Members of a POST's answer: a request's scalar of such a name is not repeated there. */
static const struct dw_str answer_names[] = { DW_STR("diagnosis_id"), DW_STR("id"), DW_STR("type"), DW_STR("success"),
	DW_STR("status"), DW_STR("seq"), DW_STR("n"), DW_STR("duplicate"), DW_STR("clients_notified"),
	DW_STR("devices_queued"), DW_STR("delivered"), DW_STR("message") };
static const struct dw_str general_names[] = { DW_STR("diagnosis_id"), DW_STR("type"), DW_STR("data"), DW_STR("id"),
	DW_STR("user"), DW_STR("exclude_session"), DW_STR("ttl_s") };

#define IS_ONE_OF(names, key) is_one_of(names, sizeof(names) / sizeof(names[0]), key)

static bool
is_one_of(const struct dw_str *names, size_t count, struct dw_str key)
{
	for (size_t i = 0; i < count; i++) {
		if (key.n == names[i].n && memcmp(key.p, names[i].p, key.n) == 0)
			return true;
	}
	return false;
}

void
dw_request_clear(struct dw_request *request)
{
	dw_buf_clear(&request->data);
	dw_buf_clear(&request->scalars);
}

static int
missing(const char *name, const char *expected, struct dw_fault *fault)
{
	return dw_fault_set(fault, DW_E_FIELD, name, expected, "field '%s' is missing", name);
}

static int
read_room(struct dw_request *request, const struct dw_json *json, const char *default_room, struct dw_fault *fault)
{
	static const char expected[] = "1 to 64 of A-Z a-z 0-9 _ -, or an integer from 0 to 9007199254740991";
	const struct dw_json_member *member = dw_json_get(json, "diagnosis_id");
	char room[DW_ROOM_MAX + 1], quoted[DW_QUOTE_SIZE];

	if (member == NULL && default_room == NULL)
		return missing("diagnosis_id", expected, fault);
	if (member == NULL && !dw_room_ok(dw_str(default_room)))
		return dw_fault_set(fault, DW_E_FIELD, "diagnosis_id", expected,
			"field 'diagnosis_id': \"%s\" is not a diagnosis id", dw_quote(dw_str(default_room), quoted));
	if (member != NULL && (dw_id_from_json(member, room, sizeof(room), NULL) != DW_OK || !dw_room_ok(dw_str(room))))
		return dw_member_refuse(member, "is not a diagnosis id", expected, fault);
	(void)dw_str_copy(dw_str(member != NULL ? room : default_room), request->room, sizeof(request->room));
	return DW_OK;
}

static int
read_id(struct dw_request *request, const struct dw_json *json, struct dw_fault *fault)
{
	static const char expected[] = "a string of 1 to 128 of A-Z a-z 0-9 _ . : -";
	const struct dw_json_member *member = dw_json_get(json, "id");

	if (member == NULL || member->type == DW_JSON_NULL)
		return DW_OK;
	if (member->type != DW_JSON_STRING)
		return dw_member_refuse(member, "is not a string", expected, fault);
	if (!dw_id_ok(member->text))
		return dw_member_refuse(member, "is not an id", expected, fault);
	(void)dw_str_copy(member->text, request->id, sizeof(request->id));
	return DW_OK;
}

static int
read_type(struct dw_request *request, const struct dw_json *json, const char *default_type, struct dw_fault *fault)
{
	static const char expected[] = "recommendation, effectiveness, feedback or another name that ends in _update";
	const struct dw_json_member *member = dw_json_get(json, "type");

	if (member == NULL && default_type == NULL)
		return missing("type", expected, fault);
	if (member == NULL)
		return dw_type_expand(dw_str(default_type), request->type, fault);
	if (member->type != DW_JSON_STRING)
		return dw_member_refuse(member, "is not a string", expected, fault);
	return dw_type_expand(member->text, request->type, fault);
}

bool
dw_session_parse(struct dw_str s, uint64_t *session)
{
	char digits[17];
	uint64_t value;

	if (s.n != 16 || !dw_str_copy(s, digits, sizeof(digits)) || strspn(digits, "0123456789abcdef") != 16)
		return false;
	value = strtoull(digits, NULL, 16);
	if (value != 0)
		*session = value;
	return value != 0;
}

/* Who gets it and for how long. */
static int
read_reach(struct dw_request *request, const struct dw_json *json, struct dw_fault *fault)
{
	static const char user[] = "a user id: 1 to 128 bytes without control characters, or an integer",
					  session[] = "what `connect` gave as session: 16 hexadecimal digits",
					  ttl[] = "an integer of seconds from 1 to 2592000";
	const struct dw_json_member *member = dw_json_get(json, "user");

	if (member != NULL && member->type != DW_JSON_NULL &&
		(dw_id_from_json(member, request->to, sizeof(request->to), NULL) != DW_OK || !dw_user_ok(dw_str(request->to))))
		return dw_member_refuse(member, "is not a user id", user, fault);
	member = dw_json_get(json, "exclude_session");
	if (member != NULL && member->type != DW_JSON_NULL &&
		(member->type != DW_JSON_STRING || !dw_session_parse(member->text, &request->except)))
		return dw_member_refuse(member, "is not a session", session, fault);
	member = dw_json_get(json, "ttl_s");
	if (member == NULL || member->type == DW_JSON_NULL)
		return DW_OK;
	if (member->type != DW_JSON_INTEGER)
		return dw_member_refuse(member, "is not an integer", ttl, fault);
	if (member->integer < 1 || member->integer > DW_TTL_MAX_S)
		return dw_member_refuse(member, "is not within 1..2592000", ttl, fault);
	request->ttl_ms = (uint64_t)member->integer * 1000;
	return DW_OK;
}

static int
check_names(const struct dw_json *json, struct dw_fault *fault)
{
	char name[DW_QUOTE_SIZE];

	for (size_t i = 0; i < json->count; i++) {
		const struct dw_json_member *member = &json->members[i];

		if (IS_ONE_OF(general_names, member->key))
			continue;
		(void)dw_quote(member->key, name);
		return dw_fault_set(fault, DW_E_FIELD, name, "diagnosis_id, type, data, id, user, exclude_session, ttl_s",
			"field '%s' is unknown", name);
	}
	return DW_OK;
}

static void
add_member(struct dw_buf *out, const struct dw_json_member *member)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		dw_buf_addc(out, ',');
	dw_buf_add(out, member->raw_key.p, member->raw_key.n);
	dw_buf_addc(out, ':');
	dw_buf_add(out, member->raw.p, member->raw.n);
}

static void
start(struct dw_request *request)
{
	request->room[0] = request->type[0] = request->id[0] = request->to[0] = '\0';
	request->except = request->ttl_ms = 0;
	dw_buf_reset(&request->data);
	dw_buf_reset(&request->scalars);
}

/* All but `data`. */
static int
read_members(struct dw_request *request, const struct dw_json *json, const char *default_room, const char *default_type,
	struct dw_fault *fault)
{
	int err = read_room(request, json, default_room, fault);

	if (err == DW_OK)
		err = check_names(json, fault);
	if (err == DW_OK)
		err = read_type(request, json, default_type, fault);
	if (err == DW_OK)
		err = read_id(request, json, fault);
	return err == DW_OK ? read_reach(request, json, fault) : err;
}

/* The usual request, read without a parser; false: it is not right, or takes a closer look. */
static bool
read_plain(struct dw_request *request, const char *default_room, const char *default_type, const char *body, size_t n)
{
	const struct dw_json_member *data;
	struct dw_plain plain, inner;
	bool spaced;

	if (!dw_plain_parse(&plain, &inner, body, n, &spaced) ||
		read_members(request, &plain.object, default_room, default_type, NULL) != DW_OK)
		return false;
	/* No other member may be an object: the members within are those of `data`. */
	data = dw_json_get(&plain.object, "data");
	if (data == NULL || data->type != DW_JSON_OBJECT ||
		dw_members_check(dw_str(request->type), &inner.object, NULL) != DW_OK)
		return false;
	if (spaced)
		dw_plain_squeeze(&request->data, data->raw);
	else
		dw_buf_add(&request->data, data->raw.p, data->raw.n);
	return request->data.len <= DW_DATA_MAX && dw_buf_ok(&request->data);
}

int
dw_request_general(struct dw_request *request, const char *default_room, const char *default_type, const char *body,
	size_t n, struct dw_fault *fault)
{
	const struct dw_json_member *data;
	struct dw_json *json = NULL;
	int err;

	start(request);
	if (read_plain(request, default_room, default_type, body, n))
		return DW_OK;
	start(request);
	err = dw_object_parse(&json, dw_bytes(body, n), fault);
	if (err != DW_OK)
		return err;
	err = read_members(request, json, default_room, default_type, fault);
	if (err != DW_OK)
		goto out;
	data = dw_json_get(json, "data");
	if (data == NULL)
		err = missing("data", "a JSON object", fault);
	else
		err = dw_data_check(dw_str(request->type), data->raw.p, data->raw.n, &request->data, fault);
out:
	dw_json_destroy(&json);
	return err;
}

int
dw_request_flat(struct dw_request *request, const char *type, const char *body, size_t n, struct dw_fault *fault)
{
	struct dw_json *json = NULL;
	int err;

	start(request);
	err = dw_object_parse(&json, dw_bytes(body, n), fault);
	if (err != DW_OK)
		return err;
	err = read_room(request, json, NULL, fault);
	if (err == DW_OK)
		err = dw_type_expand(dw_str(type), request->type, fault);
	if (err == DW_OK)
		err = read_id(request, json, fault);
	if (err == DW_OK)
		err = dw_members_check(dw_str(request->type), json, fault);
	if (err != DW_OK)
		goto out;
	dw_buf_addc(&request->data, '{');
	for (size_t i = 0; i < json->count; i++) {
		const struct dw_json_member *member = &json->members[i];

		if (!dw_str_is(member->key, "diagnosis_id") && !dw_str_is(member->key, "id"))
			add_member(&request->data, member);
		if (member->type < DW_JSON_ARRAY && !IS_ONE_OF(answer_names, member->key))
			add_member(&request->scalars, member);
	}
	dw_buf_addc(&request->data, '}');
	if (dw_buf_ok(&request->data) && dw_buf_ok(&request->scalars))
		err = dw_data_size_check(request->data.len, fault);
	else
		err = dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
out:
	dw_json_destroy(&json);
	return err;
}
