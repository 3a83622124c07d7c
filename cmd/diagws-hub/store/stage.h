/* What is staged for the next commit (stage.c). */
#ifndef DIAGWS_HUB_STAGE_H
#define DIAGWS_HUB_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "request.h"
#include "store/engine.h"

enum {
	HUB_PENDING_MAX = 8192,            /* unanswered requests of a peer */
	HUB_STAGED_MAX = 64 * 1024 * 1024, /* bytes that wait for the store, and what it will bring; see stage_full */
	HUB_SPARE = 4,                     /* times what a request takes must be left for it, */
	HUB_SMALL = 1024,                  /* which is about so much, where it is not more */
	HUB_BATCH_ALONE = 256 * 1024,      /* bytes in one peer's batch, past which it takes no more of who sends much; */
	HUB_BATCH_SHARED = 64 * 1024,      /* in a batch of several; */
	HUB_BATCH_LIGHT = 16 * 1024, /* who has less in its last batch does not (an edge: less than HUB_BATCH_SHARED); */
	HUB_ASKED = 1024,            /* a look that a peer waits for counts as so many bytes. All this, */
	HUB_STUCK_US = 100 * 1000,   /* unless the batch before takes longer than that */
	HUB_LINGER_US = 500,         /* see stage_commit */
	HUB_CURSORS_US = 3000,       /* batches of cursors alone are so far apart */
};

enum reply { REPLY_NONE, REPLY_STORED, REPLY_OWNED, REPLY_OWNERS, REPLY_CHECKED, REPLY_RIGHT, REPLY_LOOKUP };

/* What one peer has staged. It outlives the peer, until all that is given back. */
struct account {
	size_t bytes;
	uint64_t batch;         /* the number of the batch, */
	size_t batch_bytes;     /* in which this much is its own, but for what each operation takes; the last it was in */
	size_t loads;           /* rooms being loaded for it, */
	struct resident *rooms; /* and those to be loaded next */
	struct account *prev, *next; /* in hub->loaders, while it may have one loaded */
	bool listed;
	bool gone; /* its peer is */
};

/* A frame that waits for the answer to a question about it, beside the operation that asks. */
struct asked {
	UT_hash_handle hh; /* a JOIN's, so that a LEAVE finds it */
	struct asked_key {
		uint64_t peer, session, right; /* right: 1, a lookup: 0 */
		char room[DW_ROOM_MAX + 8];    /* filled up with 0 */
	} key;
	struct lobby *lobby;  /* of a JOIN that asks for its right */
	struct dw_room *room; /* of a lookup: held until then */
	uint64_t incarnation; /* UINT64_MAX: forgotten */
	uint64_t came_at;     /* dw_mono_ms */
	bool listed;
	size_t n;
	char frame[];
};

/* An operation in the batch, and who waits for it. */
struct staged {
	struct dw_op op; /* first: the engine is given pointers to it */
	enum reply reply;
	uint32_t peer;
	uint64_t corr;
	bool claimed;            /* REPLY_CHECKED, REPLY_RIGHT: the user's token names the room */
	uint64_t wait, wait_ms;  /* REPLY_STORED: see struct dw_publish */
	bool holds;              /* its room is resident, and held until it is applied */
	struct asked *asked;     /* REPLY_RIGHT, REPLY_LOOKUP: the frame that waits; NULL: not any more */
	struct later later;      /* that frame, or those that wait for the room, when the batch has been applied; `serve`
							  * is NULL where there is none */
	struct account *account; /* of who asked */
	size_t bytes;            /* counted there; before stage_add what the engine will bring, at most */
};

static inline struct staged *
staged_of(struct later *later)
{
	return (struct staged *)(void *)((char *)later - offsetof(struct staged, later));
}
/* NULL: no memory. To be filled and then given to stage_add, or freed. */
struct staged *stage_new(enum dw_op_kind kind, struct dw_str room);
/* Takes it over. DW_E_NOMEM: it has been freed. peer may be NULL (nobody waits, and it is not to wait either). */
int stage_add(struct hub *hub, struct peer *peer, struct staged *staged);
/* The same for a room's load, on the account of who asked for it first. */
int stage_add_for(struct hub *hub, struct account *account, struct staged *staged);
void stage_free(struct hub *hub, struct staged *staged);
/* The peer's; that of nobody, where it is NULL. NULL: no memory. */
struct account *stage_account(struct hub *hub, struct peer *peer);
/* Bytes on it, and off it again; then it may be freed. */
void stage_count(struct hub *hub, struct account *account, size_t bytes);
void stage_uncount(struct hub *hub, struct account *account, size_t bytes);
void stage_forget(struct hub *hub, struct peer *peer);
/* The peer has its share: as much as is left for all others. So one that floods gets half, three get a quarter each,
 * and who comes then finds room (Choudhury and Hahne, Dynamic queue length thresholds, 1998, with alpha 1). So that
 * this holds among a thousand, too, who asks for much (bytes) is refused before who asks for little. Or it has too
 * many requests unanswered. */
bool stage_full(const struct hub *hub, const struct peer *peer, size_t bytes);
/* It has twice that, by what cannot be refused. */
bool stage_flooded(const struct hub *hub, const struct peer *peer);
/* The peer sends much, and the batch is full for those who do: nothing is read from it until the batch is handed over.
 * That keeps commits short for those who send little, and those who send much take turns. False while the store is
 * stuck: then stage_full decides, so that requests that need no store go on. */
bool stage_crowded(const struct hub *hub, const struct peer *peer);
/* Hands the batch over if there is one and the store is idle. Lone messages are handed over at once; but what is sent
 * together shall be committed together, for each commit costs a write to each client: where the last batches held
 * several messages, as many have HUB_LINGER_US to come. What is no message neither waits nor counts; but where devices
 * come in great numbers not each costs a commit: batches of cursors alone are HUB_CURSORS_US apart. */
void stage_commit(struct hub *hub);
/* Microseconds until stage_commit has something to do; UINT64_MAX: nothing by itself. */
uint64_t stage_due(const struct hub *hub);

/* Keeps the message, but for what a peer added to it. room: resident, for a lookup; else NULL. NULL: no
 * memory. */
struct asked *asked_new(struct hub *hub, const struct peer *peer, const struct dw_wire *message, struct dw_room *room);
void asked_free(struct hub *hub, struct asked *asked);
/* The answer is there, and so is who asked; NULL: no more. False: nobody waits for it any more; else the message as it
 * was, but older. */
bool asked_take(
	struct hub *hub, struct asked *asked, const struct peer *peer, struct dw_wire *message, struct dw_str *frame);
/* The session left before its JOIN was carried out; again: the LEAVE has waited itself. */
void asked_forget(struct hub *hub, const struct peer *peer, uint64_t session, struct dw_str room, bool again);
/* JOINs of this room have asked for their right and not heard yet: who comes now must not overtake them. */
bool asked_joins(const struct hub *hub, struct dw_str room);

#endif
