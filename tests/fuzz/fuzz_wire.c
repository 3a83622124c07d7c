/* libs: msgpack */
/* Messages, records and cells: what is unpacked packs to what msgpack's own library reads as the same, and of as many
 * bytes. */
#include <msgpack.h>

#include "fuzz.h"
#include "wire/wire.h"

/* What was packed has the first elements of what was taken, or that and no more. */
static void
check_array(struct dw_str taken, struct dw_str packed, bool more)
{
	msgpack_unpacked a, b;
	size_t used = 0, made = 0;

	msgpack_unpacked_init(&a);
	msgpack_unpacked_init(&b);
	REQUIRE(msgpack_unpack_next(&a, taken.p, taken.n, &used) == MSGPACK_UNPACK_SUCCESS && used == taken.n);
	REQUIRE(msgpack_unpack_next(&b, packed.p, packed.n, &made) == MSGPACK_UNPACK_SUCCESS && made == packed.n);
	REQUIRE(a.data.type == MSGPACK_OBJECT_ARRAY && b.data.type == MSGPACK_OBJECT_ARRAY);
	REQUIRE(more ? b.data.via.array.size <= a.data.via.array.size : b.data.via.array.size == a.data.via.array.size);
	for (uint32_t i = 0; i < b.data.via.array.size; i++)
		REQUIRE(msgpack_object_equal(a.data.via.array.ptr[i], b.data.via.array.ptr[i]));
	msgpack_unpacked_destroy(&a);
	msgpack_unpacked_destroy(&b);
}

static void
check_message(struct dw_str taken, const struct dw_wire *message)
{
	struct dw_buf packed = { 0 }, again = { 0 };
	struct dw_wire same;

	dw_wire_pack(&packed, message);
	/* Of a HELLO of another version only that is known. */
	if (message->kind != DW_HELLO || message->hello.version == dw_protocol_version())
		check_array(taken, fuzz_bytes(&packed), true);
	REQUIRE(dw_wire_unpack(&same, packed.data, packed.len, NULL) == DW_OK && same.kind == message->kind);
	dw_wire_pack(&again, &same);
	REQUIRE(fuzz_same(fuzz_bytes(&packed), fuzz_bytes(&again)));
	if (message->kind == DW_PUBLISH || message->kind == DW_READ) {
		REQUIRE(dw_wire_wait(&again, 7) == DW_OK && dw_wire_unpack(&same, again.data, again.len, NULL) == DW_OK);
		REQUIRE((same.kind == DW_READ ? same.read.wait_ms : same.publish.wait_ms) == 7);
	}
	dw_buf_clear(&packed);
	dw_buf_clear(&again);
}

static void
check_messages(struct dw_str rest)
{
	struct dw_fault fault = { 0 };
	struct dw_wire message;

	while (rest.n > 0) {
		const struct dw_str before = rest;
		const int err = dw_wire_next(&rest, &message, &fault);

		if (err != DW_OK) {
			REQUIRE(err == DW_E_PROTOCOL && rest.n == 0 && fault.message[0] != '\0');
			return;
		}
		REQUIRE(rest.n < before.n);
		check_message((struct dw_str) { before.p, before.n - rest.n }, &message);
	}
}

static void
check_records(struct dw_str rest)
{
	struct dw_record record;
	struct dw_str before = rest;
	int err;

	while ((err = dw_record_next(&rest, &record)) == DW_OK) {
		struct dw_buf packed = { 0 };

		dw_record_pack(&packed, &record);
		check_array((struct dw_str) { before.p, before.n - rest.n }, fuzz_bytes(&packed), false);
		dw_buf_clear(&packed);
		before = rest;
	}
	REQUIRE(err == (rest.n == 0 ? DW_E_AGAIN : DW_E_PROTOCOL));
}

static void
check_cells(struct dw_str rest)
{
	struct dw_cell cell, same;
	int err;

	while ((err = dw_cell_next(&rest, &cell)) == DW_OK) {
		struct dw_buf packed = { 0 };
		struct dw_str bytes;

		dw_cell_pack(&packed, &cell);
		bytes = fuzz_bytes(&packed);
		REQUIRE(dw_cell_next(&bytes, &same) == DW_OK && bytes.n == 0);
		REQUIRE(same.type == cell.type && same.number == cell.number && fuzz_same(same.text, cell.text));
		REQUIRE(memcmp(&same.real, &cell.real, sizeof(cell.real)) == 0);
		dw_buf_clear(&packed);
	}
	REQUIRE(err == (rest.n == 0 ? DW_E_AGAIN : DW_E_PROTOCOL));
}

static void
check_sessions(struct dw_str rest)
{
	struct dw_buf packed = { 0 };
	const struct dw_str all = rest;
	uint64_t session;

	while (dw_session_next(&rest, &session))
		dw_session_pack(&packed, session);
	REQUIRE(rest.n == all.n % 8 && fuzz_same(fuzz_bytes(&packed), (struct dw_str) { all.p, all.n - rest.n }));
	dw_buf_clear(&packed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(struct dw_str) = { check_messages, check_records, check_cells, check_sessions };
	const uint8_t which = fuzz_byte(&data, &size);

	checks[which % 4]((struct dw_str) { (const char *)data, size });
	return 0;
}
