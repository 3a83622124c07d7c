/* A table as the answer to a request: STAT, or the registry's list.
 *
 * Its own file because a table (table.c) knows nothing of peers. Failure modes: memory that the table was short of is
 * told to who asked.
 */
#include "tables/answer.h"

#include "peers/outbox.h"
#include "tables/table.h"

void
table_send(struct hub *hub, uint32_t peer, uint64_t corr, const char *columns, struct table *table)
{
	struct dw_wire answer = { .kind = DW_TABLE, .table = { .corr = corr } };

	table_finish(table);
	if (table_ok(table)) {
		answer.table.columns = dw_str(columns);
		answer.table.cells = (struct dw_str) { table->cells.data, table->cells.len };
		answer.table.more = table->more;
		answer.table.room = table->next_room;
		answer.table.user = table->next_user;
	} else {
		answer.table.code = (uint64_t)-DW_E_NOMEM;
	}
	outbox_add(hub, peer, &answer);
	table_clear(table);
}
