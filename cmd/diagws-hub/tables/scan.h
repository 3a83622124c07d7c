/* The views of STAT: short ones fill their table at once (stat.c); long ones a slice a turn (scan.c): however many rows
 * there are, nobody waits for more than a slice of them. */
#ifndef DIAGWS_HUB_SCAN_H
#define DIAGWS_HUB_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "room/room.h"
#include "tables/table.h"
#include "wire/wire.h"

struct hub;
struct peer;
struct scan;

/* Where it stands; what it points to stays there until it goes on. All zero but `of`: before the first. */
struct scan_point {
	struct dw_room *of; /* the one that the view is of, or NULL */
	struct dw_room *room;
	struct dw_member *member;
	struct dw_present *present;
	struct peer *peer;
	struct dw_position position;
	bool begun;
};

/* Takes the next thing and adds its rows, if it has any; with `last` it goes away from where it stands, and adds none.
 * What that cost, in rooms or devices looked at; 0: there is no more. */
typedef size_t scan_step(struct hub *hub, struct scan_point *at, struct table *table, bool last);
scan_step scan_rooms, scan_queues, scan_users, scan_edges, scan_devices, scan_messages;

/* The views that fill their table at once. room: as above. */
void stat_summary(struct hub *hub, struct table *table, const struct dw_room *room);
void stat_room(struct hub *hub, struct table *table, const struct dw_room *room);

/* Sends the table as the answer to a request, STAT or the registry's list, and frees it. */
void table_send(struct hub *hub, uint32_t peer, uint64_t corr, const char *columns, struct table *table);

/* Answers with a table of these columns when all rows have been looked at; sort: a column, or -1. room may be NULL,
 * else it is resident. DW_E_BUSY: the peer has one under way, or too many others have. DW_E_NOMEM. */
int scan_begin(struct hub *hub, struct peer *peer, const struct dw_stat *stat, scan_step *step, const char *columns,
	int sort, struct dw_room *room);

/* A slice of the one that is the first in line. True: there is more to do, or to hear. */
bool scans_turn(struct hub *hub);
void scans_forget_peer(struct hub *hub, struct peer *peer);
/* The peer is about to leave the list of all. */
void scans_pass_peer(struct hub *hub, const struct peer *peer);

#endif
