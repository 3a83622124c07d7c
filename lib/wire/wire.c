/* The protocol in code: a row for each message says its fields, their kinds and their bounds. How a value is written is
 * msgpack.c's.
 */
#include "wire/wire.h"

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "wire/wire_parts.h"

#ifndef DW_PROTOCOL_VERSION
#define DW_PROTOCOL_VERSION 6
#endif

enum { FIELDS_MAX = 24, NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 512 };

struct shape {
	const char *name;
	struct field fields[FIELDS_MAX];
};

#define FIELD(name, kind, at, max) \
	{                              \
		name, kind, at, max        \
	}
#define AT(member, field) offsetof(struct dw_wire, member.field)
#define U(member, field) FIELD(#field, NUMBER, AT(member, field), 0)
#define T(member, field, max) FIELD(#field, TEXT, AT(member, field), max)
#define B(member, field, max) FIELD(#field, BYTES, AT(member, field), max)
#define F(member, field) FIELD(#field, FLAG, AT(member, field), 0)

/* A position is three numbers one behind another (position.h). */
#define NTH(member, field, name, i) FIELD(#field name, NUMBER, AT(member, field) + (i) * sizeof(uint64_t), 0)
#define P(member, field) NTH(member, field, "", 0), NTH(member, field, ".n", 1), NTH(member, field, ".own", 2)
#define G(member, field) U(member, field.from), U(member, field.to), U(member, field.reason)

_Static_assert(sizeof(struct dw_position) == 3 * sizeof(uint64_t), "a position is three numbers");

/* By kind. */
static const struct shape shapes[] = {
	[DW_HELLO] = { "HELLO",
		{ U(hello, version), U(hello, kind), U(hello, peer), U(hello, incarnation), T(hello, name, NAME_MAX_BYTES) } },
	[DW_PING] = { "PING", { U(ping, token) } },
	[DW_BYE] = { "BYE", { { NULL, NUMBER, 0, 0 } } },
	[DW_PUBLISH] = { "PUBLISH", { U(publish, corr), T(publish, room, DW_ROOM_MAX), T(publish, type, DW_TYPE_MAX),
									T(publish, id, DW_ID_MAX), B(publish, data, DW_DATA_MAX),
									T(publish, user, DW_USER_MAX), F(publish, claimed), T(publish, to, DW_USER_MAX),
									U(publish, except), U(publish, ttl_ms), U(publish, wait), U(publish, wait_ms) } },
	[DW_JOIN] = { "JOIN",
		{ U(join, corr), U(join, session), T(join, room, DW_ROOM_MAX), T(join, user, DW_USER_MAX),
			T(join, device, DW_DEVICE_MAX), U(join, flags), P(join, after), T(join, epoch, DW_EPOCH_MAX), P(join, have),
			U(join, expires), P(join, confirmed), U(join, begun.n), U(join, begun.own), U(join, age) } },
	[DW_LEAVE] = { "LEAVE",
		{ U(leave, session), T(leave, room, DW_ROOM_MAX), P(leave, at), F(leave, sure), U(leave, begun.n),
			U(leave, begun.own), T(leave, user, DW_USER_MAX), T(leave, device, DW_DEVICE_MAX) } },
	[DW_CONFIRM] = { "CONFIRM",
		{ T(confirm, room, DW_ROOM_MAX), P(confirm, at), F(confirm, sure), F(confirm, anew), U(confirm, begun.n),
			U(confirm, begun.own), B(confirm, sessions, (size_t)DW_WIRE_SESSIONS_MAX * 8) } },
	[DW_CREDIT] = { "CREDIT", { U(credit, received) } },
	[DW_READ] = { "READ", { U(read, corr), U(read, session), T(read, room, DW_ROOM_MAX), P(read, after), U(read, limit),
							  T(read, user, DW_USER_MAX), F(read, claimed), T(read, epoch, DW_EPOCH_MAX),
							  U(read, wait_ms), U(read, stay) } },
	[DW_STAT] = { "STAT", { U(stat, corr), T(stat, view, 32), T(stat, room, DW_ROOM_MAX), U(stat, limit),
							  T(stat, sort, DW_COLUMN_MAX), F(stat, reverse) } },
	[DW_OWN] = { "OWN",
		{ U(own, corr), T(own, verb, 16), T(own, room, DW_ROOM_MAX), T(own, user, DW_USER_MAX), F(own, dry),
			F(own, claimed), T(own, after_room, DW_ROOM_MAX), T(own, after_user, DW_USER_MAX) } },
	[DW_WHO] = { "WHO", { { NULL, NUMBER, 0, 0 } } },
	[DW_WELCOME] = { "WELCOME", { U(welcome, version), T(welcome, epoch, DW_EPOCH_MAX), U(welcome, hub),
									U(welcome, head), U(welcome, window), U(welcome, incarnation) } },
	[DW_REFUSED] = { "REFUSED", { U(refused, code), T(refused, text, TEXT_MAX_BYTES) } },
	[DW_PONG] = { "PONG", { U(pong, token), F(pong, writable) } },
	[DW_SHUTDOWN] = { "SHUTDOWN", { { NULL, NUMBER, 0, 0 } } },
	[DW_STORED] = { "STORED", { U(stored, corr), U(stored, code), U(stored, seq), U(stored, n), F(stored, duplicate),
								  U(stored, notified), U(stored, queued), T(stored, text, TEXT_MAX_BYTES) } },
	[DW_JOINED] = { "JOINED",
		{ U(joined, corr), U(joined, session), U(joined, code), T(joined, room, DW_ROOM_MAX),
			T(joined, device, DW_DEVICE_MAX), U(joined, resume), P(joined, at), P(joined, from), U(joined, head),
			U(joined, oldest), U(joined, replaying), G(joined, gap), G(joined, direct), P(joined, sent) } },
	[DW_MESSAGES] = { "MESSAGES", { T(messages, room, DW_ROOM_MAX), P(messages, prev), U(messages, reason),
									  F(messages, ask), B(messages, records, DW_WIRE_FRAME_MAX) } },
	[DW_CLOSE] = { "CLOSE", { U(close, session), T(close, room, DW_ROOM_MAX), U(close, code),
								T(close, reason, DW_CLOSE_REASON_MAX), U(close, stay) } },
	[DW_RECORDS] = { "RECORDS", { U(records, corr), U(records, code), T(records, room, DW_ROOM_MAX), G(records, gap),
									G(records, direct), U(records, head), F(records, reset), F(records, more),
									P(records, last), B(records, records, DW_WIRE_FRAME_MAX), U(records, stay) } },
	[DW_TABLE] = { "TABLE",
		{ U(table, corr), U(table, code), T(table, columns, 4096), B(table, cells, DW_WIRE_FRAME_MAX), F(table, more),
			T(table, room, DW_ROOM_MAX), T(table, user, DW_USER_MAX) } },
	[DW_OWNED] = { "OWNED", { U(owned, corr), U(owned, code), F(owned, changed) } },
	[DW_DELIVERED] = { "DELIVERED", { U(delivered, corr), U(delivered, code), U(delivered, count) } },
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
	return kind < sizeof(shapes) / sizeof(shapes[0]) && shapes[kind].name != NULL ? &shapes[kind] : NULL;
}

static size_t
count_fields(const struct shape *shape)
{
	size_t count = 0;

	while (count < FIELDS_MAX && shape->fields[count].name != NULL)
		count++;
	return count;
}

void
dw_wire_pack(struct dw_buf *out, const struct dw_wire *message)
{
	const struct shape *shape = find_shape(message->kind);
	const uint64_t kind = message->kind;

	assert(shape != NULL);
	dw_fields_pack(out, &kind, shape->fields, count_fields(shape), message);
}

/* A HELLO of another version may look like anything behind its first field. */
static bool
is_foreign_hello(struct dw_wire *message, struct dw_str rest, const struct shape *shape)
{
	size_t taken;

	return message->kind == DW_HELLO && dw_fields_take(&rest, shape->fields, 1, message, &taken) &&
		   message->hello.version != dw_protocol_version();
}

static int
take_message(struct dw_wire *message, struct dw_str *rest, struct dw_fault *fault)
{
	static const struct field kind_field = { .name = "kind", .kind = NUMBER };
	const struct shape *shape;
	size_t there = 0, known, taken = 0;
	uint64_t kind;

	if (!dw_array_take(rest, FIELDS_MAX * 2, &there) || there-- == 0)
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame is not made of arrays of scalars");
	if (!dw_fields_take(rest, &kind_field, 1, &kind, &taken))
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame does not begin with a message kind");
	shape = find_shape(kind);
	if (shape == NULL)
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "unknown message kind %llu", (unsigned long long)kind);
	memset(message, 0, sizeof(*message));
	message->kind = (enum dw_wire_kind)kind;
	known = there > 0 && is_foreign_hello(message, *rest, shape) ? 1 : count_fields(shape);
	if (!dw_fields_take(rest, shape->fields, known < there ? known : there, message, &taken) || taken < known)
		return dw_fault_set(fault, DW_E_PROTOCOL, shape->fields[taken].name, NULL, "%s: field '%s' %s", shape->name,
			shape->fields[taken].name, taken == there ? "is missing" : "has a wrong type or is too long");
	if (!dw_values_skip(rest, there - known))
		return dw_fault_set(fault, DW_E_PROTOCOL, NULL, NULL, "the frame is not made of arrays of scalars");
	return DW_OK;
}

int
dw_wire_next(struct dw_str *rest, struct dw_wire *message, struct dw_fault *fault)
{
	struct dw_str left = *rest;
	int err;

	*rest = (struct dw_str) { 0 };
	if (left.n > DW_WIRE_FRAME_MAX)
		return dw_fault_set(
			fault, DW_E_TOO_BIG, NULL, NULL, "a frame of %zu bytes; at most %d", left.n, DW_WIRE_FRAME_MAX);
	err = take_message(message, &left, fault);
	if (err == DW_OK)
		*rest = left;
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
	dw_fields_pack(out, NULL, record_fields, RECORD_FIELDS, record);
}

int
dw_record_next(struct dw_str *rest, struct dw_record *record)
{
	struct dw_str left = *rest;
	size_t count = 0, taken;

	if (left.n == 0)
		return DW_E_AGAIN;
	if (!dw_array_take(&left, RECORD_FIELDS, &count) || count != RECORD_FIELDS ||
		!dw_fields_take(&left, record_fields, RECORD_FIELDS, record, &taken))
		return DW_E_PROTOCOL;
	*rest = left;
	return DW_OK;
}

void
dw_session_pack(struct dw_buf *out, uint64_t session)
{
	const uint64_t bytes = htobe64(session);

	dw_buf_add(out, &bytes, sizeof(bytes));
}

bool
dw_session_next(struct dw_str *rest, uint64_t *session)
{
	if (rest->n < sizeof(*session))
		return false;
	*session = dw_big_endian(dw_str_take(rest, sizeof(*session)).p, sizeof(*session));
	return true;
}

/* Unpacked and packed again: the frame is one that we packed. */
int
dw_wire_wait(struct dw_buf *frame, uint64_t wait_ms)
{
	struct dw_wire message = { 0 };
	struct dw_buf packed = { 0 };
	int err = dw_wire_unpack(&message, frame->data, frame->len, NULL);

	if (err != DW_OK)
		return err;
	assert(message.kind == DW_PUBLISH || message.kind == DW_READ);
	if (message.kind == DW_PUBLISH)
		message.publish.wait_ms = wait_ms;
	else
		message.read.wait_ms = wait_ms;
	dw_wire_pack(&packed, &message);
	dw_buf_clear(dw_buf_ok(&packed) ? frame : &packed);
	if (packed.data == NULL)
		return DW_E_NOMEM;
	*frame = packed;
	return DW_OK;
}
