/* libs: jansson libcrypto */
/* Messages: what keeps the rules keeps them when it is looked at again, and what is rendered of any data is within the
 * bound that the edge's ring reckons with; of data that keeps the rules it is JSON. */
#include "fuzz.h"
#include "message/msg.h"

static const char *const types[] = { "recommendation_update", "effectiveness_update", "feedback_update",
	"note_update" };

static void
check_rendered(const struct dw_buf *out, const struct dw_record *record)
{
	static const char *const names[] = { "type", "diagnosis_id", "timestamp", "seq" };
	const struct dw_json_member *data;
	struct dw_json *json;

	REQUIRE(dw_json_parse(&json, out->data, out->len, NULL) == DW_OK);
	REQUIRE(fuzz_same(dw_json_text(json), fuzz_bytes(out)));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		REQUIRE(dw_json_get(json, names[i]) != NULL);
	data = dw_json_get(json, "data");
	REQUIRE(data != NULL && data->type == DW_JSON_OBJECT);
	REQUIRE(dw_str_is(record->type, types[0]) || fuzz_same(data->raw, record->data));
	dw_json_destroy(&json);
}

static void
check_render(uint8_t how, struct dw_str type, struct dw_str text, bool sound)
{
	/* No number of a sound store is beyond what JavaScript reads. */
	const uint64_t most = sound ? (UINT64_C(1) << 53) - 1 : UINT64_MAX;
	struct dw_record record = { .seq = most, .n = most, .at = 1767225599123, .type = type, .data = text };
	struct dw_buf out = { 0 };

	record.id = DW_STR("0123456789abcdef");
	if ((how & 8) != 0) {
		record.to = DW_STR("alice");
		record.own = most;
	}
	dw_record_to_json(&out, (how & 4) != 0 ? DW_STR("room-7") : DW_STR("7"), &record);
	REQUIRE(dw_buf_ok(&out) && out.len <= dw_rendered_most(text.n));
	if (sound)
		check_rendered(&out, &record);
	dw_buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t how = fuzz_byte(&data, &size);
	const struct dw_str type = dw_str(types[how % 4]), text = { (const char *)data, size };
	struct dw_buf compact = { 0 }, again = { 0 };
	struct dw_fault fault = { 0 };
	const int err = dw_data_check(type, text.p, text.n, &compact, &fault);

	if (err == DW_OK) {
		REQUIRE(compact.len <= DW_DATA_MAX && compact.len <= size);
		REQUIRE(dw_data_check(type, compact.data, compact.len, &again, NULL) == DW_OK);
		REQUIRE(fuzz_same(fuzz_bytes(&compact), fuzz_bytes(&again)));
		check_render(how, type, fuzz_bytes(&compact), true);
	} else {
		REQUIRE(compact.len == 0 && fault.message[0] != '\0');
	}
	check_render(how, type, text, false); /* as a damaged store has it */
	dw_buf_clear(&compact);
	dw_buf_clear(&again);
	return 0;
}
