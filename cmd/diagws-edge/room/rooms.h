/* A room as the edge has it: one ring of ready-made frames, and those who read it.
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
#include "wire/wire.h"

struct edge;

/* What came of the hub's MESSAGES since our HELLO, and up to which of them the hub is given credit (CREDIT). Credit
 * goes no further than the oldest that is still deferred: what the hub has under way is bounded in number and in bytes,
 * and so is what the edge keeps for later. */
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
	struct extent before, came, credited; /* before the newest came, with it, what the hub was told */
	struct credit_deferred *deferred;     /* oldest first (utlist) */
};

enum { LIMIT_RING = 256 * 1024 };

/* Whoever reads a room is more than this. */
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
	unsigned unasked;            /* turns that none behind the newest message has asked; */
	unsigned turn;               /* the next one */
	struct dw_wheel_timer ping;  /* a PING that is owed */
	struct room_reader *readers; /* those who are offered what is new (utlist) */
	struct room_reader *parked;  /* and the others: joining, being fed, stalled, closing */
	size_t joined;               /* how many of them the hub counts */
	/* fanout.h: */
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

#endif
