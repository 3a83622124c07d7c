/* The clients of a run: connecting them, and what became of the messages sent to them.
 *
 * A client's life: DOWN → (crowd_connect) UPGRADING → WAITING (101; --ready is expected) → READY → DOWN. A message to a
 * room is owed to each client that is READY then (crowd_issue), and to one that comes back all since it left. `owed` is
 * 0 when everybody has everything. client.c connects them, and count.c counts.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "loop.h"
#include "order.h"
#include "plan.h"

enum client_state { CLIENT_DOWN, CLIENT_UPGRADING, CLIENT_WAITING, CLIENT_READY };

struct client {
	struct stream stream; /* the first member */
	uint32_t index, room;
	enum client_state state;
	bool joined;         /* was READY once: order counts */
	struct dw_buf rest;  /* the begin of a frame, or of the answer, that is not complete */
	struct dw_buf parts; /* of a message in several frames */
	uint64_t due;        /* ns: when it was to connect */
	struct order order;
	uint64_t seq; /* "seq" of the last message; storm */
	struct crowd *crowd;
	char accept[32]; /* Sec-WebSocket-Accept that is due */
};

struct room {
	uint64_t target; /* the last number that was sent */
	uint64_t floor;  /* numbers from here on are under way together, in any order */
	uint32_t up;     /* clients that are READY */
};

/* A number in a message, behind its key; at: where it was last. */
struct field {
	const char *key;
	size_t n, at;
};

struct crowd {
	const struct plan *plan;
	struct loop *loop;
	struct client *clients;
	struct room *rooms;
	uint32_t count;
	bool wants_seq;
	/* connecting */
	uint32_t started, unfinished, ready, failed;
	uint64_t start_at;          /* ns: when the first one is due */
	uint64_t rate, concurrency; /* so many a second (0: each is due when it can be started), unfinished at a time */
	/* messages */
	uint64_t owed, deliveries, holes, repeated, disordered, errors;
	uint64_t begun_at;          /* what was sent before is another run's */
	uint64_t count_from;        /* what was sent before is not counted */
	uint64_t last_at;           /* when the last message came */
	struct histogram *latency;  /* of messages; NULL: of none */
	struct histogram *connects; /* from due to READY; NULL: of none */
	struct histogram *caught;   /* from due to having all of the room; NULL: of none */
	struct field sent, number, seq;
	/* the first thing that went wrong with a connection */
	int err;
	struct dw_fault fault;
};

/* Raises the limit of open files. DW_E_CONFIG: it cannot; DW_E_NOMEM. To be cleared also then. */
int crowd_init(struct crowd *crowd, const struct plan *plan, struct loop *loop, struct dw_fault *fault);
void crowd_clear(struct crowd *crowd);
/* Cuts all off, without a word. */
void crowd_cut(struct crowd *crowd);

/* Starts those whose time has come, with the position it had where one was READY before. Returns when to be called
 * again, or LOOP_IDLE. */
uint64_t crowd_connect(struct crowd *crowd, uint64_t now);
/* A message with this number goes to the room. */
void crowd_issue(struct crowd *crowd, uint32_t room, uint64_t number);
/* How many messages did not come. final: nothing is under way any more. */
uint64_t crowd_lost(const struct crowd *crowd, bool final);

/* For client.c. */
void crowd_ready(struct crowd *crowd, struct client *client, uint64_t now);
/* It is DOWN. */
void crowd_forget(struct crowd *crowd, struct client *client);
void crowd_message(struct crowd *crowd, struct client *client, const char *p, size_t n, uint64_t now);

#endif
