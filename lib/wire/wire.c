/* The protocol in code: one table per message says its fields, their kinds and their bounds; packing
 * and unpacking are the same few lines for all of them, which take no memory but the buffer's.
 *
 * Its own file because only it knows msgpack's forms (the tests hold it to the library's). What a peer sent is first
 * skimmed (skim): every length and count must fit into the bytes that are left, and arrays may not nest in a message.
 *
 * Failure modes: DW_E_PROTOCOL with what is wrong; memory is remembered by the buffer.
 */
#include "wire/wire.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "wire/wire_parts.h"

#ifndef DW_PROTOCOL_VERSION
#define DW_PROTOCOL_VERSION 6
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

enum { NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 512 };

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

/* A position is three numbers one behind another (position.h). */
#define P(member, field)                                                                                        \
	{ #field, NUMBER, AT(member, field), 0 }, { #field ".n", NUMBER, AT(member, field) + sizeof(uint64_t), 0 }, \
	{                                                                                                           \
#field ".own", NUMBER, AT(member, field) + 2 * sizeof(uint64_t), 0                                      \
	}

_Static_assert(sizeof(struct dw_position) == 3 * sizeof(uint64_t), "a position is three numbers");

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
			T(join, device, DW_DEVICE_MAX), U(join, flags), P(join, after), T(join, epoch, DW_EPOCH_MAX), P(join, have),
			U(join, expires), P(join, confirmed), U(join, begun.n), U(join, begun.own), U(join, age) } },
	{ DW_LEAVE, "LEAVE",
		{ U(leave, session), T(leave, room, DW_ROOM_MAX), P(leave, at), F(leave, sure), U(leave, begun.n),
			U(leave, begun.own), T(leave, user, DW_USER_MAX), T(leave, device, DW_DEVICE_MAX) } },
	{ DW_CONFIRM, "CONFIRM",
		{ T(confirm, room, DW_ROOM_MAX), P(confirm, at), F(confirm, sure), F(confirm, anew), U(confirm, begun.n),
			U(confirm, begun.own), B(confirm, sessions, (size_t)DW_WIRE_SESSIONS_MAX * 8) } },
	{ DW_CREDIT, "CREDIT", { U(credit, received) } },
	{ DW_READ, "READ",
		{ U(read, corr), U(read, session), T(read, room, DW_ROOM_MAX), P(read, after), U(read, limit),
			T(read, user, DW_USER_MAX), F(read, claimed), T(read, epoch, DW_EPOCH_MAX), U(read, wait_ms),
			U(read, stay) } },
	{ DW_STAT, "STAT",
		{ U(stat, corr), T(stat, view, 32), T(stat, room, DW_ROOM_MAX), U(stat, limit), T(stat, sort, DW_COLUMN_MAX),
			F(stat, reverse) } },
	{ DW_OWN, "OWN",
		{ U(own, corr), T(own, verb, 16), T(own, room, DW_ROOM_MAX), T(own, user, DW_USER_MAX), F(own, dry),
			F(own, claimed), T(own, after_room, DW_ROOM_MAX), T(own, after_user, DW_USER_MAX) } },
	{ DW_WHO, "WHO", { { NULL, NUMBER, 0, 0 } } },
	{ DW_WELCOME, "WELCOME",
		{ U(welcome, version), T(welcome, epoch, DW_EPOCH_MAX), U(welcome, hub), U(welcome, head), U(welcome, window),
			U(welcome, incarnation) } },
	{ DW_REFUSED, "REFUSED", { U(refused, code), T(refused, text, TEXT_MAX_BYTES) } },
	{ DW_PONG, "PONG", { U(pong, token), F(pong, writable) } },
	{ DW_SHUTDOWN, "SHUTDOWN", { { NULL, NUMBER, 0, 0 } } },
	{ DW_STORED, "STORED",
		{ U(stored, corr), U(stored, code), U(stored, seq), U(stored, n), F(stored, duplicate), U(stored, notified),
			U(stored, queued), T(stored, text, TEXT_MAX_BYTES) } },
	{ DW_JOINED, "JOINED",
		{ U(joined, corr), U(joined, session), U(joined, code), T(joined, room, DW_ROOM_MAX),
			T(joined, device, DW_DEVICE_MAX), U(joined, resume), P(joined, at), P(joined, from), U(joined, head),
			U(joined, oldest), U(joined, replaying), U(joined, gap.from), U(joined, gap.to), U(joined, gap.reason),
			U(joined, direct.from), U(joined, direct.to), U(joined, direct.reason), P(joined, sent) } },
	{ DW_MESSAGES, "MESSAGES",
		{ T(messages, room, DW_ROOM_MAX), P(messages, prev), U(messages, reason), F(messages, ask),
			B(messages, records, DW_WIRE_FRAME_MAX) } },
	{ DW_CLOSE, "CLOSE",
		{ U(close, session), T(close, room, DW_ROOM_MAX), U(close, code), T(close, reason, 123), U(close, stay) } },
	{ DW_RECORDS, "RECORDS",
		{ U(records, corr), U(records, code), T(records, room, DW_ROOM_MAX), U(records, gap.from), U(records, gap.to),
			U(records, gap.reason), U(records, direct.from), U(records, direct.to), U(records, direct.reason),
			U(records, head), F(records, reset), F(records, more), P(records, last),
			B(records, records, DW_WIRE_FRAME_MAX), U(records, stay) } },
	{ DW_TABLE, "TABLE",
		{ U(table, corr), U(table, code), T(table, columns, 4096), B(table, cells, DW_WIRE_FRAME_MAX), F(table, more),
			T(table, room, DW_ROOM_MAX), T(table, user, DW_USER_MAX) } },
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
	static const char *const texts[] = { "none", "limit", "expired" };

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

/* What is put at `at` has room there; returns where it ends. */
static uint8_t *
put_big_endian(uint8_t *at, uint64_t value, size_t n)
{
	for (size_t i = n; i-- > 0; value >>= 8)
		at[i] = (uint8_t)value;
	return at + n;
}

static uint8_t *
put_number(uint8_t *at, uint64_t value)
{
	const size_t power = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;

	if (value <= 0x7f) {
		*at = (uint8_t)value;
		return at + 1;
	}
	*at++ = (uint8_t)(0xcc + power);
	return put_big_endian(at, value, (size_t)1 << power);
}

static uint8_t *
put_run(uint8_t *at, uint8_t first, struct dw_str s)
{
	const size_t power = s.n <= UINT8_MAX ? 0 : s.n <= UINT16_MAX ? 1 : 2;

	*at++ = (uint8_t)(first + power);
	at = put_big_endian(at, s.n, (size_t)1 << power);
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

static uint8_t *
put_text(uint8_t *at, struct dw_str s)
{
	if (s.n > 31)
		return put_run(at, 0xd9, s);
	*at++ = (uint8_t)(0xa0 + s.n);
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

static uint8_t *
put_array(uint8_t *at, size_t count)
{
	if (count <= 15) {
		*at = (uint8_t)(0x90 + count);
		return at + 1;
	}
	*at++ = 0xdc;
	return put_big_endian(at, count, 2);
}

/* An array of `first`, where it is not NULL, and of what a struct holds in these fields. */
static void
pack_fields(struct dw_buf *out, const uint64_t *first, const struct field *fields, size_t count, const void *from)
{
	enum { HEADER_MOST = 9 };
	size_t most = (count + 2) * HEADER_MOST;
	uint8_t *begin, *at;

	for (size_t i = 0; i < count; i++) {
		if (fields[i].kind == TEXT || fields[i].kind == BYTES)
			most += ((const struct dw_str *)(const void *)((const char *)from + fields[i].offset))->n;
	}
	begin = (uint8_t *)dw_buf_room(out, most);
	if (begin == NULL)
		return;
	at = put_array(begin, count + (first != NULL));
	if (first != NULL)
		at = put_number(at, *first);
	for (size_t i = 0; i < count; i++) {
		const void *value = (const char *)from + fields[i].offset;

		switch (fields[i].kind) {
		case NUMBER:
			at = put_number(at, *(const uint64_t *)value);
			break;
		case TEXT:
			at = put_text(at, *(const struct dw_str *)value);
			break;
		case BYTES:
			at = put_run(at, 0xc4, *(const struct dw_str *)value);
			break;
		case FLAG:
			*at++ = *(const bool *)value ? 0xc3 : 0xc2;
			break;
		}
	}
	dw_buf_grow(out, (size_t)(at - begin));
}

void
dw_wire_pack(struct dw_buf *out, const struct dw_wire *message)
{
	const struct shape *shape = find_shape(message->kind);
	const uint64_t kind = message->kind;

	assert(shape != NULL);
	pack_fields(out, &kind, shape->fields, count_fields(shape), message);
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
size_t
dw_wire_scalar_size(const uint8_t *p, size_t left)
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

/* How many elements an array has, of at most `max`; returns the size of its header, or 0 when there is none. */
static size_t
array_head(const uint8_t *p, size_t left, size_t max, size_t *count)
{
	size_t used;

	if (left >= 1 && *p >= 0x90 && *p <= 0x9f) {
		*count = *p & 0x0fU;
		used = 1;
	} else if (left >= 3 && *p == 0xdc) {
		*count = (size_t)big_endian(p + 1, 2);
		used = 3;
	} else {
		return 0;
	}
	return *count <= max ? used : 0;
}

/* The size of one array of at most `max` scalars at p, or 0 when there is none. */
static size_t
skim(const uint8_t *p, size_t left, size_t max)
{
	size_t count = 0, used = array_head(p, left, max, &count);

	for (size_t i = 0; used > 0 && i < count; i++) {
		size_t size = dw_wire_scalar_size(p + used, left - used);

		used = size > 0 ? used + size : 0;
	}
	return used;
}

/* The following look at one scalar whose size was looked at, in all its forms. */
static bool
take_number(const uint8_t *p, uint64_t *value)
{
	if (*p <= 0x7f)
		*value = *p;
	else if (*p >= 0xcc && *p <= 0xcf)
		*value = big_endian(p + 1, (size_t)1 << (*p - 0xcc));
	else if (*p >= 0xd0 && *p <= 0xd3 && p[1] <= 0x7f) /* signed, and not negative */
		*value = big_endian(p + 1, (size_t)1 << (*p - 0xd0));
	else
		return false;
	return true;
}

static bool
take_run(const uint8_t *p, uint8_t first, struct dw_str *value)
{
	size_t header;

	if (*p < first || *p > first + 2)
		return false;
	header = (size_t)1 << (*p - first);
	*value = (struct dw_str) { (const char *)p + 1 + header, (size_t)big_endian(p + 1, header) };
	return true;
}

static bool
take_field(const struct field *field, const uint8_t *p, void *to)
{
	struct dw_str *run = to;

	switch (field->kind) {
	case NUMBER:
		return take_number(p, to);
	case TEXT:
		if (*p >= 0xa0 && *p <= 0xbf)
			*run = (struct dw_str) { (const char *)p + 1, *p & 0x1fU };
		else if (!take_run(p, 0xd9, run))
			return false;
		return run->n <= field->max;
	case BYTES:
		return take_run(p, 0xc4, run) && run->n <= field->max;
	case FLAG:
		*(bool *)to = *p == 0xc3;
		return *p == 0xc2 || *p == 0xc3;
	}
	return false;
}

/* A HELLO of another version may look like anything behind its first field. */
static bool
is_foreign_hello(const struct dw_wire *message, size_t index)
{
	return message->kind == DW_HELLO && index == 0 && message->hello.version != dw_protocol_version();
}

/* Of a frame that was skimmed. */
static int
take_message(struct dw_wire *message, const uint8_t *p, const uint8_t *end, struct dw_fault *fault)
{
	const struct shape *shape;
	size_t count = 0;
	uint64_t kind;

	p += array_head(p, (size_t)(end - p), FIELDS_MAX * 2, &count);
	if (count == 0 || !take_number(p, &kind))
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame does not begin with a message kind");
	shape = find_shape(kind);
	if (shape == NULL)
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "unknown message kind %llu", (unsigned long long)kind);
	count = count_fields(shape);
	memset(message, 0, sizeof(*message));
	message->kind = shape->kind;
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &shape->fields[i];

		p += dw_wire_scalar_size(p, (size_t)(end - p));
		if (p == end)
			return dw_fault_set(
				fault, DW_E_PROTOCOL, field->name, NULL, "%s: field '%s' is missing", shape->name, field->name);
		if (!take_field(field, p, (char *)message + field->offset))
			return dw_fault_set(fault, DW_E_PROTOCOL, field->name, NULL,
				"%s: field '%s' has a wrong type or is too long", shape->name, field->name);
		if (is_foreign_hello(message, i))
			return DW_OK;
	}
	return DW_OK;
}

int
dw_wire_next(struct dw_str *rest, struct dw_wire *message, struct dw_fault *fault)
{
	const uint8_t *p = (const uint8_t *)rest->p;
	const size_t left = rest->n, size = left <= DW_WIRE_FRAME_MAX ? skim(p, left, FIELDS_MAX * 2) : 0;
	int err;

	*rest = (struct dw_str) { 0 };
	if (left > DW_WIRE_FRAME_MAX)
		return dw_fault_set(
			fault, DW_E_TOO_BIG, NULL, NULL, "a frame of %zu bytes; at most %d", left, DW_WIRE_FRAME_MAX);
	if (size == 0)
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame is not made of arrays of scalars");
	err = take_message(message, p, p + size, fault);
	if (err == DW_OK)
		*rest = (struct dw_str) { (const char *)p + size, left - size };
	return err;
}

int
dw_wire_unpack(struct dw_wire *message, const void *frame, size_t n, struct dw_fault *fault)
{
	struct dw_str rest = { frame, n };
	const int err = dw_wire_next(&rest, message, fault);

	if (err == DW_OK && rest.n > 0)
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "there is more than one message");
	return err;
}

static const struct field record_fields[] = {
	{ "seq", NUMBER, offsetof(struct dw_record, seq), 0 },
	{ "n", NUMBER, offsetof(struct dw_record, n), 0 },
	{ "at", NUMBER, offsetof(struct dw_record, at), 0 },
	{ "type", TEXT, offsetof(struct dw_record, type), DW_TYPE_MAX },
	{ "id", TEXT, offsetof(struct dw_record, id), DW_ID_MAX },
	{ "data", BYTES, offsetof(struct dw_record, data), DW_DATA_MAX },
	{ "to", TEXT, offsetof(struct dw_record, to), DW_USER_MAX },
	{ "except", NUMBER, offsetof(struct dw_record, except), 0 },
	{ "expires_at", NUMBER, offsetof(struct dw_record, expires_at), 0 },
	{ "own", NUMBER, offsetof(struct dw_record, own), 0 },
};
enum { RECORD_FIELDS = sizeof(record_fields) / sizeof(record_fields[0]) };

void
dw_record_pack(struct dw_buf *out, const struct dw_record *record)
{
	pack_fields(out, NULL, record_fields, RECORD_FIELDS, record);
}

int
dw_record_next(struct dw_str *rest, struct dw_record *record)
{
	const uint8_t *p = (const uint8_t *)rest->p;
	size_t count = 0, used, left;

	if (rest->n == 0)
		return DW_E_AGAIN;
	used = array_head(p, rest->n, RECORD_FIELDS, &count);
	if (used == 0 || count != RECORD_FIELDS)
		return DW_E_PROTOCOL;
	p += used;
	left = rest->n - used;
	for (size_t i = 0; i < RECORD_FIELDS; i++) {
		used = dw_wire_scalar_size(p, left);
		if (used == 0 || !take_field(&record_fields[i], p, (char *)record + record_fields[i].offset))
			return DW_E_PROTOCOL;
		p += used;
		left -= used;
	}
	*rest = (struct dw_str) { (const char *)p, left };
	return DW_OK;
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
