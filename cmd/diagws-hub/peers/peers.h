/* Who is connected (peers.c), by the router's number. */
#ifndef DIAGWS_HUB_PEERS_H
#define DIAGWS_HUB_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/buf.h"
#include "room/room.h"
#include "wire/wire.h"

struct account;
struct hub;
struct scan;
struct wait;

enum {
	HUB_WINDOW = 1024,                   /* MESSAGES of an edge under way uncredited; */
	HUB_WINDOW_BYTES = 16 * 1024 * 1024, /* and bytes */
	HUB_UNSENT_MAX = 1024 * 1024,        /* to a peer: past it nothing that it says is looked at */
};

struct peer {
	UT_hash_handle hh;    /* by number */
	UT_hash_handle hh_id; /* by id, once known */
	uint32_t number;
	bool known;     /* it said HELLO */
	bool lost;      /* it could not be sent to: to be forgotten */
	unsigned roles; /* of the socket that it came in by */
	uint64_t kind, id, incarnation;
	char name[129];
	uint64_t heard, since, asked;       /* dw_mono_ms */
	struct dw_str rest;                 /* of its frame: what is not handled yet; it lies in the router */
	struct peer *talk_prev, *talk_next; /* in hub->talkers, or in hub->muted, */
	bool talks, muted;                  /* while its frame is not handled */
	struct peer *lost_prev, *lost_next; /* in hub->lost */
	struct peer *look_prev, *look_next; /* in hub->looks */
	size_t pending;                     /* unanswered requests, */
	struct wait *waits;                 /* those of them that wait, */
	size_t waiting;                     /* and how many these are; */
	bool stalled;                       /* some go on when it has taken what it was answered */
	struct account *account;            /* what it has staged; NULL: nothing yet */
	size_t sessions;
	struct dw_reader *readers, *dirty;
	size_t reader_count;
	uint64_t late;                        /* messages to everyone that its readers have not been sent */
	struct scan *scan;                    /* the view that it has asked for, */
	bool held;                            /* and another, which it is to say again when that was sent */
	struct peer *serve_prev, *serve_next; /* in hub->serving */
	bool serving;
	uint64_t sent, credited;                /* MESSAGES */
	size_t uncredited;                      /* their bytes */
	uint32_t *sizes;                        /* of each uncredited one, by its number modulo HUB_WINDOW */
	struct dw_buf out;                      /* messages to it, one behind another, until they are sent together */
	struct peer *spoken_prev, *spoken_next; /* in outbox.to, while there are any */
};

/* Known or not yet; NULL: no memory. */
struct peer *peer_get(struct hub *hub, uint32_t number);
struct peer *peer_find(struct hub *hub, uint32_t number);
/* NULL: no such process has introduced itself. */
struct peer *peer_of_id(const struct hub *hub, uint64_t id);
/* It has said this; it was not known before. And what it said is no longer good. */
void peer_introduce(struct hub *hub, struct peer *peer, const struct dw_hello *hello);
void peer_unknown(struct hub *hub, struct peer *peer);
/* Frees it: nothing belongs to it any more. */
void peer_remove(struct hub *hub, struct peer *peer);
/* One of its requests has been answered; of its own, and not of one that was here by this number before. */
void peer_answered(struct peer *peer);
void peer_add_reader(struct peer *peer, struct dw_reader *reader);
void peer_remove_reader(struct peer *peer, struct dw_reader *reader);
void peer_mark_dirty(struct hub *hub, struct peer *peer, struct dw_reader *reader);
/* To be given MESSAGES: and what it was given before has been taken. */
bool peer_has_credit(const struct hub *hub, const struct peer *peer);
/* The reader's room or its position in it has changed: peer->late follows. */
void peer_count_late(struct peer *peer, struct dw_reader *reader);
/* Whether something of its frame is not handled yet; and whether it may not go on with that now. */
void peer_talks(struct hub *hub, struct peer *peer, bool talks);
void peer_mute(struct hub *hub, struct peer *peer, bool muted);
/* It is to be served at the next flush, if it has something to get and credit; and not any more. */
void peer_serve(struct hub *hub, struct peer *peer);
void peer_rest(struct hub *hub, struct peer *peer);
/* It has too much unread to be answered more. */
bool peer_is_deaf(const struct hub *hub, const struct peer *peer);
/* It could not be sent to. */
void peer_lose(struct hub *hub, struct peer *peer);

#endif
