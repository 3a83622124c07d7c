/* Who waits: for a message to be delivered (awaited.c), or for the next one (polls.c). */
#ifndef DIAGWS_HUB_WAITS_H
#define DIAGWS_HUB_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/wheel.h"
#include "request.h"
#include "room/room.h"

struct hub;
struct peer;

enum { HUB_WAITS_MAX = 65536 }; /* in all; see waits.c */

struct wait {
	struct wait *peer_prev, *peer_next; /* of its peer */
	struct wait *prev, *next;           /* of what it waits for: a message, or the next one of a room; */
	struct wait **list;                 /* which has them all */
	struct dw_wheel_timer timer;
	uint64_t until;     /* dw_mono_ms: when its time is over */
	struct later later; /* a READ is in the queue: it is carried out again */
	bool stalled;       /* a READ that is to be carried out again when its peer has taken what it was answered */
	struct hub *hub;
	struct peer *peer;
	struct dw_room *room;
	struct awaited *awaited; /* NULL: a READ, */
	size_t n;                /* with its frame */
	uint64_t corr, need;
	char frame[];
};

/* A message, and how many devices have it. */
struct awaited {
	UT_hash_handle hh; /* in hub->awaited */
	struct awaited_key {
		const struct dw_room *room;
		const struct dw_member *member; /* NULL: it is to everyone */
		uint64_t number;                /* n, or own */
	} key;
	struct awaited *prev, *next; /* of the room */
	uint64_t except;             /* as dw_room_receipts takes it; */
	bool blind;                  /* which device that is nobody knows */
	uint64_t expires_at;         /* dw_now_ms; 0: never */
	uint64_t have, count;        /* devices that have it; and those that count */
	struct wait *waits;
	size_t wait_count;
};

/* Keeps the frame with it; its list is of what it waits for. DW_E_NOMEM. */
int wait_add(struct hub *hub, struct peer *peer, const struct wait *wait, uint64_t wait_ms, struct dw_str frame);
/* The room may be given up. */
void wait_end(struct wait *wait);
/* When nobody waits for it any more. */
void awaited_drop_if_idle(struct hub *hub, struct awaited *awaited);

/* This peer takes no more of them. */
bool waits_full(const struct hub *hub, const struct peer *peer);
void waits_forget_peer(struct peer *peer);

#endif
