/* The messages between hub, edges and clients: msgpack arrays over ZeroMQ. diagws-protocol(7) is the
 * grammar; the tables in wire.c are the same in code, and this header the same as structs.
 *
 * A message is one msgpack array: [kind, fields…], scalars only. A ZeroMQ frame is one message, or several one behind
 * another, for a frame costs more than what is in it. Records and table cells travel as one `bin` of msgpack values.
 *
 * Unpacked strings point into the frame: they live as long as it.
 */
#ifndef DIAGWS_WIRE_H
#define DIAGWS_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "message/msg.h"

enum {
	DW_WIRE_FRAME_MAX = 1024 * 1024, /* a longer frame is not looked at */
	DW_WIRE_BATCH_MAX = 256 * 1024,  /* records in one MESSAGES, but always at least one record */
	DW_WIRE_TOGETHER = 64 * 1024,    /* bytes of messages that are sent together; a longer one goes alone */
	DW_WIRE_SESSIONS_MAX = 8 * 1024, /* sessions in one CONFIRM */
	DW_EPOCH_MAX = 32,               /* bytes of a store's name */
	DW_COLUMN_MAX = 64,              /* of a column's */
	DW_CLOSE_REASON_MAX = 123,       /* of the reason in a WebSocket's Close (RFC 6455, 5.5) */
};

enum dw_wire_kind {
	/* to the hub */
	DW_HELLO = 1,
	DW_PING = 2,
	DW_BYE = 3,
	DW_PUBLISH = 4,
	DW_JOIN = 5,
	DW_LEAVE = 6,
	DW_CONFIRM = 7,
	DW_CREDIT = 8,
	DW_READ = 9,
	DW_STAT = 10,
	DW_OWN = 11,
	/* from the hub */
	DW_WHO = 32,
	DW_WELCOME = 33,
	DW_REFUSED = 34,
	DW_PONG = 35,
	DW_SHUTDOWN = 36,
	DW_STORED = 37,
	DW_JOINED = 38,
	DW_MESSAGES = 39,
	DW_CLOSE = 40,
	DW_RECORDS = 41,
	DW_TABLE = 42,
	DW_OWNED = 43,
	DW_DELIVERED = 44,
};

enum dw_peer_kind { DW_PEER_EDGE = 1, DW_PEER_CLIENT = 2 };

enum dw_join_flag {
	DW_JOIN_DERIVED = 1, /* the device id was derived from the token: connections live side by side */
	DW_JOIN_CLAIMED = 2, /* the token's `diagnoses` claim names this room */
	DW_JOIN_AFTER = 4,   /* `after` holds a position that the client gave */
	DW_JOIN_NEW = 8,     /* the client asked for after=new */
	DW_JOIN_RETURN = 16, /* the session was here before (hub or network restart): `after` is its position; no device is
							taken over by it */
	DW_JOIN_HAVE = 32,   /* the edge holds the room up to `have` */
	DW_JOIN_SURE = 64,   /* the client acknowledges itself (ack=client): what it confirms it has for certain */
};

enum dw_resume { DW_RESUME_EXACT, DW_RESUME_GAP, DW_RESUME_NEW, DW_RESUME_RESET };
enum dw_gap_reason { DW_GAP_NONE, DW_GAP_LIMIT, DW_GAP_EXPIRED };
const char *dw_resume_text(uint64_t resume);
const char *dw_gap_text(uint64_t reason);

/* `code` is 0 or a positive error number (1003 for DW_E_FIELD). `corr` is chosen by the asker and
 * given back; it is unique among its unanswered requests. A position travels as its three numbers (position.h). */
struct dw_hello {
	uint64_t version;     /* DW_PROTOCOL_VERSION; the first field for ever */
	uint64_t kind;        /* enum dw_peer_kind */
	uint64_t peer;        /* a random number, the process's for its life */
	uint64_t incarnation; /* grows with each HELLO of that process: a newer one replaces the older */
	struct dw_str name;   /* for people: "127.0.0.1:8000" */
};
struct dw_ping {
	uint64_t token; /* given back */
};
struct dw_publish {
	uint64_t corr;
	struct dw_str room, type, id, data;
	struct dw_str user; /* not empty: only if that user may (HTTP without the publish scope) */
	bool claimed;       /* that user's token names the room */
	struct dw_str to;   /* not empty: a direct message, for this user only */
	uint64_t except;    /* a session that is not to get it; 0: none */
	uint64_t ttl_ms;    /* after so long it is no more; 0: as long as the room keeps it */
	uint64_t wait;      /* not 0: STORED is followed by DELIVERED, when so many devices have confirmed it */
	uint64_t wait_ms;   /* or when this is over, counted from the commit */
};
/* After which messages a session began to read, without a gap since: what it then confirms of what follows was
 * delivered. */
struct dw_begun {
	uint64_t n, own;
};
struct dw_join {
	uint64_t corr, session; /* session: unique for ever, not 0 */
	struct dw_str room, user, device;
	uint64_t flags;               /* enum dw_join_flag */
	struct dw_position after;     /* only of one that returns more than its seq is known */
	struct dw_str epoch;          /* of `after`; may be empty */
	struct dw_position have;      /* see DW_JOIN_HAVE */
	uint64_t expires;             /* s since 1970: the token's exp */
	struct dw_position confirmed; /* of one that returns: what it has confirmed, */
	struct dw_begun begun;        /* where it began to read, */
	uint64_t age;                 /* and how long ago it was opened, ms */
};
struct dw_leave {
	uint64_t session;
	struct dw_str room;
	struct dw_position at; /* confirmed; at seq 0 nothing was */
	bool sure;             /* by the client itself: see DW_JOIN_SURE */
	struct dw_begun begun;
	struct dw_str user, device; /* told once more, to a hub that may not know it any more; else empty */
};
struct dw_confirm {
	struct dw_str room;
	struct dw_position at;
	bool sure;
	bool anew; /* these sessions have been told a gap that this confirms: they began to read again after `begun` */
	struct dw_begun begun;
	struct dw_str sessions; /* 8 bytes each, big endian */
};
struct dw_credit {
	uint64_t received; /* MESSAGES since HELLO */
};
struct dw_read {
	uint64_t corr, session; /* a session that joined the room, or 0: for `user`, who then must be one who may watch */
	struct dw_str room;
	struct dw_position after; /* session 0: only its seq is looked at */
	uint64_t limit;           /* records, 1..1000 */
	struct dw_str user;       /* session 0: who asks, */
	bool claimed;             /* and whether the token names the room */
	struct dw_str epoch;      /* session 0: of `after`; may be empty */
	uint64_t wait_ms;         /* nothing there: answer when there is, or when this is over; at most a minute */
	uint64_t stay;            /* of a session: for its edge, which finds it in RECORDS again */
};
struct dw_stat {
	uint64_t corr;
	struct dw_str view; /* summary rooms room devices messages edges queues users */
	struct dw_str room; /* for `room`, `devices` and `messages`; else empty */
	uint64_t limit;     /* rows, 1..100000 */
	struct dw_str sort; /* a column: the first rows by it, numbers down, texts up; empty: as they come */
	bool reverse;       /* the other way round */
};
struct dw_own {
	uint64_t corr;
	struct dw_str verb;                   /* grant revoke deny list; check: may this user publish? */
	struct dw_str room, user;             /* `list`: either may be empty */
	bool dry;                             /* say what would change, change nothing */
	bool claimed;                         /* `check`: the user's token names the room */
	struct dw_str after_room, after_user; /* `list`: go on behind this entry; or empty */
};
struct dw_welcome {
	uint64_t version;
	struct dw_str epoch;
	uint64_t hub;         /* a random number, the hub process's for its life */
	uint64_t head;        /* the engine's last seq */
	uint64_t window;      /* MESSAGES that may be under way uncredited */
	uint64_t incarnation; /* of the HELLO that this answers */
};
struct dw_refused {
	uint64_t code;
	struct dw_str text;
};
struct dw_pong {
	uint64_t token; /* of the PING */
	bool writable;  /* the storage takes messages, as far as the last one told */
};
struct dw_stored {
	uint64_t corr, code, seq, n; /* n is 0 for a direct message */
	bool duplicate;
	uint64_t notified;  /* sessions at the commit that get it */
	uint64_t queued;    /* devices with a cursor that get it and were not connected */
	struct dw_str text; /* on failure: what is wrong */
};
/* The second answer to a PUBLISH with `wait`. */
struct dw_delivered {
	uint64_t corr, code; /* DW_E_UNDELIVERED: fewer than asked for */
	uint64_t count;      /* devices that have confirmed it */
};
/* Messages that are no more, by their n, or by their own numbers where they were direct; reason DW_GAP_NONE: there are
 * none. */
struct dw_gap {
	uint64_t from, to, reason;
};
struct dw_joined {
	uint64_t corr, session, code;
	struct dw_str room, device;
	uint64_t resume;         /* enum dw_resume */
	struct dw_position at;   /* what the session has confirmed: before the gaps */
	struct dw_position from; /* behind them: it gets what follows */
	uint64_t head;           /* seq of the room's newest message */
	uint64_t oldest;         /* seq of the oldest retained; 0: nothing is */
	uint64_t replaying;      /* retained messages after `from` */
	struct dw_gap gap, direct;
	struct dw_position sent; /* the edge's in the room after this join: what it gets next follows it */
};
struct dw_messages {
	struct dw_str room;
	struct dw_position prev; /* before the first record: what the hub sent last */
	uint64_t reason;         /* where n does not go on by one: why what is between is no more (enum dw_gap_reason) */
	bool ask;                /* direct messages are no more there, and it is not known here to whom they were */
	struct dw_str records;
};
struct dw_close {
	uint64_t session;
	struct dw_str room;
	uint64_t code; /* WebSocket close code */
	struct dw_str reason;
	uint64_t stay; /* the lower 32 bits of its JOIN's corr: a later one of that session is not meant */
};
struct dw_records {
	uint64_t corr, code;
	struct dw_str room;
	struct dw_gap gap, direct; /* what is no longer retained between `after` and `last` */
	uint64_t head;
	bool reset;              /* session 0: `after` is of another store, or ahead of this one */
	bool more;               /* the room has more after the last record */
	struct dw_position last; /* what was read up to: of the last record, or beyond it */
	struct dw_str records;   /* those that the session's user gets */
	uint64_t stay;           /* as in READ */
};
struct dw_table {
	uint64_t corr, code;
	struct dw_str columns;    /* names separated by tabs; also where code says that there is no column of this name */
	struct dw_str cells;      /* msgpack values row by row */
	bool more;                /* rows were left out, by `limit` or by what a frame holds */
	struct dw_str room, user; /* a `list` that has more: where it goes on */
};
struct dw_owned {
	uint64_t corr, code;
	bool changed;
};

struct dw_wire {
	enum dw_wire_kind kind;
	union {
		struct dw_hello hello;
		struct dw_ping ping;
		struct dw_publish publish;
		struct dw_join join;
		struct dw_leave leave;
		struct dw_confirm confirm;
		struct dw_credit credit;
		struct dw_read read;
		struct dw_stat stat;
		struct dw_own own;
		struct dw_welcome welcome;
		struct dw_refused refused;
		struct dw_pong pong;
		struct dw_stored stored;
		struct dw_joined joined;
		struct dw_messages messages;
		struct dw_close close;
		struct dw_records records;
		struct dw_table table;
		struct dw_owned owned;
		struct dw_delivered delivered;
	};
};

/* This build's protocol version. */
uint64_t dw_protocol_version(void);

/* Appends the encoded message. Only memory can fail (dw_buf_ok). */
void dw_wire_pack(struct dw_buf *out, const struct dw_wire *message);
/* Takes the first message off *rest, which is what is left of a frame. DW_E_PROTOCOL (with what is wrong in fault),
 * DW_E_TOO_BIG or DW_E_NOMEM: *rest is then empty, for what follows a bad message is not trusted either. A HELLO of
 * another version unpacks with its version alone. Fields that a later version added behind ours are skipped. */
int dw_wire_next(struct dw_str *rest, struct dw_wire *message, struct dw_fault *fault);
/* The same of one message that has nothing behind it. */
int dw_wire_unpack(struct dw_wire *message, const void *frame, size_t n, struct dw_fault *fault);

/* Sets how long the packed PUBLISH or READ is to wait at the hub. DW_E_NOMEM: the frame is as it was. */
int dw_wire_wait(struct dw_buf *frame, uint64_t wait_ms);

/* Records, as they are stored and sent: [seq, n, at, type, id, data, to, except, expires_at, own]. */
void dw_record_pack(struct dw_buf *out, const struct dw_record *record);
/* Takes the first record off *rest. DW_E_AGAIN at the end, DW_E_PROTOCOL when it is none. */
int dw_record_next(struct dw_str *rest, struct dw_record *record);

/* Cells of a table. */
enum dw_cell_type { DW_CELL_NIL, DW_CELL_NUMBER, DW_CELL_REAL, DW_CELL_TEXT };
struct dw_cell {
	enum dw_cell_type type;
	int64_t number;
	double real;
	struct dw_str text;
};
void dw_cell_pack(struct dw_buf *out, const struct dw_cell *cell);
int dw_cell_next(struct dw_str *rest, struct dw_cell *cell); /* as dw_record_next */

/* The sessions of a CONFIRM. */
void dw_session_pack(struct dw_buf *out, uint64_t session);
bool dw_session_next(struct dw_str *rest, uint64_t *session);

#endif
