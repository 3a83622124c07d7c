/* What the files of a room share with one another and with nobody else. */
#ifndef DIAGWS_ROOM_PARTS_H
#define DIAGWS_ROOM_PARTS_H

#include "room/room.h"

struct dw_gone {
	struct dw_gone *prev, *next;
	struct dw_cursor cursor;
};

/* Positions by the second in which they were confirmed; those of the last DW_OVERLAP_MS fit. */
enum { DW_TRAIL_STEPS = DW_OVERLAP_MS / 1000 + 2 };
struct dw_trail {
	size_t count;
	struct {
		struct dw_position at;
		uint64_t when;
	} step[DW_TRAIL_STEPS];
};

/* Its log of direct messages holds as many as it may. */
static inline bool
dw_room_is_crowded(const struct dw_room *room)
{
	return dw_ring_count(room->direct) >= room->all->queue_limit * DW_HISTORY_TIMES;
}

#define DW_EACH_DEVICE(room, member, device)                                      \
	for ((member) = (room)->members; (member) != NULL; (member) = (member)->next) \
		for ((device) = (member)->devices; (device) != NULL; (device) = (device)->next)

/* Unpacks an entry; its strings lie in the log. */
bool dw_record_of(const struct dw_ring *log, uint64_t index, struct dw_record *record);
/* Of a stream: right before the first record after a seq that the member gets (NULL: only those to everyone). */
struct dw_position dw_room_stream_at(const struct dw_room *room, const struct dw_member *member, uint64_t seq);
/* The room's n at this seq; false: it is only known to the engine, and 0 here. */
bool dw_room_n_at(const struct dw_room *room, uint64_t seq, uint64_t *n);
/* Whether the room was ever there for this member, as far as it can tell. */
bool dw_room_is_position(const struct dw_room *room, const struct dw_member *member, struct dw_position at);
/* The device has come to this position now. */
void dw_device_note(struct dw_device *device, struct dw_position at, uint64_t steady);
/* The device's positions follow its sessions'. */
void dw_room_advance(struct dw_room *room, struct dw_device *device, uint64_t steady);
void dw_room_move_device(struct dw_room *room, struct dw_device *device, struct dw_position at);

/* What is queued (queued.c). A device's `at` is changed by this alone. */
void dw_room_stand_device(struct dw_room *room, struct dw_device *device, struct dw_position at);
/* The device has come to its member, where it stands; has gone from there. */
void dw_room_count_device(struct dw_room *room, const struct dw_device *device);
void dw_room_uncount_device(struct dw_room *room, const struct dw_device *device);
/* Drops the oldest message to everyone from what is retained, and from the log. */
void dw_room_drop_numbered(struct dw_room *room);
/* After `own` or `first_own` of a member has changed. */
void dw_room_count_direct(struct dw_room *room, struct dw_member *member);
/* All of a resident room anew. */
void dw_room_count_anew(struct dw_room *room);
/* After whatever may have changed what is queued or retained: the sums of all rooms follow. */
void dw_room_sum_up(struct dw_room *room);
/* The same where only devices have moved, most of which changes nothing: confirming costs a third less. */
static inline void
dw_room_even_out(struct dw_room *room)
{
	if (room->uneven)
		dw_room_sum_up(room);
}

/* A session of this user comes, for which there is a place in the table then. False: no memory. And goes. */
bool dw_rooms_come(struct dw_rooms *all, struct dw_str user);
void dw_rooms_go(struct dw_rooms *all, struct dw_str user);

/* Part of the hash of what is found by its room and something else. */
uint32_t dw_room_hash(const struct dw_room *room);
/* A session whose device and reader are set comes into the room's lists and counts; and goes out of them. */
void dw_room_link_session(struct dw_session *session);
void dw_room_unlink_session(struct dw_session *session);

/* A device that is not there yet, and stands there; the longest unseen make room. Not dirty. NULL: no memory. */
struct dw_device *dw_room_add_device(struct dw_room *room, struct dw_str user, struct dw_str id, struct dw_position at);
void dw_room_mark_dirty(struct dw_room *room, struct dw_device *device);
/* Makes it when needed. NULL: no memory. */
struct dw_member *dw_room_get_member(struct dw_room *room, struct dw_str user);
int dw_room_load_cursors(struct dw_room *room, const struct dw_buf *rows);
void dw_room_free_members(struct dw_room *room);
/* Something about its age has changed, so that room->prune_at may be earlier. */
void dw_room_note_age(struct dw_room *room, const struct dw_device *device);
/* When a device that is not connected is over its age. */
uint64_t dw_room_device_end(const struct dw_rooms *all, bool derived, uint64_t seen, uint64_t expires);

#endif
