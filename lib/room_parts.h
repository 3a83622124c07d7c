/* What the files of a room share with one another and with nobody else. */
#ifndef DIAGWS_ROOM_PARTS_H
#define DIAGWS_ROOM_PARTS_H

#include "diagws/room.h"

struct dw_gone {
	struct dw_gone *prev, *next;
	struct dw_cursor cursor;
};

struct dw_member *dw_room_member(const struct dw_room *room, struct dw_str user);
struct dw_device *dw_room_device(const struct dw_room *room, struct dw_str user, struct dw_str id);
/* A device that is not there yet; the longest unseen make room. Not dirty. NULL: no memory. */
struct dw_device *dw_room_add_device(struct dw_room *room, struct dw_str user, struct dw_str id);
void dw_room_mark_dirty(struct dw_room *room, struct dw_device *device);
int dw_room_load_cursors(struct dw_room *room, const struct dw_cursor *cursors, size_t count);
int dw_room_load_owners(struct dw_room *room, const struct dw_owner_row *rows, size_t count);
void dw_room_free_members(struct dw_room *room);
/* When a device that is not connected is over its age. */
uint64_t dw_room_device_end(const struct dw_rooms *all, bool derived, uint64_t seen, uint64_t expires);

#endif
