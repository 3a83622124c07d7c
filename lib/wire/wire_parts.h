/* What wire.c and wire_cells.c share. */
#ifndef DIAGWS_WIRE_PARTS_H
#define DIAGWS_WIRE_PARTS_H

#include <stddef.h>
#include <stdint.h>

/* The size of one msgpack value that holds no other (header and body), or 0 when it is a container, unknown, or does
 * not fit into `left`. */
size_t dw_wire_scalar_size(const uint8_t *p, size_t left);

#endif
