/* Messages as clients get them.
 *
 * The data's bytes go out as they came in; only recommendation_update is parsed once more, to be completed with what
 * the documents promise beside the sender's members. What cannot be parsed (a damaged store) goes out as it is.
 */
#include "message/msg.h"

#include "base/clock.h"

static bool
is_computed(struct dw_str key)
{
	return dw_str_is(key, "old_recommendation") || dw_str_is(key, "new_recommendation") ||
		   dw_str_is(key, "changed_fields");
}

static void
add_raw(struct dw_buf *out, const char *name, const struct dw_json_member *member)
{
	dw_buf_adds(out, name);
	if (member != NULL)
		dw_buf_add(out, member->raw.p, member->raw.n);
	else
		dw_buf_adds(out, "null");
}

static void
add_recommendation(struct dw_buf *out, struct dw_str data)
{
	const struct dw_json_member *before, *after;
	struct dw_json *json = NULL;
	int err = dw_json_parse(&json, data.p, data.n, NULL);

	if (err == DW_E_NOMEM)
		out->failed = true;
	if (err != DW_OK || dw_json_type(json) != DW_JSON_OBJECT) {
		dw_buf_add(out, data.p, data.n);
		goto out;
	}
	dw_buf_addc(out, '{');
	for (size_t i = 0; i < json->count; i++) {
		const struct dw_json_member *member = &json->members[i];

		if (is_computed(member->key))
			continue;
		dw_buf_add(out, member->raw_key.p, member->raw_key.n);
		dw_buf_addc(out, ':');
		dw_buf_add(out, member->raw.p, member->raw.n);
		dw_buf_addc(out, ',');
	}
	before = dw_json_get(json, "old_data");
	after = dw_json_get(json, "new_data");
	if (dw_json_get(json, "reason") == NULL)
		dw_buf_adds(out, "\"reason\":null,");
	add_raw(out, "\"old_recommendation\":", before);
	add_raw(out, ",\"new_recommendation\":", after);
	dw_buf_adds(out, ",\"changed_fields\":");
	dw_json_changed_keys(out, before, after);
	dw_buf_addc(out, '}');
out:
	dw_json_destroy(&json);
}

void
dw_record_to_json(struct dw_buf *out, struct dw_str room, const struct dw_record *record)
{
	char at[DW_TIME_SIZE];

	dw_time_text(record->at, at);
	dw_buf_adds(out, "{\"type\":\"");
	dw_buf_add(out, record->type.p, record->type.n);
	dw_buf_adds(out, "\",\"diagnosis_id\":");
	dw_id_to_json(out, room);
	dw_buf_adds(out, ",\"timestamp\":\"");
	dw_buf_adds(out, at);
	dw_buf_adds(out, "\",\"seq\":");
	dw_buf_addu(out, record->seq);
	if (record->to.n > 0) {
		dw_buf_adds(out, ",\"direct\":true,\"direct_n\":");
		dw_buf_addu(out, record->own);
	} else {
		dw_buf_adds(out, ",\"n\":");
		dw_buf_addu(out, record->n);
	}
	dw_buf_adds(out, ",\"id\":\"");
	dw_buf_add(out, record->id.p, record->id.n);
	dw_buf_adds(out, "\",\"data\":");
	if (dw_str_is(record->type, "recommendation_update"))
		add_recommendation(out, record->data);
	else
		dw_buf_add(out, record->data.p, record->data.n);
	dw_buf_addc(out, '}');
}
