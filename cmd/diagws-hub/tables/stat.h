/* The views of STAT: short ones fill their table at once, long ones are scanned. `room` is NULL but for those of one.
 */
#ifndef DIAGWS_HUB_STAT_H
#define DIAGWS_HUB_STAT_H

#include "tables/scan.h"

void stat_summary(struct hub *hub, struct table *table, const struct dw_room *room);
void stat_room(struct hub *hub, struct table *table, const struct dw_room *room);

scan_step scan_rooms, scan_queues, scan_users, scan_edges, scan_devices, scan_messages;

#endif
