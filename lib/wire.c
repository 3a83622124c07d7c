/* The protocol in code: one table per message says its fields, their kinds and their bounds; packing
 * and unpacking are the same few lines for all of them.
 *
 * Its own file because only it includes msgpack. What a peer sent is first skimmed (skim): every
 * length and count must fit into the bytes that are left, and arrays may not nest in a message, so
 * that the parser is never asked to reserve more than a small multiple of the frame's size.
 *
 * Failure modes: DW_E_PROTOCOL with what is wrong; memory is remembered by the buffer.
 */
#include "diagws/wire.h"

#include <assert.h>
#include <msgpack.h>
#include <stddef.h>
#include <string.h>

#ifndef DW_PROTOCOL_VERSION
#define DW_PROTOCOL_VERSION 2
#endif

enum { FIELDS_MAX = 24 };

enum field_kind { NUMBER, TEXT, BYTES, FLAG };

struct field {
	const char *name; /* NULL ends a table */
	enum field_kind kind;
	size_t offset; /* in struct dw_wire */
	size_t max;    /* bytes of TEXT and BYTES */
};

struct shape {
	enum dw_wire_kind kind;
	const char *name;
	struct field fields[FIELDS_MAX];
};

enum { NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 512, EPOCH_MAX = 32 };

#define AT(member, field) offsetof(struct dw_wire, member.field)
#define U(member, field)                     \
	{                                        \
#field, NUMBER, AT(member, field), 0 \
	}
#define T(member, field, max)                \
	{                                        \
#field, TEXT, AT(member, field), max \
	}
#define B(member, field, max)                 \
	{                                         \
#field, BYTES, AT(member, field), max \
	}
#define F(member, field)                   \
	{                                      \
#field, FLAG, AT(member, field), 0 \
	}

static const struct shape shapes[] = {
	{ DW_HELLO, "HELLO",
		{ U(hello, version), U(hello, kind), U(hello, peer), U(hello, incarnation), T(hello, name, NAME_MAX_BYTES) } },
	{ DW_PING, "PING", { U(ping, token) } },
	{ DW_BYE, "BYE", { { NULL, NUMBER, 0, 0 } } },
	{ DW_PUBLISH, "PUBLISH",
		{ U(publish, corr), T(publish, room, DW_ROOM_MAX), T(publish, type, DW_TYPE_MAX), T(publish, id, DW_ID_MAX),
			B(publish, data, DW_DATA_MAX), T(publish, user, DW_USER_MAX), F(publish, claimed),
			T(publish, to, DW_USER_MAX), U(publish, except), U(publish, ttl_ms), U(publish, wait),
			U(publish, wait_ms) } },
	{ DW_JOIN, "JOIN",
		{ U(join, corr), U(join, session), T(join, room, DW_ROOM_MAX), T(join, user, DW_USER_MAX),
			T(join, device, DW_DEVICE_MAX), U(join, flags), U(join, after), U(join, after_n), T(join, epoch, EPOCH_MAX),
			U(join, have), U(join, expires), U(join, confirmed), U(join, confirmed_n), U(join, begun) } },
	{ DW_LEAVE, "LEAVE",
		{ U(leave, session), T(leave, room, DW_ROOM_MAX), U(leave, seq), U(leave, n), F(leave, sure) } },
	{ DW_CONFIRM, "CONFIRM",
		{ T(confirm, room, DW_ROOM_MAX), U(confirm, seq), U(confirm, n), F(confirm, sure),
			B(confirm, sessions, (size_t)DW_WIRE_SESSIONS_MAX * 8) } },
	{ DW_CREDIT, "CREDIT", { U(credit, received) } },
	{ DW_READ, "READ",
		{ U(read, corr), U(read, session), T(read, room, DW_ROOM_MAX), U(read, after), U(read, after_n), U(read, limit),
			T(read, user, DW_USER_MAX), F(read, claimed), T(read, epoch, EPOCH_MAX), U(read, wait_ms) } },
	{ DW_STAT, "STAT", { U(stat, corr), T(stat, view, 32), T(stat, room, DW_ROOM_MAX), U(stat, limit) } },
	{ DW_OWN, "OWN",
		{ U(own, corr), T(own, verb, 16), T(own, room, DW_ROOM_MAX), T(own, user, DW_USER_MAX), F(own, dry),
			F(own, claimed) } },
	{ DW_WHO, "WHO", { { NULL, NUMBER, 0, 0 } } },
	{ DW_WELCOME, "WELCOME",
		{ U(welcome, version), T(welcome, epoch, EPOCH_MAX), U(welcome, hub), U(welcome, head), U(welcome, window),
			U(welcome, incarnation) } },
	{ DW_REFUSED, "REFUSED", { U(refused, code), T(refused, text, TEXT_MAX_BYTES) } },
	{ DW_PONG, "PONG", { U(pong, token) } },
	{ DW_SHUTDOWN, "SHUTDOWN", { { NULL, NUMBER, 0, 0 } } },
	{ DW_STORED, "STORED",
		{ U(stored, corr), U(stored, code), U(stored, seq), U(stored, n), F(stored, duplicate), U(stored, notified),
			U(stored, queued), T(stored, text, TEXT_MAX_BYTES) } },
	{ DW_JOINED, "JOINED",
		{ U(joined, corr), U(joined, session), U(joined, code), T(joined, room, DW_ROOM_MAX),
			T(joined, device, DW_DEVICE_MAX), U(joined, resume), U(joined, from), U(joined, from_n), U(joined, head),
			U(joined, head_n), U(joined, oldest), U(joined, replaying), U(joined, gap_from), U(joined, gap_to),
			U(joined, gap_reason), U(joined, sent), U(joined, sent_n), U(joined, direct.from), U(joined, direct.to),
			U(joined, direct.count), U(joined, direct.reason), U(joined, direct.until) } },
	{ DW_MESSAGES, "MESSAGES",
		{ T(messages, room, DW_ROOM_MAX), U(messages, prev), U(messages, prev_n),
			B(messages, records, DW_WIRE_FRAME_MAX) } },
	{ DW_CLOSE, "CLOSE", { U(close, session), T(close, room, DW_ROOM_MAX), U(close, code), T(close, reason, 123) } },
	{ DW_RECORDS, "RECORDS",
		{ U(records, corr), U(records, code), T(records, room, DW_ROOM_MAX), U(records, gap_from), U(records, gap_to),
			U(records, gap_reason), U(records, head), U(records, direct.from), U(records, direct.to),
			U(records, direct.count), U(records, direct.reason), F(records, reset), F(records, more), U(records, last),
			U(records, last_n), B(records, records, DW_WIRE_FRAME_MAX) } },
	{ DW_TABLE, "TABLE",
		{ U(table, corr), U(table, code), T(table, columns, 4096), B(table, cells, DW_WIRE_FRAME_MAX),
			F(table, more) } },
	{ DW_OWNED, "OWNED", { U(owned, corr), U(owned, code), F(owned, changed) } },
	{ DW_DELIVERED, "DELIVERED", { U(delivered, corr), U(delivered, code), U(delivered, count) } },
};

uint64_t
dw_protocol_version(void)
{
	return DW_PROTOCOL_VERSION;
}

const char *
dw_resume_text(uint64_t resume)
{
	static const char *const texts[] = { "exact", "gap", "new", "reset" };

	return resume < sizeof(texts) / sizeof(texts[0]) ? texts[resume] : "reset";
}

const char *
dw_gap_text(uint64_t reason)
{
	static const char *const texts[] = { "none", "limit", "expired", "slow" };

	return reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : "limit";
}

static const struct shape *
find_shape(uint64_t kind)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if ((uint64_t)shapes[i].kind == kind)
			return &shapes[i];
	return NULL;
}

static size_t
count_fields(const struct shape *shape)
{
	size_t count = 0;

	while (count < FIELDS_MAX && shape->fields[count].name != NULL)
		count++;
	return count;
}

static int
write_bytes(void *user, const char *bytes, size_t n)
{
	struct dw_buf *out = user;

	dw_buf_add(out, bytes, n);
	return out->failed ? -1 : 0;
}

static void
pack_text(msgpack_packer *pk, struct dw_str s)
{
	msgpack_pack_str(pk, s.n);
	msgpack_pack_str_body(pk, s.p, s.n);
}

static void
pack_bytes(msgpack_packer *pk, struct dw_str s)
{
	msgpack_pack_bin(pk, s.n);
	msgpack_pack_bin_body(pk, s.p, s.n);
}

static void
pack_flag(msgpack_packer *pk, bool set)
{
	if (set)
		msgpack_pack_true(pk);
	else
		msgpack_pack_false(pk);
}

void
dw_wire_pack(struct dw_buf *out, const struct dw_wire *message)
{
	const struct shape *shape = find_shape(message->kind);
	msgpack_packer pk;
	size_t count;

	assert(shape != NULL);
	count = count_fields(shape);
	msgpack_packer_init(&pk, out, write_bytes);
	msgpack_pack_array(&pk, count + 1);
	msgpack_pack_uint64(&pk, message->kind);
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &shape->fields[i];
		const void *at = (const char *)message + field->offset;

		switch (field->kind) {
		case NUMBER:
			msgpack_pack_uint64(&pk, *(const uint64_t *)at);
			break;
		case TEXT:
			pack_text(&pk, *(const struct dw_str *)at);
			break;
		case BYTES:
			pack_bytes(&pk, *(const struct dw_str *)at);
			break;
		case FLAG:
			pack_flag(&pk, *(const bool *)at);
			break;
		}
	}
}

static uint64_t
big_endian(const uint8_t *p, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | p[i];
	return value;
}

/* The size of one msgpack value that holds no other (header and body), or 0 when it is a container,
 * an extension, or longer than what is left. */
static size_t
scalar_size(const uint8_t *p, size_t left)
{
	size_t header = 1;
	uint64_t body = 0;

	if (left == 0)
		return 0;
	if (*p <= 0x7f || *p >= 0xe0 || *p == 0xc0 || *p == 0xc2 || *p == 0xc3)
		return 1;
	if (*p >= 0xa0 && *p <= 0xbf)
		body = *p & 0x1fU;
	else if (*p >= 0xcc && *p <= 0xcf)
		body = 1U << (*p - 0xcc);
	else if (*p >= 0xd0 && *p <= 0xd3)
		body = 1U << (*p - 0xd0);
	else if (*p == 0xca || *p == 0xcb)
		body = *p == 0xca ? 4 : 8;
	else if (*p >= 0xc4 && *p <= 0xc6)
		header += (size_t)1 << (*p - 0xc4);
	else if (*p >= 0xd9 && *p <= 0xdb)
		header += (size_t)1 << (*p - 0xd9);
	else
		return 0;
	if (header > left)
		return 0;
	if (header > 1)
		body = big_endian(p + 1, header - 1);
	return body <= left - header ? header + (size_t)body : 0;
}

/* The size of one array of at most `max` scalars at p, or 0 when there is none. */
static size_t
skim(const uint8_t *p, size_t left, size_t max)
{
	size_t used = 1;
	uint64_t count;

	if (left == 0)
		return 0;
	if (*p >= 0x90 && *p <= 0x9f) {
		count = *p & 0x0fU;
	} else if (*p == 0xdc && left >= 3) {
		count = big_endian(p + 1, 2);
		used = 3;
	} else {
		return 0;
	}
	if (count > max)
		return 0;
	for (uint64_t i = 0; i < count; i++) {
		size_t size = scalar_size(p + used, left - used);

		if (size == 0)
			return 0;
		used += size;
	}
	return used;
}

static bool
take_field(const struct field *field, const msgpack_object *from, void *to)
{
	switch (field->kind) {
	case NUMBER:
		if (from->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			return false;
		*(uint64_t *)to = from->via.u64;
		return true;
	case TEXT:
		if (from->type != MSGPACK_OBJECT_STR || from->via.str.size > field->max)
			return false;
		*(struct dw_str *)to = (struct dw_str) { from->via.str.ptr, from->via.str.size };
		return true;
	case BYTES:
		if (from->type != MSGPACK_OBJECT_BIN || from->via.bin.size > field->max)
			return false;
		*(struct dw_str *)to = (struct dw_str) { from->via.bin.ptr, from->via.bin.size };
		return true;
	case FLAG:
		if (from->type != MSGPACK_OBJECT_BOOLEAN)
			return false;
		*(bool *)to = from->via.boolean;
		return true;
	}
	return false;
}

/* A HELLO of another version may look like anything behind its first field. */
static bool
is_foreign_hello(const struct dw_wire *message, size_t index)
{
	return message->kind == DW_HELLO && index == 0 && message->hello.version != dw_protocol_version();
}

static int
take_message(struct dw_wire *message, const msgpack_object_array *array, struct dw_fault *fault)
{
	const struct shape *shape;
	size_t count;

	if (array->size == 0 || array->ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame does not begin with a message kind");
	shape = find_shape(array->ptr[0].via.u64);
	if (shape == NULL)
		return dw_fault_set(
			fault, DW_E_PROTOCOL, NULL, NULL, "unknown message kind %llu", (unsigned long long)array->ptr[0].via.u64);
	count = count_fields(shape);
	memset(message, 0, sizeof(*message));
	message->kind = shape->kind;
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &shape->fields[i];

		if (i + 1 >= array->size)
			return dw_fault_set(
				fault, DW_E_PROTOCOL, field->name, NULL, "%s: field '%s' is missing", shape->name, field->name);
		if (!take_field(field, &array->ptr[i + 1], (char *)message + field->offset))
			return dw_fault_set(fault, DW_E_PROTOCOL, field->name, NULL,
				"%s: field '%s' has a wrong type or is too long", shape->name, field->name);
		if (is_foreign_hello(message, i))
			return DW_OK;
	}
	return DW_OK;
}

int
dw_wire_unpack(struct dw_wire *message, const void *frame, size_t n, struct dw_fault *fault)
{
	msgpack_unpack_return status;
	msgpack_unpacked result;
	int err;

	if (n > DW_WIRE_FRAME_MAX)
		return dw_fault_set(fault, DW_E_TOO_BIG, NULL, NULL, "a frame of %zu bytes; at most %d", n, DW_WIRE_FRAME_MAX);
	if (skim(frame, n, FIELDS_MAX * 2) != n)
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame is not one array of scalars");
	msgpack_unpacked_init(&result);
	status = msgpack_unpack_next(&result, frame, n, NULL);
	if (status == MSGPACK_UNPACK_NOMEM_ERROR)
		err = dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
	else if (status != MSGPACK_UNPACK_SUCCESS || result.data.type != MSGPACK_OBJECT_ARRAY)
		err = dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame is not msgpack");
	else
		err = take_message(message, &result.data.via.array, fault);
	/* Strings point into the frame, not into the parser's memory. */
	msgpack_unpacked_destroy(&result);
	return err;
}

void
dw_record_pack(struct dw_buf *out, const struct dw_record *record)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, write_bytes);
	msgpack_pack_array(&pk, 9);
	msgpack_pack_uint64(&pk, record->seq);
	msgpack_pack_uint64(&pk, record->n);
	msgpack_pack_uint64(&pk, record->at);
	pack_text(&pk, record->type);
	pack_text(&pk, record->id);
	pack_bytes(&pk, record->data);
	pack_text(&pk, record->to);
	msgpack_pack_uint64(&pk, record->except);
	msgpack_pack_uint64(&pk, record->expires_at);
}

int
dw_record_next(struct dw_str *rest, struct dw_record *record)
{
	static const struct field fields[] = {
		{ "seq", NUMBER, offsetof(struct dw_record, seq), 0 },
		{ "n", NUMBER, offsetof(struct dw_record, n), 0 },
		{ "at", NUMBER, offsetof(struct dw_record, at), 0 },
		{ "type", TEXT, offsetof(struct dw_record, type), DW_TYPE_MAX },
		{ "id", TEXT, offsetof(struct dw_record, id), DW_ID_MAX },
		{ "data", BYTES, offsetof(struct dw_record, data), DW_DATA_MAX },
		{ "to", TEXT, offsetof(struct dw_record, to), DW_USER_MAX },
		{ "except", NUMBER, offsetof(struct dw_record, except), 0 },
		{ "expires_at", NUMBER, offsetof(struct dw_record, expires_at), 0 },
	};
	enum { COUNT = sizeof(fields) / sizeof(fields[0]) };
	msgpack_unpacked result;
	int err = DW_E_PROTOCOL;
	size_t used;

	if (rest->n == 0)
		return DW_E_AGAIN;
	used = skim((const uint8_t *)rest->p, rest->n, COUNT);
	if (used == 0)
		return DW_E_PROTOCOL;
	msgpack_unpacked_init(&result);
	if (msgpack_unpack_next(&result, rest->p, used, NULL) != MSGPACK_UNPACK_SUCCESS ||
		result.data.via.array.size != COUNT)
		goto out;
	for (size_t i = 0; i < COUNT; i++)
		if (!take_field(&fields[i], &result.data.via.array.ptr[i], (char *)record + fields[i].offset))
			goto out;
	rest->p += used;
	rest->n -= used;
	err = DW_OK;
out:
	msgpack_unpacked_destroy(&result);
	return err;
}

void
dw_cell_pack(struct dw_buf *out, const struct dw_cell *cell)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, write_bytes);
	switch (cell->type) {
	case DW_CELL_NIL:
		msgpack_pack_nil(&pk);
		break;
	case DW_CELL_NUMBER:
		msgpack_pack_int64(&pk, cell->number);
		break;
	case DW_CELL_REAL:
		msgpack_pack_double(&pk, cell->real);
		break;
	case DW_CELL_TEXT:
		pack_text(&pk, cell->text);
		break;
	}
}

static bool
take_cell(const msgpack_object *from, struct dw_cell *cell)
{
	*cell = (struct dw_cell) { 0 };
	switch (from->type) {
	case MSGPACK_OBJECT_NIL:
		cell->type = DW_CELL_NIL;
		return true;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		cell->type = DW_CELL_NUMBER;
		cell->number = from->via.i64;
		return true;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		cell->type = DW_CELL_REAL;
		cell->real = from->via.f64;
		return true;
	case MSGPACK_OBJECT_STR:
		cell->type = DW_CELL_TEXT;
		cell->text = (struct dw_str) { from->via.str.ptr, from->via.str.size };
		return true;
	default:
		return false;
	}
}

int
dw_cell_next(struct dw_str *rest, struct dw_cell *cell)
{
	msgpack_unpacked result;
	int err = DW_E_PROTOCOL;
	size_t used;

	if (rest->n == 0)
		return DW_E_AGAIN;
	used = scalar_size((const uint8_t *)rest->p, rest->n);
	if (used == 0)
		return DW_E_PROTOCOL;
	msgpack_unpacked_init(&result);
	if (msgpack_unpack_next(&result, rest->p, used, NULL) == MSGPACK_UNPACK_SUCCESS && take_cell(&result.data, cell)) {
		rest->p += used;
		rest->n -= used;
		err = DW_OK;
	}
	msgpack_unpacked_destroy(&result);
	return err;
}

void
dw_session_pack(struct dw_buf *out, uint64_t session)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(session >> (56 - 8 * i));
	dw_buf_add(out, bytes, sizeof(bytes));
}

bool
dw_session_next(struct dw_str *rest, uint64_t *session)
{
	if (rest->n < 8)
		return false;
	*session = big_endian((const uint8_t *)rest->p, 8);
	rest->p += 8;
	rest->n -= 8;
	return true;
}
