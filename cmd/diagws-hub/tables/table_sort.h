/* Tables in the order of a column (table_sort.c). */
#ifndef DIAGWS_HUB_TABLE_SORT_H
#define DIAGWS_HUB_TABLE_SORT_H

#include <stdbool.h>
#include <stddef.h>

#include "tables/table.h"

/* Before anything is added; what a text points to must then stay until its row is ended. Numbers from the largest down,
 * texts by their bytes upwards, and `reverse` the other way round; nothing last, and equal rows by the first column
 * upwards. */
void table_sort(struct table *table, size_t column, bool reverse);

/* For table.c: the parts of its calls for a sorted table. */
bool table_keep(struct table *table);
bool table_order_some(struct table *table, size_t most);
void table_drop_rows(struct table *table);

#endif
