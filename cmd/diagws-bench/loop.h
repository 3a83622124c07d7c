/* The loop: descriptors, times, and SIGINT; TCP connections in it, and the head of an HTTP/1.1 answer.
 *
 * A turn: what is due is done (the subcommand's `turn`), then events are waited for until the time it named and given
 * to their owners. It ends when the turn says so, by SIGINT, by a failure, or when for --timeout nothing that counts
 * as progress has happened.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct run;
struct target;

/* What waits for events; the first member of who owns it. */
struct source {
	void (*ready)(struct source *source, uint32_t events);
};

#define LOOP_DONE UINT64_C(0)
#define LOOP_IDLE UINT64_MAX /* nothing is due before an event */

struct loop {
	int poller;
	uint64_t wake_at;     /* the turn is wanted by then, whoever wants it sets it in each turn */
	uint64_t progress_at; /* ns; who makes progress sets it */
	uint64_t patience;    /* ns */
	bool spin;            /* it never sleeps: waking us would cost who sends */
	int failed;           /* who sets it ends the loop with it */
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t now_ns(void);

int loop_init(struct loop *loop, int64_t timeout_ms);
void loop_clear(struct loop *loop);
/* Level-triggered, for EPOLLIN. false: see errno. */
bool loop_add(struct loop *loop, int fd, struct source *source);
typedef uint64_t loop_turn(struct run *run, uint64_t now);
/* turn returns when it wants to be called again (ns), LOOP_IDLE or LOOP_DONE.
 * DW_OK: done. DW_E_CLOSING: SIGINT. DW_E_TIMEOUT: no progress. Else loop->failed. */
int loop_run(struct loop *loop, loop_turn *turn, struct run *run);

/* A TCP connection. What is to be sent stands in `out`, which is empty most of the time and then has no memory. */
struct stream {
	struct source source; /* the first member, and that of its owner; set by who opens it */
	struct loop *loop;
	int fd;            /* -1: closed */
	bool blocked;      /* EPOLLOUT is watched for */
	struct dw_buf out; /* what the kernel has not taken yet */
};

/* from: the own address; NULL: the system's choice. false: see errno; to be closed also then. */
bool stream_open(struct stream *stream, struct loop *loop, const struct target *target, const struct sockaddr_in *from);
void stream_close(struct stream *stream);
/* Sends what is in `out` as far as the kernel takes it; EPOLLOUT comes when it takes more. false: see errno. */
bool stream_flush(struct stream *stream);
/* The value of a header, whose name has its colon, up to a "\r"; NULL: there is none before `end`, which is where the
 * empty line begins. */
const char *head_value(const char *head, const char *end, const char *name);

#endif
