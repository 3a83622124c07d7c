/* msgpack's forms: what is said is packed by msgpack's own library, and what a peer said is taken apart here.
 *
 * Its own file because only it includes the library, and only it knows the forms (the tests hold it to the library's).
 * The library is not asked to take apart what a peer sent: it reserves memory for what it finds, and a message costs
 * 60 to 75 % more instructions with it. Packing costs a tenth to a quarter less with it than by our own hands.
 *
 * Every length is checked against the bytes that are left before it is used. Failure modes: DW_E_PROTOCOL; memory is
 * remembered by the buffer.
 */
#include <endian.h>
#include <msgpack.h>
#include <string.h>

#include "wire/wire.h"
#include "wire/wire_parts.h"

/* ---- packing */

enum { HEADER_MOST = 9 };

/* There is room for it. */
static int
write_bytes(void *user, const char *bytes, size_t n)
{
	char **at = user;

	if (n > 0)
		memcpy(*at, bytes, n);
	*at += n;
	return 0;
}

void
dw_fields_pack(struct dw_buf *out, const uint64_t *first, const struct field *fields, size_t count, const void *from)
{
	size_t most = (count + 2) * HEADER_MOST;
	char *begin, *at;
	msgpack_packer pk;

	for (size_t i = 0; i < count; i++) {
		if (fields[i].kind == TEXT || fields[i].kind == BYTES)
			most += ((const struct dw_str *)(const void *)((const char *)from + fields[i].offset))->n;
	}
	begin = at = dw_buf_room(out, most);
	if (begin == NULL)
		return;
	msgpack_packer_init(&pk, &at, write_bytes);
	msgpack_pack_array(&pk, count + (first != NULL));
	if (first != NULL)
		msgpack_pack_uint64(&pk, *first);
	for (size_t i = 0; i < count; i++) {
		const void *value = (const char *)from + fields[i].offset;
		const struct dw_str *run = value;

		switch (fields[i].kind) {
		case NUMBER:
			msgpack_pack_uint64(&pk, *(const uint64_t *)value);
			break;
		case TEXT:
			msgpack_pack_str(&pk, run->n);
			msgpack_pack_str_body(&pk, run->p, run->n);
			break;
		case BYTES:
			msgpack_pack_bin(&pk, run->n);
			msgpack_pack_bin_body(&pk, run->p, run->n);
			break;
		case FLAG:
			if (*(const bool *)value)
				msgpack_pack_true(&pk);
			else
				msgpack_pack_false(&pk);
			break;
		}
	}
	dw_buf_grow(out, (size_t)(at - begin));
}

void
dw_cell_pack(struct dw_buf *out, const struct dw_cell *cell)
{
	char *begin = dw_buf_room(out, HEADER_MOST + (cell->type == DW_CELL_TEXT ? cell->text.n : 0)), *at = begin;
	msgpack_packer pk;

	if (begin == NULL)
		return;
	msgpack_packer_init(&pk, &at, write_bytes);
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
		msgpack_pack_str(&pk, cell->text.n);
		msgpack_pack_str_body(&pk, cell->text.p, cell->text.n);
		break;
	}
	dw_buf_grow(out, (size_t)(at - begin));
}

/* ---- taking apart */

/* The size of one value that holds no other (header and body), or 0 when it is a container, an extension, or longer
 * than what is left. */
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
		body = dw_big_endian(p + 1, header - 1);
	return body <= left - header ? header + (size_t)body : 0;
}

bool
dw_array_take(struct dw_str *rest, size_t max, size_t *count)
{
	const uint8_t *p = (const uint8_t *)rest->p;
	size_t head;

	if (rest->n >= 1 && *p >= 0x90 && *p <= 0x9f) {
		*count = *p & 0x0fU;
		head = 1;
	} else if (rest->n >= 3 && *p == 0xdc) {
		*count = (size_t)dw_big_endian(p + 1, 2);
		head = 3;
	} else {
		return false;
	}
	*rest = (struct dw_str) { rest->p + head, rest->n - head };
	return *count <= max;
}

/* The following look at one scalar whose size was looked at, in all its forms. */
static bool
take_number(const uint8_t *p, uint64_t *value)
{
	if (*p <= 0x7f)
		*value = *p;
	else if (*p >= 0xcc && *p <= 0xcf)
		*value = dw_big_endian(p + 1, (size_t)1 << (*p - 0xcc));
	else if (*p >= 0xd0 && *p <= 0xd3 && p[1] <= 0x7f) /* signed, and not negative */
		*value = dw_big_endian(p + 1, (size_t)1 << (*p - 0xd0));
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
	*value = (struct dw_str) { (const char *)p + 1 + header, (size_t)dw_big_endian(p + 1, header) };
	return true;
}

static bool
take_text(const uint8_t *p, struct dw_str *value)
{
	if (*p < 0xa0 || *p > 0xbf)
		return take_run(p, 0xd9, value);
	*value = (struct dw_str) { (const char *)p + 1, *p & 0x1fU };
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
		return take_text(p, run) && run->n <= field->max;
	case BYTES:
		return take_run(p, 0xc4, run) && run->n <= field->max;
	case FLAG:
		*(bool *)to = *p == 0xc3;
		return *p == 0xc2 || *p == 0xc3;
	}
	return false;
}

bool
dw_fields_take(struct dw_str *rest, const struct field *fields, size_t count, void *to, size_t *taken)
{
	const uint8_t *p = (const uint8_t *)rest->p;
	const uint8_t *const end = p + rest->n;
	size_t i, size;

	for (i = 0; i < count; i++, p += size) {
		size = scalar_size(p, (size_t)(end - p));
		if (size == 0 || !take_field(&fields[i], p, (char *)to + fields[i].offset))
			break;
	}
	*rest = dw_bytes(p, (size_t)(end - p));
	*taken = i;
	return i == count;
}

bool
dw_values_skip(struct dw_str *rest, size_t count)
{
	for (size_t size; count > 0; count--) {
		size = scalar_size((const uint8_t *)rest->p, rest->n);
		if (size == 0)
			return false;
		*rest = dw_bytes(rest->p + size, rest->n - size);
	}
	return true;
}

/* Sign and all. */
static int64_t
take_signed(const uint8_t *p)
{
	const size_t n = (size_t)1 << (*p - 0xd0);

	return (int64_t)(dw_big_endian(p + 1, n) << (64 - 8 * n)) >> (64 - 8 * n);
}

static double
take_real(const uint8_t *p)
{
	const uint64_t bits = dw_big_endian(p + 1, *p == 0xca ? 4 : 8);
	const uint32_t half = (uint32_t)bits;
	double real;
	float single;

	memcpy(&real, &bits, sizeof(real));
	memcpy(&single, &half, sizeof(single));
	return *p == 0xca ? (double)single : real;
}

static bool
take_cell(const uint8_t *p, struct dw_cell *cell)
{
	uint64_t number;

	*cell = (struct dw_cell) { .type = DW_CELL_NUMBER };
	if (take_number(p, &number)) {
		cell->number = (int64_t)number;
	} else if (*p >= 0xe0) {
		cell->number = (int64_t)*p - 0x100;
	} else if (*p >= 0xd0 && *p <= 0xd3) {
		cell->number = take_signed(p);
	} else if (*p == 0xca || *p == 0xcb) {
		cell->type = DW_CELL_REAL;
		cell->real = take_real(p);
	} else if (take_text(p, &cell->text)) {
		cell->type = DW_CELL_TEXT;
	} else {
		cell->type = DW_CELL_NIL;
		return *p == 0xc0;
	}
	return true;
}

int
dw_cell_next(struct dw_str *rest, struct dw_cell *cell)
{
	const uint8_t *p = (const uint8_t *)rest->p;
	const size_t size = scalar_size(p, rest->n);

	if (rest->n == 0)
		return DW_E_AGAIN;
	if (size == 0 || !take_cell(p, cell))
		return DW_E_PROTOCOL;
	*rest = (struct dw_str) { rest->p + size, rest->n - size };
	return DW_OK;
}
