/* Scans: views that have a row for each of many, put together a slice a turn. One at a time, those of other peers wait
 * in line; so there is one table in memory, and a peer that asks on and on comes in behind the others each time.
 *
 * Where there is little to look at it is answered in the same turn. What comes and goes meanwhile may be in it or not;
 * what stayed all the time is in it once.
 *
 * Failure modes: a peer asks for another meanwhile: it is not listened to until it has the one. Too many wait: busy.
 * The peer goes: its scan goes. Invariants: what the first one stands on is kept by its owner (pins), or moved on when
 * that goes (a peer).
 */
#include "tables/scan.h"

#include <stdlib.h>
#include <utlist.h>

#include "hub.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/rooms.h"

enum { SLICE = 1000, COMPARISONS = 8, SCANS_MAX = 256 }; /* so many comparisons take as long as a look at a room */

struct scan {
	struct scan *prev, *next; /* in line */
	struct peer *peer;
	uint64_t corr;
	const char *columns;
	scan_step *step;
	struct scan_point at;
	struct table table;
	bool looked; /* at all there is: the table is put in order, */
	bool done;   /* and can be sent */
};

/* Memory that the table was short of is told to who asked. */
void
table_send(struct hub *hub, uint32_t peer, uint64_t corr, const char *columns, struct table *table)
{
	struct dw_wire answer = { .kind = DW_TABLE, .table = { .corr = corr } };

	(void)table_finish(table, SIZE_MAX);
	if (dw_buf_ok(&table->cells)) {
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

int
scan_begin(struct hub *hub, struct peer *peer, const struct dw_stat *stat, scan_step *step, const char *columns,
	int sort, struct dw_room *room)
{
	struct scan *scan;

	if (peer->scan != NULL || hub->scan_count >= SCANS_MAX)
		return DW_E_BUSY;
	scan = calloc(1, sizeof(*scan));
	if (scan == NULL)
		return DW_E_NOMEM;
	scan->peer = peer;
	scan->corr = stat->corr;
	scan->columns = columns;
	scan->step = step;
	scan->at.of = room;
	table_init(&scan->table, stat->limit, sort, stat->reverse);
	DL_APPEND(hub->scans, scan);
	hub->scan_count++;
	peer->scan = scan;
	if (room != NULL)
		room_hold(hub, room);
	return DW_OK;
}

static void
end_scan(struct hub *hub, struct scan *scan)
{
	struct dw_room *room = scan->at.of;

	if (scan->at.begun)
		(void)scan->step(hub, &scan->at, &scan->table, true);
	DL_DELETE(hub->scans, scan);
	hub->scan_count--;
	scan->peer->scan = NULL;
	scan->peer->held = false;
	table_clear(&scan->table);
	free(scan);
	if (room != NULL)
		room_unhold(hub, room);
}

/* The next bit of it, and what that cost. */
static size_t
take_step(struct hub *hub, struct scan *scan)
{
	struct table *table = &scan->table;
	const uint64_t compared = table->compared;
	size_t cost = 0;

	if (!scan->looked && !table->more)
		cost = scan->step(hub, &scan->at, table, false);
	scan->at.begun = true;
	scan->looked = cost == 0;
	if (scan->looked) {
		scan->done = table_finish(table, 1);
		cost = 1;
	}
	return cost + (table->compared - compared) / COMPARISONS;
}

bool
scans_turn(struct hub *hub)
{
	size_t work = 0;
	bool held = false;

	while (hub->scans != NULL && work < SLICE) {
		struct scan *scan = hub->scans;

		work += take_step(hub, scan);
		if (!scan->done)
			continue;
		held |= scan->peer->held;
		table_send(hub, scan->peer->number, scan->corr, scan->columns, &scan->table);
		end_scan(hub, scan);
	}
	return held || hub->scans != NULL;
}

void
scans_forget_peer(struct hub *hub, struct peer *peer)
{
	if (peer->scan != NULL)
		end_scan(hub, peer->scan);
}

void
scans_pass_peer(struct hub *hub, const struct peer *peer)
{
	if (hub->scans != NULL && hub->scans->at.peer == peer)
		hub->scans->at.peer = peer->hh.prev;
}
