/* The entries of a room's ring: frames that are ready to be sent, and before those that are not for all, or not for
 * ever, their condition.
 */
#ifndef RENDER_H
#define RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message/msg.h"
#include "wire/wire.h"

struct room;
struct rooms;

enum entry_flag {
	ENTRY_PING = 1,
	ENTRY_CONDITION = 2, /* its bytes begin with a condition: room_condition */
	ENTRY_HOLE = 4,      /* messages up to its n never came: told to each reader as what that one lacks */
	ENTRY_TURNS = 8,     /* a PING for some of the readers: ping_asks */
	ENTRY_ASK = 16,      /* each reader has to ask the hub what it lacks from here on */
};

/* Of a hole: above the flags lies its enum dw_gap_reason; DW_GAP_NONE: the hub has to be asked. */
enum { ENTRY_REASON_SHIFT = 8 };

/* Who gets a message, and until when. */
struct condition {
	struct dw_str to;    /* not empty: this user only, */
	uint64_t own;        /* and its number among those */
	uint64_t except;     /* not this session; 0: none */
	uint64_t expires_at; /* ms since 1970: a gap is told instead; 0: never */
};

/* The most that a record takes in the ring. */
size_t room_entry_most(const struct dw_record *record);
/* Puts a record's entry into rooms.frame; nothing for what nobody gets. Returns its flags. */
uint32_t room_render_entry(struct room *room, const struct dw_record *record);
/* Appends what is in rooms.frame to the ring. false: no memory. */
bool room_append(struct room *room, struct dw_position at, uint32_t flags);

/* Takes the condition off an entry's bytes; what is left is its frame. It lives as long as the bytes. */
struct dw_str room_condition(struct dw_str bytes, struct condition *condition);

/* Append the frame of a record, of a gap (none where there is none), and of the gap of one message that expired to out.
 */
void room_render(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record);
void room_render_gap(struct rooms *rooms, struct dw_buf *out, const char *room, struct dw_gap gap, bool direct);
void room_render_expired(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record);

#endif
