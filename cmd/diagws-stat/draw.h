/* Tables on a terminal: aligned, with a coloured header where colour is wanted.
 */
#ifndef DIAGWS_DRAW_H
#define DIAGWS_DRAW_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/rows.h"

/* Prints the first `count` rows to stdout; vertical: the only row as a list of name and value.
 * DW_E_NOMEM, DW_E_IO. */
int draw_rows(const struct dw_rows *rows, size_t count, bool vertical, bool color);

#endif
