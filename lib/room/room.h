/* A room of the hub: one diagnosis as a log, and everyone who reads it as a position in that log.
 *
 * Pure memory: no socket, no disk, no clock of its own. `now` is ms since 1970, for ages; `steady` is ms of a clock
 * that nobody sets, for how long a confirmation has stood. Three layers:
 *   summary   always there: the newest n and seq, how much is retained, how far its devices are
 *   resident  when loaded: the log of packed records, that of direct messages, the members (users with devices, with a
 *             registry entry, or who ever had a direct message)
 *   live      who is connected: sessions, and readers (one for each edge that has a session here)
 * A room with sessions is resident. Sessions belong to a device and to a reader; devices to a member.
 *
 * Positions are position.h's. Of a device there are:
 *   at       confirmed by each of its open connections: goes back only where a restored store never came so far
 *   resume   where it goes on when it returns: what it had confirmed DW_OVERLAP_MS before its connection ended, by that
 *            connection too, for a stack may confirm what a closing page never showed; `at` where the client itself
 * said so had      what it was delivered, of either log: the messages behind one number and up to another A device is
 * known from its first join on; the caller writes what changes of it (dw_room_take_cursor).
 *
 * A gap is what lies between a position's n (or own) and the oldest that is retained. The direct messages of all users
 * lie in one log, in the order of seq; each member knows which of its own are retained.
 *
 * Queued messages are those retained that some known device has not confirmed; all that are retained, without a device.
 */
#ifndef DIAGWS_ROOM_H
#define DIAGWS_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/ring.h"
#include "base/wheel.h"
#include "message/position.h"
#include "store/engine.h"
#include "wire/wire.h"

enum { DW_DEVICES_PER_USER = 16, DW_OVERLAP_MS = 5000 };

/* What all rooms of a hub share: the rules, counts that they keep, and tables of what is in them, for a
 * table of its own would take more memory than all that is in a room. Outlives them. */
struct dw_rooms {
	size_t queue_limit;     /* messages retained */
	uint64_t queue_ttl_ms;  /* and for how long */
	uint64_t cursor_ttl_ms; /* a device unseen for so long is forgotten */
	enum dw_ownership ownership;
	size_t sessions;                         /* kept: sessions in all rooms */
	size_t watched;                          /* kept: rooms with sessions */
	uint64_t queued, retained;               /* kept: messages, in all rooms */
	uint64_t dropped_limit, dropped_expired; /* kept: messages dropped since the start */
	uint64_t sent, confirmed;                /* kept: messages to sessions since the start */
	struct dw_present *present;              /* private: users with sessions, by name */
	struct dw_hash by_id;                    /* private: sessions, by room and id */
	struct dw_hash by_user;                  /* private: members, by room and user */
};

/* A user who is connected. */
struct dw_present {
	UT_hash_handle hh; /* private */
	size_t sessions;   /* in all rooms; 0: it has gone, and is only still here for who looks at it */
	uint32_t pins;     /* private */
	char user[];
};

struct dw_member {
	struct dw_hash_link link; /* in all->by_user */
	struct dw_room *room;
	struct dw_member *prev, *next; /* of the room */
	struct dw_device *devices;
	uint32_t device_count;
	uint64_t own;       /* of the newest direct message ever; 0: there was none */
	uint64_t first_own; /* of the oldest retained; own + 1: none is */
	uint64_t queued;    /* kept: direct messages */
	uint8_t state;      /* enum dw_owner_state */
	uint32_t pins;      /* private: it is looked at, and stays */
	char user[];
};

struct dw_device {
	struct dw_member *member;
	struct dw_device *next;                    /* of the member */
	struct dw_device *dirty_prev, *dirty_next; /* of the room, while dirty */
	struct dw_session *sessions;
	struct dw_position at, resume;
	struct dw_position settled; /* where `at` was DW_OVERLAP_MS ago */
	struct dw_trail *trail;     /* private: how it went on within these last seconds; NULL: it did not */
	struct dw_span had, had_own;
	uint64_t seen;    /* when it was last connected */
	uint64_t expires; /* ms: when a derived device's token ends */
	bool derived;
	bool dirty;  /* differs from what was taken to be written */
	bool stored; /* was taken to be written, or was loaded */
	char id[];
};

struct dw_session {
	struct dw_hash_link link; /* in all->by_id */
	uint64_t id;
	struct dw_device *device;
	struct dw_reader *reader;
	struct dw_session *next;                      /* of the device */
	struct dw_session *reader_prev, *reader_next; /* of the reader */
	struct dw_position confirmed;
	struct dw_begun begun; /* where it began to read, without a gap up to what it confirms next */
	uint32_t stay;         /* of its JOIN: see DW_CLOSE */
	uint32_t opened : 30;  /* when, on the steady clock in 64 ms, modulo a year or two */
	uint32_t claimed : 1;  /* its token names the room */
	uint32_t sure : 1;     /* its client acknowledges itself */
};

/* What an edge has been sent of the room. */
struct dw_reader {
	struct dw_room *room;
	uint32_t edge; /* the caller's number for it */
	uint32_t session_count;
	struct dw_reader *prev, *next; /* of the room */
	struct dw_position sent;       /* of the stream */
	uint64_t start; /* it was sent all after this seq, or is about to be; 0: the edge says so (DW_JOIN_HAVE) */
	struct dw_session *sessions;
	/* The caller's: it lists readers by edge, and those that have something to get. */
	struct dw_reader *edge_prev, *edge_next, *dirty_prev, *dirty_next;
	uint64_t late; /* messages to everyone that it has not been sent: its part of its edge's */
	bool dirty;
};

struct dw_room {
	UT_hash_handle hh; /* the caller's, by name */
	struct dw_rooms *all;

	/* Summary. */
	uint64_t n, head, head_at;                           /* of the newest message ever; 0 also when not known yet */
	uint64_t oldest_n;                                   /* of the oldest retained; n + 1: none is */
	uint64_t low_n;                                      /* the lowest n confirmed among the devices; see queued.c */
	uint64_t prune_at;                                   /* when dw_room_prune may have something to do; 0: never */
	size_t member_count, device_count, device_connected; /* members: when it is resident */
	size_t session_count;
	uint64_t direct_at;     /* when the newest direct message was stored, at most; 0: there is none */
	uint64_t direct_queued; /* kept: direct messages queued */
	uint64_t counted_queued, counted_retained; /* private: what of it is in `all` */
	uint64_t sent, confirmed;                  /* messages to its sessions since the start */

	/* Resident. */
	struct dw_ring *log;    /* NULL: not resident */
	struct dw_ring *direct; /* NULL also: nothing direct is known */
	uint64_t direct_gone;   /* seq of the newest direct message that is no longer in there; 0: none */
	bool mixed;             /* some message in log may have an `except` or an end */
	uint32_t behind, ahead; /* private: devices before the oldest retained, and ahead of n (queued.c) */
	bool uneven;            /* private: what is queued may have changed */
	struct dw_member *members;
	struct dw_device *dirty;
	struct dw_gone *gone; /* private: stored cursors to be removed */

	/* Live. */
	struct dw_reader *readers; /* and by them the sessions */
	bool unsettled;            /* some connected device may have a trail */

	/* The caller's. */
	void *user;
	uint32_t pins;
	struct dw_wheel_timer ages;
	uint64_t ages_at; /* what it is set for, on the clock of `now` */
	char name[];
};

/* NULL: no memory. The room is empty and not resident; `all` is borrowed. */
struct dw_room *dw_room_new(struct dw_rooms *all, const char *name);
/* With its sessions, readers and what was not taken. */
void dw_room_destroy(struct dw_room **room_p);

/* At the start: what the engine says of the room, and then of each of its cursors. False: it is over its age. */
void dw_room_summarize(struct dw_room *room, const struct dw_room_summary *summary, uint64_t now);
bool dw_room_count_cursor(struct dw_room *room, const struct dw_cursor *cursor, uint64_t now);

/* Makes it resident from a DW_OP_LOAD that was committed. DW_E_NOMEM, DW_E_CORRUPT (it contradicts itself): it is as
 * before. */
int dw_room_load(struct dw_room *room, const struct dw_op *load, uint64_t now);
bool dw_room_resident(const struct dw_room *room);
/* Back to the summary. There must be no session and nothing to take (asserted). */
void dw_room_unload(struct dw_room *room);
/* Bytes of memory that being resident costs. */
size_t dw_room_memory(const struct dw_room *room);

/* A message that was committed, and its packed record; ignored when the room has it (seq ≤ head). Only the summary
 * changes while it is not resident. DW_E_NOMEM: the room must be loaded anew. */
int dw_room_append(struct dw_room *room, const struct dw_record *record, struct dw_str bytes, uint64_t now);
/* Drops the messages that are over their age. */
void dw_room_expire(struct dw_room *room, uint64_t now);
/* Forgets the devices that are over theirs, and notes daily that connected ones were seen. Resident rooms only. */
void dw_room_prune(struct dw_room *room, uint64_t now);
/* When either has something to do, at the earliest; UINT64_MAX: never as things are. */
uint64_t dw_room_next_age(const struct dw_room *room);

/* Kept, as the sums of all rooms in struct dw_rooms are: none of these is counted when it is asked for. */
uint64_t dw_room_retained(const struct dw_room *room);
uint64_t dw_room_queued(const struct dw_room *room);
/* Messages to everyone that are retained after this n. */
uint64_t dw_room_behind(const struct dw_room *room, uint64_t n);
/* Nothing is to be remembered of it: no message, no device. */
bool dw_room_forgettable(const struct dw_room *room, uint64_t now);
/* When the oldest queued message was stored; 0: none is, or not known because it is not resident. */
uint64_t dw_room_oldest_queued_at(const struct dw_room *room);

/* Of a resident room, or NULL. */
struct dw_member *dw_room_member(const struct dw_room *room, struct dw_str user);
struct dw_device *dw_room_device(const struct dw_room *room, struct dw_str user, struct dw_str id);

/* To go through all, a few at a time, while they come and go: the one returned stays until the next call, which is
 * given it and returns the one after it. NULL asks for the first; NULL returned: there is no other. `last` ends it
 * early. */
struct dw_present *dw_rooms_next_present(struct dw_rooms *all, struct dw_present *present, bool last);
struct dw_member *dw_room_next_member(struct dw_room *room, struct dw_member *member, bool last);

/* Whether the user may watch. Resident rooms only. */
bool dw_room_may(const struct dw_room *room, struct dw_str user, bool claimed);
/* The registry changed. DW_E_NOMEM. */
int dw_room_own(struct dw_room *room, struct dw_str user, enum dw_owner_state state);
/* A session of that user that may no longer watch; NULL: none is left. */
struct dw_session *dw_room_intruder(const struct dw_room *room, struct dw_str user);

/* What the engine says of a seq that the room does not know any more (DW_OP_PLACE): the numbers there, and the user's
 * own at `until`. */
struct dw_place {
	struct dw_position at;
	uint64_t until, until_own;
};

/* What a join or a read is judged by, beside the request. */
struct dw_join_context {
	uint32_t edge;
	const char *epoch;    /* the engine's */
	uint64_t engine_head; /* its last seq */
	uint64_t now, steady;
	const struct dw_place *place; /* NULL: not asked */
};

/* Whether the numbers at this seq are only known to the engine. dw_room_expire first. */
bool dw_room_asks_place(const struct dw_room *room, struct dw_str user, uint64_t seq);

/* A session that this join takes over: same user, same device, the device not derived. NULL: none is left. The caller
 * ends it (dw_room_leave). */
struct dw_session *dw_room_rival(const struct dw_room *room, const struct dw_join *join);
/* One that returns was taken over meanwhile: such a session was opened later, or in the same 64 ms. */
bool dw_room_replaced(const struct dw_room *room, const struct dw_join *join, uint64_t steady);
/* Carries out a join into a resident room and fills all of *joined but corr and code (room and device lie in the room).
 * The first join of an edge makes its reader, which begins where that session stands; a later one that stands before
 * that sets it back, so that the edge can serve all who come from there. The device is dirty when it is new.
 *   where it stands:
 *     came back      after                 exact or gap; reset when of another store or ahead of it
 *     after=new      the room's head       new; moves the device there
 *     after=0        before the oldest     new; with an epoch it is a SEQ
 *     after=SEQ      SEQ                   exact or gap; reset when of another store or ahead of it
 *     known device   what it confirmed     exact or gap
 *     a first visit  before the oldest     new
 * The numbers at an arbitrary SEQ are exact while the logs have them or the engine knows them (context->place); else
 * 0: the gap may then count more than was missed, never less. After a gap the session stands behind it (joined->from),
 * but has not confirmed it. DW_E_FIELD: the session is in the room already. DW_E_NOMEM. */
int dw_room_join(struct dw_room *room, const struct dw_join *join, const struct dw_join_context *context,
	struct dw_joined *joined, struct dw_session **session);
/* Where a reader without a session stands that gives this seq and epoch ("": none), as in a join. False: that is of
 * another store, or ahead of this one, and *at is before the oldest. */
bool dw_room_stand(const struct dw_room *room, struct dw_str user, uint64_t seq, struct dw_str epoch,
	const struct dw_join_context *context, struct dw_position *at);

/* What is no more of what follows a position: to everyone, and direct to this user. */
struct dw_gap dw_room_gap(const struct dw_room *room, struct dw_position at);
struct dw_gap dw_room_direct_gap(const struct dw_room *room, struct dw_str user, struct dw_position at);
/* The position after both gaps, and right before the next record that the user gets. */
struct dw_position dw_room_go_on(const struct dw_room *room, struct dw_str user, struct dw_position at);
/* The number of the newest direct message to the user at a seq. False: it is only known to the engine, and 0 here. */
bool dw_room_own_at(const struct dw_room *room, struct dw_str user, uint64_t seq, uint64_t *own);

/* Appends the records after a position, oldest first: at most `limit`, and at most `bytes` but at least one. To a user:
 * without the direct messages to others. NULL: of a stream, where a direct one that is not retained is a tombstone, as
 * what has expired is. *at is moved to the position read up to; true: there is more. */
bool dw_room_read(const struct dw_room *room, const struct dw_str *user, struct dw_position *at, size_t limit,
	size_t bytes, uint64_t now, struct dw_buf *out);
/* How many records that would be without bounds, of those that are not over their time. */
uint64_t dw_room_count(const struct dw_room *room, struct dw_str user, struct dw_position at, uint64_t now);

struct dw_session *dw_room_session(const struct dw_room *room, uint64_t id);
/* The session has received everything up to there; sure: its client said so itself; begun (or NULL): where it began to
 * read that. False, and nothing changed: the room has no such position. */
bool dw_room_confirm(struct dw_room *room, struct dw_session *session, struct dw_position at,
	const struct dw_begun *begun, bool sure, uint64_t steady);
/* The same of a session that the previous hub process knew, and that has ended since. It counts for a device that is
 * not derived and has no session now. NULL: there is none, or nothing changed. */
struct dw_device *dw_room_departed(struct dw_room *room, const struct dw_leave *leave, uint64_t steady);
/* Carries what has been confirmed for long enough into the cursors. */
void dw_room_settle(struct dw_room *room, uint64_t steady);
/* Ends the session, whose connection ended at that time. Its reader stays, maybe with none: dw_room_drop_reader. */
void dw_room_leave(struct dw_room *room, struct dw_session *session, uint64_t ended, uint64_t steady);
/* The same of all sessions of a reader, and it is freed. They end together: what one of a device's connections has not
 * confirmed is kept for the next one, in whatever order they are looked at. */
void dw_room_lose_reader(struct dw_room *room, struct dw_reader *reader, uint64_t ended, uint64_t steady);
/* A reader without sessions (asserted). */
void dw_room_drop_reader(struct dw_room *room, struct dw_reader *reader);

/* Whether the device has been delivered this message, which is for `to` alone (empty: for all). */
bool dw_device_has(const struct dw_device *device, struct dw_number number, struct dw_str to);
/* The devices that have been delivered it, and those that it has been sent to; but not that of the session `except`.
 * When that one has gone, or is DW_EXCEPT_SOME, its device is not known, and one less is counted: never too many.
 * Resident rooms only. */
#define DW_EXCEPT_SOME UINT64_MAX /* a session that nobody knows */
struct dw_receipts {
	uint64_t sent, delivered;
};
struct dw_receipts dw_room_receipts(
	const struct dw_room *room, struct dw_number number, struct dw_str to, uint64_t except);
/* The sessions that get such a message now, and the devices without a session that will. */
struct dw_audience {
	uint64_t sessions, devices;
};
struct dw_audience dw_room_audience(const struct dw_room *room, struct dw_str to, uint64_t except);

/* Takes one changed cursor to be written (seen 0: to be removed), or this device's. False: nothing changed. */
bool dw_room_take_cursor(struct dw_room *room, uint64_t now, struct dw_cursor *cursor);
bool dw_room_take_device(struct dw_room *room, struct dw_device *device, uint64_t now, struct dw_cursor *cursor);
/* A cursor that was taken could not be written: it is dirty again. */
void dw_room_put_back(struct dw_room *room, const struct dw_cursor *cursor);

#endif
