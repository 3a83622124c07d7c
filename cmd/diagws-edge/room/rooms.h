/* A room as the edge has it: one ring of ready-made frames, and those who read it.
 *
 * The hub sends an edge each message of a room once; it becomes a frame here, once. `head` is where the hub's stream
 * stands; the ring holds what came since the room was entered, or the newest LIMIT_RING bytes of it, and PINGs between
 * the messages. The position of an entry is above its predecessor's, but for a PING's.
 */
#ifndef ROOMS_H
#define ROOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/ring.h"
#include "base/wheel.h"
#include "message/msg.h"
#include "message/position.h"
#include "room/frame.h"
#include "wire/wire.h"

struct edge;

/* What came of the hub's MESSAGES since our HELLO, and up to which of them the hub is given credit (CREDIT): no further
 * than the oldest that is still deferred. So what is under way or kept for later is bounded, in number and in bytes. */
enum {
	CREDIT_EVERY = 128, /* MESSAGES, or so many bytes of records: well within the hub's window of either */
	CREDIT_BYTES = 2 * 1024 * 1024,
};

struct extent {
	uint64_t messages, bytes;
};

/* One that is deferred. */
struct credit_deferred {
	struct credit_deferred *prev, *next;
	struct extent before; /* what had come before it */
};

struct credit {
	struct extent before, came, credited; /* up to the newest without it; with it; as the hub was told */
	struct credit_deferred *deferred;     /* oldest first (utlist) */
};

enum { LIMIT_RING = 256 * 1024 };

/* The first member of whoever reads a room (struct subscription). */
struct room_reader {
	struct room_reader *prev, *next;
};

struct room {
	struct dw_hash_link link; /* in the edge's rooms */
	struct edge *edge;
	struct dw_ring *ring;        /* NULL until the first message */
	bool streaming;              /* the hub streams this room to us */
	uint64_t start;              /* the seq after which the stream began, */
	uint64_t base;               /* and the ring's index then */
	struct dw_position head;     /* where it stands */
	uint64_t furthest;           /* the seq it stood at before it was set back; 0: it was not */
	uint64_t pinged_at;          /* stream.c: when the newest PING was appended to the ring; */
	unsigned unasked;            /* turns that were not asked since the newest message; */
	unsigned turn;               /* the next one */
	struct dw_wheel_timer ping;  /* a PING that is owed */
	struct room_reader *readers; /* those who are offered what is new (utlist) */
	struct room_reader
		*parked;   /* and the others: joining, being fed, stalled, closing; a reader is here first and last */
	size_t joined; /* how many of them the hub counts */
	/* fanout.c: */
	struct room_reader *cursor; /* the next reader to be offered something; NULL: the first */
	size_t reader_count, left;
	size_t unwritten;                     /* bytes that came since all had been offered everything */
	struct room *queue_prev, *queue_next; /* while it is queued */
	bool queued;
	struct deferred *deferred; /* what came and has no place in the ring yet (utlist) */
	char id[];
};

struct rooms {
	struct dw_hash by_id;
	struct room *queue;             /* those with something new */
	struct credit credit;           /* of the hub's MESSAGES */
	struct dw_buf json, frame, run; /* scratch */
};

/* Finds or makes. NULL: no memory. */
struct room *room_get(struct edge *edge, const char *id);
struct room *room_find(struct edge *edge, struct dw_str id);
/* Frees the room when nobody watches it. */
void room_release(struct room *room);

void rooms_clear(struct edge *edge);

/* ---- fanout.c: who of a room's readers is offered what is new, and when.
 *
 * A room with something new goes to the end of a queue. A turn (turn.c) offers it to a slice of the readers of each
 * room by turns, until nobody is left or the turn's time is over; the loop then looks at its sockets. So a room of ten
 * readers waits for one slice of a room of ten thousand, never for all of it. */

/* A parked reader is offered what is new from now on: sub_push gives it what is there already. Or it is parked again.
 */
void fanout_enter(struct room *room, struct room_reader *reader);
void fanout_park(struct room *room, struct room_reader *reader);

/* All readers of the room are to be offered what is new. */
void fanout_add(struct room *room);
void fanout_remove(struct room *room);
/* Whether n more bytes would push out of the ring what readers that keep up have not been offered yet. */
bool fanout_full(const struct room *room, size_t n);

/* Offers a slice of the readers of the room that waits longest what is new; one must wait. The room, when all of its
 * readers have been; else NULL. */
struct room *fanout_slice(struct rooms *rooms, void (*offer)(struct room_reader *reader));

/* ---- stream.c: the hub's stream of a room, as it comes into the ring. */

/* The hub's stream begins here (from the first JOINED), or ends (the last session left). */
void room_stream_begin(struct room *room, struct dw_position at);
void room_stream_end(struct room *room);
/* All streams end: what comes is of another store. */
void rooms_end_streams(struct edge *edge);
/* The newest seq that the edge knows of; it never goes back. */
uint64_t room_newest(const struct room *room);
/* The hub says where its stream goes on. Further back than what it has sent: it sends again what follows from there,
 * for a client that has come back to that position; clients that have it already pass it over. Further on: the hub no
 * longer has what lies between, which becomes a hole in the ring. false: no memory. */
bool room_stream_at(struct room *room, struct dw_position at);

/* Takes what the hub sent. false: it does not follow what we have, or makes no sense: the edge must introduce itself
 * again. Readers get it in the edge's next turn (fanout.c). What would push out of the ring what those who keep up were
 * not offered yet is deferred until they were (room_take_deferred); only then the hub has its credit for it. */
bool room_take(struct room *room, const struct dw_messages *messages);
bool room_take_deferred(struct room *room);
/* What is deferred of all rooms belongs to an acquaintance with the hub that is over. */
void rooms_drop_deferred(struct edge *edge);
/* Whether a reader at this position finds all that follows in the ring (or in the stream to come). */
bool room_covers(const struct room *room, uint64_t seq);

/* One has come, with so many bytes of records. */
void credit_came(struct credit *credit, size_t bytes);
/* The newest that came is deferred, until it is taken off credit->deferred. */
void credit_defer(struct credit *credit, struct credit_deferred *one);
/* Whether it is time to tell the hub that it has credit for all up to credit->credited; it counts as told then. */
bool credit_due(struct credit *credit);

/* The PINGs that lie in a room's ring: each carries its position, and its PONG confirms all before it
 * (client/confirm.c). In a large room, while messages come often, a PING asks some of the readers only, by turns, so
 * that thousands of PONGs do not come at once; each message is followed by one for each of them. */
/* Whether a PING of a ring is for this session. */
bool ping_asks(const struct dw_ring_entry *ping, uint64_t session);
/* What seals a room's PINGs: they are the same for all who watch it. */
struct frame_key ping_key(const struct room *room);

/* ---- render.c: the entries of a room's ring: frames that are ready to be sent, and before those that are not for all,
 * or not for ever, their condition. */

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
