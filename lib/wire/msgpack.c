/* Cells of the tables that the hub answers with: few and seldom, so msgpack's own library packs and unpacks them.
 *
 * Its own file because only it includes the library: what is sent for each message is wire.c's. Of what a peer sent the
 * library sees one scalar that fits into the bytes that are left, so that it never reserves more than that.
 *
 * Failure modes: DW_E_PROTOCOL; memory is remembered by the buffer.
 */
#include <msgpack.h>
#include <string.h>

#include "wire/wire.h"
#include "wire/wire_parts.h"

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
	used = dw_wire_scalar_size((const uint8_t *)rest->p, rest->n);
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
