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

struct hub;

enum {
	HUB_WINDOW = 1024,                   /* MESSAGES of an edge under way uncredited; */
	HUB_WINDOW_BYTES = 16 * 1024 * 1024, /* and bytes */
	HUB_UNSENT_MAX = 1024 * 1024,        /* bytes that wait to be sent to a peer: see peer_is_deaf */
};

/* All of its frame is handled; something is not yet; and may not be until the next hear. */
enum talk { TALK_DONE, TALK_ON, TALK_MUTED };

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
	enum talk talk;                     /* as this says */
	struct peer *lost_prev, *lost_next; /* in hub->lost */
	struct peer *look_prev, *look_next; /* in hub->looks */
	size_t pending;                     /* unanswered requests, */
	struct wait *waits;                 /* those of them that wait, */
	size_t waiting;                     /* and how many these are; */
	bool stalled;                       /* some found it deaf, and go on when it has read */
	struct account *account;            /* what it has staged; NULL: nothing yet */
	size_t sessions;
	struct dw_reader *readers, *dirty;
	size_t reader_count;
	uint64_t late;                        /* messages to everyone that its readers have not been sent */
	struct scan *scan;                    /* the view that it has asked for, */
	bool held;                            /* and it has asked for another, which is looked at when that was sent */
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
/* Enters it by the id in its HELLO; it must not be known. peer_unknown takes that back. */
void peer_introduce(struct hub *hub, struct peer *peer, const struct dw_hello *hello);
void peer_unknown(struct hub *hub, struct peer *peer);
/* Frees it: nothing belongs to it any more. */
void peer_remove(struct hub *hub, struct peer *peer);
/* One less of its requests is unanswered. The caller makes sure that the request was this peer's. */
void peer_answered(struct peer *peer);
void peer_remove_reader(struct peer *peer, struct dw_reader *reader);
void peer_mark_dirty(struct hub *hub, struct peer *peer, struct dw_reader *reader);
/* Whether it may be sent MESSAGES: its window has room, and not too much is still unsent. */
bool peer_has_credit(const struct hub *hub, const struct peer *peer);
/* The reader's room or its position in it has changed: peer->late follows. */
void peer_count_late(struct peer *peer, struct dw_reader *reader);
/* Puts it at the end of the list that it belongs to now, if there is one. */
void peer_talk(struct hub *hub, struct peer *peer, enum talk talk);
/* Lists it for the next outbox_flush, if it has something to get and credit. peer_rest takes it off that list. */
void peer_serve(struct hub *hub, struct peer *peer);
void peer_rest(struct hub *hub, struct peer *peer);
/* HUB_UNSENT_MAX bytes wait to be sent to it: until it reads, nothing that it says is handled. */
bool peer_is_deaf(const struct hub *hub, const struct peer *peer);
/* It will be forgotten when this turn has sent: it could not be sent to, or does not speak or read as it should. */
void peer_lose(struct hub *hub, struct peer *peer);

#endif
