/* The views of STAT: each fills the rows of its table. `room` is NULL but for `room`, `devices` and `messages`. */
#ifndef DIAGWS_HUB_STAT_H
#define DIAGWS_HUB_STAT_H

#include "hub.h"

void stat_summary(struct hub *hub, struct table *table, struct dw_room *room);
void stat_rooms(struct hub *hub, struct table *table, struct dw_room *room);
void stat_messages(struct hub *hub, struct table *table, struct dw_room *room);
void stat_room(struct hub *hub, struct table *table, struct dw_room *room);
void stat_devices(struct hub *hub, struct table *table, struct dw_room *room);
void stat_edges(struct hub *hub, struct table *table, struct dw_room *room);
void stat_queues(struct hub *hub, struct table *table, struct dw_room *room);
void stat_users(struct hub *hub, struct table *table, struct dw_room *room);

#endif
