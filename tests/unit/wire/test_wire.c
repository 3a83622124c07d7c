/* links: lib/wire/wire.c lib/wire/msgpack.c lib/base/buf.c lib/base/err.c */
/* libs: msgpack */
/* The protocol: what is packed comes back, and what is no message is refused whatever its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <msgpack.h>

#include "wire/wire.h"

static void
pack_publish(struct dw_buf *out)
{
	dw_wire_pack(out, &(struct dw_wire) { .kind = DW_PUBLISH,
						  .publish = { .corr = UINT64_MAX,
							  .room = DW_STR("123"),
							  .type = DW_STR("note_update"),
							  .id = DW_STR("a:1"),
							  .data = DW_STR("{\"a\":1.10}"),
							  .user = DW_STR(""),
							  .claimed = true } });
}

static void
test_comes_back(void **state)
{
	struct dw_buf out = { 0 };
	struct dw_fault fault;
	struct dw_wire got;

	(void)state;
	pack_publish(&out);
	assert_int_equal(DW_OK, dw_wire_unpack(&got, out.data, out.len, &fault));
	assert_int_equal(DW_PUBLISH, got.kind);
	assert_true(got.publish.corr == UINT64_MAX);
	assert_true(dw_str_is(got.publish.room, "123"));
	assert_true(dw_str_is(got.publish.data, "{\"a\":1.10}"));
	assert_true(dw_str_is(got.publish.user, ""));
	assert_true(got.publish.claimed);
	dw_buf_clear(&out);
}

static void
test_every_cut_is_refused(void **state)
{
	struct dw_buf out = { 0 };
	struct dw_fault fault;
	struct dw_wire got;

	(void)state;
	pack_publish(&out);
	for (size_t n = 0; n < out.len; n++) {
		/* A copy of its own size, so that a sanitizer sees a read past it. */
		char *cut = malloc(n + (n == 0));

		memcpy(cut, out.data, n);
		assert_int_equal(DW_E_PROTOCOL, dw_wire_unpack(&got, cut, n, &fault));
		free(cut);
	}
	dw_buf_addc(&out, '\0');
	assert_int_equal(DW_E_PROTOCOL, dw_wire_unpack(&got, out.data, out.len, &fault));
	dw_buf_clear(&out);
}

static void
test_refuses_what_is_no_message(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{ "", 0 }, { "\xc0", 1 },                               /* nil */
		{ "\x90", 1 },                                          /* no kind */
		{ "\x91\xa1x", 3 },                                     /* a text for a kind */
		{ "\x91\x63", 2 },                                      /* an unknown kind */
		{ "\x92\x02\x91\x01", 4 },                              /* an array in a message */
		{ "\x92\x02\x81\x01\x01", 5 },                          /* a map in a message */
		{ "\xdd\x05\xf5\xe1\x00\x02", 6 },                      /* 100 million elements */
		{ "\xdc\xff\xff\x02", 4 },                              /* 65535 elements */
		{ "\x92\x02\xdb\xff\xff\xff\xff", 7 },                  /* a text of 4 GiB */
		{ "\x92\x02\xc9\x00\x00\x00\x01\x01\x01", 9 },          /* an extension */
		{ "\x92\x02\xff", 3 },                                  /* a negative token */
		{ "\x92\x02\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 11 }, /* a float */
		{ "\x91\x02", 2 },                                      /* PING without its token */
	};
	struct dw_fault fault;
	struct dw_wire got;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(DW_E_PROTOCOL, dw_wire_unpack(&got, bad[i].bytes, bad[i].n, &fault));
}

static void
test_bounds_of_fields(void **state)
{
	char room[DW_ROOM_MAX + 2];
	struct dw_buf out = { 0 };
	struct dw_fault fault;
	struct dw_wire got, leave = { .kind = DW_LEAVE };

	(void)state;
	memset(room, 'a', sizeof(room));
	leave.leave.room = (struct dw_str) { room, DW_ROOM_MAX };
	dw_wire_pack(&out, &leave);
	assert_int_equal(DW_OK, dw_wire_unpack(&got, out.data, out.len, &fault));
	dw_buf_reset(&out);
	leave.leave.room.n = DW_ROOM_MAX + 1;
	dw_wire_pack(&out, &leave);
	assert_int_equal(DW_E_PROTOCOL, dw_wire_unpack(&got, out.data, out.len, &fault));
	assert_string_equal("room", fault.field);
	dw_buf_clear(&out);
	assert_int_equal(DW_E_TOO_BIG, dw_wire_unpack(&got, room, (size_t)DW_WIRE_FRAME_MAX + 1, &fault));
}

static void
test_several_in_a_frame(void **state)
{
	static const char good[] = "\x92\x02\x01\x94\x02\x02\xa1x\xc3\x91\x03"; /* PING, PING with more, BYE */
	static const enum dw_wire_kind kinds[] = { DW_PING, DW_PING, DW_BYE };
	struct dw_str rest = { good, sizeof(good) - 1 };
	struct dw_wire got;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(DW_OK, dw_wire_next(&rest, &got, NULL));
		assert_int_equal(kinds[i], got.kind);
	}
	assert_int_equal(0, rest.n);
	assert_int_equal(DW_E_PROTOCOL, dw_wire_unpack(&got, good, sizeof(good) - 1, NULL));
}

/* What is before it is taken, and nothing that is behind. */
static void
test_a_bad_one_ends_its_frame(void **state)
{
	static const char *const bad[] = { "\xc0", "\x90", "\x91\x63", "\x92\x02\x91\x01", "\x92\x02\xff", "\x91\x02" };
	static const char ping[] = { '\x92', '\x02', '\x01' };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dw_buf frame = { 0 };
		struct dw_str rest;
		struct dw_wire got;

		dw_buf_add(&frame, ping, sizeof(ping));
		dw_buf_adds(&frame, bad[i]);
		dw_buf_add(&frame, ping, sizeof(ping));
		rest = (struct dw_str) { frame.data, frame.len };
		assert_int_equal(DW_OK, dw_wire_next(&rest, &got, NULL));
		assert_int_equal(DW_E_PROTOCOL, dw_wire_next(&rest, &got, NULL));
		assert_int_equal(0, rest.n);
		dw_buf_clear(&frame);
	}
}

static void
test_later_fields_are_skipped(void **state)
{
	struct dw_fault fault;
	struct dw_wire got;

	(void)state;
	assert_int_equal(DW_OK, dw_wire_unpack(&got, "\x94\x02\x07\xa1x\xc3", 6, &fault));
	assert_int_equal(7, got.ping.token);
}

static void
test_foreign_hello_tells_its_version(void **state)
{
	struct dw_fault fault;
	struct dw_wire got;

	(void)state;
	assert_int_equal(DW_OK, dw_wire_unpack(&got, "\x93\x01\x2a\xa1x", 5, &fault));
	assert_int_equal(DW_HELLO, got.kind);
	assert_int_equal(42, got.hello.version);
}

static void
test_records(void **state)
{
	const struct dw_record record = { 5, 2, 1000, DW_STR("note_update"), DW_STR("x"), DW_STR("{}"), DW_STR("bob"), 7,
		2000, UINT64_MAX };
	struct dw_buf out = { 0 };
	struct dw_record got;
	struct dw_str rest;

	(void)state;
	dw_record_pack(&out, &record);
	dw_record_pack(&out, &record);
	rest = (struct dw_str) { out.data, out.len };
	assert_int_equal(DW_OK, dw_record_next(&rest, &got));
	assert_int_equal(DW_OK, dw_record_next(&rest, &got));
	assert_int_equal(5, got.seq);
	assert_int_equal(2, got.n);
	assert_true(dw_str_is(got.type, "note_update"));
	assert_true(dw_str_is(got.to, "bob"));
	assert_int_equal(7, got.except);
	assert_int_equal(2000, got.expires_at);
	assert_true(got.own == UINT64_MAX);
	assert_int_equal(DW_E_AGAIN, dw_record_next(&rest, &got));
	rest = (struct dw_str) { out.data, out.len - 1 };
	assert_int_equal(DW_OK, dw_record_next(&rest, &got));
	assert_int_equal(DW_E_PROTOCOL, dw_record_next(&rest, &got));
	dw_buf_clear(&out);
}

/* One as it was before direct messages had numbers. */
static void
test_a_record_without_own_is_refused(void **state)
{
	struct dw_buf out = { 0 };
	struct dw_record got;
	struct dw_str rest;

	(void)state;
	dw_record_pack(&out, &(struct dw_record) { .seq = 1 });
	assert_int_equal(0x9a, (uint8_t)out.data[0]);
	out.data[0] = (char)0x99;
	rest = (struct dw_str) { out.data, out.len - 1 };
	assert_int_equal(DW_E_PROTOCOL, dw_record_next(&rest, &got));
	dw_buf_clear(&out);
}

/* Packs it, and unpacks it into *got, whose strings are then gone. */
static void
round_trip(const struct dw_wire *message, struct dw_wire *got)
{
	struct dw_buf out = { 0 };

	dw_wire_pack(&out, message);
	assert_true(dw_buf_ok(&out));
	assert_int_equal(DW_OK, dw_wire_unpack(got, out.data, out.len, NULL));
	dw_buf_clear(&out);
}

static void
assert_same(struct dw_position a, struct dw_position b)
{
	assert_true(dw_position_same(a, b));
}

static void
test_positions_come_back_from_an_edge(void **state)
{
	const struct dw_position a = dw_position_said(1, UINT64_MAX, 300), b = dw_position_said(70000, 5, 6),
							 c = dw_position_said(7, 0, UINT64_MAX);
	struct dw_wire got;

	(void)state;
	round_trip(&(struct dw_wire) { .kind = DW_JOIN,
				   .join = { .after = a, .have = b, .confirmed = c, .begun = { 8, 9 }, .expires = 10 } },
		&got);
	assert_same(a, got.join.after);
	assert_same(b, got.join.have);
	assert_same(c, got.join.confirmed);
	assert_int_equal(8, got.join.begun.n);
	assert_int_equal(9, got.join.begun.own);
	assert_int_equal(10, got.join.expires);
	round_trip(
		&(struct dw_wire) { .kind = DW_LEAVE, .leave = { .session = 4, .at = a, .sure = true, .begun = { 1, 2 } } },
		&got);
	assert_same(a, got.leave.at);
	assert_true(got.leave.sure);
	assert_int_equal(1, got.leave.begun.n);
	assert_int_equal(2, got.leave.begun.own);
	round_trip(&(struct dw_wire) { .kind = DW_CONFIRM, .confirm = { .at = b, .anew = true, .begun = { 3, 4 } } }, &got);
	assert_same(b, got.confirm.at);
	assert_true(got.confirm.anew && !got.confirm.sure);
	assert_int_equal(3, got.confirm.begun.n);
	assert_int_equal(4, got.confirm.begun.own);
	round_trip(&(struct dw_wire) { .kind = DW_READ, .read = { .after = c, .limit = 11 } }, &got);
	assert_same(c, got.read.after);
	assert_int_equal(11, got.read.limit);
}

static void
test_positions_come_back_from_the_hub(void **state)
{
	const struct dw_position a = dw_position_said(1, UINT64_MAX, 300), b = dw_position_said(70000, 5, 6);
	struct dw_wire got;

	(void)state;
	round_trip(&(struct dw_wire) { .kind = DW_JOINED,
				   .joined = { .at = b,
					   .from = a,
					   .head = 7,
					   .gap = { 1, 2, DW_GAP_LIMIT },
					   .direct = { 3, 4, DW_GAP_EXPIRED },
					   .sent = b } },
		&got);
	assert_same(b, got.joined.at);
	assert_same(a, got.joined.from);
	assert_same(b, got.joined.sent);
	assert_int_equal(7, got.joined.head);
	assert_int_equal(2, got.joined.gap.to);
	assert_int_equal(DW_GAP_LIMIT, got.joined.gap.reason);
	assert_int_equal(3, got.joined.direct.from);
	assert_int_equal(DW_GAP_EXPIRED, got.joined.direct.reason);
	round_trip(&(struct dw_wire) { .kind = DW_MESSAGES, .messages = { .prev = b, .reason = DW_GAP_EXPIRED } }, &got);
	assert_same(b, got.messages.prev);
	assert_int_equal(DW_GAP_EXPIRED, got.messages.reason);
	round_trip(&(struct dw_wire) { .kind = DW_RECORDS,
				   .records = { .gap = { 1, 2, DW_GAP_LIMIT },
					   .direct = { 3, 4, DW_GAP_LIMIT },
					   .head = 5,
					   .more = true,
					   .last = a } },
		&got);
	assert_same(a, got.records.last);
	assert_int_equal(1, got.records.gap.from);
	assert_int_equal(4, got.records.direct.to);
	assert_int_equal(5, got.records.head);
	assert_true(got.records.more && !got.records.reset);
}

static void
test_cells(void **state)
{
	const struct dw_cell cells[] = { { .type = DW_CELL_NIL }, { .type = DW_CELL_NUMBER, .number = -7 },
		{ .type = DW_CELL_REAL, .real = 0.25 }, { .type = DW_CELL_TEXT, .text = DW_STR("a") } };
	struct dw_buf out = { 0 };
	struct dw_cell got;
	struct dw_str rest;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		dw_cell_pack(&out, &cells[i]);
	rest = (struct dw_str) { out.data, out.len };
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(DW_OK, dw_cell_next(&rest, &got));
		assert_int_equal(cells[i].type, got.type);
		assert_int_equal(cells[i].number, got.number);
		assert_true(cells[i].real == got.real);
	}
	assert_int_equal(DW_E_AGAIN, dw_cell_next(&rest, &got));
	rest = (struct dw_str) { "\x91\x01", 2 };
	assert_int_equal(DW_E_PROTOCOL, dw_cell_next(&rest, &got));
	dw_buf_clear(&out);
}

/* Each form that a number or a text may take. */
static void
test_cell_forms(void **state)
{
	static const int64_t numbers[] = { 0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, INT64_MAX, -1, -32, -33, -128,
		-129, INT16_MIN, INT16_MIN - 1, INT32_MIN, (int64_t)INT32_MIN - 1, INT64_MIN };
	static const size_t sizes[] = { 0, 1, 31, 32, 255, 256, 65535, 65536 };
	static const struct dw_str none[] = { DW_STR("\xc2"), DW_STR("\xc3"), DW_STR("\xc4\x01x"), DW_STR("\xd9\x02x"),
		DW_STR("\xca\x3e\x80\x01") };
	static char text[65536];
	struct dw_buf out = { 0 };
	struct dw_cell got;
	struct dw_str rest;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		dw_cell_pack(&out, &(struct dw_cell) { .type = DW_CELL_NUMBER, .number = numbers[i] });
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		dw_cell_pack(&out, &(struct dw_cell) { .type = DW_CELL_TEXT, .text = { text, sizes[i] } });
	dw_buf_add(&out, "\xca\x3e\x80\0\0", 5);
	rest = (struct dw_str) { out.data, out.len };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(DW_OK, dw_cell_next(&rest, &got));
		assert_int_equal(DW_CELL_NUMBER, got.type);
		assert_true(got.number == numbers[i]);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(DW_OK, dw_cell_next(&rest, &got));
		assert_int_equal(DW_CELL_TEXT, got.type);
		assert_int_equal(sizes[i], got.text.n);
	}
	assert_int_equal(DW_OK, dw_cell_next(&rest, &got));
	assert_int_equal(DW_CELL_REAL, got.type);
	assert_true(got.real == 0.25);
	assert_int_equal(DW_E_AGAIN, dw_cell_next(&rest, &got));
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		rest = none[i];
		assert_int_equal(DW_E_PROTOCOL, dw_cell_next(&rest, &got));
	}
	dw_buf_clear(&out);
}

/* Bytes at random, and messages with bytes changed: never more than an error. */
static void
test_noise(void **state)
{
	struct dw_buf out = { 0 };
	struct dw_fault fault;
	struct dw_str rest;
	struct dw_wire got;
	size_t understood = 0;

	(void)state;
	srand(7);
	pack_publish(&out);
	pack_publish(&out);
	for (int i = 0; i < 200000; i++) {
		char *noise = malloc(out.len);
		int changes = 1 + rand() % 4;

		memcpy(noise, out.data, out.len);
		while (changes-- > 0)
			noise[(size_t)rand() % out.len] = (char)rand();
		rest = (struct dw_str) { noise, out.len };
		while (rest.n > 0)
			understood += dw_wire_next(&rest, &got, &fault) == DW_OK;
		free(noise);
	}
	assert_true(understood > 0 && understood < 400000);
	dw_buf_clear(&out);
}

/* What we pack is what the library packs, and what the library packs we unpack. */
static void
test_as_the_library_packs(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff, 0x100000000,
		UINT64_MAX };
	static const size_t sizes[] = { 0, 1, 31, 32, 128, 255, 256, 512, 65535, 65536, 100000 };
	static char text[100000];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct dw_str run = { text, sizes[i] }, name = { text, sizes[i] < 64 ? sizes[i] : 64 };
		const struct dw_wire message = { .kind = DW_MESSAGES,
			.messages = { name, dw_position_said(numbers[i], 7, 1), 2, true, run } };
		struct dw_buf out = { 0 };
		struct dw_wire got;
		msgpack_sbuffer want;
		msgpack_packer pk;

		msgpack_sbuffer_init(&want);
		msgpack_packer_init(&pk, &want, msgpack_sbuffer_write);
		msgpack_pack_array(&pk, 8);
		msgpack_pack_uint64(&pk, DW_MESSAGES);
		msgpack_pack_str(&pk, name.n);
		msgpack_pack_str_body(&pk, name.p, name.n);
		msgpack_pack_uint64(&pk, numbers[i]);
		msgpack_pack_int64(&pk, 7);
		msgpack_pack_int64(&pk, 1);
		msgpack_pack_int64(&pk, 2);
		msgpack_pack_true(&pk);
		msgpack_pack_bin(&pk, run.n);
		msgpack_pack_bin_body(&pk, run.p, run.n);
		dw_wire_pack(&out, &message);
		assert_int_equal(want.size, out.len);
		assert_memory_equal(want.data, out.data, out.len);
		assert_int_equal(DW_OK, dw_wire_unpack(&got, want.data, want.size, NULL));
		assert_int_equal(name.n, got.messages.room.n);
		assert_true(numbers[i] == dw_seq(got.messages.prev));
		assert_int_equal(run.n, got.messages.records.n);
		msgpack_sbuffer_destroy(&want);
		dw_buf_clear(&out);
	}
}

/* Numbers in a signed form are numbers, negative ones are not. */
static void
test_signed_numbers(void **state)
{
	static const uint8_t good[] = { 0x92, DW_PING, 0xd1, 0x01, 0x02 }, bad[] = { 0x92, DW_PING, 0xd1, 0xff, 0xfe };
	struct dw_wire got;

	(void)state;
	assert_int_equal(DW_OK, dw_wire_unpack(&got, good, sizeof(good), NULL));
	assert_int_equal(0x102, got.ping.token);
	assert_int_equal(DW_E_PROTOCOL, dw_wire_unpack(&got, bad, sizeof(bad), NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_library_packs),
		cmocka_unit_test(test_signed_numbers),
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_every_cut_is_refused),
		cmocka_unit_test(test_refuses_what_is_no_message),
		cmocka_unit_test(test_bounds_of_fields),
		cmocka_unit_test(test_several_in_a_frame),
		cmocka_unit_test(test_a_bad_one_ends_its_frame),
		cmocka_unit_test(test_later_fields_are_skipped),
		cmocka_unit_test(test_foreign_hello_tells_its_version),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_a_record_without_own_is_refused),
		cmocka_unit_test(test_positions_come_back_from_an_edge),
		cmocka_unit_test(test_positions_come_back_from_the_hub),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_cell_forms),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
