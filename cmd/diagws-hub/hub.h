/* The hub's parts and how they meet. One process, two threads: everything here belongs to the main
 * thread but the engine, which belongs to the store thread once it runs (store.c).
 *
 * A turn (loop.c): frames → dispatch.c → on_*.c, which stage operations in the batch or append answers
 * to the outbox; the store thread commits a batch; apply.c carries its results into the rooms and
 * answers; the outbox is flushed and readers are served. Handlers never send.
 */
#ifndef DIAGWS_HUB_H
#define DIAGWS_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/paths.h"
#include "base/wheel.h"
#include "cli/opt.h"
#include "request.h"
#include "room/room.h"
#include "store/engine.h"
#include "tables/table.h"
#include "wire/router.h"
#include "wire/wire.h"

enum {
	HUB_WINDOW = 1024,                   /* MESSAGES of an edge under way uncredited; */
	HUB_WINDOW_BYTES = 16 * 1024 * 1024, /* and bytes */
	HUB_PENDING_MAX = 8192,              /* unanswered requests of a peer */
	HUB_STAGED_MAX = 64 * 1024 * 1024,   /* bytes that wait for the store, and what it will bring; see stage_full */
	HUB_SPARE = 4,                       /* times what a request takes must be left for it, */
	HUB_SMALL = 1024,                    /* which is about so much, where it is not more */
	HUB_BATCH_ALONE = 256 * 1024,        /* bytes in one peer's batch, past which it takes no more of who sends much; */
	HUB_BATCH_SHARED = 64 * 1024,        /* in a batch of several; */
	HUB_BATCH_LIGHT = 16 * 1024, /* who has less in its last batch does not (an edge: less than HUB_BATCH_SHARED); */
	HUB_ASKED = 1024,            /* a look that a peer waits for counts as so many bytes. All this, */
	HUB_STUCK_US = 100 * 1000,   /* unless the batch before takes longer than that */
	HUB_LOADS = 64,              /* rooms that are being loaded at a time, */
	HUB_LOADS_PEER = 32,         /* and for one peer */
	HUB_WAITS_MAX = 65536,       /* waits in all; see waits.c */
	HUB_TIMERS = 1024,           /* that fire in a turn, */
	HUB_TIMERS_BYTES = 2 * 1024 * 1024, /* unless they have so much to say; */
	HUB_TIMERS_STEP = 16,               /* which is looked at after so many */
	HUB_CURSORS = 1024,                 /* cursors in a batch, but for the last */
	HUB_LINGER_US = 500,                /* see stage_commit */
	HUB_CURSORS_US = 3000,              /* batches of cursors alone are so far apart */
	HUB_GATHER_US = 100,                /* see loop.c */
	HUB_UNSENT_MAX = 1024 * 1024,       /* to a peer: past it nothing that it says is looked at */
	HUB_COMMITS = 1024,                 /* commit times that the percentiles look back on */
};

/* ---- options (options.c) */

/* What may be done at a socket (see the table in dispatch.c). */
enum role { ROLE_EDGE = 1, ROLE_SENDER = 2, ROLE_STAT = 4, ROLE_ADMIN = 8, ROLE_ALL = 15 };

struct options {
	struct dw_opt_list bind;
	struct dw_bind binds[DW_ROUTER_BINDS_MAX]; /* what they say */
	size_t bind_count;
	const char *state_dir; /* never NULL after options_check */
	const char *engine;
	const char *ownership;
	int64_t queue_limit, queue_ttl_ms, cursor_ttl_ms, id_window_ms;
	int64_t store_limit, memory_limit, max_sessions;
	bool check; /* -t */
	char default_bind[DW_PATH_SIZE], default_dir[DW_PATH_SIZE];
};

/* DW_OK, DW_OPT_DONE, or the error, which has been printed. */
int options_read(struct options *options, int argc, char **argv);
enum dw_ownership options_ownership(const struct options *options);
/* What a --bind says (binds.c); its texts are kept for the life of the process. DW_E_CONFIG, DW_E_NOMEM. */
int bind_read(const char *text, struct dw_bind *bind, struct dw_fault *fault);

/* ---- peers (peers.c): whoever is connected, by the router's number */

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

struct hub;

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
/* Ends all its sessions and readers. */
void peer_empty(struct hub *hub, struct peer *peer);
/* Its sessions leave. Frees it. Its connection stays: should it say something, it is asked who it is. */
void peer_forget(struct hub *hub, struct peer *peer);
/* The same, and its connection is closed. */
void peer_close(struct hub *hub, struct peer *peer);
/* One of its requests has been answered; of its own, and not of one that was here by this number before. */
void peer_answered(struct peer *peer);
void peers_tick(struct hub *hub);
void peers_forget_lost(struct hub *hub);
/* Those whose connections have ended. */
void peers_forget_gone(struct hub *hub);
void peers_free(struct hub *hub);
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

/* ---- store thread (store.c): the engine's only user while it runs */

struct batch {
	struct dw_op **ops;
	size_t count, cap;
	size_t appends; /* among them, */
	size_t patient; /* and cursors: nobody waits for these */
	size_t cursors; /* taken from their rooms for it, a few at a time */
	/* Out: what the commit said; each operation has its own err beside. */
	int err;
	struct dw_fault fault;
	uint64_t took_us;
	struct dw_engine_info info;
};

struct store;

int store_start(struct store **out, struct dw_engine *engine);
int store_fd(const struct store *store); /* readable when a batch is done */
bool store_idle(const struct store *store);
void store_give(struct store *store, struct batch *batch); /* idle only; the batch is the store's until taken */
struct batch *store_take(struct store *store);             /* NULL: none is done */
/* Finishes what it was given, and returns that if it was not taken. */
struct batch *store_stop(struct store **store_p);

/* ---- what is staged (stage.c) */

enum reply { REPLY_NONE, REPLY_STORED, REPLY_OWNED, REPLY_OWNERS, REPLY_CHECKED, REPLY_RIGHT, REPLY_PLACE };

/* What one peer has staged. It outlives the peer, until all that is given back. */
struct account {
	size_t bytes;
	uint64_t batch;     /* the number of the batch, */
	size_t batch_bytes; /* in which this much is its own, but for what each operation takes; the last it was in */
	size_t loads;       /* rooms being loaded for it, */
	struct seat *rooms; /* and those to be loaded next */
	struct account *prev, *next; /* in hub->loaders, while it may have one loaded */
	bool listed;
	bool gone; /* its peer is */
};

/* An operation in the batch, and who waits for it. */
struct staged {
	struct dw_op op; /* first: the engine is given pointers to it */
	enum reply reply;
	uint32_t peer;
	uint64_t corr;
	bool claimed;            /* REPLY_CHECKED, REPLY_RIGHT: the user's token names the room */
	uint64_t wait, wait_ms;  /* REPLY_STORED: see struct dw_publish */
	bool holds;              /* its room has a seat that is held until it is applied */
	struct asked *asked;     /* REPLY_RIGHT, REPLY_PLACE: the frame that waits; NULL: not any more */
	struct later later;      /* that frame, or those that wait for the room, when the batch has been applied */
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
void stage_forget(struct peer *peer);
/* The peer has its share: as much as is left for all others. So one that floods gets half, three get a quarter each,
 * and who comes then finds room (Choudhury and Hahne, Dynamic queue length thresholds, 1998, with alpha 1). So that
 * this holds among a thousand, too, who asks for much (bytes) is refused before who asks for little. Or it has too
 * many requests unanswered. */
bool stage_full(const struct hub *hub, const struct peer *peer, size_t bytes);
/* It has twice that, by what cannot be refused. */
bool stage_flooded(const struct hub *hub, const struct peer *peer);
/* The batch that is being gathered is full for those who send much, as it does: it is not to be read from until that is
 * handed over. So a commit stays short for those who send a little, and who sends much takes turns with its like. False
 * while the store is stuck: then stage_full decides, so that what needs no store goes on. */
bool stage_crowded(const struct hub *hub, const struct peer *peer);
/* Hands the batch over if there is one and the store is idle. Lone messages are handed over at once; but what is sent
 * together shall be committed together, for each commit costs a write to each client: where the last batches held
 * several messages, as many have HUB_LINGER_US to come. What is no message neither waits nor counts; but where devices
 * come in great numbers not each costs a commit: batches of cursors alone are HUB_CURSORS_US apart. */
void stage_commit(struct hub *hub);
/* Microseconds until stage_commit has something to do; UINT64_MAX: nothing by itself. */
uint64_t stage_due(const struct hub *hub);

/* ---- rooms */

/* A frame that waits until its room is loaded. */
struct waiting {
	struct waiting *prev, *next;
	struct account *account;
	uint32_t peer;
	uint64_t incarnation;
	uint64_t came_at; /* dw_mono_ms */
	size_t n;
	char frame[];
};

/* What the hub keeps of a room that is resident or about to be. */
struct seat {
	struct dw_room *room;
	struct wait *polls;      /* for the next message, */
	struct awaited *awaited; /* and messages that somebody waits for (waits.h) */
	size_t awaited_count;
	struct seat *prev, *next;             /* in the hub's list of idle ones, oldest first */
	struct seat *dirty_prev, *dirty_next; /* in the list of those with changed cursors */
	struct seat *load_prev, *load_next;   /* in account->rooms, while its load waits for its turn */
	struct account *account;              /* whose turn that is */
	struct waiting *waiting;
	size_t writing; /* cursors on their way to the store */
	size_t holds;   /* other reasons not to give it up */
	size_t memory;  /* as counted in hub->memory */
	int load_err;
	bool loading, queued, idle, dirty;
};

struct dw_room *room_find(struct hub *hub, struct dw_str name);
/* Makes it when needed. NULL: no memory. */
struct dw_room *room_get(struct hub *hub, struct dw_str name);
int rooms_start(struct hub *hub);
void rooms_free(struct hub *hub);
/* Something may come to its age in it: sees to it that it is looked at then; and looks, which its timer does. */
void room_watch_ages(struct hub *hub, struct dw_room *room);
void room_look_at_ages(struct hub *hub, struct dw_room *room);
bool room_waits(const struct dw_room *room);
/* Keeps the frame until the room has been loaded. Not all are loaded at once: those who ask take turns. */
int room_wait(struct hub *hub, struct dw_room *room, struct peer *peer, struct dw_str frame);
/* Stages the loads whose turn it is. */
void rooms_load(struct hub *hub);
void waiting_free(struct hub *hub, struct waiting *waiting);
/* Whether the account may have its next room loaded, when its turn comes. */
void account_list(struct hub *hub, struct account *account);
/* Its load is not to be staged any more. */
void seat_unqueue(struct hub *hub, struct seat *seat);
/* A load was committed (or failed): 1. carry it in, and, when the whole batch is, 2. what waits is carried out later:
 * it takes the operation over. */
void room_loaded(struct hub *hub, struct staged *staged);
void room_found(struct hub *hub, struct staged *staged);
/* After anything was done with the room: counts its memory, lists it, frees it (only it) when it holds nothing. */
void room_settle(struct hub *hub, struct dw_room *room);
/* One after another, as dw_room_next_member. */
struct dw_room *rooms_next(struct hub *hub, struct dw_room *room, bool last);
/* Once a turn: gives up idle rooms while memory is over its bound. */
void rooms_evict(struct hub *hub);
/* Ends a session; its edge's reader goes with the last one. */
void room_end_session(struct hub *hub, struct dw_room *room, struct dw_session *session);
/* Keeps a resident room in memory, and no longer. */
void room_hold(struct hub *hub, struct dw_room *room);
void room_unhold(struct dw_room *room);
/* False: there is no such position. */
bool room_confirm(struct hub *hub, struct dw_room *room, struct dw_session *session, struct dw_position at,
	const struct dw_begun *begun, bool sure);
/* room may be NULL. False: no memory, it is to be written later. */
bool cursor_stage(struct hub *hub, struct dw_room *room, const struct dw_cursor *cursor);
/* Stages the changed cursors of the room, or of one device. */
void room_write_cursors(struct hub *hub, struct dw_room *room);
void room_write_device(struct hub *hub, struct dw_room *room, struct dw_device *device);
/* The rooms that have any now are to write them; as many as go into the batch, of which `most` may be theirs. */
void rooms_begin_cursors(struct hub *hub);
void rooms_write_cursors(struct hub *hub, size_t most);
void room_cursor_written(struct hub *hub, const struct dw_op *op);
/* All readers have something to get. */
void room_mark_readers(struct hub *hub, struct dw_room *room);

/* ---- what waited and can be carried out now (later.c) */

/* Behind what is in the queue; what is in it stays where it is. */
void later_add(struct hub *hub, struct later *later, const struct later_ops *ops);
void later_remove(struct hub *hub, struct later *later);
/* Until there is none. */
void later_serve(struct hub *hub, void (*dispatch)(struct hub *hub, struct peer *peer, struct request *request));

/* ---- rights (right.c) */

/* Whether the user of a JOIN, a READ or a PUBLISH may be in its room. DW_OK: yes, and the room is resident.
 * DW_E_DENIED: no. DW_E_AGAIN: it is answered, or dispatched again, when the registry has been looked at. Nothing of a
 * room is made or loaded for one who may not, and a refusal takes the same, whatever the room: one look. */
int right_check(struct hub *hub, struct peer *peer, const struct request *request, struct dw_room **room);
/* A look was committed: 1. who may not is told, and, when the whole batch is applied, 2. who may goes on later: it
 * takes the operation over. */
void right_told(struct hub *hub, struct staged *staged);
void right_found(struct hub *hub, struct staged *staged);

/* ---- places (place.c) */

/* Asks the engine for the numbers at a seq, and for the user's own at `until`, too (0: not asked); the message is then
 * dispatched again, with what it said. */
struct place_question {
	struct dw_room *room; /* resident, and held until then */
	struct dw_str user;
	uint64_t seq, until;
};
int place_ask(struct hub *hub, struct peer *peer, const struct place_question *question, const struct dw_wire *message);
void place_found(struct hub *hub, struct staged *staged);
/* What the engine has said of this seq; NULL: nothing. */
const struct dw_place *place_of(const struct request *request, uint64_t seq);

/* ---- waits (waits.c): senders that wait for a message to be delivered, polls that wait for one to come */

/* This peer takes no more of them. */
bool waits_full(const struct hub *hub, const struct peer *peer);
/* STORED has been answered; DELIVERED will be when that many devices have it, or the time is over. */
void wait_delivered(struct hub *hub, struct dw_room *room, const struct staged *staged);
/* A READ that found nothing, or that its peer cannot take the answer of now: it is answered when there is something, or
 * the time is over, and the peer takes it. The READ is kept. It is
 * carried out again meanwhile, and must call this when there is still nothing (request->poll says which time it is).
 * DW_E_BUSY, DW_E_NOMEM. */
int wait_message(struct hub *hub, struct peer *peer, struct dw_room *room, struct request *request);
/* What a device had been delivered, before something happened. */
struct had {
	struct dw_span numbered, direct;
};
static inline struct had
had_of(const struct dw_device *device)
{
	return device != NULL ? (struct had) { device->had, device->had_own } : (struct had) { 0 };
}
/* A device has confirmed something; a session has come with what its device has; a message has come. */
void waits_confirmed(struct hub *hub, struct dw_room *room, const struct dw_device *device, const struct had *before);
void waits_joined(struct hub *hub, struct dw_room *room, const struct dw_session *session, const struct had *before);
void waits_message(struct hub *hub, struct dw_room *room);
void waits_forget_peer(struct peer *peer);
/* It has taken all that was sent to it. */
void waits_peer_drained(struct hub *hub, struct peer *peer);

/* ---- long views (scan.c) */

/* A slice of the one that is the first in line. True: there is more to do, or to hear. */
bool scans_turn(struct hub *hub);
void scans_forget_peer(struct hub *hub, struct peer *peer);
/* The peer is about to leave the list of all. */
void scans_pass_peer(struct hub *hub, const struct peer *peer);

/* ---- answers (outbox.c) */

struct outbox {
	struct peer *to;       /* those who are to get something */
	size_t bytes;          /* added since the last flush */
	struct dw_buf scratch; /* what is in it is used at once */
};

void outbox_add(struct hub *hub, uint32_t peer, const struct dw_wire *message);
/* The room's log is full and will drop its oldest message: readers that have not got it, and whose edge
 * has credit, get what there is now. */
void outbox_make_way(struct hub *hub, struct dw_room *room);
/* Serves the readers as far as their edges' credit goes, and sends that with what was added before. Who takes nothing
 * more is in hub->lost then. */
void outbox_flush(struct hub *hub);
/* The peer goes: nothing more is said to it. */
void outbox_forget(struct hub *hub, struct peer *peer);
void outbox_free(struct outbox *outbox);
/* The session is about to end. */
void say_close(struct hub *hub, const struct dw_session *session, uint64_t code, struct dw_str reason);
/* To what is no request. */
void say_refused(struct hub *hub, uint32_t peer, int err, const char *text);
/* The answer that says a request failed; nothing for a message that has no answer. text may be NULL. */
void answer_failure(struct hub *hub, uint32_t peer, const struct dw_wire *request, int err, const char *text);

/* ---- the hub */

struct counters {
	uint64_t received, stored, rejected, duplicates, commits;
	uint64_t commit_us[HUB_COMMITS]; /* a ring */
	uint64_t commit_us_max;
	uint64_t sorted, sorted_at; /* when these two were computed: of so many commits */
	double p50_ms, p99_ms;
};

struct hub {
	const struct options *options;
	struct dw_router *router;
	struct dw_engine *engine; /* the store thread's once store runs */
	struct store *store;
	struct dw_engine_info info; /* as of the last commit; head is ours */
	uint64_t id;
	uint64_t started; /* dw_mono_ms */
	struct dw_rooms rooms_shared;
	struct dw_room *rooms;
	struct seat *idle, *dirty;
	size_t dirty_rooms;  /* in `dirty`, */
	size_t cursor_rooms; /* and those that are still to write their cursors */
	size_t memory;
	size_t resident;
	struct peer *peers, *peers_by_id;
	size_t edges, clients; /* among them */
	struct peer *serving;  /* those with something to get, and credit */
	struct peer *talkers;  /* those with a frame that is not handled yet, */
	struct peer *muted;    /* and those of them who may not go on until the next hear */
	struct peer *looks;    /* all, in the order in which they are looked at */
	struct peer *lost;
	struct batch *batch;     /* being staged; never NULL */
	struct batch *spare;     /* the next; NULL while the store has one */
	size_t staged_bytes;     /* of all accounts */
	struct account nobodys;  /* cursors, and rooms that are looked at for their age */
	struct account *loaders; /* those whose next room may be loaded, by turns */
	size_t loads;            /* rooms being loaded */
	uint64_t batch_number;   /* of the one being staged, */
	size_t batch_bytes;      /* which holds so many, as accounts count them, */
	size_t batch_accounts;   /* of so many peers; */
	size_t last_accounts;    /* and the one before */
	uint64_t given_at;       /* dw_mono_us: when the one before was handed over */
	uint64_t staged_at;      /* dw_mono_us: when the batch got its first operation */
	uint64_t cursors_at;     /* when the last batch of cursors alone was handed over; dw_mono_us */
	size_t expected;         /* messages that the next batch is likely to hold, by the last ones */
	struct outbox outbox;
	struct counters counters;
	struct later *later; /* what waited and can be carried out now */
	struct asked *asked; /* JOINs */
	struct lobby *lobbies;
	struct awaited *awaited; /* by room and number */
	size_t waiting;          /* in all */
	struct dw_wheel wheel;   /* timers of waits, and of rooms for their ages */
	struct scan *scans;      /* in line (scan.c) */
	size_t scan_count;
	bool store_full; /* so the last message was answered */
	bool closing;
	int closing_err; /* why, where it is not a signal */
	int fatal;       /* why the process must end now */
};

/* What peers say, by turns (hear.c); how many messages that were. *more: there is more that can be handled now. */
size_t hear(struct hub *hub, bool *more);
/* The next message of peer->rest (dispatch.c). The peer may be forgotten by it. What it cost, in messages of the
 * simplest kind. */
size_t hub_receive(struct hub *hub, struct peer *peer);
void hub_dispatch(struct hub *hub, struct peer *peer, struct request *request);

/* A batch that came back (apply.c). It is the spare one then. */
void apply_batch(struct hub *hub, struct batch *batch);
/* Once the storage has failed, what is staged behind will not be stored either. */
void apply_failure(struct hub *hub, int err);

/* Handlers, a file each. The peer has said HELLO (but for on_hello). */
void on_hello(struct hub *hub, struct peer *peer, struct request *request);
void on_ping(struct hub *hub, struct peer *peer, struct request *request);
void on_bye(struct hub *hub, struct peer *peer, struct request *request);
void on_publish(struct hub *hub, struct peer *peer, struct request *request);
void on_join(struct hub *hub, struct peer *peer, struct request *request);
void on_leave(struct hub *hub, struct peer *peer, struct request *request);
void on_confirm(struct hub *hub, struct peer *peer, struct request *request);
void on_credit(struct hub *hub, struct peer *peer, struct request *request);
void on_read(struct hub *hub, struct peer *peer, struct request *request);
void on_stat(struct hub *hub, struct peer *peer, struct request *request);
void on_own(struct hub *hub, struct peer *peer, struct request *request);

/* Stages what is to be loaded, and hands the batch over (turn.c); sends what is to be sent, and forgets who takes
 * nothing more. */
void turn_commit(struct hub *hub);
void turn_send(struct hub *hub);
/* A batch that came back, and then what waited for it. */
void turn_apply(struct hub *hub, struct batch *batch);
/* True: more are due. */
bool turn_timers(struct hub *hub);

/* Runs until a signal or a fatal error; the exit status (loop.c). */
int loop_run(struct hub *hub);

/* Answers with a table, and frees it (answer.c); for STAT and the registry's list. */
void table_send(struct hub *hub, uint32_t peer, uint64_t corr, const char *columns, struct table *table);

#endif
