/* libdiagws: send updates about a diagnosis to everyone who watches it, from C.
 *
 *   struct diagws *d;
 *   struct diagws_receipt receipt;
 *
 *   if (diagws_open(&d, NULL, NULL) != 0) …
 *   diagws_broadcast_effectiveness_update(d, "123", 789, 0.85, 0.92, 150, &receipt);
 *   diagws_close(&d);
 *
 * A call that returns 0 means: stored, durably, and on its way to every client that watches and kept
 * for those that are away. A call that fails with DIAGWS_TIMEOUT or DIAGWS_HUB_AWAY may or may not
 * have been stored: repeat it with the id of its receipt, and it is stored once.
 *
 * A handle belongs to one thread at a time. The library starts no thread of its own, installs no
 * signal handler and prints nothing. (ZeroMQ runs its one I/O thread inside.)
 *
 * Diagnosis ids are [A-Za-z0-9_-]{1,64}; types [a-z0-9_]{1,57}_update; message ids
 * [A-Za-z0-9_.:-]{1,128}; `data` is a JSON object of at most 64 KiB.
 */
#ifndef DIAGWS_H
#define DIAGWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIAGWS_API __attribute__((visibility("default")))

/* Failures: negative, the numbers that diagws(7) lists. diagws_strerror gives the text of any. */
enum {
	DIAGWS_INVALID = -1003, /* a field is wrong: see diagws_last_error */
	DIAGWS_BAD_JSON = -1004,
	DIAGWS_TOO_BIG = -1005,
	DIAGWS_NO_MEMORY = -1001,
	DIAGWS_CONFIG = -1010,       /* the endpoint's form */
	DIAGWS_HUB_AWAY = -1101,     /* the hub did not answer: try again with the same id */
	DIAGWS_TIMEOUT = -1102,      /* likewise */
	DIAGWS_STORAGE_FULL = -1103, /* likewise, later */
	DIAGWS_STORAGE = -1104,      /* likewise */
	DIAGWS_BUSY = -1105,         /* likewise */
	DIAGWS_PROTOCOL = -1106,
	DIAGWS_VERSION = -1107,     /* hub and library speak different protocol versions */
	DIAGWS_ID_REUSED = -1108,   /* this id was used for other content */
	DIAGWS_UNKNOWN = -1109,     /* no such diagnosis */
	DIAGWS_UNDELIVERED = -1114, /* stored, but fewer devices than asked for have confirmed it in time */
	DIAGWS_PERMISSION = -1205,  /* the socket may not be used */
};

struct diagws;

struct diagws_options {
	int64_t timeout_ms; /* for one answer; 0: 5000 */
	size_t window;      /* messages that may be unanswered (1..4096); 0: 256; fewer where they have 1 MiB together */
	const char *name;   /* for diagws-stat; NULL: "libdiagws" */
};

struct diagws_receipt {
	uint64_t seq;              /* position in the engine; 0 when it failed: not 0 means stored, whatever failed then */
	uint64_t n;                /* the room's count of messages to everyone; 0: it was to one user */
	char id[129];              /* yours, or the one made for it; set also when it failed */
	bool duplicate;            /* this id was stored before: nothing was delivered again */
	uint64_t clients_notified; /* connections in the room when it was stored */
	uint64_t devices_queued;   /* known devices that were away: they get it on return */
	uint64_t delivered;        /* devices that have confirmed it, when they were waited for */
};

/* How a message is sent. All zero: to everyone who watches, kept as long as others are, without waiting for devices. */
struct diagws_how {
	const char *id;              /* the message's own; NULL: one is made. An id given to the call itself goes before */
	const char *user;            /* only to this user; NULL: to everyone */
	const char *exclude_session; /* not to this connection: `session` as its `connect` told it; NULL: to all */
	int64_t ttl_ms;              /* it is no more after so long, 1000 to 30 days; 0: kept as others are */
	uint64_t delivered;          /* succeed when so many devices (at most 1000000) have confirmed it; 0: when stored */
	int64_t deadline_ms;         /* and wait so long for them after it was stored, at most an hour; 0: 5000 */
};

/* endpoint: "ipc:///path" or "tcp://127.0.0.1:port"; NULL: $DIAGWS_HUB, else the default (diagws(7)).
 * options may be NULL. The hub need not be there yet. DIAGWS_CONFIG, DIAGWS_PERMISSION, DIAGWS_NO_MEMORY;
 * *out is the caller's, to be closed; untouched on failure. */
DIAGWS_API int diagws_open(struct diagws **out, const char *endpoint, const struct diagws_options *options);
/* Frees; what was sent with diagws_send and not answered is not waited for (diagws_flush first). Nulls *d. */
DIAGWS_API void diagws_close(struct diagws **d);

/* Says how the next message on d is sent, whichever call sends it; later ones are sent as usual again. What *how
 * points to is copied. DIAGWS_INVALID: that call is then none of its business. */
DIAGWS_API int diagws_next(struct diagws *d, const struct diagws_how *how);

/* The three documented updates. They wait for the hub's answer. receipt may be NULL.
 * recommendation: old_data, new_data JSON objects; reason may be NULL. */
DIAGWS_API int diagws_broadcast_recommendation_update(struct diagws *d, const char *diagnosis, const char *old_data,
	const char *new_data, const char *reason, struct diagws_receipt *receipt);
/* new_effectiveness, confidence: 0..1; sample_size ≥ 0. */
DIAGWS_API int diagws_broadcast_effectiveness_update(struct diagws *d, const char *diagnosis, int64_t recommendation_id,
	double new_effectiveness, double confidence, int64_t sample_size, struct diagws_receipt *receipt);
/* rating: 1..5; effectiveness: 0..1; recommendation_id: < 0 for none; comment: NULL or ≤ 500 code points of UTF-8. */
DIAGWS_API int diagws_broadcast_feedback_update(struct diagws *d, const char *diagnosis, int64_t feedback_id,
	int rating, double effectiveness, int64_t recommendation_id, const char *comment, struct diagws_receipt *receipt);

/* Any update: data is JSON of data_size bytes. id may be NULL: one is made. Waits for the answer. */
DIAGWS_API int diagws_publish(struct diagws *d, const char *diagnosis, const char *type, const char *data,
	size_t data_size, const char *id, struct diagws_receipt *receipt);

/* Without waiting: up to `window` messages are under way; when it is full, diagws_send waits for room
 * (at most the timeout). `done` is called from within diagws_send, _poll or _flush, once for each message
 * that diagws_send accepted (returned 0), with 0 or a failure. After a lost connection what is unanswered is sent
 * again with its id, until the timeout. */
typedef void diagws_done(void *user, int err, const struct diagws_receipt *receipt);
DIAGWS_API int diagws_send(struct diagws *d, const char *diagnosis, const char *type, const char *data,
	size_t data_size, const char *id, diagws_done *done, void *user);
/* Takes answers for at most wait_ms (0: only what is there). Returns the number still unanswered, or a failure. */
DIAGWS_API int diagws_poll(struct diagws *d, int64_t wait_ms);
/* Waits until all are answered; each waits at most its timeout. */
DIAGWS_API int diagws_flush(struct diagws *d);
/* A descriptor to poll(2) for reading before diagws_poll(d, 0), for programs with a loop of their own. */
DIAGWS_API int diagws_fd(const struct diagws *d);

/* Counts over all rooms. */
struct diagws_counts {
	uint64_t rooms;       /* with at least one connection */
	uint64_t connections; /* on all edges */
	uint64_t queued;      /* messages that a known device has not confirmed, or that nobody has seen yet */
	uint64_t retained;    /* messages kept */
	uint64_t edges;
	uint64_t head; /* last seq */
	uint64_t uptime_s;
};
DIAGWS_API int diagws_connection_counts(struct diagws *d, struct diagws_counts *counts);

struct diagws_room {
	uint64_t connections;
	uint64_t devices; /* known, connected or not */
	uint64_t queued, retained;
	uint64_t head, oldest, n;
};
/* DIAGWS_UNKNOWN: nothing was ever published there and nobody watches. */
DIAGWS_API int diagws_room_info(struct diagws *d, const char *diagnosis, struct diagws_room *room);

DIAGWS_API const char *diagws_strerror(int err);
/* What exactly was wrong with the last call on d that failed: "field 'rating': 6 is not within 1..5". Valid until the
 * next call on d. Never NULL. */
DIAGWS_API const char *diagws_last_error(const struct diagws *d);
DIAGWS_API const char *diagws_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif
