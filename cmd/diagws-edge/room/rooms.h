/* A room as the edge has it: one ring of ready-made frames, and the watches that read it.
 *
 * The hub sends an edge each message of a room once; it becomes a frame here, once. `head` is where
 * the hub's stream stands; the ring holds what came since the room was entered, or the newest
 * LIMIT_RING bytes of it. Now and then a PING frame lies between the messages: its PONG confirms all
 * before it. A message that is not for all (to one user, not to one session) or not for ever carries its
 * condition before its frame. The position of an entry is above its predecessor's, but for a PING's.
 */
#ifndef ROOMS_H
#define ROOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/ring.h"
#include "base/wheel.h"
#include "room/frame.h"
#include "room/intake.h"
#include "message/msg.h"
#include "wire/wire.h"

struct edge;
struct watch;

enum entry_flag {
	ENTRY_PING = 1,
	ENTRY_CONDITION = 2, /* its bytes begin with a condition: room_condition */
	ENTRY_HOLE = 4,      /* messages up to its n never came: told to each reader as what that one lacks */
	ENTRY_TURNS = 8,     /* a PING for some of the readers: confirm_asks */
	ENTRY_ASK = 16,      /* each reader has to ask the hub what it lacks from here on */
	ENTRY_REASON = 8     /* shift: of a hole why; DW_GAP_NONE: the hub has to be asked */
};

/* Who gets a message, and until when. */
struct condition {
	struct dw_str to;    /* not empty: this user only, */
	uint64_t own;        /* and its number among those */
	uint64_t except;     /* not this session; 0: none */
	uint64_t expires_at; /* ms since 1970: a gap is told instead; 0: never */
};

struct room {
	struct dw_hash_link link; /* in the edge's rooms */
	struct edge *edge;
	struct dw_ring *ring;       /* NULL until the first message */
	bool streaming;             /* the hub streams this room to us */
	uint64_t start;             /* the seq after which the stream began, */
	uint64_t base;              /* and the ring's index then */
	struct dw_position head;    /* where it stands */
	uint64_t furthest;          /* the seq it stood at before it was set back; 0: it was not */
	uint64_t pinged_at;         /* confirm.h: when the newest PING was appended to the ring; */
	unsigned unasked;           /* turns that none behind the newest message has asked; */
	unsigned turn;              /* the next one */
	struct dw_wheel_timer ping; /* a PING that is owed */
	struct watch *readers;      /* those who are offered what is new (utlist) */
	struct watch *parked;       /* and the others: joining, being fed, stalled, closing */
	size_t joined;              /* how many of them the hub counts */
	/* fanout.h: */
	struct watch *cursor; /* the next reader to be offered something; NULL: the first */
	size_t reader_count, left;
	size_t unwritten;                     /* bytes that came since all had been offered everything */
	struct room *queue_prev, *queue_next; /* while it is queued */
	bool queued;
	struct held *held; /* what came and has no place in the ring yet (utlist) */
	char id[];
};

struct rooms {
	struct dw_hash by_id;
	struct room *queue;             /* those with something new */
	struct intake intake;           /* of the hub's MESSAGES */
	struct dw_buf json, frame, run; /* scratch */
};

/* Finds or makes. NULL: no memory. */
struct room *room_get(struct edge *edge, const char *id);
struct room *room_find(struct edge *edge, struct dw_str id);
/* Frees the room when nobody watches it. */
void room_release(struct room *room);

/* The hub's stream begins here (from the first JOINED), or ends (the last session left). */
void room_stream_begin(struct room *room, struct dw_position at);
void room_stream_end(struct room *room);
/* All streams end: what comes is of another store. */
void rooms_end_streams(struct edge *edge);
/* The newest seq that the edge knows of; it never goes back. */
uint64_t room_newest(const struct room *room);
/* Where the hub's stream stands behind what it has sent so far. When that is less, it sends once more what follows, for
 * somebody who stands there; those who have it pass it over. When it is more, the hub has no longer what lies between:
 * a hole. false: no memory. */
bool room_stream_at(struct room *room, struct dw_position at);

/* Takes what the hub sent. false: it does not follow what we have, or makes no sense: the edge must
 * introduce itself again. Watches get it in the edge's next turn (fanout.h). What would push out of the ring what
 * those who keep up were not offered yet is held until they were; the hub has its credit for it only then. */
bool room_take(struct room *room, const struct dw_messages *messages);
void room_take_held(struct room *room);
/* What is held of all rooms belongs to an acquaintance with the hub that is over. */
void rooms_drop_held(struct edge *edge);
/* Appends what is in rooms.frame to the ring. false: no memory. */
bool room_append(struct room *room, struct dw_position at, uint32_t flags);
/* Whether a reader at this position finds all that follows in the ring (or in the stream to come). */
bool room_covers(const struct room *room, uint64_t seq);

void rooms_clear(struct edge *edge);

/* Takes the condition off an entry's bytes; what is left is its frame. It lives as long as the bytes. */
struct dw_str room_condition(struct dw_str bytes, struct condition *condition);

/* Append the frame of a record, of a gap (none where there is none), and of the gap of one message that expired to out.
 */
void room_render(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record);
void room_render_gap(struct rooms *rooms, struct dw_buf *out, const char *room, struct dw_gap gap, bool direct);
void room_render_expired(struct rooms *rooms, struct dw_buf *out, const char *room, const struct dw_record *record);

#endif
