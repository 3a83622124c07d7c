/* A table as an answer (answer.c). */
#ifndef DIAGWS_HUB_ANSWER_H
#define DIAGWS_HUB_ANSWER_H

#include <stdint.h>

#include "tables/table.h"

struct hub;

/* And frees the table. */
void table_send(struct hub *hub, uint32_t peer, uint64_t corr, const char *columns, struct table *table);

#endif
