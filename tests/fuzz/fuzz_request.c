/* libs: jansson */
/* wraps: dw_plain_parse */
/* Requests to publish: what is accepted keeps the rules, and the quick way and the parser say the same. */
#include "fuzz.h"
#include "message/msg.h"

static bool slowly; /* the quick look says nothing */

bool __real_dw_plain_parse(struct dw_plain *plain, struct dw_plain *inner, const char *text, size_t n, bool *spaced);
bool __wrap_dw_plain_parse(struct dw_plain *plain, struct dw_plain *inner, const char *text, size_t n, bool *spaced);

bool
__wrap_dw_plain_parse(struct dw_plain *plain, struct dw_plain *inner, const char *text, size_t n, bool *spaced)
{
	return !slowly && __real_dw_plain_parse(plain, inner, text, n, spaced);
}

static int
read_request(struct dw_request *request, uint8_t how, const char *text, size_t n, struct dw_fault *fault)
{
	static const char *const types[] = { "recommendation", "effectiveness", "feedback" };

	if ((how & 1) != 0)
		return dw_request_flat(request, types[how / 2 % 3], text, n, fault);
	return dw_request_general(
		request, (how & 2) != 0 ? "room-7" : NULL, (how & 4) != 0 ? types[how / 8 % 3] : NULL, text, n, fault);
}

static void
check_accepted(const struct dw_request *request)
{
	struct dw_buf again = { 0 }, scalars = { 0 };
	struct dw_json *json;

	REQUIRE(dw_room_ok(dw_str(request->room)) && dw_type_ok(dw_str(request->type)));
	REQUIRE(request->id[0] == '\0' || dw_id_ok(dw_str(request->id)));
	REQUIRE(request->to[0] == '\0' || dw_user_ok(dw_str(request->to)));
	REQUIRE(request->ttl_ms <= (uint64_t)DW_TTL_MAX_S * 1000 && request->data.len <= DW_DATA_MAX);
	REQUIRE(dw_data_check(dw_str(request->type), request->data.data, request->data.len, &again, NULL) == DW_OK);
	REQUIRE(fuzz_same(fuzz_bytes(&again), fuzz_bytes(&request->data)));
	dw_buf_addc(&scalars, '{');
	dw_buf_add(&scalars, request->scalars.data, request->scalars.len);
	dw_buf_addc(&scalars, '}');
	REQUIRE(dw_json_parse(&json, scalars.data, scalars.len, NULL) == DW_OK);
	dw_json_destroy(&json);
	dw_buf_clear(&again);
	dw_buf_clear(&scalars);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t how = fuzz_byte(&data, &size);
	const char *text = (const char *)data;
	struct dw_request quick = { 0 }, slow = { 0 };
	struct dw_fault fault = { 0 };
	int err;

	slowly = false;
	err = read_request(&quick, how, text, size, &fault);
	slowly = true;
	REQUIRE(read_request(&slow, how, text, size, NULL) == err);
	if (err == DW_OK) {
		check_accepted(&slow);
		REQUIRE(strcmp(quick.room, slow.room) == 0 && strcmp(quick.type, slow.type) == 0);
		REQUIRE(strcmp(quick.id, slow.id) == 0 && strcmp(quick.to, slow.to) == 0);
		REQUIRE(quick.except == slow.except && quick.ttl_ms == slow.ttl_ms);
		REQUIRE(fuzz_same(fuzz_bytes(&quick.data), fuzz_bytes(&slow.data)));
		REQUIRE(fuzz_same(fuzz_bytes(&quick.scalars), fuzz_bytes(&slow.scalars)));
	} else {
		REQUIRE(fault.message[0] != '\0');
	}
	if (err == DW_E_FIELD || err == DW_E_TOO_BIG)
		REQUIRE(quick.room[0] == '\0' || dw_room_ok(dw_str(quick.room)));
	dw_request_clear(&quick);
	dw_request_clear(&slow);
	return 0;
}
